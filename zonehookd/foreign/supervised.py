"""One plugin over time: its process, the one that comes after it, what it failed by, and when it is tried again."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from zonehookd.engine.abroad import Answer, AnyView, ForeignPlugin
from zonehookd.engine.look import Look
from zonehookd.errors import PluginFailed, PluginRefused
from zonehookd.foreign.circuit import Circuit
from zonehookd.foreign.faults import Fault
from zonehookd.foreign.plans import Plans
from zonehookd.foreign.spec import Spec, stamps
from zonehookd.foreign.tools import Tools
from zonehookd.foreign.worker import Worker
from zonehookd.model.subject import Subject
from zonehookd.wire.messages import Call, Hello, HookAnswer, HookMoment

State = Literal["starting", "ready", "refused", "open", "restarting"]


@dataclass(slots=True)
class _Up:
    """A worker that is ready, and what it was shown."""

    worker: Worker
    plans: Plans


class Supervised:
    """`fits` judges what a worker says of itself, and raises PluginRefused. Beside its own task, which `begin` starts,
    it is used by the loop's other tasks: one call at a time, whoever wants it."""

    def __init__(self, spec: Spec, tools: Tools, fits: Callable[[Hello], None]) -> None:
        self.spec = spec
        self.hello: Hello | None = None  # of the last that came up
        self.error = ""  # what is wrong, while something is; or why the one before goes on
        self.state: State = "starting"
        self.restarts: Counter[str] = Counter()  # by the reason
        self.calls: Counter[tuple[str, str]] = Counter()  # verb and result
        self.rss_bytes: int | None = None
        self.waiting = 0  # calls that have not returned
        self.decided = asyncio.Event()  # its first start is over, well or not
        self._tools = tools
        self._fits = fits
        self._circuit = Circuit()
        self._stamps = stamps(spec.found)
        self._up: _Up | None = None
        self._changed = asyncio.Event()  # there is another worker, or another spec
        self._turn = asyncio.Lock()
        self._replacing = asyncio.Lock()
        self._coming = 0  # calls of `replace` that are not over
        self._probe: AnyView | None = None  # what its last call that failed began with
        self._task: asyncio.Task[None] | None = None
        self._stopped = False
        self._leaving: set[asyncio.Task[None]] = set()  # whoever is being ended, also when nobody waits for it any more

    # -- what is seen

    @property
    def pid(self) -> int | None:
        return self._up.worker.pid if self._up is not None else None

    @property
    def longest_s(self) -> float:
        """Of the call that runs, in seconds."""
        since_s = self._up.worker.since_s if self._up is not None else None
        return time.monotonic() - since_s if since_s is not None else 0.0

    @property
    def circuit_open(self) -> bool:
        return self._circuit.open

    @property
    def down(self) -> str:
        return self.seen().down

    def seen(self) -> ForeignPlugin:
        """As the engine sees it. `down` says the same as long as nothing changes."""
        kind = self.hello.kind if self.hello is not None else None
        down = {
            "ready": "",
            "starting": "is starting",
            "refused": f"is refused: {self.error}",
            "open": f"rests, because it failed again and again: {self.error}",
            "restarting": f"is started again: {self.error}",
        }[self.state]
        run = self.spec.run
        return ForeignPlugin(self.spec.name, kind, run.required, down, self.state == "starting", run.user)

    # -- its life

    def begin(self) -> None:
        self._task = asyncio.ensure_future(self._live())

    async def stop(self) -> None:
        self._stopped = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        up, self._up = self._up, None
        if up is not None:
            self._leaves(up.worker.dismiss())
        if self._leaving:
            await asyncio.wait(self._leaving)

    def _leaves(self, ending: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(ending)
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)
        return task

    async def _live(self) -> None:
        while True:
            self._changed.clear()
            if self._up is None:
                await self._start()
            elif await self._until_gone(self._up):
                up, self._up = self._up, None
                self._fell(up.worker.gone.result())
                await asyncio.shield(self._leaves(up.worker.end()))

    async def _until_gone(self, up: _Up) -> bool:
        """False: another has taken its place, or something else changed."""
        await self._either(up.worker.gone)
        return self._up is up and up.worker.gone.done()

    async def _either(self, future: asyncio.Future[Fault] | None, timeout_s: float | None = None) -> None:
        """Until the future is done, there is another worker or spec, or the time is over."""
        changed = asyncio.ensure_future(self._changed.wait())
        try:
            waiting: list[asyncio.Future[object]] = [changed, *([future] if future else [])]  # type: ignore[list-item]
            await asyncio.wait(waiting, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            changed.cancel()

    async def _start(self) -> None:
        """After its pause; with one small call first, if it has failed again and again. Others may do it meanwhile."""
        if self._is_refused():
            await self._either(None)
            return
        if self._circuit.pause_s:
            await self._either(None, self._circuit.pause_s)
        async with self._replacing:
            if self._up is not None or self._is_refused():
                return
            spec = self.spec
            now = stamps(spec.found)
            try:
                up = await self._started(spec)
                if self._circuit.open:
                    await self._small_call(up)
            except PluginRefused as problem:
                self._refused(str(problem))
            except Fault as fault:
                self._fell(fault)
            except Exception as problem:  # a bug of ours is one more failed start, and not the end of this task
                self._fell(Fault("start", f"internal error: {problem!r}"))
            else:
                self._stamps = now
                self._ready(up)
            self.decided.set()

    def _is_refused(self) -> bool:
        return self.state == "refused"

    async def _started(self, spec: Spec) -> _Up:
        """Raises Fault, PluginRefused."""
        worker = Worker(spec, self._tools, self._fits)
        await worker.start()
        return _Up(worker, Plans(worker))

    async def _small_call(self, up: _Up) -> None:
        """Raises Fault; then nothing of the worker is left."""
        try:
            views = [self._probe] if self._probe is not None else []
            if self.spec.found.shape != "hook":
                await up.plans.ask(views, self._tools.make_look(), self.spec.run.deadline_s)
            self._circuit.worked(small=True)
        except BaseException:
            await up.worker.end()
            raise

    def _ready(self, up: _Up) -> None:
        self._up, self.hello = up, up.worker.hello
        self.state, self.error = "ready", ""
        self._tools.log.info("plugin ready", plugin=self.spec.name, pid=up.worker.pid)
        self._changed.set()
        if self.spec.found.shape != "hook":
            self._tools.came_up(self.spec.name)

    def _refused(self, text: str) -> None:
        self.state, self.error = "refused", text
        self._tools.log.error("plugin refused", plugin=self.spec.name, error=text)
        self._went_down()

    def _fell(self, fault: Fault) -> None:
        self._circuit.failed()
        self.restarts[fault.reason] += 1
        self.rss_bytes = None
        before = self.state
        self.state, self.error = "open" if self._circuit.open else "restarting", str(fault)
        pause_s = self._circuit.pause_s
        self._tools.log.error("plugin failed", plugin=self.spec.name, error=str(fault), again_in_s=pause_s)
        if self.state == "open" and before != "open":
            self._went_down()

    def _went_down(self) -> None:
        if self.spec.run.required:
            self._tools.went_down(self.spec.name)

    # -- another in its place

    def is_as(self, spec: Spec) -> bool:
        """Its process may go on. One that was refused is tried again whatever changed: it may be something else."""
        return (
            self.spec.same_process(spec)
            and stamps(spec.found) == self._stamps
            and self.state != "refused"
            and not self._coming  # one that is on its way would take the place of the one that is wanted
        )

    def adjust(self, spec: Spec) -> None:
        """For what needs no new process."""
        self.spec = spec
        if self.state == "ready":
            self.error = ""  # of one that did not come up, and is not wanted any more
        if self._up is not None:
            self._up.worker.spec = spec

    async def replace(self, spec: Spec) -> None:
        """Starts one beside the one there is, which goes on until the new one is ready. Raises Fault, PluginRefused:
        then the one before goes on, if there is one."""
        self._coming += 1
        try:
            await self._in_its_place(spec)
        finally:
            self._coming -= 1

    async def _in_its_place(self, spec: Spec) -> None:
        async with self._replacing:
            now = stamps(spec.found)
            try:
                up = await self._started(spec)
            except (Fault, PluginRefused) as problem:
                self._not_replaced(spec, problem)
                raise
            old: _Up | None = up
            try:
                async with self._turn:
                    if not self._stopped:
                        old, self.spec, self._stamps = self._up, spec, now
                        self._circuit = Circuit()
                        self._ready(up)
            except asyncio.CancelledError:
                self._leaves(up.worker.end())
                raise
        if old is not None:
            await asyncio.shield(self._leaves(old.worker.dismiss()))

    def _not_replaced(self, spec: Spec, problem: Fault | PluginRefused) -> None:
        self.decided.set()
        if self._up is not None:
            self.error = f"the new one does not come up, and the one before goes on: {problem}"
            self._tools.log.error("plugin not replaced", plugin=self.spec.name, error=str(problem))
            return
        self.spec = spec
        self._circuit = Circuit()
        if isinstance(problem, PluginRefused):
            self._refused(str(problem))
        else:
            self._fell(problem)
        self._changed.set()

    # -- calls

    async def plan(self, views: Sequence[AnyView], look: Look) -> Mapping[Subject, Answer]:
        """Never raises; a call that is given up by whoever wanted it is still brought to its end."""
        self.waiting += 1
        task = asyncio.ensure_future(self._plan(views, look))
        task.add_done_callback(lambda done: setattr(self, "waiting", self.waiting - 1))
        return await asyncio.shield(task)

    async def _plan(self, views: Sequence[AnyView], look: Look) -> Mapping[Subject, Answer]:
        async with self._turn:
            up = self._up
            if up is None:
                failed = f"plugin {self.spec.name} {self.down}"
                return {view.subject: Answer(failed=failed) for view in views}
            try:
                answers = await up.plans.ask(views, look, self.spec.run.deadline_s)
            except Fault as fault:
                self._count("call", fault)
                self._probe = views[0]
                failed = f"plugin {self.spec.name} {fault}"
                return {view.subject: Answer(failed=failed) for view in views}
            self.calls["call", "ok"] += 1
            self._circuit.worked()
            return answers

    async def moment(self, moment: HookMoment, deadline_s: float) -> HookAnswer:
        """Raises PluginFailed. The deadline is for all of it, also for calls that came before. One that is given up is
        still brought to its end."""
        task = asyncio.ensure_future(self._in_turn(moment, deadline_s))
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        return await asyncio.shield(task)

    async def _in_turn(self, moment: HookMoment, deadline_s: float) -> HookAnswer:
        ends_s = time.monotonic() + deadline_s
        try:
            async with asyncio.timeout(deadline_s):
                await self._turn.acquire()
        except TimeoutError:
            raise PluginFailed(
                f"{self.spec.name} is at work for others, and had no time within {deadline_s:g} s"
            ) from None
        try:
            return await self._moment(moment, ends_s - time.monotonic())
        finally:
            self._turn.release()

    async def _moment(self, moment: HookMoment, deadline_s: float) -> HookAnswer:
        up = self._up
        if up is None:
            raise PluginFailed(f"{self.spec.name} {self.down}")
        try:
            result = await up.worker.call(
                lambda number: Call(id=number, deadline_s=deadline_s, moment=moment),
                self._tools.make_look(),
                deadline_s,
            )
            if result.moment is None:
                up.worker.break_off(fault := Fault("protocol", "gave no answer to a moment"))
                raise fault
        except Fault as fault:
            self._count("moment", fault)
            raise PluginFailed(f"{self.spec.name} {fault}") from fault
        self.calls["moment", "ok"] += 1
        self._circuit.worked()
        return result.moment

    def _count(self, verb: str, fault: Fault) -> None:
        self.calls[verb, "timeout" if fault.reason == "timeout" else "failed"] += 1

    def too_large(self, rss_bytes: int) -> None:
        """Its process has more memory than it may have."""
        if self._up is not None:
            most = self.spec.run.memory_max_mb
            text = f"had {rss_bytes >> 20} MiB in memory, and {most} are the most"
            self._up.worker.break_off(Fault("memory", text))
