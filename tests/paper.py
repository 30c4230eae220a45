"""The product's engine on the lab's paper floor, in one process: real parsing, real plans, no privileges, no clock.

The glue between two strangers, and the only file that imports both: `Commands` and `Files` as the engine wants them,
answered by the lab's functions instead of processes.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path, PurePath
from typing import TypeVar

from lab.dispatch import COMMANDS, run_text
from lab.world import World

from zonehookd.config import Config
from zonehookd.declaration import declare
from zonehookd.engine.applier import Applied, Applier
from zonehookd.engine.boots import Motion
from zonehookd.engine.look import Look
from zonehookd.engine.reconciler import Reconciler, SubjectPlan
from zonehookd.engine.site import Site
from zonehookd.engine.survey import Survey
from zonehookd.errors import CommandTimedOut
from zonehookd.host.doors import Files
from zonehookd.host.files import Stamp
from zonehookd.host.local import LocalFiles
from zonehookd.host.process import Finished
from zonehookd.illumos import dladm
from zonehookd.model import subject as subjects
from zonehookd.model.command import Change, Query, Reply
from zonehookd.model.outcome import Result
from zonehookd.model.plan import Note, describe
from zonehookd.model.subject import Subject
from zonehookd.plugin import loader
from zonehookd.store.store import Store

T = TypeVar("T")
SIGKILLED = 137


class Died(BaseException):
    """The daemon was killed here. Not an Exception: nothing of the product may catch it."""


class PaperCommands:
    """Runs commands in the lab's world; counts them; can let the daemon die at the n-th changing one."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.looks: list[tuple[str, ...]] = []
        self.changes: list[tuple[str, ...]] = []
        self.die_at: tuple[int, str] | None = None  # (number of the change, "before" | "after")

    async def run(self, query_or_change: Query[T] | Change, *, why: str, subject: Subject | None) -> Finished:
        argv = query_or_change.argv
        if isinstance(query_or_change, Query):
            self.looks.append(argv)
        else:
            self.changes.append(argv)
            self._perhaps_die("before")
        stdin = query_or_change.stdin if isinstance(query_or_change, Change) else ""
        done = run_text(self.world, self._played(argv), stdin)
        if isinstance(query_or_change, Change):
            self._perhaps_die("after")
        if done.status == SIGKILLED:
            raise CommandTimedOut(argv, "was killed")
        return Finished(Reply(done.status, done.out, done.err), 0.0)

    def _played(self, argv: Sequence[str]) -> list[str]:
        """The lab knows its commands by name; who configures a service names a whole path."""
        name = PurePath(argv[0]).name
        return [name if name in COMMANDS else argv[0], *argv[1:]]

    def _perhaps_die(self, moment: str) -> None:
        if self.die_at == (len(self.changes), moment):
            raise Died


class PaperFiles(LocalFiles):
    """Real files; /etc, /var, /zones and /usr/share/lib are the world's."""

    def __init__(self, world: World) -> None:
        self._world = world

    def _real(self, path: Path) -> Path:
        ours = path.parts[1:2] in (("etc",), ("var",), ("zones",)) or path.is_relative_to("/usr/share/lib")
        return self._world.path(str(path)) if ours else path

    def read(self, path: Path, max_bytes: int) -> bytes:
        return super().read(self._real(path), max_bytes)

    def stamp(self, path: Path) -> Stamp | None:
        return super().stamp(self._real(path))

    def write(self, path: Path, content: str, mode: int | None) -> None:
        super().write(self._real(path), content, mode)

    def remove(self, path: Path) -> None:
        super().remove(self._real(path))


class Engine:
    """Survey, reconciler and applier over a paper world, without the dispatcher's clock: look by look."""

    def __init__(self, world: World, state: Path, networks: dict[str, object], **options: object) -> None:
        self.world = world
        self.config = Config.model_validate(
            {"site": "paper", "network": networks, "paths": {"zones": str(world.path("/etc/zones"))}, **options}
        )
        self.declared = declare(self.config)
        self.store = Store(state)
        self.commands = PaperCommands(world)
        self.files: Files = PaperFiles(world)
        self.dialect = asyncio.run(self._ask(dladm.probe_dialect()))
        self.motion = Motion()  # what the kernel said of zones
        self.survey = Survey(self.config.paths.zones, 0.0)
        plugins = self.config.plugins
        self.planned: Counter[tuple[str, str, str]] = Counter()
        self.reconciler = Reconciler(loader.load(plugins.folders, plugins.enabled, plugins.options), self._count)
        self.applier = Applier(self.commands, self.files, self.store, lambda: False)
        self.commands.looks.clear()

    def _count(self, plugin: str, verb: str, result: str, times: int) -> None:
        self.planned[(plugin, verb, result)] += times

    def redeclare(self, networks: dict[str, object], gateways: dict[str, object] | None = None) -> None:
        new = Config.model_validate({"network": networks, "gateway": gateways or {}})
        self.config = self.config.model_copy(update={"network": new.network, "gateway": new.gateway})
        self.declared = declare(self.config)

    async def _ask(self, query: Query[T]) -> T:
        return await self._look().ask(query)

    def _look(self) -> Look:
        return Look(self.commands, self.files, self.store, getattr(self, "dialect", dladm.Dialect()), self.config.site)

    def plan(self, only: Sequence[Subject] | None = None) -> list[SubjectPlan]:
        """One look with its plans; nothing is applied. `only`: a narrow look at these subjects."""
        return asyncio.run(self._plan(only))

    async def _plan(self, only: Sequence[Subject] | None) -> list[SubjectPlan]:
        look = self._look()
        taken = await self.survey.take(look, self.declared, time.monotonic())
        self.survey.keep(taken)
        return await self.reconciler.plan(look, taken.site, only or self._all(taken.site), self.motion)

    def _all(self, site: Site) -> list[Subject]:
        owners = [owner for owner in self.store.owners() if owner.kind != "zone"]
        networks = [subjects.network(name) for name in self.declared.networks]
        gateways = [subjects.gateway(name) for name in self.declared.gateways]
        return [*dict.fromkeys([*networks, *gateways, *owners]), *(subjects.zone(name) for name in site.zones)]

    def look(self) -> dict[str, Applied]:
        """One look, and its steps carried out."""
        return asyncio.run(self._apply())

    async def _apply(self) -> dict[str, Applied]:
        plans = await self._plan(None)
        applied = {}
        for plan in plans:
            done = await self.applier.apply(plan.subject, plan.steps)
            if plan.blind or plan.failed:
                done = Applied(Result.BLIND if plan.blind else Result.FAILED, done.steps, plan.blind or plan.failed)
            applied[str(plan.subject)] = done
        return applied

    def converge(self, rounds: int = 6) -> int:
        """Looks until one has nothing to do; the number of looks. Fails when that never comes."""
        for number in range(1, rounds + 1):
            if all(applied.result is Result.NOOP for applied in self.look().values()):
                return number
        raise AssertionError(f"not settled after {rounds} looks: {self.steps()}")

    def steps(self) -> list[str]:
        """What a look would do, as lines."""
        return [describe(each.step) for plan in self.plan() for each in plan.steps]

    def notes(self, kind: str = "refused") -> list[Note]:
        return [note for plan in self.plan() for note in plan.notes if note.kind == kind]


def until(check: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait for something real to happen; fails loudly when it does not."""
    deadline = time.monotonic() + seconds
    while not check():
        if time.monotonic() > deadline:
            raise AssertionError("did not happen in time")
        time.sleep(0.02)
