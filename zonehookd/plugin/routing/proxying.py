"""What every program that serves routes has in common: what it must see, and what it writes into our books."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from zonehookd.host.doors import HostReader
from zonehookd.model.few import few
from zonehookd.model.plan import Forget, Remember
from zonehookd.model.record import Record
from zonehookd.model.route import DRAIN, ROUTE, Match, Program, Proxy
from zonehookd.plugin.contract import GatewayView
from zonehookd.plugin.routing.book import RouteBook
from zonehookd.plugin.routing.decide import Decision, Known, decide, to_ask

_SHRUNK = "shrunk"  # the record that a look has found a landslide; name: GATEWAY


@dataclass(frozen=True, slots=True)
class Routing:
    """`records`: ours about this gateway's routes, whichever program wrote them. `known` lacks who is idle."""

    records: Mapping[str, Record] = field(default_factory=dict)  # by name
    books: Mapping[Match, RouteBook] = field(default_factory=dict)
    known: Known | None = None


def serves(gateway: GatewayView, program: Program) -> Proxy | None:
    """The proxy that this program is to be; None: another, or none at all."""
    proxy = gateway.gateway.proxy if gateway.gateway is not None else None
    return proxy if proxy is not None and proxy.program == program else None


def look(gateway: GatewayView, proxy: Proxy, host: HostReader, watches: bool) -> Routing:
    """`watches`: the program itself stops sending to who is unwell. Runs no command: who answers is asked elsewhere."""
    records = {each.name: each for each in host.recall_all(gateway.subject, ROUTE)}
    books = {book.match: book for book in (RouteBook.of(each) for each in records.values())}
    asked = to_ask(gateway.routes, books, gateway.zones, watches)
    shrunk = host.recall_one(_SHRUNK, gateway.name)
    known = Known(
        zones={**gateway.unread, **gateway.zones},
        answers=host.answers(gateway.where, asked),
        drains=_drains(gateway, host),
        idle=(),
        watches=watches,
        drain_s=proxy.drain_s,
        now_s=time.time(),
        shrunk_s=float(shrunk.facts["at"]) if shrunk is not None else None,
        unasked=host.unasked(gateway.where),
    )
    return Routing(records, books, known)


def _drains(gateway: GatewayView, host: HostReader) -> Mapping[str, float]:
    """Zone -> until when, of drains that are about its present run."""
    found = {}
    for name, zone in gateway.zones.items():
        record = host.recall_one(DRAIN, name)
        if record is not None and record.facts["zoneid"] == str(zone.zoneid):
            found[name] = float(record.facts["until"])
    return found


def decided(gateway: GatewayView, routing: Routing, idle: Collection[tuple[Match, str]]) -> Decision:
    """Pure. `idle`: backends that serve nobody any more."""
    assert gateway.gateway is not None and routing.known is not None
    known = routing.known
    seen = Known(
        known.zones, known.answers, known.drains, idle, known.watches, known.drain_s, known.now_s, known.shrunk_s,
        known.unasked,
    )  # fmt: skip
    return decide(gateway.gateway, gateway.routes, routing.books, seen)


def remember(
    gateway: GatewayView, decision: Decision, routing: Routing, plugin: str, offered: Collection[Match]
) -> Iterator[Remember | Forget]:
    """Before the program is told: a crash in between is mended by the next look, which goes by our books."""
    for book in decision.books:
        name = f"{gateway.name} {book.match}"
        if not book.seats and book.match not in offered:
            if name in routing.records:
                yield Forget(ROUTE, name, f"route {book.match} is no more")
            continue
        before = routing.records.get(name)
        if before is not None and before.plugin == plugin and routing.books.get(book.match) == book:
            continue  # as most are in every look
        record = book.to_record(gateway.name, gateway.subject, plugin)
        if before is None or before.facts != record.facts or before.plugin != plugin:
            yield Remember(record, f"route {book.match}: {_where_all_stand(book)}")
    assert routing.known is not None
    if decision.shrunk_s is not None and routing.known.shrunk_s is None:
        facts = {"at": repr(decision.shrunk_s)}
        yield Remember(Record(_SHRUNK, gateway.name, gateway.subject, plugin, facts), "more than half would go at once")
    if decision.shrunk_s is None and routing.known.shrunk_s is not None:
        yield Forget(_SHRUNK, gateway.name, "the second look has been")


def forget_all(gateway: GatewayView, records: Sequence[Record], why: str) -> Iterator[Forget]:
    """Nobody serves this gateway's routes any more."""
    yield from (Forget(each.kind, each.name, why) for each in records if each.kind in (ROUTE, _SHRUNK))


def _where_all_stand(book: RouteBook) -> str:
    states = [f"{seat.backend.zone or seat.backend.address} {seat.state}" for seat in book.seats.values()]
    return few(states, 3) or "nobody"
