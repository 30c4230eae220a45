"""What is counted when somebody asks, from the books and counts of others. Each runs on the thread of the scrape."""

from __future__ import annotations

from collections import Counter as Counts
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from zonehookd.model.outcome import Outcome, Result
from zonehookd.model.record import Record
from zonehookd.model.subject import Subject


class Resources(Collector):
    """Our records by the state of their owner: ok, busy, failed, or orphan when nobody looks after them any more."""

    def __init__(self, records: Callable[[], Iterable[Record]], latest: Mapping[Subject, Outcome]) -> None:
        self._records = records
        self._latest = latest

    def collect(self) -> Iterable[Metric]:
        family = GaugeMetricFamily(
            "zonehookd_resources", "Things our books say we made", labels=("plugin", "kind", "state")
        )
        states = Counts((each.plugin, each.kind, _state(self._latest.get(each.owner))) for each in self._records())
        for labels, count in states.items():
            family.add_metric(labels, count)
        yield family


class RouteCounts(Protocol):
    """(gateway, state) -> how many; `held`: gateway -> how many."""

    @property
    def routes(self) -> Mapping[tuple[str, str], int]: ...
    @property
    def backends(self) -> Mapping[tuple[str, str], int]: ...
    @property
    def held(self) -> Mapping[str, int]: ...


class Routes(Collector):
    """Routes through reverse proxies, by who is behind them."""

    def __init__(self, counts: Callable[[], RouteCounts]) -> None:
        self._counts = counts

    def collect(self) -> Iterable[Metric]:
        counted, states = self._counts(), ("gateway", "state")
        routes = GaugeMetricFamily("zonehookd_routes", "Routes with somebody behind them, and without", labels=states)
        backends = GaugeMetricFamily("zonehookd_route_backends", "Backends: in, drain, out, held", labels=states)
        held = GaugeMetricFamily("zonehookd_routes_held", "Routes with a backend that flaps", labels=states[:1])
        for state, count in counted.routes.items():
            routes.add_metric(state, count)
        for state, count in counted.backends.items():
            backends.add_metric(state, count)
        for gateway, count in counted.held.items():
            held.add_metric((gateway,), count)
        yield from (routes, backends, held)


class ChannelCounts(Collector):
    """What the zone channel counts."""

    def __init__(self, counts: Callable[[], Mapping[str, int]]) -> None:
        self._counts = counts

    def collect(self) -> Iterable[Metric]:
        text = (
            "Of the zone channel: events heard, unreadable, crowded out, failed; heartbeats, and those that missed some"
        )
        family = CounterMetricFamily("zonehookd_zone_channel", text, labels=("what",))
        for what, count in self._counts().items():
            family.add_metric((what,), count)
        yield family


def _state(outcome: Outcome | None) -> str:
    if outcome is None:
        return "orphan"
    if outcome.result in (Result.NOOP, Result.CHANGED):
        return "ok"
    return "busy" if outcome.result is Result.BUSY else "failed"
