"""What `zonehookctl guard` asks: check, permit, restore, status."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Iterator, Mapping

from zonehookd.bus.control import Handler
from zonehookd.bus.messages import DependentRow, GuardedRow, GuardReply, GuardStatusReply, PermitReply, Request
from zonehookd.engine.dependents import members, permitted
from zonehookd.errors import CannotObserve, ZonehookError
from zonehookd.guard.guard import Guard, Tools
from zonehookd.model import subject
from zonehookd.model.gateway import GLOBAL
from zonehookd.model.guard import Dependent, Verdict
from zonehookd.model.record import KEPT, PERMIT, RESTORE

_PERMIT_MAX_S = 86_400.0
_REASON_MAX = 500
_RESTORE_MAX_S = 90.0
_ASK_AGAIN_S = 0.3
Said = Callable[[str, str, str, Collection[str]], None]  # permit | restore, of what, why, who is cut off


class GuardAnswers:
    """`said` is told what leave was given, for the audit log; `asked`: whether the hooks of a brand ask us."""

    def __init__(self, guard: Guard, tools: Tools, said: Said, asked: Callable[[str], bool]) -> None:
        self._asked = asked
        self._guard = guard
        self._tools = tools
        self._said = said

    def handlers(self) -> dict[str, Handler]:
        return {
            "guard-check": self.check,
            "guard-permit": self.permit,
            "guard-restore": self.restore,
            "guard-status": self.status,
        }

    async def check(self, request: Request) -> GuardReply:
        zone = request.zone or ""
        site = self._tools.dispatcher.survey.site
        if site is not None and zone not in site.zones and zone not in site.gateways:
            zones = ", ".join(sorted(name for name, each in site.zones.items() if not each.absent))
            raise ZonehookError(f"there is no zone {zone!r}", hint=f"there are: {zones or 'none'}")
        return verdict_reply(await self._guard.check(zone, request.operation))

    async def permit(self, request: Request) -> PermitReply:
        """For a time: the gateway may be deleted and halted, or the network removed or shrunk."""
        seconds, reason = request.for_s or 0.0, " ".join(request.reason.split())
        if not 0 < seconds <= _PERMIT_MAX_S:
            raise ZonehookError(f"a permit is for more than 0 and at most {_PERMIT_MAX_S:.0f} s, not for {seconds:g} s")
        if not reason or len(reason) > _REASON_MAX:
            raise ZonehookError("a permit needs a reason, of one line", hint="--reason 'moving to edge2, ticket 42'")
        name, zones = await self._cut_off(request)
        until = self._guard.grant(name, seconds, reason, zones)
        self._said("permit", name, f"{reason} (for {seconds:.0f} s)", zones)
        return PermitReply(name=name, until=until, cuts_off=sorted(zones))

    async def _cut_off(self, request: Request) -> tuple[str, set[str]]:
        if request.network:
            if request.network not in self._tools.dispatcher.declared.networks:
                known = ", ".join(sorted(self._tools.dispatcher.declared.networks)) or "none"
                raise ZonehookError(f"there is no network {request.network!r}", hint=f"there are: {known}")
            site = self._tools.dispatcher.survey.site
            attached = members(site.on_network.get(request.network, ())) if site else ()
            return f"network/{request.network}", {each.zone for each in attached}
        zone = request.zone or ""
        if zone not in self._tools.dispatcher.declared.gateways or zone == GLOBAL:
            known = ", ".join(sorted({*self._tools.dispatcher.declared.gateways} - {GLOBAL})) or "none"
            raise ZonehookError(
                f"zone {zone!r} is no declared gateway, so it needs no permit", hint=f"gateways: {known}"
            )
        _, found = await self._guard.who(zone)
        return zone, {each.zone for each in found}

    async def restore(self, request: Request) -> GuardedRow:
        """Brings back a gateway whose configuration was deleted; waits for it."""
        zone = request.zone or ""
        await self._tools.dispatcher.settled()
        if self._tools.store.one(RESTORE, zone) is None:
            self._may_restore(zone)
            self._guard.restore(zone, "asked for")
            self._said("restore", zone, "asked for", ())
        deadline_s = time.monotonic() + _RESTORE_MAX_S
        while self._tools.store.one(RESTORE, zone) is not None and time.monotonic() < deadline_s:
            await self._tools.dispatcher.settled()
            self._refused(zone)
            await asyncio.sleep(_ASK_AGAIN_S)
        if self._tools.store.one(RESTORE, zone) is not None:
            raise ZonehookError(f"zone {zone} is not restored yet", hint=f"zonehookctl guard status; explain {zone}")
        return (await self._rows(zone)).gateways[0]

    def _may_restore(self, zone: str) -> None:
        site = self._tools.dispatcher.survey.site
        there = site.zones.get(zone) if site else None
        if there is not None and there.trouble and not there.vanished and not there.absent:
            hint = f"zonecfg -z {zone} delete -F (its files stay), then zonehookctl guard restore {zone}"
            raise ZonehookError(f"zone {zone} is there, and cannot be read: {there.trouble}", hint=hint)
        if there is not None and not there.absent and not there.vanished:
            raise ZonehookError(f"zone {zone} is there ({there.state}), so there is nothing to restore")
        if self._tools.store.one(KEPT, zone) is None:
            kept = ", ".join(sorted(record.name for record in self._tools.store.of_kind(KEPT))) or "none"
            raise ZonehookError(f"no configuration of a zone {zone!r} is kept", hint=f"kept: {kept}")
        if there is None or not there.vanished:
            hint = "it was deleted with leave, or nobody depends on it"
            raise ZonehookError(f"zone {zone} is not missed", hint=hint)
        if site is not None and (others := self._guard.with_files_of(zone, site)):
            hint = f"zonecfg -z {others[0]} set zonename={zone}"
            raise ZonehookError(f"zone {zone} was renamed: its files are zone {others[0]}'s now", hint=hint)

    def _refused(self, zone: str) -> None:
        """Raises ZonehookError when plugin keeper says that somebody else has to act first."""
        latest = self._tools.dispatcher.latest.get(subject.gateway(zone))
        for note in latest.notes if latest is not None else ():
            if note.kind == "refused" and note.code.startswith("restore-"):
                raise ZonehookError(note.text, hint=note.hint)

    async def status(self, request: Request) -> GuardStatusReply:
        return await self._rows(request.zone)

    async def _rows(self, only: str | None) -> GuardStatusReply:
        site = self._tools.dispatcher.survey.site
        rows = []
        names = [name for name in sorted(self._tools.dispatcher.declared.gateways) if name != GLOBAL]
        wanted = names if only is None else [only]
        every: Mapping[str, tuple[Dependent, ...]] = {}
        text = ""
        try:
            _, every = await self._guard.who_of(wanted)
        except CannotObserve as problem:
            text = str(problem)
        for name in wanted:
            permit, kept = self._guard.permit(name), self._tools.store.one(KEPT, name)
            zone = site.zones.get(name) if site else None
            valid = permit is not None and permitted(permit, time.time())
            rows.append(
                GuardedRow(
                    name=name,
                    state="lost" if zone and zone.vanished else zone.state.value if zone else "absent",
                    kept=kept is not None,
                    gate=self._asked(zone.config.brand) if zone and zone.config else None,
                    permit_until=float(permit.facts["until"]) if permit and valid else None,
                    permit_reason=permit.facts.get("reason", "") if permit and valid else "",
                    dependents=dependent_rows(every.get(name, ())),
                    text=text or (zone.trouble if zone else ""),
                )
            )
        return GuardStatusReply(gateways=rows, networks=list(self._permits_of_networks()))

    def _permits_of_networks(self) -> Iterator[PermitReply]:
        now = time.time()
        for record in self._tools.store.of_kind(PERMIT):
            if "/" in record.name and permitted(record, now):
                cut = sorted(filter(None, record.facts.get("cut", "").split(",")))
                yield PermitReply(name=record.name, until=float(record.facts["until"]), cuts_off=cut)


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
    )


def dependent_rows(found: Collection[Dependent]) -> list[DependentRow]:
    return [
        DependentRow(network=each.network, zone=each.zone, how=each.how, state=each.state, through=each.through)
        for each in found
    ]
