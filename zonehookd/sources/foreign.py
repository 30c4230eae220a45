"""Libraries of the host whose calls may never return: each call has a deadline, and the loop never waits in one."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, ClassVar, TypeVar

from zonehookd.sources.source import Unavailable

Result = TypeVar("Result")
_GRACE_S = 1.0


class Hung(Exception):
    """A call did not return in time. Its thread is lost, and whatever it was called on must not be touched again."""


class Caller:
    """One thread that makes calls one after the other, for a mutex must be unlocked by the thread that locked it.

    Not an executor: those are waited for when the process ends, and a lost call would keep it from ending.
    """

    def __init__(self, name: str) -> None:
        self.lost = False
        self._work: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = queue.SimpleQueue()
        threading.Thread(target=self._run, name=name, daemon=True).start()

    def _run(self) -> None:
        while (item := self._work.get()) is not None:
            future, function = item
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(function())
            except BaseException as problem:  # it belongs to whoever asked
                future.set_exception(problem)

    async def call(self, function: Callable[[], Result], within_s: float) -> Result:
        """Raises Hung when it does not return `within_s` seconds, and whatever `function` raises."""
        done: Future[Result] = Future()
        self._work.put((done, function))
        future = asyncio.wrap_future(done)
        try:
            # Twice, and not once for longer: a process that was stopped meanwhile finds the first time over at once.
            for seconds in (within_s, _GRACE_S):
                await asyncio.wait([future], timeout=seconds)
                if future.done():
                    return future.result()
        except asyncio.CancelledError:
            future.cancel()  # what has begun goes on in its thread; what has not never does
            raise
        self.lost = True
        future.cancel()
        raise Hung(f"no return after {within_s:g} s")

    def end(self) -> None:
        """Once the calls made so far have returned, the thread ends."""
        self._work.put(None)


class Foreign:
    """A library that keeps threads of its own in this process. Once abandoned it is not opened again: what hangs in it
    may wake up."""

    _abandoned: ClassVar[dict[str, str]] = {}  # library -> why, for the life of the process
    _kept: ClassVar[list[Any]] = []  # callbacks that an abandoned library may still call

    def __init__(self, library: str) -> None:
        self.library = library
        self.callback: Any = None

    def abandon(self, why: str) -> None:
        self._abandoned[self.library] = why
        self._kept.append(self.callback)

    @property
    def abandoned(self) -> str:
        """Why, or nothing."""
        return self._abandoned.get(self.library, "")

    def check(self) -> None:
        """Raises Unavailable once it was abandoned."""
        if self.abandoned:
            raise Unavailable(f"given up in this process: {self.abandoned} (svcadm restart zonehookd tries it again)")
