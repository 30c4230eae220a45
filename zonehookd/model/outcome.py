"""What became of one subject in one look."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from zonehookd.model.correlation import NONE, Correlation
from zonehookd.model.plan import Note, Step
from zonehookd.model.subject import Subject


class Result(enum.StrEnum):
    NOOP = "noop"  # looked, nothing to do
    CHANGED = "changed"
    BUSY = "busy"  # something holds it; tried again by itself
    FAILED = "failed"  # a step failed; tried again with growing pauses
    STUCK = "stuck"  # failed in a way only a change can mend
    BLIND = "blind"  # could not look; nothing was planned
    UNSETTLED = "unsettled"  # done several times over and still not as planned


@dataclass(frozen=True, slots=True)
class StepResult:
    plugin: str
    step: Step
    ok: bool
    seconds: float
    error: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    subject: Subject
    result: Result
    steps: tuple[StepResult, ...] = ()
    notes: tuple[Note, ...] = ()
    error: str = ""
    waited_s: float = 0.0  # from the first hint to the start of the look
    seconds: float = 0.0  # from the start of the look to the end of the last step
    correlation: Correlation = NONE  # none: a look that found nothing new, and that nobody asked for
