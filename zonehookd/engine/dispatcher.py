"""Which subjects are due, and when: many events, one look; one worker per subject; everything bounded.

Events are gathered while a look runs, so a burst costs few looks. A subject whose steps are being carried out is not
planned again until they are done; other subjects go on. After steps, the subject is due again at once: done means that
a look finds nothing to do.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping, Sequence
from dataclasses import replace

from zonehookd.engine import views
from zonehookd.engine.agenda import Agenda
from zonehookd.engine.applier import Applied, Applier
from zonehookd.engine.backoff import Backoff
from zonehookd.engine.boots import Boots
from zonehookd.engine.correlations import Correlations
from zonehookd.engine.listeners import Listener
from zonehookd.engine.look import Look
from zonehookd.engine.reconciler import Reconciler, SubjectPlan, stage
from zonehookd.engine.site import Site
from zonehookd.engine.survey import Survey
from zonehookd.engine.timing import Timing
from zonehookd.engine.waiters import Waiters
from zonehookd.errors import CannotObserve
from zonehookd.model import subject
from zonehookd.model.correlation import CURRENT, NONE
from zonehookd.model.event import Event
from zonehookd.model.gateway import Declaration
from zonehookd.model.outcome import Outcome, Result
from zonehookd.model.subject import Subject
from zonehookd.store.store import Store

_PAUSE_MAX_S = 1.0
_STOP_HEARD_S = 0.5  # how soon a stop is heard while we wait for sight
_CONFIRM_S = 0.25  # while others still work, what has worked is confirmed together, this often
_SOON_S = 0.3  # who is due within this is not settled


class Dispatcher:
    """`run` is the loop that does the work; `beat` is called each time round, for the watchdog."""

    def __init__(
        self,
        make_look: Callable[[], Look],
        store: Store,
        survey: Survey,
        reconciler: Reconciler,
        applier: Applier,
        timing: Timing,
        listeners: Sequence[Listener],
        beat: Callable[[], None],
    ) -> None:
        self.declared = Declaration()
        self.latest: dict[Subject, Outcome] = {}
        self.survey = survey
        self.reconciler = reconciler
        self.timing = timing
        self._make_look = make_look
        self._store = store
        self._applier = applier
        self._listeners = listeners
        self._beat = beat
        self._wake = asyncio.Event()
        self._urgent = asyncio.Event()  # somebody is held up by us: a boot, a halt
        self._stop: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._working: dict[Subject, asyncio.Task[None]] = {}
        self._backoffs: dict[Subject, Backoff] = {}
        self._agenda = Agenda(self._backoffs)
        self._correlations = Correlations()
        self._begun: dict[Subject, tuple[SubjectPlan, float]] = {}
        self._boots = Boots()
        self._shut: dict[str, str] = {}  # gateway -> why nothing went through it at the last look
        self._confirming: set[Subject] = set()
        self._confirm_at = 0.0
        self._waiters = Waiters()
        self._last_full_s: float | None = None
        self._blindness = Backoff(timing.retry_max_s)
        self._blind_until_s = 0.0
        self.hold: Callable[[str], Awaitable[str]] | None = None  # asked before a zone's steps: why they must wait
        self.deaf = 0  # times a listener raised
        self.stopping = False

    # -- what others may do

    def hint(self, event: Event, *, urgent: bool = False) -> None:
        """Cheap, never blocks, bounded by the number of zones. Call it from the loop's own thread. `urgent`: somebody
        is kept waiting, so no burst is gathered first."""
        now = time.monotonic()
        if urgent:
            self._urgent.set()
        correlation = self._correlations.hinted(event)
        event = replace(event, change=correlation.change or correlation.cause)
        new = self._agenda.heard.hear(event, now, correlation)
        if event.zone is not None and not event.everything:
            self._boots.heard(event.zone, event.kind, now, at_rest=self._at_rest(event.zone))
        self._wake.set()
        self._tell(lambda listener: listener.hinted(event, new))

    def declare(self, declared: Declaration) -> None:
        """What is declared, now. Takes effect with the next look, which is a full one."""
        self.declared = declared
        self.hint(Event("config", "networks", everything=True))

    def again(self, each: Subject) -> None:
        """It is due now, whatever was said before."""
        self._agenda.later(each, time.monotonic())
        self._wake.set()

    async def settled(self) -> None:
        """Returns when a full look that began after this call is over, with its steps and the look after them.

        Raises CannotObserve when the look fails as a whole.
        """
        waiting = self._waiters.for_all(time.monotonic())
        self.hint(Event("control", "apply", everything=True))
        await waiting

    async def attended(self, zone: str) -> None:
        """Returns when a look that began after this call has seen to `zone`, steps included, its boot apart. Raises
        CannotObserve."""
        ours = self.boots(zone)
        self.hint(Event("gate", "asked", zone=zone), urgent=not ours)
        if not ours:
            await self._waiters.for_one(subject.zone(zone), time.monotonic())

    @property
    def at_work(self) -> Mapping[Subject, tuple[SubjectPlan, float]]:
        """Subjects whose steps are being carried out, with their plan and since when, in monotonic seconds."""
        return self._begun

    def boots(self, zone: str) -> bool:
        """Its gate has asked. True: we ourselves boot it, and hold up what we wait for."""
        return self._boots.asked(zone)

    async def dry_run(
        self, declared: Declaration | None = None, look: Look | None = None
    ) -> tuple[Site, list[SubjectPlan]]:
        """What a full look would do now, or if this were declared. Raises CannotObserve. Changes nothing. `look`: of
        whoever has more to ask at the same moment."""
        look = look or self._make_look()
        CURRENT.set(self._correlations.look(None))
        taken = await self.survey.take(look, declared or self.declared, time.monotonic())
        due = self._all_subjects(taken.site)
        return taken.site, await self.reconciler.dry(look, taken.site, due, self._boots.motion(time.monotonic()))

    def stop(self) -> None:
        """No further look; steps that run are finished by `run` before it returns."""
        self.stopping = True
        self._wake.set()
        if not self._stop.done():
            self._stop.set_result(None)

    # -- the loop

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            while not self.stopping:
                self._beat()
                await self._until_due()
                if self.stopping:
                    break
                began = time.monotonic()
                await self.until_stopped(self._look(tasks))
                await self._pause(min(max(self.timing.pace_s, (time.monotonic() - began) / 2), _PAUSE_MAX_S))

    async def _pause(self, seconds: float) -> None:
        """A burst gathers meanwhile; but whoever holds up a boot is not kept waiting."""
        await asyncio.sleep(self.timing.pace_s)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds - self.timing.pace_s):
                await self._urgent.wait()

    async def until_stopped(self, look: Coroutine[None, None, None]) -> None:
        """A look only reads: told to stop, it is given up at once. It beats meanwhile, for its commands are bounded."""
        task = asyncio.ensure_future(look)
        while not task.done():
            await asyncio.wait([task, self._stop], timeout=self.timing.heartbeat_s, return_when=asyncio.FIRST_COMPLETED)
            if self.stopping and not task.done():
                task.cancel()
                await asyncio.wait([task])
                return
            self._beat()
        task.result()

    async def _until_due(self) -> None:
        """Until a hint, a retry, or a full look is due; woken by the heartbeat in between."""
        while not self.stopping:
            now = time.monotonic()
            if now < self._blind_until_s:
                await asyncio.sleep(min(self._blind_until_s - now, _STOP_HEARD_S))
                self._beat()
                continue
            next_full = (self._last_full_s or 0.0) + self.timing.full_look_s if self._last_full_s else now
            at = self._agenda.next_at(self._working, next_full)
            self._report_queue(now)
            self._announce_settled()
            if self._agenda.heard or at <= now:
                return
            self._wake.clear()
            try:
                async with asyncio.timeout(min(at - now, self.timing.heartbeat_s)):
                    await self._wake.wait()
            except TimeoutError:
                self._beat()

    async def _look(self, tasks: asyncio.TaskGroup) -> None:
        began = time.monotonic()
        self._urgent.clear()
        heard = self._agenda.take()
        full = (
            heard.everything is not None
            or not self._last_full_s
            or self._last_full_s + self.timing.full_look_s <= began
        )
        look = self._make_look()
        cause = self._correlations.look(heard.cause)
        CURRENT.set(replace(cause, cause=""))
        try:
            taken = await self.survey.take(look, self.declared, began)
            site = taken.site
            everybody = self._all_subjects(site) if full else ()
            since = heard.anything or heard.everything or began
            news = (heard, taken.changed, everybody)
            due = self._agenda.gather(site, self.survey.site, *news, self._working, since, began)
            plans = await self.reconciler.plan(look, site, due, self._boots.motion(began), self._shut)
        except Exception as problem:  # a bug in a look must not cut the steps that run; it is said, and tried again
            self._agenda.heard.put_back(heard)
            self._blind_until_s = time.monotonic() + (self._blindness.after(Result.BLIND)[1] or 0.0)
            seen = problem if isinstance(problem, CannotObserve) else CannotObserve(f"internal error: {problem!r}")
            self._waiters.failed(seen)
            self._tell(lambda listener: listener.blind(str(seen)))
            return
        self._blindness.after(Result.NOOP)
        self.survey.keep(taken)
        self._boots.seen(site.zones, began)
        if taken.again_after_s is not None:
            later_s, what = taken.again_after_s + 0.01, Event("survey", "missing zone")
            asyncio.get_running_loop().call_later(later_s, self.hint, what)
        if full:
            self._last_full_s = began
        unannounced = len(taken.changed - heard.zones.keys()) if self.latest and not heard.announced else 0
        since_s = {each: self._agenda.begin(each, began) for each in due}  # also those that turned out to be gone
        self._confirming.difference_update(due)
        for plan in plans:  # of all, before the first of them has ended
            because = self._agenda.because(plan.subject)
            if self._is_news(plan, taken.changed):
                self._correlations.planned(plan.subject, cause, because)
        for plan in plans:
            since = since_s[plan.subject]
            if plan.steps:
                needs = [self._working[each] for each in plan.needs if each in self._working]
                self._begun[plan.subject] = (plan, time.monotonic())
                self._working[plan.subject] = tasks.create_task(self._work(plan, needs, since, began))
            else:
                self._end(plan, Applied(plan.without_steps, ()), since, began)
        for gone in [each for each in self.latest if not self._known(each, site)]:
            del self.latest[gone]
            self._backoffs.pop(gone, None)
            self._agenda.forget(gone)
            self._correlations.close(gone)
            self.reconciler.forget(gone)
        for name in heard.zones.keys() - site.zones.keys():  # never seen, so nothing will come of it
            self._correlations.close(subject.zone(name))
        self._waiters.looked(began, lambda each: each in self._working)
        seconds = time.monotonic() - began
        self._tell(lambda listener: listener.looked(site, seconds, full, len(plans), unannounced))

    def _all_subjects(self, site: Site) -> list[Subject]:
        owners = [owner for owner in self._store.owners() if owner.kind != "zone"]
        networks = [subject.network(name) for name in {**self.declared.networks, **site.networks}]
        gateways = [subject.gateway(name) for name in {**self.declared.gateways, **site.gateways}]
        return [*dict.fromkeys([*networks, *gateways, *owners]), *(subject.zone(name) for name in site.zones)]

    def _known(self, each: Subject, site: Site) -> bool:
        if each in self._working:
            return True
        if each.kind != "zone":
            declared = self.declared.networks if each.kind == "network" else self.declared.gateways
            return each.name in declared or bool(self._store.of(each))
        zone = site.zones.get(each.name)
        return zone is not None and (not zone.absent or bool(self._store.of(each)))

    # -- working

    async def _work(self, plan: SubjectPlan, needs: Sequence[asyncio.Task[None]], since: float, began: float) -> None:
        """Never raises: whatever happens to one subject is an outcome of that subject."""
        name = plan.subject.name
        CURRENT.set(self._correlations.of(plan.subject))
        try:
            if needs:
                await asyncio.wait(needs)
            why = await self.hold(name) if self.hold and plan.subject.kind == "zone" else ""
            boots = any(getattr(each.step, "lane", "") == "boot" for each in plan.steps) and not why
            with self._boots.again(name) if boots else contextlib.nullcontext():
                applied = Applied(Result.STUCK, (), why) if why else await self._applier.apply(plan.subject, plan.steps)
        except Exception as problem:
            applied = Applied(Result.FAILED, (), f"{plan.subject}: {problem!r}")
        finally:
            del self._working[plan.subject]
            del self._begun[plan.subject]
        if plan.subject.kind == "zone":
            self._boots.made(name, any(done.ok for done in applied.steps))
        self._end(plan, applied, since, began)
        self._wake.set()

    def _end(self, plan: SubjectPlan, applied: Applied, since: float, began: float) -> None:
        backoff = self._backoffs.setdefault(plan.subject, Backoff(self.timing.retry_max_s))
        result, pause_s = backoff.after(applied.result)
        now = time.monotonic()
        pauses = [note.again_after_s for note in plan.notes if note.again_after_s is not None]
        if pause_s is None and pauses:
            pause_s = min(pauses)
        if result is Result.CHANGED:
            pause_s = self._confirm(plan.subject, now)
        if pause_s is not None:
            self._agenda.later(plan.subject, now + pause_s)
            if result is Result.CHANGED:
                self._agenda.waits_since(plan.subject, now)
        never_done = plan.unsettled(pause_s) if result is Result.UNSETTLED else ""
        outcome = Outcome(
            plan.subject,
            result,
            applied.steps,
            tuple(plan.notes),
            applied.error or plan.blind or plan.failed or never_done,
            waited_s=max(0.0, began - since),
            seconds=now - began,
            correlation=self._correlations.of(plan.subject),
        )
        self.latest[plan.subject] = outcome
        at = now if result is Result.NOOP else now + (pause_s or 0.0)  # what only waits does not change soon
        for zone in self._touched(plan, result):  # zones at work are confirmed anyway
            if subject.zone(zone) not in self._working:
                self._agenda.also(subject.zone(zone), at, plan.subject)
        self._tell(lambda listener: listener.ended(outcome))
        if result is Result.NOOP and not self._agenda.hinted(plan.subject):
            self._correlations.close(plan.subject)
        self._waiters.ended(plan.subject, began)

    def _touched(self, plan: SubjectPlan, result: Result) -> set[str]:
        """Zones to look at because of what became of their network or gateway."""
        site, name = self.survey.site, plan.subject.name
        if site is None or plan.subject.kind == "zone":
            return set()
        if plan.subject.kind == "network":  # an MTU changed, or a stub is there now
            return {each.zone for each in site.on_network.get(name, ())} if result is Result.CHANGED else set()
        before, self._shut[name] = self._shut.get(name, ""), plan.trouble
        return views.behind_it(site, name) if stage(before) != stage(plan.trouble) else set()

    def _confirm(self, changed: Subject, now: float) -> float:
        """The pause until the look that sees whether its steps did what they should: one look confirms many."""
        self._confirming.add(changed)
        if self._working:
            if self._confirm_at <= now:
                self._confirm_at = now + _CONFIRM_S
            return self._confirm_at - now
        for each in self._confirming:
            self._agenda.anew(each, now)
        self._confirming.clear()
        self._confirm_at = 0.0
        return 0.0

    def _report_queue(self, now: float) -> None:
        waiting, oldest_s = self._agenda.waiting(self._working, now)
        self._tell(lambda listener: listener.queued(waiting, oldest_s, len(self._working)))

    def _tell(self, what: Callable[[Listener], None]) -> None:
        """Whoever listens badly harms nobody: a full disk under the log is no reason to leave a zone unwired."""
        for listener in self._listeners:
            try:
                what(listener)
            except Exception:
                self.deaf += 1

    def _is_news(self, plan: SubjectPlan, changed: Collection[str]) -> bool:
        """It belongs to a change: one that it is in already, or that this look has found."""
        if self._correlations.of(plan.subject) is not NONE or not plan.quiet:
            return True
        last = self.latest.get(plan.subject)
        said = [note.text for note in plan.notes if note.kind != "nothing"]
        before = [note.text for note in last.notes if note.kind != "nothing"] if last else []
        return said != before or (plan.subject.kind == "zone" and plan.subject.name in changed)

    def _at_rest(self, zone: str) -> bool:
        last = self.latest.get(subject.zone(zone))
        return last is not None and last.result is Result.NOOP and all(note.kind == "nothing" for note in last.notes)

    def _announce_settled(self) -> None:
        """Settled: nobody works, nobody is due at once."""
        now = time.monotonic()
        busy = bool(self._working) or self._agenda.anybody_by(now + _SOON_S)
        if not busy and self._agenda.heard.everything is None and self._last_full_s is not None:
            self._waiters.settled(self._last_full_s)
