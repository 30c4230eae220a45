"""What `zonehookctl` asks, answered from the engine. Reads only; `apply` merely asks for a full look and waits."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from zonehookd import __version__
from zonehookd.bus import views
from zonehookd.bus.control import Handler
from zonehookd.bus.messages import (
    AddressRow,
    GatewayRow,
    LinkRow,
    NetworkRow,
    PlanReply,
    ReloadReply,
    Request,
    SourceRow,
    StatusReply,
    ZoneRow,
)
from zonehookd.engine.dispatcher import Dispatcher
from zonehookd.engine.look import Look
from zonehookd.engine.site import Site
from zonehookd.errors import CannotObserve, ZonehookError
from zonehookd.illumos import dladm
from zonehookd.model.event import Event
from zonehookd.model.gateway import Declaration
from zonehookd.model.outcome import Outcome
from zonehookd.routes.answers import RouteAnswers
from zonehookd.store.store import Store

_APPLY_MAX_S = 600.0  # a question must not hold its place for ever


class Condition:
    """What the daemon knows of itself; a Listener and a SourceListener."""

    def __init__(self, config: Path, rebuilt: str) -> None:
        self.config = config
        self.config_error = ""
        self.rebuilt = rebuilt
        self.ready = False
        self.blind_error = ""
        self.started_s = time.monotonic()
        self.last_full_s: float | None = None
        self.sources: dict[str, SourceRow] = {}
        self.waiting = self.working = 0
        self.plugins: Callable[[], list[str]] = list  # those in workers that are not well, and why
        self.without_gate: Callable[[], list[str]] = list  # brands that should have the gate and have not, and why

    def hinted(self, event: Event, new: bool) -> None:
        pass

    def looked(self, site: Site, seconds: float, full: bool, planned: int, unannounced: int) -> None:
        self.blind_error = ""
        if full:
            self.last_full_s = time.monotonic()

    def blind(self, error: str) -> None:
        self.blind_error = error

    def ended(self, outcome: Outcome) -> None:
        pass

    def queued(self, waiting: int, oldest_s: float, working: int) -> None:
        self.waiting, self.working = waiting, working

    def source_up(self, name: str, text: str) -> None:
        self.sources[name] = SourceRow(name=name, up=True, text=text)

    def source_down(self, name: str, reason: str, final: bool) -> None:
        self.sources[name] = SourceRow(name=name, up=False, text=reason)

    def hears(self, source: str) -> bool:
        return source in self.sources and self.sources[source].up


class Answers:
    def __init__(
        self,
        dispatcher: Dispatcher,
        make_look: Callable[[], Look],
        store: Store,
        condition: Condition,
        reload: Callable[[], Awaitable[ReloadReply]],
        edited: Callable[[], Awaitable[Declaration]],
        routes: RouteAnswers,
    ) -> None:
        self._routes = routes
        self._reload = reload
        self._edited = edited
        self._dispatcher = dispatcher
        self._make_look = make_look
        self._store = store
        self._condition = condition

    def handlers(self) -> dict[str, Handler]:
        return {
            "status": self.status,
            "zones": self.zones,
            "networks": self.networks,
            "gateways": self.gateways,
            "addresses": self.addresses,
            "links": self.links,
            "plan": self.plan,
            "apply": self.apply,
            "reload": self.reload,
        }

    def _site(self) -> Site:
        site = self._dispatcher.survey.site
        if site is None:
            raise CannotObserve(
                "no look has succeeded yet", hint=self._condition.blind_error or "try again in a moment"
            )
        return site

    async def status(self, request: Request) -> StatusReply:
        site = self._dispatcher.survey.site
        condition = self._condition
        now = time.monotonic()
        routes = self._routes.counted().routes
        return StatusReply(
            version=__version__,
            ready=condition.ready,
            uptime_s=round(now - condition.started_s, 3),
            zones=sum(not zone.absent for zone in site.zones.values()) if site else 0,
            networks=len(self._dispatcher.declared.networks),
            attachments=sum(map(len, site.on_network.values())) if site else 0,
            working=condition.working,
            waiting=condition.waiting,
            sources=sorted(condition.sources.values(), key=lambda row: row.name),
            trouble=views.trouble_rows(self._dispatcher.latest),
            last_full_look_s=round(now - condition.last_full_s, 3) if condition.last_full_s else None,
            blind=condition.blind_error,
            config=str(condition.config),
            config_error=condition.config_error,
            rebuilt=condition.rebuilt,
            without_gate=condition.without_gate(),
            plugins=condition.plugins(),
            routes=sum(routes.values()),
            unserved=sum(count for (_, state), count in routes.items() if state == "unserved"),
        )

    async def zones(self, request: Request) -> list[ZoneRow]:
        return views.zone_rows(self._site(), self._dispatcher.latest)

    async def networks(self, request: Request) -> list[NetworkRow]:
        return views.network_rows(self._site(), self._dispatcher.latest)

    async def gateways(self, request: Request) -> list[GatewayRow]:
        return views.gateway_rows(self._site(), self._dispatcher.latest)

    async def addresses(self, request: Request) -> list[AddressRow]:
        return views.address_rows(self._store)

    async def links(self, request: Request) -> list[LinkRow]:
        look = self._make_look()
        links = await look.ask(dladm.links())
        vnics = await look.ask(dladm.vnics(look.dialect))
        return views.link_rows(self._site(), links, vnics, self._store)

    async def plan(self, request: Request) -> PlanReply:
        """`edited`: as the configuration file is now, and not as it was when it was taken. Raises ConfigError."""
        _, plans = await self._dispatcher.dry_run(await self._edited() if request.edited else None)
        changes = sum(1 for plan in plans for each in plan.steps if views.changes_host(each.step))
        return PlanReply(changes=changes, subjects=[views.plan_row(plan) for plan in plans])

    async def apply(self, request: Request) -> PlanReply:
        try:
            async with asyncio.timeout(_APPLY_MAX_S):
                await self._dispatcher.settled()
        except TimeoutError:
            raise ZonehookError(f"not done after {_APPLY_MAX_S:g} s", hint="see zonehookctl status") from None
        outcomes = [outcome for _, outcome in sorted(self._dispatcher.latest.items())]
        return PlanReply(changes=0, subjects=[views.outcome_row(each) for each in outcomes])

    async def reload(self, request: Request) -> ReloadReply:
        return await self._reload()
