"""The kernel's zone status channel (zones sheet 2.1): by libzonecfg, else by libsysevent, else not at all.

Subscribe, then list (zones sheet 2.8). What happens between the two waits in the inbox, so no event is lost and nothing
need be listed inside a critical section. One ping still comes before `subscribed`, as a barrier (libzonecfg: an empty
section): it came back, so the channel does deliver, and whatever was published before it is older than the first
listing. If it says that something changed meanwhile, that is a hint like any other.

The same ping is the heartbeat when nothing has been heard for a while: silence is what has to be explained, and events
that queue while a section is open would be thrown away. A call that does not return means that the library's handle is
dead: it is left alone for the life of the process, and the next way is taken. That is libzonecfg, which waits for ever
for its ping; libsysevent says what is wrong, is closed, and opened anew after a pause.

An event comes *before* the state it announces can be seen (2.1), and may be the last one: so each is repeated a little
later, twice. The kernel may drop events without a word; the poll finds what was lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from functools import partial
from typing import Protocol, TypeVar

from zonehookd.model.event import Event
from zonehookd.sources.foreign import Caller, Hung
from zonehookd.sources.inbox import ZONES_MAX, Counts, Inbox
from zonehookd.sources.libsysevent import Libsysevent
from zonehookd.sources.libzonecfg import Libzonecfg
from zonehookd.sources.source import Unavailable

Result = TypeVar("Result")
HEARTBEAT_S = 10.0
_DEADLINE_S = 5.0  # of one call into a library; a ping passes a full queue in milliseconds, for nobody is called then
_ECHOES_S = (0.15, 1.5)  # when to look once more after an event


class Way(Protocol):
    """A library by which events come. All calls may block, and are made from one thread."""

    name: str

    def open(self, inbox: Inbox) -> None:
        """Raises Unavailable: never here. OSError: not now."""
        ...

    def beat(self) -> bool:
        """Returns when the channel has proved that it delivers; true: events were thrown away meanwhile. Raises OSError
        when it does not, and may be opened again."""
        ...

    def close(self) -> None: ...
    def abandon(self, why: str) -> None: ...


class ZoneChannel:
    name = "zone-channel"

    def __init__(
        self,
        ways: Sequence[Way] | None = None,
        heartbeat_s: float = HEARTBEAT_S,
        deadline_s: float = _DEADLINE_S,
        zones_max: int = ZONES_MAX,
        took: Callable[[float], None] = lambda seconds: None,
    ) -> None:
        """`took` is told how long each ping took that came back."""
        self._took = took
        self.counts = Counts()
        self._ways = (Libzonecfg(), Libsysevent()) if ways is None else ways
        self._heartbeat_s = heartbeat_s
        self._deadline_s = deadline_s
        self._zones_max = zones_max

    async def events(self) -> AsyncGenerator[Event, None]:
        """Raises Unavailable when no way will ever go, OSError when one may go later, Hung when one has just died."""
        loop = asyncio.get_running_loop()
        inbox = Inbox(self.counts, self._zones_max)
        echoes = _Echoes(self._zones_max)
        caller = Caller(self.name)
        used: list[Way] = []
        try:
            way, missed, text = await self._open(caller, inbox, used)
            yield Event(self.name, "subscribed", text=text)
            heard_s = loop.time()
            while True:
                if missed:
                    echoes.begin(None, loop.time())
                    yield Event(self.name, "missed")
                missed = False
                await inbox.wait(max(0.0, min(echoes.due_s(), heard_s + self._heartbeat_s) - loop.time()))
                zones, anything = inbox.take()
                now = loop.time()
                for zone, states in zones.items():
                    echoes.begin(zone, now)
                    for state in states:
                        yield Event(self.name, state, zone=zone)
                if anything:
                    echoes.begin(None, now)
                    yield Event(self.name, "anything")
                for echo in echoes.due(now):
                    yield Event(self.name, "echo", zone=echo)
                if zones or anything:
                    heard_s = now
                elif now - heard_s >= self._heartbeat_s:
                    missed = await self._beat(caller, way)
                    heard_s = loop.time()
        finally:
            for way in used:
                if not caller.lost:
                    with contextlib.suppress(Hung):  # we leave already, perhaps because the daemon ends
                        await self._call(caller, way, way.close)
            caller.end()

    async def _open(self, caller: Caller, inbox: Inbox, used: list[Way]) -> tuple[Way, bool, str]:
        """The first way that goes, whether its barrier missed something, and a line for people.

        `used` is filled with the ways that are to be closed at the end, whatever happens here.
        """
        refused: list[str] = []
        passing = False
        for way in self._ways:
            used.append(way)
            try:
                await self._call(caller, way, partial(way.open, inbox))
                missed = await self._beat(caller, way)
            except (Unavailable, OSError) as problem:
                refused.append(f"{way.name}: {problem}")
                passing = passing or isinstance(problem, OSError)
                continue
            return way, missed, f"{way.name} ({'; '.join(refused)})" if refused else way.name
        why = f"polling only ({'; '.join(refused)})"
        raise OSError(why) if passing else Unavailable(why)

    async def _beat(self, caller: Caller, way: Way) -> bool:
        began = time.monotonic()
        missed = await self._call(caller, way, way.beat)
        self._took(time.monotonic() - began)
        self.counts.heartbeats += 1
        self.counts.missed += missed
        return missed

    async def _call(self, caller: Caller, way: Way, function: Callable[[], Result]) -> Result:
        try:
            return await caller.call(function, self._deadline_s)
        except Hung as problem:
            way.abandon(str(problem))
            raise Hung(f"{way.name}: {problem}") from None


class _Echoes:
    """When each zone is looked at once more; None: whatever changed. Bounded like the inbox, and collapsing like it."""

    def __init__(self, zones_max: int) -> None:
        self._zones_max = zones_max
        self._times: dict[str | None, list[float]] = {}

    def begin(self, zone: str | None, now: float) -> None:
        if zone not in self._times and len(self._times) >= self._zones_max:
            zone = None
        self._times[zone] = [now + pause for pause in _ECHOES_S]

    def due_s(self) -> float:
        return min((times[0] for times in self._times.values()), default=float("inf"))

    def due(self, now: float) -> Iterator[str | None]:
        for zone, times in list(self._times.items()):
            later = [at for at in times if at > now]
            if later:
                self._times[zone] = later
            else:
                del self._times[zone]
            if len(later) < len(times):
                yield zone
