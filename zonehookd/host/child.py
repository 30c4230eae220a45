"""A process that stays: what it prints is heard as it comes; its end is its exit, whoever holds its pipes by then."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable
from typing import cast

_LAST_WORDS_S = 0.2  # what it printed before it ended is still heard
_KILLED_S = 10.0


class Child(asyncio.SubprocessProtocol):
    """In a session and process group of its own. Its standard input is a pipe that nobody writes to: it ends when we
    do. `heard` is called with what it prints, on either stream."""

    def __init__(self, heard: Callable[[bytes], None], bytes_s: int) -> None:
        """`bytes_s`: it is not read faster than that; whoever prints more waits for us, and not we for it."""
        loop = asyncio.get_running_loop()
        self.exited: asyncio.Future[int] = loop.create_future()  # status, negative for a signal
        self.closed: asyncio.Future[None] = loop.create_future()  # its pipes are closed, too
        self._loop = loop
        self._heard = heard
        self._bytes_s = bytes_s
        self._read = 0
        self._paused = False
        self._resuming: asyncio.TimerHandle | None = None
        self._transport: asyncio.SubprocessTransport | None = None

    @property
    def pid(self) -> int:
        assert self._transport is not None
        return self._transport.get_pid()

    def let_go(self) -> None:
        """Closes its standard input: whoever behaves ends now."""
        if self._transport is not None and (leash := self._transport.get_pipe_transport(0)) is not None:
            leash.close()

    async def end(self, grace_s: float) -> int | None:
        """SIGTERM, `grace_s`, SIGKILL, for the whole group; returns its status, None if not even that ends it."""
        for number, pause_s in ((signal.SIGTERM, grace_s), (signal.SIGKILL, _KILLED_S)):
            if self.exited.done():
                break
            self._signal(number)
            await asyncio.wait([self.exited], timeout=pause_s)
        if not self.exited.done():
            return None
        await asyncio.wait([self.closed], timeout=_LAST_WORDS_S + 1.0)
        return self.exited.result()

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    # -- told by the loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.SubprocessTransport, transport)

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        self._heard(data)
        self._read += len(data)
        if self._resuming is None:
            self._resuming = self._loop.call_later(1.0, self._resume)
        if self._read >= self._bytes_s and not self._paused:
            self._paused = True
            self._each_pipe("pause_reading")

    def _resume(self) -> None:
        self._read, self._resuming = 0, None
        if self._paused:
            self._paused = False
            self._each_pipe("resume_reading")

    def _each_pipe(self, what: str) -> None:
        assert self._transport is not None
        for fd in (1, 2):
            pipe = self._transport.get_pipe_transport(fd)
            if pipe is not None and not pipe.is_closing():
                getattr(pipe, what)()

    def process_exited(self) -> None:
        assert self._transport is not None
        self._signal(signal.SIGKILL)  # whoever of its group is left
        self._loop.call_later(_LAST_WORDS_S, self._transport.close)
        if not self.exited.done():
            self.exited.set_result(self._transport.get_returncode() or 0)

    def connection_lost(self, problem: Exception | None) -> None:
        if self._resuming is not None:
            self._resuming.cancel()
        if self._transport is not None:
            self._transport.close()
        if not self.closed.done():
            self.closed.set_result(None)
