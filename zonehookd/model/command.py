"""Two kinds of command: a Query looks, a Change changes. Both are argument lists; no shell is ever involved.

A `Query` chooses between a record, *absent* (a recognised answer) and `CannotObserve` (all else): `parse` is given a
`Reply` and must not guess. A `Change` says how its failure is to be taken: again soon, or not until something changes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar

from zonehookd.model.record import Record

Lane = str  # look, change, boot, inside, or ``plugin NAME``: of a plugin in a process of its own
ELSEWHERE = "plugin "  # begins the lane of whoever is not ours
Tally = Literal["", "haproxy-reload", "haproxy-runtime", "nginx-reload"]
T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Reply:
    """What a command answered. `stdout` and `stderr` are decoded, and cut at the configured size (then an error)."""

    status: int
    stdout: str
    stderr: str


@dataclass(frozen=True, slots=True)
class Query(Generic[T_co]):
    """Arguments plus a pure `parse`. Two queries with equal `argv` and `stdin` are the same question: one look asks it
    once.

    A query about one object may name the walk that answers it too: `wide` with `pick`. A look at few subjects asks
    by name, a look at many asks the walk once; the author of a plugin need not care.
    """

    argv: tuple[str, ...]
    parse: Callable[[Reply], T_co] = field(compare=False)
    timeout_s: float = 30.0
    wide: Query[Any] | None = field(default=None, compare=False)
    pick: Callable[[Any], Any] | None = field(default=None, compare=False)
    stdin: str = ""
    lane: Lane = "look"
    user: str = ""  # as whom it runs; by default as ourselves
    raw: bool = False  # whoever asks gets the Reply itself, and shares it with none who has it parsed

    @property
    def key(self) -> tuple[str, ...]:
        key = (*self.argv, self.stdin) if self.stdin else self.argv
        return ("(raw)", self.user, *key) if self.raw else key


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a failed change is to be taken. `again`: by itself, soon; else not until something changes."""

    again: bool
    busy: bool = False
    done: bool = False  # it failed, but what it wanted is so (deleting what is gone)


def judge_default(status: int, stderr: str) -> Verdict:
    return Verdict(again=True)


@dataclass(frozen=True, slots=True)
class Change:
    """A command that changes the machine. `secret` hides stdin from the audit log. `cause` is set on repairs only:
    ``missing`` or ``altered``, for what our records say was right before. `only_if` is checked right before acting:
    a deletion rests on a record, and is overtaken when that record is another's by then. `lane`: what takes long of
    itself waits in a queue of its own, and holds up nobody else.

    30 s and more: a dladm that is killed leaves a ghost name behind (network sheet 8.3).
    """

    argv: tuple[str, ...]
    why: str
    timeout_s: float = 60.0
    stdin: str = ""
    secret: bool = False
    cause: str = ""
    only_if: Record | None = None
    lane: Lane = "change"
    label: str = ""  # what a plan shows instead of a long argument list
    shows: tuple[str, ...] = ()  # lines of its own in a plan: what stdin brings, which ways in it opens
    silent: bool = False  # status 0 with a word on stderr is a failure too, for `judge` to take (ipnat, services 1.4)
    tally: Tally = ""  # as what it is counted, of a proxy: see metrics
    user: str = ""  # as whom it runs; by default as ourselves
    judge: Callable[[int, str], Verdict] = field(default=judge_default, compare=False)
