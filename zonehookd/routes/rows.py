"""From routes, our books and refusals to the wire's rows; pure."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from zonehookd.bus import views
from zonehookd.bus.messages import NoteRow
from zonehookd.bus.route_messages import BackendRow, DrainedRow, ProxyRow, RefusedRouteRow, RouteRow, RoutesReply
from zonehookd.engine.routing import CONFIGURATION
from zonehookd.engine.site import Site
from zonehookd.model import subject
from zonehookd.model.gateway import GLOBAL, Gateway
from zonehookd.model.outcome import Outcome
from zonehookd.model.plan import GATEWAY_SHUT
from zonehookd.model.record import Record
from zonehookd.model.route import Backend, Match, Offer, Proxy, Route
from zonehookd.model.subject import Subject
from zonehookd.model.zone import ZoneState
from zonehookd.plugin.routing import RouteBook, Seat

ATTRIBUTE = "zh.route"  # every attribute that offers a route begins so
_OF_SEATS = ("flapping", "shrunk")  # notes that the rows of backends say better


@dataclass(frozen=True, slots=True)
class Told:
    """What the rows are made from. `books`, `drains`: records of these kinds; `plugins`: those that work."""

    site: Site
    books: Collection[Record]
    drains: Collection[Record]
    latest: Mapping[Subject, Outcome]
    plugins: Collection[str]


def reply(told: Told, zone: str | None = None, gateway: str | None = None) -> RoutesReply:
    """`zone`: only what it offers or serves; `gateway`: only what goes through it."""
    site = told.site
    proxies = {name: (each, each.proxy) for name, each in site.gateways.items() if each.proxy is not None}
    rows = [row for name, (_, proxy) in sorted(proxies.items()) for row in _routes(told, name, proxy)]
    refused = list(_refused(site))
    if zone is not None:
        rows = [row for row in rows if zone in (row.owner, *(each.zone for each in row.backends))]
        refused = [row for row in refused if row.zone == zone]
    if gateway is not None:
        rows = [row for row in rows if row.gateway == gateway]
        behind = {each.zone for name in site.gateways[gateway].networks for each in site.on_network.get(name, ())}
        refused = [row for row in refused if row.zone in behind]
    named = {row.gateway for row in rows} if zone is not None else set(proxies)
    shown = [name for name in sorted(proxies) if name in named and gateway in (None, name)]
    return RoutesReply(
        proxies=[_proxy(told, name, *proxies[name]) for name in shown],
        routes=rows,
        refused=refused,
        drained=[row for row in _drained(told) if zone in (None, row.zone)],
        text="" if proxies else _none(site),
    )


def _none(site: Site) -> str:
    first = next((name for name, each in sorted(site.gateways.items()) if each.ours), "NAME")
    return f'no gateway has a proxy; [gateway.{first}.proxy] with program = "haproxy" or "nginx" declares one'


def _proxy(told: Told, name: str, gateway: Gateway, proxy: Proxy) -> ProxyRow:
    trouble = [NoteRow(kind="waiting", text=text, code=code) for code, text in _why_not(told, name, proxy)]
    latest = told.latest.get(subject.gateway(name))
    if latest is not None:
        down = any(each.code == "gateway-down" for each in trouble)
        notes = (note for note in latest.notes if note.kind != "nothing" and note.code not in _OF_SEATS)
        trouble += [views.note_row(note) for note in notes if not (down and note.code == GATEWAY_SHUT)]
        if latest.error:
            trouble.append(NoteRow(kind="failed", text=latest.error, code=latest.result.value))
    tls, https = bool(proxy.tls), proxy.https if proxy.tls else 0
    return ProxyRow(gateway=name, program=proxy.program, http=proxy.http, https=https, tls=tls, trouble=trouble)


def _why_not(told: Told, name: str, proxy: Proxy) -> Iterator[tuple[str, str]]:
    if proxy.program not in told.plugins:
        yield "no-plugin", f"plugin {proxy.program} does not work here; [plugins] enabled leaves it out"
    zone = told.site.zones.get(name)
    if name == GLOBAL:
        return
    if zone is None or zone.absent:
        yield "gateway-down", "its zone does not exist"
    elif zone.trouble or zone.state is not ZoneState.RUNNING:
        yield "gateway-down", zone.trouble or f"its zone is {zone.state}"


def _routes(told: Told, gateway: str, proxy: Proxy) -> Iterator[RouteRow]:
    books = {}
    for record in told.books:
        if record.facts["gateway"] == gateway:
            book = RouteBook.of(record)
            books[book.match] = book
    routes = {route.match: route for route in told.site.routes.get(gateway, ())}
    declared: dict[Match, list[Offer]] = {}
    for offer in proxy.offers:
        for match in offer.matches:
            declared.setdefault(match, []).append(offer)
    for match in sorted({*routes, *books, *declared}):
        route, book = routes.get(match), books.get(match, RouteBook(match))
        owner = route.owner if route else CONFIGURATION if match in declared else book.owner
        yield RouteRow(
            gateway=gateway,
            match=str(match),
            protocol=match.protocol,
            owner=owner,
            group=route.group if route else "",
            backends=[
                *_backends(route, book),
                *_missing(told.site, route, declared.get(match, ())),
            ],
        )


def _backends(route: Route | None, book: RouteBook) -> Iterator[BackendRow]:
    offered = {each.key: each for each in route.backends} if route else {}
    for key in sorted({*offered, *book.seats}):
        seat = book.seats.get(key)
        if seat is None:
            seat = Seat(offered[key], "out", "new", "no look at its gateway has taken it in yet")
        yield _backend(offered.get(key, seat.backend), seat)


def _backend(backend: Backend, seat: Seat) -> BackendRow:
    return BackendRow(
        zone=backend.zone,
        address=str(backend.address),
        port=backend.port,
        weight=backend.weight,
        check=str(backend.check),
        source=backend.source,
        state=seat.state,
        held=seat.code == "held",
        code=seat.code,
        why=seat.why,
        since=seat.since_s or None,
    )


def _missing(site: Site, route: Route | None, offers: Collection[Offer]) -> Iterator[BackendRow]:
    """What the configuration declares, and is not there yet."""
    there = {(each.zone, each.port) for each in route.backends} if route else set()
    there |= {(str(each.address), each.port) for each in route.backends if not each.zone} if route else set()
    for offer in offers:
        if (offer.to, offer.port) in there:
            continue
        zone = site.zones.get(offer.to)
        code, why = "no-zone", f"zone {offer.to} does not exist"
        if zone is not None and not zone.absent:
            where = f"on network {offer.network}" if offer.network else "behind the gateway"
            code, why = "no-address", f"zone {offer.to} has no address {where} that we know of"
        yield BackendRow(
            zone=offer.to,
            address="",
            port=offer.port,
            weight=offer.weight,
            check=str(offer.check),
            source=offer.source,
            state="out",
            code=code,
            why=why,
        )


def _refused(site: Site) -> Iterator[RefusedRouteRow]:
    for name, attached in sorted(site.attached.items()):
        for each in attached.refusals:
            if each.object.startswith(ATTRIBUTE):
                yield RefusedRouteRow(
                    zone=name, source=each.object, code=each.code, text=each.text, owner=each.owner, hint=each.hint
                )


def _drained(told: Told) -> Iterator[DrainedRow]:
    now = time.time()
    for record in sorted(told.drains, key=lambda one: one.name):
        zone, until = told.site.zones.get(record.name), float(record.facts["until"])
        if zone is not None and record.facts["zoneid"] == str(zone.zoneid) and until > now:
            yield DrainedRow(zone=record.name, until=until, reason=record.facts["reason"])
