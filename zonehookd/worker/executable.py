"""An executable plugin, in any language: described once, then run once a call, for all subjects of it.

    plugin describe     prints what it is, as JSON (program.py)
    plugin plan         is given {"v": 1, "options", "site", "dialect", "subjects": [{"subject", "view", "records"}]} on
                        its standard input, and prints {"plans": [...]}; each as SubjectAnswer on the wire
    plugin serve        only if it said that it speaks zeromq: it is started once, and speaks the wire itself

Exit 0: as printed. 75: it could not look now. Else it has failed, and says why on standard error. It runs in ``/``,
with PATH, LC_ALL, LANG and TZ and nothing else in its environment. To read JSON in a shell script, use jq.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from typing import Any

from zonehookd.errors import CommandError, PluginFailed, PluginRefused, last_of
from zonehookd.host.process import Finished, Limits, Processes, become
from zonehookd.plugin.finding import Found, unsafe
from zonehookd.wire import views
from zonehookd.wire.messages import FRAME_MAX_BYTES, VERSION, Call, Result, Shown, SubjectAnswer, Welcome
from zonehookd.worker.program import Described, described, options, plans
from zonehookd.worker.work import Desk, Introduction

_DESCRIBES_S = 5.0
_AFTER_S = 60.0  # whoever takes so long beyond its deadline is ended by the daemon, with us
_CANNOT_LOOK = 75  # EX_TEMPFAIL of sysexits(3)


async def describe(found: Found) -> Described:
    """Runs it. Raises PluginRefused with every complaint, one a line."""
    if wrong := list(unsafe(found)):
        raise PluginRefused("\n".join(wrong))
    try:
        finished = await _processes().call(
            [str(found.code), "describe"], lane="call", stdin="", timeout_s=_DESCRIBES_S, keep_bytes=1 << 20
        )
    except CommandError as problem:
        raise PluginRefused(f"plugin {found.name}: {problem}") from problem
    if finished.reply.status != 0:
        raise PluginRefused(f"plugin {found.name}: describe {_ended(finished)}")
    return described(found.name, finished.reply.stdout)


def work(found: Found) -> Executable:
    """Of one that speaks the wire itself, this process becomes that program, and nothing is returned."""
    try:
        said = asyncio.run(describe(found))
        if said.speaks == "zeromq":
            become([str(found.code), "serve"])
        return Executable(found, said)
    except PluginRefused as problem:
        return Executable(found, problem)
    except OSError as problem:
        return Executable(found, PluginRefused(f"plugin {found.name}: {found.code} cannot be run: {problem}"))


class Executable:
    def __init__(self, found: Found, said: Described | PluginRefused) -> None:
        self._found = found
        self._said = said
        self._given: dict[str, Any] = {}
        self._views: dict[str, dict[str, Any]] = {}  # as they were shown last
        self._processes = _processes()

    async def load(self) -> Introduction:
        said = self._said
        if isinstance(said, PluginRefused):
            raise said
        schema = said.schema_of_options() if said.options else {}
        return Introduction(said.name, said.kind, tuple(said.after), said.about, schema, api=said.api)

    async def begin(self, welcome: Welcome) -> None:
        assert isinstance(self._said, Described)  # else it was refused
        given = options(self._said, welcome.options)
        self._given = {"v": VERSION, "options": given, "site": welcome.site, "dialect": welcome.dialect}

    async def work(self, call: Call, desk: Desk) -> Result:
        asked = [each.subject for each in call.subjects]
        try:
            shown = [self._seen(each) for each in call.subjects]
            finished = await self._processes.call(
                [str(self._found.code), "plan"],
                lane="call",
                stdin=json.dumps({**self._given, "subjects": shown}),
                timeout_s=call.deadline_s + _AFTER_S,
                keep_bytes=FRAME_MAX_BYTES + 1,
            )
            print(finished.reply.stderr, end="", file=sys.stderr, flush=True)
            return Result(id=call.id, plans=self._answers(finished, asked))
        except (CommandError, PluginFailed) as problem:
            return Result(id=call.id, plans=[SubjectAnswer(subject=each, failed=str(problem)) for each in asked])

    def _answers(self, finished: Finished, asked: list[str]) -> list[SubjectAnswer]:
        reply = finished.reply
        if reply.status == _CANNOT_LOOK:
            why = last_of(reply.stderr) or "it cannot look now"
            return [SubjectAnswer(subject=each, blind=why) for each in asked]
        if reply.status != 0:
            raise PluginFailed(f"plan {_ended(finished)}")
        if len(reply.stdout) > FRAME_MAX_BYTES:
            raise PluginFailed(f"plan printed more than {FRAME_MAX_BYTES} bytes")
        try:
            return plans(self._found.name, reply.stdout, asked)
        except PluginFailed as problem:
            raise PluginFailed(f"plan {problem}") from problem

    def _seen(self, shown: Shown) -> dict[str, Any]:
        name = shown.subject
        if shown.view is not None:
            self._views.pop(name, None)
            if not views.gone(views.received(views.subject_of(name).kind, shown.view)):
                self._views[name] = shown.view
        elif name not in self._views:
            raise PluginFailed(f"the daemon never said what {name} is like")
        return {"subject": name, "view": shown.view or self._views[name], "records": shown.records}


def _processes() -> Processes:
    return Processes(os.environ["PATH"], Limits(output_max_bytes=FRAME_MAX_BYTES, parallel=1), groups=False)


def _ended(finished: Finished) -> str:
    status, stderr = finished.reply.status, last_of(finished.reply.stderr)
    how = f"was ended by {signal.Signals(-status).name}" if status < 0 else f"exited {status}"
    return f"{how}: {stderr or 'without a word'}"
