"""Joins hooks to the rest of the daemon: who is told of their calls, and whom their words hold up."""

from __future__ import annotations

import time
from collections.abc import Callable

from zonehookd.bus.announcements import HookData
from zonehookd.bus.control import Handler
from zonehookd.bus.publisher import Publisher
from zonehookd.config import Config
from zonehookd.engine.dispatcher import Dispatcher
from zonehookd.foreign.workers import ForeignWorkers
from zonehookd.gate.server import Word
from zonehookd.hooks.answers import HookAnswers
from zonehookd.hooks.calls import Called
from zonehookd.hooks.functions import Functions
from zonehookd.hooks.hooks import Hooks, Tools
from zonehookd.hooks.moments import Gated
from zonehookd.host.audit import Audit
from zonehookd.host.process import Processes
from zonehookd.metrics import Metrics
from zonehookd.model.event import Event
from zonehookd.store.store import Store
from zonehookd.tracing.timeline import How, Timeline

_HOW: dict[str, How] = {"ok": "done", "later": "waiting", "never": "refused", "failed": "failed", "timeout": "failed"}


class Hooked:
    """`config`: the one in force. `hooks` is a Listener, to be heard by whoever builds this."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        processes: Processes,
        audit: Audit,
        store: Store,
        workers: ForeignWorkers,
        told: tuple[Metrics, Timeline, Publisher],
        config: Callable[[], Config],
    ) -> None:
        self._dispatcher = dispatcher
        self._metrics, self._timeline, self._publisher = told
        paths = config().paths
        tools = Tools(
            processes,
            audit,
            store,
            Functions(workers, lambda: config().hooks.options),
            lambda: config().hooks,
            paths.state,
            paths.run,
            lambda: dispatcher.stopping,
            lambda zone: dispatcher.hint(Event("hooks", "released", zone=zone)),
            self._heard,
        )
        self.hooks = Hooks(tools)
        dispatcher.hold = self.hooks.hold

    def handlers(self) -> dict[str, Handler]:
        return HookAnswers(self.hooks).handlers()

    async def asked(self, zone: str, moment: Gated, limit_s: float) -> Word | None:
        """For the gate."""
        decision = await self.hooks.ask(zone, moment, limit_s)
        return None if decision is None else Word(decision.allowed, decision.code, decision.lines)

    def _heard(self, call: Called) -> None:
        answer = call.answer
        self._metrics.hooked(call.hook, call.moment, answer.outcome, call.seconds)
        began_s = time.monotonic() - call.seconds
        text = f"{call.moment}: {answer.text}" if answer.text else call.moment
        self._timeline.add(call.zone, f"hook {call.hook}", began_s, call.seconds, _HOW[answer.outcome], text)
        said = {"hook": call.hook, "zone": call.zone, "moment": call.moment, "result": answer.outcome}
        self._publisher.say(HookData(**said, text=answer.text, seconds=round(call.seconds, 6)))
