"""One socket of the event stream: never waits for anybody, and knows how many hear it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import zmq

from zonehookd.bus.announcements import PULSE

Plain = zmq.Context[zmq.Socket[bytes]]  # whose sockets never give us futures
_TOGETHER_MAX = 100  # heard in one turn of the loop
_SUBSCRIBES, _LEAVES = 1, 0  # the first byte of what an XPUB socket is told


class Outlet:
    """An XPUB socket, bound by whoever makes it. For each subscriber at most `queue` announcements are kept; what comes
    then is not sent to him. `joined` is called when somebody subscribes to the pulse, with all his other
    subscriptions in force, as far as he made them before.
    """

    def __init__(self, context: Plain, queue: int, joined: Callable[[], None]) -> None:
        self.subscribers = 0
        self._joined = joined
        self._loop: asyncio.AbstractEventLoop | None = None
        self._more: asyncio.Handle | None = None
        self.socket = context.socket(zmq.XPUB)
        self.socket.setsockopt(zmq.SNDHWM, queue)
        self.socket.setsockopt(zmq.XPUB_VERBOSER, 1)  # every subscriber is said, coming and going
        self.socket.setsockopt(zmq.LINGER, 100)

    def watch(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        loop.add_reader(self.socket.fileno(), self.hear)
        self.hear()

    def send(self, frames: Sequence[bytes]) -> None:
        self.socket.send_multipart(frames, zmq.NOBLOCK)
        self.hear()  # the send may have swallowed the wake-up of our reader

    def hear(self) -> None:
        """Who has come and gone since. Whoever comes and goes all the time does not keep us from all else."""
        if self._more is not None:
            self._more.cancel()
            self._more = None
        for _ in range(_TOGETHER_MAX):
            if not int(self.socket.getsockopt(zmq.EVENTS)) & zmq.POLLIN:
                return
            said = self.socket.recv_multipart(zmq.NOBLOCK)
            if len(said) != 1 or not PULSE.encode().startswith(said[0][1:]):
                continue  # also what only somebody sends who is no subscriber by the book
            if said[0][:1] == bytes([_SUBSCRIBES]):
                self.subscribers += 1
                self._joined()
            elif said[0][:1] == bytes([_LEAVES]):
                self.subscribers = max(0, self.subscribers - 1)
        if self._loop is not None:
            self._more = self._loop.call_soon(self.hear)

    def close(self, linger_ms: int | None = None) -> None:
        """`linger_ms`: what is under way may still be delivered, so long."""
        if self._more is not None:
            self._more.cancel()
        if self._loop is not None:
            self._loop.remove_reader(self.socket.fileno())
        self.socket.close(linger_ms)
