"""Hooks that are asked before something happens, while a brand's gate waits for the answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from zonehookd.hooks.calls import Answer, Calls
from zonehookd.hooks.moments import Gated
from zonehookd.hooks.roll import Roll
from zonehookd.hooks.zone import OneZone

_DOES: Mapping[Gated, str] = {"before-start": "boot", "before-stop": "halt", "before-delete": "uninstall"}
_LEAST_S = 0.05  # a call that cannot end in time is not begun
Code = Literal["hooks-agree", "hook-refused", "hook-later", "hook-failed"]


@dataclass(frozen=True, slots=True)
class Decision:
    """Of all hooks that were asked. `lines`: for whoever acts."""

    allowed: bool
    code: Code
    lines: tuple[str, ...] = ()


class Asking:
    def __init__(self, roll: Roll, calls: Calls) -> None:
        self._roll = roll
        self._calls = calls
        self.running: set[asyncio.Task[Answer]] = set()

    def wanted(self, moment: Gated) -> list[str]:
        """Who is to be asked. One that never came up is asked for nothing, unless its failure is a refusal."""
        strict = self._strict(moment)
        return [each for each in self._roll.wanting(moment) if strict or self._roll.wants(each, moment)]

    async def ask(self, z: OneZone, moment: Gated, limit_s: float) -> Decision:
        """One hook after the other, by name, up to the first that refuses; within the limit."""
        until_s = time.monotonic() + limit_s
        lines: list[str] = []
        code: Code = "hooks-agree"
        about = z.shown()
        for name in self.wanted(moment):
            answer = await self._in_time(z, name, moment, about, until_s)
            if answer.outcome == "ok":
                continue
            refused = answer.outcome in ("never", "later") or self._strict(moment)
            code = {"never": "hook-refused", "later": "hook-later"}.get(answer.outcome, "hook-failed")  # type: ignore[assignment]
            said = _said(name, answer)
            if refused:
                head, *more = said.splitlines()
                first = f"zonehookd: {_DOES[moment]} of zone {z.name} is refused by {head}"
                return Decision(False, code, (*lines, first, *(f"  {line}" for line in more)))
            lines.append(f"zonehookd: {_DOES[moment]} of zone {z.name} goes on without {said.splitlines()[0]}")
        return Decision(True, code, tuple(lines))

    def _strict(self, moment: Gated) -> bool:
        policy: str = getattr(self._roll.settings().on_failure, moment.replace("-", "_"))
        return policy == "refuse"

    async def _in_time(self, z: OneZone, name: str, moment: Gated, about: Mapping[str, Any], until_s: float) -> Answer:
        """Whoever is late is stopped; that takes its own time, and we wait for it no longer."""
        task = asyncio.ensure_future(self._in_turn(z, name, moment, about, until_s))
        self.running.add(task)
        task.add_done_callback(self.running.discard)
        await asyncio.wait({task}, timeout=max(0.0, until_s - time.monotonic()))
        return task.result() if task.done() else Answer("timeout", "gave no answer in time")

    async def _in_turn(self, z: OneZone, name: str, moment: Gated, about: Mapping[str, Any], until_s: float) -> Answer:
        """After the call for this zone that may be running: never two at once."""
        async with z.turn:
            hook, down = self._roll.files.get(name), self._roll.down(name)
            left_s = min(self._roll.settings().deadline_s, until_s - time.monotonic())
            if hook is None or down:
                return Answer("failed", f"it {down}")
            if left_s < _LEAST_S:
                return Answer("timeout", "gave no answer in time")
            when = {"at": time.time(), "cause": "gate", "tries": 1}
            return await self._calls.call(hook, z.name, moment, about, deadline_s=left_s, urgent=True, **when)  # type: ignore[arg-type]


def _said(name: str, answer: Answer) -> str:
    match answer.outcome:
        case "never":
            return f"hook {name}: {answer.text}"
        case "later":
            again = f" (again in {answer.again_after_s:g} s)" if answer.again_after_s else ""
            return f"hook {name}, for now: {answer.text}{again}"
        case _:
            return f"hook {name}, which failed: {answer.text}"
