"""One question to the proxy and its verdict, over HTTP or plain TCP."""

from __future__ import annotations

import time
from typing import Protocol

from traffic.http1 import Answer, MalformedAnswer
from traffic.reactor import Address, Connection, Reactor, reason
from traffic.routes import Route

OK = "ok"
ALLOWED = "allowed"
LINE_MAX = 4096  # bytes
LINGER_S = 1.0


class Request:
    """A question on its way. `due`: time.monotonic() when it should have been sent."""

    __slots__ = ("connection", "deadline", "done", "due", "generation", "own", "route")

    def __init__(self, route: Route, due: float, generation: int = 0, *, own: bool = True) -> None:
        self.route = route
        self.due = due
        self.generation = generation  # of the routes that it is judged by
        self.own = own  # on a connection of its own
        self.deadline = 0.0  # set by whoever starts it
        self.done = False
        self.connection: Connection | None = None


class Asker(Protocol):
    """Who is told. `judged` is called once per request, unless `stale` was."""

    def judged(self, request: Request, verdict: str, detail: str, status: int) -> None:
        """`verdict` is OK, ALLOWED or one of FAILURES; `status` 0 without an answer."""

    def stale(self, request: Request) -> None:
        """A kept-alive connection was closed under it before any answer: a client asks again (RFC 9112, 9.3.1)."""

    def idle(self, connection: HttpConnection) -> None:
        """A kept-alive connection is free again."""

    def idle_ended(self, connection: HttpConnection) -> None:
        """A free kept-alive connection is gone."""


def named(text: bytes, route: Route) -> tuple[str, str]:
    """Verdict and detail on a text whose first word should name the right zone."""
    word = text.split(None, 1)[0] if text.strip() else b""
    if word in route.zones:
        return OK, ""
    return "wrong_backend", f"{word[:60].decode(errors='replace') or 'nobody'} answered"


def judge(answer: Answer, route: Route) -> tuple[str, str]:
    """Verdict and detail on a whole answer."""
    if 200 <= answer.status < 300:
        return named(answer.body, route)
    if answer.status == 503 and route.either:
        return ALLOWED, ""
    return "5xx" if answer.status >= 500 else "status", str(answer.status)


class HttpConnection(Connection):
    """Carries one request at a time, or, kept alive, none."""

    def __init__(self, reactor: Reactor, address: Address, asker: Asker, request: Request) -> None:
        """OSError as `Connection`."""
        super().__init__(reactor, address)
        self._asker = asker
        self._request: Request | None = request
        self._answer = Answer()
        self._fresh = True
        self._lingers = False
        request.connection = self

    def ask(self, request: Request) -> None:
        """On a kept-alive connection that is free."""
        self._request, self._answer, self._fresh = request, Answer(), False
        request.connection = self
        self.connected()

    def connected(self) -> None:
        request = self._request
        assert request is not None
        wish = "close" if request.own else "keep-alive"
        route = request.route
        self.send(f"GET {route.path} HTTP/1.1\r\nHost: {route.host}\r\nConnection: {wish}\r\n\r\n".encode())

    def received(self, data: bytes) -> None:
        if self._request is None:
            if not self._lingers:  # nobody asked: of no use any more
                self.abandon()
                self._asker.idle_ended(self)
            return
        try:
            self._answer.feed(data)
        except MalformedAnswer as problem:
            self.abandon()
            self._judged("malformed", str(problem))
            return
        if self._answer.complete:
            self._answered()

    def ended(self, why: str) -> None:
        request, answer = self._request, self._answer
        if request is None:
            if not self._lingers:
                self._asker.idle_ended(self)
        elif not answer.started:
            if not self._fresh and why in ("closed", "reset"):
                self._request = request.connection = None
                self._asker.stale(request)
            else:
                self._judged(why, "before an answer")
        elif why != "closed":
            self._judged(why, "within the answer")
        elif answer.ends_well():
            self._answered()
        else:
            self._judged("short", f"{answer.status or 'no head'}")

    def _answered(self) -> None:
        request, answer = self._request, self._answer
        assert request is not None
        self._judged(*judge(answer, request.route))
        if self.gone:
            return
        if answer.keep and not request.own:
            self._asker.idle(self)
        else:  # the proxy closes, and has the port's waiting time; else 500/s would use up our ports within a minute
            self._lingers = True
            self.reactor.at(time.monotonic() + LINGER_S, self.abandon)

    def _judged(self, verdict: str, detail: str) -> None:
        request = self._request
        assert request is not None
        self._request = request.connection = None
        self._asker.judged(request, verdict, detail, self._answer.status)


class LineConnection(Connection):
    """One line over plain TCP, whose first word names the zone."""

    def __init__(self, reactor: Reactor, address: Address, asker: Asker, request: Request) -> None:
        """OSError as `Connection`."""
        super().__init__(reactor, address)
        self._asker = asker
        self._request = request
        self._line = b""
        request.connection = self

    def connected(self) -> None:
        if self._request.route.path == "ask":
            self.send(b"who\n")

    def received(self, data: bytes) -> None:
        self._line += data
        if b"\n" in self._line:
            self.abandon()
            self._judged(*named(self._line.partition(b"\n")[0], self._request.route))
        elif len(self._line) > LINE_MAX:
            self.abandon()
            self._judged("malformed", "a line without end")

    def ended(self, why: str) -> None:
        if self._line:
            self._judged("short" if why == "closed" else why, "within the line")
        elif self._request.route.either and why in ("refused", "closed", "reset"):
            self._judged(ALLOWED, "")
        else:
            self._judged(why, "before a line")

    def _judged(self, verdict: str, detail: str) -> None:
        self._request.connection = None
        self._asker.judged(self._request, verdict, detail, 0)


def start(reactor: Reactor, at: Address, asker: Asker, request: Request) -> None:
    """On a connection of its own; `asker` hears of it even if that cannot be opened, perhaps at once."""
    try:
        if request.route.port:
            LineConnection(reactor, (at[0], request.route.port), asker, request)
        else:
            HttpConnection(reactor, at, asker, request)
    except OSError as problem:
        asker.judged(request, reason(problem.errno or 0), str(problem), 0)
