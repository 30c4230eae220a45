"""Plans as they are sent. What a plugin elsewhere remembers is kept under a kind of its own: no record of ours can be
made by it, and so nothing of ours be taken for its own, or for nobody's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from zonehookd.errors import PluginFailed, last_of
from zonehookd.model.command import Change, judge_default
from zonehookd.model.plan import Forget, Note, Plan, Remember, RemoveFile, Step, WriteBlock, WriteFile, describe
from zonehookd.model.record import Record
from zonehookd.model.subject import Subject

STEPS_MAX = 1000  # for one subject
_TIMEOUT_MAX_S = 120.0
_AGAIN_MIN_S = 1.0  # whoever asks to be looked at sooner would keep us looking
Cause = Literal["", "missing", "altered"]  # of a repair


class _Frame(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RecordFrame(_Frame):
    kind: str = Field(min_length=1)
    name: str = Field(min_length=1)
    facts: dict[str, str] = Field(default_factory=dict)


class RunFrame(_Frame):
    """A command that changes something; `only_if`: only while this record is as it is."""

    do: Literal["run"] = "run"
    argv: list[str] = Field(min_length=1)
    why: str
    stdin: str = ""
    timeout_s: float = Field(60.0, gt=0, le=_TIMEOUT_MAX_S)
    secret: bool = False
    cause: Cause = ""
    label: str = ""
    shows: list[str] = Field(default_factory=list)
    only_if: RecordFrame | None = None


class WriteFrame(_Frame):
    """`mode` null: as the file is that is there."""

    do: Literal["write"] = "write"
    path: str
    content: str
    why: str
    mode: Annotated[int, Field(ge=0, le=0o7777)] | None = 0o644
    cause: Cause = ""


class RemoveFrame(_Frame):
    do: Literal["remove"] = "remove"
    path: str
    why: str
    cause: Cause = ""


class BlockFrame(_Frame):
    """Lines of its own for this subject in somebody else's file; `body` "": none. Always sent: it is a step only if it
    is not so already."""

    do: Literal["block"] = "block"
    path: str
    body: str
    why: str
    cause: Cause = ""


class RememberFrame(_Frame):
    do: Literal["remember"] = "remember"
    record: RecordFrame
    why: str


class ForgetFrame(_Frame):
    do: Literal["forget"] = "forget"
    kind: str
    name: str
    why: str


class NoteFrame(_Frame):
    """Why something is not done: ``nothing`` to do, ``waiting`` resolves by itself, ``refused`` needs somebody."""

    kind: Literal["nothing", "waiting", "refused"]
    text: str
    code: str = ""
    object: str = ""
    hint: str = ""
    again_after_s: float | None = Field(None, gt=0)


StepFrame = Annotated[
    RunFrame | WriteFrame | RemoveFrame | BlockFrame | RememberFrame | ForgetFrame, Field(discriminator="do")
]
AnyFrame = RunFrame | WriteFrame | RemoveFrame | BlockFrame | RememberFrame | ForgetFrame


def own_kind(plugin: str, kind: str) -> str:
    """Under which kind a record of that plugin is kept."""
    return f"{plugin}/{kind}"


def sent(plan: Plan) -> tuple[list[AnyFrame], list[NoteFrame]]:
    """Raises PluginFailed for what cannot be sent, with the step or note it is about."""
    if len(plan.steps) > STEPS_MAX:
        raise PluginFailed(f"plan: {len(plan.steps)} steps for one subject, and {STEPS_MAX} are the most")
    return [_framed(step) for step in plan.steps], [_note(note) for note in plan.notes]


def _framed(step: Step) -> AnyFrame:
    try:
        return _sent(step)
    except ValidationError as problem:
        raise PluginFailed(
            f"plan: {type(step).__name__} of which the why is {step.why!r}: {_fault(problem)}"
        ) from problem


def _note(note: Note) -> NoteFrame:
    try:
        return NoteFrame(
            kind=note.kind,
            text=note.text,
            code=note.code,
            object=note.object,
            hint=note.hint,
            again_after_s=note.again_after_s,
        )
    except ValidationError as problem:
        raise PluginFailed(f"plan: the note {note.text!r}: {_fault(problem)}") from problem


def _fault(problem: ValidationError) -> str:
    first = problem.errors(include_url=False)[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}, found {first['input']!r:.80}"


def _sent(step: Step) -> AnyFrame:
    match step:
        case Change():
            if step.judge is not judge_default:
                raise PluginFailed(f"plan: {describe(step)!r}: a judge of one's own cannot be sent")
            if step.silent or step.user:
                what = "silent" if step.silent else "user"
                raise PluginFailed(f"plan: {describe(step)!r}: {what} is not for plugins in a process of their own")
            given = {name: getattr(step, name) for name in ("stdin", "timeout_s", "secret", "cause", "label")}
            only_if = None if step.only_if is None else _record_sent(step.only_if)
            return RunFrame(argv=list(step.argv), why=step.why, shows=list(step.shows), only_if=only_if, **given)
        case WriteFile():
            return WriteFrame(path=str(step.path), content=step.content, why=step.why, mode=step.mode, cause=step.cause)
        case RemoveFile():
            return RemoveFrame(path=str(step.path), why=step.why, cause=step.cause)
        case WriteBlock():
            return BlockFrame(path=str(step.path), body=step.body, why=step.why, cause=step.cause)
        case Remember():
            return RememberFrame(record=_record_sent(step.record), why=step.why)
        case Forget():
            return ForgetFrame(kind=step.kind, name=step.name, why=step.why)


def _record_sent(record: Record) -> RecordFrame:
    return RecordFrame(kind=record.kind, name=record.name, facts=dict(record.facts))


def received(steps: Sequence[AnyFrame], notes: Sequence[NoteFrame], plugin: str, subject: Subject) -> Plan:
    """The plan, as `plugin`'s for `subject`, whatever it said of whose a record is. What is kept, and shown to people,
    is bounded. Raises PluginFailed."""
    if len(steps) > STEPS_MAX:
        raise PluginFailed(f"plan: {len(steps)} steps for {subject}, and {STEPS_MAX} are the most")
    return Plan(
        tuple(_received(step, plugin, subject) for step in steps),
        tuple(_noted(each) for each in notes),
    )


def _noted(note: NoteFrame) -> Note:
    again_s = None if note.again_after_s is None else max(_AGAIN_MIN_S, note.again_after_s)
    text, code, about, hint = (last_of(each) for each in (note.text, note.code, note.object, note.hint))
    return Note(note.kind, text, code, about, hint, again_s)


def _received(step: AnyFrame, plugin: str, subject: Subject) -> Step:
    def record(frame: RecordFrame) -> Record:
        return Record(own_kind(plugin, frame.kind), frame.name, subject, plugin, frame.facts)

    why = last_of(step.why)
    match step:
        case RunFrame():
            return Change(
                tuple(step.argv), why, step.timeout_s, step.stdin, step.secret, step.cause,
                None if step.only_if is None else record(step.only_if),
                label=last_of(step.label), shows=tuple(step.shows),
            )  # fmt: skip
        case WriteFrame():
            return WriteFile(Path(step.path), step.content, why, step.mode, step.cause)
        case RemoveFrame():
            return RemoveFile(Path(step.path), why, step.cause)
        case BlockFrame():
            return WriteBlock(Path(step.path), step.body, why, step.cause)
        case RememberFrame():
            return Remember(record(step.record), why)
        case ForgetFrame():
            return Forget(own_kind(plugin, step.kind), step.name, why)
