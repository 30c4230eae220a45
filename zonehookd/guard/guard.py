"""May this be done to that zone? Asked anew each time: one survey and one list of VNICs, then a pure answer."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from zonehookd.config import GuardSection
from zonehookd.engine.dependents import dependents, permitted
from zonehookd.engine.look import Look
from zonehookd.engine.on_links import on_links
from zonehookd.engine.site import Site
from zonehookd.engine.survey import Survey, Taken, is_kept
from zonehookd.errors import CannotObserve, ZonehookError
from zonehookd.guard import standing
from zonehookd.host.doors import Files
from zonehookd.illumos import smf
from zonehookd.model import subject
from zonehookd.model.attachment import Attachment
from zonehookd.model.event import Event
from zonehookd.model.gateway import GLOBAL, Declaration
from zonehookd.model.guard import OPERATIONS, Dependent, Verdict
from zonehookd.model.outcome import Outcome
from zonehookd.model.record import KEPT, PERMIT, RESTORE, Record
from zonehookd.model.subject import Subject
from zonehookd.store.store import Store

ZONES_SERVICE = "svc:/system/zones:default"  # its stop method halts every zone (zones sheet 3.11)
KEEPER = "keeper"  # the plugin that keeps configurations and restores them
_RUNNING = ("running", "ready", "shutting_down", "mounted")
_PAUSE_S = 0.2  # between two writings of the standing file
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
    """What of the daemon the guard needs. `heard` is told every verdict, `lost` how many gateways have vanished."""

    dispatcher: Heart
    make_look: Callable[[], Look]
    store: Store
    files: Files
    state: Path
    policy: Callable[[], GuardSection]
    heard: Callable[[Verdict], None]
    lost: Callable[[Collection[str]], None]


class Guard:
    """A Listener: it writes down what it would say, for the time when nobody can be asked."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._site: Site | None = None
        self._begun = asyncio.Event()  # what is declared is known
        self._changed = asyncio.Event()
        self._written = ""
        self._lost: frozenset[str] = frozenset()
        self._linked: Mapping[str, Collection[str]] | None = None  # lower link -> zones, as last seen

    # -- asking

    def begin(self) -> None:
        """What is declared is known now. Until then only the record of the last daemon can answer."""
        self._begun.set()

    async def check(self, zone: str, operation: str) -> Verdict:
        """Never raises for what it cannot see: an uninstall is refused then, a halt never is. Raises ZonehookError: no
        such operation."""
        if operation not in OPERATIONS:
            raise ZonehookError(f"there is no operation {operation!r}", hint=f"one of {', '.join(OPERATIONS)}")
        try:
            async with asyncio.timeout(_ANSWER_MAX_S):
                await self._begun.wait()
                verdict = await self._check(zone, operation)
        except (CannotObserve, TimeoutError) as problem:
            if self._begun.is_set():
                verdict = self._blind(zone, operation, str(problem) or "the host did not answer in time")
            else:
                verdict = standing.alone(self._tools.state / standing.NAME, zone, operation, time.time())
        self._tools.heard(verdict)
        return verdict

    async def _check(self, zone: str, operation: str) -> Verdict:
        gateway = await self._known_as(zone) if operation != "halt" else zone
        allowed = self._without_a_look(gateway, operation)
        if allowed is not None:
            return replace(allowed, zone=zone)
        if operation == "halt" and await self.zones_are_stopping():
            return Verdict(zone, operation, True, "not-guarded", f"the host stops its zones, {zone} with them")
        taken, found = await self.who(gateway)
        found = tuple(each for each in found if each.zone != zone)
        if operation == "halt":
            found = tuple(each for each in found if each.state in _RUNNING)
        if permitted(self.permit(gateway), time.time()):
            return Verdict(zone, operation, True, "permitted", f"{operation} of zone {zone} is permitted", found)
        hint = f"move or delete them first; or zonehookctl guard permit {gateway} --for 10m --reason WHY"
        if found:
            whose = f"gateway zone {zone}" if zone == gateway else f"zone {zone}, which is gateway {gateway} renamed,"
            text = f"{operation} of {whose} is refused: zones depend on it"
            return Verdict(zone, operation, False, "dependents", text, found, hint)
        unread = [] if operation == "halt" else _unread(taken, zone)
        if unread:
            text = (
                f"{operation} of gateway zone {zone} is refused: whether zone {unread[0]} depends on it is not known: "
                f"{taken.site.zones[unread[0]].trouble}"
            )
            return Verdict(zone, operation, False, "cannot-look", text, hint=hint)
        nobody = "no zone that runs" if operation == "halt" else "no zone"
        return Verdict(zone, operation, True, "no-dependents", f"{nobody} depends on zone {zone}")

    async def _known_as(self, zone: str) -> str:
        """The declared gateway that this zone is: by its name, or renamed since, by its files. Raises CannotObserve."""
        dispatcher = self._tools.dispatcher
        paths = {
            record.facts.get("zonepath", ""): record.name
            for record in self._tools.store.of_kind(KEPT)
            if record.name in dispatcher.declared.gateways
        }
        if zone in dispatcher.declared.gateways or not paths:
            return zone
        taken = await dispatcher.survey.take(self._tools.make_look(), dispatcher.declared, time.monotonic())
        here = taken.site.zones.get(zone)
        name = paths.get(here.zonepath) if here is not None and here.zonepath else None
        return name if name is not None and name in taken.missing_since_s else zone

    def _without_a_look(self, zone: str, operation: str) -> Verdict | None:
        """Most zones are nobody's gateway, and most hosts let gateways halt: these questions cost nothing."""
        if zone not in self._tools.dispatcher.declared.gateways or zone == GLOBAL:
            return Verdict(zone, operation, True, "not-guarded", f"zone {zone} is no declared gateway")
        if operation == "halt" and self._tools.policy().halt == "allow":
            return Verdict(zone, operation, True, "not-guarded", "[guard] halt allows it")
        return None

    @staticmethod
    def _blind(zone: str, operation: str, why: str) -> Verdict:
        if operation == "halt":
            return Verdict(zone, operation, True, "cannot-look", f"a halt is not held up: {why}")
        text = f"{operation} of zone {zone} is refused: who depends on it cannot be seen now: {why}"
        hint = f"try again; or zonehookctl guard permit {zone} --for 10m --reason WHY"
        return Verdict(zone, operation, False, "cannot-look", text, hint=hint)

    async def who(self, gateway: str) -> tuple[Taken, tuple[Dependent, ...]]:
        """A survey of this moment, and who depends on `gateway` by it. Raises CannotObserve."""
        taken, found = await self.who_of([gateway])
        return taken, found[gateway]

    async def who_of(self, gateways: Collection[str]) -> tuple[Taken, Mapping[str, tuple[Dependent, ...]]]:
        """The same of many gateways, by one survey and one list of links."""
        dispatcher = self._tools.dispatcher
        look = self._tools.make_look()
        taken = await dispatcher.survey.take(look, dispatcher.declared, time.monotonic())
        on_link = await self._on_links(look, taken.site)
        gone = taken.missing_since_s.keys()
        refused = list(_refused_for(taken)) if gone else ()
        missed = [name for name in gone if is_kept(look, name)]
        return taken, {each: dependents(taken.site, each, on_link, gone, refused, missed) for each in gateways}

    @staticmethod
    async def _on_links(look: Look, site: Site) -> Mapping[str, Collection[str]]:
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
        self._tools.store.remember(Record(PERMIT, name, owner, "guard", facts))
        self._changed.set()
        self._tools.dispatcher.hint(Event("guard", "permit", everything=True))
        return until

    def _drop_ended(self, site: Site) -> None:
        """Permits whose time is over, or that were for a gateway which is gone by now: another one of its name has
        none."""
        now = time.time()
        for record in self._tools.store.of_kind(PERMIT):
            zone = site.zones.get(record.name)
            gone = (zone is None or zone.absent) and self._tools.store.one(KEPT, record.name) is None
            if not permitted(record, now) or (record.owner.kind == "gateway" and gone):
                self._tools.store.forget(PERMIT, record.name)
                self._changed.set()

    def restore(self, zone: str, why: str) -> None:
        """Plugin keeper does it, at the next look."""
        record = Record(RESTORE, zone, subject.gateway(zone), KEEPER, {"why": why})
        self._tools.store.remember(record)
        self._tools.dispatcher.hint(Event("guard", "restore", everything=True))

    # -- Listener

    def hinted(self, event: Event, new: bool) -> None:
        pass

    def looked(self, site: Site, seconds: float, full: bool, planned: int, unannounced: int) -> None:
        self._drop_ended(site)
        if site is not self._site or full:  # who makes a link by hand tells nobody
            self._site = site
            self._changed.set()
        lost = frozenset(name for name, zone in site.zones.items() if zone.vanished)
        if lost != self._lost:
            self._lost = lost
            self._tools.lost(lost)
        if self._tools.policy().restore == "auto":
            for name in lost:
                if self._tools.store.one(KEPT, name) and not self._tools.store.one(RESTORE, name):
                    self.restore(name, "[guard] restore = auto")

    def blind(self, error: str) -> None:
        pass

    def ended(self, outcome: Outcome) -> None:
        pass

    def queued(self, waiting: int, oldest_s: float, working: int) -> None:
        pass

    # -- the standing file

    def refresh(self) -> None:
        """The policy may have changed."""
        self._changed.set()

    async def run(self) -> None:
        """Keeps the standing file true, until cancelled."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            if self._site is not None:
                await self._see_links(self._site)
                text = self.standing(self._site)
                with contextlib.suppress(OSError):  # the disk is full: tried again with the next change
                    path = self._tools.state / standing.NAME
                    if text != self._written or self._tools.files.stamp(path) is None:
                        await asyncio.to_thread(self._tools.files.write, path, text, 0o600)
                        self._written = text
            await asyncio.sleep(_PAUSE_S)

    async def _see_links(self, site: Site) -> None:
        """Links that others made are asked for only where the number of dependents will decide."""
        if self._tools.policy().without_daemon != "record":
            self._linked = None
            return
        with contextlib.suppress(CannotObserve):  # then what was seen last stands
            self._linked = await self._on_links(self._tools.make_look(), site)

    def standing(self, site: Site) -> str:
        on_link = self._linked if self._linked is not None else self._by_our_books(site)
        lost = [name for name, zone in site.zones.items() if zone.vanished]
        gateways = {}
        for name in site.gateways:
            if name != GLOBAL:
                permit = self.permit(name)
                until = float(permit.facts["until"]) if permit else 0.0
                unread = [
                    zone for zone in site.zones.values() if zone.trouble and not zone.vanished and zone.name != name
                ]
                found = dependents(site, name, on_link, lost, (), lost)
                gateways[name] = standing.standing(found, until, {zone.name: zone.trouble for zone in unread})
                if name in lost:
                    gateways |= dict.fromkeys(self.with_files_of(name, site), gateways[name])
        policy = self._tools.policy()
        return standing.written(standing.Known(policy.without_daemon, policy.boot, gateways))

    def with_files_of(self, gateway: str, site: Site) -> list[str]:
        """Zones that have the files of a gateway that is missed: it was renamed."""
        kept = self._tools.store.one(KEPT, gateway)
        path = kept.facts.get("zonepath") if kept is not None else None
        return sorted(zone.name for zone in site.zones.values() if path and zone.zonepath == path) if path else []

    def _by_our_books(self, site: Site) -> Mapping[str, Collection[str]]:
        on_link: dict[str, set[str]] = {}
        for record in self._tools.store.of_kind("vnic"):
            zone = site.zones.get(record.owner.name) if record.owner.kind == "zone" else None
            if zone is None or "over" not in record.facts:
                continue
            if zone.config is None or zone.state.in_kernel or any(nic.link == record.name for nic in zone.config.nics):
                on_link.setdefault(record.facts["over"], set()).add(zone.name)
        return on_link


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
        if each.trouble and not each.vanished and name != zone and name not in taken.missing_since_s
    )
