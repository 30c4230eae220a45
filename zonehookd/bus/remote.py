"""The event stream for other hosts: TCP, by CURVE alone, for those whose keys are in the folder of keys.

A context of its own: what is ciphered for others, and whoever knocks, never delays our own sockets; and its
authenticator answers for this socket only.
"""

from __future__ import annotations

import asyncio
import os
import socket as socketlib
from collections.abc import Callable, Sequence
from pathlib import Path

import zmq
from zmq.auth.asyncio import AsyncioAuthenticator

from zonehookd.bus import keys
from zonehookd.bus.outlet import Outlet
from zonehookd.errors import ConfigError

_DOMAIN = "events"
_BACKLOG = 64
_HELLO_MAX_BYTES = 1024  # subscribers have no more to say than a handshake and the names of topics
_HANDSHAKE_MS = 5_000  # who knocks and says nothing is sent away
_HEARTBEAT_MS, _DEAD_MS = 10_000, 30_000  # a host that vanished keeps no queue here


class Remote:
    """`listen` is ADDRESS:PORT, port 0 for any; the port is taken here, and served from `open` on. `came` is told
    the name of each who is let in. Raises ConfigError.
    """

    def __init__(self, listen: str, folder: Path, queue: int, came: Callable[[str], None]) -> None:
        self.refused = 0
        self._folder = folder
        self._keys = keys.load(folder)
        self._queue = queue
        self._came = came
        self._joined: Callable[[], None] = lambda: None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._outlet: Outlet | None = None
        host, _, port = listen.rpartition(":")
        family = socketlib.AF_INET6 if ":" in host else socketlib.AF_INET
        try:
            address = (host.strip("[]"), int(port))
            self._port = socketlib.create_server(address, family=family, backlog=_BACKLOG)
        except (OSError, ValueError, OverflowError) as problem:
            raise ConfigError(f"events.listen: cannot listen on {listen!r}: {problem}") from problem
        self._port.setblocking(False)  # as ZeroMQ, which is lent it, expects
        self.listen = f"{host}:{self._port.getsockname()[1]}"
        self._context = zmq.Context()
        self._authenticator = AsyncioAuthenticator(self._context)
        self._authenticator.configure_curve_callback(_DOMAIN, self)

    @property
    def clients(self) -> list[str]:
        """Names of the keys in force."""
        return self._keys.names

    @property
    def subscribers(self) -> int:
        return self._outlet.subscribers if self._outlet is not None else 0

    def open(self, loop: asyncio.AbstractEventLoop, joined: Callable[[], None]) -> None:
        """Whoever judges the keys is there before anybody is let to the door."""
        self._loop, self._joined = loop, joined
        self._authenticator.start()
        self._outlet = self._serve(loop)

    def _serve(self, loop: asyncio.AbstractEventLoop) -> Outlet:
        """A door onto the port, which stays ours while one door is exchanged for another."""
        outlet = Outlet(self._context, self._queue, self._joined)
        set_to = outlet.socket.setsockopt
        set_to(zmq.IPV6, 1)
        set_to(zmq.CURVE_SERVER, 1)
        set_to(zmq.CURVE_PUBLICKEY, self._keys.public)
        set_to(zmq.CURVE_SECRETKEY, self._keys.secret)
        set_to(zmq.ZAP_DOMAIN, _DOMAIN.encode())
        set_to(zmq.ZAP_ENFORCE_DOMAIN, 1)  # without it, everybody is let in while nobody judges the keys
        set_to(zmq.MAXMSGSIZE, _HELLO_MAX_BYTES)
        set_to(zmq.HANDSHAKE_IVL, _HANDSHAKE_MS)
        set_to(zmq.HEARTBEAT_IVL, _HEARTBEAT_MS)
        set_to(zmq.HEARTBEAT_TIMEOUT, _DEAD_MS)
        try:
            set_to(zmq.USE_FD, os.dup(self._port.fileno()))
            outlet.socket.bind(f"tcp://{self.listen}")
        except (OSError, zmq.ZMQError) as problem:
            outlet.close(linger_ms=0)
            raise ConfigError(f"events.listen: cannot serve {self.listen}: {problem}") from problem
        outlet.watch(loop)
        return outlet

    def send(self, frames: Sequence[bytes]) -> None:
        if self._outlet is not None:
            self._outlet.send(frames)

    def take(self) -> bool:
        """The folder is read anew. True: a key went, so every connection was ended, for ZeroMQ ends no single one; who
        may, connects again, and sees by the numbers what he missed. Raises ConfigError: then the old keys stay.
        """
        before, self._keys = self._keys, keys.load(self._folder)
        gone = before.clients.keys() - self._keys.clients.keys() or before.public != self._keys.public
        if self._loop is None or (self._outlet is not None and not gone):
            return False
        if self._outlet is not None:
            self._outlet.close(linger_ms=0)
            self._outlet = None  # if nothing can be opened in its place, it stays shut
        self._outlet = self._serve(self._loop)
        return True

    def callback(self, domain: str, key: bytes) -> bool:
        """Asked by the authenticator, as pyzmq wants it."""
        name = self._keys.clients.get(key)
        if name is None:
            self.refused += 1
        else:
            self._came(name)
        return name is not None

    def close(self) -> None:
        """While the loop that it was opened in still runs."""
        if self._loop is not None:
            self._authenticator.stop()
        if self._outlet is not None:
            self._outlet.close()
            self._outlet = None
        self._port.close()
        self._context.term()
