"""The configuration of a gateway zone is kept, so that a zone that others depend on can be had back when it is deleted.

No hook of a brand is asked before `zonecfg delete -F` (zones sheet 4.3), so nothing can refuse it. What the zone was is
in our books instead: the commands that make it again, and its file to compare with. They are asked for when the file
has changed, and at no other time. A zone that is gone, or cannot be read, never overwrites what is kept.

A gateway that was deleted and is not missed, by leave or because nobody depended on it, is none that comes back by
itself. Yet who gave that leave may regret it, so what was kept stays in the books as `LET_GO`, until there is a zone of
this name again or it is declared no more. No time ends that: it is one record for each declared gateway at most, and
as long as it is declared, somebody means to have it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from pydantic import Field

from zonehookd.illumos import zoneadm, zonecfg, zoneexport
from zonehookd.model import subject
from zonehookd.model.record import BY_ITSELF, KEPT, LET_GO, LINKED, PERMIT, RESTORE, often
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
    Zone,
    ZoneState,
    nothing,
)

from .restoring import FILES_ARE_GONE, UNINSTALLED, Seen, let_go, mended, restored, uninstalled, vanished

_AGAIN_S = 30.0  # what could not be read is tried again
_NOT_INSTALLED = (ZoneState.CONFIGURED, ZoneState.INCOMPLETE)
_AT_REST = (ZoneState.CONFIGURED, ZoneState.INCOMPLETE, ZoneState.INSTALLED)


class Keeper(GatewayPlugin[Seen]):
    name = "keeper"
    after = ("gateway",)
    asks_each = True
    beside = True
    apart = True

    class Options(PluginOptions):
        zones: Path = Field(Path("/etc/zones"), description="where the zones' files lie; the same as `[paths] zones`")
        halted_s: float = Field(
            60.0,
            ge=0,
            description="so long after its halt a gateway zone counts as running, in seconds: who destroys a zone "
            "halts it first",
        )

    options: Options

    def concerns(self, view: GatewayView, host: HostReader) -> bool:
        return view.name != GLOBAL

    async def observe(self, gateway: GatewayView, host: HostReader) -> Seen:
        """Never raises: that a gateway cannot be kept is no reason to leave it as it is."""
        records = {record.kind: record for record in host.recall(gateway.subject)}
        linked = host.recall_one(LINKED, gateway.name)
        by_link = tuple(linked.facts["zones"].split()) if linked is not None else ()
        seen = Seen(records.get(KEPT), records.get(RESTORE), time.time(), let_go=records.get(LET_GO), linked=by_link)
        waits = often(host.recall_one(BY_ITSELF, gateway.name), seen.now_s)
        seen = replace(seen, leave=host.recall_one(PERMIT, gateway.name) is not None, waits=waits)
        zone = gateway.zone
        if gateway.gateway is None or (zone is None and seen.restore is None):
            return seen
        if zone is None:
            zone = Zone(gateway.name, ZoneState.ABSENT)
        added = tuple(record.name for record in host.recall_all(subject.zone(zone.name), "net"))
        try:
            if zone.absent or zone.vanished or seen.restore is not None:
                return await self._of_the_lost(zone, seen, host)
            if zone.trouble:
                return seen
            xml = host.read_file(self._file(zone))
            if zone.state is ZoneState.CONFIGURED and zone.zonepath:
                seen = replace(seen, files=host.stamp(Path(zone.zonepath)) is not None)
            if xml is None or (seen.kept is not None and seen.kept.facts["xml"] == xml):
                return replace(seen, xml=xml, added=added)
            return replace(seen, xml=xml, added=added, export=await host.ask(zonecfg.export(zone.name)))
        except CannotObserve as problem:
            return replace(seen, blind=str(problem))

    async def _of_the_lost(self, zone: Zone, seen: Seen, host: HostReader) -> Seen:
        """Are its files still there, and whose are they? The list of all zones is asked for by every look anyway."""
        xml = None if zone.trouble else host.read_file(self._file(zone))
        if seen.kept is None:
            return replace(seen, xml=xml)
        path, uuid = seen.kept.facts["zonepath"], seen.kept.facts["uuid"]
        others = [
            (each.name, each.state)
            for each in (await host.ask(zoneadm.zones())).values()
            if each.name != zone.name and (each.zonepath == path or (uuid and each.uuid == uuid))
        ]
        there = bool(path) and host.stamp(Path(path)) is not None
        return replace(seen, xml=xml, files=there, others=tuple(sorted(others)))

    def plan(self, gateway: GatewayView, seen: Seen) -> Plan:
        zone = gateway.zone
        if gateway.gateway is None:
            why = f"zone {gateway.name} is no gateway any more"
            records = (seen.kept, seen.let_go, seen.restore)
            steps = tuple(Forget(each.kind, each.name, why) for each in records if each is not None)
            return Plan(steps) if steps else nothing(why)
        if zone is None and (seen.restore is None or seen.kept is None):
            return let_go(gateway, seen)
        if zone is None or zone.vanished:
            return vanished(gateway, seen)
        if zone.damaged and seen.kept is not None:
            return mended(zone, seen.kept, seen.restore, self._file(zone))
        if seen.restore is not None:
            return restored(gateway, zone, seen.restore, seen)
        if zone.trouble:
            return nothing(f"zone {zone.name}: {zone.trouble}; what is kept of it stays")
        return self._keep(gateway, zone, seen)

    def _keep(self, gateway: GatewayView, zone: Zone, seen: Seen) -> Plan:
        try:
            facts = self._facts(zone, seen)
        except ValueError as problem:
            return _not_kept(zone, f"{self._file(zone)}: {problem}")
        if facts is None:
            return _not_kept(zone, seen.blind or f"{self._file(zone)} is not there")
        notes = [*_lost(zone, facts), *uninstalled(gateway, zone, seen, facts)]
        if "left" in facts:
            wait_s = max(1.0, float(facts["left"]) + self.options.halted_s - seen.now_s)
            notes.append(Note("nothing", "it has only just been halted", again_after_s=wait_s))
        record = Record(KEPT, zone.name, gateway.subject, Keeper.name, facts)
        again = (Forget(LET_GO, zone.name, "there is a zone of this name again"),) if seen.let_go else ()
        if seen.kept != record:
            return Plan((Remember(record, f"what zone {zone.name} is, should it be deleted"), *again), tuple(notes))
        return Plan(again, (*notes, Note("nothing", f"the configuration of zone {zone.name} is kept")))

    def _facts(self, zone: Zone, seen: Seen) -> dict[str, str] | None:
        """What is to be in the books; None: it could not be read. Raises ValueError: it could not be understood."""
        before: Mapping[str, str] = seen.kept.facts if seen.kept is not None else {}
        facts = {key: before[key] for key in ("export", "xml", "lost") if key in before}
        if seen.export is not None and seen.xml is not None:
            found = zoneexport.recreatable(seen.export, seen.xml)
            facts = {"export": found.commands, "xml": seen.xml, "lost": "\n".join(found.lost)}
        elif seen.blind or seen.xml is None:
            return None
        facts |= {"zonepath": zone.zonepath, "uuid": zone.uuid, "added": " ".join(seen.added)}
        gone = before.get(FILES_ARE_GONE, "")
        if zone.state in _NOT_INSTALLED and before.get("state") == "installed":
            gone = gone or UNINSTALLED
        if gone and zone.state in (*_NOT_INSTALLED, ZoneState.UNKNOWN):
            facts[FILES_ARE_GONE] = gone
        if zone.state is ZoneState.UNKNOWN:
            return {**facts, "state": before.get("state", "installed"), "active": before.get("active", "no")}
        facts["state"] = (zone.state if zone.state in _AT_REST else ZoneState.INSTALLED).value
        return facts | self._active(zone, before, seen.now_s)

    def _active(self, zone: Zone, before: Mapping[str, str], now_s: float) -> dict[str, str]:
        """`left`: when it was first seen out of the kernel, in unix seconds, while it still counts as running."""
        if zone.state.in_kernel and zone.state is not ZoneState.MOUNTED:
            return {"active": "yes"}
        if before.get("active") != "yes":
            return {"active": "no"}
        left_s = float(before.get("left", now_s))
        if 0 <= now_s - left_s < self.options.halted_s:
            return {"active": "yes", "left": f"{left_s:.3f}"}
        return {"active": "no"}

    def _file(self, zone: Zone) -> Path:
        return self.options.zones / f"{zone.name}.xml"


def _not_kept(zone: Zone, why: str) -> Plan:
    text = f"the configuration of zone {zone.name} is not kept as it is now: {why}"
    return Plan(notes=(Note("waiting", text, "not-kept", zone.name, again_after_s=_AGAIN_S),))


def _lost(zone: Zone, facts: Mapping[str, str]) -> list[Note]:
    if not facts["lost"]:
        return []
    text = f"zonecfg export does not say all of zone {zone.name}: {', '.join(facts['lost'].splitlines())}"
    hint = "should the zone be deleted and restored, this is to be set again by hand"
    return [Note("refused", text, "not-exported", zone.name, hint)]
