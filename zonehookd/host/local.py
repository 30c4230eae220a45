"""The real host: processes with an audit log, files, and the clock."""

from __future__ import annotations

import asyncio
import contextlib
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from zonehookd.errors import CommandError
from zonehookd.host.audit import Audit
from zonehookd.host.files import Stamp, read_bounded, stamp, write_atomically
from zonehookd.host.process import Finished, Processes
from zonehookd.illumos.zlogin import zone_of
from zonehookd.model.command import ELSEWHERE, Change, Lane, Query
from zonehookd.model.subject import Subject

T = TypeVar("T")
_OF_ONE_ZONE = 2  # commands at once, so that it takes a crowd of bad zones to use up all turns
Heard = Callable[[str, str, float], None]  # command name, result (ok|failed|error), seconds


class LocalHost:
    def __init__(self, processes: Processes, audit: Audit, heard: Heard) -> None:
        self._processes = processes
        self._audit = audit
        self._heard = heard
        self._turns: weakref.WeakValueDictionary[str, asyncio.Semaphore] = weakref.WeakValueDictionary()

    async def run(self, query_or_change: Query[T] | Change, *, why: str, subject: Subject | None) -> Finished:
        asked = query_or_change
        change = asked if isinstance(asked, Change) else None
        stdin = asked.stdin
        began = time.monotonic()
        status: int | None = None
        error = ""
        seconds = 0.0  # of the command itself, not of waiting for its turn
        try:
            others = asked.lane.startswith(ELSEWHERE)  # they wait for each other alone, and nobody of ours for them
            zone = "" if others else zone_of(asked.argv)
            lane: Lane = "inside" if zone else asked.lane
            async with self._turn(zone):
                finished = await self._processes.run(
                    asked.argv, lane=lane, stdin=stdin, timeout_s=asked.timeout_s, user=asked.user
                )
            status, seconds = finished.reply.status, finished.seconds
            error = finished.reply.stderr.strip() if status else ""
            return finished
        except CommandError as problem:
            error = str(problem)
            raise
        finally:
            if status is None:
                seconds = time.monotonic() - began
            self._heard(asked.argv[0], "error" if status is None else "failed" if status else "ok", seconds)
            self._audit.write(
                asked.argv,
                kind="change" if change else "look",
                why=why,
                subject=subject,
                stdin="(hidden)" if change and change.secret else stdin,
                status=status,
                seconds=seconds,
                error=error,
            )

    def _turn(self, zone: str) -> contextlib.AbstractAsyncContextManager[None]:
        """Of those who ask the same zone."""
        if not zone:
            return contextlib.nullcontext()
        turn = self._turns.get(zone)
        if turn is None:
            turn = self._turns[zone] = asyncio.Semaphore(_OF_ONE_ZONE)
        return turn


class LocalFiles:
    def read(self, path: Path, max_bytes: int) -> bytes:
        return read_bounded(path, max_bytes)

    def stamp(self, path: Path) -> Stamp | None:
        return stamp(path)

    def write(self, path: Path, content: str, mode: int | None) -> None:
        write_atomically(path, content, mode)

    def remove(self, path: Path) -> None:
        path.unlink(missing_ok=True)
