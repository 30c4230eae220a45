"""The sample: a greeting card per running zone, kept right like everything else. Thirty lines, all of the contract."""

from pathlib import Path

from pydantic import Field

from zonehookd.plugin import (
    HostReader,
    Plan,
    PluginOptions,
    RemoveFile,
    WriteFile,
    ZonePlugin,
    ZoneState,
    ZoneView,
    nothing,
    templates,
)


class Hello(ZonePlugin[str | None]):
    name = "hello"
    after = ("vnic",)

    class Options(PluginOptions):
        folder: Path = Field(Path("/var/run/zonehookd/hello"), description="where the greeting cards lie")
        greeting: str = Field("Hello", description="its first word")

    options: Options

    async def observe(self, zone: ZoneView, host: HostReader) -> str | None:
        return host.read_file(self._card(zone))

    def plan(self, zone: ZoneView, seen: str | None) -> Plan:
        if zone.zone.state is not ZoneState.RUNNING:
            if seen is None:
                return nothing("no card, and none is due")
            return Plan((RemoveFile(self._card(zone), f"zone {zone.zone.name} is {zone.zone.state}"),))
        card = templates(Path(__file__).parent / "templates").get_template("card.txt.j2")
        text = card.render(greeting=self.options.greeting, zone=zone.zone, attachments=zone.attachments)
        if seen == text:
            return nothing("the card is right")
        return Plan((WriteFile(self._card(zone), text, "the card is missing or outdated"),))

    def _card(self, zone: ZoneView) -> Path:
        return self.options.folder / f"{zone.zone.name}.txt"
