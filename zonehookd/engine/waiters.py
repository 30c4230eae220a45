"""Who waits for the loop: for everything to be settled, or for one subject to have been looked after."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from zonehookd.errors import CannotObserve
from zonehookd.model.subject import Subject


class Waiters:
    """Times are monotonic seconds: what was asked is answered only by a look that began later."""

    def __init__(self) -> None:
        self._all: list[tuple[float, asyncio.Future[None]]] = []
        self._one: list[tuple[float, Subject, asyncio.Future[None]]] = []

    def for_all(self, now_s: float) -> asyncio.Future[None]:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._all.append((now_s, future))
        return future

    def for_one(self, subject: Subject, now_s: float) -> asyncio.Future[None]:
        """Done when a look that began later has ended for `subject`, with its steps; or knows no such subject."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._one.append((now_s, subject, future))
        return future

    def ended(self, subject: Subject, began_s: float) -> None:
        """What a look that began then wanted for `subject` is done, or could not be done."""
        self._release(lambda asked_s, each: each == subject and asked_s <= began_s)

    def looked(self, began_s: float, busy: Callable[[Subject], bool]) -> None:
        """A look that began then is over. `busy`: somebody works, or will soon, on this subject."""
        self._release(lambda asked_s, each: asked_s <= began_s and not busy(each))

    def settled(self, last_full_s: float) -> None:
        """A full look that began then is over, and nobody works or is due at once."""
        for asked_s, future in self._all:
            if asked_s <= last_full_s and not future.done():
                future.set_result(None)
        self._all = [entry for entry in self._all if entry[0] > last_full_s]

    def failed(self, problem: CannotObserve) -> None:
        for future in (*(entry[-1] for entry in self._all), *(entry[-1] for entry in self._one)):
            if not future.done():
                future.set_exception(problem)
        self._all, self._one = [], []

    def _release(self, which: Callable[[float, Subject], bool]) -> None:
        free = [entry for entry in self._one if entry[2].done() or which(entry[0], entry[1])]
        self._one = [entry for entry in self._one if entry not in free]
        for _, _, future in free:
            if not future.done():
                future.set_result(None)
