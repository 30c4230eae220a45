"""One epoll, its TCP connections and its timers."""

from __future__ import annotations

import errno
import heapq
import itertools
import select
import socket
import time
from collections.abc import Callable

Address = tuple[str, int]

_READ = 65536
_EVENTS = select.EPOLLIN | select.EPOLLOUT | select.EPOLLET
_REASONS = {
    errno.ECONNREFUSED: "refused",
    errno.ECONNRESET: "reset",
    errno.ECONNABORTED: "reset",
    errno.EPIPE: "reset",
    errno.ETIMEDOUT: "timeout",
    errno.EHOSTUNREACH: "unreachable",
    errno.ENETUNREACH: "unreachable",
    errno.EHOSTDOWN: "unreachable",
    errno.ENETDOWN: "unreachable",
}
OWN = "own"  # the client's own limits (descriptors, ports, memory): says nothing about the proxy


def reason(number: int) -> str:
    """refused, reset, timeout, unreachable, or ``own`` for an errno that is no doing of the other side."""
    return _REASONS.get(number, OWN)


class Reactor:
    """Times are seconds of time.monotonic()."""

    def __init__(self, most: int) -> None:
        """`most`: connections at a time; one more is EMFILE."""
        self.most = most
        self.epoll = select.epoll()
        self.connections: dict[int, Connection] = {}
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._number = itertools.count()

    def at(self, when: float, call: Callable[[], None]) -> None:
        """Call once, not before `when`. Cannot be taken back: `call` finds out whether it is still wanted."""
        heapq.heappush(self._timers, (when, next(self._number), call))

    def turn(self, until: float) -> None:
        """Wait for something to happen, at most until `until` or the first timer; then do all that there is to do."""
        if self._timers and self._timers[0][0] < until:
            until = self._timers[0][0]
        # epoll itself waits in whole milliseconds, and would make every request late
        select.select([self.epoll], [], [], max(0.0, until - time.monotonic()))
        for number, events in self.epoll.poll(0):  # nobody closes another's socket in here, so no number changes hands
            connection = self.connections.get(number)
            if connection is not None:
                connection.happened(events)
        now = time.monotonic()
        while self._timers and self._timers[0][0] <= now:
            heapq.heappop(self._timers)[2]()

    def close(self) -> None:
        """Cut whatever is open; nobody is told."""
        for connection in list(self.connections.values()):
            connection.abandon()
        self.epoll.close()


class Connection:
    """One TCP connection from its birth. Whoever inherits is told `connected`, `received` and, once, `ended`."""

    def __init__(self, reactor: Reactor, address: Address) -> None:
        """OSError: it cannot even be tried (no descriptor, no port, no route)."""
        self.reactor = reactor
        self.open = False
        if len(reactor.connections) >= reactor.most:
            raise OSError(errno.EMFILE, "too many connections")
        self.socket = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET, socket.SOCK_STREAM)
        try:
            self.socket.setblocking(False)
            number = self.socket.connect_ex(address)
            if number not in (0, errno.EINPROGRESS):
                raise OSError(number, errno.errorcode.get(number, str(number)))
        except OSError:
            self.socket.close()
            raise
        self._number = self.socket.fileno()
        reactor.connections[self._number] = self
        reactor.epoll.register(self._number, _EVENTS)

    # -- for whoever inherits

    def connected(self) -> None:
        raise NotImplementedError

    def received(self, data: bytes) -> None:
        raise NotImplementedError

    def ended(self, why: str) -> None:
        """`why`: ``closed`` (the other side has no more to say) or what `reason` gives. It is closed already."""
        raise NotImplementedError

    def send(self, data: bytes) -> None:
        """Few bytes, at a moment when the other side has taken all that was sent before. What fails ends it."""
        try:
            if self.socket.send(data) == len(data):
                return
            why = OWN
        except BlockingIOError:
            why = OWN
        except OSError as problem:
            why = reason(problem.errno or 0)
        self.abandon()
        self.ended(why)

    def abandon(self) -> None:
        """Close from our side; `ended` is not called."""
        if not self.gone:
            del self.reactor.connections[self._number]
            self.socket.close()  # which also takes it out of the epoll

    # -- for the reactor

    @property
    def gone(self) -> bool:
        """Closed; another connection may have our number by now."""
        return self.reactor.connections.get(self._number) is not self

    def happened(self, events: int) -> None:
        if not self.open:
            number = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if number:
                self.abandon()
                self.ended(reason(number))
                return
            if not events & select.EPOLLOUT:
                return
            self.open = True
            self.connected()
        if events & ~select.EPOLLOUT:
            self._read()

    def _read(self) -> None:
        while not self.gone:
            try:
                data = self.socket.recv(_READ)
            except BlockingIOError:
                return
            except OSError as problem:
                self.abandon()
                self.ended(reason(problem.errno or 0))
                return
            if not data:
                self.abandon()
                self.ended("closed")
                return
            self.received(data)
