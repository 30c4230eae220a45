"""Fills the table by listening to outcomes; what others count is asked for at each scrape."""

from __future__ import annotations

import builtins
import platform
import shlex
import sys
import time
from collections import Counter as Counts
from collections.abc import Callable, Iterable, Mapping
from pathlib import PurePath
from typing import Any, TypeVar

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)

from zonehookd import __version__
from zonehookd.engine.site import Site
from zonehookd.metrics import collectors
from zonehookd.metrics.collectors import Answers, Asked, RouteCounts, WorkerCount
from zonehookd.metrics.table import BUCKETS_S, CALL_RESULTS, KINDS, TABLE
from zonehookd.model.command import Change
from zonehookd.model.event import Event
from zonehookd.model.guard import Verdict
from zonehookd.model.outcome import Outcome, Result, StepResult
from zonehookd.model.plan import Forget, RemoveFile, WriteBlock, WriteFile
from zonehookd.model.record import ADDRESS, Record
from zonehookd.model.subject import Subject

Told = TypeVar("Told", Counter, Gauge, Histogram)
QUEUE = "subjects"
_RESULTS = {Result.NOOP: "noop", Result.CHANGED: "changed", Result.BUSY: "requeue", Result.UNSETTLED: "requeue"}
_CALLED = {"blind": "retry", "stuck": "permanent"}  # our words for what became of a plan or a step -> the table's
_STEP_RESULTS = {Result.BUSY: "busy", Result.STUCK: "permanent"}  # of a step that failed; else it is tried again
_SERVERS = ("dhcpd", "dnsmasq")
_PROXIES = ("haproxy", "nginx")
_HELD_UP = ("late", "links-missing", "unreadable", "cannot-look")  # codes of a boot that we would rather not allow


class Metrics:
    """A Listener and a SourceListener; `registry` is what /metrics shows."""

    def __init__(self, zones_max: int, full_look_s: float = 60.0) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # twice as many series, for a time that `up_since` tells
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)
        self._zones_max = zones_max
        self._site: Site | None = None
        self._ways: dict[str, str] = {}  # source -> the way it goes by
        self._called: Counts[tuple[str, ...]] = Counts()  # plugin, verb, result
        self._plugins: tuple[str, ...] = ()
        self._workers: Callable[[], Iterable[WorkerCount]] = list
        self._counters: dict[str, Counter] = {}
        self._gauges: dict[str, Gauge] = {}
        self._histograms: dict[str, Histogram] = {}
        self._found: dict[tuple[str, tuple[str, ...]], Any] = {}
        self._make()
        self._asked = Asked()
        self._asked.add(["plugin_calls_total"], self._calls)
        self.ask_number("cpu_seconds_total", time.process_time)
        registry.register(self._asked)
        about = (__version__, platform.python_version(), sys.platform)
        self._gauges["build_info"].labels(*about).set(1)
        self._gauges["up_since_timestamp_seconds"].set_to_current_time()
        self._gauges["full_look_interval_seconds"].set(full_look_s)
        self.config_taken()

    def _make(self) -> None:
        """What is told, and not asked for. Label sets that are known begin with 0."""
        for row in (each for each in TABLE.values() if not each.asked):
            made: Counter | Gauge | Histogram
            about = (row.full_name, row.help, row.label_names)
            if row.type == "counter":
                made = self._counters[row.name] = Counter(*about, registry=self.registry)
            elif row.type == "gauge":
                made = self._gauges[row.name] = Gauge(*about, registry=self.registry)
            else:
                made = self._histograms[row.name] = Histogram(*about, buckets=BUCKETS_S, registry=self.registry)
            if row.labels:
                for values in row.known():
                    made.labels(*values)

    def _count(self, name: str, *labels: str, by: float = 1.0) -> None:
        self._one(self._counters, name, labels).inc(by)

    def _set(self, name: str, number: float, *labels: str) -> None:
        self._one(self._gauges, name, labels).set(number)

    def _took(self, name: str, seconds: float, *labels: str) -> None:
        self._one(self._histograms, name, labels).observe(seconds)

    def _one(self, of: Mapping[str, Told], name: str, labels: tuple[str, ...]) -> Told:
        """The series with these labels: found once, for a look at ten thousand zones asks for it as often."""
        found: Told | None = self._found.get((name, labels))
        if found is None:
            found = self._found[name, labels] = of[name].labels(*labels) if labels else of[name]
        return found

    # -- the daemon

    def is_ready(self) -> None:
        self._set("ready", 1)

    def config_taken(self) -> None:
        self._set("config_last_reload_successful", 1)
        self._set("config_last_reload_success_timestamp_seconds", time.time())

    def config_refused(self) -> None:
        self._set("config_last_reload_successful", 0)

    def committed(self, seconds: float) -> None:
        """A change of the books is on disk."""
        self._took("books_commit_duration_seconds", seconds)

    def has(self, plugins: Iterable[str], sources: Iterable[str] = ()) -> None:
        """Who works here: their series begin with 0."""
        self._plugins = tuple(plugins)
        for plugin in self._plugins:
            for kind in KINDS:
                for cause in ("missing", "altered"):
                    self._counters["drift_repairs_total"].labels(plugin, kind, cause)
        for source in sources:
            self._set("event_source_up", 0, source)
            self._counters["events_coalesced_total"].labels(source)
            for reason in TABLE["event_source_restarts_total"].labels[1].values:
                self._counters["event_source_restarts_total"].labels(source, reason)

    # -- who is asked at each scrape

    def ask(self, names: tuple[str, ...], ask: Callable[[], Answers]) -> None:
        """`names`: metrics of the table that `ask` answers for. Called on the thread of the scrape."""
        self._asked.add(names, ask)

    def ask_number(self, name: str, ask: Callable[[], float]) -> None:
        """As `ask`, of one metric without labels."""
        self._asked.add([name], lambda: {name: {(): ask()}})

    def show_resources(self, records: Callable[[], Iterable[Record]], latest: Mapping[Subject, Outcome]) -> None:
        def addresses() -> list[Record]:
            return [each for each in records() if each.kind == ADDRESS]

        self.ask(collectors.BOOKS, lambda: collectors.books(records(), latest))
        self.ask(collectors.SUBJECTS, lambda: collectors.subjects(latest, self._zones_max))
        self.ask(collectors.SITE, lambda: collectors.placed(self._site, addresses()))

    def show_routes(self, counts: Callable[[], RouteCounts]) -> None:
        self.ask(collectors.ROUTES, lambda: collectors.routes(counts()))

    def show_channel(self, source: str, counts: Callable[[], Mapping[str, int]]) -> None:
        self.ask(collectors.CHANNEL, lambda: collectors.channel(counts(), source))

    def show_workers(self, rows: Callable[[], Iterable[WorkerCount]]) -> None:
        """Plugins that run in workers of their own; their calls are counted with everybody's."""
        self._workers = rows
        self.ask(collectors.WORKERS, lambda: collectors.workers(rows()))

    def _calls(self) -> Answers:
        verbs, results = ("plan", "apply"), CALL_RESULTS
        counts: dict[tuple[str, ...], float] = {
            (plugin, verb, result): 0.0 for plugin in self._plugins for verb in verbs for result in results
        }
        for labels, times in list(self._called.items()):
            counts[labels] = counts.get(labels, 0.0) + times
        for worker in self._workers():
            for (verb, result), times in worker.calls.items():
                labels = (worker.name, verb, result)
                counts[labels] = counts.get(labels, 0.0) + times
        return {"plugin_calls_total": counts}

    # -- Listener

    def hinted(self, event: Event, new: bool) -> None:
        self._count("events_received_total", event.source, event.kind)
        self._set("event_source_last_event_timestamp_seconds", time.time(), event.source)
        if new:
            self._count("queue_adds_total", QUEUE)
        else:
            self._count("events_coalesced_total", event.source)

    def looked(self, site: Site, seconds: float, full: bool, planned: int, unannounced: int) -> None:
        self._took("reconcile_duration_seconds", seconds, "full" if full else "zone")
        self._set("last_full_reconcile_attempt_timestamp_seconds", time.time())
        if full:
            self._set("last_full_reconcile_timestamp_seconds", time.time())
        self._count("missed_changes_total", "zone", by=unannounced)
        if site is not self._site:
            self._begin(site)
            self._exhausted(site, self._site)
            self._site = site

    def _begin(self, site: Site) -> None:
        """What is declared begins with 0."""
        for name, network in site.networks.items():
            if network.pool:
                self._counters["pool_exhausted_total"].labels(name)
        for name, gateway in site.gateways.items():
            for method in TABLE["proxy_changes_total"].labels[1].values if gateway.proxy else ():
                self._counters["proxy_changes_total"].labels(name, method)

    def _exhausted(self, site: Site, before: Site | None) -> None:
        """NICs for which a pool has nothing, since the last look."""
        known = {each for one in before.attached.values() for each in one.refusals} if before is not None else set()
        for refusal in (each for one in site.attached.values() for each in one.refusals):
            if refusal.code == "pool-exhausted" and refusal not in known:
                self._count("pool_exhausted_total", refusal.owner.removeprefix("network "))

    def blind(self, error: str) -> None:
        self._count("looks_blind_total")
        self._set("last_full_reconcile_attempt_timestamp_seconds", time.time())

    def ended(self, outcome: Outcome) -> None:
        kind = outcome.subject.kind
        self._count("reconcile_total", _RESULTS.get(outcome.result, "error"))
        self._count("outcomes_total", kind, outcome.result.value)
        self._took("queue_wait_seconds", outcome.waited_s, QUEUE)
        for done in outcome.steps:
            self._step(outcome, done)
        if outcome.result not in (Result.NOOP, Result.CHANGED):
            self._count("queue_retries_total", QUEUE)
        if outcome.steps:
            self._took("converge_seconds", outcome.waited_s + outcome.seconds, kind)

    def _step(self, outcome: Outcome, done: StepResult) -> None:
        plugin, step = done.plugin, done.step
        result = "ok" if done.ok else _STEP_RESULTS.get(outcome.result, "retry")
        self.called(plugin, "apply", result, 1)
        self.call_took(plugin, "apply", done.seconds)
        if done.ok and isinstance(step, Change | WriteFile | RemoveFile | WriteBlock) and step.cause:
            self._count("drift_repairs_total", plugin, outcome.subject.kind, step.cause)
        if isinstance(step, Forget) and done.ok and self._is_gone(outcome.subject):
            self._count("orphans_removed_total", plugin, collectors.sort_of(step.kind))
        if not isinstance(step, Change):
            return
        if step.only_if is not None and not done.ok:
            self._count("gc_refused_total", plugin, collectors.sort_of(step.only_if.kind))
        if plugin in _SERVERS and done.ok and (how := _told(step.argv)):
            self._count("dhcp_reloads_total", how)
            self._took("dhcp_reload_duration_seconds", done.seconds)
        if plugin in _PROXIES:
            how = step.tally.partition("-")[2] or ("restart" if _told(step.argv) == "restart" else "")
            if how or not done.ok:
                self._count("proxy_changes_total", outcome.subject.name, how if done.ok else "rejected")

    def _is_gone(self, subject: Subject) -> bool:
        site = self._site
        if site is None:
            return False
        if subject.kind == "zone":
            zone = site.zones.get(subject.name)
            return zone is None or zone.absent
        return subject.name not in (site.networks if subject.kind == "network" else site.gateways)

    def called(self, plugin: str, verb: str, result: str, times: int) -> None:
        """`result`: of CALL_RESULTS, or the engine's word for it."""
        self._called[plugin, verb, _CALLED.get(result, result)] += times

    def call_took(self, plugin: str, verb: str, seconds: float) -> None:
        self._took("plugin_call_duration_seconds", seconds, plugin, verb)

    def hooked(self, hook: str, moment: str, result: str, seconds: float) -> None:
        """A hook of hooks.d was run."""
        self._count("hook_calls_total", hook, moment, result)
        self._took("hook_duration_seconds", seconds, moment)

    def queued(self, waiting: int, oldest_s: float, working: int) -> None:
        self._set("queue_depth", waiting, QUEUE)
        self._set("queue_oldest_age_seconds", oldest_s, QUEUE)
        self._set("subjects_working", working)

    # -- SourceListener

    def source_up(self, name: str, text: str) -> None:
        self._set("event_source_up", 1, name)
        if way := text.partition(" ")[0]:
            self._ways[name] = way
            self._set("event_source_by", 1, name, way)

    def source_down(self, name: str, reason: str, final: bool) -> None:
        self._set("event_source_up", 0, name)
        if way := self._ways.pop(name, ""):
            self._set("event_source_by", 0, name, way)
        if not final:
            self._count("event_source_restarts_total", name, _why(reason))

    def round_trip(self, source: str, seconds: float) -> None:
        """Of a ping through the zone channel."""
        self._took("event_channel_roundtrip_seconds", seconds, source)

    # -- guard and gate

    def judged(self, verdict: Verdict) -> None:
        decision = "allow" if verdict.allowed else "deny"
        if verdict.allowed and verdict.code in ("cannot-look", "no-daemon"):
            decision = "failopen"
        self._count("guard_decisions_total", verdict.operation, "override" if verdict.code == "permitted" else decision)

    def lost(self, gateways: int) -> None:
        self._set("gateways_lost", gateways)

    def gate_answered(self, word: str, answer: str, code: str, seconds: float) -> None:
        """`answer`: allow, deny, or none when there was no time for one. Of a halt and an uninstall the guard has been
        asked, and has counted it."""
        self._count("gate_answers_total", word, answer, code)
        self._took("gate_duration_seconds", seconds, word)
        if answer == "none":
            self._count("guard_decisions_total", _guard(word), "timeout")
        elif word == "ready":
            decision = "failopen" if answer == "allow" and code in _HELD_UP else answer
            self._count("guard_decisions_total", "boot", decision)

    def gate_alone(self, word: str, allowed: bool) -> None:
        self._count("gate_alone_total", word, "allow" if allowed else "deny")
        self._count("guard_decisions_total", _guard(word), "failopen" if allowed else "deny")

    # -- commands

    def ran(self, command: str, result: str, seconds: float) -> None:
        name = PurePath(command).name
        self._count("commands_total", name, result)
        self._took("command_duration_seconds", seconds, name, result)


def _guard(word: str) -> str:
    return "boot" if word == "ready" else word


def _why(reason: str) -> str:
    """The class of what a source broke by, as `supervise` says it: the repr of an exception, or a word."""
    name = reason.partition("(")[0]
    if name in ("ended", "Hung"):
        return name.lower()
    kind = getattr(builtins, name, None)
    return "system" if isinstance(kind, type) and issubclass(kind, OSError) else "other"


def _told(argv: tuple[str, ...]) -> str:
    """How a command tells a server of a change: restart, start, stop, signal, omapi; nothing: it does not."""
    words = shlex.split(argv[-1]) if argv[0] == "zlogin" else argv
    if words[0] == "svcadm":
        verbs = {"restart": "restart", "enable": "start", "clear": "start", "disable": "stop"}
        return next((verbs[word] for word in words if word in verbs), "")
    if words[0] == "pkill":
        return "signal"
    return "omapi" if "zonehookd.illumos.omapi" in words else ""
