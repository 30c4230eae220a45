"""Every metric, in one table; filled by listening to outcomes. No zone label on counters or histograms."""

from __future__ import annotations

import platform
import sys
import time
from collections import Counter as Counts
from collections.abc import Callable, Iterable, Mapping
from typing import get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, PlatformCollector, ProcessCollector

from zonehookd import __version__
from zonehookd.engine.site import Site
from zonehookd.metrics.collectors import ChannelCounts, Resources, RouteCounts, Routes
from zonehookd.model.command import Change
from zonehookd.model.event import Event
from zonehookd.model.guard import Verdict
from zonehookd.model.outcome import Outcome, Result
from zonehookd.model.plan import GATEWAY_SHUT, RemoveFile, WriteFile
from zonehookd.model.record import Record
from zonehookd.model.subject import Kind, Subject

_BUCKETS_S = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Metrics:
    """A Listener and a SourceListener; `registry` is what /metrics shows."""

    def __init__(self, zones_max: int) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        self._zones_max = zones_max
        self._degraded: set[str] = set()
        self._ways: dict[str, str] = {}  # source -> the way it goes by

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"zonehookd_{name}", text, labels, registry=registry)

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"zonehookd_{name}", text, labels, registry=registry)

        def histogram(name: str, text: str, *labels: str) -> Histogram:
            return Histogram(f"zonehookd_{name}", text, labels, buckets=_BUCKETS_S, registry=registry)

        gauge("build_info", "What runs here", "version", "python", "platform").labels(
            __version__, platform.python_version(), sys.platform
        ).set(1)
        gauge("up_since_timestamp_seconds", "When the daemon started").set(time.time())
        self.ready = gauge("ready", "1 after the first full look with its steps")
        self.events = counter("events_received_total", "Hints where to look", "source", "kind")
        self.coalesced = counter("events_coalesced_total", "Hints that joined others already waiting", "source")
        self.source_is_up = gauge("event_source_up", "1 while the source is subscribed", "source")
        self.source_by = gauge("event_source_by", "1 for the way by which events come", "source", "by")
        self.source_last = gauge("event_source_last_event_timestamp_seconds", "Last hint of the source", "source")
        self.source_restarts = counter("event_source_restarts_total", "Times a source broke", "source")
        self.missed = counter("missed_changes_total", "Changes found by polling that no source announced")
        self.depth = gauge("queue_depth", "Subjects that wait to be looked at")
        self.oldest = gauge("queue_oldest_age_seconds", "How long the oldest of them waits")
        self.working = gauge("subjects_working", "Subjects whose steps are being carried out")
        self.wait = histogram("queue_wait_seconds", "From the first hint to the look")
        self.reconciles = counter("reconcile_total", "Subjects looked at", "kind", "result")
        self.look_seconds = histogram("reconcile_duration_seconds", "One look with its plans", "scope")
        self.blind_looks = counter("looks_blind_total", "Looks at the host that failed as a whole")
        self.converge = histogram("converge_seconds", "From the first hint to the end of the last step", "kind")
        self.full_success = gauge("last_full_reconcile_timestamp_seconds", "Last full look that could see")
        self.full_attempt = gauge("last_full_reconcile_attempt_timestamp_seconds", "Last look tried")
        self.calls = counter("plugin_calls_total", "Plans made and steps carried out", "plugin", "verb", "result")
        self.call_seconds = histogram("plugin_call_duration_seconds", "One step carried out", "plugin", "verb")
        self.retries = counter("queue_retries_total", "Subjects put back to be tried again", "result")
        self.repairs = counter("drift_repairs_total", "Things put right that were right before", "plugin", "cause")
        self.zones = gauge("zones", "Zones by state and brand", "state", "brand")
        self.attachments = gauge("attachments", "NICs placed on declared networks")
        self.degraded = gauge("zone_degraded", "1 for each zone in trouble, capped", "zone")
        self.commands = counter("commands_total", "External commands", "command", "result")
        self.command_seconds = histogram("command_duration_seconds", "External commands", "command")
        self.config_ok = gauge("config_last_reload_successful", "1 when the last reload was taken")
        self.config_ok.set(1)
        self.config_when = gauge("config_last_reload_success_timestamp_seconds", "Last reload taken")
        self.refusals = gauge("refusals", "What zones ask for and cannot have now", "code")
        self.exhausted = counter("pool_exhausted_total", "NICs that found the pool of their network empty", "network")
        self.pools = gauge("pool_addresses", "Addresses of the pool of a network", "network", "state")
        self.gateways = gauge("gateway_open", "1 while packets go through the gateway, as far as we see", "gateway")
        self.verdicts = counter("guard_verdicts_total", "Questions to the guard", "operation", "code")
        self.proxy_reloads = counter(
            "proxy_reloads_total", "Times a reverse proxy was told to read its configuration", "gateway", "program"
        )
        self.proxy_runtime = counter(
            "proxy_runtime_batches_total", "Changes a reverse proxy took while it ran, without a reload",
            "gateway", "program",
        )  # fmt: skip
        self.lost = gauge("gateways_lost", "Gateways whose configuration was deleted while zones depend on them")
        self.gate_answers = counter("gate_answers_total", "What the brands' hooks were told", "word", "answer", "code")
        self.gate_seconds = histogram("gate_answer_duration_seconds", "How long a hook waited for it", "word")
        self.gate_by_itself = counter(
            "gate_alone_total", "What hooks decided while we did not answer", "word", "answer"
        )
        self._site: Site | None = None
        for result in Result:
            for kind in get_args(Kind):
                self.reconciles.labels(kind, result.value)

    def judged(self, verdict: Verdict) -> None:
        self.verdicts.labels(verdict.operation, verdict.code).inc()

    # -- Listener

    def hinted(self, event: Event, new: bool) -> None:
        self.events.labels(event.source, event.kind).inc()
        self.source_last.labels(event.source).set_to_current_time()
        if not new:
            self.coalesced.labels(event.source).inc()

    def looked(self, site: Site, seconds: float, full: bool, planned: int, unannounced: int) -> None:
        self.look_seconds.labels("full" if full else "zone").observe(seconds)
        self.full_attempt.set_to_current_time()
        if full:
            self.full_success.set_to_current_time()
        self.missed.inc(unannounced)
        self.zones.clear()
        kinds = Counts((zone.state.value, zone.config.brand if zone.config else "") for zone in site.zones.values())
        for (state, brand), count in kinds.items():
            self.zones.labels(state, brand).set(count)
        self.attachments.set(sum(map(len, site.on_network.values())))
        if site is not self._site:
            self._placed(site, self._site)
            self._site = site

    def _placed(self, site: Site, before: Site | None) -> None:
        """What is refused, and how full the pools are; only when something changed."""
        refused = [refusal for each in site.attached.values() for refusal in each.refusals]
        self.refusals.clear()
        for code, count in Counts(refusal.code for refusal in refused).items():
            self.refusals.labels(code).set(count)
        known = {r for each in before.attached.values() for r in each.refusals} if before is not None else set()
        for refusal in refused:
            if refusal.code == "pool-exhausted" and refusal not in known:
                self.exhausted.labels(refusal.owner.removeprefix("network ")).inc()
        self.pools.clear()
        for name, network in site.networks.items():
            if network.pool:
                given = sum(len(each.addresses) for each in site.on_network.get(name, ()) if each.role != "inside")
                self.pools.labels(name, "used").set(given)
                self.pools.labels(name, "size").set(sum(each.size for each in network.pool))

    def blind(self, error: str) -> None:
        self.blind_looks.inc()
        self.full_attempt.set_to_current_time()

    def ended(self, outcome: Outcome) -> None:
        self.reconciles.labels(outcome.subject.kind, outcome.result.value).inc()
        self.wait.observe(outcome.waited_s)
        for done in outcome.steps:
            result = "ok" if done.ok else outcome.result.value
            self.calls.labels(done.plugin, "apply", result).inc()
            self.call_seconds.labels(done.plugin, "apply").observe(done.seconds)
            if done.ok and isinstance(done.step, Change) and done.step.tally:
                program, _, how = done.step.tally.partition("-")
                told = self.proxy_reloads if how == "reload" else self.proxy_runtime
                told.labels(outcome.subject.name, program).inc()
            if done.ok and isinstance(done.step, Change | WriteFile | RemoveFile) and done.step.cause:
                self.repairs.labels(done.plugin, done.step.cause).inc()
        if outcome.result not in (Result.NOOP, Result.CHANGED):
            self.retries.labels(outcome.result.value).inc()
        if outcome.steps:
            self.converge.labels(outcome.subject.kind).observe(outcome.waited_s + outcome.seconds)
        if outcome.subject.kind == "zone":
            self._mark(outcome)
        elif outcome.subject.kind == "gateway":
            good = outcome.result in (Result.NOOP, Result.CHANGED)
            shut = any(note.code == GATEWAY_SHUT for note in outcome.notes)
            self.gateways.labels(outcome.subject.name).set(int(good and not shut))

    def called(self, plugin: str, verb: str, result: str, times: int) -> None:
        self.calls.labels(plugin, verb, result).inc(times)

    def show_resources(self, records: Callable[[], Iterable[Record]], latest: Mapping[Subject, Outcome]) -> None:
        """Counted when somebody asks, from the books themselves."""
        self.registry.register(Resources(records, latest))

    def show_routes(self, counts: Callable[[], RouteCounts]) -> None:
        """Counted when somebody asks, from the books themselves."""
        self.registry.register(Routes(counts))

    def show_channel(self, counts: Callable[[], Mapping[str, int]]) -> None:
        self.registry.register(ChannelCounts(counts))

    def _mark(self, outcome: Outcome) -> None:
        """One gauge per zone in trouble, at most `zones_max` of them."""
        name = outcome.subject.name
        bad = outcome.result not in (Result.NOOP, Result.CHANGED) or any(n.kind == "refused" for n in outcome.notes)
        if bad and name not in self._degraded and len(self._degraded) < self._zones_max:
            self._degraded.add(name)
            self.degraded.labels(name).set(1)
        elif not bad and name in self._degraded:
            self._degraded.discard(name)
            self.degraded.remove(name)

    def queued(self, waiting: int, oldest_s: float, working: int) -> None:
        self.depth.set(waiting)
        self.oldest.set(oldest_s)
        self.working.set(working)

    # -- SourceListener

    def source_up(self, name: str, text: str) -> None:
        self.source_is_up.labels(name).set(1)
        if way := text.partition(" ")[0]:
            self._ways[name] = way
            self.source_by.labels(name, way).set(1)

    def source_down(self, name: str, reason: str, final: bool) -> None:
        self.source_is_up.labels(name).set(0)
        if way := self._ways.pop(name, ""):
            self.source_by.labels(name, way).set(0)
        if not final:
            self.source_restarts.labels(name).inc()

    # -- the gate

    def gate_answered(self, word: str, answer: str, code: str, seconds: float) -> None:
        self.gate_answers.labels(word, answer, code).inc()
        self.gate_seconds.labels(word).observe(seconds)

    def gate_alone(self, word: str, allowed: bool) -> None:
        self.gate_by_itself.labels(word, "allow" if allowed else "deny").inc()

    # -- commands

    def ran(self, command: str, result: str, seconds: float) -> None:
        self.commands.labels(command, result).inc()
        self.command_seconds.labels(command).observe(seconds)
