"""The host as a plugin sees it from its own process: commands are asked of the daemon, files are read here."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from pydantic import ValidationError

from zonehookd.errors import CannotObserve, PluginFailed
from zonehookd.host import files
from zonehookd.host.files import Stamp
from zonehookd.illumos.dladm import Dialect
from zonehookd.illumos.probe import Answer, Probe
from zonehookd.model.command import Query, Reply
from zonehookd.model.record import Record
from zonehookd.model.subject import Subject
from zonehookd.wire.messages import CommandQuestion, RecordQuestion
from zonehookd.wire.views import records_received
from zonehookd.worker.work import Desk

T = TypeVar("T")
_FILE_MAX_BYTES = 16 << 20


class WorkerReader:
    """A HostReader for the life of one call: each question is asked once, however many subjects want to know."""

    def __init__(
        self,
        desk: Desk,
        plugin: str,
        site: str,
        dialect: Dialect,
        wide: bool,
        records: Mapping[Subject, Sequence[Record]],
    ) -> None:
        """`records`: of each subject of the call, all that the daemon's books say was made for it."""
        self._desk = desk
        self._plugin = plugin
        self._site = site
        self._dialect = dialect
        self._wide = wide
        self._records = records
        self._answers: dict[tuple[str, ...], asyncio.Task[Any]] = {}
        self._recalled: dict[tuple[str, str], Record | None] = {}

    @property
    def dialect(self) -> Dialect:
        return self._dialect

    @property
    def site(self) -> str:
        return self._site

    async def ask(self, query: Query[T]) -> T:
        """Raises CannotObserve, to everybody who asks the same in this call; PluginFailed for what cannot be sent."""
        if query.wide is not None and self._wide:
            assert query.pick is not None
            picked: T = query.pick(await self.ask(query.wide))
            return picked
        answer = self._answers.get(query.key)
        if answer is None:
            answer = self._answers[query.key] = asyncio.ensure_future(self._asked(query))
            answer.add_done_callback(_heard)
        found: T = await asyncio.shield(answer)  # who gives up waiting takes it from nobody else
        return found

    async def _asked(self, query: Query[T]) -> T:
        said = " ".join(query.argv)
        if query.user:
            raise PluginFailed(f'"{said}": as whom a question is asked is for [plugins.run.{self._plugin}] user to say')
        try:
            question = CommandQuestion(argv=list(query.argv), stdin=query.stdin, timeout_s=query.timeout_s)
        except ValidationError as problem:
            fault = problem.errors(include_url=False)[0]
            raise PluginFailed(f'"{said}": {".".join(map(str, fault["loc"]))}: {fault["msg"]}') from problem
        reply = Reply(**await self._desk.ask(question))
        try:
            return query.parse(reply)
        except ValueError as problem:
            raise CannotObserve(f'cannot read what "{said}" printed: {problem}') from problem

    def read_file(self, path: Path) -> str | None:
        try:
            return files.read_bounded(path, _FILE_MAX_BYTES).decode()
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as problem:
            raise CannotObserve(f"cannot read {path}: {problem}") from problem

    def stamp(self, path: Path) -> Stamp | None:
        try:
            return files.stamp(path)
        except OSError as problem:
            raise CannotObserve(f"cannot look at {path}: {problem}") from problem

    def recall(self, subject: Subject) -> Sequence[Record]:
        return [record for record in self._of(subject) if record.plugin == self._plugin]

    def recall_all(self, subject: Subject, kind: str) -> Sequence[Record]:
        return [record for record in self._of(subject) if record.kind == kind]

    def recall_one(self, kind: str, name: str) -> Record | None:
        key = (kind, name)
        if key not in self._recalled:
            shown = self._desk.ask_now(RecordQuestion(kind=kind, name=name))["record"]
            self._recalled[key] = records_received([shown])[0] if shown is not None else None
        return self._recalled[key]

    def answers(self, where: str, wanted: Collection[Probe]) -> Mapping[Probe, Answer]:
        _not_here("answers")

    def unasked(self, where: str) -> str:
        _not_here("unasked")

    def _of(self, subject: Subject) -> Sequence[Record]:
        """Who asks of a zone that is not shown to it would be told of nothing, and believe it."""
        if subject not in self._records:
            raise PluginFailed(f"host.recall: {subject} is not among what was asked about; see host.recall_one")
        return self._records[subject]


def _heard(answer: asyncio.Task[Any]) -> None:
    """A failure that nobody came to hear is no fault of the loop's."""
    if not answer.cancelled():
        answer.exception()


def _not_here(what: str) -> NoReturn:
    raise PluginFailed(f"host.{what}: backends are not asked for plugins in a process of their own (wire version 1)")
