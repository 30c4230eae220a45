"""All zones and networks together: who has which link and which address (contract A2, A4). Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from zonehookd.engine.attach import Attached
from zonehookd.engine.pools import Lease, Pools
from zonehookd.engine.routing import Holders, route_all
from zonehookd.model import subject
from zonehookd.model.attachment import Attachment, Refusal
from zonehookd.model.gateway import Declaration, Gateway
from zonehookd.model.network import Network
from zonehookd.model.route import Route
from zonehookd.model.zone import Zone

LINK = "link"


@dataclass(slots=True)
class Site:
    """All zones and networks, with every NIC placed or refused. Built anew by each survey; treat as frozen."""

    declared: Declaration
    zones: Mapping[str, Zone]
    attached: Mapping[str, Attached] = field(default_factory=dict)
    holders: Mapping[str, str] = field(default_factory=dict)  # link -> the zone whose configuration names it
    on_network: Mapping[str, tuple[Attachment, ...]] = field(default_factory=dict)
    claims: Mapping[Claim, str] = field(default_factory=dict)  # who has which link and address
    routes: Mapping[str, tuple[Route, ...]] = field(default_factory=dict)  # by gateway

    @property
    def networks(self) -> Mapping[str, Network]:
        return self.declared.networks

    @property
    def gateways(self) -> Mapping[str, Gateway]:
        return self.declared.gateways

    def of_zone(self, name: str) -> Attached:
        return self.attached.get(name, Attached())


Claim = tuple[str, str]  # ("link", its name), or (lower link, address)


def settle(
    declared: Declaration,
    zones: Mapping[str, Zone],
    alone: Mapping[str, Attached],
    held: Mapping[Claim, str],
    leases: Mapping[tuple[str, str], Lease],
    now_s: float,
    taken: Mapping[Claim, str] = MappingProxyType({}),
    routed: Holders = MappingProxyType({}),
) -> Site:
    """Refuse the second claim to an address or a link; give an address to each NIC that needs one of a pool.

    Who `held` it before keeps it for as long as he asks for it, and a zone that cannot be read keeps all it held; then
    comes a zone that is active, then the first by name. So nobody ever takes what another has. `leases`:
    (network, address) -> who has or had it, as our books say; `now_s` is on the wall clock, as they are.
    `taken`: what nobody may be given, and whose it is. `routed`: who has which route, by our books.
    """
    claims: dict[Claim, str] = {}
    for claim, owner in held.items():
        zone = zones.get(owner)
        if zone is not None and not zone.absent and zone.trouble:
            claims[claim] = owner
    claims.update(taken)
    claims.update(_of_gateways(declared))
    pools = Pools(declared, claims, leases, now_s)
    pools.hold(alone)
    order = sorted(alone, key=lambda name: (not zones[name].state.in_kernel, name))
    for name in order:
        for attachment in alone[name].attachments:
            claims.update({claim: name for claim in _keys(attachment) if held.get(claim) == name})
    attached: dict[str, Attached] = {}
    for name in order:
        kept: list[Attachment] = []
        refused = list(alone[name].refusals)
        for attachment in alone[name].attachments:
            clash = _clash(attachment, claims)
            if clash:
                refused.append(clash)
                continue
            kept.append(attachment)
            for claim in _keys(attachment):
                claims[claim] = name
        if len(kept) == len(alone[name].attachments):
            attached[name] = alone[name]
        else:
            attached[name] = replace(alone[name], attachments=tuple(kept), refusals=tuple(refused))
    pools.give(order, attached)
    routes = route_all(declared, zones, attached, routed)
    on_network: dict[str, list[Attachment]] = {}
    for each in attached.values():
        for attachment in each.attachments:
            on_network.setdefault(attachment.network.name, []).append(attachment)
    holders = {nic.link: name for name in reversed(order) if (it := zones[name].config) for nic in it.nics}
    holders.update({thing: name for (place, thing), name in claims.items() if place == LINK})
    placed = {name: tuple(every) for name, every in on_network.items()}
    return Site(declared, zones, attached, holders, placed, claims, routes)


def _of_gateways(declared: Declaration) -> Iterator[tuple[Claim, str]]:
    """Outer addresses, one-to-one addresses included, belong to their gateway before anybody asks."""
    for gateway in declared.gateways.values():
        if gateway.outside is not None:
            for address in (*(each.ip for each in gateway.addresses), *(each.public for each in gateway.statics)):
                yield (gateway.outside.link, str(address)), gateway.name


def _keys(attachment: Attachment) -> Iterator[Claim]:
    yield (LINK, attachment.link)
    for address in attachment.addresses:
        yield (attachment.network.link, str(address.ip))


def _clash(attachment: Attachment, claims: Mapping[Claim, str]) -> Refusal | None:
    for place, thing in _keys(attachment):
        owner = claims.get((place, thing))
        if owner is None or owner == attachment.zone:
            continue
        if place == LINK:
            text, code = f"{thing}: the link belongs to zone {owner}", "link-taken"
            hint = f"link names are unique over the host: give zone {attachment.zone} another"
        else:
            text = f"{attachment.link}: {thing} on network {attachment.network.name} belongs to zone {owner}"
            code, hint = "address-taken", f"give one of zones {owner} and {attachment.zone} another address"
        return Refusal(subject.zone(attachment.zone), code, thing, text, f"zone {owner}", hint)
    return None
