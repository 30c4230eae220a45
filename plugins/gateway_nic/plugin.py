"""The NICs that nobody writes down: a gateway zone's on its networks, and a zone's on the network it is set up on.

A declared gateway zone has one on each of its networks and on its outer side. A zone that is being set up has one on
its provisioning network, until it is marked as set up.

The VNIC is made by plugin vnic; here it becomes part of the zone's configuration, so that the zone boots with it also
when we are not there, and is lent to a zone that runs already (zones sheet 6.6). An `external` gateway's NICs are its
admin's: a virtual machine cannot be given one while it runs.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace

from zonehookd.illumos import dladm, zonecfg
from zonehookd.model.record import KEPT
from zonehookd.plugin import (
    GLOBAL,
    Attachment,
    Change,
    Forget,
    HostReader,
    Note,
    Plan,
    Record,
    Remember,
    ZonePlugin,
    ZoneState,
    ZoneView,
    nothing,
)

KIND = "net"


@dataclass(frozen=True)
class Seen:
    """`links`: every link of the host by name. `zones`: link -> the zone that has it now, "" for the global one.
    `added`: links that were ours to add when plugin keeper kept the zone's configuration.
    """

    links: Mapping[str, dladm.Link]
    zones: Mapping[str, str]
    records: Mapping[str, Record]
    added: Collection[str] = ()


class GatewayNic(ZonePlugin[Seen]):
    name = "gateway_nic"
    after = ("vnic",)

    def concerns(self, view: ZoneView, host: HostReader) -> bool:
        return bool(_sides(view)) or bool(host.recall(view.subject))

    async def observe(self, zone: ZoneView, host: HostReader) -> Seen:
        records = {record.name: record for record in host.recall(zone.subject)}
        sides = _sides(zone)
        if zone.zone.name == GLOBAL or not (sides or records):
            return Seen({}, {}, records)
        links = await host.ask(dladm.links())
        running = zone.zone.state is ZoneState.RUNNING
        zones = await host.ask(dladm.protections()) if running and any(link in links for link in sides) else {}
        kept = host.recall_one(KEPT, zone.zone.name)
        added = kept.facts["added"].split() if kept is not None else ()
        return Seen(links, {name: each.zone for name, each in zones.items()}, records, added)

    def plan(self, zone: ZoneView, seen: Seen) -> Plan:
        sides = _sides(zone)
        if zone.zone.name == GLOBAL or not (sides or seen.records):
            return nothing("the zone is no gateway, and is not being set up")
        steps: list[Change | Remember | Forget] = []
        notes = []
        for link, side in sides.items():
            if link in seen.added and link not in seen.records and not side.to_add:  # let go, and had back with it
                steps.append(Remember(_record(zone, side), f"zone {zone.zone.name} is restored with {link}"))
            there = seen.links.get(link)
            if there is None or (there.klass, there.over) != ("vnic", side.network.link):  # not there, or another's
                if side.to_add:
                    notes.append(Note("waiting", f"{link} waits for its VNIC", "no-vnic", link, again_after_s=5.0))
                continue
            steps += _lend(zone, link, seen)
            if side.to_add:
                steps += _add(zone, side, seen)
        for link, record in seen.records.items():
            if link not in sides:
                gone = "the zone is gone" if zone.zone.absent else f"zone {zone.zone.name} needs {link} no longer"
                if not zone.zone.absent:
                    steps.append(zonecfg.remove_net(zone.zone.name, link, why=gone))
                steps.append(Forget(KIND, record.name, gone))
        if steps or notes:
            return Plan(tuple(steps), tuple(notes))
        return nothing("its configuration names all its sides")


def _sides(zone: ZoneView) -> Mapping[str, Attachment]:
    """The NICs that are ours to add."""
    return {
        each.link: each
        for each in zone.attachments
        if each.role != "member" or (each.found_by == "provisioning" and not each.leaving)
    }


def _add(zone: ZoneView, side: Attachment, seen: Seen) -> Iterator[Change | Remember]:
    who = "zone" if side.role == "member" else "gateway"
    why = f"{who} {zone.zone.name} has no NIC on network {side.network.name}"
    record = _record(zone, side)
    again = seen.records.get(side.link) == record
    if not again:
        yield Remember(record, why)
    yield replace(zonecfg.add_net(zone.zone.name, side.link, why=why), cause="missing" if again else "")


def _record(zone: ZoneView, side: Attachment) -> Record:
    return Record(KIND, side.link, zone.subject, GatewayNic.name, {"network": side.network.name})


def _lend(zone: ZoneView, link: str, seen: Seen) -> Iterator[Change]:
    """A zone that runs gets it at once; one that boots gets it from zoneadmd."""
    if zone.zone.state is ZoneState.RUNNING and seen.zones.get(link) == "":
        why = f"zone {zone.zone.name} runs without {link}"
        yield dladm.set_linkprop(link, "zone", zone.zone.name, temporary=True, why=why)
