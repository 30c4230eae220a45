"""The socket files in the run folder, looked at now and then: one that is gone is made anew.

Whoever removes a file, or the folder, under a running daemon cuts off all who come from then on; who is connected goes
on. What somebody else has put in a file's place is left alone: two who take it from each other would serve nobody. But
not a socket where nobody listens any more, which is what a daemon leaves that was started beside us and has died.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import socket
import stat
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import zmq

_EVERY_S = 10.0


class Door(Protocol):
    """`bind` makes the socket file, 0600. Raises OSError, zmq.ZMQError."""

    path: Path

    def bind(self) -> None: ...


class Doorstep:
    """All doors are in one folder; `besides` are called when any of it had to be made: what else is in there may be
    gone, too. They may raise OSError. `log`: structlog's."""

    def __init__(self, doors: Sequence[Door], besides: Sequence[Callable[[], None]], log: Any) -> None:
        self._doors = doors
        self._folder = doors[0].path.parent
        self._besides = besides
        self._log = log
        self._said: dict[Path, str] = {}
        self._ours = {door.path: door.path.lstat() for door in doors}

    async def run(self) -> None:
        while True:
            await asyncio.sleep(_EVERY_S)
            self.look()

    def look(self) -> None:
        if self._worked(self._folder, self._make_folder):
            for door in self._doors:
                self._worked(door.path, functools.partial(self._bind, door))

    def close(self) -> None:
        """A file that nobody answers makes askers wait. What is another daemon's by now stays."""
        for door in self._doors:
            with contextlib.suppress(OSError):
                if os.path.samestat(door.path.lstat(), self._ours[door.path]):
                    door.path.unlink()

    def _bind(self, door: Door) -> None:
        door.bind()
        self._ours[door.path] = door.path.lstat()

    def _make_folder(self) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # our warden makes it, too

    def _worked(self, path: Path, make: Callable[[], None]) -> bool:
        """Whether it is there now. What cannot be seen is not taken for gone."""
        try:
            if not self._stands(path):
                make()
                self._log.warning("removed under us, and made anew", path=str(path))
                for each in self._besides:
                    each()
        except (OSError, zmq.ZMQError) as problem:
            if self._said.get(path) != str(problem):
                self._log.error("nobody can ask there", path=str(path), error=str(problem))
            self._said[path] = str(problem)
            return False
        self._said.pop(path, None)
        return True

    def _stands(self, path: Path) -> bool:
        try:
            found = path.lstat()
        except FileNotFoundError:
            return False
        ours = self._ours.get(path)
        if ours is None or os.path.samestat(found, ours) or not stat.S_ISSOCK(found.st_mode) or _listened_at(path):
            return True
        path.unlink()
        return False


def _listened_at(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asker:
        asker.setblocking(False)
        try:
            asker.connect(str(path))
        except ConnectionRefusedError:
            return False
        except OSError:  # its queue is full, say
            return True
    return True
