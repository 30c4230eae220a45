"""One hook told of one moment: how, within which time, and what it answered. Each call is written down, and counted."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from zonehookd.errors import CommandError, CommandTimedOut, PluginFailed, last_of
from zonehookd.hooks import telling
from zonehookd.hooks.folder import HookFile
from zonehookd.hooks.moments import Moment, words
from zonehookd.host.audit import Audit
from zonehookd.host.process import Processes
from zonehookd.model import subject
from zonehookd.wire.messages import HookAnswer, HookMoment

EX_TEMPFAIL, EX_NOPERM = 75, 77  # sysexits.h
_AGAIN = re.compile(r"again-after: *([0-9]{1,6})\b")
_LINES_MAX = 8
Outcome = Literal["ok", "later", "never", "failed", "timeout"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a call. `again_after_s`: when it wants to be asked again, where it said so."""

    outcome: Outcome
    text: str = ""
    again_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Called:
    """A call that is over. `at`: when it ended, unix seconds."""

    hook: str
    zone: str
    moment: Moment
    answer: Answer
    seconds: float
    at: float


class Worker(Protocol):
    """Who tells functions: `hooks.functions.Functions`."""

    async def tell(self, name: str, moment: HookMoment, deadline_s: float) -> HookAnswer: ...


class Calls:
    """`heard` is told of each call. Whoever waits for an answer, `urgent`, has lanes of its own and waits behind one
    call of the same hook at most."""

    def __init__(self, processes: Processes, audit: Audit, worker: Worker, heard: Callable[[Called], None]) -> None:
        self._processes = processes
        self._audit = audit
        self._worker = worker
        self._heard = heard
        self._one_by_one: dict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(1))

    async def call(
        self,
        hook: HookFile,
        zone: str,
        moment: Moment,
        about: Mapping[str, Any],
        *,
        at: float,
        cause: str,
        tries: int,
        deadline_s: float,
        urgent: bool = False,
    ) -> Answer:
        """Never raises. A program that has not ended by `deadline_s` is stopped, with all it started."""
        told = telling.message(hook.name, moment, about, at, cause, tries, deadline_s)
        argv = [str(hook.path), zone, *words(moment), "missed" if cause == "missed" else "-"]
        began, status, answer = time.monotonic(), None, Answer("failed", "it was broken off")
        try:
            if hook.shape == "program":
                lane = "plugin hooks, asked" if urgent else "plugin hooks"
                stdin = telling.text(told)
                finished = await self._processes.call(argv, lane=lane, stdin=stdin, timeout_s=deadline_s)
                status, began = finished.reply.status, time.monotonic() - finished.seconds  # its turn is not its time
                answer = judged(status, finished.reply.stdout, finished.reply.stderr)
            else:
                async with contextlib.nullcontext() if urgent else self._one_by_one[hook.name]:
                    began = time.monotonic()
                    said = await self._worker.tell(
                        hook.name, HookMoment(moment=moment, zone=zone, about=told), deadline_s
                    )
                status, answer = 0, _of_functions(said)
        except (CommandTimedOut, TimeoutError):
            answer = Answer("timeout", f"it did not end within {deadline_s:.3g} s and was stopped")
        except (CommandError, PluginFailed) as problem:
            answer = Answer("failed", str(problem))
        except Exception as problem:  # a bug here must not end the task that keeps order for this zone
            answer = Answer("failed", f"internal error: {problem!r}")
        finally:
            seconds = time.monotonic() - began
            self._audit.write(
                argv,
                kind="hook",
                why=f"{moment} of zone {zone}",
                subject=subject.zone(zone),
                stdin="",
                status=status,
                seconds=seconds,
                error="" if answer.outcome == "ok" else f"{answer.outcome}: {answer.text}",
            )
            self._heard(Called(hook.name, zone, moment, answer, seconds, time.time()))
        return answer


def judged(status: int, stdout: str, stderr: str) -> Answer:
    """Of a program: by its exit status, as sysexits.h has them."""
    said = _short(stderr)
    if status == 0:
        return Answer("ok", "")
    if status == EX_TEMPFAIL:
        wish = _AGAIN.match(stdout)
        return Answer("later", said or "not now", float(wish.group(1)) if wish else None)
    if status == EX_NOPERM:
        return Answer("never", said or "it gave no reason")
    how = f"was ended by signal {-status}" if status < 0 else f"exited {status}"
    return Answer("failed", f"{how}: {said}" if said else how)


def _of_functions(said: HookAnswer) -> Answer:
    outcome: Outcome = "ok" if said.word == "done" else said.word
    return Answer(outcome, _short(said.text), said.again_after_s)


def _short(text: str) -> str:
    """The end of it, of a few lines."""
    return "\n".join(last_of(text).splitlines()[-_LINES_MAX:])
