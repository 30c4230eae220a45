"""What a changed declaration would cut off: zones that are attached, and would be so no more (contract A10). Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from zonehookd.engine.attach import attach_zone
from zonehookd.engine.dependents import members
from zonehookd.engine.site import Site
from zonehookd.model.attachment import Attachment
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


def cuts(before: Declaration, after: Declaration, site: Site, permitted: Collection[str] = ()) -> list[Cut]:
    """`site`: as zones are attached by `before`; `permitted`: networks for which there is a permit."""
    if before == after:
        return []
    found = [_cut(network, before, after, site) for name, network in before.networks.items() if name not in permitted]
    return [each for each in found if each is not None]


def _cut(network: Network, before: Declaration, after: Declaration, site: Site) -> Cut | None:
    attached = [each for each in members(site.on_network.get(network.name, ())) if _living(site, each.zone)]
    now = after.networks.get(network.name)
    if now is None:
        return _lost(network, attached, "it cannot be removed", site)
    if network.via and not now.via:
        return _lost(network, attached, f"its gateway {network.via} cannot be taken away", site)
    if now.via not in ("", network.via, GLOBAL) and not _there(site, now.via):
        return _lost(network, attached, f"its gateway cannot become {now.via}, for there is no such zone", site)
    then = after.gateways.get(now.via)
    if network.via == now.via and then is not None and not then.ours and before.gateways[now.via].ours:
        return _lost(network, attached, f"its gateway {now.via} cannot become external, which nobody sets up", site)
    what = f"its range cannot become {', '.join(map(str, now.cidrs))}"
    outside = [each for each in attached if any(not now.holds(address.ip) for address in each.addresses)]
    if outside or not all(now.holds(cidr[0]) and now.holds(cidr[-1]) for cidr in network.cidrs):
        return _lost(network, outside, what, site)
    reasons = {each.zone: why for each in attached if (why := _refused(each, site.zones[each.zone], after))}
    if reasons:
        refused = [each for each in attached if each.zone in reasons]
        return _lost(network, refused, f"it cannot become so, for {next(iter(reasons.values()))}", site)
    taken = [each for each in attached if any(address.ip in now.gateways for address in each.addresses)]
    if not taken:
        return None
    return _lost(network, taken, f"its gateway address cannot become {', '.join(map(str, now.gateways))}", site)


def _refused(before: Attachment, zone: Zone, after: Declaration) -> str:
    """Why this NIC would not be on its network any more. A gateway's follow the declaration, for nobody asked them."""
    if before.found_by == "gateway":
        return ""
    placed = attach_zone(zone, after)
    if any(each.link == before.link and each.network.name == before.network.name for each in placed.attachments):
        return ""
    refusals = (refusal.text for refusal in placed.refusals if refusal.object == before.link)
    return next(refusals, f"{before.link} would be somewhere else")


def _lost(network: Network, attached: Collection[Attachment], what: str, site: Site) -> Cut | None:
    if attached:
        zones = tuple(sorted({each.zone for each in attached}))
        return Cut(network.name, zones, f"{what}: {', '.join(_shown(attached))} would be cut off")
    unread = [zone for zone in site.zones.values() if _unread(zone) and zone.name not in (network.via, GLOBAL)]
    if not unread:
        return None
    text = f"{what}: whether zone {unread[0].name} would be cut off is not known: {unread[0].trouble}"
    return Cut(network.name, tuple(sorted(zone.name for zone in unread)), text)


def _unread(zone: Zone) -> bool:
    """It is in the index, and nobody can say where it is attached. Who is in our books alone has no path."""
    return zone.config is None and bool(zone.trouble and zone.zonepath) and not zone.vanished


def _shown(attached: Collection[Attachment]) -> Iterator[str]:
    each_zone = {each.zone: each for each in sorted(attached, key=lambda each: each.zone)}
    for name, each in list(each_zone.items())[:_NAMES_MAX]:
        yield f"zone {name}{f' ({each.addresses[0].ip})' if each.addresses else ''}"
    if len(each_zone) > _NAMES_MAX:
        yield f"{len(each_zone) - _NAMES_MAX} more"


def _there(site: Site, name: str) -> bool:
    zone = site.zones.get(name)
    return zone is not None and not zone.absent


def _living(site: Site, name: str) -> bool:
    zone = site.zones.get(name)
    return name != GLOBAL and zone is not None and zone.depends
