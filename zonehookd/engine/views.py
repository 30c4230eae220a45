"""What plugins are shown of the site: one view per subject. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from zonehookd.engine.boots import Motion
from zonehookd.engine.site import Site
from zonehookd.model import subject
from zonehookd.model.attachment import Attachment
from zonehookd.model.gateway import GLOBAL, Gateway
from zonehookd.model.network import Cidr, Ip
from zonehookd.model.subject import Subject
from zonehookd.model.zone import Zone, ZoneState
from zonehookd.plugin.contract import GatewayView, NetworkView, ZoneView


def order(site: Site, each: Subject) -> tuple[int, int, str]:
    """Networks first, then the zones that are gateways, then the gateways, the outermost first, then everybody else."""
    if each.kind == "network":
        return 0, 0, each.name
    if each.kind == "gateway":
        return 2, _depth(site, each.name), each.name
    return (1 if each.name in site.gateways else 3), 0, each.name


def _depth(site: Site, name: str) -> int:
    """How many gateways are between this one and the world; there are no rings (declaration/gateways.py)."""
    depth = 0
    while (gateway := site.gateways.get(name)) is not None and gateway.outside is not None:
        name = gateway.outside.via
        depth += 1
    return depth


def related(site: Site, zone: str) -> Iterator[Subject]:
    """What is looked at together with a zone: its networks, their gateways, and itself as a gateway."""
    for attachment in site.of_zone(zone).attachments:
        yield subject.network(attachment.network.name)
        if attachment.network.via in site.gateways:
            yield subject.gateway(attachment.network.via)
    if zone in site.gateways:
        yield subject.gateway(zone)


def behind_it(site: Site, gateway: str) -> set[str]:
    """Zones that are members of the gateway's networks."""
    networks = site.gateways[gateway].networks if gateway in site.gateways else ()
    return {each.zone for name in networks for each in site.on_network.get(name, ())} - {gateway}


def network_view(site: Site, name: str, on_link: Mapping[str, str]) -> NetworkView:
    return NetworkView(name, site.networks.get(name), site.on_network.get(name, ()), on_link)


def gateway_view(site: Site, name: str) -> GatewayView:
    gateway = site.gateways.get(name)
    zone = site.zones.get(name)
    if zone is not None and zone.absent:
        zone = None
    sides = site.of_zone(name).attachments
    members = {
        network: tuple(each for each in site.on_network.get(network, ()) if each.zone != name)
        for network in (gateway.networks if gateway else ())
    }
    zones = {each.zone: site.zones[each.zone] for every in members.values() for each in every}
    if zone is not None:
        zones[name] = zone
    return GatewayView(
        name,
        gateway,
        zone,
        tuple(each for each in sides if each.role != "member"),
        members,
        zones,
        dict(_behind(site, gateway, frozenset())) if gateway else {},
        tuple(dict.fromkeys(_beyond(site, gateway, frozenset()))) if gateway else (),
        _trouble(gateway, zone),
        dict(_lost(site, gateway)) if gateway else {},
        tuple(_further(site, gateway, frozenset())) if gateway else (),
        site.routes.get(name, ()),
        {each.name: each for each in site.zones.values() if each.config is None and each.name != GLOBAL}
        if gateway is not None and gateway.proxy is not None
        else {},
    )


def _trouble(gateway: Gateway | None, zone: Zone | None) -> str:
    if gateway is not None and gateway.name == GLOBAL:
        return ""
    if zone is None:
        return "its zone does not exist"
    return zone.trouble or ("" if zone.state is ZoneState.RUNNING else f"its zone is {zone.state}")


def _behind(site: Site, gateway: Gateway, seen: frozenset[str]) -> Iterator[tuple[Cidr, Ip]]:
    """Ranges behind gateways further in that do not translate, and the outer address that leads to them."""
    for inner in site.gateways.values():
        if inner.outside is None or inner.outside.name not in gateway.networks or inner.nat or inner.name in seen:
            continue
        side = next((a for a in site.of_zone(inner.name).attachments if a.role == "outside"), None)
        ranges = [cidr for network in inner.networks.values() for cidr in network.cidrs]
        ranges += [cidr for cidr, _ in _behind(site, inner, seen | {gateway.name})]
        for address in side.addresses if side else ():
            yield from ((cidr, address.ip) for cidr in ranges if cidr.version == address.version)


def _lost(site: Site, gateway: Gateway) -> Iterator[tuple[Ip, str]]:
    """One-to-one addresses that a zone had before they were declared, and keeps."""
    for static in gateway.statics:
        assert gateway.outside is not None
        owner = site.claims.get((gateway.outside.link, str(static.public)), gateway.name)
        if owner != gateway.name:
            yield static.public, owner


def _further(site: Site, gateway: Gateway, seen: frozenset[str]) -> Iterator[Attachment]:
    """NICs of zones behind gateways further in that do not translate: they can be reached."""
    for inner in site.gateways.values():
        if inner.outside is None or inner.outside.name not in gateway.networks or inner.nat or inner.name in seen:
            continue
        for name in inner.networks:
            yield from (each for each in site.on_network.get(name, ()) if each.role == "member")
        yield from _further(site, inner, seen | {gateway.name})


def _beyond(site: Site, gateway: Gateway, seen: frozenset[str]) -> Iterator[Cidr]:
    """Every range further in. One that is translated in there never shows here, and if it does it must not pass: the
    inner gateway may be about to change its mind, and the two are not set up in the same moment."""
    for inner in site.gateways.values():
        if inner.outside is not None and inner.outside.name in gateway.networks and inner.name not in seen:
            yield from (cidr for network in inner.networks.values() for cidr in network.cidrs)
            yield from _beyond(site, inner, seen | {gateway.name})


def zone_view(
    site: Site, zone: Zone, motion: Motion, networks: Mapping[str, str], gateways: Mapping[str, str]
) -> ZoneView:
    """`networks`, `gateways`: which of them are in trouble, and why."""
    attached = site.of_zone(zone.name)
    return ZoneView(
        zone,
        attached.attachments,
        attached.refusals,
        attached.left_alone,
        site.holders,
        zone.name in motion.missed,
        zone.name in motion.moving,
        networks,
        gateways,
    )
