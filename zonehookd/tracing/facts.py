"""What is looked at for a walk: links once, and each stack on the way once. Reads only; the number of commands depends
on the stacks that are passed, never on the zones there are.

What could not be seen is kept as the reason, and never taken for a fault.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_network

from zonehookd.engine.look import Look
from zonehookd.engine.site import Site
from zonehookd.engine.survey import UNDECIDED
from zonehookd.errors import CannotObserve
from zonehookd.illumos import dladm, ipadm, ipnat, linkname, route
from zonehookd.model.attachment import Attachment
from zonehookd.model.gateway import GLOBAL
from zonehookd.model.network import Cidr, Ip
from zonehookd.model.record import KEPT, LET_GO
from zonehookd.model.renamed import with_files
from zonehookd.model.zone import ZoneState
from zonehookd.tracing import cures

_NO_ROUTES = route.DefaultRoutes()


@dataclass(frozen=True, slots=True)
class Way:
    """Where a packet goes next: by which interface, to which neighbour, by what."""

    link: str
    hop: Ip
    by: str


@dataclass(frozen=True)
class Stack:
    """The IP stack of a zone, or of the global one. `unseen`: why it could not be asked; then the addresses and the
    default route are those that are declared. `nat` None: not asked, or not seen."""

    where: str
    addresses: tuple[ipadm.AddressObject, ...] = ()
    routes: route.DefaultRoutes = _NO_ROUTES
    static: tuple[route.StaticRoute, ...] = ()
    forwarding: Mapping[tuple[str, ipadm.Family], bool] = field(default_factory=dict)
    nat: ipnat.Loaded | None = None
    unseen: str = ""

    def has(self, address: Ip) -> ipadm.AddressObject | None:
        return next((each for each in self.addresses if each.address.ip == address), None)

    def own(self, link: str) -> list[Ip]:
        """Addresses of an interface that work."""
        return [each.address.ip for each in self.addresses if each.interface == link and each.state == "ok"]

    def way(self, to: Ip, known: Mapping[str, Cidr]) -> Way | None:
        """The longest prefix decides. `known`: first address of a range -> the range, for netstat prints routes to
        networks without their length (network sheet 5.4)."""
        ways: list[tuple[int, Way]] = []
        for each in self.addresses:
            if each.state == "ok" and each.address.version == to.version and to in each.address.network:
                ways.append((each.address.network.prefixlen, Way(each.interface, to, f"on link: {each.address}")))
        lengths = {**known, **{str(each.destination.network_address): each.destination for each in self.static}}
        for text, gateway in self.routes.further:
            range_ = ip_network(text) if "/" in text else lengths.get(text, ip_network(text))
            link = self._towards(gateway)
            if gateway.version == to.version and to in range_ and link:
                ways.append((range_.prefixlen, Way(link, gateway, f"route to {range_} by {gateway}")))
        for default in self.routes:
            link = default.interface or self._towards(default.gateway)
            if default.family == to.version and link:
                ways.append((-1, Way(link, default.gateway, f"default route by {default.gateway}")))
        return max(ways, key=lambda pair: pair[0])[1] if ways else None

    def _towards(self, gateway: Ip) -> str:
        found = (a for a in self.addresses if a.address.version == gateway.version and gateway in a.address.network)
        return next((each.interface for each in found if each.state == "ok"), "")


class Facts:
    """One moment of the host. Methods raise nothing: what cannot be seen is said in what they return."""

    def __init__(self, look: Look, site: Site) -> None:
        look.wide = True
        self.look, self.site = look, site
        self.links: Mapping[str, dladm.Link] = {}
        self.vnics: Mapping[str, dladm.Vnic] = {}
        self.protections: Mapping[str, dladm.Protection] = {}
        self.unseen = ""  # why nothing is known of links
        self._stacks: dict[str, Stack] = {}
        self.known = {str(c.network_address): c for network in site.networks.values() for c in network.cidrs}

    async def see_links(self) -> None:
        look = self.look
        asked = (look.ask(dladm.links()), look.ask(dladm.vnics(look.dialect)), look.ask(dladm.protections()))
        try:
            self.links, self.vnics, self.protections = await asyncio.gather(*asked)
        except CannotObserve as problem:
            self.unseen = str(problem)

    def holder(self, link: str) -> str | None:
        """In which zone a link is now, ``global`` too; None: not known."""
        vnic, protection = self.vnics.get(link), self.protections.get(link)
        zone = vnic.zone if vnic is not None and vnic.zone is not None else protection.zone if protection else None
        return None if zone is None else zone or GLOBAL

    def mac(self, each: Attachment) -> str:
        """The MAC it must have: as asked for, else as our books say; "" where it is not ours to know."""
        if each.nic.mac:
            return linkname.normal_mac(each.nic.mac)
        record = self.look.store.one("vnic", each.link)
        return record.facts.get("mac", "") if record is not None else ""

    def passes(self, where: str) -> bool:
        """Packets of others may go through it, so its NAT and its forwarding matter."""
        return where in self.site.gateways or len(self.site.of_zone(where).attachments) > 1

    def cure(self, name: str) -> str:
        """Of a zone that does not run. What plugin keeper has kept of another path is not put back by it."""
        zone = self.site.zones.get(name)
        kept = self.look.store.one(KEPT, name) or self.look.store.one(LET_GO, name)
        moved = kept is not None and zone is not None and zone.damaged and kept.facts.get("zonepath") != zone.zonepath
        gone = zone is None or zone.absent or zone.vanished
        there = (each for each in self.site.zones.values() if each.trouble != UNDECIDED)
        return cures.of_zone(name, zone, kept is not None and not moved, with_files(kept, there) if gone else None)

    async def stack(self, where: str) -> Stack:
        if where not in self._stacks:
            self._stacks[where] = await self._see(where)
        return self._stacks[where]

    async def _see(self, where: str) -> Stack:
        zone = self.site.zones.get(where)
        if where != GLOBAL and (zone is None or zone.state is not ZoneState.RUNNING):
            return Stack(where, unseen=f"zone {where} is {zone.state if zone else 'absent'}")
        look = self.look
        try:
            addresses, routes, static = await asyncio.gather(
                look.ask(ipadm.addresses(where)),
                look.ask(route.default_routes(where)),
                look.ask(route.static_routes(where)),
            )
        except CannotObserve as problem:
            return self._as_declared(where, str(problem))
        forwarding: Mapping[tuple[str, ipadm.Family], bool] = {}
        nat: ipnat.Loaded | None = None
        if self.passes(where):
            try:
                forwarding, nat = await asyncio.gather(look.ask(ipadm.forwarding(where)), look.ask(ipnat.loaded(where)))
            except CannotObserve as problem:
                return Stack(where, tuple(addresses), routes, tuple(static), unseen=str(problem))
        return Stack(where, tuple(addresses), routes, tuple(static), forwarding, nat)

    def _as_declared(self, where: str, why: str) -> Stack:
        """Of a zone that nobody can look into, such as one of a brand without ipadm."""
        found, defaults = [], []
        for each in self.site.of_zone(where).attachments:
            found += [ipadm.AddressObject(f"{each.link}/?", each.link, address) for address in each.addresses]
            if each.primary:
                versions = {address.version for address in each.addresses}
                routers = [router for router in each.network.gateways if router.version in versions]
                defaults += [route.DefaultRoute(r, each.link, 4 if r.version == 4 else 6) for r in routers]
        return Stack(where, tuple(found), route.DefaultRoutes(defaults), unseen=why)

    # -- who is on a wire

    def attached(self, over: str) -> list[Attachment]:
        """NICs of all zones over one lower link."""
        networks = [name for name, network in self.site.networks.items() if network.link == over]
        return [each for name in networks for each in self.site.on_network.get(name, ())]

    async def who_has(self, address: Ip, over: str) -> tuple[str, str] | None:
        """(zone, its link) that has the address on this wire: by what is declared and placed, else by what gateways and
        the global zone have up."""
        for each in self.attached(over):
            if any(one.ip == address for one in each.addresses):
                return each.zone, each.link
        for name in dict.fromkeys([*self.site.gateways, GLOBAL]):
            stack = await self.stack(name)
            found = stack.has(address)
            if found is not None and self.over(found.interface) == over:
                return name, found.interface
        return None

    def over(self, link: str) -> str:
        """The lower link of a VNIC; a physical link is its own."""
        vnic = self.vnics.get(link)
        return vnic.over if vnic is not None else link
