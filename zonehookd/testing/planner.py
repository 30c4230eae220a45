"""Who is asked for the plans of a plugin under test: its class, here and now, or a program, as a worker asks it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from zonehookd.engine.abroad import Answer
from zonehookd.engine.look import NARROW_MAX, Look, PluginReader
from zonehookd.errors import CannotObserve, PluginFailed
from zonehookd.model.subject import Kind, Subject
from zonehookd.plugin import finding, loader
from zonehookd.plugin.contract import AnyPlugin
from zonehookd.plugin.rules import checked
from zonehookd.testing import watched
from zonehookd.testing.builders import AnyView


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


def planner(plugin: type[AnyPlugin] | Path | str, options: Mapping[str, Any]) -> Planner:
    """Raises PluginRefused: what does not fit is said as it is when it is loaded."""
    if isinstance(plugin, type):
        return InProcess(plugin, options)
    found = finding.of_path(Path(plugin))
    return InProcess(loader.plugin_class(found), options)
