"""Files of functions, each in a worker of its own: started when they come, replaced when they change."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from zonehookd.errors import PluginFailed
from zonehookd.foreign.faults import Fault
from zonehookd.foreign.spec import Run, Spec
from zonehookd.foreign.workers import ForeignWorkers
from zonehookd.hooks.folder import HookFile
from zonehookd.plugin import finding
from zonehookd.plugin.finding import Found
from zonehookd.wire.messages import HookAnswer, HookMoment

_SHORT_MAX = 31  # with what tells it from others, a name has 40 characters at most: it is part of a socket's


class Functions:
    """`options`: [hooks.options] as it is now."""

    def __init__(self, workers: ForeignWorkers, options: Callable[[], Mapping[str, Mapping[str, Any]]]) -> None:
        self._workers = workers
        self._options = options

    def take(self, files: Iterable[HookFile], deadline_s: float) -> None:
        """From now on these."""
        options, specs = self._options(), {}
        for each in files:
            found = Found(_worker(each.name), "hook", each.path)
            specs[found.name] = Spec(found, Run(deadline_s=deadline_s), options.get(each.path.stem, {}))
        self._workers.take_hooks(list(specs.values()))

    def moments(self, name: str) -> frozenset[str] | None:
        """Those it asks for; None: it has never been up."""
        one = self._workers.hook(_worker(name))
        return frozenset(one.hello.moments) if one is not None and one.hello is not None else None

    def down(self, name: str) -> str:
        """Why it cannot be called now."""
        one = self._workers.hook(_worker(name))
        return one.down if one is not None else "is not started yet"

    def trouble(self, name: str) -> str:
        """The same, or why it is not as its file is."""
        one = self._workers.hook(_worker(name))
        return self.down(name) or (one.error if one is not None else "")

    async def tell(self, name: str, moment: HookMoment, deadline_s: float) -> HookAnswer:
        """Raises PluginFailed, and TimeoutError when it was ended because it did not answer in time."""
        try:
            return await self._workers.moment(_worker(name), moment, deadline_s)
        except PluginFailed as problem:
            if isinstance(fault := problem.__cause__, Fault) and fault.reason == "timeout":
                raise TimeoutError(str(problem)) from problem
            raise


def _worker(name: str) -> str:
    """The name of the worker of that file, and of no other."""
    plain = f"hook-{name.removesuffix('.py')}"
    if finding.is_name(plain):
        return plain
    short = re.sub(r"[^a-z0-9_-]", "-", plain.lower())[:_SHORT_MAX]
    return f"{short}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
