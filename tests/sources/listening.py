"""A source under its supervisor, and what it said."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from types import TracebackType

from foreign_library import ForeignLibrary

from zonehookd.model.event import Event
from zonehookd.sources.libsysevent import Libsysevent
from zonehookd.sources.libzonecfg import Libzonecfg
from zonehookd.sources.source import Source, supervise
from zonehookd.sources.zone_channel import ZoneChannel

DEADLINE_S = 0.3
NOT_THERE = "/nowhere/libzonecfg.so.1"


class Listening:
    """`async with`: it is supervised inside the block, and has left the library after it."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.heard: list[Event] = []
        self.said: list[str] = []  # "up WAY", "down WHY", "never WHY"

    async def __aenter__(self) -> Listening:
        self._task = asyncio.create_task(supervise(self.source, self.heard.append, self))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])

    def source_up(self, name: str, text: str) -> None:
        self.said.append(f"up {text}")

    def source_down(self, name: str, reason: str, final: bool) -> None:
        self.said.append(f"{'never' if final else 'down'} {reason}")

    def words(self) -> list[tuple[str, str | None]]:
        return [(event.kind, event.zone) for event in self.heard]

    async def until(self, check: Callable[[], object], what: str, seconds: float = 60.0) -> None:
        deadline = time.monotonic() + seconds
        while not check():
            assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}; {self.said} {self.words()[-20:]}"
            await asyncio.sleep(0.005)

    async def until_heard(self, kind: str, zone: str | None) -> None:
        await self.until(lambda: (kind, zone) in self.words(), f"{kind} {zone}")

    async def until_up(self, way: str) -> None:
        await self.until(lambda: any(each.startswith(f"up {way}") for each in self.said), f"up {way}")


def by(
    zonecfg: ForeignLibrary | None,
    sysevent: ForeignLibrary | None = None,
    heartbeat_s: float = 60.0,
    deadline_s: float = DEADLINE_S,
    patience_s: float = 0.6,
) -> tuple[ZoneChannel, Listening]:
    """A channel by these libraries, the first one first; None: it is not there."""
    first = Libzonecfg(str(zonecfg.path) if zonecfg else NOT_THERE)
    second = str(sysevent.path) if sysevent else NOT_THERE
    channel = ZoneChannel((first, Libsysevent(second, second, patience_s)), heartbeat_s, deadline_s)
    return channel, Listening(channel)
