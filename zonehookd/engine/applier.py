"""Carries out steps, in order, and decides nothing. The only code that changes the machine.

Do not put behaviour here: what to do, and whether, is for plans, which can be read before they are run.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from zonehookd.engine import blocks
from zonehookd.engine.reconciler import PlannedStep
from zonehookd.errors import CommandError, CommandFailed
from zonehookd.host.doors import Commands, Files
from zonehookd.illumos import put
from zonehookd.model.command import Change, Verdict
from zonehookd.model.outcome import Result, StepResult
from zonehookd.model.plan import BLOCK, Forget, Remember, RemoveFile, WriteBlock, WriteFile
from zonehookd.model.subject import Subject
from zonehookd.store.store import Store

_AGAIN, _BUSY = Verdict(again=True), Verdict(again=True, busy=True)
_TOGETHER = 4  # steps of one plugin elsewhere, over all subjects
_FOREIGN_MAX_S = 240.0  # for the steps of one plugin elsewhere for one subject; then no further one is begun
_TURN_S = 2.0  # so long a subject waits for the turn of such a step; until its steps end it is not planned for anew


@dataclass(frozen=True, slots=True)
class Applied:
    result: Result
    steps: tuple[StepResult, ...]
    error: str = ""


class Applier:
    def __init__(self, commands: Commands, files: Files, store: Store, stopping: Callable[[], bool]) -> None:
        """`stopping` is asked before each step: told to stop, the running step is finished and no other begun."""
        self._stopping = stopping
        self._commands = commands
        self._files = files
        self._store = store
        self._turns: dict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(_TOGETHER))

    async def apply(self, subject: Subject, steps: Sequence[PlannedStep]) -> Applied:
        """Stops at the first step that fails: what comes after may rest on it, and the next look plans it again. Steps
        apart rest on those of their own plugin only, and no others on them."""
        results: list[StepResult] = []
        failed: dict[str, Applied] = {}  # by whose steps end there: a plugin, or nothing for all that are not apart
        spent_s: dict[str, float] = defaultdict(float)
        for planned in steps:
            whose = planned.plugin if planned.apart else ""
            if whose in failed:
                continue
            if self._stopping():
                return Applied(
                    Result.CHANGED if results else Result.NOOP, tuple(results), "stopped before the next step"
                )
            began = time.monotonic()
            if planned.foreign and spent_s[whose] > _FOREIGN_MAX_S:
                text = f"{subject}: plugin {whose}: its steps took longer than {_FOREIGN_MAX_S:g} s; what is left waits"
                failed[whose] = Applied(Result.BUSY, (), text)
                continue
            verdict, error = await self._in_turn(planned, subject)
            ok = verdict is None or verdict.done
            results.append(StepResult(planned.plugin, planned.step, ok, time.monotonic() - began, error))
            spent_s[whose] += results[-1].seconds
            if verdict is not None and not verdict.done:
                result = Result.BUSY if verdict.busy else Result.FAILED if verdict.again else Result.STUCK
                failed[whose] = Applied(result, (), error)
        if failed:
            return replace(next(iter(failed.values())), steps=tuple(results))
        return Applied(Result.CHANGED if results else Result.NOOP, tuple(results))

    async def _in_turn(self, planned: PlannedStep, subject: Subject) -> tuple[Verdict | None, str]:
        """Steps of a plugin elsewhere take turns: one that is slow with ten thousand subjects holds up none of them."""
        if not planned.foreign:
            return await self._carry_out(planned, subject)
        turn = self._turns[planned.plugin]
        try:
            async with asyncio.timeout(_TURN_S):
                await turn.acquire()
        except TimeoutError:
            plugin = planned.plugin
            return _BUSY, f"{subject}: {plugin}: {planned.step.why}: plugin {plugin} is still at work for others"
        try:
            return await self._carry_out(planned, subject)
        finally:
            turn.release()

    async def _carry_out(self, planned: PlannedStep, subject: Subject) -> tuple[Verdict | None, str]:
        """(None, "") when it worked; else how to take the failure, and its text."""
        step = planned.step
        try:
            match step:
                case Change():
                    lane = f"plugin {planned.plugin}"
                    change = replace(step, lane=lane, user=planned.user) if planned.foreign else step
                    return await self._command(change, subject)
                case WriteFile() | RemoveFile() | WriteBlock() if planned.user:
                    return await self._as_user(step, planned, subject)
                case Remember():
                    self._store.remember(step.record)
                case Forget():
                    record = self._store.one(step.kind, step.name)
                    if record is not None and record.owner == subject:
                        self._store.forget(step.kind, step.name)
                case WriteFile():
                    self._files.write(step.path, step.content, step.mode)
                case RemoveFile():
                    self._files.remove(step.path)
                case WriteBlock():
                    blocks.carry_out(step, planned.plugin, subject, self._files, self._store)
        except (OSError, ValueError) as problem:
            return _AGAIN, f"{subject}: {planned.plugin}: {step.why}: {problem}"
        except Exception as problem:  # a step that nobody foresaw costs those that rest on it, and no others
            return _AGAIN, f"{subject}: {planned.plugin}: {step.why}: internal error: {problem!r}"
        return None, ""

    async def _as_user(
        self, step: WriteFile | RemoveFile | WriteBlock, planned: PlannedStep, subject: Subject
    ) -> tuple[Verdict | None, str]:
        """What a plugin with a user of its own wants written is written by that user, never by us."""
        user, lane = planned.user, f"plugin {planned.plugin}"
        match step:
            case WriteFile(path, content, why, mode, cause):
                change = put.write(path, content, mode, user=user, why=why, cause=cause, lane=lane)
            case RemoveFile(path, why, cause):
                change = put.remove(path, user=user, why=why, cause=cause, lane=lane)
            case WriteBlock(path, body, why, cause):
                mark = blocks.mark(planned.plugin, subject)
                change = put.block(path, mark, body, user=user, why=why, cause=cause, lane=lane)
                if body:
                    self._store.remember(blocks.record(path, planned.plugin, subject))
        verdict, error = await self._command(change, subject)
        if verdict is None and isinstance(step, WriteBlock) and not step.body:
            self._store.forget(BLOCK, blocks.name(step.path, planned.plugin, subject))
        return verdict, error

    async def _command(self, change: Change, subject: Subject) -> tuple[Verdict | None, str]:
        if change.only_if is not None:
            ours = change.only_if
            now = self._store.one(ours.kind, ours.name)
            if now != ours:
                owner = f"{now.owner}'s" if now else "nobody's"
                return _AGAIN, f"{subject}: {change.why}: overtaken: {ours.kind} {ours.name} is {owner} by now"
        try:
            finished = await self._commands.run(change, why=change.why, subject=subject)
        except CommandError as problem:
            return _AGAIN, f"{subject}: {change.why}: {problem}"
        if finished.reply.status == 0 and not (change.silent and finished.reply.stderr.strip()):
            return None, ""
        failure = CommandFailed(change.argv, finished.reply.status, finished.reply.stderr)
        return change.judge(finished.reply.status, failure.stderr), f"{subject}: {change.why}: {failure}"
