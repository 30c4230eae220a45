"""From a given moment: when does the right zone answer for the first time, and does it stay so."""

from __future__ import annotations

import math
import time
from collections import Counter
from dataclasses import dataclass

from traffic.exchange import OK, Request, start
from traffic.reactor import Address, Connection, Reactor
from traffic.routes import Route


@dataclass(frozen=True)
class Wish:
    every_s: float
    since: float  # time.time()
    wait_s: float  # from `since` to giving up
    timeout_s: float  # of one question
    go_on_s: float  # asking after the first right answer


class FirstAnswer:
    """Is an `exchange.Asker`. A question every `every_s`, whatever became of the last; each on its own connection."""

    def __init__(self, reactor: Reactor, at: Address, route: Route, wish: Wish) -> None:
        self._reactor = reactor
        self._at = at
        self._route = route
        self._wish = wish
        self._zero = time.monotonic() - (time.time() - wish.since)
        self._flying: set[Request] = set()
        self._before: Counter[str] = Counter()
        self._after: Counter[str] = Counter()
        self._polls = 0
        self._asked_ms: float | None = None  # when the question was asked that was answered right first
        self._answered_ms: float | None = None
        self._last_wrong_ms: float | None = None  # when the last question was asked that was not answered right

    def run(self) -> dict[str, object]:
        """The report. `first_ms` is None if nobody answered right in time."""
        wish = self._wish
        due = max(self._zero, time.monotonic())
        end = self._zero + wish.wait_s
        while (now := time.monotonic()) < end:
            if now >= due:
                self._ask()
                due += wish.every_s * max(1, math.ceil((now - due) / wish.every_s))
            self._reactor.turn(min(due, end))
            self._expire()
            if self._answered_ms is not None:
                end = min(end, self._zero + self._answered_ms / 1e3 + wish.go_on_s)
        self._drain()
        return {
            "first_ms": self._answered_ms,
            "asked_ms": self._asked_ms,
            "last_wrong_ms": self._last_wrong_ms,
            "polls": self._polls,
            "before": dict(self._before),
            "after": dict(self._after),
        }

    def _drain(self) -> None:
        """With go_on_s nothing is left open: an answer that is still on its way may be a wrong one."""
        while self._flying and self._wish.go_on_s and self._answered_ms is not None:
            self._reactor.turn(time.monotonic() + 0.05)
            self._expire()

    def _ms(self, moment: float) -> float:
        return round((moment - self._zero) * 1e3, 2)

    def _ask(self) -> None:
        now = time.monotonic()
        request = Request(self._route, now)
        request.deadline = now + self._wish.timeout_s
        self._polls += 1
        self._flying.add(request)
        start(self._reactor, self._at, self, request)

    def _expire(self) -> None:
        now = time.monotonic()
        for request in [each for each in self._flying if each.deadline <= now]:
            if request.connection is not None:
                request.connection.abandon()
            self.judged(request, "timeout", "", 0)

    def judged(self, request: Request, verdict: str, detail: str, status: int) -> None:
        self._flying.discard(request)
        asked = self._ms(request.due)
        if verdict == OK:
            if self._answered_ms is None:
                self._asked_ms, self._answered_ms = asked, self._ms(time.monotonic())
            return
        (self._before if self._answered_ms is None else self._after)[verdict] += 1
        self._last_wrong_ms = max(asked, self._last_wrong_ms or 0.0)

    def stale(self, request: Request) -> None:
        raise AssertionError("each question has a connection of its own")

    def idle(self, connection: Connection) -> None:
        raise AssertionError("each question has a connection of its own")

    def idle_ended(self, connection: Connection) -> None:
        raise AssertionError("each question has a connection of its own")
