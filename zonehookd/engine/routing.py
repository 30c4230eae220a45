"""Who serves what behind each gateway: all offers together, each taken or refused with the owner named. Pure.

A host with its path, or a public port, has one owner: what the configuration declares, else who had it before by our
books, else a zone that is active, else the first by name. Others share it when they and the owner say the same group.
Among zones a whole host has one owner: nobody else takes a path of it. So no zone ever takes what another serves, also
not by waiting for a restart of ours.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from zonehookd.engine.attach import Attached
from zonehookd.model import subject
from zonehookd.model.attachment import Attachment, Refusal
from zonehookd.model.gateway import Declaration, Gateway
from zonehookd.model.network import Ip
from zonehookd.model.route import Backend, Held, Match, Offer, Proxy, Route
from zonehookd.model.zone import Zone

CONFIGURATION = "the configuration"
Holders = Mapping[tuple[str, Match], Held]  # (gateway, match) -> who has it


@dataclass(frozen=True, slots=True)
class _Placed:
    """An offer with the way to its zone."""

    offer: Offer
    gateway: str
    address: Ip
    network: str
    zone: str  # "" for a bare address
    declared: bool  # by the configuration


class _Refused(Exception):
    def __init__(self, code: str, text: str, *, owner: str = "", hint: str = "") -> None:
        super().__init__(text)
        self.code, self.text, self.owner, self.hint = code, text, owner, hint


def route_all(
    declared: Declaration, zones: Mapping[str, Zone], attached: dict[str, Attached], held: Holders
) -> Mapping[str, tuple[Route, ...]]:
    """Gateway -> its routes, by match. Refusals are added to `attached` of the zone that offers."""
    proxies = {name: each.proxy for name, each in declared.gateways.items() if each.proxy is not None}
    offering = [name for name, each in attached.items() if each.offers]
    if not proxies:
        for name in offering:
            _refuse(attached, name, [_no_proxy(declared, name, each) for each in attached[name].offers])
        return {}
    placed: list[_Placed] = []
    for gateway, proxy in proxies.items():
        placed += _declared(declared.gateways[gateway], proxy, attached)
    order = sorted(offering, key=lambda name: (not zones[name].state.in_kernel, name))
    for name in order:
        refused: list[Refusal] = []
        for offer in attached[name].offers:
            try:
                placed.append(_place(declared, offer, attached[name].attachments))
            except _Refused as no:
                refused.append(Refusal(subject.zone(name), no.code, offer.source, no.text, no.owner, no.hint))
        _refuse(attached, name, refused)
    waiting = dict(_waiting(declared, attached, held, placed))
    hosts = _hosts(placed, waiting, held, zones)
    reserved = dict(_reserved(proxies, placed))
    by_match: dict[tuple[str, Match], list[_Placed]] = {}
    unread = [each for each, holder in held.items() if _unread(zones.get(holder.owner))]
    decided = {*waiting, *reserved, *unread, *_of_owners(placed, hosts)}  # who shares these is decided one by one
    for each in placed:
        for match in each.offer.matches:
            sole = (each.gateway, match) not in decided and match.host and not proxies[each.gateway].lends(match.host)
            if not sole or _may_share(match, each, hosts, held, zones, attached):
                by_match.setdefault((each.gateway, match), []).append(each)
    found: dict[str, list[Route]] = {name: [] for name in proxies}
    for gateway, match in sorted({*by_match, *waiting, *reserved}):
        wanting = by_match.get((gateway, match), [])
        allowed = list(_allowed(declared.gateways[gateway], match, wanting, attached))
        holder = held.get((gateway, match), Held(""))
        waits = waiting.get((gateway, match))
        if (gateway, match) in reserved:
            offer = reserved[(gateway, match)]
            shared = _shared(match, allowed, CONFIGURATION, offer.group, attached)
            network = next((each.network for each in shared), offer.network)
            found[gateway].append(Route(match, shared, CONFIGURATION, offer.group, network))
            continue
        made = _route(match, allowed, holder, _unread(zones.get(holder.owner)), waits, attached)
        if made is not None:
            found[gateway].append(made)
    return {name: tuple(every) for name, every in found.items()}


def _declared(gateway: Gateway, proxy: Proxy, attached: Mapping[str, Attached]) -> Iterator[_Placed]:
    """A zone that is not there, or has no address yet, is no backend yet: it is behind no route, and nobody's fault."""
    for offer in proxy.offers:
        try:
            yield _Placed(offer, gateway.name, ipaddress.ip_address(offer.to), "", "", True)
        except ValueError:
            members = attached[offer.to].attachments if offer.to in attached else ()
            ways = [each for each in _ways(members, offer) if each.network.via == gateway.name and each.addresses]
            if ways:
                yield _Placed(offer, gateway.name, _address(ways[0]), ways[0].network.name, offer.to, True)


def _ways(attachments: Iterable[Attachment], offer: Offer) -> list[Attachment]:
    members = (each for each in attachments if each.role == "member" and each.found_by != "provisioning")
    return [each for each in members if offer.network in ("", each.network.name)]


def _place(declared: Declaration, offer: Offer, attachments: Iterable[Attachment]) -> _Placed:
    ways = _ways(attachments, offer)
    if offer.network and not ways:
        raise _Refused("no-network", f"attribute {offer.source}: the zone has no NIC on network {offer.network}")
    proxied = [each for each in ways if (it := declared.gateways.get(each.network.via)) and it.proxy is not None]
    if not proxied:
        raise _Refused("no-proxy", *_why_no_proxy(declared, offer, ways))
    way = next((each for each in proxied if each.addresses), None)
    if way is None:
        nic = proxied[0]
        text = f"attribute {offer.source}: {nic.link} on network {nic.network.name} has no address that we know of"
        raise _Refused("no-address", text, hint="give the network a pool, or the zone an address")
    return _Placed(offer, way.network.via, _address(way), way.network.name, offer.to, False)


def _address(way: Attachment) -> Ip:
    return min((each.ip for each in way.addresses), key=lambda each: (each.version, int(each)))


def _why_no_proxy(declared: Declaration, offer: Offer, ways: Iterable[Attachment]) -> tuple[str]:
    gateways = sorted({each.network.via for each in ways} & declared.gateways.keys())
    where = f"gateway {gateways[0]} has no proxy; declare [gateway.{gateways[0]}.proxy]" if gateways else (
        "the zone is on no network that has a gateway with a proxy")  # fmt: skip
    return (f"attribute {offer.source}: {where}",)


def _no_proxy(declared: Declaration, zone: str, offer: Offer) -> Refusal:
    text = f"attribute {offer.source}: no gateway has a proxy"
    first = next(iter(declared.gateways), "NAME")
    return Refusal(subject.zone(zone), "no-proxy", offer.source, text, hint=f"declare [gateway.{first}.proxy]")


def _allowed(
    gateway: Gateway, match: Match, wanting: list[_Placed], attached: dict[str, Attached]
) -> Iterator[_Placed]:
    for each in wanting:
        try:
            if not each.declared:
                _check_allowed(gateway, match, each)
            yield each
        except _Refused as no:
            _refuse(
                attached,
                each.zone,
                [Refusal(subject.zone(each.zone), no.code, each.offer.source, no.text, no.owner, no.hint)],
            )


def _is_allowed(gateway: Gateway, match: Match, zone: str) -> bool:
    proxy = gateway.proxy
    assert proxy is not None
    if match.port:
        return proxy.may_have(match.port) and match.port not in proxy.ports and gateway.forward_on(match.port) is None
    return proxy.may_serve(zone, match.host)


def _check_allowed(gateway: Gateway, match: Match, placed: _Placed) -> None:
    proxy, source = gateway.proxy, placed.offer.source
    assert proxy is not None
    where = f"gateway.{gateway.name}.proxy"
    if match.port:
        if not proxy.may_have(match.port):
            raise _Refused("port-not-allowed", f"attribute {source}: tcp port {match.port} is not for zones to have",
                           owner=f"[{where}]", hint=f"add it to tcp_ports of [{where}]")  # fmt: skip
        if match.port in proxy.ports:
            raise _Refused("port-taken", f"attribute {source}: tcp port {match.port} is the proxy's own",
                           owner=f"[{where}]", hint="choose another public port")  # fmt: skip
        forward = gateway.forward_on(match.port)
        if forward is not None:
            raise _Refused("port-taken", f"attribute {source}: tcp port {match.port} is taken by forward {forward}",
                           owner=f"gateway {gateway.name}", hint="choose another public port")  # fmt: skip
    elif not proxy.may_serve(placed.zone, match.host):
        raise _Refused("host-not-allowed", f"attribute {source}: {match.host} is not for zone {placed.zone} to serve",
                       owner=f"[{where}.hosts]", hint=f"name the zone there, in [{where}.hosts]")  # fmt: skip


def _waiting(
    declared: Declaration, attached: Mapping[str, Attached], held: Holders, placed: Iterable[_Placed]
) -> Iterator[tuple[tuple[str, Match], Offer]]:
    """Offers of who has a route by our books, asks for it still, and has no way to it now, such as no address: it keeps
    what it has for as long, and serves nobody."""
    there = {(each.zone, match) for each in placed for match in each.offer.matches}
    for (name, match), holder in held.items():
        gateway = declared.gateways.get(name)
        if gateway is None or gateway.proxy is None or holder.owner not in attached or (holder.owner, match) in there:
            continue
        offer = next((each for each in attached[holder.owner].offers if match in each.matches), None)
        if offer is not None and _is_allowed(gateway, match, holder.owner):
            yield (name, match), offer


def _reserved(proxies: Mapping[str, Proxy], placed: Iterable[_Placed]) -> Iterator[tuple[tuple[str, Match], Offer]]:
    """What the configuration declares for zones that are not there yet: it is theirs all the same."""
    there = {(each.gateway, match) for each in placed if each.declared for match in each.offer.matches}
    for gateway, proxy in proxies.items():
        for offer in reversed(proxy.offers):
            yield from (((gateway, match), offer) for match in offer.matches if (gateway, match) not in there)


def _hosts(
    placed: Iterable[_Placed],
    waiting: Mapping[tuple[str, Match], Offer],
    held: Holders,
    zones: Mapping[str, Zone],
) -> Mapping[tuple[str, str], tuple[str, frozenset[str]]]:
    """(gateway, host) -> the zone whose host it is, and the groups it says: a path on it is not for others to take."""
    asking: dict[tuple[str, str], dict[str, set[str]]] = {}
    for each in placed:
        for match in each.offer.matches if not each.declared else ():
            asking.setdefault((each.gateway, match.host), {}).setdefault(each.zone, set()).add(each.offer.group)
    for (gateway, match), offer in waiting.items():
        asking.setdefault((gateway, match.host), {}).setdefault(offer.to, set()).add(offer.group)
    owners: dict[tuple[str, str], str] = {}
    for (gateway, match), holder in sorted(held.items(), key=lambda one: (len(one[0][1].path), one[0])):
        if holder.owner in asking.get((gateway, match.host), ()) or _unread(zones.get(holder.owner)):
            owners.setdefault((gateway, match.host), holder.owner)
    for host, who in asking.items():
        owners.setdefault(host, next(iter(who)))
    return {host: (owner, frozenset(asking.get(host, {}).get(owner, ()))) for host, owner in owners.items()}


def _of_owners(
    placed: Iterable[_Placed], hosts: Mapping[tuple[str, str], tuple[str, frozenset[str]]]
) -> Iterator[tuple[str, Match]]:
    """What the configuration declares, or the zone whose host it is offers."""
    for each in placed:
        for match in each.offer.matches:
            if each.declared or hosts[(each.gateway, match.host)][0] == each.zone:
                yield each.gateway, match


def _may_share(
    match: Match,
    placed: _Placed,
    hosts: Mapping[tuple[str, str], tuple[str, frozenset[str]]],
    held: Holders,
    zones: Mapping[str, Zone],
    attached: dict[str, Attached],
) -> bool:
    """A host is one zone's, with all its paths: others have a path of it by a common group, or where the configuration
    says who may serve it. Else it is refused."""
    owner, groups = hosts[(placed.gateway, match.host)]
    if placed.zone == owner or (placed.offer.group and placed.offer.group in groups):
        return True
    before = held.get((placed.gateway, match))
    if before is not None and before.owner == placed.zone and _unread(zones.get(owner)):
        return True  # it had this path, and what the owner of the host says now is not known
    text = f"attribute {placed.offer.source}: {match}: host {match.host} belongs to zone {owner}"
    hint = f"take another name, say group=… at both, or name both in [gateway.{placed.gateway}.proxy.hosts]"
    no = Refusal(subject.zone(placed.zone), "host-taken", placed.offer.source, text, f"zone {owner}", hint)
    _refuse(attached, placed.zone, [no])
    return False


def _unread(zone: Zone | None) -> bool:
    """What it offers is not known now, and it keeps what it has."""
    return zone is not None and not zone.absent and zone.config is None


def _route(
    match: Match,
    wanting: list[_Placed],
    held: Held,
    unread: bool,
    waiting: Offer | None,
    attached: dict[str, Attached],
) -> Route | None:
    """`unread`: the zone that has it cannot be read: who shares it stays, and nobody else comes. `waiting`: what the
    zone that has it offers, without a way to it now."""
    first = next((each for each in wanting if each.declared), None)
    if first is None and waiting is not None:
        backends = _shared(match, wanting, f"zone {held.owner}", waiting.group, attached)
        network = next((each.network for each in wanting), "")
        return Route(match, backends, held.owner, waiting.group, network)
    if first is None and unread:
        wanting = list(_sharers(match, wanting, held, attached))
    if not wanting:
        return None
    first = first or next((each for each in wanting if each.zone == held.owner), wanting[0])
    if unread and not first.declared:
        shared = {made.key: made for made in map(_backend, wanting)}
        return Route(match, tuple(shared[key] for key in sorted(shared)), held.owner, "", first.network)
    owner, group = CONFIGURATION if first.declared else first.zone, first.offer.group
    who = owner if first.declared else f"zone {owner}"
    return Route(match, _shared(match, wanting, who, group, attached, first), owner, group, first.network)


def _shared(
    match: Match,
    wanting: Iterable[_Placed],
    who: str,
    group: str,
    attached: dict[str, Attached],
    first: _Placed | None = None,
) -> tuple[Backend, ...]:
    """Those who are behind it; the others are refused. `who`, `group`: of the owner; `first`: the owner's, if there."""
    backends: dict[str, Backend] = {}
    for each in wanting:
        offer = each.offer
        own = first is not None and (each.declared if first.declared else each.zone == first.zone)
        if not own and not (group and offer.group == group):
            hint = f"take another name, or say group=… at both: {who} has {'group=' + group if group else 'none'}"
            text = f"attribute {offer.source}: {match} belongs to {who}"
            code = "port-taken" if match.port else "host-taken"
            _refuse(attached, each.zone, [Refusal(subject.zone(each.zone), code, offer.source, text, who, hint)])
            continue
        made = _backend(each)
        backends.setdefault(made.key, made)
    return tuple(backends[key] for key in sorted(backends))


def _backend(placed: _Placed) -> Backend:
    offer = placed.offer
    return Backend(placed.address, offer.port, placed.zone, offer.weight, offer.check, placed.network, offer.source)


def _sharers(match: Match, wanting: list[_Placed], held: Held, attached: dict[str, Attached]) -> Iterator[_Placed]:
    for each in wanting:
        if each.zone in held.zones:
            yield each
            continue
        code, who = "port-taken" if match.port else "host-taken", f"zone {held.owner}"
        text = f"attribute {each.offer.source}: {match} belongs to {who}, which cannot be read now"
        hint = f"take another name, or see zonehookctl explain {held.owner}"
        _refuse(attached, each.zone, [Refusal(subject.zone(each.zone), code, each.offer.source, text, who, hint)])


def _refuse(attached: dict[str, Attached], zone: str, refusals: list[Refusal]) -> None:
    if refusals:
        attached[zone] = replace(attached[zone], refusals=(*attached[zone].refusals, *refusals))
