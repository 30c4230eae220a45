"""Each rule of the test kit finds the plugin that breaks it, and no other; a plugin that keeps all of them passes."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from zonehookd.plugin import (
    CannotObserve,
    Change,
    Forget,
    GatewayPlugin,
    GatewayView,
    HostReader,
    NetworkPlugin,
    NetworkView,
    Plan,
    Query,
    Record,
    Remember,
    RemoveFile,
    Reply,
    Verdict,
    WriteBlock,
    WriteFile,
    ZonePlugin,
    ZoneView,
    nothing,
)
from zonehookd.testing import RULES, Harness, Host, NotConforming, conforms, gateway, network, zone

WEB1 = zone("web1", "running", "dmz", "10.1.0.5/24")
CARDS = Path("/var/cards")


class Cards(ZonePlugin[str | None]):
    """A file for each zone, kept right."""

    name = "cards"

    async def observe(self, zone: ZoneView, host: HostReader) -> str | None:
        return host.read_file(self._card(zone))

    def plan(self, zone: ZoneView, seen: str | None) -> Plan:
        if zone.zone.absent:
            return Plan((RemoveFile(self._card(zone), "the zone is gone"),)) if seen is not None else nothing("no card")
        if seen == self._text(zone):
            return nothing("it is right")
        return Plan((WriteFile(self._card(zone), self._text(zone), "a card per zone"),))

    def _text(self, zone: ZoneView) -> str:
        return f"{zone.zone.name} is {zone.zone.state}\n"

    def _card(self, zone: ZoneView) -> Path:
        return CARDS / zone.zone.name


def test_a_good_one_passes() -> None:
    conforms(Cards, WEB1, zone("web2", "installed"))


_count = itertools.count()


class Counts(Cards):
    def _text(self, zone: ZoneView) -> str:
        return f"{next(_count)}\n"


class Acts(Cards):
    def plan(self, zone: ZoneView, seen: str | None) -> Plan:
        Path("/nonexistent/folder/of/a/test").rmdir() if seen is None else None
        return super().plan(zone, seen)


class Hasty(Cards):
    """Its own file, outside of any step."""

    folder: Path

    async def observe(self, zone: ZoneView, host: HostReader) -> str | None:
        (self.folder / "note").write_text("I was here")
        return await super().observe(zone, host)


class Never(Cards):
    """Does not compare with what is there."""

    def plan(self, zone: ZoneView, seen: str | None) -> Plan:
        return super().plan(zone, None)


class Litters(Cards):
    def plan(self, zone: ZoneView, seen: str | None) -> Plan:
        return nothing("it is gone") if zone.zone.absent else super().plan(zone, seen)


class Guesses(Cards):
    """Takes a look that failed for nothing being there."""

    async def observe(self, zone: ZoneView, host: HostReader) -> str | None:
        try:
            return host.read_file(self._card(zone))
        except CannotObserve:
            return None


class Made(ZonePlugin[tuple[bool, bool]]):
    """A thing made by a command: is it there, and is it in the books."""

    name = "made"
    _record_first = True

    async def observe(self, zone: ZoneView, host: HostReader) -> tuple[bool, bool]:
        names = await host.ask(Query(("things", "list"), lambda reply: reply.stdout.split()))
        return zone.zone.name in names, bool(host.recall(zone.subject))

    def plan(self, zone: ZoneView, seen: tuple[bool, bool]) -> Plan:
        (there, known), name = seen, zone.zone.name
        if zone.zone.absent:
            delete, forget = self._change("delete", name), Forget("thing", name, "it is gone")
            return Plan((*((delete,) if there else ()), *((forget,) if known else ())))
        keep = Remember(Record("thing", name, zone.subject, self.name), "before it is made")
        if there:
            return nothing("it is there")
        return Plan((keep, self._change("make", name)) if self._record_first else (self._change("make", name), keep))

    def _change(self, verb: str, name: str) -> Change:
        return Change(("things", verb, name), f"zone {name}")


class Late(Made):
    """Killed between its steps, it has made something that it has no record of."""

    _record_first = False


class Judges(Made):
    def _change(self, verb: str, name: str) -> Change:
        return replace(super()._change(verb, name), judge=lambda status, stderr: Verdict(again=False))


class Forgets(Made):
    """Killed between its steps, it has forgotten what it is still to delete."""

    def plan(self, zone: ZoneView, seen: tuple[bool, bool]) -> Plan:
        plan = super().plan(zone, (seen[0] and seen[1], seen[1]) if zone.zone.absent else seen)
        return Plan(plan.steps[::-1]) if zone.zone.absent else plan


class Leaves(Made):
    def plan(self, zone: ZoneView, seen: tuple[bool, bool]) -> Plan:
        plan = super().plan(zone, seen)
        return Plan(tuple(each for each in plan.steps if not (zone.zone.absent and isinstance(each, Change))))


def things(argv: tuple[str, ...], stdin: str, there: set[str]) -> str:
    """The program that makes them: `things list`, `make NAME`, `delete NAME`."""
    if argv[1] == "make":
        there.add(argv[2])
    elif argv[1] == "delete":
        there.remove(argv[2])
    return "\n".join(there)


def with_things(plugin: Any) -> Harness:
    host, there = Host(), set[str]()
    host.on("things *", lambda argv, stdin: things(argv, stdin, there))
    return Harness(plugin, host=host)


def broken_rules(plugin: Any, *views: Any) -> set[str]:
    try:
        conforms(plugin, *views)
    except NotConforming as problem:
        return {line.partition(":")[0] for line in str(problem).splitlines()}
    return set()


@pytest.mark.parametrize(
    ("plugin", "broken"),
    [
        (Counts, {"pure", "settled", "cleared", "wire"}),
        (Acts, {"quiet"}),
        (Never, {"settled", "cleared"}),
        (Litters, {"cleared"}),
        (Guesses, {"unseen"}),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_each_rule(plugin: Any, broken: set[str]) -> None:
    if plugin is Acts:  # what it tries fails, and is seen all the same
        with pytest.raises(FileNotFoundError):
            Harness(plugin).given(WEB1).plan()
        return
    assert broken_rules(plugin, WEB1) == broken


def test_a_file_written_while_planning_is_seen(tmp_path: Path) -> None:
    Hasty.folder = tmp_path
    with pytest.raises(NotConforming, match=r"quiet: planning for what is there: opened '.*note' for writing"):
        conforms(Hasty, WEB1)


def test_commands_and_records() -> None:
    assert broken_rules(lambda: with_things(Made), WEB1) == set()
    assert broken_rules(lambda: with_things(Late), WEB1) == {"crash"}
    assert broken_rules(lambda: with_things(Judges), WEB1) == {"wire"}
    assert broken_rules(lambda: with_things(Forgets), WEB1) == {"crash", "failing"}
    assert broken_rules(lambda: with_things(Leaves), WEB1) == {"cleared"}


class Zonefile(NetworkPlugin[str | None]):
    name = "zonefile"

    async def observe(self, network: NetworkView, host: HostReader) -> str | None:
        return host.read_file(Path(f"/var/{network.name}"))

    def plan(self, network: NetworkView, seen: str | None) -> Plan:
        file, text = Path(f"/var/{network.name}"), "".join(f"{each.zone}\n" for each in network.attachments)
        if network.network is None:
            return Plan((RemoveFile(file, "no longer declared"),) if seen is not None else ())
        return Plan((WriteFile(file, text, "who is on it"),) if seen != text else ())


class Motd(GatewayPlugin[None]):
    name = "motd"

    async def observe(self, gateway: GatewayView, host: HostReader) -> None: ...

    def plan(self, gateway: GatewayView, seen: None) -> Plan:
        body = f"gateway of {', '.join(gateway.gateway.networks)}\n" if gateway.gateway else ""
        return Plan((WriteBlock(Path("/etc/motd"), body, "who comes here shall know"),))


def test_networks_and_gateways() -> None:
    conforms(Zonefile, network("dmz", zones=[WEB1]), network("back", "10.2.0.0/24"))
    conforms(Motd, gateway("edge", zones=[WEB1]))
    host = Host({"/etc/motd": "Welcome.\n"})
    harness = Harness(Motd, host=host).given(gateway("edge")).settle()
    assert "gateway of dmz\n" in host.files["/etc/motd"]
    harness.gone().settle()
    assert (host.files, host.records) == ({"/etc/motd": "Welcome.\n"}, [])


def test_what_may_be_left_out_is_a_rule() -> None:
    conforms(Litters, WEB1, without=["cleared"])
    with pytest.raises(ValueError, match="no such rules: clear; there are: pure, quiet"):
        conforms(Cards, WEB1, without=["clear"])
    with pytest.raises(ValueError, match="at least one subject"):
        conforms(Cards)
    assert all(rule.__doc__ for rule in RULES.values())


def test_a_command_fails_as_it_is_told() -> None:
    host, there = Host(), set[str]()
    host.on("things *", lambda argv, stdin: things(argv, stdin, there))
    host.busy("things make *", times=2)
    harness = Harness(Made, host=host).given(WEB1)
    assert "link busy" in harness.apply().errors[0]
    harness.settle()
    assert there == {"web1"}
    host.hang("things list")
    assert "did not finish in time" in harness.plan().blind[WEB1.subject]
    host.answer("things list", Reply(0, "web1", "").stdout)
    assert harness.plan().empty


def test_what_nobody_scripted_is_said() -> None:
    with pytest.raises(AssertionError, match=r"host\.answer\('things list', …\)"):
        Harness(Made).given(WEB1).plan()
