"""What `zonehookctl plugin try` asks: a worker of its own is started for it, and ended with the answer."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from zonehookd.bus.control import Handler
from zonehookd.bus.messages import Request, TrialWish
from zonehookd.bus.trial_messages import AskedRow, TrialReply
from zonehookd.bus.views import changes_host, note_row, plan_row
from zonehookd.config import PluginsSection
from zonehookd.engine.abroad import Answer, ForeignPlans
from zonehookd.engine.boots import Motion
from zonehookd.engine.look import Look
from zonehookd.engine.reconciler import Reconciler, SubjectPlan
from zonehookd.engine.survey import Survey
from zonehookd.errors import CannotObserve, NotFound, PluginFailed, ZonehookError
from zonehookd.foreign.spec import Run, Spec
from zonehookd.foreign.workers import ForeignWorkers
from zonehookd.model.gateway import Declaration
from zonehookd.model.plan import Note
from zonehookd.model.subject import Subject
from zonehookd.plugin import finding
from zonehookd.trial.alone import Alone, Heard
from zonehookd.trial.remarks import fickle, needless

_SLACK_S = 5.0  # of the look, beyond the plugin's own deadline


class Heart(Protocol):
    """What of the dispatcher this needs."""

    survey: Survey
    reconciler: Reconciler
    declared: Declaration


class TrialAnswers:
    def __init__(
        self,
        heart: Heart,
        workers: ForeignWorkers,
        make_look: Callable[[], Look],
        plugins: Callable[[], PluginsSection],
    ) -> None:
        """`plugins`: of the configuration that holds."""
        self._heart = heart
        self._workers = workers
        self._make_look = make_look
        self._plugins = plugins

    def handlers(self) -> dict[str, Handler]:
        return {"plugin-try": self.trial}

    async def trial(self, request: Request) -> TrialReply:
        """Raises PluginRefused, Fault, CannotObserve; ZonehookError for a subject that is not there."""
        wish = request.trial
        if wish is None:
            raise ZonehookError("plugin-try: for which subject is not said")
        spec = self._spec(request.plugin or "", wish)
        each = Subject(wish.kind, wish.name)
        began = time.monotonic()
        async with self._workers.trial(spec) as trial:
            start_s = time.monotonic() - began
            if trial.hello.kind != wish.kind:
                hint = f"--{trial.hello.kind} NAME"
                raise ZonehookError(f"plugin {spec.name} is for {trial.hello.kind}s, and {each} is none", hint=hint)
            alone, asked, look = Alone(trial), list[AskedRow](), self._make_look()
            look.listen(lambda commands: Heard(commands, spec.name, asked))
            plan = await self._plan(look, each, alone, spec.run.deadline_s)
            plan_s, answer = alone.seconds, alone.answers.get(each, Answer())
            again = await trial.plan(spec.name, alone.views, look) if alone.views else {}
            steps = [step for step in plan.steps if step.foreign]
            return TrialReply(
                plugin=spec.name,
                shape=spec.found.shape,
                about=trial.hello.about,
                kind=each.kind,
                name=each.name,
                steps=plan_row(SubjectPlan(each, steps)).steps,
                notes=[note_row(note) for note in answer.plan.notes],
                blind=answer.blind,
                failed=answer.failed or _refused(plan, spec.name),
                remarks=[*needless(answer, look), *fickle(answer, again.get(each, Answer()))],
                asked=asked,
                changes=sum(changes_host(step.step) for step in steps),
                start_s=round(start_s, 6),
                plan_s=round(plan_s, 6),
            )

    def _spec(self, name: str, wish: TrialWish) -> Spec:
        """Raises PluginRefused."""
        section = self._plugins()
        if wish.path:
            found = finding.of_path(Path(wish.path))
        else:
            known = finding.find(section.folders)
            if name not in known:
                raise finding.missing(name, known, section.folders)
            found = known[name]
        if found.bundled:
            raise PluginFailed(f"plugin {found.name} is ours, and runs in the daemon", hint="zonehookctl plan")
        run = section.run.get(found.name)
        options = {**section.options.get(found.name, {}), **wish.options}
        return Spec(found, Run(**run.model_dump()) if run else Run(), options)

    async def _plan(self, look: Look, each: Subject, alone: Alone, deadline_s: float) -> SubjectPlan:
        """As a look at this subject would plan it, with ours before it, whose wishes come first."""
        heart = self._heart
        site = (await heart.survey.take(look, heart.declared, time.monotonic())).site
        there = {"zone": site.zones, "network": site.networks, "gateway": site.gateways}[each.kind]
        if each.name not in there:
            hint = f"there are: {', '.join(sorted(there)) or 'none'}"
            raise NotFound(f"there is no {each.kind} {each.name!r}", hint=hint)
        asking = ForeignPlans(alone, patience_s=deadline_s + _SLACK_S, ours_first=False)
        try:
            plans = await heart.reconciler.plan(look, site, [each], Motion(), foreign=asking)
        finally:
            await asking.stop()
        found = next((plan for plan in plans if plan.subject == each), None)
        if found is None or not alone.views:
            refusals = [note.text for note in found.notes if note.kind == "refused"] if found else []
            raise CannotObserve(f"{each} is not planned for: {'; '.join(refusals) or 'it cannot be read'}")
        return found


def _refused(plan: SubjectPlan, name: str) -> str:
    """What the daemon says to the plan: it breaks a rule, or wants what is another's."""
    said = (note for note in plan.notes if isinstance(note, Note) and note.object == name)
    return next((note.text for note in said if note.code in ("plugin-failed", "plugin-blind")), "")
