"""One look at the host: every question is asked once, however many subjects want to know.

That is what keeps the number of reading commands the same for one zone and for ten thousand. A question about one
object is answered from the walk over all when the look is a wide one, and asked by name when it is about a few.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from zonehookd.engine.late import Late
from zonehookd.errors import CannotObserve, CommandError
from zonehookd.host.doors import Commands, Files, Health
from zonehookd.host.files import Stamp
from zonehookd.illumos import zlogin
from zonehookd.illumos.dladm import Dialect
from zonehookd.illumos.probe import Answer, Probe
from zonehookd.model.command import Query
from zonehookd.model.record import Record
from zonehookd.model.subject import Subject
from zonehookd.store.store import Store

T = TypeVar("T")
NARROW_MAX = 3  # subjects; above it the walks over all are cheaper than asking by name
_FILE_MAX_BYTES = 16 << 20


class Look:
    """What was asked stays answered for the life of this look; a new look asks anew."""

    def __init__(
        self,
        commands: Commands,
        files: Files,
        store: Store,
        dialect: Dialect,
        site: str,
        late: Late | None = None,
        health: Health | None = None,
    ) -> None:
        """`late` is shared by all looks: what one of them asked inside a zone, another may hear. `health` None: nobody
        asks backends, so none is known to be well."""
        self.files = files
        self.store = store
        self.dialect = dialect
        self.site = site
        self.health = health
        self.wide = True
        self.asked = 0
        self._commands = commands
        self._answers: dict[tuple[str, ...], asyncio.Future[object]] = {}
        self._late = late or Late()
        self._given_up: dict[str, str] = {}  # zone -> why nothing in there is seen in this look
        self._heard: dict[str, dict[tuple[str, ...], asyncio.Future[object]]] = {}  # by zone
        self._first_s: dict[str, float] = {}  # zone -> when the oldest of what is heard was asked for
        self._first_inside_s: float | None = None

    def listen(self, hear: Callable[[Commands], Commands]) -> None:
        """From now on its commands go through `hear`: of whoever shows what is asked."""
        self._commands = hear(self._commands)

    async def ask(self, query: Query[T]) -> T:
        """Raises CannotObserve, to everybody who asks the same in this look."""
        if query.wide is not None and self.wide:
            assert query.pick is not None
            picked: T = query.pick(await self.ask(query.wide))
            return picked
        zone = "" if query.raw else zlogin.zone_of(query.argv)  # raw: its asker has a deadline, and waits alone
        if zone:
            return await self._ask_inside(zone, query)
        answer = self._answers.get(query.key)
        if answer is None:
            answer = asyncio.get_running_loop().create_future()
            self._answers[query.key] = answer
            self.asked += 1
            try:
                answer.set_result(await self._run(query))
            except CannotObserve as problem:
                answer.set_exception(problem)
                answer.exception()  # seen: nobody else may come to ask
                raise
            except BaseException:  # whoever else waits for it is not cancelled
                answer.set_exception(CannotObserve(f'"{" ".join(query.argv)}" was given up'))
                answer.exception()
                raise
        return await answer  # type: ignore[return-value]

    async def _ask_inside(self, zone: str, query: Query[T]) -> T:
        """Whoever is root in a zone decides when it answers: it is not waited for longer than `Late` says."""
        if zone in self._given_up:
            raise CannotObserve(self._given_up[zone])
        if query.key not in self._answers:
            try:
                answers, first_s = self._late.take(zone)
            except CannotObserve as problem:
                self._given_up[zone] = str(problem)
                raise
            self._answers.update(answers)
            self._first_s.setdefault(zone, first_s)
        answer = self._answers.get(query.key)
        if answer is None:
            answer = self._answers[query.key] = asyncio.ensure_future(self._run(query))
            answer.add_done_callback(_heard)
            self.asked += 1
        now = time.monotonic()
        if self._first_inside_s is None:
            self._first_inside_s = now
        try:
            await asyncio.wait([answer], timeout=max(0.0, self._first_inside_s + self._late.patience_s(zone) - now))
        finally:
            heard = self._heard.setdefault(zone, {})
            heard[query.key] = answer
            if not answer.done():
                self._given_up[zone] = f"zone {zone} has not answered yet; the look goes on without it"
            if zone in self._given_up:  # also what was answered just now: it comes with the rest
                waited_s = 0.0 if answer.done() else time.monotonic() - now
                self._late.add(zone, heard, waited_s, self._first_s[zone])
        if zone in self._given_up:
            raise CannotObserve(self._given_up[zone])
        return answer.result()  # type: ignore[return-value]

    async def _run(self, query: Query[T]) -> T:
        try:
            finished = await self._commands.run(query, why="look", subject=None)
        except CommandError as problem:
            raise CannotObserve(str(problem)) from problem
        try:
            return query.parse(finished.reply)
        except ValueError as problem:
            raise CannotObserve(f'cannot read what "{" ".join(query.argv)}" printed: {problem}') from problem

    def read_file(self, path: Path) -> str | None:
        try:
            return self.files.read(path, _FILE_MAX_BYTES).decode()
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as problem:
            raise CannotObserve(f"cannot read {path}: {problem}") from problem

    def stamp(self, path: Path) -> Stamp | None:
        try:
            return self.files.stamp(path)
        except OSError as problem:
            raise CannotObserve(f"cannot look at {path}: {problem}") from problem


def _heard(answer: asyncio.Future[object]) -> None:
    """A failure that nobody came to hear is no fault of the loop's."""
    if not answer.cancelled():
        answer.exception()


class PluginReader:
    """A look as one plugin sees it: its own records only."""

    def __init__(self, look: Look, plugin: str) -> None:
        self._look = look
        self._plugin = plugin

    @property
    def dialect(self) -> Dialect:
        return self._look.dialect

    @property
    def site(self) -> str:
        return self._look.site

    async def ask(self, query: Query[T]) -> T:
        return await self._look.ask(query)

    def read_file(self, path: Path) -> str | None:
        return self._look.read_file(path)

    def stamp(self, path: Path) -> Stamp | None:
        return self._look.stamp(path)

    def recall(self, subject: Subject) -> Sequence[Record]:
        return [record for record in self._look.store.of(subject) if record.plugin == self._plugin]

    def recall_all(self, subject: Subject, kind: str) -> Sequence[Record]:
        return [record for record in self._look.store.of(subject) if record.kind == kind]

    def recall_one(self, kind: str, name: str) -> Record | None:
        return self._look.store.one(kind, name)

    def answers(self, where: str, wanted: Collection[Probe]) -> Mapping[Probe, Answer]:
        return self._look.health.answers(where, wanted) if self._look.health else {}

    def unasked(self, where: str) -> str:
        return self._look.health.trouble(where) if self._look.health else "nobody asks backends here"
