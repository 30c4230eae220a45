"""What was seen, counted."""

from __future__ import annotations

import math
import time
from collections import Counter, defaultdict
from dataclasses import dataclass

from traffic.reactor import OWN

FAILURES = (
    "refused",  # the connection was
    "unreachable",  # no route, or nobody behind it
    "reset",  # at any moment, also half-way through an answer
    "closed",  # in order, but before the first byte of an answer
    "short",  # in order, before the answer's end
    "malformed",  # no HTTP, or more than one answer
    "timeout",  # no whole answer in time, counted from when the request was sent
    "5xx",
    "status",  # any other that is not 2xx
    "wrong_backend",  # 2xx, and the name in it is not of a zone that may answer
    OWN,  # the client's limits: the run says nothing about the proxy
)
EXAMPLES_MAX = 100
EXAMPLES_OF_A_KIND = 3  # and of a host
HOSTS_MAX = 200
_FINEST_S = 1e-5
_STEP = math.log(1.01)


class Histogram:
    """Durations in buckets 1 % wide, so that an hour costs no more than a second. Percentiles are never too small."""

    def __init__(self) -> None:
        self.count = 0
        self.max_s = 0.0
        self._buckets: Counter[int] = Counter()

    def add(self, seconds: float) -> None:
        self.count += 1
        if seconds > self.max_s:
            self.max_s = seconds
        self._buckets[0 if seconds <= _FINEST_S else math.ceil(math.log(seconds / _FINEST_S) / _STEP)] += 1

    def percentile_s(self, percent: float) -> float:
        wanted = math.ceil(self.count * percent / 100)
        for bucket in sorted(self._buckets):
            wanted -= self._buckets[bucket]
            if wanted <= 0:
                return min(self.max_s, _FINEST_S * math.exp(bucket * _STEP))
        return 0.0

    def says_ms(self) -> dict[str, float]:
        """p50, p95, p99 and max in ms; {} of nothing."""
        if not self.count:
            return {}
        percentiles = {f"p{percent}": round(self.percentile_s(percent) * 1e3, 3) for percent in (50, 95, 99)}
        return {**percentiles, "max": round(self.max_s * 1e3, 3)}


@dataclass(frozen=True)
class Failure:
    at: float  # time.time(), s: when it was known
    s: float  # since the start
    host: str
    path: str
    kind: str  # one of FAILURES
    detail: str

    def says(self) -> dict[str, object]:
        return {**vars(self), "at": round(self.at, 3), "s": round(self.s, 3)}


class Clock:
    """The start of a run, by both clocks."""

    def __init__(self) -> None:
        self.began = time.monotonic()
        self.began_at = time.time()

    def since(self) -> float:
        return time.monotonic() - self.began


class Tally:
    """Verdicts on requests."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.ok = 0
        self.allowed = 0  # what only `either` made right
        self.statuses: Counter[int] = Counter()
        self.failures: Counter[str] = Counter()
        self.latency = Histogram()  # of right answers
        self._by_host: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._by_second: Counter[int] = Counter()
        self._examples: list[Failure] = []
        self._first: Failure | None = None
        self._last: Failure | None = None

    def good(self, latency_s: float) -> None:
        self.ok += 1
        self.latency.add(latency_s)

    def failed(self, host: str, path: str, kind: str, detail: str) -> None:
        """`kind` is one of FAILURES."""
        since = self.clock.since()
        failure = Failure(self.clock.began_at + since, since, host, path, kind, detail)
        self._first = self._first or failure
        self._last = failure
        self.failures[kind] += 1
        self._by_second[int(since)] += 1
        if host in self._by_host or len(self._by_host) < HOSTS_MAX:
            self._by_host[host][kind] += 1
            if self._by_host[host][kind] <= EXAMPLES_OF_A_KIND and len(self._examples) < EXAMPLES_MAX:
                self._examples.append(failure)

    def says(self) -> dict[str, object]:
        return {
            "ok": self.ok,
            "allowed": self.allowed,
            "failed": self.failures.total(),
            "failures": {kind: self.failures[kind] for kind in FAILURES},
            "statuses": {str(status): count for status, count in sorted(self.statuses.items())},
            "latency_ms": self.latency.says_ms(),
            "first_failure": self._first and self._first.says(),
            "last_failure": self._last and self._last.says(),
            "failures_by_host": {host: dict(kinds) for host, kinds in self._by_host.items()},
            "failures_by_second": {str(second): count for second, count in sorted(self._by_second.items())},
            "examples": [failure.says() for failure in self._examples],
        }
