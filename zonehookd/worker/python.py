"""A plugin written in Python, in its own process: the same class, contract and checks as in the daemon."""

from __future__ import annotations

import asyncio
import inspect
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from zonehookd.errors import CannotObserve, PluginFailed
from zonehookd.illumos.dladm import Dialect
from zonehookd.model.subject import Subject
from zonehookd.plugin import loader
from zonehookd.plugin.contract import AnyPlugin
from zonehookd.plugin.finding import Found
from zonehookd.plugin.rules import checked
from zonehookd.wire import steps, views
from zonehookd.wire.messages import Call, Result, Shown, SubjectAnswer, Welcome
from zonehookd.worker.reader import WorkerReader
from zonehookd.worker.work import Desk, Introduction

_SAID_MAX = 2000
_TOGETHER = 16  # subjects observed at once, where the plugin asks something of its own for each


class Python:
    def __init__(self, found: Found) -> None:
        self._found = found
        self._class: type[AnyPlugin]
        self._plugin: Any
        self._site = ""
        self._dialect = Dialect()
        self._views: dict[Subject, views.AnyView] = {}  # as they were shown last

    async def load(self) -> Introduction:
        cls = self._class = loader.plugin_class(self._found)
        about = inspect.getdoc(inspect.getmodule(cls)) or inspect.getdoc(cls) or ""
        schema = cls.Options.model_json_schema() if cls.Options.model_fields else {}
        return Introduction(cls.name, cls.kind, cls.after, about.partition("\n")[0], schema, api=cls.api)

    async def begin(self, welcome: Welcome) -> None:
        self._plugin = loader.built(self._found, self._class, welcome.options)
        self._site = welcome.site
        self._dialect = views.dialect_received(welcome.dialect)

    async def work(self, call: Call, desk: Desk) -> Result:
        records = {views.subject_of(each.subject): views.records_received(each.records) for each in call.subjects}
        host = WorkerReader(desk, self._found.name, self._site, self._dialect, call.wide, records)
        broke: list[str] = []  # said once a call in whole, not for each of a thousand zones
        if self._plugin.asks_each:
            turns = asyncio.Semaphore(_TOGETHER)

            async def in_turn(shown: Shown) -> SubjectAnswer | None:
                async with turns:
                    return await self._one(shown, host, broke)

            plans: Sequence[SubjectAnswer | None] = await asyncio.gather(*(in_turn(each) for each in call.subjects))
        else:
            plans = [await self._one(each, host, broke) for each in call.subjects]
        return Result(id=call.id, plans=[each for each in plans if each is not None])

    async def _one(self, shown: Shown, host: WorkerReader, broke: list[str]) -> SubjectAnswer | None:
        """None: it is nothing to this plugin. Whatever it raises costs this subject, and nothing else."""
        try:
            view = self._seen(shown)
            if not self._plugin.concerns(view, host):
                return None
            seen = await self._plugin.observe(view, host)
            plan = checked(self._plugin.plan(view, seen))
            sent, notes = steps.sent(plan)
            return SubjectAnswer(subject=shown.subject, steps=sent, notes=notes)
        except CannotObserve as problem:
            return SubjectAnswer(subject=shown.subject, blind=_text(str(problem)))
        except PluginFailed as problem:
            return SubjectAnswer(subject=shown.subject, failed=_text(str(problem)))
        except BaseException as problem:  # SystemExit, too: a plugin does not end because one zone displeases it
            if not broke:
                traceback.print_exception(problem)
            broke.append(shown.subject)
            return SubjectAnswer(
                subject=shown.subject, failed=f"broke: {_text(repr(problem))} ({self._where(problem)})"
            )

    def _seen(self, shown: Shown) -> views.AnyView:
        subject = views.subject_of(shown.subject)
        if shown.view is None:
            if subject not in self._views:
                raise PluginFailed(f"the daemon never said what {subject} is like")
            return self._views[subject]
        view = views.received(subject.kind, shown.view)
        self._views.pop(subject, None)
        if not views.gone(view):
            self._views[subject] = view
        return view

    def _where(self, problem: BaseException) -> str:
        """The last line of the plugin's own that was on the way."""
        frames = traceback.extract_tb(problem.__traceback__)
        own = str(Path(inspect.getfile(self._class)).parent)
        last = next((each for each in reversed(frames) if each.filename.startswith(own)), frames[-1])
        return f"{last.filename}:{last.lineno}"


def _text(said: str) -> str:
    """What a plugin says, so that it can be sent: not for ever, and names of files that are no UTF-8 in it."""
    return said[:_SAID_MAX].encode(errors="backslashreplace").decode()
