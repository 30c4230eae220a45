"""Addresses out of pools (contract A4): deterministic, stable for life, quarantined after. Pure.

The choice for a NIC: what it has or had, while that is free; else the first address of the pool that nobody ever had;
else the one that has been free the longest, when its quarantine is over; else the pool is exhausted, and says so.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from zonehookd.engine.attach import Attached
from zonehookd.model import subject
from zonehookd.model.attachment import Attachment, Refusal
from zonehookd.model.gateway import Declaration
from zonehookd.model.network import Ip, Network, Range
from zonehookd.model.zone import Address


@dataclass(frozen=True, slots=True)
class Lease:
    """Who has an address, or had it: `freed_s` is when it was given back, None while it is in use (wall clock)."""

    zone: str
    link: str
    freed_s: float | None = None


class Pools:
    """One settling of all zones. `claims` are written to as addresses are given."""

    def __init__(
        self,
        declared: Declaration,
        claims: dict[tuple[str, str], str],
        leases: Mapping[tuple[str, str], Lease],
        now_s: float,
    ) -> None:
        self._claims = claims
        self._leases = leases
        self._now_s = now_s
        self._own: dict[tuple[str, str, str], list[Ip]] = {}
        for (network, address), lease in leases.items():
            self._own.setdefault((network, lease.zone, lease.link), []).append(ipaddress.ip_address(address))
        self._held: dict[tuple[str, str], str] = {}  # (lower link, address) -> the NIC that `hold` has claimed it for
        self._fresh: dict[tuple[str, int], Iterator[Ip]] = {}
        self._freed: dict[tuple[str, int], list[Ip]] = {}
        self._resting: dict[tuple[str, int], int] = {}  # counted once, however many find the pool exhausted

    def hold(self, alone: Mapping[str, Attached]) -> None:
        """Claims what NICs have of a pool and still ask it for, before anybody else may ask for it by name."""
        for name, attached in alone.items():
            for attachment in attached.attachments:
                network = attachment.network
                for version in self._needs(attachment):
                    for address in self._own.get((network.name, name, attachment.link), ()):
                        key = (network.link, str(address))
                        in_use = self._leases[(network.name, str(address))].freed_s is None
                        if address.version == version and in_use and self._free(network, address):
                            self._claims[key] = name
                            self._held[key] = attachment.link

    def give(self, order: Sequence[str], attached: dict[str, Attached]) -> None:
        """First everybody keeps what is his, then newcomers are served: both in `order`."""
        for keeping in (True, False):
            for name in order:
                if any(self._needs(each) for each in attached[name].attachments):
                    attached[name] = self._serve(name, attached[name], keeping)

    @staticmethod
    def _needs(attachment: Attachment) -> list[int]:
        """Address families for which this NIC is to get an address."""
        if attachment.role == "inside":
            return []
        families = {each.version for each in attachment.network.pool}
        return sorted(families - {address.version for address in attachment.addresses})

    def _serve(self, zone: str, attached: Attached, keeping: bool) -> Attached:
        placed, refused = [], list(attached.refusals)
        for attachment in attached.attachments:
            for version in self._needs(attachment):
                address = self._kept(attached, attachment, version) if keeping else self._new(attachment, version)
                if address is not None:
                    self._claims[(attachment.network.link, str(address))] = zone
                    attachment = replace(
                        attachment, addresses=(*attachment.addresses, _interface(address, attachment.network))
                    )
                elif not keeping:
                    refused.append(self._exhausted(zone, attachment, version))
            placed.append(attachment)
        return replace(attached, attachments=tuple(placed), refusals=tuple(refused))

    def _kept(self, attached: Attached, attachment: Attachment, version: int) -> Ip | None:
        network = attachment.network
        asked = {address.ip for each in attached.attachments for address in each.addresses}
        own = [
            each
            for each in self._own.get((network.name, attachment.zone, attachment.link), ())
            if each.version == version
            and each not in asked  # by another NIC of the same zone
            and (self._held.get((network.link, str(each))) == attachment.link or self._free(network, each))
        ]
        return min(own, default=None, key=int)

    def _new(self, attachment: Attachment, version: int) -> Ip | None:
        network = attachment.network
        key = (network.name, version)
        fresh = self._fresh.get(key)
        if fresh is None:
            fresh = self._fresh[key] = self._never_used(network, version)
        address = next((each for each in fresh if self._free(network, each)), None)
        if address is not None:
            return address
        if key not in self._freed:
            self._freed[key] = self._rested(network, version)
        while self._freed[key]:
            address = self._freed[key].pop(0)
            if self._free(network, address):
                return address
        return None

    def _never_used(self, network: Network, version: int) -> Iterator[Ip]:
        kept = [*network.excluded, *(network.dhcp.dynamic if network.dhcp else ())]
        for each in network.pool:
            if each.version == version:
                for part in without(each, kept):  # half a /8 that is kept from us is passed over in one step
                    for address in part:
                        if (network.name, str(address)) not in self._leases:
                            yield address

    def _rested(self, network: Network, version: int) -> list[Ip]:
        """Freed addresses of the pool whose quarantine is over, the longest free first."""
        found = []
        for (name, text), lease in self._leases.items():
            if name == network.name and lease.freed_s is not None:
                address = ipaddress.ip_address(text)
                if address.version == version and lease.freed_s + network.quarantine_s <= self._now_s:
                    found.append((lease.freed_s, int(address), address))
        return [address for _, _, address in sorted(found)]

    def _free(self, network: Network, address: Ip) -> bool:
        return gives(network, address) and (network.link, str(address)) not in self._claims

    def _exhausted(self, zone: str, attachment: Attachment, version: int) -> Refusal:
        network = attachment.network
        size = sum(each.size for each in network.pool if each.version == version)
        key = (network.name, version)
        resting = self._resting.get(key)
        if resting is None:
            resting = self._resting[key] = sum(
                name == network.name
                and lease.freed_s is not None
                and lease.freed_s + network.quarantine_s > self._now_s
                and ipaddress.ip_address(text).version == version
                for (name, text), lease in self._leases.items()
            )
        text = (
            f"{attachment.link}: the pool of network {network.name} is exhausted: of its {size} IPv{version} addresses "
            f"none is free, {resting} rest for {network.quarantine_s:g} s after their last owner"
        )
        hint = f"a larger pool in [network.{network.name}], or delete zones that are not needed"
        return Refusal(subject.zone(zone), "pool-exhausted", attachment.link, text, f"network {network.name}", hint)


def without(whole: Range, parts: Iterable[Range]) -> Iterator[Range]:
    """What is left of `whole`, in order, without `parts`."""
    make = type(whole.first)
    first = int(whole.first)
    for part in sorted((each for each in parts if each.overlaps(whole)), key=lambda each: int(each.first)):
        if first < int(part.first):
            yield Range(make(first), make(int(part.first) - 1))
        first = max(first, int(part.last) + 1)
    if first <= int(whole.last):
        yield Range(make(first), whole.last)


def gives(network: Network, address: Ip) -> bool:
    """Whether its pool has this address for NICs that bring none; whoever has it now."""
    cidr = network.cidr(address.version)
    if cidr is None or address not in cidr or not any(address in each for each in network.pool):
        return False
    ends = (cidr.network_address, cidr.broadcast_address) if cidr.version == 4 else (cidr.network_address,)
    kept_from_us = (*network.excluded, *(network.dhcp.dynamic if network.dhcp else ()))
    return not (address in ends or address in network.gateways or any(address in each for each in kept_from_us))


def _interface(address: Ip, network: Network) -> Address:
    cidr = network.cidr(address.version)
    assert cidr is not None
    return ipaddress.ip_interface(f"{address}/{cidr.prefixlen}")


def declared_pools(declared: Declaration) -> Mapping[str, Network]:
    """Networks whose addresses are kept in our books."""
    return {name: network for name, network in declared.networks.items() if network.pool}
