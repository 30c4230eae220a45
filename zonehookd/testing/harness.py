"""A plugin and a host in memory, driven look by look by the engine's own code: what is given, planned, applied."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from zonehookd.engine.applier import Applied, Applier
from zonehookd.engine.blocks import Blocks
from zonehookd.engine.claims import Claims, needed
from zonehookd.engine.reconciler import PlannedStep
from zonehookd.errors import CannotObserve, PluginFailed
from zonehookd.model.outcome import StepResult
from zonehookd.model.plan import Note, Plan, Step, describe
from zonehookd.model.subject import Subject
from zonehookd.plugin.contract import AnyPlugin
from zonehookd.plugin.finding import Found
from zonehookd.testing.builders import AnyView, gone
from zonehookd.testing.host import Host
from zonehookd.testing.planner import Planner, planner

T = TypeVar("T")
ROUNDS_MAX = 10


class NotSettled(AssertionError):
    """After many looks there is still something to do: the plan does not see what its own steps have made."""


@dataclass(frozen=True, slots=True)
class Planned:
    """Of one look: what is to be done for whom, without what stands already. `said`: as the plugin said it."""

    plans: Mapping[Subject, Plan]
    said: Mapping[Subject, Plan] = field(default_factory=dict)
    blind: Mapping[Subject, str] = field(default_factory=dict)
    failed: Mapping[Subject, str] = field(default_factory=dict)

    @property
    def steps(self) -> list[Step]:
        return [step for plan in self.plans.values() for step in plan.steps]

    @property
    def lines(self) -> list[str]:
        """Each step as `zonehookctl plan` shows it."""
        return [describe(step) for step in self.steps]

    @property
    def notes(self) -> list[Note]:
        return [note for plan in self.plans.values() for note in plan.notes]

    @property
    def empty(self) -> bool:
        return not self.steps

    def of(self, name: str) -> Plan:
        """What is to be done for the zone, network or gateway of this name; nothing, if the plugin left it out."""
        return next((plan for each, plan in self.plans.items() if each.name == name), Plan())


@dataclass(frozen=True, slots=True)
class Done:
    """What became of the steps of one look."""

    steps: Sequence[StepResult]
    errors: Sequence[str]


class Harness:
    """`plugin`: its class, or the folder of it, of any shape. `options` as in [plugins.options.NAME]."""

    def __init__(
        self, plugin: type[AnyPlugin] | Found | Path | str, *, host: Host | None = None, **options: Any
    ) -> None:
        self.host = host or Host()
        self.options = options
        self._plugin = plugin
        self._planner: Planner = planner(plugin, options)
        self._views: dict[Subject, AnyView] = {}
        self.done: list[StepResult] = []  # every step that was carried out, well or not

    @property
    def name(self) -> str:
        return self._planner.name

    @property
    def shown(self) -> Sequence[AnyView]:
        return list(self._views.values())

    def given(self, *views: AnyView) -> Harness:
        """The site has these, too; one that was there before is so now."""
        for view in views:
            self._views[view.subject] = view
        return self

    def gone(self, *names: str) -> Harness:
        """These are no more; all of them, if none is named."""
        for view in self.shown:
            if not names or view.subject.name in names:
                self._views[view.subject] = gone(view)
        return self

    def restarted(self) -> Harness:
        """The plugin begun anew on the same host: whatever it kept in memory is lost."""
        other = Harness(self._plugin, host=self.host, **self.options)
        other._views = dict(self._views)
        return other

    # -- looks

    def plan(self) -> Planned:
        """One look. An exception of a plugin in Python is raised as it is."""
        return _run(self._plan())

    def apply(self, steps_max: int | None = None) -> Done:
        """One look, and its steps carried out as the daemon does it, at most so many of them: then it is killed."""
        return _run(self._apply(steps_max))

    def settle(self, rounds: int = ROUNDS_MAX) -> Harness:
        """Looks until there is nothing left to do. Raises NotSettled."""
        return _run(self._settle(rounds))

    async def _plan(self) -> Planned:
        look = self.host.look()
        answers = await self._planner.plan(self.shown, look)
        claims: Claims = {}
        blocks = Blocks(look)
        plans: dict[Subject, Plan] = {}
        blind = {each: answer.blind for each, answer in answers.items() if answer.blind}
        failed = {each: answer.failed for each, answer in answers.items() if answer.failed}
        for each, answer in answers.items():
            try:
                plans[each] = needed(answer.plan, (each, self.name), claims, blocks)
            except CannotObserve as problem:
                blind[each] = str(problem)
            except PluginFailed as problem:
                failed[each] = str(problem)
        return Planned(plans, {each: answer.plan for each, answer in answers.items()}, blind, failed)

    async def _apply(self, steps_max: int | None = None) -> Done:
        planned = await self._plan()
        left = steps_max

        def stopping() -> bool:
            nonlocal left
            if left is None:
                return False
            left -= 1
            return left < 0

        applier = Applier(self.host, self.host.doors, self.host.store, stopping)
        done: list[Applied] = []
        for each, plan in planned.plans.items():
            done.append(await applier.apply(each, [PlannedStep(self.name, step) for step in plan.steps]))
        steps = [step for each in done for step in each.steps]
        self.done += steps
        unseen = (*planned.blind.values(), *planned.failed.values())
        errors = [each.error for each in done if each.error and not each.error.startswith("stopped before")]
        return Done(steps, [*unseen, *errors])

    async def _settle(self, rounds: int) -> Harness:
        done = Done((), ())
        for _ in range(rounds):
            done = await self._apply()
            if not done.steps and not done.errors:
                return self
        raise NotSettled(f"after {rounds} looks there is still to do: {_left(done)}")


def _left(done: Done) -> str:
    return "; ".join([*done.errors, *(describe(each.step) for each in done.steps)][:5])


def _run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)
