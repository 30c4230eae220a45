"""`zap destroy-zone` refuses to destroy a gateway zone while zones are behind it: it is told who they are.

It ignores every refusal of illumos itself, and deletes the configuration in the end (zones sheet 5.7). But it asks its
own records first; so where they are, a file of ours among them names the zones behind each gateway.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import Field

from zonehookd.illumos import zap
from zonehookd.model import subject
from zonehookd.model.record import LINKED, PERMIT, permitted
from zonehookd.plugin import (
    GLOBAL,
    CannotObserve,
    Forget,
    GatewayPlugin,
    GatewayView,
    HostReader,
    Note,
    Plan,
    PluginOptions,
    Record,
    Remember,
    RemoveFile,
    WriteFile,
    nothing,
)

KIND = "zap"  # name: the gateway; facts: path, zones
_AGAIN_S = 30.0  # what could not be read is tried again
_GONE_S = 5.0  # that a zone's link is gone is no event of the gateway's


@dataclass(frozen=True)
class Seen:
    """`zap`: its folder is there. `files`: what ours and the one on record hold; None: not there. `still`: zones on
    record that cannot be read now, and have links behind this gateway. `linked`: zones behind it by a link alone.
    `permitted_s`: so long it may be destroyed.
    """

    record: Record | None
    zap: bool = False
    files: Mapping[Path, str | None] = field(default_factory=dict)
    still: tuple[str, ...] = ()
    linked: tuple[str, ...] = ()
    permitted_s: float = 0.0
    blind: str = ""


class Zap(GatewayPlugin[Seen]):
    name = "zap"
    after = ("keeper",)
    beside = True
    apart = True

    class Options(PluginOptions):
        folder: Path = Field(zap.RECORDS, description="zap's records; where it is missing, nothing is done")

    options: Options

    def concerns(self, view: GatewayView, host: HostReader) -> bool:
        return view.name != GLOBAL

    async def observe(self, gateway: GatewayView, host: HostReader) -> Seen:
        """Never raises: that zap cannot be told is no reason to leave a gateway as it is."""
        record = next(iter(host.recall(gateway.subject)), None)
        paths = {self._file(gateway.name), *([Path(record.facts["path"])] if record is not None else [])}
        permit = host.recall_one(PERMIT, gateway.name)
        now_s = time.time()
        permitted_s = float(permit.facts["until"]) - now_s if permit is not None and permitted(permit, now_s) else 0.0
        try:
            there = host.stamp(self.options.folder) is not None
            files = {path: host.read_file(path) for path in paths} if there or record is not None else {}
        except CannotObserve as problem:
            return Seen(record, blind=str(problem))
        linked = host.recall_one(LINKED, gateway.name)
        by_link = tuple(linked.facts["zones"].split()) if linked is not None else ()
        return Seen(record, there, files, _unread(gateway, record, host), by_link, permitted_s)

    def plan(self, gateway: GatewayView, seen: Seen) -> Plan:
        if seen.blind:
            note = Note("waiting", f"zap is not told: {seen.blind}", "not-seen", gateway.name, again_after_s=_AGAIN_S)
            return Plan(notes=(note,))
        wanted = self._wanted(gateway, seen)
        path = self._file(gateway.name)
        notes: tuple[Note, ...] = ()
        if seen.permitted_s:
            why = f"zone {gateway.name} may be destroyed for {seen.permitted_s:.0f} s"
            notes = (Note("nothing", why, again_after_s=seen.permitted_s + 1.0),)
        elif wanted and seen.still:
            why = f"whether {', '.join(seen.still)} is behind zone {gateway.name} is not seen; it still has its link"
            notes = (Note("nothing", why, again_after_s=_GONE_S),)
        steps: list[Remember | WriteFile | RemoveFile | Forget] = []
        if seen.record is not None and (not wanted or seen.record.facts["path"] != str(path)):
            steps += self._taken_away(gateway, seen, seen.record)
        if wanted:
            there = seen.files[path]
            if there is not None and not zap.ours(there):
                text = f"{path} is somebody else's: zap destroy-zone does not know who is behind zone {gateway.name}"
                foreign = Note("refused", text, "foreign-file", str(path), "move it away")
                return Plan(tuple(steps), (*notes, foreign))
            steps += self._told(gateway, seen, wanted, path)
        if steps or notes:
            return Plan(tuple(steps), notes)
        return nothing(f"zap knows who is behind zone {gateway.name}" if wanted else "zap has nothing to know")

    def _wanted(self, gateway: GatewayView, seen: Seen) -> Sequence[str]:
        """Zones to name; none: there is to be no file."""
        if not seen.zap or gateway.gateway is None or gateway.zone is None or seen.permitted_s:
            return ()
        names = {each.zone for every in gateway.members.values() for each in every} - {GLOBAL, gateway.name}
        by_link = {name for name in seen.linked if name not in names}
        return sorted({*seen.still, *by_link, *(name for name in names if gateway.zones[name].depends)})

    def _told(self, gateway: GatewayView, seen: Seen, zones: Sequence[str], path: Path) -> list[Remember | WriteFile]:
        facts = {"path": str(path), "zones": " ".join(zones)}
        record = Record(KIND, gateway.name, gateway.subject, Zap.name, facts)
        text = zap.children(gateway.name, zones)
        why = f"zap destroy-zone is to refuse zone {gateway.name}: {len(zones)} zones depend on it"
        steps: list[Remember | WriteFile] = []
        if seen.record != record:
            steps.append(Remember(record, why))
        if seen.files[path] != text:
            cause = "" if seen.record != record else "missing" if seen.files[path] is None else "altered"
            steps.append(WriteFile(path, text, why, cause=cause))
        return steps

    def _taken_away(self, gateway: GatewayView, seen: Seen, record: Record) -> list[RemoveFile | Forget]:
        why = f"zap destroy-zone need not refuse zone {gateway.name} for our sake"
        path = Path(record.facts["path"])
        there = seen.files[path]
        removed = [RemoveFile(path, why)] if there is not None and zap.ours(there) else []
        return [*removed, Forget(KIND, record.name, why)]

    def _file(self, gateway: str) -> Path:
        return self.options.folder / zap.children_file(gateway)


def _unread(gateway: GatewayView, record: Record | None, host: HostReader) -> tuple[str, ...]:
    """Zones on record that are not seen among the members, and have a link on one of the networks by our books."""
    if record is None or gateway.gateway is None:
        return ()
    links = {network.link for network in gateway.gateway.networks.values()}
    unseen = [name for name in record.facts["zones"].split() if name not in gateway.zones]
    return tuple(
        name
        for name in unseen
        if any(vnic.facts.get("over") in links for vnic in host.recall_all(subject.zone(name), "vnic"))
    )
