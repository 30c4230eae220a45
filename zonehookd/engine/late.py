"""Questions asked inside zones, which may be answered late or never: no zone holds up the look at all the others.

A look waits for them together, for a moment. What is not answered by then goes on by itself, and for this look the zone
could not be seen. When the last of its questions has ended, well or not, the zone is hinted at, and the next look gets
the answers. Until then nothing more is asked in there. One question may need the answer to another: what a look had
heard when it gave up comes with the rest, so each look gets further than the one before.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from zonehookd.errors import CannotObserve

PATIENCE_S = 2.0  # of a look, for all zones together
_FRESH_S = 10.0  # an older answer is asked for anew
_STALE_S = 60.0  # as are all of them, when the first was asked for so long ago
_SLOW_S = 600.0  # so long nobody waits again for a zone that was late: its answers come this way, too
Argv = tuple[str, ...]
Answers = Mapping[Argv, "asyncio.Future[object]"]


@dataclass(slots=True)
class _Asked:
    since_s: float
    first_s: float  # when the oldest answer was asked for, perhaps by a look before
    answers: dict[Argv, asyncio.Future[object]] = field(default_factory=dict)
    ended_s: float | None = None


class Late:
    """Bounded by the zones that run. `ended` is told which zone has answered, or will not. Monotonic seconds."""

    def __init__(self, ended: Callable[[str], None] = lambda zone: None) -> None:
        self._ended = ended
        self._asked: dict[str, _Asked] = {}
        self._slow_until_s: dict[str, float] = {}

    def patience_s(self, zone: str) -> float:
        return 0.0 if self._slow_until_s.get(zone, 0.0) > time.monotonic() else PATIENCE_S

    def add(self, zone: str, answers: Answers, waited_s: float, first_s: float) -> None:
        """Some of `answers` are not there yet, and no longer waited for; the others have been heard since `first_s`."""
        now = time.monotonic()
        for other in [each for each, until_s in self._slow_until_s.items() if until_s <= now]:
            del self._slow_until_s[other]
        if waited_s >= PATIENCE_S / 2:  # else it was others who used up the patience
            self._slow_until_s[zone] = now + _SLOW_S
        asked = self._asked.setdefault(zone, _Asked(now, first_s))
        for argv, answer in answers.items():
            if argv not in asked.answers:
                asked.answers[argv] = answer
                answer.add_done_callback(lambda _: self._one_ended(zone, asked))

    def take(self, zone: str) -> tuple[Answers, float]:
        """Answers that came late, once, and when the first was asked for. Raises CannotObserve while one is missing."""
        asked, now = self._asked.get(zone), time.monotonic()
        if asked is None:
            return {}, now
        if asked.ended_s is None:
            raise CannotObserve(f"zone {zone} has not answered for {now - asked.since_s:.0f} s")
        del self._asked[zone]
        if now - asked.ended_s > _FRESH_S or now - asked.first_s > _STALE_S:
            return {}, now
        return asked.answers, asked.first_s

    async def stop(self) -> None:
        """Whatever is still asked is given up."""
        pending = [each for asked in self._asked.values() for each in asked.answers.values() if not each.done()]
        for each in pending:
            each.cancel()
        if pending:
            await asyncio.wait(pending)

    def _one_ended(self, zone: str, asked: _Asked) -> None:
        if asked.ended_s is None and all(each.done() for each in asked.answers.values()):
            asked.ended_s = time.monotonic()
            if asked.ended_s - asked.since_s < PATIENCE_S / 2:
                self._slow_until_s.pop(zone, None)  # it is itself again
            self._ended(zone)
