"""The floor under all sources: look now and then, whether or not anybody said anything."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from zonehookd.model.event import Event


class Poll:
    name = "poll"

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s

    async def events(self) -> AsyncGenerator[Event, None]:
        yield Event(self.name, "subscribed")
        while True:
            await asyncio.sleep(self._every_s)
            yield Event(self.name, "poll")
