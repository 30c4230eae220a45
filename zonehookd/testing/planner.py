"""Who is asked for the plans of a plugin under test: its class, here and now, or a program, as a worker asks it."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from zonehookd.engine.abroad import Answer
from zonehookd.engine.look import NARROW_MAX, Look, PluginReader
from zonehookd.errors import CannotObserve, PluginFailed, PluginRefused
from zonehookd.model.subject import Kind, Subject
from zonehookd.plugin import finding, loader
from zonehookd.plugin.contract import AnyPlugin
from zonehookd.plugin.finding import Found
from zonehookd.plugin.rules import checked
from zonehookd.testing import watched
from zonehookd.testing.builders import AnyView
from zonehookd.wire import views as wire
from zonehookd.wire.messages import Call, Question, Shown, SubjectAnswer, Welcome
from zonehookd.wire.steps import received
from zonehookd.worker import executable, program

_DEADLINE_S = 30.0


class Planner(Protocol):
    name: str
    kind: Kind

    async def plan(self, views: Sequence[AnyView], look: Look) -> Mapping[Subject, Answer]: ...


class InProcess:
    """Asks as the daemon does: is it concerned, observe, plan. What a plugin raises beside CannotObserve is raised."""

    def __init__(self, plugin: type[AnyPlugin], options: Mapping[str, Any]) -> None:
        self.name, self.kind = plugin.name, plugin.kind
        self._plugin: Any = plugin(loader.checked_options(plugin.name, plugin.Options, options))

    async def plan(self, views: Sequence[AnyView], look: Look) -> Mapping[Subject, Answer]:
        mine = [view for view in views if view.subject.kind == self.kind]
        look.wide = len(mine) > NARROW_MAX
        reader = PluginReader(look, self.name)
        answers: dict[Subject, Answer] = {}
        for view in mine:
            with watched.planning():
                if not self._plugin.concerns(view, reader):
                    continue
                try:
                    seen = await self._plugin.observe(view, reader)
                    answers[view.subject] = Answer(checked(self._plugin.plan(view, seen)))
                except CannotObserve as problem:
                    answers[view.subject] = Answer(blind=str(problem))
                except PluginFailed as problem:
                    answers[view.subject] = Answer(failed=str(problem))
        return answers


@functools.cache
def _described(found: Found, stamps: object) -> program.Described:
    """Once for what it is now; `stamps` tells."""
    return asyncio.run(executable.describe(found))


class Program:
    """Runs a plugin that is an executable as its worker does, a process for each look."""

    def __init__(self, found: Found, options: Mapping[str, Any]) -> None:
        """Raises PluginRefused."""
        self._options = dict(options)
        said = _described(found, tuple(finding.stamps(found).items()))
        if said.speaks != "json":
            raise PluginRefused(f"plugin {found.name}: speaks {said.speaks}", hint="try it: zonehookctl plugin try")
        program.options(said, options)
        self.name, self.kind = said.name, said.kind
        self._program = executable.Executable(found, said)

    async def plan(self, views: Sequence[AnyView], look: Look) -> Mapping[Subject, Answer]:
        dialect = wire.dialect_sent(look.dialect)
        await self._program.begin(Welcome(options=self._options, site=look.site, dialect=dialect))
        mine = {str(view.subject): view for view in views if view.subject.kind == self.kind}
        if not mine:
            return {}
        shown = [Shown(subject=each, view=wire.sent(it), records=self._books(it, look)) for each, it in mine.items()]
        result = await self._program.work(Call(id=1, deadline_s=_DEADLINE_S, subjects=shown), _Nobody())
        said = {mine[each.subject].subject: each for each in result.plans}
        return {each: self._answer(each, answer) for each, answer in said.items()}

    def _books(self, view: AnyView, look: Look) -> list[dict[str, Any]]:
        return [wire.record_sent(each, self.name) for each in look.store.of(view.subject)]

    def _answer(self, each: Subject, said: SubjectAnswer) -> Answer:
        if said.blind or said.failed:
            return Answer(blind=said.blind, failed=said.failed)
        return Answer(received(said.steps, said.notes, self.name, each))


class _Nobody:
    """A program asks nothing while it plans."""

    async def ask(self, question: Question) -> dict[str, Any]:
        raise CannotObserve("a program has nobody to ask")

    def ask_now(self, question: Question) -> dict[str, Any]:
        raise CannotObserve("a program has nobody to ask")


def planner(plugin: type[AnyPlugin] | Found | Path | str, options: Mapping[str, Any]) -> Planner:
    """Raises PluginRefused: what does not fit is said as it is when it is loaded."""
    if isinstance(plugin, type):
        return InProcess(plugin, options)
    found = plugin if isinstance(plugin, Found) else finding.of_path(Path(plugin))
    return Program(found, options) if found.shape == "executable" else InProcess(loader.plugin_class(found), options)
