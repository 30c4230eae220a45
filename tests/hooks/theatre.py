"""Hooks of the daemon over a real store and real programs; zones come and go as the test says."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from calling import Phone

from zonehookd.config import HooksSection
from zonehookd.engine.site import Site
from zonehookd.hooks.calls import Called
from zonehookd.hooks.hooks import Hooks, Tools
from zonehookd.hooks.moments import Moment
from zonehookd.model import subject
from zonehookd.model.gateway import Declaration
from zonehookd.model.outcome import Outcome, Result
from zonehookd.model.zone import Zone, ZoneConfig, ZoneState
from zonehookd.store.store import Store

Told = tuple[str, str, Moment]


def running(name: str, zoneid: int = 1) -> Zone:
    return zone(name, ZoneState.RUNNING, zoneid)


def zone(name: str, state: ZoneState = ZoneState.INSTALLED, zoneid: int | None = None, **attrs: str) -> Zone:
    return Zone(name, state, zoneid, config=ZoneConfig("sparse", True, (), attrs))


async def until(check: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + 60
    while not check():
        assert time.monotonic() < deadline, what
        await asyncio.sleep(0.01)


@dataclass
class Daemon:
    """One start of the daemon."""

    hooks: Hooks
    phone: Phone
    heard: list[Called]
    released: list[str]
    store: Store
    stopping: bool = False

    def look(self, *zones: Zone) -> None:
        """A look that finds these; our steps for each are over."""
        for each in zones:
            self.hooks.ended(Outcome(subject.zone(each.name), Result.NOOP))
        self.hooks.looked(Site(Declaration(), {each.name: each for each in zones}), 0.0, False, 0, 0)

    @property
    def told(self) -> list[Told]:
        """hook, zone, moment: what was called, in order."""
        return [(each.hook, each.zone, each.moment) for each in self.heard]

    def moments(self, zone: str = "web1", hook: str | None = None) -> list[str]:
        return [each[2] for each in self.told if each[1] == zone and hook in (None, each[0])]

    async def quiet(self) -> None:
        """Nobody is owed anything, and all is written down."""
        await until(lambda: not any(z.task for z in self.hooks.zones.values()), f"quiet: {self.told}")


class Theatre:
    """`folder`: the hooks; `settings`: as configured. Each `daemon` has the books of the one before."""

    def __init__(self, root: Path, **settings: Any) -> None:
        self.root = root
        self.folder = root / "hooks.d"
        self.settings = HooksSection(folder=self.folder, **settings)
        for each in (self.folder, root / "run", root / "state"):
            each.mkdir(mode=0o755)

    @contextlib.asynccontextmanager
    async def daemon(self, *, killed: bool = False) -> AsyncIterator[Daemon]:
        """`killed`: it does not stop as it should."""
        store = Store(self.root / "state" / "state.db")
        phone = Phone(self.root)
        heard: list[Called] = []
        released: list[str] = []
        ours: list[Daemon] = []
        tools = Tools(
            phone.processes, phone.audit, store, phone.functions, lambda: self.settings, self.root / "state",
            self.root / "run", lambda: ours[0].stopping, released.append, heard.append,
        )  # fmt: skip
        ours.append(Daemon(Hooks(tools), phone, heard, released, store))
        ours[0].hooks.begin()
        if store.rebuilt:
            store.reclaimed()
        try:
            yield ours[0]
        finally:
            ours[0].stopping = True
            if killed:
                for z in ours[0].hooks.zones.values():
                    if z.task is not None:
                        z.task.cancel()
            await ours[0].hooks.stop()
            store.close()
            phone.audit.close()
