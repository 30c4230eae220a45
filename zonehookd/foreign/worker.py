"""One process of a plugin, from its start to its end: who it is, what it is asked, and what it may say when."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import time
from collections.abc import Callable
from typing import Literal

import zmq

from zonehookd.engine.look import Look
from zonehookd.errors import CommandError, PluginRefused
from zonehookd.foreign.asks import Asks
from zonehookd.foreign.faults import Fault
from zonehookd.foreign.line import Line
from zonehookd.foreign.said import BYTES_S, Said
from zonehookd.foreign.spec import Spec, refuse_unsafe
from zonehookd.foreign.tools import Tools
from zonehookd.host.child import Child
from zonehookd.plugin.contract import API
from zonehookd.wire import views
from zonehookd.wire.messages import (
    ENDPOINT,
    INSTANCE,
    AnswerFrame,
    Ask,
    Call,
    FromWorker,
    Hello,
    Ready,
    Refused,
    Result,
    Stop,
    Welcome,
)

START_S = 15.0  # from its start until it is ready: imports, and what it does then
_TERM_S = 0.5  # after SIGTERM
_STOP_S = 1.0  # after it was told to stop, and its standard input was closed
_State = Literal["starting", "welcomed", "ready", "over"]


class Worker:
    """`gone` is set when it has broken a rule, has ended, or was late: by then it is to be ended. `hello`: what it said
    of itself, before `fits` judges it, which may raise PluginRefused."""

    def __init__(self, spec: Spec, tools: Tools, fits: Callable[[Hello], None]) -> None:
        self.spec = spec
        self.hello: Hello | None = None
        self.gone: asyncio.Future[Fault] = asyncio.get_running_loop().create_future()
        self.since_s: float | None = None  # monotonic: when the call that runs was begun
        self._tools = tools
        self._fits = fits
        self._instance = secrets.token_hex(8)
        self._said = Said(tools.log, spec.name)
        self._state: _State = "starting"
        self._expected: asyncio.Future[FromWorker] | None = None
        self._asks: Asks | None = None
        self._number = 0
        self._line: Line | None = None
        self._child: Child | None = None
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child is not None and not self._child.exited.done() else None

    # -- its start

    async def start(self) -> None:
        """Raises Fault, PluginRefused; then, and when it is cancelled, nothing of it is left."""
        try:
            refuse_unsafe(self.spec.found)
            async with asyncio.timeout(START_S):
                await self._spawn()
                await self._agree()
        except TimeoutError:
            await self.end()
            what = "said nothing" if self.hello is None else "was not ready"
            raise Fault("start", f"{what} within {START_S:g} s of its start") from None
        except BaseException:
            await self.end()
            raise
        self._state = "ready"

    async def _spawn(self) -> None:
        name, user = self.spec.name, self.spec.run.user
        path = self._tools.folder / f"{name}-{self._instance[:8]}.sock"
        argv = self._tools.command(self.spec)
        try:
            self._line = Line(self._tools.context, path, user)
            environ = {ENDPOINT: self._line.endpoint, INSTANCE: self._instance}
            # It imports what we import.
            environ |= {each: os.environ[each] for each in ("PYTHONPATH",) if each in os.environ}
            self._child = await self._tools.processes.spawn(
                argv, environ=environ, user=user, heard=self._said.heard, bytes_s=BYTES_S
            )
        except (KeyError, CommandError) as problem:
            raise PluginRefused(
                f"plugin {name}: there is no user {user!r}", hint=f"see [plugins.run.{name}]"
            ) from problem
        except OSError as problem:
            if not user:
                raise Fault("start", f"could not be started: {problem}") from problem
            hint = f"{user} must be able to run {argv[0]}, and we to become {user}"
            raise PluginRefused(f"plugin {name}: could not be started as {user}: {problem}", hint=hint) from problem
        except zmq.ZMQError as problem:
            raise Fault("start", f"no socket {path} for it: {problem}") from problem
        self._tasks = [asyncio.ensure_future(self._read(self._line)), asyncio.ensure_future(self._watch(self._child))]

    async def _agree(self) -> None:
        hello = await self._next()
        assert isinstance(hello, Hello)
        if hello.instance != self._instance:
            raise Fault("protocol", "is of another start: what it says of its instance is not what it was told")
        look = self._tools.make_look()
        told = Welcome(options=dict(self.spec.options), site=look.site, dialect=views.dialect_sent(look.dialect))
        self._state = "welcomed"
        self.hello = hello
        answer = await self._next(lambda: self._sent(told))
        if isinstance(answer, Refused):
            raise PluginRefused("\n".join(answer.lines) or f"plugin {self.spec.name}: refuses, without a word")
        self._judge(hello)

    def _judge(self, hello: Hello) -> None:
        """Raises PluginRefused."""
        name = self.spec.name
        if hello.name != name:
            raise PluginRefused(f"plugin {name}: says that its name is {hello.name!r}")
        if hello.api != API:
            raise PluginRefused(f"plugin {name}: made for contract {hello.api}, and this is {API}")
        if (hello.kind is None) != (self.spec.found.shape == "hook"):
            raise PluginRefused(f"plugin {name}: does not say whether it is for zones, networks or gateways")
        self._fits(hello)

    async def _sent(self, welcome: Welcome) -> None:
        assert self._line is not None
        await self._line.send(welcome)

    # -- calls

    async def call(self, text: Callable[[int], Call], look: Look, deadline_s: float) -> Result:
        """One at a time. `text` makes the call of its number. Raises Fault, which `gone` then holds, too."""
        assert self._line is not None and self._asks is None and self._state == "ready"
        line = self._line
        self._number += 1
        frame = text(self._number)

        async def send(answer: AnswerFrame) -> int:
            return await line.send(answer)

        self._asks = Asks(self.spec.name, self.spec.run.user, look, len(frame.subjects), send)
        self.since_s = time.monotonic()
        verb = "call" if frame.moment is None else "moment"
        try:
            async with asyncio.timeout(deadline_s):
                result = await self._next(lambda: self._called(frame))
        except TimeoutError:
            fault = Fault("timeout", f"gave no answer within {deadline_s:g} s, and was ended")
            self.break_off(fault)
            raise fault from None
        except Fault as fault:
            self.break_off(fault)
            raise
        finally:
            self._tools.took(self.spec.name, verb, time.monotonic() - self.since_s)
            self.since_s = None
            asks, self._asks = self._asks, None
            await asks.close()
        assert isinstance(result, Result)
        return result

    async def _called(self, call: Call) -> None:
        assert self._line is not None
        await self._line.send(call)

    # -- its end

    async def dismiss(self) -> None:
        """Told to stop, and given a moment; then as `end`."""
        self._state = "over"
        if self._line is not None and self._child is not None and not self._child.exited.done():
            with contextlib.suppress(Fault, TimeoutError):
                async with asyncio.timeout(_STOP_S):
                    await self._line.send(Stop())
            self._child.let_go()
            await asyncio.wait([self._child.exited], timeout=_STOP_S)
        await self.end()

    async def end(self) -> None:
        """Whatever it does: its process group is killed, and its exit waited for, not the end of its output."""
        ending = asyncio.ensure_future(self._end())
        try:
            await asyncio.shield(ending)
        except asyncio.CancelledError:  # who gives up while it is ended leaves nobody behind either
            await asyncio.wait([ending])
            raise

    async def _end(self) -> None:
        self._state = "over"
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        if self._child is not None and await self._child.end(_TERM_S) is None:
            self._tools.log.error("plugin cannot be ended", plugin=self.spec.name, pid=self._child.pid)
        self._said.end()
        if self._line is not None:
            self._line.close()

    # -- what it says

    async def _read(self, line: Line) -> None:
        try:
            await line.read(self._take)
        except Fault as fault:
            self.break_off(fault)
        except zmq.ZMQError as problem:
            self.break_off(Fault("protocol", f"its socket broke: {problem}"))

    async def _watch(self, child: Child) -> None:
        status = await asyncio.shield(child.exited)
        how = f"was ended by signal {-status}" if status < 0 else f"ended by itself, with status {status}"
        self.break_off(Fault("exited", how if self._state == "ready" else f"{how}, while it started"))

    def break_off(self, fault: Fault) -> None:
        if not self.gone.done():
            self.gone.set_result(fault)
        if self._expected is not None and not self._expected.done():
            self._expected.set_exception(fault)

    async def _next(self, begin: Callable[[], object] | None = None) -> FromWorker:
        """The next frame that ends what it is asked now, after `begin` has asked it."""
        if self.gone.done():
            raise self.gone.result()
        self._expected = asyncio.get_running_loop().create_future()
        try:
            if begin is not None:
                await begin()  # type: ignore[misc]
            return await self._expected
        finally:
            if self._expected.done() and not self._expected.cancelled():
                self._expected.exception()
            self._expected = None

    def _take(self, frame: FromWorker) -> None:
        """Raises Fault for what nobody has asked it."""
        match frame:
            case Hello():
                fits = self._state == "starting" and self.hello is None
            case Ready() | Refused():
                fits = self._state == "welcomed"
            case Ask():
                if self._asks is None or frame.id != self._number:
                    raise Fault("protocol", f"asks for call {frame.id}, which nobody waits for")
                self._asks.take(frame, self.break_off)
                return
            case Result():
                fits = self._asks is not None and frame.id == self._number
        if not fits or self._expected is None or self._expected.done():
            of = f" of call {frame.id}" if isinstance(frame, Result) else ""
            raise Fault("protocol", f"said {frame.type}{of} when nobody waited for it")
        self._expected.set_result(frame)
