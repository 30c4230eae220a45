"""Addresses that were given back: they rest in the books of their network, for as long as it has a pool they are of."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from zonehookd.plugin import Forget, HostReader, NetworkPlugin, NetworkView, Plan, Record, nothing


class Pool(NetworkPlugin[Sequence[Record]]):
    name = "pool"

    async def observe(self, network: NetworkView, host: HostReader) -> Sequence[Record]:
        return host.recall_all(network.subject, "address")

    def plan(self, network: NetworkView, seen: Sequence[Record]) -> Plan:
        wanted = network.network
        steps = []
        for record in seen:
            address = ipaddress.ip_address(record.name.partition("/")[2])
            if wanted is None or not any(address in each for each in wanted.pool):
                why = f"{address} is in no pool of network {network.name}"
                steps.append(Forget(record.kind, record.name, why))
        if steps:
            return Plan(tuple(steps))
        if wanted is None or not wanted.pool:
            return nothing(f"network {network.name} has no pool")
        used = sum(len(each.addresses) for each in network.attachments if each.role != "inside")
        return nothing(f"pool of network {network.name}: {used} addresses in use, {len(seen)} were given back")
