"""The messages, both ways; each is one JSON object. A worker is a DEALER, the daemon a ROUTER on a socket for it alone.

    worker            daemon
    hello        →                 who it is, what it works on
                 ←    welcome      its options, and what does not change while it lives
    ready        →                 or refused: its options are wrong
                 ←    call         plan for these subjects, or a moment of a hook; one call at a time
    ask          →                 any number, while a call is being worked on
                 ←    answer
    result       →                 of the call
                 ←    stop         no further call comes

Who is asked and says nothing within the call's deadline is killed, with all its process group, and started again.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from zonehookd.wire.steps import STEPS_MAX, NoteFrame, StepFrame

VERSION = 1
ENDPOINT = "ZONEHOOKD_ENDPOINT"  # environment of a worker: where it connects to
INSTANCE = (
    "ZONEHOOKD_INSTANCE"  # environment of a worker: what it says of itself, so that an old one is not taken for it
)
FRAME_MAX_BYTES = 4 << 20  # from a worker: whoever reads it, reads what all others say, too
CALL_MAX_BYTES = 64 << 20  # to a worker; a gateway's view holds all zones behind it
SUBJECTS_MAX, NOTES_MAX = 2000, 100  # answers of one result, notes of one answer
Kind = Literal["network", "gateway", "zone"]


class Frame(BaseModel):
    """Fields that nobody knows are refused, from both sides."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    v: Literal[1] = 1


class Hello(Frame):
    """`instance` as in the environment. `api`: of the contract, see plugin/contract.py. `kind`: what it works on, None
    for a hook. `schema_of_options`: JSON schema, for people; the worker itself judges its options. `moments`: a hook's.

    What cannot even be loaded says hello with its name and nothing else, and why once it is welcomed: refused.
    """

    type: Literal["hello"] = "hello"
    instance: str
    api: int
    name: str
    kind: Kind | None
    after: list[str] = Field(default_factory=list)
    about: str = ""
    schema_of_options: dict[str, Any] = Field(default_factory=dict)
    moments: list[str] = Field(default_factory=list)


class Ready(Frame):
    type: Literal["ready"] = "ready"


class Refused(Frame):
    """It will not work like this; each line with its cure. It is not started again before something changes."""

    type: Literal["refused"] = "refused"
    lines: list[str]


class SubjectAnswer(BaseModel):
    """What is planned for one subject. `blind`: it could not look; `failed`: it broke. Then no step counts."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    subject: str
    steps: list[StepFrame] = Field(default_factory=list, max_length=STEPS_MAX)
    notes: list[NoteFrame] = Field(default_factory=list, max_length=NOTES_MAX)
    blind: str = ""
    failed: str = ""


class Result(Frame):
    """Of call `id`. A subject that is left out is nothing to this plugin. `moment`: of a call for a hook."""

    type: Literal["result"] = "result"
    id: int
    plans: list[SubjectAnswer] = Field(default_factory=list, max_length=SUBJECTS_MAX)
    moment: HookAnswer | None = None


class HookAnswer(BaseModel):
    """`word`: done, later (ask again, perhaps after `again_after_s`), never (refuse, where the moment may) or failed.
    `text`: why."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    word: Literal["done", "later", "never", "failed"]
    text: str = ""
    again_after_s: float | None = None


class CommandQuestion(BaseModel):
    """Answered with {status, stdout, stderr}. Asked once per look, by whoever asks the same."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    what: Literal["command"] = "command"
    argv: list[str] = Field(min_length=1)
    stdin: str = ""
    timeout_s: float = Field(30.0, gt=0, le=60)


class RecordQuestion(BaseModel):
    """Answered with {record}: kind, name, owner, plugin, facts; null where there is none."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    what: Literal["record"] = "record"
    kind: str
    name: str


Question = Annotated[CommandQuestion | RecordQuestion, Field(discriminator="what")]


class Ask(Frame):
    """While call `id` is worked on. `ask`: a number of the worker's own, which comes back with the answer."""

    type: Literal["ask"] = "ask"
    id: int
    ask: int
    question: Question


class Welcome(Frame):
    """`options`: the plugin's table in the configuration. `dialect`, `site`: as in HostReader."""

    type: Literal["welcome"] = "welcome"
    options: dict[str, Any]
    site: str
    dialect: dict[str, Any]


class Shown(BaseModel):
    """A subject. `view` null: as it was shown last time; never for what is gone (wire/views.py), which nobody keeps.
    `records`: what our books say was made for it; `plugin` says by whom. A zone that is gone comes once more, in state
    ``absent``."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    subject: str
    view: dict[str, Any] | None
    records: list[dict[str, Any]] = Field(default_factory=list)


class HookMoment(BaseModel):
    """`moment`: see docs/plugins/hooks.md. `zone`: as in a view. `deadline_s` is the call's."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    moment: str
    zone: str
    phase: str = ""
    about: dict[str, Any] = Field(default_factory=dict)


class Call(Frame):
    """`subjects` to plan for, or the `moment` of a hook. `wide`: of many subjects, so a walk over all is cheaper than
    asking by name. Not answered within `deadline_s`, it has failed."""

    type: Literal["call"] = "call"
    id: int
    deadline_s: float
    wide: bool = False
    subjects: list[Shown] = Field(default_factory=list)
    moment: HookMoment | None = None


class AnswerFrame(Frame):
    """`error`: it could not be answered (CannotObserve); else `answer`, whose shape the question says."""

    type: Literal["answer"] = "answer"
    id: int
    ask: int
    error: str = ""
    answer: dict[str, Any] = Field(default_factory=dict)


class Stop(Frame):
    type: Literal["stop"] = "stop"


FromWorker = Annotated[Hello | Ready | Refused | Result | Ask, Field(discriminator="type")]
ToWorker = Annotated[Welcome | Call | AnswerFrame | Stop, Field(discriminator="type")]
Result.model_rebuild()
from_worker: TypeAdapter[Hello | Ready | Refused | Result | Ask] = TypeAdapter(FromWorker)
to_worker: TypeAdapter[Welcome | Call | AnswerFrame | Stop] = TypeAdapter(ToWorker)
