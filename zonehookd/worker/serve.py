"""The life of a worker: hello, welcome, ready, then one call after the other, until the daemon stops it or is gone."""

from __future__ import annotations

import asyncio
import faulthandler
import os
import signal
import sys
import threading
import traceback
from concurrent.futures import Future
from typing import Any

from zonehookd.errors import PluginFailed, PluginRefused
from zonehookd.wire.messages import FRAME_MAX_BYTES, Call, Hello, Question, Ready, Refused, SubjectAnswer, Welcome
from zonehookd.worker.post import Post
from zonehookd.worker.work import Introduction, Work

_LOADS_S = 120.0  # whoever loads for so long, and was not ended by the daemon, has no daemon
_AFTER_S = 30.0  # likewise so long after the deadline of a call
EXIT_BUG = 70  # EX_SOFTWARE of sysexits(3)


def serve(work: Work, name: str, endpoint: str, instance: str, leash: int) -> int:
    """Returns an exit status; whoever calls ends the process with it, whatever the plugin's threads still do."""
    worker = _Worker(work, name, instance)
    post = worker.post = Post(endpoint, leash, worker.arrived)
    threading.Thread(target=worker.run, name=f"plugin {name}", daemon=True).start()
    return post.run()


class _Worker:
    post: Post

    def __init__(self, work: Work, name: str, instance: str) -> None:
        self._work = work
        self._name = name
        self._instance = instance
        self._loop = asyncio.new_event_loop()
        self._inbox: asyncio.Queue[Welcome | Call] = asyncio.Queue()

    def arrived(self, frame: Welcome | Call) -> None:
        self._loop.call_soon_threadsafe(self._inbox.put_nowait, frame)

    def run(self) -> None:
        """The plugin's thread. What breaks here is our bug, and ends the process: the daemon starts another."""
        try:
            self._loop.run_until_complete(self._live())
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
            os._exit(EXIT_BUG)

    async def _live(self) -> None:
        faulthandler.dump_traceback_later(_LOADS_S, exit=True)
        wrong: list[str] = []
        introduction = Introduction(self._name)
        try:
            introduction = await self._work.load()
        except BaseException as problem:
            wrong = _complaints(self._name, problem)
        said = {each: getattr(introduction, each) for each in ("api", "name", "kind", "about", "schema_of_options")}
        after, moments = list(introduction.after), list(introduction.moments)
        self.post.send(Hello(instance=self._instance, after=after, moments=moments, **said))
        welcome = await self._inbox.get()
        if not wrong and isinstance(welcome, Welcome):
            try:
                await self._work.begin(welcome)
            except BaseException as problem:
                wrong = _complaints(self._name, problem)
        self.post.send(Refused(lines=wrong) if wrong else Ready())
        faulthandler.cancel_dump_traceback_later()
        while True:
            call = await self._inbox.get()
            if isinstance(call, Call):
                await self._call(call)

    async def _call(self, call: Call) -> None:
        """Who ends it because it takes too long is shown where it was, even if it holds the interpreter's lock."""
        faulthandler.register(signal.SIGTERM, chain=True)
        faulthandler.dump_traceback_later(call.deadline_s + _AFTER_S, exit=True)
        try:
            result = await self._work.work(call, _Desk(self.post, call.id))
            try:
                self.post.send(result)
            except PluginFailed:
                fair = FRAME_MAX_BYTES // (len(result.plans) + 1)
                plans = [_bounded(each, fair) for each in result.plans]
                self.post.send(result.model_copy(update={"plans": plans}))
        finally:
            self.post.forget()
            faulthandler.cancel_dump_traceback_later()
            faulthandler.unregister(signal.SIGTERM)
        sys.stdout.flush()


class _Desk:
    def __init__(self, post: Post, call: int) -> None:
        self._post = post
        self._call = call

    async def ask(self, question: Question) -> dict[str, Any]:
        return await asyncio.wrap_future(self._post.ask(self._call, question))

    def ask_now(self, question: Question) -> dict[str, Any]:
        answer: Future[dict[str, Any]] = self._post.ask(self._call, question)
        return answer.result()


def _bounded(answer: SubjectAnswer, most: int) -> SubjectAnswer:
    """All together are more than one message holds: those go that are to blame."""
    size = len(answer.model_dump_json())
    if size <= most:
        return answer
    failed = f"plan: its {size} bytes do not fit into one message with the others; {most} do"
    return SubjectAnswer(subject=answer.subject, failed=failed)


def _complaints(name: str, problem: BaseException) -> list[str]:
    if isinstance(problem, PluginRefused):
        return str(problem).splitlines()
    traceback.print_exception(problem)
    return [f"plugin {name}: it broke while it was loaded: {problem!r}"]
