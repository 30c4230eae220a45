"""What comes over the wire is taken for no more than it may be: it is kept, counted and shown to people."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from zonehookd.model.plan import Note, WriteFile
from zonehookd.model.subject import zone
from zonehookd.wire.messages import SubjectAnswer
from zonehookd.wire.steps import received

WEB1 = zone("web1")


def answer(*, note: Any = None, step: Any = None) -> SubjectAnswer:
    return SubjectAnswer.model_validate(
        {"subject": "zone:web1", "notes": [note] if note else [], "steps": [step] if step else []}
    )


def test_a_note_is_short_and_steers_no_terminal() -> None:
    said = answer(note={"kind": "waiting", "text": "\x1b[2J" + "x" * 100_000, "hint": "\x07", "again_after_s": 30.0})
    (note,) = received(said.steps, said.notes, "probe", WEB1).notes
    assert len(note.text) < 5_000 and note.text.isprintable() and note.hint == "?" and note.again_after_s == 30.0


@pytest.mark.parametrize("wish", [1e-9, 0.5])
def test_nobody_keeps_us_looking(wish: float) -> None:
    said = answer(note={"kind": "waiting", "text": "soon", "again_after_s": wish})
    assert received(said.steps, said.notes, "probe", WEB1).notes == (Note("waiting", "soon", again_after_s=1.0),)


def test_the_why_of_a_step_is_short_too() -> None:
    said = answer(step={"do": "write", "path": "/x", "content": "y" * 100_000, "why": "z" * 100_000})
    (step,) = received(said.steps, said.notes, "probe", WEB1).steps
    assert isinstance(step, WriteFile) and len(step.why) < 5_000 and len(step.content) == 100_000
    assert step.path == Path("/x")


@pytest.mark.parametrize(
    "wrong",
    [
        {"do": "write", "path": "/x", "content": "", "why": "w", "mode": 1 << 40},
        {"do": "write", "path": "/x", "content": "", "why": "w", "mode": -1},
        {"do": "remove", "path": "/x", "why": "w", "cause": "one of ever so many words, each a series of its own"},
    ],
)
def test_what_the_wire_does_not_know(wrong: Any) -> None:
    with pytest.raises(ValidationError):
        answer(step=wrong)
