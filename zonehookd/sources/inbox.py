"""Where callbacks on foreign threads leave what they heard of zones: bounded, and the callback never waits.

A subscriber of the zone channel that stalls loses events for every subscriber of the host (zones sheet 2.6), so a
callback does one thing: it notes a word under the zone's name, and wakes the loop if nobody has yet. What waits is
bounded by the number of zones times the words that states have; whoever publishes more names than that gets one look at
whatever changed instead of a look at each.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import threading
from dataclasses import dataclass

ZONES_MAX = 10_000  # illumos has 8192 zone ids
_NAME = re.compile(rb"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")  # (zones sheet 4.5)
_STATES = {  # the kernel's words (zones sheet 2.1) and what SmartOS adds (2.4); a word becomes a label of a metric
    word.encode(): word
    for word in (
        "uninitialized",
        "initialized",
        "ready",
        "running",
        "shutting_down",
        "free",
        "configured",
        "incomplete",
        "installed",
    )
}
_OTHER = "other"


@dataclass(slots=True)
class Counts:
    """Since the start: what came by the channel, and what of it could not be told by name."""

    heard: int = 0
    unreadable: int = 0  # a name that no zone can have, or no name at all
    crowded: int = 0  # names beyond what the inbox holds
    failed: int = 0  # callbacks that raised
    heartbeats: int = 0  # answered ones
    missed: int = 0  # of those, how many said that events were thrown away meanwhile


class Inbox:
    """`put` is for any thread, the rest for the loop that was running when it was made."""

    def __init__(self, counts: Counts, zones_max: int = ZONES_MAX) -> None:
        self.counts = counts
        self._zones_max = zones_max
        self._loop = asyncio.get_running_loop()
        self._arrived = asyncio.Event()
        self._lock = threading.Lock()  # held for a few instructions, by either side
        self._zones: dict[str, dict[str, None]] = {}  # zone -> its states, each once, the latest last
        self._anything = False

    def put(self, name: bytes | None, state: bytes | None) -> int:
        """What a callback returns: always 0, consumed. EAGAIN would keep the event in a slot of everybody's."""
        counts = self.counts
        try:
            readable = name is not None and _NAME.fullmatch(name) is not None
            zone = name.decode("ascii") if readable and name is not None else ""
            word = _STATES.get(state or b"", _OTHER)
            with self._lock:
                counts.heard += 1
                if zone == "global":
                    return 0  # nothing is wired for it
                first = not self._zones and not self._anything
                known = self._zones.get(zone)
                if known is not None:
                    known.pop(word, None)
                    known[word] = None
                elif not readable:
                    counts.unreadable += 1
                    self._anything = True
                elif len(self._zones) >= self._zones_max:
                    counts.crowded += 1
                    self._anything = True
                else:
                    self._zones[zone] = {word: None}
            if first:
                self._wake()
        except Exception:  # no memory, say: nobody is there to raise to, and the event must not be lost
            counts.failed += 1
            self._anything = True
            self._wake()
        return 0

    def _wake(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody listens any more
            self._loop.call_soon_threadsafe(self._arrived.set)

    def __len__(self) -> int:
        """How many zones wait."""
        return len(self._zones)

    async def wait(self, seconds: float | None) -> None:
        """Until something is there, or the time is over; None: for ever."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._arrived.wait()

    def take(self) -> tuple[dict[str, list[str]], bool]:
        """The states of each zone, the latest last; and whether something changed that has no name."""
        self._arrived.clear()
        with self._lock:
            zones, self._zones = self._zones, {}
            anything, self._anything = self._anything, False
        return {zone: list(states) for zone, states in zones.items()}, anything
