"""A plan: steps with their whys, or the reason for doing nothing. A value; nothing here acts."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from zonehookd.model.command import Change
from zonehookd.model.record import Record


@dataclass(frozen=True, slots=True)
class Remember:
    """Written before the thing is made, so that a crash in between leaves a record, never an orphan."""

    record: Record
    why: str


@dataclass(frozen=True, slots=True)
class Forget:
    """Does nothing when the record has gone to another owner meanwhile."""

    kind: str
    name: str
    why: str


@dataclass(frozen=True, slots=True)
class WriteFile:
    """Atomically: temporary name, fsync, rename. `mode` None: that, and the owner, of the file that is there."""

    path: Path
    content: str
    why: str
    mode: int | None = 0o644
    cause: str = ""  # as a Change's: this is a repair


@dataclass(frozen=True, slots=True)
class RemoveFile:
    path: Path
    why: str
    cause: str = ""


@dataclass(frozen=True, slots=True)
class WriteBlock:
    """Lines of ours in a text file that is somebody else's, between two comment lines that name plugin and subject; the
    rest is kept byte for byte. `body` "" takes them out. What is so already is no step, and the record of it is kept
    by itself: a plan simply says what shall stand there.
    """

    path: Path
    body: str
    why: str
    cause: str = ""


Step = Change | Remember | Forget | WriteFile | RemoveFile | WriteBlock
BLOCK = "block"  # the kind of record behind a WriteBlock; facts: path
GATEWAY_SHUT = "gateway-shut"  # the code of a Note that says that nothing goes through a gateway now
NoteKind = Literal["nothing", "waiting", "refused"]


@dataclass(frozen=True, slots=True)
class Note:
    """Why something is *not* done. `waiting` resolves by itself, `refused` needs somebody; `code` is for programs."""

    kind: NoteKind
    text: str
    code: str = ""
    object: str = ""
    hint: str = ""
    again_after_s: float | None = None  # waiting on something no event will announce


@dataclass(frozen=True, slots=True)
class Plan:
    steps: tuple[Step, ...] = ()
    notes: tuple[Note, ...] = ()

    @property
    def empty(self) -> bool:
        return not self.steps


def nothing(why: str) -> Plan:
    """Nothing to do, and the reason."""
    return Plan(notes=(Note("nothing", why),))


def describe(step: Step) -> str:
    """One line; pasteable, unless a command has a label."""
    match step:
        case Change():
            return step.label or shlex.join(step.argv)
        case Remember():
            return f"remember {step.record.kind} {step.record.name}"
        case Forget():
            return f"forget {step.kind} {step.name}"
        case WriteFile():
            return f"write {step.path} ({len(step.content)} characters)"
        case RemoveFile():
            return f"remove {step.path}"
        case WriteBlock():
            return f"{'write our lines into' if step.body else 'take our lines out of'} {step.path}"
