"""What `plugin-try` answers."""

from __future__ import annotations

from pydantic import BaseModel

from zonehookd.bus.messages import NoteRow, StepRow


class AskedRow(BaseModel):
    """A command that the plugin asked for. `seconds` until it was answered; `status` None: it was not, for `error`."""

    command: str
    seconds: float
    status: int | None
    error: str = ""


class TrialReply(BaseModel):
    """Of the plugin alone: what it would do for this subject now. `blind`, `failed`: why it planned nothing.
    `remarks`: what a look would go on doing for ever, or do otherwise each time; each with its cure. `start_s`,
    `plan_s`: until it was ready, and until it had planned. `changes`: steps that change the host."""

    plugin: str
    shape: str
    about: str
    kind: str
    name: str
    steps: list[StepRow]
    notes: list[NoteRow]
    blind: str
    failed: str
    remarks: list[str]
    asked: list[AskedRow]
    changes: int
    start_s: float
    plan_s: float
