"""One zone and what hooks are still to be told of it: one call at a time, in order, and again where that is wanted."""

from __future__ import annotations

import asyncio
import contextlib
import math
import sqlite3
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from zonehookd import log
from zonehookd.engine.attach import Attached
from zonehookd.hooks import book, telling
from zonehookd.hooks.book import Page
from zonehookd.hooks.calls import Answer, Calls
from zonehookd.hooks.moments import Moment, Owed, Stage, done, due, firsts, merged, next_call, tried
from zonehookd.hooks.roll import Roll
from zonehookd.model.record import HOOK
from zonehookd.model.zone import Zone
from zonehookd.store.store import Store

_PAUSE_S, _PAUSE_MAX_S = 1.0, 60.0  # until a hook is asked again; twice as long each time
_DOWN_S = 2.0  # until one that is just coming up is looked at again
_Key = tuple[str, Moment, float]  # hook, moment, when


@dataclass(slots=True)
class OneZone:
    """`told`: what its hooks know, or are owed; `now`: as it was seen last, ``unseen`` before that. `turn` is held
    while a hook is called for it, by whoever does. `held`: why its links are not made. `refused`: hook -> what it said
    of its creation, with this configuration. `baseline`: what it is when it is first seen is what it was."""

    name: str
    told: Stage | None = None
    owed: tuple[Owed, ...] = ()
    about: Mapping[str, Any] = field(default_factory=dict)
    now: Stage | Literal["unseen"] | None = "unseen"
    zone: Zone | None = None
    placed: Attached = field(default_factory=Attached)
    baseline: bool = False
    missed: bool = False  # what is due happened while nobody looked
    held: str = ""
    let_go: bool = False  # it was waited for long enough
    refused: dict[str, str] = field(default_factory=dict)
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    moved: asyncio.Event = field(default_factory=asyncio.Event)  # a call is over
    task: asyncio.Task[None] | None = None
    dirty: bool = False
    at_once: bool = False  # it is to be in the books before anybody is called
    not_before: dict[_Key, float] = field(default_factory=dict)
    failures: dict[_Key, int] = field(default_factory=dict)

    def seen(self, zone: Zone, placed: Attached) -> None:
        before = self.zone
        self.zone, self.placed = zone, placed
        if self.refused and before is not None and before.config != zone.config:
            self.refused.clear()  # another configuration, another answer
            self.not_before.clear()

    def shown(self) -> Mapping[str, Any]:
        """As hooks are told of it."""
        if self.zone is not None:
            return telling.about(self.zone, self.placed)
        return self.about or telling.nothing_known(self.name)

    def waits_for_leave(self, wanted: bool) -> bool:
        """Its creation is still to be agreed to. `wanted`: some hook wants to be asked."""
        new = self.told is None and isinstance(self.now, Stage)
        return (wanted and new) or any(each.moment == "before-create" for each in self.owed)

    def unasked(self) -> bool:
        """Somebody has not answered yet."""
        entries = (each for each in self.owed if each.moment == "before-create")
        return self.told is None or any(hook not in self.refused for each in entries for hook in each.hooks)


@dataclass(frozen=True, slots=True)
class Desk:
    """What serving a zone needs. `zones`: all that hooks are told of; who is not in it any more is not written down.
    `released`: the links of that zone may be made now; `written`: what its hooks were told is in the books."""

    zones: dict[str, OneZone]
    roll: Roll
    calls: Calls
    store: Store
    stopping: Callable[[], bool]
    released: Callable[[str], None]
    written: Callable[[str], None]

    def wake(self, z: OneZone) -> None:
        z.woken.set()
        if z.task is None and not self.stopping():
            z.task = asyncio.ensure_future(self._serve(z))

    async def _serve(self, z: OneZone) -> None:
        """Until nothing is owed."""
        try:
            while not self.stopping():
                z.woken.clear()
                try:
                    if not await self._serve_on(z):
                        break
                except Exception as problem:  # such as a full disk under the books; a zone at rest brings nobody back
                    log.get().error("hooks not told", zone=z.name, error=repr(problem))
                    await _woken(z, _PAUSE_MAX_S)
            with contextlib.suppress(sqlite3.Error):  # it was said when it failed before
                self._write(z)
        finally:
            z.task = None
        if z.told is None and z.now is None and not z.owed and self.zones.get(z.name) is z:
            del self.zones[z.name]

    async def _serve_on(self, z: OneZone) -> bool:
        """The next call, or a wait until there is one. False: nothing is owed."""
        self._take(z)
        self._release(z)
        call = next_call(z.owed, lambda entry, hook: self._ready(z, entry, hook))
        if call is not None:
            await self._tell(z, *call)
            return True
        self._write(z)
        if z.owed:
            times = (z.not_before.get((hook, each.moment, each.at), math.inf) for each, hook in firsts(z.owed))
            await _woken(z, min(times, default=math.inf) - time.monotonic())
        return bool(z.owed)

    # -- what is due

    def _take(self, z: OneZone) -> None:
        """What has happened becomes owed, and is in the books before anybody is called."""
        z.owed = tuple(each for each in (self._still(each) for each in z.owed) if each.hooks)
        if z.now == "unseen":
            return
        if z.now == z.told:
            z.missed = False
            if z.at_once:
                z.about = z.shown()
                self._write(z)
            return
        now = z.now
        assert now is None or isinstance(now, Stage)
        at = time.time()
        z.about = telling.gone(z.shown()) if now is None else z.shown()
        for moment in due(z.told, now):
            hooks = dict.fromkeys(self.roll.wanting(moment), 0)
            z.owed = merged(z.owed, Owed(moment, at, hooks, z.about, z.missed))
        z.told, z.missed = now, False
        z.dirty = z.at_once = True
        known = {(hook, each.moment, each.at) for each in z.owed for hook in each.hooks}
        z.not_before = {key: when for key, when in z.not_before.items() if key in known}
        z.failures = {key: times for key, times in z.failures.items() if key in known}
        self._write(z)

    def _still(self, owed: Owed) -> Owed:
        """Without hooks that are gone, or turn out not to want it."""
        hooks = {each: tries for each, tries in owed.hooks.items() if self.roll.wants(each, owed.moment) is not False}
        return owed if len(hooks) == len(owed.hooks) else Owed(owed.moment, owed.at, hooks, owed.about, owed.missed)

    def _write(self, z: OneZone) -> None:
        if not z.dirty or self.zones.get(z.name) is not z:
            return
        record = book.record(z.name, Page(z.told, z.owed, z.about))
        if record is not None:
            self.store.remember(record)
        else:
            self.store.forget(HOOK, z.name)
        z.dirty = z.at_once = False
        self.written(z.name)

    # -- telling it

    def _ready(self, z: OneZone, entry: Owed, hook: str) -> bool:
        key = (hook, entry.moment, entry.at)
        if z.not_before.get(key, 0.0) > time.monotonic():
            return False
        if self.roll.down(hook):
            z.not_before[key] = time.monotonic() + _DOWN_S
            return False
        return True

    async def _tell(self, z: OneZone, entry: Owed, hook: str) -> None:
        settings = self.roll.settings()
        tries = entry.hooks[hook] + 1
        cause = "missed" if entry.missed else "start" if entry.moment == "reconnect" else "look"
        async with z.turn:
            file = self.roll.files.get(hook)
            if self.stopping() or file is None:  # it went while we waited for our turn
                return
            answer = await self.calls.call(
                file,
                z.name,
                entry.moment,
                z.shown() if entry.moment in ("reconnect", "before-create") else entry.about,
                at=entry.at,
                cause=cause,
                tries=tries,
                deadline_s=settings.deadline_s,
                urgent=entry.moment == "before-create",
            )
        if self.stopping() and answer.outcome == "failed":
            return  # it was not begun, or was broken off
        z.owed = tried(z.owed, entry, hook)
        z.dirty = True
        self._judge(z, entry, hook, answer, tries)
        self._release(z)

    def _release(self, z: OneZone) -> None:
        z.moved.set()
        if z.held and not z.waits_for_leave(wanted=False):
            z.held = ""
            self.released(z.name)

    def _judge(self, z: OneZone, entry: Owed, hook: str, answer: Answer, tries: int) -> None:
        settings = self.roll.settings()
        key = (hook, entry.moment, entry.at)
        creation = entry.moment == "before-create"
        pause_s = min(_PAUSE_MAX_S, _PAUSE_S * 2 ** min(tries - 1, 10))
        z.not_before.pop(key, None)
        z.refused.pop(hook, None)
        match answer.outcome:
            case "ok":
                z.owed = done(z.owed, entry, hook)
            case "never" if creation:
                z.refused[hook] = f"hook {hook} refuses it: {answer.text}"
                z.not_before[key] = math.inf
            case "never":
                z.owed = done(z.owed, entry, hook)
            case "later":
                if creation:
                    z.refused[hook] = f"hook {hook} says not yet: {answer.text}"
                z.not_before[key] = time.monotonic() + max(_PAUSE_S, answer.again_after_s or pause_s)
            case _:
                z.failures[key] = z.failures.get(key, 0) + 1
                if creation and settings.on_failure.before_create == "refuse":
                    z.refused[hook] = f"hook {hook} failed: {answer.text}"
                    z.not_before[key] = time.monotonic() + pause_s
                elif creation or z.failures[key] > settings.retries:
                    z.owed = done(z.owed, entry, hook)
                    how = {"hook": hook, "zone": z.name, "moment": entry.moment, "tries": z.failures[key]}
                    log.get().error("hook given up", **how, error=answer.text)
                else:
                    z.not_before[key] = time.monotonic() + pause_s


async def _woken(z: OneZone, seconds: float) -> None:
    """Or so many seconds are over."""
    try:
        async with asyncio.timeout(None if math.isinf(seconds) else max(0.0, seconds)):
            await z.woken.wait()
    except TimeoutError:
        pass
