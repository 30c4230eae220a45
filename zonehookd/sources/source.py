"""What a source is, and the supervisor that lets it die and live again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Protocol

from zonehookd.model.event import Event

_PAUSE_FIRST_S = 0.5
_PAUSE_MAX_S = 60.0


class Unavailable(Exception):
    """This source cannot work on this host (no library, no right): said once, not tried again and again."""


class Source(Protocol):
    name: str

    def events(self) -> AsyncIterator[Event]:
        """Subscribes, yields an event ``subscribed`` to say so, then whatever comes. Raises when it breaks."""
        ...


class SourceListener(Protocol):
    def source_up(self, name: str) -> None: ...
    def source_down(self, name: str, reason: str, final: bool) -> None: ...


async def supervise(source: Source, hint: Callable[[Event], None], listener: SourceListener) -> None:
    """Runs until cancelled, or until the source says it can never work here."""
    pause_s = _PAUSE_FIRST_S
    while True:
        reason = "ended"
        try:
            async for event in source.events():
                if event.kind == "subscribed":
                    listener.source_up(source.name)
                    pause_s = _PAUSE_FIRST_S
                hint(event)
        except Unavailable as problem:
            listener.source_down(source.name, str(problem), True)
            return
        except Exception as problem:  # whatever broke: the others go on, and so will this one
            reason = repr(problem)
        listener.source_down(source.name, reason, False)
        await asyncio.sleep(pause_s)
        pause_s = min(pause_s * 2, _PAUSE_MAX_S)
