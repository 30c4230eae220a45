"""All of the gate that lives in the daemon: its answers, its brands, and what it decided alone."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from zonehookd import log
from zonehookd.bus.control import Handler
from zonehookd.bus.messages import BrandReply, BrandRow, Request
from zonehookd.engine.dispatcher import Dispatcher
from zonehookd.engine.look import Look
from zonehookd.errors import CannotObserve, NotFound, ZonehookError
from zonehookd.gate import alone
from zonehookd.gate.keeper import BRANDS, BrandKeeper
from zonehookd.gate.program import Program, without
from zonehookd.gate.ready import Ready
from zonehookd.gate.server import Answered, GateServer, Word
from zonehookd.host.doors import Commands
from zonehookd.model.event import Event
from zonehookd.model.guard import Operation, Verdict

_CHECK_S = 2.0  # a few stats; what a package has put there again asks nobody
_LOOK_AFTER = 5  # so many of these until the rest is looked after, too; without its program the gate asks nobody
_DRAIN_MAX_S = 1.5  # of the two seconds that the gate has, the guard's answer included
_FIRST_LOOK_S, _FIRST_LOOK_TRIES = 0.1, 50
_HOOKS_MAX_S = 1.6  # of the same two seconds, for the admin's hooks
Hooks = Callable[[str, Literal["before-start", "before-stop", "before-delete"], float], Awaitable[Word | None]]


async def _nobody(zone: str, moment: str, limit_s: float) -> Word | None:
    return None


async def _stays() -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Tools:
    """What of the daemon the gate needs. `state`, `run`: [paths]; `boot`: [guard] boot; `judge`: the guard;
    `drain`: before a zone is halted, within seconds: the code of what came of it, nothing for a zone without routes;
    `answered`: what was said to the gate; `alone`: word and answer of each decision it took without us; `deaf`: the
    kernel's channel is not to be had, so what hooks tell is news; `hooks`: what hooks.d says, within seconds;
    `stopping`: the host stops its zones, or cannot say."""

    dispatcher: Dispatcher
    make_look: Callable[[], Look]
    commands: Commands
    state: Path
    run: Path
    boot: Callable[[], Literal["allow", "deny"]]
    judge: Callable[[str, Operation], Awaitable[Verdict]]
    drain: Callable[[str, float], Awaitable[str]]
    answered: Answered
    alone: Callable[[str, bool], None]
    deaf: Callable[[], bool]
    brands: Path = BRANDS
    hooks: Hooks = _nobody
    stopping: Callable[[], Awaitable[bool]] = _stays


class Gate:
    """A Doorkeeper. Owns RUN/gate.sock from the moment it is made; raises OSError then."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._log = log.get()
        self._ready = Ready(tools.dispatcher, tools.make_look, tools.boot)
        self._keeper = BrandKeeper(tools.state, tools.run, tools.brands)
        self._program = Program(tools.state, tools.commands)
        self._program_fault = ""
        self.without = 0  # brands that should have the gate and have not, at the last check
        self.door = self._server = GateServer(tools.run / "gate.sock", self, tools.answered)

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._server.run())
            for _ in range(_FIRST_LOOK_TRIES):  # who runs is known after the first look
                if self._running() is not None:
                    break
                await asyncio.sleep(_FIRST_LOOK_S)
            while True:
                await self._look_after()
                for _ in range(_LOOK_AFTER):
                    await asyncio.sleep(_CHECK_S)
                    self._check()

    def close(self) -> None:
        self._server.close()

    def stands_in(self, brand: str) -> tuple[bool, str]:
        """Whether the hooks of this brand ask us, as far as the last check knows; and what is the matter where they
        should and do not: the words of `brand status`."""
        (row,) = self._reply([brand], "").brands
        asks = row.enabled and row.gate in ("in place", "remade", "edited")
        return asks, f"brand {brand}: {row.text}" if row.gate == "missing" else ""

    def missing(self) -> list[str]:
        """Brands that should have the gate and have not, as they are now, each with the reason."""
        if self._running() is not None:  # else who goes by the hooks of before could not be written down
            self._check()
        rows = self._reply(self._keeper.enabled(), "").brands
        return [f"brand {row.name}: {row.text}" for row in rows if row.gate == "missing"]

    # -- Doorkeeper

    async def before_ready(self, zone: str) -> Word:
        self._keeper.heard(zone)
        asked = self._tools.hooks(zone, "before-start", _HOOKS_MAX_S)
        links, hooks = await asyncio.gather(self._ready.before_ready(zone), asked)
        return _both(links, hooks)

    async def may(self, zone: str, operation: Operation) -> Word:
        began = time.monotonic()
        verdict = await self._tools.judge(zone, operation)
        others = len({each.zone for each in verdict.dependents})
        if not verdict.allowed:
            self._log.warning("refused", zone=zone, operation=operation, code=verdict.code, dependents=others)
        elif verdict.code == "permitted":
            self._log.warning("let go with leave", zone=zone, operation=operation, dependents=others)
        drained, hooks = "", None
        if verdict.allowed:
            moment: Literal["before-stop", "before-delete"] = "before-stop" if operation == "halt" else "before-delete"
            hooks = await self._tools.hooks(zone, moment, _HOOKS_MAX_S - (time.monotonic() - began))
            if operation == "halt" and hooks is not None and not hooks.allowed and await self._tools.stopping():
                # whom `zoneadm shutdown` did not stop is halted in the end (zones sheet 3.11, 5.4: never veto halts)
                hooks = Word(True, hooks.code, (*hooks.lines, "zonehookd: it is halted: the host stops its zones"))
        if operation == "halt" and verdict.allowed and (hooks is None or hooks.allowed):
            drained = await self._drained(zone, _DRAIN_MAX_S - (time.monotonic() - began))
        if verdict.code in ("not-guarded", "no-dependents"):  # nothing to say: zoneadm would say it in the zone's name
            return _both(Word(verdict.allowed, drained or verdict.code), hooks)
        first, *more = verdict.lines()
        return _both(Word(verdict.allowed, verdict.code, (f"zonehookd: {first}", *more)), hooks)

    async def _drained(self, zone: str, limit_s: float) -> str:
        """A halt goes on whatever comes of this."""
        try:
            return await self._tools.drain(zone, max(0.0, limit_s))
        except Exception as problem:
            self._log.error("not drained before its halt", zone=zone, error=repr(problem))
            return ""

    def heard(self, zone: str, hook: str, state: int | None, command: int | None) -> None:
        self._keeper.heard(zone)
        if hook == "poststatechange" and self._tools.deaf():
            self._tools.dispatcher.hint(Event("gate", "told", zone=zone))

    # -- now and then

    async def _look_after(self) -> None:
        """What is missing of an enabled brand's gate is put back; what was decided without us is counted."""
        try:
            for each in alone.taken(self._tools.state):
                self._tools.alone(each.word, each.allowed)
                say = self._log.info if each.allowed else self._log.warning
                say(
                    "the gate decided alone",
                    zone=each.zone, word=each.word, allowed=each.allowed, why=each.why, when=each.when,
                )  # fmt: skip
        except OSError as problem:
            self._log.error("cannot read what the gate decided alone", error=str(problem))
        self._check()
        if self._keeper.enabled():
            await self._provide()
        self.without = sum(row.gate == "missing" for row in self._reply(self._keeper.enabled(), "").brands)

    async def _provide(self) -> None:
        was_there = self._program.there()
        try:
            await self._program.provide()
            self._program_fault = ""
            if not was_there:
                self._log.warning("the gate program was missing, and is there again", path=str(self._program.path))
        except ZonehookError as problem:
            if str(problem) != self._program_fault:
                self._log.error("no gate program", error=str(problem))
            self._program_fault = str(problem)

    def _check(self) -> None:
        site = self._tools.dispatcher.survey.site
        zones = site.zones.values() if site is not None else ()
        ids = {zone.name: zone.zoneid for zone in zones if zone.zoneid is not None}
        for each in self._keeper.check(self._running(), ids):
            (self._log.warning if each.good else self._log.error)("brand", brand=each.brand, what=each.text)

    def _running(self) -> Mapping[str, set[str]] | None:
        """Brand -> its zones that are up; None before the first look."""
        site = self._tools.dispatcher.survey.site
        if site is None:
            return None
        running: dict[str, set[str]] = {}
        for zone in site.zones.values():
            if zone.config is not None and zone.state.in_kernel:
                running.setdefault(zone.config.brand, set()).add(zone.name)
        return running

    # -- zonehookctl brand

    def handlers(self) -> dict[str, Handler]:
        return {"brand-enable": self.enable, "brand-disable": self.disable, "brand-status": self.status}

    async def enable(self, request: Request) -> BrandReply:
        name, running = request.brand or "", self._running()
        if running is None:
            raise CannotObserve("no look has succeeded yet, so nobody knows which zones run", hint="try again soon")
        await self._program.provide()
        self._program_fault = ""
        self._keeper.enable(name, running.get(name, set()))
        self._log.info("the gate is put into a brand", brand=name)
        return self._reply([name], f"brand {name} has the gate")

    async def disable(self, request: Request) -> BrandReply:
        name = request.brand or ""
        text = self._keeper.disable(name, (self._running() or {}).get(name, ()))
        self._log.info("the gate is taken out of a brand", brand=name, what=text)
        _, _, up = self._keeper.known(name)
        still = f"; {', '.join(up)}: up, and asks until halted, so {self._program.path} stays" if up else ""
        return self._reply([name], f"brand {name}: {text}{still}")

    async def status(self, request: Request) -> BrandReply:
        self._check()
        names = self._keeper.names()
        if request.brand is not None and request.brand not in names:
            raise NotFound(f"there is no brand {request.brand!r}", hint=f"there are: {', '.join(names) or 'none'}")
        return self._reply([request.brand] if request.brand else names, "")

    def _reply(self, names: list[str], text: str) -> BrandReply:
        site = self._tools.dispatcher.survey.site
        zones = [each.config.brand for each in site.zones.values() if each.config and not each.absent] if site else []
        enabled = self._keeper.enabled()
        no_program = self._no_program()
        rows = []
        for name in names:
            how, said, old_hooks = self._keeper.known(name)
            fault = no_program if name in enabled else ""
            rows.append(
                BrandRow(
                    name=name,
                    enabled=name in enabled,
                    gate="missing" if fault else how,
                    text=fault or said,
                    zones=zones.count(name),
                    old_hooks=list(old_hooks),
                )
            )
        return BrandReply(brands=rows, text=text)

    def _no_program(self) -> str:
        """What is the matter with it, and what follows; empty: nothing."""
        if self._program.there():
            return self._program_fault  # it is an old one
        return without(self._program_fault or f"the gate program {self._program.path} is missing")


def _both(ours: Word, hooks: Word | None) -> Word:
    """What hooks refuse is refused; our own reason comes first."""
    if hooks is None or not ours.allowed:
        return ours
    return Word(hooks.allowed, ours.code if hooks.allowed else hooks.code, (*ours.lines, *hooks.lines))
