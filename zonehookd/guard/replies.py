"""A verdict as it is sent, by whoever has come to it: the daemon, or zonehookctl alone by the record."""

from __future__ import annotations

from collections.abc import Collection

from zonehookd.bus.messages import DependentRow, GuardReply
from zonehookd.model.guard import Dependent, Verdict


def verdict_reply(verdict: Verdict) -> GuardReply:
    return GuardReply(
        zone=verdict.zone,
        operation=verdict.operation,
        allowed=verdict.allowed,
        code=verdict.code,
        text=verdict.text,
        hint=verdict.hint,
        dependents=dependent_rows(verdict.dependents),
        lines=list(verdict.lines()),
        recorded=verdict.recorded,
        left_out=verdict.left_out,
    )


def dependent_rows(found: Collection[Dependent]) -> list[DependentRow]:
    return [
        DependentRow(network=each.network, zone=each.zone, how=each.how, state=each.state, through=each.through)
        for each in found
    ]
