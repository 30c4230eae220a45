"""May this be done to that zone? Asked anew each time: one survey and one list of VNICs, then a pure answer."""

from __future__ import annotations

import asyncio
import contextlib
import math
import sqlite3
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from zonehookd.config import GuardSection
from zonehookd.engine.dependents import dependents, members, networks_behind
from zonehookd.engine.look import Look
from zonehookd.engine.on_links import on_links
from zonehookd.engine.site import Site
from zonehookd.engine.survey import Survey, Taken, is_kept
from zonehookd.errors import CannotObserve, ZonehookError
from zonehookd.guard import linked, standing
from zonehookd.guard.recorder import OnLink, Recorder, others
from zonehookd.host.doors import Files
from zonehookd.illumos import smf
from zonehookd.model import subject
from zonehookd.model.attachment import Attachment
from zonehookd.model.event import Event
from zonehookd.model.gateway import GLOBAL, Declaration
from zonehookd.model.guard import OPERATIONS, Dependent, Verdict
from zonehookd.model.outcome import Outcome
from zonehookd.model.record import BY_ITSELF, KEPT, LET_GO, PERMIT, RESTORE, Record, lately, often, permitted
from zonehookd.model.subject import Subject
from zonehookd.model.zone import ZoneState
from zonehookd.store.store import Store

ZONES_SERVICE = "svc:/system/zones:default"  # its stop method halts every zone (zones sheet 3.11)
KEEPER = "keeper"  # the plugin that keeps configurations and restores them
_RUNNING = ("running", "ready", "shutting_down", "mounted")
_APART = (ZoneState.CONFIGURED, ZoneState.INCOMPLETE, ZoneState.UNKNOWN)  # of a gateway on its way out
_ANSWER_MAX_S = 1.7  # the gate waits for two seconds


class Heart(Protocol):
    """What of the dispatcher the guard needs."""

    declared: Declaration
    survey: Survey
    latest: dict[Subject, Outcome]

    def hint(self, event: Event) -> None: ...
    async def settled(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Tools:
    """What of the daemon the guard needs. `heard` is told every verdict, `lost` which gateways have vanished, `used_up`
    one that is not restored by itself any more for now."""

    dispatcher: Heart
    make_look: Callable[[], Look]
    store: Store
    files: Files
    state: Path
    policy: Callable[[], GuardSection]
    heard: Callable[[Verdict], None]
    lost: Callable[[Collection[str]], None]
    used_up: Callable[[str], None]


@dataclass(frozen=True, slots=True)
class _Seen:
    """One survey and one list of links. `refused`, `missed`: as `dependents` wants them."""

    look: Look
    taken: Taken
    on_link: OnLink
    refused: Collection[Attachment]
    missed: Collection[str]

    def of(self, gateway: str) -> tuple[Dependent, ...]:
        gone = self.taken.missing_since_s.keys()
        return dependents(self.taken.site, gateway, self.on_link, gone, self.refused, self.missed)


class Guard:
    """A Listener: it writes down what it would say, for the time when nobody can be asked."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        path = tools.state / standing.NAME
        index = tools.dispatcher.survey.index
        self._recorder = Recorder(tools.store, tools.files, path, index, tools.policy, self._see_links)
        self._begun = asyncio.Event()  # what is declared is known
        self._said_used_up: set[str] = set()
        self._lost: frozenset[str] = frozenset()

    # -- the record

    async def run(self) -> None:
        """Keeps it true, until cancelled."""
        await self._recorder.run()

    def refresh(self) -> None:
        """The policy may have changed."""
        self._recorder.changed()

    def with_files_of(self, gateway: str, site: Site) -> list[str]:
        """Zones that have the files of a gateway that is missed: it was renamed."""
        return self._recorder.with_files_of(gateway, site)

    # -- asking

    def begin(self) -> None:
        """What is declared is known now. Until then only the record of the last daemon can answer."""
        self._begun.set()

    @property
    def begun(self) -> bool:
        return self._begun.is_set()

    async def check(self, zone: str, operation: str) -> Verdict:
        """Never raises for what it cannot see: an uninstall is refused then, a halt never is. Raises ZonehookError: no
        such operation."""
        if operation not in OPERATIONS:
            raise ZonehookError(f"there is no operation {operation!r}", hint=f"one of {', '.join(OPERATIONS)}")
        gateway = zone
        try:
            async with asyncio.timeout(_ANSWER_MAX_S):
                await self._begun.wait()
                gateway = self.known_as(zone) if operation != "halt" else zone
                verdict = await self._check(zone, gateway, operation)
        except (CannotObserve, TimeoutError) as problem:
            if self.begun:
                verdict = self._blind(zone, gateway, operation, str(problem) or "the host did not answer in time")
            else:
                verdict = standing.alone(self._tools.state / standing.NAME, zone, operation, time.time())
        self._tools.heard(verdict)
        return verdict

    async def _check(self, zone: str, gateway: str, operation: str) -> Verdict:
        allowed = self._without_a_look(gateway, operation)
        if allowed is not None:
            return replace(allowed, zone=zone)
        if operation == "halt" and await self.zones_are_stopping():
            return Verdict(zone, operation, True, "not-guarded", f"the host stops its zones, {zone} with them")
        seen = await self._look()
        found = _who_loses(self._others(seen, gateway), zone, operation)
        if not found:
            found = _who_loses(self._others(await self._thorough(seen, gateway), gateway), zone, operation)
        if permitted(self.permit(gateway), time.time()):
            return Verdict(zone, operation, True, "permitted", f"{operation} of zone {zone} is permitted", found)
        first = "halt them first" if operation == "halt" else "move or delete them first"
        hint = f"{first}; or zonehookctl guard permit {gateway} --for 10m --reason WHY"
        if found:
            whose = f"gateway zone {zone}" if zone == gateway else f"zone {zone}, which is gateway {gateway} renamed,"
            text = f"{operation} of {whose} is refused: zones depend on it"
            return Verdict(zone, operation, False, "dependents", text, found, hint)
        taken = seen.taken
        unread = [] if operation == "halt" else _unread(taken, zone)
        if unread:
            text = (
                f"{operation} of gateway zone {zone} is refused: whether zone {unread[0]} depends on it is not known: "
                f"{taken.site.zones[unread[0]].trouble}"
            )
            return Verdict(zone, operation, False, "cannot-look", text, hint=hint)
        nobody = "no zone that runs" if operation == "halt" else "no zone"
        return Verdict(zone, operation, True, "no-dependents", f"{nobody} depends on zone {zone}")

    def known_as(self, zone: str) -> str:
        """The declared gateway that this zone is: by its name, or renamed since, by its files. Raises CannotObserve.
        Every zone is asked about, so this costs one file and no command."""
        dispatcher = self._tools.dispatcher
        paths = {
            record.facts.get("zonepath", ""): record.name
            for record in self._tools.store.of_kind(KEPT)
            if record.name in dispatcher.declared.gateways
        }
        if zone in dispatcher.declared.gateways or not paths:
            return zone
        index = dispatcher.survey.indexed(self._tools.make_look())
        here = index.get(zone)
        name = paths.get(here.zonepath) if here is not None and here.zonepath else None
        return name if name is not None and name not in index else zone

    def _without_a_look(self, zone: str, operation: str) -> Verdict | None:
        """Most zones are nobody's gateway, and most hosts let gateways halt: these questions cost nothing."""
        if zone not in self._tools.dispatcher.declared.gateways or zone == GLOBAL:
            return Verdict(zone, operation, True, "not-guarded", f"zone {zone} is no declared gateway")
        if operation == "halt" and self._tools.policy().halt == "allow":
            return Verdict(zone, operation, True, "not-guarded", "[guard] halt allows it")
        return None

    def _blind(self, zone: str, gateway: str, operation: str, why: str) -> Verdict:
        """Leave is leave, seen or not: it is the way out."""
        if operation == "halt":
            return Verdict(zone, operation, True, "cannot-look", f"a halt is not held up: {why}")
        if permitted(self.permit(gateway), time.time()):
            text = f"{operation} of zone {zone} is permitted; who depends on it cannot be seen now: {why}"
            return Verdict(zone, operation, True, "permitted", text)
        text = f"{operation} of zone {zone} is refused: who depends on it cannot be seen now: {why}"
        leave = f"; or zonehookctl guard permit {gateway} --for 10m --reason WHY"
        hint = f"try again{leave if gateway in self._tools.dispatcher.declared.gateways else ''}"
        return Verdict(zone, operation, False, "cannot-look", text, hint=hint)

    async def who_of(self, gateways: Collection[str]) -> Mapping[str, tuple[Dependent, ...]]:
        """Who depends on each, by one survey of this moment and one list of links. Raises CannotObserve."""
        seen = await self._look()
        return {each: self._others(seen, each) for each in gateways}

    def _others(self, seen: _Seen, gateway: str) -> tuple[Dependent, ...]:
        """Who depends on it, without itself under a new name."""
        gone = gateway in seen.taken.missing_since_s
        return others(seen.of(gateway), self.with_files_of(gateway, seen.taken.site) if gone else ())

    async def on_network(self, name: str) -> set[str]:
        """Zones on a network, as it is now; the host apart. Raises CannotObserve."""
        seen = await self._look()
        return self._members(seen.taken.site, name, seen.on_link) - seen.taken.missing_since_s.keys()

    def last_seen(self, name: str) -> set[str]:
        """Who was cut off by this when the host could be seen: of a gateway, or of ``network/NETWORK``."""
        site = self._tools.dispatcher.survey.site
        if site is None:
            return set()
        on_link = self._recorder.on_link(site)
        if "/" in name:
            return self._members(site, name.partition("/")[2], on_link)
        lost = [each for each, zone in site.zones.items() if zone.vanished]
        renamed = self.with_files_of(name, site) if name in lost else ()
        return {each.zone for each in others(dependents(site, name, on_link, lost, (), lost), renamed)}

    @staticmethod
    def _members(site: Site, name: str, on_link: OnLink) -> set[str]:
        network = site.networks.get(name)
        if network is None:
            return set()
        found = {each.zone for each in members(site.on_network.get(name, ()))} | {*on_link.get(network.link, ())}
        return found - {GLOBAL, network.via}

    async def _look(self) -> _Seen:
        dispatcher = self._tools.dispatcher
        look = self._tools.make_look()
        taken = await dispatcher.survey.take(look, dispatcher.declared, time.monotonic())
        gone = taken.missing_since_s.keys()
        missed = [name for name in gone if is_kept(look, name)]
        on_link = await self._on_links(look, taken.site)
        return _Seen(look, taken, on_link, list(_refused_for(taken)) if gone else (), missed)

    @staticmethod
    async def _thorough(seen: _Seen, gateway: str) -> _Seen:
        """Before it is said that nobody is behind it. The list of links is not asked for again."""
        site = seen.taken.site
        behind = {network.link for network in networks_behind(site, gateway) if network.internal}
        return replace(seen, on_link=await on_links(seen.look, site.zones, site.holders, behind, thorough=True))

    async def _see_links(self, site: Site) -> OnLink:
        found = await self._on_links(self._tools.make_look(), site)
        with contextlib.suppress(sqlite3.Error):  # the disk is full: noted at a later look
            for gateway in linked.noted(self._tools.store, site, found):
                self._tools.dispatcher.hint(Event("guard", "links", gateway))
        return found

    @staticmethod
    async def _on_links(look: Look, site: Site) -> OnLink:
        etherstubs = {network.link for network in site.networks.values() if network.internal}
        return await on_links(look, site.zones, site.holders, etherstubs)

    async def zones_are_stopping(self) -> bool:
        """The host goes down, or cannot say: then nothing may be held up (zones sheet 3.11, trap 28)."""
        try:
            services = await self._tools.make_look().ask(smf.services(GLOBAL, [ZONES_SERVICE]))
        except CannotObserve:
            return True
        service = services.get(ZONES_SERVICE)
        return service is None or service.state != "online" or bool(service.next_state)

    # -- permits

    def permit(self, name: str) -> Record | None:
        return self._tools.store.one(PERMIT, name)

    def grant(self, name: str, seconds: float, reason: str, cut: Collection[str]) -> float:
        """Until when, unix seconds. `name`: a gateway zone, or ``network/NETWORK``."""
        until = float(math.ceil(time.time() + seconds))  # whole seconds, for gate.c reads it too
        owner = subject.network(name.partition("/")[2]) if "/" in name else subject.gateway(name)
        facts = {"until": f"{until:.0f}", "reason": reason, "cut": ",".join(sorted(cut))}
        site = self._tools.dispatcher.survey.site
        zone = site.zones.get(name) if site is not None else None
        if site is not None and (zone is None or zone.absent or zone.vanished):
            self._tools.store.forget(RESTORE, name)  # who lets it go wants it back no more
        self._tools.store.remember(Record(PERMIT, name, owner, "guard", facts))
        self._recorder.changed()
        self._tools.dispatcher.hint(Event("guard", "permit", everything=True))
        return until

    def _drop_ended(self, site: Site) -> None:
        """Permits whose time is over, or that were for a gateway which is gone by now: another one of its name has
        none. One that ends while its gateway is being taken apart is remembered: see `_restore_lost`."""
        now = time.time()
        for record in self._tools.store.of_kind(PERMIT):
            zone = site.zones.get(record.name) if record.owner.kind == "gateway" else None
            gone = (zone is None or zone.absent) and self._tools.store.one(KEPT, record.name) is None
            apart = zone is not None and zone.state in _APART
            if (record.owner.kind == "gateway" and gone) or not (permitted(record, now) or apart):
                self._tools.store.forget(PERMIT, record.name)
                self._recorder.changed()

    def restore(self, zone: str, why: str) -> None:
        """Plugin keeper does it, at the next look. One that was let go is missed again from now on. Killed between two
        steps there may be both records: what is kept is as new, or newer."""
        if (gone := self._tools.store.one(LET_GO, zone)) is not None:
            if self._tools.store.one(KEPT, zone) is None:
                self._tools.store.remember(replace(gone, kind=KEPT))
            self._tools.store.forget(LET_GO, zone)
        record = Record(RESTORE, zone, subject.gateway(zone), KEEPER, {"why": why})
        self._tools.store.remember(record)
        self._tools.dispatcher.hint(Event("guard", "restore", everything=True))

    # -- Listener

    def hinted(self, event: Event, new: bool) -> None:
        pass

    def looked(self, site: Site, seconds: float, full: bool, planned: int, unannounced: int) -> None:
        self._drop_ended(site)
        self._recorder.looked(site, full)
        lost = frozenset(name for name, zone in site.zones.items() if zone.vanished)
        if lost != self._lost:
            self._lost = lost
            self._tools.lost(lost)
        auto = self._tools.policy().restore == "auto"
        for record in self._tools.store.of_kind(BY_ITSELF):
            if not (auto and lately(record, time.time())):
                self._tools.store.forget(BY_ITSELF, record.name)
        if auto:
            self._restore_lost()

    def _restore_lost(self) -> None:
        """By itself, but not what somebody had leave to delete, who may have been slow; nor again and again against
        somebody who deletes it again and again."""
        for name in self._lost:
            if not self._tools.store.one(KEPT, name) or self._tools.store.one(RESTORE, name) or self.permit(name):
                continue
            if self.used_up(name):
                if name not in self._said_used_up:
                    self._said_used_up.add(name)
                    self._tools.used_up(name)
                continue
            self._said_used_up.discard(name)
            now = time.time()
            at = [*lately(self._tools.store.one(BY_ITSELF, name), now), now]
            facts = {"at": " ".join(f"{each:.0f}" for each in at)}
            self._tools.store.remember(Record(BY_ITSELF, name, subject.gateway(name), "guard", facts))
            self.restore(name, "[guard] restore = auto")

    def used_up(self, name: str) -> bool:
        """It was restored by itself so often lately that somebody must ask now."""
        return self._tools.policy().restore == "auto" and often(self._tools.store.one(BY_ITSELF, name), time.time())

    def blind(self, error: str) -> None:
        pass

    def ended(self, outcome: Outcome) -> None:
        pass

    def queued(self, waiting: int, oldest_s: float, working: int) -> None:
        pass


def _who_loses(found: Collection[Dependent], zone: str, operation: str) -> tuple[Dependent, ...]:
    """Nobody depends on himself, and by a halt only those who run lose something."""
    return tuple(each for each in found if each.zone != zone and (operation != "halt" or each.state in _RUNNING))


def _refused_for(taken: Taken) -> Iterator[Attachment]:
    """NICs refused because of zones that are gone, and are not believed to be so yet: a zone was renamed, say."""
    owners = {f"zone {name}" for name in taken.missing_since_s}
    for name, attached in taken.site.attached.items():
        theirs = {refusal.object for refusal in attached.refusals if refusal.owner in owners}
        for each in taken.attached_alone[name][1].attachments if theirs else ():
            if theirs & {each.link, *(str(address.ip) for address in each.addresses)}:
                yield each


def _unread(taken: Taken, zone: str) -> list[str]:
    """Zones of which nobody can say where they are attached."""
    return sorted(
        name
        for name, each in taken.site.zones.items()
        if each.unread and name != zone and name not in taken.missing_since_s
    )
