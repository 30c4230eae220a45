"""What the daemon stands on: the lock and the books in its state folder, which somebody may remove under it."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

from zonehookd.errors import ConfigError
from zonehookd.host.sole import sole
from zonehookd.store.store import Store

_EVERY_S = 10.0


class Footing:
    """Raises ConfigError: another daemon has the folder, or it cannot be used."""

    def __init__(self, folder: Path, log: Any) -> None:
        """`log`: structlog's."""
        self._path = folder / "lock"
        self._lock = sole(self._path)
        self.store = Store(folder / "state.db")
        self._log = log
        self._said = ""
        self._others = 0  # looks in a row that found somebody else's lock

    async def run(self, besides: Callable[[], None], ousted: Callable[[], None]) -> None:
        """Looks now and then. `besides`: is called when something had to be made anew, for what else is in the folder;
        may raise OSError. `ousted`: another daemon has the folder by now, so this one must stop."""
        while True:
            await asyncio.sleep(_EVERY_S)
            self.look(besides, ousted)

    def look(self, besides: Callable[[], None], ousted: Callable[[], None]) -> None:
        try:
            if not self._holds():
                held, self._lock = self._lock, sole(self._path)  # the lock first: two must never write these books
                os.close(held)
            elif self.store.stands():
                self._said, self._others = "", 0
                return
            if not self.store.stands():
                self.store.again()
            self._log.warning("state removed under us, and written anew", folder=str(self._path.parent))
            besides()
        except ConfigError as problem:
            self._others += 1
            if self._others == 2:  # `brand disable` without a daemon has it for a moment
                self._log.error("another daemon has the state folder by now: stopping", error=str(problem))
                ousted()
        except (OSError, sqlite3.Error) as problem:
            if self._said != str(problem):
                self._log.error("state removed under us, and not written anew", error=str(problem))
            self._said = str(problem)

    def _holds(self) -> bool:
        try:
            return os.path.samestat(self._path.lstat(), os.fstat(self._lock))
        except FileNotFoundError:
            return False

    def close(self) -> None:
        self.store.close()
        os.close(self._lock)
