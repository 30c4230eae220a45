"""From A to B and back: who is meant, the walk, the proxy in between, and the verdict in one line."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_address

from zonehookd.engine.site import Site
from zonehookd.errors import NotFound, ZonehookError
from zonehookd.model.gateway import GLOBAL, Gateway
from zonehookd.model.network import Ip
from zonehookd.model.record import Record
from zonehookd.plugin.routing.book import RouteBook
from zonehookd.tracing.facts import Facts
from zonehookd.tracing.natting import Packet, Protocol
from zonehookd.tracing.walk import APPLY, OUTSIDE, End, Hop, Walk


@dataclass(frozen=True, slots=True)
class Traced:
    """`reachable`: no broken hop; `sure`: every hop of ours was seen. `text`, `cure`: for people."""

    packet: Packet
    hops: Sequence[Hop]
    reachable: bool
    sure: bool
    text: str
    cure: str = ""


@dataclass(frozen=True, slots=True)
class _Goal:
    """`zone`: who is meant, "" for an address that may be anybody's; `host`: of a route through a proxy."""

    address: Ip
    port: int
    zone: str = ""
    host: str = ""


async def trace(
    facts: Facts, routes: Iterable[Record], a: str, b: str, port: int = 0, protocol: Protocol = "tcp"
) -> Traced:
    """`routes`: the books of routes. Raises NotFound when A or B is nobody we know."""
    await facts.see_links()
    start, sources = _start(facts.site, a)
    goal = await _goal(facts, start, b, port)
    protocol = protocol if goal.port else "icmp"
    packet = Packet(await _source(facts, start, sources, goal.address), goal.address, protocol, goal.port)
    walk = Walk(facts)
    end = await walk.there(start, packet)
    if end is not None:
        end = await _proxied(facts, walk, routes, end, goal)
    if end is not None:
        home = await walk.back(end)
        if home is not None:
            _compare(walk, home, start, packet)
    return _verdict(walk.hops, a, b, packet, end)


def _start(site: Site, a: str) -> tuple[str, list[Ip]]:
    """Where it begins, and the source addresses it may have; none: whatever its stack has."""
    zone = site.zones.get(a)
    if a == GLOBAL or (zone is not None and not zone.absent):
        return a, [each.ip for one in site.of_zone(a).attachments for each in one.addresses]
    try:
        address = ip_address(a)
    except ValueError:
        known = ", ".join(sorted(each.name for each in site.zones.values() if not each.absent)) or "none"
        raise NotFound(f"{a!r} is neither a zone nor an address", hint=f"zones: {known}") from None
    owner = _owner(site, address)
    return owner or OUTSIDE, [address]


def _owner(site: Site, address: Ip) -> str:
    every = (each for attached in site.attached.values() for each in attached.attachments)
    return next((each.zone for each in every if any(one.ip == address for one in each.addresses)), "")


async def _goal(facts: Facts, start: str, b: str, port: int) -> _Goal:
    site = facts.site
    zone = site.zones.get(b)
    if b == GLOBAL or (zone is not None and not zone.absent):
        near = {each.network.name for each in site.of_zone(start).attachments}
        mine = sorted(site.of_zone(b).attachments, key=lambda one: (one.network.name not in near, one.nic.index))
        addresses = [each.ip for one in mine for each in one.addresses]
        if not addresses:
            stack = await facts.stack(b)
            addresses = [each.address.ip for each in stack.addresses if not each.address.is_loopback]
        if not addresses:
            raise ZonehookError(f"zone {b} has no address that we know of", hint=f"zonehookctl check {b}")
        versions = {each.ip.version for one in site.of_zone(start).attachments for each in one.addresses}
        fitting = [each for each in addresses if each.version in versions] or addresses
        return _Goal(min(fitting, key=lambda each: each.version), port, b)
    try:
        address = ip_address(b)
        return _Goal(address, port, _owner(site, address))
    except ValueError:
        pass
    if b in site.networks:
        if not site.networks[b].gateways:
            raise ZonehookError(f"network {b} has no gateway address to reach", hint="name a zone or an address on it")
        return _Goal(min(site.networks[b].gateways, key=lambda each: each.version), port)
    return _host(site, b, port)


def _host(site: Site, b: str, port: int) -> _Goal:
    """A host name that zones serve through a proxy."""
    name = b.lower()
    for gateway, routes in site.routes.items():
        if any(route.match.host == name for route in routes):
            proxy = site.gateways[gateway].proxy
            assert proxy is not None
            sides = [each for each in site.of_zone(gateway).attachments if each.role == "outside"]
            heard = [*proxy.listen, *(a.ip for each in sides for a in each.addresses)]
            heard += [each.ip for each in site.gateways[gateway].addresses]
            if heard:
                return _Goal(heard[0], port or proxy.http or proxy.https, host=name)
    hint = (
        f"a zone, an address, a network ({', '.join(sorted(site.networks))}), or a host that zonehookctl routes names"
    )
    raise NotFound(f"{b!r} is nobody we know", hint=hint)


async def _source(facts: Facts, start: str, sources: Sequence[Ip], to: Ip) -> Ip:
    """The address that the stack would send from: that of the interface the route leads by."""
    if start == OUTSIDE:
        return sources[0]
    stack = await facts.stack(start)
    way = stack.way(to, facts.known)
    own = [each for each in (stack.own(way.link) if way else []) if each.version == to.version]
    fitting = [each for each in own if each in sources] or own or [e for e in sources if e.version == to.version]
    return fitting[0] if fitting else type(to)(0)


# -- a proxy on the way ------------------------------------------------------------------------------------------------


async def _proxied(facts: Facts, walk: Walk, routes: Iterable[Record], end: End, goal: _Goal) -> End | None:
    """`end`, after what a proxy there does with it; None: nobody is behind it."""
    gateway = facts.site.gateways.get(end.at)
    packet = end.packet
    if gateway is None or not _as_declared(walk, gateway, packet):
        return end if gateway is None else None
    if packet.protocol != "tcp":
        return end
    books = [RouteBook.of(each) for each in routes if each.facts["gateway"] == end.at]
    proxy = gateway.proxy
    public = [book for book in books if book.match.port == packet.port]
    if proxy is None or not (public or packet.port in proxy.ports):
        text = f"no forward and no route takes port {packet.port}; whether something listens there is not looked at"
        walk.say(end.at, "proxy", text, "unknown")
        return end
    if not public:
        if not goal.host:
            hosts = ", ".join(sorted({book.match.host for book in books})) or "none"
            text = f"{proxy.program} decides by the host name ({hosts}); name one instead of the address"
            walk.say(end.at, "proxy", text, "unknown")
            return end
        public = sorted((book for book in books if book.match.host == goal.host), key=lambda one: len(one.match.path))
    cure = f"zonehookctl routes --gateway {end.at}"
    if not public:
        walk.broken(end.at, "proxy", f"{proxy.program} has no route for it yet", cure)
        return None
    book = public[0]
    serving = [seat.backend for seat in book.seats.values() if seat.state == "in"]
    if not serving:
        why = "; ".join(f"{s.backend.zone or s.backend.address}: {s.why}" for s in book.seats.values())
        walk.broken(end.at, "proxy", f"nobody is behind {book.match}{': ' + why if why else ''}", cure)
        return None
    chosen = serving[0]
    others = f", as {len(serving) - 1} others do" if len(serving) > 1 else ""
    text = f"{proxy.program} sends {book.match} to {chosen.zone} {chosen.address}:{chosen.port}{others}"
    walk.say(end.at, "proxy", text, rule=str(book.match))
    inner = Walk(facts)
    inner.hops = walk.hops
    source = await _source(facts, end.at, (), chosen.address)
    inside = await inner.there(end.at, Packet(source, chosen.address, "tcp", chosen.port))
    if inside is None or await inner.back(inside) is None:
        return None
    walk.way = "back"
    walk.say(end.at, "proxy", f"{proxy.program} hands the answer on")
    return end


def _as_declared(walk: Walk, gateway: Gateway, packet: Packet) -> bool:
    """What a gateway got for itself was not meant for somebody behind it."""
    for static in gateway.statics:
        if static.public == packet.dst:
            text = (
                f"{packet.dst} is declared one to one for {static.inside}, and no rule is loaded: the gateway answers"
            )
            walk.say(gateway.name, "nat", text, "unknown", cure=APPLY)
    for each in gateway.forwards:
        meant = each.public in (None, packet.dst) and packet.protocol in each.protocol.split("/")
        if meant and each.first <= packet.port <= each.last:
            text = (
                f"port {packet.port} is declared for {each.to}, and no rule that is loaded takes it from {packet.src}"
            )
            walk.broken(gateway.name, "nat", text, APPLY)
            return False
    return True


# -- the verdict -------------------------------------------------------------------------------------------------------


def _compare(walk: Walk, home: End, start: str, packet: Packet) -> None:
    """The answer is one only to who asked, and only from whom he asked."""
    back = home.packet
    if home.at != start:
        text = f"the answer ends at {_called(home.at)}, and not where it was asked"
        walk.broken(
            home.at, "outside" if home.at == OUTSIDE else "address", text, "the two ways differ: see its routes"
        )
    elif back.src != packet.dst:
        text = f"the answer comes from {back.src}, and {_called(start)} asked {packet.dst}"
        walk.broken(start, "nat", text, "the way back must pass the gateway that translated the way there")


def _verdict(hops: Sequence[Hop], a: str, b: str, packet: Packet, end: End | None) -> Traced:
    broken = next((hop for hop in hops if hop.state == "broken"), None)
    sure = all(hop.state == "ok" for hop in hops) and (end is None or end.at != OUTSIDE)
    if broken is not None:
        way = "" if broken.way == "there" else "the answer: "
        text = f"{a} does not reach {b}: {way}at {_called(broken.at)}: {broken.text}"
        return Traced(packet, hops, False, sure, text, broken.cure)
    assert end is not None
    hops = [replace(hop, cure="") for hop in hops]
    if end.at == OUTSIDE:
        return Traced(packet, hops, True, False, f"{a} reaches the outside as {end.packet.src}; {b} is not ours to see")
    doubt = "" if sure else ", as far as can be seen"
    return Traced(packet, hops, True, sure, f"{a} reaches {b}{doubt}: {_called(end.at)} has {end.packet.dst}")


def _called(at: str) -> str:
    return "the outside" if at == OUTSIDE else f"zone {at}" if at != GLOBAL else "the global zone"
