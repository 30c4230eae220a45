"""Do backends answer? Asked in the background, for as long as some plugin wants to know; a look never waits for it.

What a plugin hears is what was found last; when that changes, the gateway is hinted at, and the next look sees it. One
that has not answered yet is asked twice a second, so what becomes ready is known at once; one that has is asked
seldom. Nothing is kept over a restart: what nobody has asked yet is unknown, not ill.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncGenerator, Collection, Mapping
from dataclasses import dataclass, field

from zonehookd.errors import CannotObserve, CommandError
from zonehookd.host.doors import Commands
from zonehookd.illumos import probe
from zonehookd.illumos.probe import AT_ONCE_MAX, Answer, Probe
from zonehookd.model.event import Event
from zonehookd.model.network import Ip

_SOON_S, _LATER_S = 0.5, 10.0  # between two questions to one that does not answer, and to one that does
_PER_SECOND = 20  # of those who answer
_FAILS = 2  # one that answered is ill when it has failed so often in a row
_PATIENT = 60  # so many questions in vain before they come more seldom: about a fiftieth of the time it has been ill
_FORGET_S = 180.0  # longer than a full look takes to come: nobody asks for it any more
_GATHER_S = 1.0  # who is well and due so soon is asked together with who is due now
_TROUBLE_MAX = 300  # letters: it stands in our books, once for each backend that waits


@dataclass(slots=True)
class _Asked:
    answer: Answer | None = None
    fails: int = 0
    vain: int = 0  # questions since it was last well, those included that nobody could ask
    due_s: float = 0.0


@dataclass(slots=True)
class _Zone:
    """All that is to be asked in one zone. `trouble`: why nobody could be asked there."""

    targets: dict[Probe, _Asked] = field(default_factory=dict)
    wanted_s: float = 0.0
    running: bool = False
    trouble: str = ""


class Health:
    name = "health"

    def __init__(self, commands: Commands, soon_s: float = _SOON_S, later_s: float = _LATER_S) -> None:
        self._commands = commands
        self._soon_s, self._later_s = soon_s, later_s
        self._zones: dict[str, _Zone] = {}
        self._changed: dict[str, None] = {}  # zones to be hinted at
        self._news = asyncio.Event()
        self._wake = asyncio.Event()

    def answers(self, where: str, wanted: Collection[Probe]) -> Mapping[Probe, Answer]:
        """What is known of these, and from now on exactly these are asked in that zone. Missing: not known yet."""
        zone = self._zones.setdefault(where, _Zone())
        zone.wanted_s = time.monotonic()
        if zone.targets.keys() != set(wanted):
            zone.targets = {each: zone.targets.get(each) or _Asked() for each in wanted}
            self._wake.set()
        return {each: asked.answer for each, asked in zone.targets.items() if asked.answer is not None}

    def trouble(self, where: str) -> str:
        """Why nobody can be asked in that zone; "" when that is no trouble."""
        return self._zones[where].trouble if where in self._zones else ""

    async def events(self) -> AsyncGenerator[Event, None]:
        yield Event(self.name, "subscribed")
        async with asyncio.TaskGroup() as tasks:
            asking = tasks.create_task(self._ask_all(tasks))
            try:
                while True:
                    await self._news.wait()
                    self._news.clear()
                    changed, self._changed = self._changed, {}
                    for where in changed:
                        yield Event(self.name, "answered", zone=where)
            finally:
                asking.cancel()

    async def _ask_all(self, tasks: asyncio.TaskGroup) -> None:
        while True:
            now = time.monotonic()
            at = now + self._later_s
            for where, zone in list(self._zones.items()):
                if now - zone.wanted_s > _FORGET_S:
                    del self._zones[where]
                    continue
                due = [] if zone.running else _due(zone.targets, now)
                if due:
                    zone.running = True
                    tasks.create_task(self._ask(where, zone, due))
                elif not zone.running:
                    at = min(at, *(asked.due_s for asked in zone.targets.values()), at)
            self._wake.clear()
            try:
                async with asyncio.timeout(max(0.01, at - now)):
                    await self._wake.wait()
            except TimeoutError:
                pass

    async def _ask(self, where: str, zone: _Zone, due: list[Probe]) -> None:
        trouble = ""
        found: Mapping[Probe, Answer] = {}
        query = probe.probes(where, due)
        try:
            finished = await self._commands.run(query, why="do backends answer", subject=None)
            found = query.parse(finished.reply)
        except (CannotObserve, CommandError, ValueError, OSError) as problem:  # OSError: no process to be had just now
            trouble = _one_line(str(problem))
        finally:
            zone.running = False  # also when we end in the middle: whoever comes after us asks again
        now = time.monotonic()
        calm_s = max(self._later_s, len(zone.targets) / _PER_SECOND)
        changed = trouble != zone.trouble
        zone.trouble = trouble
        for each in due:
            asked = zone.targets.get(each)
            if asked is None:
                continue
            answer = found.get(each)
            if answer is not None:
                asked.fails = 0 if answer.well else asked.fails + 1
                was = asked.answer
                if answer.well or was is None or not was.well or asked.fails >= _FAILS:
                    asked.answer = answer
                    changed = changed or was is None or was.well is not answer.well
            asked.vain = 0 if answer is not None and answer.well else asked.vain + 1
            well = asked.answer is not None and asked.answer.well and not asked.fails
            again_s = min(self._soon_s * max(1.0, asked.vain / _PATIENT), self._later_s / 2)
            asked.due_s = now + (calm_s if well else again_s)
        if changed:
            self._changed[where] = None
            self._news.set()
        self._wake.set()


def _due(targets: Mapping[Probe, _Asked], now: float) -> list[Probe]:
    """Whom to ask now: the longest waiting first, but of every address one before a second of any. So who offers much
    and answers nothing keeps nobody else waiting."""
    due = sorted(
        (asked.due_s, number, each) for number, (each, asked) in enumerate(targets.items()) if asked.due_s <= now
    )
    if not due:
        return []
    soon = now + _GATHER_S
    well = (each for each, asked in targets.items() if now < asked.due_s <= soon and asked.answer and asked.answer.well)
    turns: Counter[Ip] = Counter()
    order = []
    for number, each in enumerate((*(each for _, _, each in due), *well)):
        order.append((turns[each.address], number, each))
        turns[each.address] += 1
    return [each for _, _, each in sorted(order)[:AT_ONCE_MAX]]


def _one_line(text: str) -> str:
    """Whoever is root in that zone may have had a hand in it."""
    return "".join(each if each.isprintable() else " " for each in text)[-_TROUBLE_MAX:]
