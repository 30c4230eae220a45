"""Long-lived connections: an HTTP upgrade or plain TCP, then a line now and then, which must come back.

After a 101 (TCP: at once) the client sends ``ping N``; a line ending in ``ping N`` must come back before the timeout.
A zone may greet: the first line that comes, if it is no such line, begins with its name; so does a line with words
before the ping. Whatever else comes is taken and ignored.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from traffic.exchange import OK, named
from traffic.http1 import Answer, MalformedAnswer
from traffic.reactor import Address, Connection, Reactor, reason
from traffic.routes import Route, RouteFile
from traffic.tally import Clock

CUTS_MAX = 1000  # kept; all are counted
PER_SECOND = 100  # connections opened at the start
AGAIN_S = 1.0  # until what was cut or not opened is tried again
_TAIL = 4096  # bytes


@dataclass(frozen=True)
class Cut:
    at: float  # time.time(), s
    s: float  # since the start
    host: str
    how: str  # closed, reset, silent (no answer to a ping), wrong_backend, …
    age_s: float
    expected: bool  # its route was in transition, or no longer in the file

    def says(self) -> dict[str, object]:
        return {**vars(self), "at": round(self.at, 3), "s": round(self.s, 3), "age_s": round(self.age_s, 3)}


class LongConnection(Connection):
    """Up from the first ping that came back, until it ends; then tells `over` how."""

    def __init__(
        self, reactor: Reactor, at: Address, route: Route, timeout_s: float, over: Callable[[LongConnection, str], None]
    ) -> None:
        """OSError as `Connection`."""
        super().__init__(reactor, (at[0], route.port) if route.port else at)
        self.route = route
        self.up_since = 0.0  # 0: not yet
        self.pings = 0
        self.pongs = 0
        self._over = over
        self._timeout_s = timeout_s
        self._answer: Answer | None = None if route.port else Answer()
        self._tail = b""
        self._greeted = False
        self._ended = False
        reactor.at(time.monotonic() + timeout_s, self._too_late)

    def ping(self) -> None:
        """Nothing while the last one is still on its way, or when it is over."""
        if self._ended or self.pongs != self.pings or not self.open:
            return
        self.pings += 1
        number = self.pings
        self.send(f"ping {number}\n".encode())
        self.reactor.at(time.monotonic() + self._timeout_s, lambda: self._silent(number))

    def _silent(self, number: int) -> None:
        if self.pongs < number:
            self._end("silent")

    def _too_late(self) -> None:
        if not self.pings:
            self._end("timeout")

    def _end(self, how: str) -> None:
        if not self._ended:
            self._ended = True
            self.abandon()
            self._over(self, how)

    def connected(self) -> None:
        if self._answer is None:
            self.ping()
            return
        route = self.route
        self.send(
            f"GET {route.path} HTTP/1.1\r\nHost: {route.host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
        )

    def received(self, data: bytes) -> None:
        if self._answer is not None:
            try:
                self._answer.feed(data)
            except MalformedAnswer:
                self._end("malformed")
                return
            if self._answer.status not in (0, 101):
                self._end("5xx" if self._answer.status >= 500 else "status")
            elif self._answer.status == 101:
                data, self._answer = self._answer.rest(), None
                self.ping()
        if self._answer is None and data:
            self._lines(data)

    def _lines(self, data: bytes) -> None:
        *lines, self._tail = (self._tail + data).split(b"\n")
        self._tail = self._tail[-_TAIL:]
        wanted = b"ping %d" % self.pings
        for line in lines:
            words = line.strip()
            pong = words.endswith(wanted) and self.pongs < self.pings
            name = words[: -len(wanted)].strip() if pong else b"" if self._greeted else words
            self._greeted = True
            if name and named(name, self.route)[0] != OK:
                self._end("wrong_backend")
                return
            if pong:
                self.pongs = self.pings
                self.up_since = self.up_since or time.monotonic()

    def ended(self, why: str) -> None:
        self._end(why)


class LongLived:
    """Keeps `count` connections up, spread evenly over the routes that ask for them."""

    def __init__(
        self,
        reactor: Reactor,
        at: Address,
        routes: RouteFile,
        clock: Clock,
        count: int,
        ping_s: float,
        timeout_s: float,
    ) -> None:
        self._reactor = reactor
        self._at = at
        self._routes = routes
        self._clock = clock
        self._wanted = count
        self._ping_s = ping_s
        self._timeout_s = timeout_s
        self._random = random.Random(count)  # noqa: S311 - spreads pings
        self._alive: set[LongConnection] = set()
        self._most_up = 0
        self._opened = 0
        self._pongs = 0
        self._refusals: Counter[str] = Counter()
        self._cut = 0
        self._cut_expected = 0
        self._cuts: list[Cut] = []
        self._stopping = False
        now = time.monotonic()
        for number in range(count):
            reactor.at(now + number / PER_SECOND, partial(self._open, number))

    def stop(self) -> None:
        """No new ones; what ends from here on is not counted."""
        self._stopping = True

    def _open(self, number: int) -> None:
        """The `number`th of those wanted; what fails is tried again at the same place, and takes no other's."""
        if self._stopping:
            return
        candidates = [route for route in self._routes.routes if route.long]
        if not candidates:
            self._later(number)
            return
        route = candidates[number % len(candidates)]
        try:
            connection = LongConnection(
                self._reactor, self._at, route, self._timeout_s, lambda each, how: self._over(each, number, how)
            )
        except OSError as problem:
            self._refusals[reason(problem.errno or 0)] += 1
            self._later(number)
            return
        self._alive.add(connection)
        self._reactor.at(time.monotonic() + self._ping_s * self._random.uniform(0.5, 1), lambda: self._ping(connection))

    def _later(self, number: int) -> None:
        self._reactor.at(time.monotonic() + AGAIN_S, lambda: self._open(number))

    def _ping(self, connection: LongConnection) -> None:
        if connection in self._alive:
            connection.ping()
            self._reactor.at(time.monotonic() + self._ping_s, lambda: self._ping(connection))

    def _over(self, connection: LongConnection, number: int, how: str) -> None:
        self._alive.discard(connection)
        self._pongs += connection.pongs
        if self._stopping:
            return
        route = self._routes.by_key.get(connection.route.key)
        expected = route is None or route.either
        since = self._clock.since()
        if not connection.up_since:
            if not expected:
                self._refusals[how] += 1
        else:
            self._opened += 1
            self._cut += not expected
            self._cut_expected += expected
            age = time.monotonic() - connection.up_since
            cut = Cut(self._clock.began_at + since, since, connection.route.host, how, age, expected)
            if len(self._cuts) < CUTS_MAX:
                self._cuts.append(cut)
        self._later(number)

    def says(self) -> dict[str, object]:
        up = sum(1 for each in self._alive if each.up_since)
        self._most_up = max(self._most_up, up)
        return {
            "wanted": self._wanted,
            "up": up,
            "most_up": self._most_up,
            "opened": self._opened + up,
            "not_opened": dict(self._refusals),
            "pongs": self._pongs + sum(each.pongs for each in self._alive),
            "cut": self._cut,
            "cut_expected": self._cut_expected,
            "cuts": [cut.says() for cut in self._cuts],
        }
