"""What was heard about each subject and done for it, with durations: the last entries of each, in memory.

It begins with the daemon, survives a reload, and is bounded: by subject, and over all of them. What it does not hold is
counted. The audit log has every command; a line there has the same `change`.
"""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Literal

from zonehookd.engine.site import Site
from zonehookd.model import subject
from zonehookd.model.correlation import CURRENT, NONE, Correlation
from zonehookd.model.event import Event
from zonehookd.model.outcome import Outcome, Result, StepResult
from zonehookd.model.plan import describe
from zonehookd.model.subject import Subject

OF_ONE = 200  # entries
OF_ALL = 20_000
How = Literal["heard", "done", "failed", "waiting", "refused", "begun"]


@dataclass(frozen=True, slots=True)
class Entry:
    """`at`: when it began, unix seconds; of ``settled`` when it ended. `what`: ``event``, ``look``, ``plugin NAME``,
    ``hook NAME``, ``settled``. `seconds` None: a moment, or not over yet."""

    at: float
    what: str
    result: How
    text: str
    seconds: float | None = None
    change: str = ""
    cause: str = ""


@dataclass(slots=True)
class _Ring:
    entries: deque[Entry] = field(default_factory=deque)
    forgotten: int = 0
    last: Correlation = NONE
    began_s: float | None = None  # of the change that is open, monotonic seconds


class Timeline:
    """A Listener. Everything is O(1), whatever is heard."""

    def __init__(self, of_one: int = OF_ONE, of_all: int = OF_ALL) -> None:
        self.began_at = time.time()
        self._of_one, self._of_all = of_one, of_all
        self._rings: OrderedDict[Subject, _Ring] = OrderedDict()  # who was touched last is last
        self._held = 0

    def add(self, zone: str, what: str, began_s: float, seconds: float, result: How, text: str) -> None:
        """An entry about a zone by somebody who is no plugin, such as a hook. `began_s` is on the monotonic clock; the
        change is the one the running task works on, else the last of that zone."""
        each = subject.zone(zone)
        known = self._rings.get(each)
        self._enter(each, CURRENT.get(), what, began_s, seconds, result, text, known.last if known else NONE)

    def of(self, each: Subject) -> Sequence[Entry]:
        """The oldest first."""
        ring = self._rings.get(each)
        return tuple(ring.entries) if ring else ()

    def forgotten(self, each: Subject) -> int:
        """Entries that were there and had to go."""
        ring = self._rings.get(each)
        return ring.forgotten if ring else 0

    # -- as a Listener

    def hinted(self, event: Event, new: bool) -> None:
        if event.zone is None or event.everything:
            return
        now, text = time.monotonic(), f"{event.source}: {event.kind}"
        self._enter(subject.zone(event.zone), Correlation(event.change), "event", now, None, "heard", text)

    def looked(self, site: Site, seconds: float, full: bool, planned: int, unannounced: int) -> None:
        pass

    def blind(self, error: str) -> None:
        pass

    def queued(self, waiting: int, oldest_s: float, working: int) -> None:
        pass

    def ended(self, outcome: Outcome) -> None:
        """Nothing of a look that found nothing, and that nobody asked for."""
        tag = outcome.correlation
        if tag is NONE:
            return
        now = time.monotonic()
        began_s = now - outcome.seconds
        ring = self._rings.get(outcome.subject)
        settles = ring is not None and ring.began_s is not None and outcome.result is Result.NOOP
        if settles:
            assert ring is not None and ring.began_s is not None
            self._enter(outcome.subject, tag, "settled", now, now - ring.began_s, *_settled(outcome))
            ring.began_s = None
            return
        looked_s = outcome.seconds - sum(done.seconds for done in outcome.steps)
        self._enter(outcome.subject, tag, "look", began_s, max(0.0, looked_s), *_looked(outcome))
        for step_began_s, done in _steps(outcome.steps, now):
            result: How = "done" if done.ok else "failed"
            text = describe(done.step) + (f": {done.error}" if done.error else "")
            self._enter(outcome.subject, tag, f"plugin {done.plugin}", step_began_s, done.seconds, result, text)
        ring = self._rings[outcome.subject]
        if outcome.result is Result.NOOP:
            ring.began_s = None
        elif ring.began_s is None:
            ring.began_s = began_s - outcome.waited_s

    # -- keeping

    def _enter(
        self,
        each: Subject,
        tag: Correlation,
        what: str,
        began_s: float,
        seconds: float | None,
        result: How,
        text: str,
        otherwise: Correlation = NONE,
    ) -> None:
        ring = self._rings.setdefault(each, _Ring())
        self._rings.move_to_end(each)
        tag = tag if tag.change else otherwise
        ring.last = tag if tag.change else ring.last
        at = time.time() - (time.monotonic() - began_s)
        ring.entries.append(Entry(at, what, result, text, seconds, tag.change, tag.cause or tag.change))
        self._held += 1
        if len(ring.entries) > self._of_one:
            self._drop(ring)
        while self._held > self._of_all:
            oldest = next(iter(self._rings))
            self._drop(self._rings[oldest])
            if not self._rings[oldest].entries:
                del self._rings[oldest]

    def _drop(self, ring: _Ring) -> None:
        ring.entries.popleft()
        ring.forgotten += 1
        self._held -= 1


def _steps(steps: Sequence[StepResult], end_s: float) -> Collection[tuple[float, StepResult]]:
    """Each with when it began: one follows the other, and the last ended just now."""
    found = []
    for done in reversed(steps):
        end_s -= done.seconds
        found.append((end_s, done))
    return found[::-1]


def _looked(outcome: Outcome) -> tuple[How, str]:
    waited = f"after {outcome.waited_s:.3g} s: "
    if outcome.error and not outcome.steps:
        return "failed", waited + outcome.error
    if outcome.steps:
        never = f"; {outcome.error}" if outcome.result is Result.UNSETTLED else ""
        steps = f"{len(outcome.steps)} step{'s' if len(outcome.steps) > 1 else ''}"
        return ("failed" if never else "done"), f"{waited}{steps}{never}"
    how, text = _settled(outcome)
    return how, waited + text


def _settled(outcome: Outcome) -> tuple[How, str]:
    """What is left when there is nothing to do."""
    for kind in ("refused", "waiting"):
        notes = [note for note in outcome.notes if note.kind == kind]
        if notes:
            return ("refused" if kind == "refused" else "waiting"), "; ".join(note.text for note in notes)
    return "done", "nothing to do"
