"""What the guard says, as it is sent by whoever has come to it: the daemon, or zonehookctl alone by the record."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from zonehookd.bus.messages import DependentRow, GuardedRow, GuardReply, GuardStatusReply, WithoutDaemon
from zonehookd.guard.standing import Known, Standing, indexed
from zonehookd.illumos.zonefiles import Indexed
from zonehookd.model.guard import Dependent, Verdict
from zonehookd.model.record import valid


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


def without_daemon(record: Known) -> WithoutDaemon:
    return WithoutDaemon(uninstall=record.uninstall, boot=record.boot)


def recorded_reply(record: Known, at: float, index: Path, now_s: float) -> GuardStatusReply:
    """Every gateway by the record of `at`, and by the zone index as it is now."""
    zones: Mapping[str, Indexed] | None = None
    unseen = ""
    try:
        zones = indexed(index)
    except (OSError, ValueError) as problem:
        unseen = f"whether it is there is not known: {problem}"
    gone = {each.files for name, each in record.gateways.items() if zones is not None and name not in zones} - {""}
    rows = []
    for name, each in sorted(record.gateways.items()):
        if zones is not None and name in zones and not each.files and zones[name].zonepath in gone:
            continue  # the new name of one that was renamed
        state, text = _found(name, each, zones, now_s) if zones is not None else ("unknown", unseen)
        rows.append(
            GuardedRow(
                name=name,
                state=state,
                kept=True if each.files else None,
                gate=None,
                permit_until=float(each.until) if valid(each.until, now_s) else None,
                permit_reason="",
                dependents=dependent_rows(each.dependents),
                text=text,
                left_out=each.left_out,
            )
        )
    return GuardStatusReply(gateways=rows, recorded=at, without_daemon=without_daemon(record))


def _found(name: str, gateway: Standing, zones: Mapping[str, Indexed], now_s: float) -> tuple[str, str]:
    """Its state, and what is the matter: lost is who is kept, missed and was not let go, as the daemon has it."""
    if name in zones:
        return zones[name].state, ""
    if not (gateway.files and gateway.count) or valid(gateway.until, now_s):
        return "absent", ""
    renamed = [zone.name for zone in zones.values() if zone.zonepath == gateway.files]
    if renamed:
        return "lost", f"its files are zone {renamed[0]}'s now (hint: zonecfg -z {renamed[0]} set zonename={name})"
    return "lost", f"its configuration was deleted (hint: zonehookctl guard restore {name}, once zonehookd answers)"
