"""Plans of plugins whose code runs in a process of its own: asked for all subjects at once, and hardly waited for.

A look asks each such plugin once, for whatever is due, and waits a moment for all of them together. What comes later is
kept; its subject is due again, and the next look takes it, if what was shown to the plugin is still so. Meanwhile what
the plugin said last stands, its steps apart. So a plugin that hangs, crawls or dies holds up nobody: it costs the look
that finds it out one moment, and the next ones nothing until it has been quick again.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from zonehookd.engine.look import Look
from zonehookd.model.plan import Note, Plan
from zonehookd.model.subject import Kind, Subject
from zonehookd.plugin.contract import GatewayView, NetworkView, ZoneView

AnyView = NetworkView | GatewayView | ZoneView
PATIENCE_S = 0.1  # of a look, for all such plugins together
_FRESH_S = 10.0  # an older answer is asked for anew
_PUT_OFF_MAX = 2
_TOGETHER_MAX = 500  # subjects in one call, so that a call has an end, and nobody encodes for long


@dataclass(frozen=True, slots=True)
class ForeignPlugin:
    """`kind` None: it has not said yet what it works on. `down`: why it cannot be asked now; "" when it can.
    `starting`: it is down because it is just coming up. `required`: without its answer a subject is in trouble.
    `user`: as whom what it plans is carried out; "": as ourselves."""

    name: str
    kind: Kind | None
    required: bool = False
    down: str = ""
    starting: bool = False
    user: str = ""

    def is_for(self, subject: Subject) -> bool:
        return (self.kind or "zone") == subject.kind


@dataclass(frozen=True, slots=True)
class Answer:
    """Of one plugin for one subject: a plan, or why there is none. `blind`: it could not look; `failed`: all else."""

    plan: Plan = field(default_factory=Plan)
    blind: str = ""
    failed: str = ""

    @property
    def quiet(self) -> bool:
        return not (self.plan.steps or self.blind or self.failed or any(n.kind != "nothing" for n in self.plan.notes))


class Workers(Protocol):
    """Who keeps the processes, and talks to them."""

    def plugins(self) -> Sequence[ForeignPlugin]:
        """Those that are enabled, each after the ones it comes after."""
        ...

    async def plan(self, name: str, views: Sequence[AnyView], look: Look) -> Mapping[Subject, Answer]:
        """Within the plugin's deadline, whatever the plugin does; never raises. What it asks the host for, `look`
        answers. One call at a time for each plugin."""
        ...


@dataclass(slots=True)
class _Desk:
    """Of one plugin. `left`: subjects whose answer nobody waits for any more, each with whether that was said."""

    wanted: dict[Subject, AnyView] = field(default_factory=dict)
    asked: dict[Subject, AnyView] = field(default_factory=dict)
    fresh: dict[Subject, tuple[AnyView, Answer, float]] = field(default_factory=dict)
    standing: dict[Subject, Answer] = field(default_factory=dict)
    left: dict[Subject, bool] = field(default_factory=dict)
    look: Look | None = None
    task: asyncio.Task[None] | None = None
    slow: bool = False


class ForeignPlans:
    """`due` is told of a subject whose answer came after the look that wanted it. Bounded by plugins times subjects."""

    def __init__(
        self,
        workers: Workers,
        due: Callable[[Subject], None] = lambda subject: None,
        patience_s: float = PATIENCE_S,
        ours_first: bool = True,
    ) -> None:
        """`patience_s`: so long `answers` waits. `ours_first`: see `in_turn`."""
        self.workers = workers
        self._due = due
        self._patience_s = patience_s
        self._ours_first = ours_first
        self._desks: dict[str, _Desk] = {}
        self._put_off: dict[Subject, int] = {}  # how many looks in a row

    def in_turn(self, each: Subject, *, ours: bool) -> bool:
        """Whether it is asked about in this look. While plugins of `ours` have steps for it, it is not: they come
        first, what is asked before them is soon old, and no burst waits for a worker. But not for ever: theirs may
        fail, look after look."""
        if not (ours and self._ours_first) or self._put_off.get(each, 0) >= _PUT_OFF_MAX:
            self._put_off.pop(each, None)
            return True
        self._put_off[each] = self._put_off.get(each, 0) + 1
        return False

    async def answers(
        self, look: Look, views: Sequence[AnyView]
    ) -> Mapping[Subject, Sequence[tuple[ForeignPlugin, Answer]]]:
        """By subject, in the order of the plugins; of a plugin that has nothing to say there is nothing."""
        plugins = self.workers.plugins()
        for gone in self._desks.keys() - {each.name for each in plugins}:
            if (task := self._desks.pop(gone).task) is not None:
                task.cancel()
        waiting: dict[asyncio.Task[None], _Desk] = {}
        for plugin in plugins:
            if not plugin.down and plugin.kind is not None:
                desk = self._desks.setdefault(plugin.name, _Desk())
                task = self._want(plugin, desk, [each for each in views if plugin.is_for(each.subject)], look)
                if task is not None and not desk.slow:
                    waiting[task] = desk
        if waiting:
            _, late = await asyncio.wait(waiting, timeout=self._patience_s)
            for task in late:
                waiting[task].slow = True  # from now on, until it is quick again
        said: dict[Subject, list[tuple[ForeignPlugin, Answer]]] = {}
        for plugin in plugins:
            for view in views:
                if plugin.is_for(view.subject) and (answer := self._said(plugin, view)) is not None:
                    said.setdefault(view.subject, []).append((plugin, answer))
        return said

    def forget(self, each: Subject) -> None:
        """It is not looked at any more; an answer that still comes is nobody's."""
        self._put_off.pop(each, None)
        for desk in self._desks.values():
            for kept in (desk.wanted, desk.asked, desk.fresh, desk.standing, desk.left):
                kept.pop(each, None)

    async def stop(self) -> None:
        tasks = [desk.task for desk in self._desks.values() if desk.task is not None and not desk.task.done()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _want(
        self, plugin: ForeignPlugin, desk: _Desk, views: Sequence[AnyView], look: Look
    ) -> asyncio.Task[None] | None:
        """The task to wait for, if anything is to be asked or being asked."""
        now = time.monotonic()
        needed = False
        for view in views:
            each = view.subject
            kept = desk.fresh.get(each)
            if kept is not None and kept[0] == view and now - kept[2] < _FRESH_S:
                continue
            desk.fresh.pop(each, None)
            needed = True
            if desk.asked.get(each) != view:
                desk.wanted[each] = view
        if not needed:
            return None
        desk.look = look
        if desk.task is None or desk.task.done():
            desk.task = asyncio.ensure_future(self._ask(plugin.name, desk))
        return desk.task

    async def _ask(self, name: str, desk: _Desk) -> None:
        began = time.monotonic()
        while desk.wanted and desk.look is not None:
            taken = list(itertools.islice(desk.wanted, _TOGETHER_MAX))
            desk.asked = {each: desk.wanted.pop(each) for each in taken}
            try:
                answers = await self.workers.plan(name, list(desk.asked.values()), desk.look)
            except Exception as problem:  # a bug of ours in talking to it is no more than its own failure
                answers = dict.fromkeys(desk.asked, Answer(failed=f"plugin {name} could not be asked: {problem!r}"))
            now = time.monotonic()
            for each, view in desk.asked.items():
                answer = answers.get(each, Answer(failed=f"plugin {name} said nothing of {each}"))
                if each in desk.wanted:
                    continue  # it was asked of what is no longer so, and is asked again
                desk.fresh[each] = (view, answer, now)
                told = desk.left.pop(each, None)
                if told or (told is not None and answer != desk.standing.get(each)):  # what was said is no longer so
                    self._due(each)
            desk.asked = {}
        desk.look = None
        desk.slow = time.monotonic() - began > PATIENCE_S

    def _said(self, plugin: ForeignPlugin, view: AnyView) -> Answer | None:
        each = view.subject
        desk = self._desks.get(plugin.name)
        if plugin.down:
            if desk is not None:
                desk.standing.pop(each, None)
            return _down(plugin)
        if plugin.kind is None or desk is None:
            return None
        kept = desk.fresh.pop(each, None)
        if kept is not None and kept[0] == view:
            desk.left.pop(each, None)
            desk.standing[each] = kept[1]
            if isinstance(view, ZoneView) and view.zone.absent and kept[1].quiet:
                del desk.standing[each]  # it may never be looked at again
            return kept[1]
        before = desk.standing.get(each)
        silent = before is not None and before.quiet
        desk.left[each] = desk.left.get(each, False) or not silent
        if silent:
            return None  # all was well, and nothing says that it is not: silence is no news
        late = Note("waiting", f"plugin {plugin.name} has not answered yet", "plugin-late", plugin.name)
        if before is None:
            return Answer(Plan(notes=(late,)))
        return Answer(Plan(notes=(*before.plan.notes, late)), before.blind, before.failed)


def _down(plugin: ForeignPlugin) -> Answer | None:
    """Of one that is optional there is a line in `status`, and none for each of ten thousand zones."""
    if not plugin.required:
        return None
    text = f"plugin {plugin.name}: {plugin.down}"
    if plugin.starting:
        return Answer(Plan(notes=(Note("waiting", text, "plugin-starting", plugin.name),)))
    return Answer(failed=text)
