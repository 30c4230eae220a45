"""From hints to plans: survey the host, let each plugin observe and plan for each subject that is due.

All plans of a look are made, and so checked, before the first step of any is carried out. Nothing here changes the
machine; the same code serves the dry run.
"""

from __future__ import annotations

import asyncio
import contextlib
import traceback
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from zonehookd.engine import views
from zonehookd.engine.abroad import Answer, ForeignPlans, ForeignPlugin
from zonehookd.engine.blocks import Blocks
from zonehookd.engine.boots import Motion
from zonehookd.engine.claims import Claims, needed
from zonehookd.engine.look import NARROW_MAX, Look, PluginReader
from zonehookd.engine.site import Site
from zonehookd.engine.survey import DELETED, UNDECIDED
from zonehookd.errors import CannotObserve, PluginFailed
from zonehookd.model import subject
from zonehookd.model.attachment import Attachment
from zonehookd.model.gateway import Gateway
from zonehookd.model.outcome import Result
from zonehookd.model.plan import GATEWAY_SHUT, Note, Step
from zonehookd.model.subject import Subject
from zonehookd.model.zone import Zone, ZoneState
from zonehookd.plugin.contract import AnyPlugin, GatewayView, NetworkView, ZoneView
from zonehookd.plugin.rules import checked

AnyView = NetworkView | GatewayView | ZoneView
_FOREIGN_AGAIN_S = 30.0  # an optional plugin that failed for a subject is asked again
_DRY_PATIENCE_S = 20.0  # whoever asks waits for an answer himself
OBSERVE_MAX_S = 60.0  # the commands it asks for have limits of their own, 30 s each
Called = Callable[[str, str, str, int], None]  # plugin, verb, result (ok|blind|failed), how often


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """`apart`: it goes on where another plugin's step has failed, and none waits for it. `foreign`: of a plugin in a
    process of its own, whose commands take turns among themselves only; `user`: as whom they and its files go."""

    plugin: str
    step: Step
    apart: bool = False
    foreign: bool = False
    user: str = ""


@dataclass(slots=True)
class SubjectPlan:
    """What every plugin together wants for one subject. `blind`: could not look; `failed`: a plugin broke."""

    subject: Subject
    steps: list[PlannedStep] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    blind: str = ""
    failed: str = ""
    needs: frozenset[Subject] = frozenset()  # subjects of the same look whose steps come first
    trouble: str = ""  # of a gateway: why nothing goes through it now

    @property
    def stopped(self) -> bool:
        """Nothing more is planned for it in this look."""
        return bool(self.blind or self.failed)

    def add(self, apart: SubjectPlan) -> None:
        """What stands by itself, and comes first: nothing that the others could not see takes it away."""
        self.steps[:0] = apart.steps
        self.notes += apart.notes
        self.blind, self.failed = self.blind or apart.blind, self.failed or apart.failed

    @property
    def without_steps(self) -> Result:
        """What a plan without steps comes to."""
        return Result.BLIND if self.blind else Result.FAILED if self.failed else Result.NOOP

    def unsettled(self, pause_s: float | None) -> str:
        """What is said when it is never done."""
        who = ", ".join(sorted({f"plugin {each.plugin}" for each in self.steps}))
        return f"{who}: after its steps there is still something to do; looked at again in {pause_s or 0:g} s"

    @property
    def quiet(self) -> bool:
        return not (self.steps or self.blind or self.failed)


class Reconciler:
    def __init__(self, plugins: Sequence[AnyPlugin], called: Called, foreign: ForeignPlans | None = None) -> None:
        """`plugins` run here; `foreign` elsewhere, after all of these."""
        self.plugins = plugins
        self._called = called
        self._foreign = foreign

    def forget(self, each: Subject) -> None:
        """It is gone, and not looked at any more."""
        if self._foreign is not None:
            self._foreign.forget(each)

    async def dry(self, look: Look, site: Site, due: Collection[Subject], motion: Motion) -> list[SubjectPlan]:
        """As `plan`, for somebody who asks: plugins elsewhere are waited for, and what they said in looks is kept."""
        asking = None
        if self._foreign is not None:
            asking = ForeignPlans(self._foreign.workers, patience_s=_DRY_PATIENCE_S, ours_first=False)
        try:
            return await self.plan(look, site, due, motion, foreign=asking)
        finally:
            if asking is not None:
                await asking.stop()

    async def plan(
        self,
        look: Look,
        site: Site,
        due: Collection[Subject],
        motion: Motion,
        shut_before: Mapping[str, str] = MappingProxyType({}),
        foreign: ForeignPlans | None = None,
    ) -> list[SubjectPlan]:
        """One plan per subject, networks first. A subject that cannot be seen or planned harms no other.

        `motion`: what the kernel said of zones lately. `shut_before`: gateway -> why nothing went through it when it
        was last looked at, for those that are not due now. `foreign`: who asks the plugins elsewhere, if not the usual.
        """
        look.wide = sum(each.kind == "zone" for each in due) > NARROW_MAX
        on_link = {network.link: network.name for network in site.networks.values()}
        readers = {plugin.name: PluginReader(look, plugin.name) for plugin in self.plugins}
        claims: Claims = {}
        plans: list[SubjectPlan] = []
        beside = {plugin.name for plugin in self.plugins if plugin.beside}
        trouble: dict[str, str] = {}  # network -> why it cannot be had now
        shut = {name: why for name, why in shut_before.items() if why}  # gateway -> why nothing goes through it now
        calls: Counter[tuple[str, str]] = Counter()
        shown: list[tuple[AnyView, SubjectPlan]] = []
        blocks = Blocks(look)
        asked = await self._ask_ahead(site, due, motion, readers)
        for each in sorted(due, key=lambda one: views.order(site, one)):
            view: AnyView
            plan = SubjectPlan(each)
            if each.kind == "network":
                view = views.network_view(site, each.name, on_link)
            elif each.kind == "gateway":
                view = views.gateway_view(site, each.name)
                plan.needs = frozenset({subject.zone(each.name)})
            elif (zone := site.zones.get(each.name)) is not None:
                attached = site.of_zone(each.name)
                plan.needs = frozenset(subject.network(a.network.name) for a in attached.attachments)
                plan.notes += [Note("refused", r.text, r.code, r.object, r.hint) for r in attached.refusals]
                plan.notes += _shut_off(zone, attached.attachments, shut)
                if zone.trouble:
                    plan.notes.append(
                        Note("refused", zone.trouble, "gateway-lost" if zone.vanished else "unreadable", zone.name)
                    )
                    plans.append(plan)
                    continue
                view = views.zone_view(site, zone, motion, trouble, shut)
            else:
                continue
            aside: list[SubjectPlan] = []
            for plugin in self.plugins:
                into = SubjectPlan(each) if plugin.apart else plan
                if plugin.kind != each.kind or into.stopped or not _concerns(plugin, view, readers[plugin.name]):
                    continue
                seen = asked.get((plugin.name, each))
                good = await _plan_one(plugin, view, readers[plugin.name], into, claims, blocks, seen)
                calls[(plugin.name, "ok" if good else "blind" if into.blind else "failed")] += 1
                if plugin.apart:
                    aside.append(into)
            if each.kind == "network":
                stopped = [note.text for note in plan.notes if note.kind == "refused"] or [plan.blind or plan.failed]
                if stopped[0]:
                    trouble[each.name] = stopped[0]
            elif isinstance(view, GatewayView) and view.gateway is not None:
                further = () if view.trouble else _further_out(view.gateway, shut)
                plan.notes += further
                plan.trouble = _gateway_trouble(view, plan, beside) or next((note.text for note in further), "")
                shut.pop(each.name, None)
                if plan.trouble:
                    shut[each.name] = plan.trouble
            for apart in reversed(aside):
                plan.add(apart)
            plans.append(plan)
            shown.append((view, plan))
        if (foreign := foreign or self._foreign) is not None and foreign.workers.plugins():
            now = [(view, plan) for view, plan in shown if foreign.in_turn(plan.subject, ours=bool(plan.steps))]
            said = await foreign.answers(look, [_for_foreign(view) for view, _ in now])
            for _, plan in now:
                for where, answer in said.get(plan.subject, ()):
                    calls[(where.name, _add_foreign(where, answer, plan, claims, blocks))] += 1
        for (name, result), times in calls.items():
            self._called(name, "plan", result, times)
        return plans

    async def _ask_ahead(
        self, site: Site, due: Collection[Subject], motion: Motion, readers: Mapping[str, PluginReader]
    ) -> Mapping[tuple[str, Subject], object]:
        """Ask together what would be asked one after the other; the answers stay in the look. Failures come up again
        where they belong. Returns by plugin and gateway what was observed, for its view is the same when it is planned.
        """
        waiting = []
        gateways = {each.name: views.gateway_view(site, each.name) for each in due if each.kind == "gateway"}
        seen: dict[tuple[str, Subject], object] = {}
        for plugin in self.plugins:
            if not plugin.asks_each:
                continue
            for each in due:
                if each.kind != plugin.kind:
                    continue
                view: AnyView
                if each.kind == "gateway":
                    view = gateways[each.name]
                elif each.kind == "zone" and (zone := site.zones.get(each.name)) is not None and not zone.trouble:
                    view = views.zone_view(site, zone, motion, {}, {})
                else:
                    continue
                if _concerns(plugin, view, readers[plugin.name]):
                    into = seen if each.kind == "gateway" else {}
                    waiting.append(_quietly(plugin, view, readers[plugin.name], into, each))
        if waiting:
            await asyncio.gather(*waiting)
        return seen


async def _quietly(
    plugin: Any, view: AnyView, reader: PluginReader, seen: dict[tuple[str, Subject], object], each: Subject
) -> None:
    with contextlib.suppress(Exception):
        async with asyncio.timeout(OBSERVE_MAX_S):
            seen[(plugin.name, each)] = await plugin.observe(view, reader)


def _further_out(gateway: Gateway, shut: Mapping[str, str]) -> Sequence[Note]:
    """A gateway whose way out leads through another that is shut."""
    via = gateway.outside.via if gateway.outside is not None else ""
    if via not in shut:
        return ()
    return (Note("waiting", f"waiting for gateway {via}: {shut[via]}", "gateway-down", via),)


def _gateway_trouble(view: GatewayView, plan: SubjectPlan, beside: Collection[str]) -> str:
    """Why nothing goes through this gateway now, or nothing. `beside`: plugins that packets do not wait for."""
    if view.trouble or plan.blind or plan.failed:
        return view.trouble or plan.blind or plan.failed
    if any(each.plugin not in beside for each in plan.steps):
        return "it is being set up"
    return next((note.text for note in plan.notes if note.code == GATEWAY_SHUT), "")


def stage(trouble: str) -> str:
    """What of a gateway's trouble is news to zones behind it: open or shut, and whether it is believed to be gone and
    how it comes back. Its words change oftener, and each change of these costs a look at all of them."""
    if DELETED in trouble:
        return DELETED + trouble.rpartition(" (hint: ")[2]
    return UNDECIDED if UNDECIDED in trouble else "shut" if trouble else ""


def _shut_off(zone: Zone, attachments: Sequence[Attachment], shut: Mapping[str, str]) -> Iterator[Note]:
    """A zone that runs behind a gateway through which nothing goes is told so."""
    if zone.state is not ZoneState.RUNNING:
        return
    for name in dict.fromkeys(each.network.via for each in attachments if each.role == "member"):
        if name in shut:
            yield Note("waiting", f"waiting for gateway {name}: {shut[name]}", "gateway-down", name)


def _concerns(plugin: AnyPlugin, view: AnyView, reader: PluginReader) -> bool:
    """A plugin that breaks here is taken to be concerned: what it makes of the subject is for its plan to say."""
    try:
        return bool(plugin.concerns(view, reader))
    except Exception:
        return True


async def _plan_one(
    plugin: Any,
    view: AnyView,
    reader: PluginReader,
    into: SubjectPlan,
    claims: Claims,
    blocks: Blocks,
    seen: object,
) -> bool:
    """False when this subject is not to be planned further. `seen`: what was observed ahead, or None."""
    try:
        if seen is not None:
            pass
        elif plugin.bundled:
            seen = await plugin.observe(view, reader)
        else:
            async with asyncio.timeout(OBSERVE_MAX_S):
                seen = await plugin.observe(view, reader)
        plan = needed(checked(plugin.plan(view, seen)), (into.subject, plugin.name), claims, blocks)
    except CannotObserve as problem:
        into.blind = f"{plugin.name}: {problem}"
    except TimeoutError:
        into.failed = f"plugin {plugin.name}: observe took longer than {OBSERVE_MAX_S:g} s"
    except PluginFailed as problem:
        into.failed = f"plugin {plugin.name}: {problem}"
    except Exception as problem:  # a plugin's bug is walled off: it costs this subject this look, nothing else
        trace = traceback.extract_tb(problem.__traceback__)[-1]
        into.failed = f"plugin {plugin.name} broke: {problem!r} ({trace.filename}:{trace.lineno})"
    if into.blind or into.failed:
        into.steps.clear()
        return False
    into.steps += [PlannedStep(plugin.name, step, plugin.apart) for step in plan.steps]
    into.notes += plan.notes
    return True


def _for_foreign(view: AnyView) -> AnyView:
    """Of who holds which link it is shown its own links: a view is sent, and compared with the one before."""
    if isinstance(view, ZoneView):
        names = [nic.link for nic in view.zone.config.nics] if view.zone.config else ()
    elif isinstance(view, NetworkView):
        names = [view.network.link] if view.network else ()
    else:
        return view
    return replace(view, holders={each: view.holders[each] for each in names if each in view.holders})


def _add_foreign(
    plugin: ForeignPlugin,
    answer: Answer,
    into: SubjectPlan,
    claims: Claims,
    blocks: Blocks,
) -> str:
    """ok, blind or failed. What it wants comes after ours, and stands by itself; without its answer the subject is in
    trouble if the plugin is required, else it is only said."""
    blind, failed, notes = answer.blind, answer.failed, answer.plan.notes
    try:
        plan = needed(checked(answer.plan), (into.subject, plugin.name), claims, blocks)
        into.steps += [PlannedStep(plugin.name, step, True, True, plugin.user) for step in plan.steps]
    except CannotObserve as problem:
        blind = f"{plugin.name}: {problem}"
    except PluginFailed as problem:
        failed = f"plugin {plugin.name}: {problem}"
    into.notes += notes
    if plugin.required:
        into.blind, into.failed = into.blind or blind, into.failed or failed
    elif blind or failed:
        code = "plugin-blind" if blind else "plugin-failed"
        into.notes.append(Note("waiting", blind or failed, code, plugin.name, again_after_s=_FOREIGN_AGAIN_S))
    return "blind" if blind else "failed" if failed else "ok"
