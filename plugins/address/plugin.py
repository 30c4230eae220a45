"""The books of addresses: who has which, written before it is used, and when it was given back.

Which address a NIC gets is decided when zones are settled (engine/pools.py); here it becomes durable, so that it stays
the same for life, and is not given to somebody else for a while after.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from zonehookd.model import subject
from zonehookd.model.record import ADDRESS
from zonehookd.plugin import HostReader, Plan, Record, Remember, ZonePlugin, ZoneView, nothing


@dataclass(frozen=True)
class Seen:
    """`records`: by name NETWORK/ADDRESS, this zone's and those of the addresses it is to have. `now_s`: wall clock."""

    records: Mapping[str, Record]
    now_s: float


class Address(ZonePlugin[Seen]):
    name = "address"

    def concerns(self, view: ZoneView, host: HostReader) -> bool:
        return any(each.network.pool for each in view.attachments) or bool(host.recall(view.subject))

    async def observe(self, zone: ZoneView, host: HostReader) -> Seen:
        records = {record.name: record for record in host.recall(zone.subject)}
        for key, _ in _wanted(zone):
            record = host.recall_one(ADDRESS, key)
            if record is not None:
                records[key] = record
        return Seen(records, time.time())

    def plan(self, zone: ZoneView, seen: Seen) -> Plan:
        wanted = dict(_wanted(zone))
        steps = []
        for key, link in wanted.items():
            facts = {"zone": zone.zone.name, "link": link}
            record = Record(ADDRESS, key, zone.subject, self.name, facts)
            if seen.records.get(key) != record:
                steps.append(Remember(record, f"{link} has {key.partition('/')[2]}"))
        for key, record in seen.records.items():
            if key not in wanted and record.owner == zone.subject and not _may_come_back(zone, record.facts["link"]):
                network = subject.network(key.partition("/")[0])
                facts = {**record.facts, "freed": str(int(seen.now_s))}
                why = f"zone {zone.zone.name} no longer has {key.partition('/')[2]}: it rests for a while"
                steps.append(Remember(Record(ADDRESS, key, network, self.name, facts), why))
        return Plan(tuple(steps)) if steps else nothing("its addresses are in the books")


def _wanted(zone: ZoneView) -> Iterator[tuple[str, str]]:
    """(NETWORK/ADDRESS, link) of every address out of a network with a pool."""
    for attachment in zone.attachments:
        if attachment.role != "inside" and attachment.network.pool:
            for address in attachment.addresses:
                yield f"{attachment.network.name}/{address.ip}", attachment.link


def _may_come_back(zone: ZoneView, link: str) -> bool:
    """The zone still names the link, and it cannot be placed now: what it has is kept for it."""
    if zone.zone.absent or any(each.link == link for each in zone.attachments):
        return False
    return zone.holders.get(link) == zone.zone.name
