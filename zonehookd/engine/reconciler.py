"""From hints to plans: survey the host, let each plugin observe and plan for each subject that is due.

All plans of a look are made, and so checked, before the first step of any is carried out. Nothing here changes the
machine; the same code serves the dry run.
"""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from zonehookd.engine.attach import Site
from zonehookd.engine.boots import Motion
from zonehookd.engine.look import NARROW_MAX, Look, PluginReader
from zonehookd.errors import CannotObserve, PluginFailed
from zonehookd.model import subject
from zonehookd.model.plan import Note, Plan, Remember, Step
from zonehookd.model.subject import Subject
from zonehookd.plugin.contract import AnyPlugin, NetworkView, ZoneView

Called = Callable[[str, str, str, int], None]  # plugin, verb, result (ok|blind|failed), how often


@dataclass(frozen=True, slots=True)
class PlannedStep:
    plugin: str
    step: Step


@dataclass(slots=True)
class SubjectPlan:
    """What every plugin together wants for one subject. `blind`: could not look; `failed`: a plugin broke."""

    subject: Subject
    steps: list[PlannedStep] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    blind: str = ""
    failed: str = ""
    needs: frozenset[Subject] = frozenset()  # subjects of the same look whose steps come first

    @property
    def quiet(self) -> bool:
        return not (self.steps or self.blind or self.failed)


class Reconciler:
    def __init__(self, plugins: Sequence[AnyPlugin], called: Called) -> None:
        self.plugins = plugins
        self._called = called

    async def plan(self, look: Look, site: Site, due: Collection[Subject], motion: Motion) -> list[SubjectPlan]:
        """One plan per subject, networks first. A subject that cannot be seen or planned harms no other.

        `motion`: what the kernel said of zones lately.
        """
        networks = site.networks
        look.wide = len(due) > NARROW_MAX
        on_link = {network.link: network.name for network in networks.values()}
        readers = {plugin.name: PluginReader(look, plugin.name) for plugin in self.plugins}
        claims: dict[tuple[str, str], tuple[Subject, str]] = {}
        plans: list[SubjectPlan] = []
        trouble: dict[str, str] = {}  # network -> why it cannot be had now
        calls: Counter[tuple[str, str]] = Counter()
        for each in sorted(due, key=lambda one: (one.kind != "network", one.name)):
            view: NetworkView | ZoneView
            if each.kind == "network":
                view = NetworkView(each.name, networks.get(each.name), site.on_network.get(each.name, ()), on_link)
                plan = SubjectPlan(each)
            else:
                zone = site.zones.get(each.name)
                if zone is None:
                    continue
                attached = site.of_zone(each.name)
                plan = SubjectPlan(each)
                plan.needs = frozenset(subject.network(a.network.name) for a in attached.attachments)
                plan.notes += [Note("refused", r.text, r.code, r.object, r.hint) for r in attached.refusals]
                if zone.trouble:
                    plan.notes.append(Note("refused", zone.trouble, "unreadable", zone.name))
                    plans.append(plan)
                    continue
                view = ZoneView(
                    zone,
                    attached.attachments,
                    attached.refusals,
                    attached.left_alone,
                    site.holders,
                    each.name in motion.missed,
                    each.name in motion.moving,
                    trouble,
                )
            for plugin in self.plugins:
                if plugin.kind != each.kind:
                    continue
                good = await _plan_one(plugin, view, readers[plugin.name], plan, claims)
                calls[(plugin.name, "ok" if good else "blind" if plan.blind else "failed")] += 1
                if not good:
                    break
            if each.kind == "network":
                stopped = [note.text for note in plan.notes if note.kind == "refused"] or [plan.blind or plan.failed]
                if stopped[0]:
                    trouble[each.name] = stopped[0]
            plans.append(plan)
        for (name, result), times in calls.items():
            self._called(name, "plan", result, times)
        return plans


async def _plan_one(
    plugin: Any,
    view: NetworkView | ZoneView,
    reader: PluginReader,
    into: SubjectPlan,
    claims: dict[tuple[str, str], tuple[Subject, str]],
) -> bool:
    """False when this subject is not to be planned further."""
    try:
        seen = await plugin.observe(view, reader)
        plan = plugin.plan(view, seen)
        if not isinstance(plan, Plan):
            raise PluginFailed(f"plugin {plugin.name}: plan returned {type(plan).__name__}, not a Plan")
    except CannotObserve as problem:
        into.blind = f"{plugin.name}: {problem}"
        into.steps.clear()
        return False
    except Exception as problem:  # a plugin's bug is walled off: it costs this subject this look, nothing else
        trace = traceback.extract_tb(problem.__traceback__)[-1]
        into.failed = f"plugin {plugin.name} broke: {problem!r} ({trace.filename}:{trace.lineno})"
        into.steps.clear()
        return False
    for step in plan.steps:
        if isinstance(step, Remember):
            key = (step.record.kind, step.record.name)
            owner = claims.setdefault(key, (into.subject, plugin.name))
            if owner != (into.subject, plugin.name):
                into.failed = (
                    f"{step.record.kind} {step.record.name} is wanted by plugin {plugin.name} for {into.subject} "
                    f"and by plugin {owner[1]} for {owner[0]}"
                )
                into.steps.clear()
                return False
    into.steps += [PlannedStep(plugin.name, step) for step in plan.steps]
    into.notes += plan.notes
    return True
