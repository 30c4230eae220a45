"""What `zonehookctl routes`, `drain` and `undrain` ask."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Protocol

from zonehookd.bus.control import Handler
from zonehookd.bus.messages import Request
from zonehookd.bus.route_messages import DrainReply, RoutesReply
from zonehookd.engine.reconciler import Reconciler
from zonehookd.engine.site import Site
from zonehookd.engine.survey import Survey
from zonehookd.errors import CannotObserve, NotFound, ZonehookError
from zonehookd.model.event import Event
from zonehookd.model.outcome import Outcome
from zonehookd.model.route import DRAIN, ROUTE
from zonehookd.model.subject import Subject
from zonehookd.model.zone import Zone, ZoneState
from zonehookd.routes import rows
from zonehookd.routes.counts import Counts, counts
from zonehookd.routes.drain import Draining, names
from zonehookd.store.store import Store

_DRAIN_MAX_S, _DRAIN_S = 86_400.0, 600.0
_REASON_MAX = 500
_WAIT_MAX_S = 15.0
_PATIENCE_S = 5.0  # longer than the gateways need for it: then something is wrong
Said = Callable[[str, str, str, Collection[str]], None]  # drain | undrain, of which zone, why, nobody


class Heart(Protocol):
    """What of the dispatcher this needs."""

    survey: Survey
    reconciler: Reconciler
    latest: dict[Subject, Outcome]

    def hint(self, event: Event, *, urgent: bool = False) -> None: ...


class RouteAnswers:
    """`said` is told what was asked of us, for the audit log."""

    def __init__(self, dispatcher: Heart, store: Store, draining: Draining, said: Said) -> None:
        self._dispatcher = dispatcher
        self._store = store
        self._draining = draining
        self._said = said

    def handlers(self) -> dict[str, Handler]:
        return {"routes": self.routes, "drain": self.drain, "undrain": self.undrain}

    def told(self, site: Site) -> rows.Told:
        return rows.Told(
            site,
            list(self._store.of_kind(ROUTE)),
            list(self._store.of_kind(DRAIN)),
            self._dispatcher.latest,
            {plugin.name for plugin in self._dispatcher.reconciler.plugins},
        )

    def of_zone(self, site: Site, zone: str) -> RoutesReply:
        return rows.reply(self.told(site), zone)

    def counted(self) -> Counts:
        return counts(self._store.of_kind(ROUTE))

    async def routes(self, request: Request) -> RoutesReply:
        site = self._site()
        if request.zone is not None:
            self._zone(site, request.zone)
        if request.gateway is not None and request.gateway not in site.gateways:
            known = ", ".join(sorted(site.gateways)) or "none"
            raise NotFound(f"there is no gateway {request.gateway!r}", hint=f"there are: {known}")
        return rows.reply(self.told(site), request.zone, request.gateway)

    async def drain(self, request: Request) -> DrainReply:
        """Nothing new is sent to the zone, for a time. Waits until nobody sends to it any more, if asked to; but not
        long, for it keeps others from asking: who asks looks on by himself then."""
        seconds = _DRAIN_S if request.for_s is None else request.for_s
        reason = " ".join(request.reason.split()) or "asked for"
        if not 0 < seconds <= _DRAIN_MAX_S:
            raise ZonehookError(f"a drain is for more than 0 and at most {_DRAIN_MAX_S:.0f} s, not for {seconds:g} s")
        if len(reason) > _REASON_MAX:
            raise ZonehookError(f"a reason has at most {_REASON_MAX} characters")
        site = self._site()
        zone = self._zone(site, request.zone or "")
        if zone.state is not ZoneState.RUNNING or zone.zoneid is None:
            hint = "who does not run gets nothing; a drain is about one run of a zone"
            raise ZonehookError(f"zone {zone.name} is {zone.state}, so there is nothing to drain", hint=hint)
        if not self._has_routes(site, zone.name):
            hint = f"zonehookctl routes --zone {zone.name} says what it offers, and why it is refused"
            raise ZonehookError(f"zone {zone.name} has no routes, so there is nothing to drain", hint=hint)
        until = self._draining.begin(zone, seconds, reason)
        self._said("drain", zone.name, f"{reason} (for {seconds:.0f} s)", ())
        limit_s = min(seconds, self._limit_s(site, zone.name))
        if request.wait:
            await self._draining.out(zone.name, min(limit_s, _WAIT_MAX_S))
        still, text = names(self._draining.standing(zone.name)), f"zone {zone.name} is drained"
        return DrainReply(zone=zone.name, until=until, still=still, limit_s=limit_s, text=text)

    async def undrain(self, request: Request) -> DrainReply:
        zone = self._zone(self._site(), request.zone or "")
        was = self._draining.of(zone) is not None
        self._draining.end(zone.name)
        if was:
            self._said("undrain", zone.name, "asked for", ())
        text = f"zone {zone.name} is drained no more" if was else f"zone {zone.name} was not drained"
        return DrainReply(zone=zone.name, until=None, still=[], text=text)

    def _site(self) -> Site:
        site = self._dispatcher.survey.site
        if site is None:
            raise CannotObserve("no look has succeeded yet", hint="try again in a moment")
        return site

    @staticmethod
    def _zone(site: Site, name: str) -> Zone:
        zone = site.zones.get(name)
        if zone is None or zone.absent:
            known = ", ".join(sorted(each.name for each in site.zones.values() if not each.absent)) or "none"
            raise NotFound(f"there is no zone {name!r}", hint=f"there are: {known}")
        return zone

    def _has_routes(self, site: Site, zone: str) -> bool:
        offered = (each.zone for every in site.routes.values() for route in every for each in route.backends)
        return zone in offered or bool(self._draining.standing(zone))

    def _limit_s(self, site: Site, zone: str) -> float:
        gateways = {each.gateway for each in self._draining.standing(zone)} & site.gateways.keys()
        proxies = (site.gateways[name].proxy for name in gateways)
        return max((each.drain_s for each in proxies if each is not None), default=0.0) + _PATIENCE_S
