"""What is wrong with a plan that could be carried out: steps that change nothing, and plans that change by themselves.

Both make a plugin that is never done, and both can be told before anything is applied.
"""

from __future__ import annotations

from collections.abc import Iterator

from zonehookd.engine.abroad import Answer
from zonehookd.engine.look import Look
from zonehookd.errors import CannotObserve
from zonehookd.model.plan import Forget, Remember, RemoveFile, Step, WriteFile, describe


def needless(answer: Answer, look: Look) -> Iterator[str]:
    """Steps that would leave all as it is: they come again at every look."""
    for step in answer.plan.steps:
        try:
            so = _is_so(step, look)
        except CannotObserve:
            continue
        if so:
            yield f"{describe(step)}: it is so already, and would be done at every look; plan it only when it is not so"


def _is_so(step: Step, look: Look) -> bool:
    match step:
        case WriteFile():
            return look.read_file(step.path) == step.content
        case RemoveFile():
            return look.stamp(step.path) is None
        case Remember():
            return look.store.one(step.record.kind, step.record.name) == step.record
        case Forget():
            return look.store.one(step.kind, step.name) is None
    return False  # a block that stands is no step; what a command does, nobody knows beforehand


def fickle(one: Answer, other: Answer) -> Iterator[str]:
    """Two answers to the same question."""
    if one == other:
        return
    cure = "plan only from what it is shown and what observe has seen: no clock, no chance, no memory"
    yield f"asked twice it planned {_told(one)}, then {_told(other)}; {cure}"


def _told(answer: Answer) -> str:
    said = [*(describe(step) for step in answer.plan.steps), *(note.text for note in answer.plan.notes)]
    return "; ".join(said[:3]) or answer.blind or answer.failed or "nothing"
