"""What is counted when somebody asks, from the books and counts of others. It runs on the thread of the scrape."""

from __future__ import annotations

import ipaddress
import json
import time
from collections import Counter as Counts
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from zonehookd.engine.site import Site
from zonehookd.metrics.table import TABLE
from zonehookd.model.network import Network
from zonehookd.model.outcome import Outcome, Result
from zonehookd.model.plan import GATEWAY_SHUT
from zonehookd.model.record import Record
from zonehookd.model.subject import Subject

Samples = Mapping[tuple[str, ...], float]  # values of the labels, in the order of the row -> the number
Answers = Mapping[str, Samples]  # by name of the metric, as in the table
_OLD_WORKERS = "nginx-workers"  # record of plugin nginx; facts: groups


class Asked(Collector):
    """Metrics of the table that are counted when somebody asks. Each is there from the start, also with no sample."""

    def __init__(self) -> None:
        self._asks: list[tuple[Sequence[str], Callable[[], Answers]]] = []

    def add(self, names: Sequence[str], ask: Callable[[], Answers]) -> None:
        """`ask` is called once for each scrape, and may answer for any of these names."""
        self._asks.append((names, ask))

    def describe(self) -> Iterable[Metric]:
        """So that registering asks nobody."""
        for names, _ in self._asks:
            yield from (_family(name, {}) for name in names)

    def collect(self) -> Iterable[Metric]:
        for names, ask in self._asks:
            answers = ask()
            yield from (_family(name, answers.get(name, {})) for name in names)


def _family(name: str, samples: Samples) -> Metric:
    row = TABLE[name]
    make = CounterMetricFamily if row.type == "counter" else GaugeMetricFamily
    family = make(row.family, row.help, labels=row.label_names)
    for labels, number in {**dict.fromkeys(row.known(), 0.0), **samples}.items():
        family.add_metric(labels, number)
    return family


# -- subjects

SUBJECTS = ("zone_degraded", "subjects_in_trouble", "gateway_open", "refusals")


def subjects(latest: Mapping[Subject, Outcome], zones_max: int) -> Answers:
    """What the last look at each came to."""
    outcomes = sorted(latest.values(), key=lambda one: one.subject)
    bad = [each.subject for each in outcomes if _troubled(each)]
    degraded = [each.name for each in bad if each.kind == "zone"][:zones_max]
    refused = Counts(note.code for each in outcomes for note in each.notes if note.kind == "refused")
    return {
        "zone_degraded": {(name,): 1.0 for name in degraded},
        "subjects_in_trouble": {(kind,): float(n) for kind, n in Counts(each.kind for each in bad).items()},
        "gateway_open": {
            (each.subject.name,): float(_open(each)) for each in outcomes if each.subject.kind == "gateway"
        },
        "refusals": {(code,): float(count) for code, count in refused.items()},
    }


def _good(outcome: Outcome) -> bool:
    return outcome.result in (Result.NOOP, Result.CHANGED)


def _troubled(outcome: Outcome) -> bool:
    return not _good(outcome) or any(note.kind == "refused" for note in outcome.notes)


def _open(outcome: Outcome) -> bool:
    return _good(outcome) and not any(note.code == GATEWAY_SHUT for note in outcome.notes)


# -- the books

BOOKS = ("resources", "proxy_old_workers")
_STATES = {
    Result.NOOP: "ok", Result.CHANGED: "ok", Result.UNSETTLED: "pending", Result.BUSY: "busy",
}  # fmt: skip


def books(records: Iterable[Record], latest: Mapping[Subject, Outcome]) -> Answers:
    """Our records by the state of their owner; ``orphan`` when nobody looks after them any more."""
    states: Counts[tuple[str, ...]] = Counts()
    old: dict[tuple[str, ...], float] = {}
    for each in records:
        states[each.plugin, sort_of(each.kind), _state(latest.get(each.owner))] += 1
        if each.kind == _OLD_WORKERS:
            old[(each.name,)] = float(len(json.loads(each.facts["groups"])))
    return {"resources": {labels: float(count) for labels, count in states.items()}, "proxy_old_workers": old}


def sort_of(kind: str) -> str:
    """Of a record, as a label: what a plugin elsewhere calls its own may be anything (wire/steps.py)."""
    return "own" if "/" in kind else kind


def _state(outcome: Outcome | None) -> str:
    return "orphan" if outcome is None else _STATES.get(outcome.result, "failed")


# -- the site

SITE = ("zones", "attachments", "ipam_addresses")


def placed(site: Site | None, addresses: Iterable[Record]) -> Answers:
    """Zones, NICs and pools as the last look saw them. `addresses`: records of kind ADDRESS."""
    if site is None:
        return {}
    kinds = Counts((zone.state.value, zone.config.brand if zone.config else "") for zone in site.zones.values())
    return {
        "zones": {labels: float(count) for labels, count in kinds.items()},
        "attachments": {(): float(sum(map(len, site.on_network.values())))},
        "ipam_addresses": dict(_pools(site, addresses)),
    }


def _pools(site: Site, addresses: Iterable[Record]) -> Iterator[tuple[tuple[str, ...], float]]:
    now = time.time()
    resting: dict[str, set[str]] = {}  # network -> addresses at rest
    for record in addresses:
        name, _, address = record.name.partition("/")
        network = site.networks.get(name)
        freed = record.facts.get("freed")
        if network is not None and freed is not None and float(freed) + network.quarantine_s > now:
            resting.setdefault(name, set()).add(address)
    claimed: dict[str, set[str]] = {}  # lower link -> addresses that somebody has
    for place, thing in site.claims:
        claimed.setdefault(place, set()).add(thing)
    for name, network in site.networks.items():
        members = (each for each in site.on_network.get(name, ()) if each.role != "inside")
        used = {str(address.ip) for each in members for address in each.addresses}
        taken = (claimed.get(network.link, set()) | {str(each) for each in network.gateways}) - used
        at_rest = resting.get(name, set()) - used - taken
        for version in sorted({each.version for each in network.pool}):
            size = sum(each.size for each in network.pool if each.version == version)
            in_use, reserved, quiet = (_within(network, version, each) for each in (used, taken, at_rest))
            states = {"used": in_use, "reserved": reserved, "quarantined": quiet}
            pool = name if version == 4 else f"{name}/ipv6"
            yield (pool, "free"), float(max(0, size - sum(states.values())))
            for state, count in states.items():
                yield (pool, state), float(count)


def _within(network: Network, version: int, addresses: Iterable[str]) -> int:
    """How many of these are of the pool's part of this family."""
    pool = [each for each in network.pool if each.version == version]
    return sum(any(ipaddress.ip_address(text) in each for each in pool) for text in addresses)


# -- routes

ROUTES = ("routes", "route_backends", "routes_held", "zone_flapping")


class RouteCounts(Protocol):
    """(gateway, state) -> how many; `held`: gateway -> how many."""

    @property
    def routes(self) -> Mapping[tuple[str, str], int]: ...
    @property
    def backends(self) -> Mapping[tuple[str, str], int]: ...
    @property
    def held(self) -> Mapping[str, int]: ...


def routes(counted: RouteCounts) -> Answers:
    return {
        "routes": {labels: float(count) for labels, count in counted.routes.items()},
        "route_backends": {labels: float(count) for labels, count in counted.backends.items()},
        "routes_held": {(gateway,): float(count) for gateway, count in counted.held.items()},
        "zone_flapping": {(): float(sum(n for (_, state), n in counted.backends.items() if state == "held"))},
    }


# -- the zone channel

CHANNEL = ("zone_channel_total", "events_undecodable_total")


def channel(counts: Mapping[str, int], source: str) -> Answers:
    """`counts`: word -> how often; ``unreadable`` is what names no zone."""
    words: Samples = {(what,): float(count) for what, count in counts.items() if what != "unreadable"}
    return {"zone_channel_total": words, "events_undecodable_total": {(source,): float(counts["unreadable"])}}


# -- plugins in workers

WORKERS = (
    "plugin_inflight", "plugin_longest_running_seconds", "plugin_worker_restarts_total", "plugin_circuit_open",
    "plugin_degraded", "plugin_resident_memory_bytes",
)  # fmt: skip


class WorkerCount(Protocol):
    """One plugin that runs in a worker. `longest_s`: of the oldest call that has not returned; `restarts`: by reason;
    `calls`: (verb, result) -> how many, results as in CALL_RESULTS; `degraded`: required, and cannot be called."""

    @property
    def name(self) -> str: ...
    @property
    def inflight(self) -> int: ...
    @property
    def longest_s(self) -> float: ...
    @property
    def restarts(self) -> Mapping[str, int]: ...
    @property
    def circuit_open(self) -> bool: ...
    @property
    def rss_bytes(self) -> int | None: ...
    @property
    def calls(self) -> Mapping[tuple[str, str], int]: ...
    @property
    def degraded(self) -> bool: ...


def workers(rows: Iterable[WorkerCount]) -> Answers:
    every = list(rows)
    return {
        "plugin_inflight": {(each.name,): float(each.inflight) for each in every},
        "plugin_longest_running_seconds": {(each.name,): each.longest_s for each in every},
        "plugin_worker_restarts_total": {
            (each.name, reason): float(times) for each in every for reason, times in each.restarts.items()
        },
        "plugin_circuit_open": {(each.name,): float(each.circuit_open) for each in every},
        "plugin_degraded": {(each.name,): float(each.degraded) for each in every},
        "plugin_resident_memory_bytes": {
            (each.name,): float(each.rss_bytes) for each in every if each.rss_bytes is not None
        },
    }
