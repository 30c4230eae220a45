"""What a changed declaration would cut off: zones that are attached, and would be so no more (contract A10). Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from zonehookd.engine.attach import attach_zone
from zonehookd.engine.dependents import members
from zonehookd.engine.pools import gives
from zonehookd.engine.site import Site
from zonehookd.model.attachment import Attachment
from zonehookd.model.few import few
from zonehookd.model.gateway import GLOBAL, Declaration
from zonehookd.model.network import Network
from zonehookd.model.zone import Zone

_NAMES_MAX = 8


@dataclass(frozen=True, slots=True)
class Cut:
    network: str
    zones: tuple[str, ...]
    text: str

    def __str__(self) -> str:
        return f"network.{self.network}: {self.text}"


@dataclass(frozen=True, slots=True)
class Links:
    """`on_link`: etherstub -> zones that have a VNIC over it, whoever made it. `blind`: why nobody can tell."""

    on_link: Mapping[str, Collection[str]] = field(default_factory=dict)
    blind: str = ""


_NONE = Links()


@dataclass(frozen=True, slots=True)
class _Seen:
    site: Site
    links: Links


def cuts(
    before: Declaration, after: Declaration, site: Site, permitted: Collection[str] = (), links: Links = _NONE
) -> list[Cut]:
    """`site`: as zones are attached by `before`; `permitted`: networks for which there is a permit."""
    if before == after:
        return []
    seen = _Seen(site, links)
    found = [_cut(network, before, after, seen) for name, network in before.networks.items() if name not in permitted]
    return [each for each in found if each is not None]


def _cut(network: Network, before: Declaration, after: Declaration, seen: _Seen) -> Cut | None:
    site = seen.site
    attached = [each for each in members(site.on_network.get(network.name, ())) if _living(site, each.zone)]
    linked = _by_a_link_alone(network, attached, seen)
    now = after.networks.get(network.name)
    if now is None:
        return _lost(network, attached, "it cannot be removed", seen, linked)
    if network.via and not now.via:
        return _lost(network, attached, f"its gateway {network.via} cannot be taken away", seen, linked)
    if now.via not in ("", network.via, GLOBAL) and not _there(site, now.via):
        what = f"its gateway cannot become {now.via}, for there is no such zone"
        return _lost(network, attached, what, seen, linked)
    then = after.gateways.get(now.via)
    if network.via == now.via and then is not None and not then.ours and before.gateways[now.via].ours:
        what = f"its gateway {now.via} cannot become external, which nobody sets up"
        return _lost(network, attached, what, seen, linked)
    if network.internal and now.link != network.link:
        left = _left_behind(network, attached, site)
        lost = _lost(network, left, f"its etherstub cannot become {now.link}", seen, linked)
        if lost is not None:
            return lost
    what = f"its range cannot become {', '.join(map(str, now.cidrs))}"
    outside = [each for each in attached if any(not now.holds(address.ip) for address in each.addresses)]
    shrunk = not all(now.holds(cidr[0]) and now.holds(cidr[-1]) for cidr in network.cidrs)
    lost = _lost(network, outside, what, seen, linked, "its addresses are its own") if outside or shrunk else None
    if lost is not None:
        return lost
    reasons = {each.zone: why for each in attached if (why := _refused(each, site.zones[each.zone], after))}
    if reasons:
        refused = [each for each in attached if each.zone in reasons]
        return _lost(network, refused, f"it cannot become so, for {next(iter(reasons.values()))}", seen)
    taken = [each for each in attached if any(address.ip in now.gateways for address in each.addresses)]
    if not taken:
        return None
    return _lost(network, taken, f"its gateway address cannot become {', '.join(map(str, now.gateways))}", seen)


def _by_a_link_alone(network: Network, attached: Collection[Attachment], seen: _Seen) -> list[str]:
    """Zones that say nothing of this network, and have a VNIC on its etherstub."""
    if not network.internal:
        return []
    known = {each.zone for each in attached} | {network.via, GLOBAL}
    there = seen.links.on_link.get(network.link, ())
    return sorted(each for each in there if each not in known and _living(seen.site, each))


def _left_behind(network: Network, attached: Collection[Attachment], site: Site) -> list[Attachment]:
    """A link moves to another etherstub when its zone has halted, each at its own time; the host never does. So whoever
    is up stays behind, and whoever is not comes up without a gateway that is."""
    gateway = site.zones.get(network.via)
    if gateway is not None and gateway.state.in_kernel:
        return list(attached)
    return [each for each in attached if site.zones[each.zone].state.in_kernel]


def _refused(before: Attachment, zone: Zone, after: Declaration) -> str:
    """Why this NIC would not be on its network any more. A gateway's follow the declaration, for nobody asked them."""
    if before.found_by == "gateway":
        return ""
    placed = attach_zone(zone, after)
    for each in placed.attachments:
        if each.link == before.link and each.network.name == before.network.name:
            pooled = {address.ip for address in before.addresses} - {address.ip for address in each.addresses}
            lost = [ip for ip in pooled if not gives(each.network, ip) and ip not in each.network.gateways]
            return f"{before.link} has {min(lost, key=int)} out of its pool, which has it no more" if lost else ""
    refusals = (refusal.text for refusal in placed.refusals if refusal.object == before.link)
    return next(refusals, f"{before.link} would be somewhere else")


def _lost(
    network: Network,
    attached: Collection[Attachment],
    what: str,
    seen: _Seen,
    linked: Collection[str] = (),
    doubt: str = "",
) -> Cut | None:
    """`linked`: zones that are on it by a link alone: cut off too; or, with `doubt`, nobody knows, and that is why."""
    if attached or (linked and not doubt):
        certain = () if doubt else linked
        zones = tuple(sorted({*(each.zone for each in attached), *certain}))
        return Cut(network.name, zones, f"{what}: {_shown(attached, certain)} would be cut off")
    others = (each for each in seen.site.zones.values() if each.name not in (network.via, GLOBAL))
    unread = {each.name: each.trouble for each in others if each.unread}
    unread |= dict.fromkeys(linked, doubt)
    if unread:
        name, why = next(iter(unread.items()))
        text = f"{what}: whether zone {name} would be cut off is not known: {why}"
        return Cut(network.name, tuple(sorted(unread)), text)
    if seen.links.blind and network.internal:
        return Cut(network.name, (), f"{what}: who has a link on {network.link} cannot be seen: {seen.links.blind}")
    return None


def _shown(attached: Collection[Attachment], linked: Collection[str]) -> str:
    of_each = dict.fromkeys(linked, " (by its link)")
    of_each |= {each.zone: f" ({each.addresses[0].ip})" if each.addresses else "" for each in attached}
    return few([f"zone {name}{its}" for name, its in sorted(of_each.items())], _NAMES_MAX)


def _there(site: Site, name: str) -> bool:
    zone = site.zones.get(name)
    return zone is not None and not zone.absent


def _living(site: Site, name: str) -> bool:
    zone = site.zones.get(name)
    return name != GLOBAL and zone is not None and zone.depends
