"""What `zonehookctl guard` asks: check, permit, restore, status."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

from zonehookd.bus.control import Handler
from zonehookd.bus.messages import GuardedRow, GuardReply, GuardStatusReply, PermitReply, PermitRow, Request
from zonehookd.errors import CannotObserve, NotFound, ZonehookError
from zonehookd.guard.guard import Guard, Tools
from zonehookd.guard.replies import dependent_rows, verdict_reply
from zonehookd.model import subject
from zonehookd.model.few import few
from zonehookd.model.gateway import GLOBAL
from zonehookd.model.guard import Dependent
from zonehookd.model.record import KEPT, LET_GO, PERMIT, PERMIT_MAX_S, RESTORE, Record, permitted
from zonehookd.model.renamed import named_back
from zonehookd.model.zone import Zone

_SEEN_MAX_S = 3.0  # who is cut off is looked up for so long; leave is given all the same
_REASON_MAX = 500
_NAMES_MAX = 50  # in a hint
_RESTORE_MAX_S = 90.0
_ASK_AGAIN_S = 0.3
_MISSED = ("gateway-lost", "gateway-uninstalled", "needs-install")  # codes of plugin keeper's notes
Said = Callable[[str, str, str, Collection[str]], None]  # permit | restore, of what, why, who is cut off


class GuardAnswers:
    """`said` is told what leave was given, for the audit log; `asked`: whether the hooks of a brand ask us, and what is
    the matter where they should and do not."""

    def __init__(self, guard: Guard, tools: Tools, said: Said, asked: Callable[[str], tuple[bool, str]]) -> None:
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
        if self._guard.begun:  # until then nobody knows which gateways there should be
            with contextlib.suppress(CannotObserve):  # the guard says so itself
                self._known(zone)
        return verdict_reply(await self._guard.check(zone, request.operation))

    def _known(self, zone: str) -> None:
        dispatcher = self._tools.dispatcher
        zones = dispatcher.survey.indexed(self._tools.make_look())
        if zone not in zones and zone not in dispatcher.declared.gateways and zone != GLOBAL:
            raise NotFound(f"there is no zone {zone!r}", hint=f"there are: {few(sorted(zones), _NAMES_MAX) or 'none'}")

    async def permit(self, request: Request) -> PermitReply:
        """For a time: gateways may be deleted and halted, networks removed or shrunk. All that are named, or none."""
        seconds, reason = request.for_s or 0.0, " ".join(request.reason.split())
        if not 0 < seconds <= PERMIT_MAX_S:
            raise ZonehookError(f"a permit is for more than 0 and at most {PERMIT_MAX_S:.0f} s, not for {seconds:g} s")
        if not reason or len(reason) > _REASON_MAX:
            raise ZonehookError("a permit needs a reason, of one line", hint="--reason 'moving to edge2, ticket 42'")
        names = tuple(dict.fromkeys(request.names))
        if not names:
            raise ZonehookError("a permit is for a gateway zone or a network", hint="zonehookctl guard permit --help")
        for name in names:
            self._may_be_given(name)
        cut_off, blind = await self._cut_off(names)
        why = f"{reason} (for {seconds:.0f} s{'; zones as last seen' if blind else ''})"
        text = f"who is cut off is as last seen: {blind}" if blind else ""
        rows = []
        for name, zones in cut_off.items():
            until = self._guard.grant(name, seconds, reason, zones)
            self._said("permit", name, why, zones)
            rows.append(PermitRow(name=name, until=until, cuts_off=sorted(zones), text=text))
        return PermitReply(permits=rows)

    async def _cut_off(self, names: Sequence[str]) -> tuple[Mapping[str, set[str]], str]:
        """The zones; and why they are those last seen, if they are: leave is for hosts that are not well, too."""
        try:
            async with asyncio.timeout(_SEEN_MAX_S):
                of_gateways = await self._guard.who_of([name for name in names if "/" not in name])
                return {
                    name: await self._guard.on_network(name.partition("/")[2])
                    if "/" in name
                    else {each.zone for each in of_gateways[name]}
                    for name in names
                }, ""
        except (CannotObserve, TimeoutError) as problem:
            text = str(problem) or "the host did not answer in time"
            return {name: self._guard.last_seen(name) for name in names}, text

    def _may_be_given(self, name: str) -> None:
        """Raises ZonehookError: nobody needs leave for that."""
        kind, slash, network = name.partition("/")
        if slash:
            declared = self._tools.dispatcher.declared.networks
            if kind != "network" or network not in declared:
                known = ", ".join(sorted(declared)) or "none"
                raise NotFound(f"there is no network {network!r}", hint=f"there are: {known}")
            return
        zone = name
        if zone not in self._tools.dispatcher.declared.gateways or zone == GLOBAL:
            with contextlib.suppress(CannotObserve):
                if (gateway := self._guard.known_as(zone)) != zone:
                    hint = f"zonehookctl guard permit {gateway}"
                    raise ZonehookError(f"zone {zone} is gateway {gateway} renamed: leave is for that name", hint=hint)
                self._known(zone)
            known = ", ".join(sorted({*self._tools.dispatcher.declared.gateways} - {GLOBAL})) or "none"
            raise ZonehookError(
                f"zone {zone!r} is no declared gateway, so it needs no permit", hint=f"gateways: {known}"
            )

    async def restore(self, request: Request) -> GuardedRow:
        """Brings back a gateway whose configuration was deleted; waits for it."""
        zone = request.zone or ""
        deadline_s = time.monotonic() + _RESTORE_MAX_S
        await self._tools.dispatcher.settled()
        while self._undecided(zone) and time.monotonic() < deadline_s:
            await asyncio.sleep(_ASK_AGAIN_S)  # it was deleted a moment ago
            await self._tools.dispatcher.settled()
        if self._tools.store.one(RESTORE, zone) is None:
            self._may_restore(zone)
            self._guard.restore(zone, "asked for")
            self._said("restore", zone, "asked for", ())
        while self._tools.store.one(RESTORE, zone) is not None and time.monotonic() < deadline_s:
            await self._tools.dispatcher.settled()
            self._refused(zone)
            await asyncio.sleep(_ASK_AGAIN_S)
        if self._tools.store.one(RESTORE, zone) is not None:
            raise ZonehookError(f"zone {zone} is not restored yet", hint=f"zonehookctl guard status; explain {zone}")
        return (await self._rows(zone)).gateways[0]

    def _undecided(self, zone: str) -> bool:
        """Whether it is there, or who has its files, is not known yet."""
        survey = self._tools.dispatcher.survey
        renamed = self._guard.with_files_of(zone, survey.site) if survey.site is not None else ()
        return not survey.undecided.isdisjoint((zone, *renamed))

    def _may_restore(self, zone: str) -> None:
        site = self._tools.dispatcher.survey.site
        there = site.zones.get(zone) if site else None
        if zone in self._tools.dispatcher.survey.undecided:
            hint = "try again in a moment; [timing] absence_s says when it is believed"
            raise ZonehookError(f"zone {zone} is missing, and not believed to be gone yet", hint=hint)
        if there is not None and not (there.absent or there.vanished or there.damaged):
            raise ZonehookError(f"zone {zone} is there ({there.state}), so there is nothing to restore")
        if self._kept(zone) is None:
            names = {record.name for kind in (KEPT, LET_GO) for record in self._tools.store.of_kind(kind)}
            hint = f"kept: {', '.join(sorted(names)) or 'none'}"
            there_is = site is None or there is not None or zone in self._tools.dispatcher.declared.gateways
            text = f"no configuration of a zone {zone!r} is kept"
            raise ZonehookError(text, hint=hint) if there_is else NotFound(text, hint=hint)
        if site is not None and (others := self._guard.with_files_of(zone, site)):
            other = site.zones[others[0]]
            hint = named_back(zone, other.name, other.state)
            raise ZonehookError(f"zone {zone} was renamed: its files are zone {others[0]}'s now", hint=hint)

    def _kept(self, zone: str) -> Record | None:
        return self._tools.store.one(KEPT, zone) or self._tools.store.one(LET_GO, zone)

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
            every = await self._guard.who_of(wanted)
        except CannotObserve as problem:
            text = str(problem)
        for name in wanted:
            permit = self._guard.permit(name)
            zone = site.zones.get(name) if site else None
            gate, fault = self._asked(zone.config.brand) if zone and zone.config else (None, "")
            valid = permit is not None and permitted(permit, time.time())
            rows.append(
                GuardedRow(
                    name=name,
                    state="lost" if zone and zone.vanished else zone.state.value if zone else "absent",
                    kept=self._kept(name) is not None,
                    gate=gate,
                    permit_until=float(permit.facts["until"]) if permit and valid else None,
                    permit_reason=permit.facts.get("reason", "") if permit and valid else "",
                    dependents=dependent_rows(every.get(name, ())),
                    text=text or self._trouble(name, zone, bool(every.get(name))) or fault,
                )
            )
        return GuardStatusReply(gateways=rows, networks=list(self._permits_of_networks()))

    def _trouble(self, name: str, zone: Zone | None, missed: bool) -> str:
        """Of one that is missed the words and the hint of `status`: plugin keeper has looked who has its files now."""
        if zone is None or zone.absent:
            let_go = missed and self._tools.store.one(LET_GO, name) is not None
            return f"deleted and let go; zonehookctl guard restore {name} has it back" if let_go else ""
        if zone.damaged and self._kept(name) is not None:
            return f"{zone.trouble}; zonehookctl guard restore {name} puts it back as it was"
        latest = self._tools.dispatcher.latest.get(subject.gateway(zone.name))
        notes = [note for note in latest.notes if note.code in _MISSED and note.hint] if latest else []
        return f"{notes[0].text} (hint: {notes[0].hint})" if notes else zone.trouble

    def _permits_of_networks(self) -> Iterator[PermitRow]:
        now = time.time()
        for record in self._tools.store.of_kind(PERMIT):
            if "/" in record.name and permitted(record, now):
                cut = sorted(filter(None, record.facts.get("cut", "").split(",")))
                yield PermitRow(name=record.name, until=float(record.facts["until"]), cuts_off=cut)
