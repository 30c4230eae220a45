"""All hooks and all zones: who is to be told what, and who waits for whom. A look is never held up here."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from zonehookd import log
from zonehookd.config import HooksSection
from zonehookd.engine.site import Site
from zonehookd.hooks import book
from zonehookd.hooks.asking import Asking, Decision
from zonehookd.hooks.calls import Called, Calls
from zonehookd.hooks.moments import Gated, Owed, merged, stage
from zonehookd.hooks.roll import Functions, Roll
from zonehookd.hooks.zone import Desk, OneZone
from zonehookd.host.audit import Audit
from zonehookd.host.files import write_atomically
from zonehookd.host.process import Processes
from zonehookd.model.event import Event
from zonehookd.model.gateway import GLOBAL
from zonehookd.model.outcome import Outcome, Result
from zonehookd.model.record import HOOK
from zonehookd.model.zone import Zone
from zonehookd.store.store import Store

_LOOK_S = 2.0  # until the folder is looked at again
_STOP_HEARD_S = 0.5  # how soon a stop is heard by a zone whose links wait for leave
_STOP_S = 5.0  # for calls that run when we are stopped
SINCE = "hooks.since"  # in [paths] state: from when on hooks are told of what happens
BOOT = "hooks.boot"  # in [paths] run, which a boot of the host empties: which boot it is


@dataclass(frozen=True, slots=True)
class Tools:
    """What of the daemon hooks need. `heard` is told of each call; `released`: a zone's links may be made now."""

    processes: Processes
    audit: Audit
    store: Store
    functions: Functions
    settings: Callable[[], HooksSection]
    state: Path
    run: Path
    stopping: Callable[[], bool]
    released: Callable[[str], None]
    heard: Callable[[Called], None]


class Hooks:
    """A Listener. `begin` before the first look, `run` beside the looks, `stop` after the last."""

    def __init__(self, tools: Tools) -> None:
        self.roll = Roll(tools.settings, tools.functions)
        self.last: dict[str, Called] = {}
        self.counts: Counter[tuple[str, str]] = Counter()  # hook and outcome
        self.zones: dict[str, OneZone] = {}
        self._tools = tools
        self._log = log.get()
        self._calls = Calls(tools.processes, tools.audit, tools.functions, self._heard)
        self._asking = Asking(self.roll, self._calls)
        self._desk = Desk(
            self.zones, self.roll, self._calls, tools.store, tools.stopping, tools.released, self._written
        )
        self._site: Site | None = None
        self._ended: set[str] = set()  # zones for which our steps were over at least once
        self._boot = ""
        self._first = False  # nobody was told anything before: what there is now is what there was
        self._starting = True  # no look was taken since hooks are there
        self._unwritten: set[str] = set()  # zones that are to be in the books before the books are complete

    # -- their life

    def begin(self) -> None:
        """Before the first look."""
        self._boot = self._this_boot()
        self.roll.look()
        self._open()

    def _open(self) -> None:
        """What our books say, if they are complete; else everything begins now."""
        records = list(self._tools.store.of_kind(HOOK))
        known = (self._tools.state / SINCE).exists() and not self._tools.store.rebuilt
        self._first, self._starting = not known, True
        if not self.roll.files or not known:
            for record in records:
                self._tools.store.forget(record.kind, record.name)
            self._mark(on=False)
            return
        for name, page in book.pages(records).items():
            self.zones[name] = OneZone(name, page.told, tuple(page.owed), page.about, missed=True)

    def _written(self, zone: str) -> None:
        """Once all are, a zone that is not in the books is one that came."""
        if self._unwritten:
            self._unwritten.discard(zone)
            if not self._unwritten:
                self._mark(on=True)

    def _mark(self, *, on: bool) -> None:
        mark = self._tools.state / SINCE
        try:
            if on:
                write_atomically(mark, f"{time.time():.0f}\n", 0o600)
            else:
                mark.unlink(missing_ok=True)
        except OSError as problem:
            self._log.error("cannot note since when hooks are told", error=str(problem))

    def _this_boot(self) -> str:
        """Zone ids begin anew with each boot of the host (zones sheet 1.1)."""
        mark = self._tools.run / BOOT
        try:
            return mark.read_text().strip()
        except OSError:
            token = secrets.token_hex(4)
        try:
            write_atomically(mark, token + "\n", 0o600)
        except OSError as problem:
            self._log.error("cannot note which boot of the host this is", error=str(problem))
        return token

    def note_boot(self) -> None:
        """The run folder was emptied under us, and the host has not booted. Raises OSError."""
        if self._boot:
            write_atomically(self._tools.run / BOOT, self._boot + "\n", 0o600)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_S)
            try:
                self.look()
            except Exception as problem:  # a full disk under the books is no reason to leave zones unwired
                self._log.error("hooks not looked at", error=repr(problem))

    def look(self) -> None:
        """At the folder: who is new there is told of all zones, as all are when we start."""
        before = self.roll.files
        new = self.roll.look()
        if self.roll.files == before:
            return
        if not before or not self.roll.files:  # from the first hook on, or until the last one
            self._begin_anew()
            return
        for z in self.zones.values():
            if z.told is not None and new:
                self._reconnect(z, new)
            z.refused.clear()
            z.not_before.clear()
            self._desk.wake(z)

    def _begin_anew(self) -> None:
        held = [z.name for z in self.zones.values() if z.held]
        for z in self.zones.values():  # who is just being called for is told nothing more after that
            z.owed, z.told, z.now = (), None, None
            z.woken.set()
        self.zones.clear()
        self._open()
        for name in held:
            self._tools.released(name)
        if self.roll.files and self._site is not None:
            self._look_at(self._site)

    async def stop(self) -> None:
        """Calls that run may end, for a while; nothing new is begun. What is owed is in the books."""
        for z in self.zones.values():
            z.woken.set()
        tasks: list[asyncio.Task[Any]] = [z.task for z in self.zones.values() if z.task is not None]
        tasks += self._asking.running
        if tasks:
            await asyncio.wait(tasks, timeout=_STOP_S)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # -- as a Listener

    def looked(self, site: Site, seconds: float, full: bool, planned: int, unannounced: int) -> None:
        if not self.roll.files:
            self._site = site
            if len(self._ended) > len(site.zones):  # somebody went, and nobody was told
                self._ended &= site.zones.keys()
        elif site is not self._site:
            self._look_at(site)

    def ended(self, outcome: Outcome) -> None:
        name = outcome.subject.name
        if outcome.subject.kind != "zone" or name in self._ended or outcome.result is Result.BLIND:
            return
        z = self.zones.get(name)
        if z is not None and z.held:
            return
        self._ended.add(name)
        if z is not None and z.zone is not None:
            self._notice(name, z.zone)

    def hinted(self, event: Event, new: bool) -> None:
        pass

    def blind(self, error: str) -> None:
        pass

    def queued(self, waiting: int, oldest_s: float, working: int) -> None:
        pass

    # -- what is seen

    def _look_at(self, site: Site) -> None:
        before, self._site = None if self._starting else self._site, site
        for name, zone in site.zones.items():
            if name == GLOBAL:
                continue
            if before is None or before.zones.get(name) != zone or before.of_zone(name) != site.of_zone(name):
                self._notice(name, zone)
        for name in self.zones.keys() - site.zones.keys():
            self._notice(name, None)
        if self._first and not self._unwritten:
            self._mark(on=True)
        self._first = self._starting = False

    def _notice(self, name: str, zone: Zone | None) -> None:
        z = self.zones.get(name)
        if z is None:
            if zone is None or zone.absent:
                return
            z = self.zones[name] = OneZone(name, baseline=self._first, missed=self._starting)
        now = stage(zone, z.told, name in self._ended, self._boot)
        if zone is not None and not zone.absent and self._site is not None:
            z.seen(zone, self._site.of_zone(name))
        if now == "unsure":
            return
        greeted, z.now = z.now != "unseen", now
        if now is None:
            self._ended.discard(name)
        elif z.baseline:
            z.now = now = replace(now, made=True)
            z.told, z.baseline = now, False
            z.dirty = z.at_once = True
            self._unwritten.add(name)
        if not greeted and now is not None and z.told is not None:
            self._reconnect(z, self.roll.files)
        self._desk.wake(z)

    def _reconnect(self, z: OneZone, hooks: Any) -> None:
        wanted = dict.fromkeys((each for each in self.roll.wanting("reconnect") if each in hooks), 0)
        z.owed = merged(z.owed, Owed("reconnect", time.time(), wanted))

    # -- who waits for hooks

    async def hold(self, name: str) -> str:
        """Before the links of a zone are made: why they are not to be; "": they may."""
        z = self.zones.get(name)
        if z is None or not self.roll.files or z.let_go or not z.waits_for_leave(self._asks_of_creation()):
            return ""
        settings = self.roll.settings()
        try:
            async with asyncio.timeout(settings.deadline_s):
                while z.waits_for_leave(self._asks_of_creation()) and z.unasked():
                    if self._tools.stopping():
                        return "we are stopping"
                    z.moved.clear()
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(_STOP_HEARD_S):
                            await z.moved.wait()
        except TimeoutError:
            if settings.on_failure.before_create == "allow":
                z.let_go = True
                self._log.error("links are made without the answer of a hook", zone=name)
                return ""
            z.held = f"a hook that may refuse it gave no answer within {settings.deadline_s:g} s"
            return z.held
        z.held = "; ".join(z.refused.values()) if z.waits_for_leave(wanted=False) else ""
        return z.held

    def _asks_of_creation(self) -> bool:
        return bool(self.roll.wanting("before-create"))

    async def ask(self, name: str, moment: Gated, limit_s: float) -> Decision | None:
        """Before a zone is booted, halted or uninstalled, by its brand's gate. None: no hook wants to know."""
        if not self._asking.wanted(moment):
            return None
        z = self.zones.get(name) or OneZone(name)  # one that no look has seen yet has no other call either
        return await self._asking.ask(z, moment, limit_s)

    def _heard(self, called: Called) -> None:
        self.last[called.hook] = called
        self.counts[called.hook, called.answer.outcome] += 1
        if called.answer.outcome not in ("ok", "later"):
            how = {"hook": called.hook, "zone": called.zone, "moment": called.moment}
            self._log.warning("hook", **how, result=called.answer.outcome, error=called.answer.text)
        self._tools.heard(called)
