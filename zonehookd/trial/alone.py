"""One plugin among ours for one look, and what it asked the host for."""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping, Sequence
from typing import TypeVar

from zonehookd.bus.trial_messages import AskedRow
from zonehookd.engine.abroad import Answer, AnyView, ForeignPlugin
from zonehookd.engine.look import Look
from zonehookd.errors import CommandError, last_of
from zonehookd.foreign.workers import Trial
from zonehookd.host.doors import Commands
from zonehookd.host.process import Finished
from zonehookd.model.command import Change, Query
from zonehookd.model.subject import Subject

T = TypeVar("T")
_ASKED_MAX = 1000  # rows


class Heard:
    """Commands that look, passed on; those of plugin `name` are added to `asked`. Nothing that changes passes."""

    def __init__(self, commands: Commands, name: str, asked: list[AskedRow]) -> None:
        self._commands = commands
        self._lane = f"plugin {name}"
        self._asked = asked

    async def run(self, query_or_change: Query[T] | Change, *, why: str, subject: Subject | None) -> Finished:
        if isinstance(query_or_change, Change):
            raise CommandError(query_or_change.argv, "changes something, and this is a trial")
        began, status, error = time.monotonic(), None, ""
        try:
            finished = await self._commands.run(query_or_change, why=why, subject=subject)
            status, error = finished.reply.status, last_of(finished.reply.stderr) if finished.reply.status else ""
            return finished
        except CommandError as problem:
            error = str(problem)
            raise
        finally:
            if query_or_change.lane == self._lane and len(self._asked) < _ASKED_MAX:
                seconds = round(time.monotonic() - began, 6)
                line = shlex.join(query_or_change.argv)
                self._asked.append(AskedRow(command=line, seconds=seconds, status=status, error=error))


class Alone:
    """The engine's Workers, with this one only. `answers`, `views`: of what it was asked last."""

    def __init__(self, trial: Trial) -> None:
        self._trial = trial
        self.answers: Mapping[Subject, Answer] = {}
        self.views: Sequence[AnyView] = ()
        self.seconds = 0.0

    def plugins(self) -> Sequence[ForeignPlugin]:
        return self._trial.plugins()

    async def plan(self, name: str, views: Sequence[AnyView], look: Look) -> Mapping[Subject, Answer]:
        began = time.monotonic()
        self.views, self.answers = views, await self._trial.plan(name, views, look)
        self.seconds = time.monotonic() - began
        return self.answers
