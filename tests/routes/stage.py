"""Routes without a proxy: a plugin that decides and remembers as every program's does, and tells a file instead."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from pathlib import Path
from typing import Any

from fixtures import Admin
from lab.dispatch import paper_world
from lab.world import Dialect
from paper import Engine
from paper_gateway import EDGE, WAN, WEB, member, settle, wish

from zonehookd.engine.dispatcher import Dispatcher
from zonehookd.engine.reconciler import Reconciler
from zonehookd.engine.timing import Timing
from zonehookd.errors import CannotObserve
from zonehookd.host.doors import HostReader
from zonehookd.model.plan import Plan, Step, WriteFile, nothing
from zonehookd.model.route import Match
from zonehookd.plugin import GatewayPlugin, GatewayView, routing
from zonehookd.plugin.contract import PluginOptions
from zonehookd.routes.answers import RouteAnswers
from zonehookd.routes.drain import Draining

Said = tuple[str, str, str, Collection[str]]
PROXY: dict[str, Any] = {"program": "haproxy", "tcp_ports": [5432], "drain_s": 3}


class Scribe(GatewayPlugin[routing.Routing | None]):
    """`file`: who serves; `busy`: never idle; `blind`: it cannot look."""

    name = "haproxy"
    after = ("gateway",)
    beside = True

    def __init__(self, file: Path) -> None:
        super().__init__(PluginOptions())
        self.file = file
        self.busy: set[str] = set()
        self.blind = False

    async def observe(self, gateway: GatewayView, host: HostReader) -> routing.Routing | None:
        if self.blind:
            raise CannotObserve("the proxy does not answer")
        proxy = routing.serves(gateway, "haproxy")
        return routing.look(gateway, proxy, host, watches=True) if proxy is not None and not gateway.trouble else None

    def plan(self, gateway: GatewayView, seen: routing.Routing | None) -> Plan:
        if seen is None:
            return nothing("nothing to serve")
        idle: set[tuple[Match, str]] = set()
        for match, book in seen.books.items():
            idle |= {(match, key) for key, seat in book.seats.items() if seat.backend.zone not in self.busy}
        decision = routing.decided(gateway, seen, idle)
        offered = {route.match for route in gateway.routes}
        steps: list[Step] = list(routing.remember(gateway, decision, seen, self.name, offered))
        lines = [
            f"{book.match} {seat.backend.zone} {seat.state}\n"
            for book in decision.books
            for seat in book.seats.values()
        ]
        text = "".join(line for line in lines if not line.endswith("out\n"))
        if not self.file.exists() or self.file.read_text() != text:
            steps.append(WriteFile(self.file, text, "who serves has changed"))
        return Plan(tuple(steps), decision.notes)


class Ears:
    """Counts looks."""

    looks = 0

    def hinted(self, event: object, new: bool) -> None: ...
    def looked(self, site: object, seconds: float, full: bool, planned: int, unannounced: int) -> None:
        self.looks += 1

    def blind(self, error: str) -> None: ...
    def ended(self, outcome: object) -> None: ...
    def queued(self, waiting: int, oldest_s: float, working: int) -> None: ...


class Stage:
    """Gateway edge runs, with a proxy; zones come as the test says. `said`: what went into the audit log."""

    def __init__(self, root: Path, **gateway: Any) -> None:
        (root / "host").mkdir()
        self.root = root
        self.admin = Admin(paper_world(str(root / "host"), Dialect.VANILLA))
        gateways = {"gateway": {"edge": {**EDGE, "proxy": PROXY, **gateway}}}
        options: dict[str, object] = {**gateways, "plugins": {"enabled": ENABLED}}
        self.ours = Engine(self.admin.world, root / "state.db", {"wan": WAN, "web": WEB}, **options)
        self.scribe = Scribe(root / "served")
        self.ours.reconciler = Reconciler([*self.ours.reconciler.plugins, self.scribe], lambda *each: None)
        self.said: list[Said] = []
        self.ears = Ears()
        member(self.admin, "edge")

    def zone(self, name: str, *routes: str, state: str = "running") -> None:
        attrs = "".join(
            f'add attr; set name=zh.route{number}; set type=string; set value="{text}"; end; '
            for number, text in enumerate(routes)
        )
        self.admin.zone(name, f"set physical={name}_0", extra=f"{wish(0, 'web')}{attrs}".rstrip("; "))
        if state == "running":
            settle(self.ours)
            self.admin.do("zoneadm", "-z", name, "boot")

    def up(self) -> None:
        settle(self.ours)
        self.admin.do("zoneadm", "-z", "edge", "boot")

    def served(self) -> set[str]:
        """``MATCH ZONE STATE`` of each who is not out, as the proxy was told."""
        return set(self.scribe.file.read_text().splitlines()) if self.scribe.file.exists() else set()

    def play(self, scene: Callable[[Dispatcher, Draining, RouteAnswers], Awaitable[None]]) -> None:
        async def run() -> None:
            ours = self.ours
            timing = Timing(full_look_s=3600, pace_s=0.001, retry_max_s=5.0, heartbeat_s=0.05)
            listeners: list[Any] = [self.ears]
            dispatcher = Dispatcher(
                ours._look, ours.store, ours.survey, ours.reconciler, ours.applier, timing, listeners, lambda: None
            )
            draining = Draining(dispatcher, ours.store)
            listeners.append(draining)
            dispatcher.declare(ours.declared)
            loop = asyncio.create_task(dispatcher.run())
            async with asyncio.timeout(60):
                await dispatcher.settled()
                answers = RouteAnswers(dispatcher, ours.store, draining, lambda *each: self.said.append(each))
                await scene(dispatcher, draining, answers)
                dispatcher.stop()
                await loop

        asyncio.run(run())


ENABLED = ["etherstub", "vnic", "gateway_nic", "address", "pool", "nat", "gateway", "zone_address"]
