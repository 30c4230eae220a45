"""The hooks there are now, and which of them want what. Looked at every two seconds, and at a reload."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, Protocol

from zonehookd import log
from zonehookd.config import HooksSection
from zonehookd.hooks.calls import Worker
from zonehookd.hooks.folder import HookFile, find
from zonehookd.hooks.moments import Moment


class Functions(Worker, Protocol):
    """`hooks.functions.Functions`."""

    def take(self, files: Collection[HookFile], deadline_s: float) -> None: ...

    def moments(self, name: str) -> frozenset[str] | None: ...

    def down(self, name: str) -> str: ...

    def trouble(self, name: str) -> str: ...


class Roll:
    """`files`: by name, in order. `fault`: why the folder cannot be read; then the last that could be stands."""

    def __init__(self, settings: Callable[[], HooksSection], functions: Functions) -> None:
        self.files: Mapping[str, HookFile] = {}
        self.fault = ""
        self.settings = settings
        self._functions = functions
        self._taken: Any = None
        self._log = log.get()

    def look(self) -> frozenset[str]:
        """Reads the folder; who is new in it."""
        settings, before = self.settings(), self.files
        try:
            self.files = find(settings.folder) if settings.enabled else {}
            self.fault = ""
        except OSError as problem:
            if str(problem) != self.fault:
                self._log.error("hooks cannot be read", error=str(problem))
            self.fault = str(problem)
        for hook in self.files.values():
            if hook != before.get(hook.name):
                say = self._log.error if hook.refused else self._log.info
                say("hook refused" if hook.refused else "hook found", hook=hook.name, error=hook.refused)
        mine = [each for each in self.files.values() if each.shape == "functions" and not each.refused]
        taken = (mine, settings.options, settings.deadline_s)
        if taken != self._taken:
            self._taken = taken
            self._functions.take(mine, settings.deadline_s)
        return frozenset(self.files.keys() - before.keys())

    def wanting(self, moment: Moment) -> list[str]:
        """Who is to be told. A file of functions that was never up may want it: that is seen when it is."""
        return [name for name in self.files if self.wants(name, moment) is not False]

    def wants(self, name: str, moment: Moment) -> bool | None:
        """None: nobody knows yet."""
        hook = self.files.get(name)
        if hook is None:
            return False
        if hook.shape == "program":
            return not hook.refused and (not hook.moments or moment in hook.moments)
        known = self._functions.moments(name)
        return (False if hook.refused else None) if known is None else moment in known

    def down(self, name: str) -> str:
        """Why it cannot be called now; "": it can."""
        hook = self.files.get(name)
        if hook is None:
            return "is gone"
        return hook.refused or (self._functions.down(name) if hook.shape == "functions" else "")

    def trouble(self, name: str) -> str:
        """The same, or why the one before goes on in its place; for people."""
        hook = self.files[name]
        return hook.refused or (self._functions.trouble(name) if hook.shape == "functions" else "")

    def moments(self, name: str) -> Collection[str] | None:
        """Those it asks for; None: nobody knows yet; empty: all."""
        hook = self.files[name]
        return hook.moments if hook.shape == "program" else self._functions.moments(name)
