"""What a source is, and the supervisor that lets it die and live again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Protocol

from zonehookd.model.event import Event

_PAUSE_FIRST_S = 0.5
_PAUSE_MAX_S = 60.0


class Unavailable(Exception):
    """This source cannot work on this host (no library, no right): said once, not tried again and again."""


class Source(Protocol):
    name: str

    def events(self) -> AsyncGenerator[Event, None]:
        """Subscribes, yields an event ``subscribed`` to say so, then whatever comes. Raises when it breaks.

        The text of ``subscribed`` begins with the way by which events come, where there are several.
        """
        ...


class SourceListener(Protocol):
    def source_up(self, name: str, text: str) -> None: ...
    def source_down(self, name: str, reason: str, final: bool) -> None: ...


async def supervise(source: Source, hint: Callable[[Event], None], listener: SourceListener) -> None:
    """Runs until cancelled, or until the source says it can never work here."""
    pause_s = _PAUSE_FIRST_S
    while True:
        reason = "ended"
        try:
            async with aclosing(source.events()) as events:  # what it holds is given back before it is asked again
                async for event in events:
                    if event.kind == "subscribed":
                        listener.source_up(source.name, event.text)
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
