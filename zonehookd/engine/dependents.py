"""Who depends on a gateway: whoever would lose its way out with it (contract A10). Pure, from a site as it is now.

Attached by address, attribute or link, running or not, whoever made it; also through gateways further in. Not: the
gateway itself, a zone that is gone, and one whose configuration says ``zh.depends`` is ``no``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from zonehookd.engine.site import Site
from zonehookd.model.attachment import Attachment
from zonehookd.model.gateway import GLOBAL
from zonehookd.model.guard import Dependent
from zonehookd.model.network import Network

_NOTHING: Mapping[str, Collection[str]] = MappingProxyType({})


def dependents(
    site: Site,
    gateway: str,
    on_link: Mapping[str, Collection[str]] = _NOTHING,
    gone: Collection[str] = (),
    refused: Collection[Attachment] = (),
    missed: Collection[str] = (),
) -> tuple[Dependent, ...]:
    """By network and zone. `on_link`: lower link -> zones that have a VNIC over it; `gone`: zones no longer there;
    `refused`: NICs that are refused only because of one of those; `missed`: gateways among them that can be had back,
    so whoever is behind one is still behind those further out."""
    return tuple(sorted(_of(_Now(site, on_link, gone, refused, missed), gateway, frozenset())))


@dataclass(frozen=True, slots=True)
class _Now:
    site: Site
    on_link: Mapping[str, Collection[str]]
    gone: Collection[str]
    refused: Collection[Attachment]
    missed: Collection[str]

    def there(self, name: str) -> bool:
        """This inner gateway leads somewhere, or will again."""
        zone = self.site.zones.get(name)
        here = zone is not None and not zone.absent and name not in self.gone
        return name == GLOBAL or here or name in self.missed

    def attached(self, network: Network) -> Mapping[str, str]:
        """Zone -> how it was found on this network."""
        refused = (each for each in self.refused if each.network.name == network.name)
        placed = members((*self.site.on_network.get(network.name, ()), *refused))
        how = {each.zone: each.found_by for each in placed}
        for zone in self.on_link.get(network.link, ()):
            how.setdefault(zone, "link")
        return how


def _of(now: _Now, gateway: str, seen: frozenset[str]) -> Iterator[Dependent]:
    site = now.site
    declared = site.gateways.get(gateway)
    if declared is None:
        return
    for network in declared.networks.values():
        for name, found_by in now.attached(network).items():
            living = site.zones.get(name)
            if living is not None and name not in (gateway, GLOBAL) and name not in now.gone and living.depends:
                yield Dependent(network.name, name, found_by, living.state.value)
    for inner in site.gateways.values():
        if inner.outside is None or inner.outside.name not in declared.networks or inner.name in seen | {gateway}:
            continue
        if not now.there(inner.name):
            continue
        for each in _of(now, inner.name, seen | {gateway}):
            if each.zone != gateway:
                yield replace(each, through=each.through or inner.name)


def networks_behind(site: Site, gateway: str, seen: frozenset[str] = frozenset()) -> Iterator[Network]:
    """Its own, and those of the gateways further in, there or not."""
    declared = site.gateways.get(gateway)
    if declared is None:
        return
    yield from declared.networks.values()
    for inner in site.gateways.values():
        if inner.outside is not None and inner.outside.name in declared.networks and inner.name not in seen | {gateway}:
            yield from networks_behind(site, inner.name, seen | {gateway})


def members(attachments: Collection[Attachment]) -> Iterator[Attachment]:
    """Those that a network serves; a gateway's inner side serves it."""
    return (each for each in attachments if each.role != "inside")
