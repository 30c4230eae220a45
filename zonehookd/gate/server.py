"""Answers the gate: one line in, a verdict and the lines for a person out, and the end of the stream.

    1 WORD ZONE HOOK STATE CMD        WORD: ready, halt, uninstall, note; ``-`` where there is none
    allow CODE | deny CODE            and then text, line by line; nothing at all: the gate decides alone

The gate gives up after two seconds (R5), so an answer that takes longer is not given.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from zonehookd import log
from zonehookd.model.guard import Operation

Asked = Literal["ready", "halt", "uninstall"]
_REQUEST_MAX_BYTES = 1024
_REQUEST_MAX_S = 1.0
_ANSWER_MAX_S = 1.9
_ANSWER_MAX_BYTES = 60 * 1024
_TOGETHER_MAX = 128  # who comes beyond that waits in the socket's queue
_QUEUE = 1024


@dataclass(frozen=True, slots=True)
class Word:
    """`code` is stable, for programs: small letters, digits and dashes. `lines` are shown to whoever acts."""

    allowed: bool
    code: str
    lines: tuple[str, ...] = ()


class Doorkeeper(Protocol):
    """Who decides. What is raised is logged, and leaves the gate to itself."""

    async def before_ready(self, zone: str) -> Word: ...

    async def may(self, zone: str, operation: Operation) -> Word: ...

    def heard(self, zone: str, hook: str, state: int | None, command: int | None) -> None:
        """A hook that asks nothing came by."""


Answered = Callable[[str, str, str, float], None]  # word, allow, deny or none (the gate decides), code, seconds


class GateServer:
    """Owns the socket at `path` (0600) from the moment it is made. Raises OSError then."""

    def __init__(self, path: Path, doorkeeper: Doorkeeper, answered: Answered) -> None:
        self.path = path
        self._doorkeeper = doorkeeper
        self._answered = answered
        self._slots = asyncio.Semaphore(_TOGETHER_MAX)
        self._log = log.get()
        path.unlink(missing_ok=True)  # of a daemon that was killed
        self._no_hang()
        self._anew = asyncio.Event()
        self._sockets: list[socket.socket] = []
        self._hears = False
        self.bind()

    def bind(self) -> None:
        """Makes the socket file, which must not be there. Raises OSError."""
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            listening.bind(str(self.path))
            self.path.chmod(0o600)
            listening.setblocking(False)
            if self._hears:
                listening.listen(_QUEUE)
        except OSError:
            listening.close()
            raise
        self._made = self.path.lstat()
        self._sockets.append(listening)
        self._anew.set()

    async def run(self) -> None:
        """Until cancelled. Nobody is heard before: the gate is told so at once, and decides alone."""
        self._hears = True
        self._sockets[-1].listen(_QUEUE)
        async with asyncio.TaskGroup() as tasks:
            while True:
                self._anew.clear()
                serving = self._sockets[-1]
                accepting = tasks.create_task(self._accept(serving, tasks))
                await self._anew.wait()
                accepting.cancel()
                await asyncio.wait([accepting])
                await asyncio.sleep(0)  # the loop has let go of it
                self._sockets.remove(serving)
                serving.close()

    async def _accept(self, listening: socket.socket, tasks: asyncio.TaskGroup) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._slots.acquire()
            try:
                connection, _ = await loop.sock_accept(listening)
            except OSError as problem:  # no descriptor left: others will give theirs back
                self._slots.release()
                self._log.error("cannot take a question of the gate", error=str(problem))
                await asyncio.sleep(0.1)
                continue
            except BaseException:
                self._slots.release()
                raise
            tasks.create_task(self._serve(connection))

    def close(self) -> None:
        """Whoever asks from now on decides alone, at once. What is another daemon's by now stays."""
        for each in self._sockets:
            each.close()
        with contextlib.suppress(OSError):
            if os.path.samestat(self.path.lstat(), self._made):
                self.path.unlink()

    async def _serve(self, connection: socket.socket) -> None:
        try:
            connection.setblocking(False)
            async with asyncio.timeout(_REQUEST_MAX_S):
                request = await _read(connection)
            if request is not None:
                await self._about(request, connection)
        except (OSError, TimeoutError):
            pass  # who asked has gone, or asks nothing
        except Exception as problem:  # a bug must not end the daemon; the gate decides alone
            self._log.error("question of the gate not answered", error=repr(problem))
        finally:
            connection.close()
            self._slots.release()
            self._no_hang()

    def _no_hang(self) -> None:
        """Boots and halts go by this file for some seconds after one has waited for us in vain."""
        with contextlib.suppress(OSError):
            self.path.with_name("gate.hung").unlink()

    async def _about(self, request: _Request, connection: socket.socket) -> None:
        began = time.monotonic()
        if request.word == "note":
            self._doorkeeper.heard(request.zone, request.hook, request.state, request.command)
            return
        if _gone(connection):  # it gave up while we could not hear it, and decided alone
            return
        word: Word | None = None
        try:
            async with asyncio.timeout(_ANSWER_MAX_S):
                word = await self._decide(request)
            text = "\n".join((f"{'allow' if word.allowed else 'deny'} {word.code}", *word.lines)) + "\n"
            async with asyncio.timeout(_REQUEST_MAX_S):
                await asyncio.get_running_loop().sock_sendall(connection, text.encode()[:_ANSWER_MAX_BYTES])
        finally:
            answer = "none" if word is None else "allow" if word.allowed else "deny"
            self._answered(request.word, answer, word.code if word else "", time.monotonic() - began)

    def _decide(self, request: _Request) -> Awaitable[Word]:
        match request.word:
            case "ready":
                return self._doorkeeper.before_ready(request.zone)
            case "halt":
                return self._doorkeeper.may(request.zone, "halt")
            case _:
                return self._doorkeeper.may(request.zone, "uninstall")


@dataclass(frozen=True, slots=True)
class _Request:
    word: str
    zone: str
    hook: str
    state: int | None
    command: int | None


def _gone(connection: socket.socket) -> bool:
    try:
        return connection.recv(1, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False


async def _read(connection: socket.socket) -> _Request | None:
    """None: not a question we know."""
    loop = asyncio.get_running_loop()
    text = b""
    while not text.endswith(b"\n"):
        piece = await loop.sock_recv(connection, _REQUEST_MAX_BYTES)
        text += piece
        if not piece or len(text) > _REQUEST_MAX_BYTES:
            return None
    words = text.decode(errors="replace").removesuffix("\n").split(" ")
    if len(words) != 6 or words[0] != "1" or words[1] not in ("ready", "halt", "uninstall", "note"):
        return None
    numbers = [int(word) if word.isascii() and word.isdigit() else None for word in words[4:]]
    return _Request(words[1], words[2], words[3], numbers[0], numbers[1])
