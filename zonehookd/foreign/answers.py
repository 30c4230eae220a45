"""What `zonehookctl` asks about plugins."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from zonehookd.bus.control import Handler
from zonehookd.bus.messages import Request
from zonehookd.bus.plugin_messages import PluginReloadReply, PluginRow
from zonehookd.errors import PluginRefused
from zonehookd.foreign.supervised import Supervised
from zonehookd.foreign.workers import ForeignWorkers
from zonehookd.plugin.contract import AnyPlugin


class PluginAnswers:
    """`ours`: those that run in the daemon now."""

    def __init__(self, ours: Callable[[], Sequence[AnyPlugin]], workers: ForeignWorkers) -> None:
        self._ours = ours
        self._workers = workers

    def handlers(self) -> dict[str, Handler]:
        return {"plugins": self.plugins, "plugin-reload": self.reload}

    async def plugins(self, request: Request) -> list[PluginRow]:
        return [*map(_row_of_ours, self._ours()), *map(_row, self._workers.supervised)]

    async def reload(self, request: Request) -> PluginReloadReply:
        """Raises PluginRefused and Fault, with what is wrong; and then the one before goes on, if there is one."""
        name = request.plugin or ""
        try:
            await self._workers.reload(name)
        except PluginRefused as problem:
            good = any(one.spec.name == name and one.state == "ready" for one in self._workers.supervised)
            hint = problem.hint or ("the one before goes on" if good else "")
            raise PluginRefused(problem.args[0], hint=hint) from problem
        row = next(_row(each) for each in self._workers.supervised if each.spec.name == name)
        return PluginReloadReply(plugin=row, text=f"plugin {name} was loaded anew, as process {row.pid}")


def _row_of_ours(plugin: AnyPlugin) -> PluginRow:
    about = (sys.modules[type(plugin).__module__].__doc__ or "").strip().splitlines()
    return PluginRow(
        name=plugin.name,
        kind=plugin.kind,
        after=list(plugin.after),
        options=plugin.options.model_dump(mode="json"),
        about=about[0] if about else "",
    )


def _row(one: Supervised) -> PluginRow:
    hello, run = one.hello, one.spec.run
    return PluginRow(
        name=one.spec.name,
        kind=(hello.kind or "") if hello else "",
        after=list(hello.after) if hello else [],
        options=dict(one.spec.options),
        about=hello.about if hello else "",
        where="worker",
        shape=one.spec.found.shape,
        state=one.state,
        pid=one.pid,
        restarts=sum(one.restarts.values()),
        required=run.required,
        user=run.user,
        error=one.error,
    )
