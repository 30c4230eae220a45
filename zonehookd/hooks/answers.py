"""What `zonehookctl hooks` asks."""

from __future__ import annotations

from collections import Counter

from zonehookd.bus.control import Handler
from zonehookd.bus.hook_messages import HookCallRow, HookRow, HooksReply, OwedHookRow
from zonehookd.bus.messages import Request
from zonehookd.errors import ZonehookError
from zonehookd.hooks.hooks import Hooks
from zonehookd.hooks.moments import MOMENTS


class HookAnswers:
    def __init__(self, hooks: Hooks) -> None:
        self._hooks = hooks

    def handlers(self) -> dict[str, Handler]:
        return {"hooks": self.hooks}

    async def hooks(self, request: Request) -> HooksReply:
        """`zone`: only what is about that zone. The folder is looked at now. Raises ZonehookError."""
        if request.zone is not None and request.zone not in self._hooks.zones:
            raise ZonehookError(
                f"hooks were told nothing of a zone {request.zone!r}", hint="zonehookctl zones lists them"
            )
        self._hooks.look()
        roll, settings = self._hooks.roll, self._hooks.roll.settings()
        zones = [z for z in self._hooks.zones.values() if request.zone in (None, z.name)]
        owed = [
            OwedHookRow(
                hook=hook,
                zone=z.name,
                moment=each.moment,
                since=each.at,
                tries=tries,
                text=z.refused.get(hook, "") if each.moment == "before-create" else "",
            )
            for z in zones
            for each in z.owed
            for hook, tries in sorted(each.hooks.items())
        ]
        waiting = Counter(each.hook for each in owed)
        return HooksReply(
            folder=str(settings.folder),
            enabled=settings.enabled,
            fault=roll.fault,
            hooks=[self._row(name, waiting[name]) for name in roll.files],
            owed=owed,
            held={z.name: z.held for z in zones if z.held},
        )

    def _row(self, name: str, owed: int) -> HookRow:
        roll, last = self._hooks.roll, self._hooks.last.get(name)
        asked = roll.moments(name)
        return HookRow(
            name=name,
            shape=roll.files[name].shape,
            moments=None if asked is None else [each for each in MOMENTS if each in asked],
            trouble=roll.trouble(name),
            calls={outcome: times for (hook, outcome), times in sorted(self._hooks.counts.items()) if hook == name},
            owed=owed,
            last=None
            if last is None
            else HookCallRow(
                zone=last.zone,
                moment=last.moment,
                result=last.answer.outcome,
                text=last.answer.text,
                seconds=round(last.seconds, 6),
                ended=last.at,
            ),
        )
