"""Zones that are drained: what serves in them gets nothing new, and may finish what it has, for a time.

A drain is about one run of a zone (its zone id, zones sheet 1.1): the next run begins without it. What to do about
it is for the plugins; here it is asked for, waited for, and forgotten.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from zonehookd.engine.site import Site
from zonehookd.engine.survey import Survey
from zonehookd.model import subject
from zonehookd.model.event import Event
from zonehookd.model.gateway import GLOBAL
from zonehookd.model.outcome import Outcome, Result
from zonehookd.model.record import Record
from zonehookd.model.route import DRAIN, ROUTE, Match
from zonehookd.model.zone import Zone, ZoneState
from zonehookd.plugin.routing import RouteBook, Seat
from zonehookd.store.store import Store

PLUGIN = "drain"  # in the books, which want a name for whoever wrote a record
_HALT_S = 30.0  # a halt that does not come after all costs no more
_GOOD = (Result.NOOP, Result.CHANGED)


class Heart(Protocol):
    """What of the dispatcher this needs."""

    survey: Survey

    def hint(self, event: Event, *, urgent: bool = False) -> None: ...


@dataclass(frozen=True, slots=True)
class Standing:
    """A backend that still gets requests, or finishes some."""

    gateway: str
    match: Match
    seat: Seat

    def __str__(self) -> str:
        return f"{self.match} ({self.seat.state})"


@dataclass(slots=True)
class _Waiting:
    zone: str
    gateways: set[str]  # those that have not put it out yet
    done: asyncio.Future[None]


class Draining:
    """A Listener: it hears when a gateway is done, and which runs are over."""

    def __init__(self, dispatcher: Heart, store: Store) -> None:
        self._dispatcher = dispatcher
        self._store = store
        self._waiting: list[_Waiting] = []

    # -- questions

    def standing(self, zone: str) -> list[Standing]:
        """Where the zone serves, by our books. Cheap for a zone without routes: a halt waits for it."""
        name = f'"{zone}"'
        found = []
        for record in self._store.of_kind(ROUTE):
            if name in record.facts["seats"]:
                book = RouteBook.of(record)
                seats = (seat for seat in book.seats.values() if seat.backend.zone == zone and seat.state != "out")
                found += [Standing(record.facts["gateway"], book.match, seat) for seat in seats]
        return found

    def of(self, zone: Zone) -> Record | None:
        """The drain of its present run."""
        record = self._store.one(DRAIN, zone.name)
        return record if record is not None and not _over(record, zone, time.time()) else None

    # -- changes

    def begin(self, zone: Zone, seconds: float, reason: str) -> float:
        """Until when, unix seconds. `zone` runs."""
        until = time.time() + seconds
        facts = {"zoneid": str(zone.zoneid), "until": f"{until:.3f}", "reason": reason}
        self._store.remember(Record(DRAIN, zone.name, subject.zone(zone.name), PLUGIN, facts))
        self._dispatcher.hint(Event("drain", "asked", zone=zone.name), urgent=True)
        return until

    def end(self, zone: str) -> bool:
        """False: it was not drained."""
        there = self._store.one(DRAIN, zone) is not None
        self._store.forget(DRAIN, zone)
        self._dispatcher.hint(Event("drain", "ended", zone=zone), urgent=True)
        return there

    async def out(self, zone: str, limit_s: float) -> bool:
        """Waits until nobody sends to it any more, and each gateway was told so. False: not within the limit."""
        gateways = {each.gateway for each in self.standing(zone)}
        if not gateways:
            return True
        waiting = _Waiting(zone, gateways, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        try:
            async with asyncio.timeout(limit_s):
                await waiting.done
            return True
        except TimeoutError:
            return False
        finally:
            self._waiting.remove(waiting)

    async def before_halt(self, name: str, limit_s: float) -> str:
        """drained, drain-late, or nothing: the zone has no routes, or nobody sends to it now."""
        site = self._dispatcher.survey.site
        zone = site.zones.get(name) if site else None
        if site is None or zone is None or zone.zoneid is None:
            return ""
        served = {each.gateway for each in self.standing(name)}
        if not any(_runs(site.zones, gateway) for gateway in served):
            return ""
        before = self.of(zone)
        if before is None or float(before.facts["until"]) < time.time() + _HALT_S:
            self.begin(zone, _HALT_S, "it is halted")
        return "drained" if await self.out(name, limit_s) else "drain-late"

    # -- Listener

    def hinted(self, event: Event, new: bool) -> None:
        pass

    def looked(self, site: Site, seconds: float, full: bool, planned: int, unannounced: int) -> None:
        """Drains of runs that are over are nobody's any more."""
        now = time.time()
        for record in self._store.of_kind(DRAIN):
            zone = site.zones.get(record.name)
            if zone is None or _over(record, zone, now):
                self._store.forget(DRAIN, record.name)

    def blind(self, error: str) -> None:
        pass

    def ended(self, outcome: Outcome) -> None:
        if outcome.subject.kind != "gateway" or outcome.result not in _GOOD:
            return
        for waiting in self._waiting:
            if outcome.subject.name in waiting.gateways:
                self._put_out(waiting, outcome.subject.name)

    def _put_out(self, waiting: _Waiting, gateway: str) -> None:
        if any(each.gateway == gateway for each in self.standing(waiting.zone)):
            return
        waiting.gateways.discard(gateway)
        if not waiting.gateways and not waiting.done.done():
            waiting.done.set_result(None)

    def queued(self, waiting: int, oldest_s: float, working: int) -> None:
        pass


def _over(record: Record, zone: Zone, now_s: float) -> bool:
    if zone.absent or float(record.facts["until"]) <= now_s:
        return True
    return zone.state is not ZoneState.UNKNOWN and record.facts["zoneid"] != str(zone.zoneid)


def _runs(zones: Mapping[str, Zone], gateway: str) -> bool:
    zone = zones.get(gateway)
    return gateway == GLOBAL or (zone is not None and zone.state is ZoneState.RUNNING)


def names(found: Iterable[Standing]) -> list[str]:
    return sorted({str(each) for each in found})
