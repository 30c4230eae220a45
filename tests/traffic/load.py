"""Open-loop load: requests are due by the clock, whatever became of those before."""

from __future__ import annotations

import random
import time
from collections import Counter, deque
from dataclasses import dataclass

from traffic.exchange import ALLOWED, OK, HttpConnection, Request, start
from traffic.reactor import Address, Connection, Reactor
from traffic.routes import Route, RouteFile
from traffic.tally import Clock, Histogram, Tally


@dataclass(frozen=True)
class Plan:
    """What is wanted of a run."""

    rate: float  # requests per second
    kept_alive: float  # share of requests on kept-alive connections, 0 to 1
    timeout_s: float
    retry: bool  # ask again when a kept-alive connection was closed under a request
    seed: int


class Load:
    """Is an `exchange.Asker`. All kept-alive connections are used for all hosts, the last used first, as by a CDN."""

    def __init__(self, reactor: Reactor, at: Address, routes: RouteFile, plan: Plan, clock: Clock) -> None:
        self._reactor = reactor
        self._at = at
        self._routes = routes
        self._plan = plan
        self._clock = clock
        self._random = random.Random(plan.seed)  # noqa: S311 - a run that can be repeated
        self.tally = Tally(clock)
        self.lag = Histogram()  # from due to sent: what the client itself was late
        self.due = 0
        self.unasked = 0  # due while the file had no route
        self.stale_seen = 0
        self.idle_closed = 0
        self._pool: list[HttpConnection] = []
        self._bag: list[Route] = []
        self._flying: Counter[int] = Counter()  # generation of the routes -> requests without a verdict
        self._waiting: deque[Request] = deque()  # by deadline

    @property
    def next_due(self) -> float:
        return self._clock.began + self.due / self._plan.rate

    @property
    def flying(self) -> int:
        return self._flying.total()

    def renewed(self) -> None:
        """The routes are others now."""
        self._bag.clear()

    def send_due(self, until: float) -> None:
        """Send what is due by now, but nothing that is due at `until` or later."""
        now = time.monotonic()
        while (due := self.next_due) <= now and due < until:
            self.due += 1
            self._send(due)
            now = time.monotonic()

    def _send(self, due: float) -> None:
        if not self._bag:
            self._bag = [route for route in self._routes.routes if route.requests]
            self._random.shuffle(self._bag)
        if not self._bag:
            self.unasked += 1
            return
        route = self._bag.pop()
        own = route.port != 0 or self._random.random() >= self._plan.kept_alive
        request = Request(route, due, self._routes.reads, own=own)
        now = time.monotonic()
        request.deadline = now + self._plan.timeout_s
        self.lag.add(now - due)
        self._flying[request.generation] += 1
        self._waiting.append(request)
        if not own and self._pool:
            self._pool.pop().ask(request)
        else:
            start(self._reactor, self._at, self, request)

    def expire(self) -> None:
        """Give up what has had its time."""
        now = time.monotonic()
        while self._waiting and (self._waiting[0].done or self._waiting[0].deadline <= now):
            request = self._waiting.popleft()
            if not request.done:
                connection = request.connection
                if connection is not None:
                    connection.abandon()
                was = "connected" if connection is not None and connection.open else "not connected"
                self.judged(request, "timeout", was, 0)

    # -- as an Asker

    def judged(self, request: Request, verdict: str, detail: str, status: int) -> None:
        request.done, request.connection = True, None
        self._flying[request.generation] -= 1
        if status:
            self.tally.statuses[status] += 1
        if verdict == OK:
            self.tally.good(time.monotonic() - request.due)
        elif verdict == ALLOWED:
            self.tally.allowed += 1
        else:
            self.tally.failed(request.route.host, request.route.path, verdict, detail)

    def stale(self, request: Request) -> None:
        self.stale_seen += 1
        if self._plan.retry:
            start(self._reactor, self._at, self, request)
        else:
            self.judged(request, "closed", "a kept-alive connection, before an answer", 0)

    def idle(self, connection: Connection) -> None:
        assert isinstance(connection, HttpConnection)
        self._pool.append(connection)

    def idle_ended(self, connection: Connection) -> None:
        assert isinstance(connection, HttpConnection)
        self.idle_closed += 1
        self._pool.remove(connection)

    # -- for the report

    def says(self, elapsed: float) -> dict[str, object]:
        """`elapsed`: seconds in which requests were sent."""
        generations = [generation for generation, count in self._flying.items() if count]
        sent = self.due - self.unasked
        return {
            "due": self.due,
            "sent": sent,
            "unasked": self.unasked,
            "in_flight": self.flying,
            "rate_wanted": self._plan.rate,
            "rate_reached": round(sent / max(elapsed, 1e-9), 1),
            **self.tally.says(),
            "kept_alive": {
                "open": len(self._pool),
                "idle_closed": self.idle_closed,
                "stale": self.stale_seen,
                "retried": self.stale_seen if self._plan.retry else 0,
            },
            "routes": {**self._routes.says(), "oldest_in_flight": min(generations, default=self._routes.reads)},
            "lag_ms": self.lag.says_ms(),
        }
