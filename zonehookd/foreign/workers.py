"""All plugins that are not ours, as the engine, the admin and the metrics see them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Collection, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass

from zonehookd.engine.abroad import Answer, AnyView, ForeignPlugin
from zonehookd.engine.look import Look
from zonehookd.errors import CannotObserve, PluginFailed, PluginRefused, ZonehookError
from zonehookd.foreign.faults import Fault
from zonehookd.foreign.plans import Plans
from zonehookd.foreign.spec import Spec
from zonehookd.foreign.supervised import Supervised
from zonehookd.foreign.tools import Tools
from zonehookd.foreign.worker import Worker
from zonehookd.illumos import ps
from zonehookd.model.subject import Subject
from zonehookd.plugin import loader
from zonehookd.plugin.finding import nearest
from zonehookd.wire.messages import Hello, HookAnswer, HookMoment

_MEMORY_S = 60.0  # between two looks at the memory of all of them


@dataclass(frozen=True, slots=True)
class Count:
    """As metrics.collectors.WorkerCount."""

    name: str
    inflight: int
    longest_s: float
    restarts: Mapping[str, int]
    circuit_open: bool
    rss_bytes: int | None
    calls: Mapping[tuple[str, str], int]
    degraded: bool


class ForeignWorkers:
    """The engine's `Workers`. `begin` once the loop runs; `stop` ends every process."""

    def __init__(self, tools: Tools, specs: Sequence[Spec] = (), ours: Collection[str] = ()) -> None:
        """`ours`: plugins that run in the daemon, which all others may come after."""
        self._tools = tools
        self._ours = list(ours)
        self._all: dict[str, Supervised] = {each.name: self._supervised(each) for each in specs}
        self._hooks: dict[str, Supervised] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._replacing: set[asyncio.Task[None]] = set()  # some of them
        self._former: list[Supervised] = []  # which are not wanted any more, and are being ended
        self._running = False

    def _supervised(self, spec: Spec) -> Supervised:
        return Supervised(spec, self._tools, self._fits)

    # -- their life

    def begin(self) -> None:
        """Raises OSError when there is no place for sockets."""
        self.open_folders()
        for left in self._tools.folder.glob("*.sock"):  # of a daemon that was killed
            left.unlink(missing_ok=True)
        self._running = True
        for each in (*self._all.values(), *self._hooks.values()):
            each.begin()
        self._keep(self._watch_memory())

    def open_folders(self) -> None:
        """They are there, and a worker with a user of its own passes through to its socket, and sees no other there;
        each socket is its owner's alone. Raises OSError."""
        self._tools.folder.mkdir(mode=0o700, exist_ok=True)
        others = any(each.spec.run.user for each in (*self._all.values(), *self._hooks.values()))
        closed, open_ = 0o700, 0o711
        for folder in (self._tools.folder.parent, self._tools.folder):
            mode = folder.stat().st_mode & 0o777
            if mode == (closed if others else open_):  # any other mode is the admin's
                folder.chmod(open_ if others else closed)

    async def stop(self) -> None:
        """Returns when none of them is left."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        ending = [each.stop() for each in (*self._all.values(), *self._hooks.values(), *self._former)]
        await asyncio.gather(*ending)

    async def decided(self, patience_s: float) -> None:
        """Until each is ready, refused or has failed for the first time, whoever replaces it too, or the patience is
        over."""
        waiting = [asyncio.ensure_future(each.decided.wait()) for each in self._all.values()]
        if waiting:
            await asyncio.wait([*waiting, *self._replacing], timeout=patience_s)
            for task in waiting:
                task.cancel()

    def take(self, specs: Sequence[Spec], ours: Collection[str]) -> None:
        """From now on these. Whose code, options or limits changed is started anew beside the one there is, and takes
        its place when it is ready."""
        self._ours = list(ours)
        wanted = {each.name: each for each in specs}
        for name in [each for each in self._all if each not in wanted]:
            self._dismiss(self._all.pop(name))
        for name, spec in wanted.items():
            one = self._all.get(name)
            if one is None:
                self._all[name] = self._supervised(spec)
                if self._running:
                    self._all[name].begin()
            elif one.is_as(spec):
                one.adjust(spec)
            else:
                task = self._keep(self._replace(one, spec))
                self._replacing.add(task)
                task.add_done_callback(self._replacing.discard)
        self._all = {name: self._all[name] for name in wanted}
        if self._running:
            self.open_folders()

    def _dismiss(self, one: Supervised) -> None:
        async def dismiss() -> None:
            await one.stop()
            self._former.remove(one)

        self._former.append(one)
        self._keep(dismiss())

    async def _replace(self, one: Supervised, spec: Spec) -> None:
        with contextlib.suppress(ZonehookError):  # it was logged, and status says it
            await one.replace(spec)

    async def reload(self, name: str) -> None:
        """Its code as it is on disk now. Raises PluginRefused, Fault: then the one before goes on."""
        one = self._all.get(name)
        if one is None:
            hint = "zonehookctl reload" if name in self._ours else nearest(name, self._all)
            what = "is ours, and is loaded with the configuration" if name in self._ours else "is not enabled"
            raise PluginFailed(f"plugin {name!r} {what}", hint=hint)
        await one.replace(one.spec)

    def _keep(self, what: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(what)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # -- engine.abroad.Workers

    def plugins(self) -> Sequence[ForeignPlugin]:
        return [self._all[name].seen() for name in self._order()]

    def _order(self) -> Sequence[str]:
        after = {name: self._after(each.hello) for name, each in self._all.items()}
        try:
            return loader.order(after)
        except PluginRefused:  # two came up in the same breath, each judged without the other
            return list(after)

    def _after(self, hello: Hello | None) -> list[str]:
        """Those that are not ours: ours come first anyway."""
        return [name for name in hello.after if name in self._all] if hello is not None else []

    def _fits(self, hello: Hello) -> None:
        """Raises PluginRefused for a ring, and for an unknown name."""
        known: dict[str, Collection[str]] = dict.fromkeys(self._ours, ())
        known.update({name: self._after(each.hello) for name, each in self._all.items()})
        loader.order({**known, hello.name: hello.after})

    async def plan(self, name: str, views: Sequence[AnyView], look: Look) -> Mapping[Subject, Answer]:
        one = self._all.get(name)
        return await one.plan(views, look) if one is not None else {}

    # -- hooks

    def take_hooks(self, specs: Sequence[Spec]) -> None:
        """As `take`, of workers that are called at moments, and plan nothing. Names are those of the files."""
        wanted = {each.name: each for each in specs}
        for name in [each for each in self._hooks if each not in wanted]:
            self._dismiss(self._hooks.pop(name))
        for name, spec in wanted.items():
            one = self._hooks.get(name)
            if one is None:
                one = self._hooks[name] = Supervised(spec, self._tools, lambda hello: None)
                if self._running:
                    one.begin()
            elif one.is_as(spec):
                one.adjust(spec)
            else:
                self._keep(self._replace(one, spec))
        if self._running:
            self.open_folders()

    def hook(self, name: str) -> Supervised | None:
        return self._hooks.get(name)

    async def moment(self, name: str, moment: HookMoment, deadline_s: float) -> HookAnswer:
        """Raises PluginFailed: it did not answer, or cannot be asked."""
        one = self._hooks.get(name)
        if one is None:
            raise PluginFailed(f"there is no hook {name!r}")
        return await one.moment(moment, deadline_s)

    # -- for one who tries a plugin

    @contextlib.asynccontextmanager
    async def trial(self, spec: Spec) -> AsyncIterator[Trial]:
        """A worker beside all others, until the block is left. Raises Fault, PluginRefused."""
        worker = Worker(spec, self._tools, self._fits)
        await worker.start()
        try:
            yield Trial(worker)
        finally:
            await worker.dismiss()

    # -- what is shown

    @property
    def supervised(self) -> Iterable[Supervised]:
        """All plugins, in order."""
        return [self._all[name] for name in self._order()]

    def counts(self) -> list[Count]:
        """Called on the thread of the scrape."""
        return [
            Count(
                each.spec.name,
                each.waiting,
                each.longest_s,
                dict(each.restarts),
                each.circuit_open,
                each.rss_bytes,
                dict(each.calls),
                each.spec.run.required and each.state != "ready",
            )
            for each in [*self._all.values(), *self._hooks.values()]
        ]

    def trouble(self) -> list[str]:
        """One line for each that is not well."""
        return [
            f"plugin {each.spec.name}: {each.down or each.error}"
            for each in [*self._all.values(), *self._hooks.values()]
            if each.error
        ]

    async def _watch_memory(self) -> None:
        said = ""
        while True:
            await asyncio.sleep(_MEMORY_S)
            try:
                await self.look_at_memory()
                said = ""
            except CannotObserve as problem:
                if str(problem) != said:
                    self._tools.log.warning("memory of plugins not seen", error=str(problem))
                said = str(problem)

    async def look_at_memory(self) -> None:
        """Whoever has more than it may is ended, and started again. Raises CannotObserve."""
        every = [*self._all.values(), *self._hooks.values()]
        pids = {pid: each for each in every if (pid := each.pid) is not None}
        if not pids:
            return
        found = await self._tools.make_look().ask(ps.resident(pids))
        for pid, each in pids.items():
            each.rss_bytes = found.get(pid)
            if pid in found and found[pid] > each.spec.run.memory_max_mb << 20:
                each.too_large(found[pid])


class Trial:
    """One worker for a while, as `Workers`: what it is asked costs nobody else."""

    def __init__(self, worker: Worker) -> None:
        assert worker.hello is not None
        self.hello = worker.hello
        self._worker = worker
        self._plans = Plans(worker)

    def plugins(self) -> Sequence[ForeignPlugin]:
        run = self._worker.spec.run
        return [ForeignPlugin(self.hello.name, self.hello.kind, run.required, user=run.user)]

    async def plan(self, name: str, views: Sequence[AnyView], look: Look) -> Mapping[Subject, Answer]:
        try:
            return await self._plans.ask(views, look, self._worker.spec.run.deadline_s)
        except Fault as fault:
            failed = Answer(failed=f"plugin {name} {fault}")
            return {view.subject: failed for view in views}
