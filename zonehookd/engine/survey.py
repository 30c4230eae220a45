"""Which zones there are, in what state, wired how: one `zoneadm list`, the index, and the XML files that changed.

The index alone says whether a zone exists (zones sheet 2.7): `zoneadm list` leaves out a zone whose XML it cannot read
and still exits 0 (3.3). A zone missing from the index is believed gone only when it was missing twice, `absence_s`
apart. A zone that cannot be read keeps everything it has.

zoneadm reads no file that is not valid by the host's DTD, though we may. So the file of a zone that the list leaves out
is validated, and no other: that costs nothing where all is well, and a DTD we misunderstand cuts nobody off.
"""

from __future__ import annotations

import contextlib
import gc
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from zonehookd.engine.attach import PROVISIONED, Attached, attach_zone
from zonehookd.engine.dependents import members
from zonehookd.engine.look import Look
from zonehookd.engine.on_links import on_links
from zonehookd.engine.pools import Lease, declared_pools
from zonehookd.engine.site import LINK, Claim, Site, settle
from zonehookd.errors import CannotObserve
from zonehookd.host.files import Stamp
from zonehookd.illumos import ipadm, zoneadm, zonedtd, zonefiles
from zonehookd.model.few import few
from zonehookd.model.gateway import GLOBAL, Declaration, Gateway
from zonehookd.model.record import ADDRESS, BY_ITSELF, KEPT, LET_GO, LINKED, PERMIT, permitted
from zonehookd.model.renamed import named_back, with_files
from zonehookd.model.route import ROUTE
from zonehookd.model.zone import Zone, ZoneConfig, ZoneState
from zonehookd.plugin.routing.book import routed

_NOTED = (BY_ITSELF, LET_GO, LINKED)  # records of a gateway that are nothing of its own
UNDECIDED = "missing from the zone index; looking again before believing it"  # a trouble of a zone
DELETED = "its configuration was deleted"  # how that of a gateway which is missed begins
_STATES = {state.value: state for state in ZoneState}


@dataclass(frozen=True, slots=True)
class _Read:
    """One XML file as last read. `config` None: `trouble` says why."""

    stamp: Stamp | None
    config: ZoneConfig | None
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Taken:
    """One survey. `changed`: zones that differ from the survey kept before. `again_after_s`: somebody went missing."""

    site: Site
    changed: frozenset[str]
    again_after_s: float | None
    read: Mapping[str, _Read]
    missing_since_s: Mapping[str, float]
    attached_alone: Mapping[str, tuple[ZoneConfig | None, Attached]]
    declared: Declaration
    leaving: frozenset[str] = frozenset()  # links that are still to go


class Survey:
    """Remembers the last survey kept, so that unchanged files are not read again and changes are seen."""

    def __init__(self, folder: Path, absence_s: float) -> None:
        self._folder = folder
        self._absence_s = absence_s
        self._last: Taken | None = None
        self._dtd: tuple[Stamp | None, zonedtd.Declared | None] = (None, None)  # as last read; None: not understood

    async def take(self, look: Look, declared: Declaration, now_s: float) -> Taken:
        """Raises CannotObserve when the index or the list cannot be had: then nothing may be concluded."""
        last = self._last
        listed = await look.ask(zoneadm.zones())
        indexed = self.indexed(look)  # after the list: what was deleted in between is then missing, not half there
        zones: dict[str, Zone] = {}
        read: dict[str, _Read] = {}
        with _no_collection():
            for name, line in indexed.items():
                read[name] = self._zone_file(look, name, last.read.get(name) if last else None, name in listed)
                zones[name] = _zone(line, listed.get(name), read[name])
        if GLOBAL in declared.gateways or any(owner.name == GLOBAL for owner in look.store.owners()):
            zones[GLOBAL] = Zone(GLOBAL, ZoneState.RUNNING, 0)
        missing = self._missing(look, zones, now_s)
        for name, since_s in missing.items():
            zones[name] = self._missing_zone(name, now_s - since_s)
        reuse = last.attached_alone if last and last.declared is declared else {}
        alone: dict[str, tuple[ZoneConfig | None, Attached]] = {}
        for name, zone in list(zones.items()):
            known = reuse.get(name)
            try:
                placed = known if known and known[0] is zone.config else (zone.config, attach_zone(zone, declared))
            except Exception as problem:
                # A bug that one zone's words bring out costs that zone, which keeps all it has, and no other's sight.
                zones[name] = replace(zone, config=None, trouble=f"cannot be placed: internal error: {problem!r}")
                placed = (None, Attached())
            alone[name] = placed
        while lost := await self._lost(look, declared, missing, zones, alone):
            zones.update(lost)  # and a gateway that is missed may itself be behind another
        changed = frozenset(name for name, zone in zones.items() if not last or last.site.zones.get(name) != zone)
        leaving = _still_leaving(look, alone)
        same = last is not None and last.declared is declared and last.leaving == leaving and not changed
        site = last.site if last is not None and same else None
        if site is None or site.zones.keys() != zones.keys() or _somebody_waits(site):
            held = last.site.claims if last else _on_record(look, declared)
            leases = _leases(look, declared, last.site if last else None)
            taken = await _of_the_host(look, declared)
            each_alone = {name: _without_the_gone(attached, leaving) for name, (_, attached) in alone.items()}
            unread = {name for name, zone in zones.items() if zone.config is None}
            routes = routed(look.store.of_kind(ROUTE), unread)
            site = settle(declared, zones, each_alone, held, leases, time.time(), taken, routes)
            changed |= _changed_neighbours(last.site if last else None, site)
        waiting = [since_s for name, since_s in missing.items() if not (zones[name].absent or zones[name].vanished)]
        return Taken(
            site,
            changed,
            min((max(0.0, since_s + self._absence_s - now_s) for since_s in waiting), default=None),
            read,
            missing,
            alone,
            declared,
            leaving,
        )

    def keep(self, taken: Taken) -> None:
        """Make `taken` what the next survey compares with. A dry run does not."""
        self._last = taken

    @property
    def index(self) -> Path:
        """The file that says which zones there are."""
        return self._folder / "index"

    @property
    def site(self) -> Site | None:
        return self._last.site if self._last else None

    @property
    def undecided(self) -> frozenset[str]:
        """Zones that were not in the index at the last look, and are not believed to be gone yet."""
        if self._last is None:
            return frozenset()
        missing = (self._last.site.zones[name] for name in self._last.missing_since_s)
        return frozenset(zone.name for zone in missing if not (zone.absent or zone.vanished))

    def is_current(self, look: Look, name: str) -> bool:
        """The last survey has read the configuration that this zone has now."""
        read = self._last.read.get(name) if self._last else None
        try:
            return bool(read and read.config and look.files.stamp(self._folder / f"{name}.xml") == read.stamp)
        except OSError:
            return False

    async def _lost(
        self,
        look: Look,
        declared: Declaration,
        missing: Collection[str],
        zones: Mapping[str, Zone],
        alone: Mapping[str, tuple[ZoneConfig | None, Attached]],
    ) -> Mapping[str, Zone]:
        """Gateways that are gone, and missed by others: by their configuration, else by a link on their network; or
        somebody cannot be read, and may miss them."""
        lost = {}
        for name in missing:
            gateway = declared.gateways.get(name)
            if gateway is None or not zones[name].absent or not is_kept(look, name):
                continue
            others = _behind(gateway, name, zones, alone)
            if not others:
                holders = self._last.site.holders if self._last else {}
                links = {network.link for network in gateway.networks.values()}
                found = await on_links(look, zones, holders, links, thorough=True)
                linked = {other for every in found.values() for other in every} - {name, GLOBAL}
                others = sorted(other for other in linked if other in zones and zones[other].depends)
            unread = () if others else [each for each in zones.values() if each.unread]
            if others or unread:
                there = (zone for other, zone in zones.items() if other not in missing)
                lost[name] = _vanished(name, others, unread, with_files(look.store.one(KEPT, name), there))
        return lost

    def indexed(self, look: Look) -> Mapping[str, zonefiles.Indexed]:
        """Which zones there are at this moment, by the index alone. Raises CannotObserve."""
        path = self.index
        text = look.read_file(path)
        if text is None:
            raise CannotObserve(f"{path} is missing", hint="a host with zones always has one; see [paths] zones")
        try:
            return zonefiles.parse_index(text)
        except ValueError as problem:
            raise CannotObserve(f"{path}: {problem}") from problem

    def _zone_file(self, look: Look, name: str, before: _Read | None, listed: bool) -> _Read:
        path = self._folder / f"{name}.xml"
        try:
            stamp = look.files.stamp(path)
            if before is not None and stamp is not None and stamp == before.stamp and listed:
                return before
            text = look.files.read(path, zonefiles.SIZE_MAX_BYTES)
            config = zonefiles.parse_zone(text)
            if not listed and (fault := self._fault(look, text)):
                return _Read(None, None, f"cannot read {path}: not valid by {zonedtd.DTD.name}: {fault}")
            return _Read(stamp, config)
        except (OSError, ValueError) as problem:
            stamp = before.stamp if before and before.config is None else None
            return _Read(stamp, None, f"cannot read {path}: {getattr(problem, 'strerror', None) or problem}")

    def _fault(self, look: Look, text: bytes) -> str | None:
        """What the host's DTD has against a zone's file. One that cannot be read or understood has nothing."""
        with contextlib.suppress(OSError, ValueError):
            stamp = look.files.stamp(zonedtd.DTD)
            if stamp is None or stamp != self._dtd[0]:
                self._dtd = (stamp, None)
                self._dtd = (stamp, zonedtd.declared(look.files.read(zonedtd.DTD, zonefiles.SIZE_MAX_BYTES)))
        return zonedtd.fault(text, self._dtd[1]) if self._dtd[1] is not None else None

    def _missing(self, look: Look, zones: Mapping[str, Zone], now_s: float) -> dict[str, float]:
        """Zones that were there before, or own something of ours, and are not in the index now: since when.
        Nobody waits for one that is noted alone: it was let go, or zones have links behind it."""
        before = {name for name, zone in self._last.site.zones.items() if not zone.absent} if self._last else set()
        noted = {record.owner for kind in _NOTED for record in look.store.of_kind(kind)}
        noted = {owner for owner in noted if all(record.kind in _NOTED for record in look.store.of(owner))}
        owners = {owner.name for owner in look.store.owners() - noted if owner.kind in ("zone", "gateway")} - {GLOBAL}
        since = self._last.missing_since_s if self._last else {}
        return {name: since.get(name, now_s) for name in sorted((before | owners) - zones.keys())}

    def _missing_zone(self, name: str, missing_s: float) -> Zone:
        if missing_s >= self._absence_s and (self._absence_s == 0 or missing_s > 0):
            return Zone(name, ZoneState.ABSENT)
        before = self._last.site.zones.get(name) if self._last else None
        return replace(before, trouble=UNDECIDED) if before else Zone(name, ZoneState.UNKNOWN, trouble=UNDECIDED)


@contextlib.contextmanager
def _no_collection() -> Iterator[None]:
    """Ten thousand parsed files are a million objects without a cycle among them: an eighth of the time of a first look
    went into looking for one."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _zone(line: zonefiles.Indexed, listed: zoneadm.Listed | None, read: _Read) -> Zone:
    if listed is not None:
        state, zoneid = listed.state, listed.zoneid
    else:  # made since the list was printed; or its XML is unreadable to zoneadm too, and the kernel may well have it
        state, zoneid = (_STATES.get(line.state, ZoneState.UNKNOWN) if read.config else ZoneState.UNKNOWN), None
    return Zone(line.name, state, zoneid, line.uuid, line.zonepath, read.config, read.trouble)


def _behind(
    gateway: Gateway, name: str, zones: Mapping[str, Zone], alone: Mapping[str, tuple[ZoneConfig | None, Attached]]
) -> list[str]:
    """Zones on the networks of a gateway whose zone is missing."""
    return sorted(
        other
        for other, (_, attached) in alone.items()
        if other not in (name, GLOBAL)
        and zones[other].depends
        and any(each.network.name in gateway.networks for each in members(attached.attachments))
    )


def is_kept(look: Look, name: str) -> bool:
    """It was there, its configuration is kept, and nobody was given leave to delete it."""
    return look.store.one(KEPT, name) is not None and not permitted(look.store.one(PERMIT, name), time.time())


def _vanished(name: str, others: list[str], unread: Sequence[Zone], renamed: Zone | None) -> Zone:
    """What is in trouble keeps its links, records and addresses, so all is there when it comes back. `renamed`: who has
    its files now."""
    who = f"zone {others[0]} depends" if len(others) == 1 else f"zones {few(others, 5)} depend"
    text = f"{DELETED} while {who} on it"
    if not others:
        text = f"{DELETED}; whether zone {unread[0].name} depends on it is not known: "
        text += unread[0].trouble
    back = f"zonehookctl guard restore {name}"
    if renamed is not None:
        back = f"if it was renamed: {named_back(name, renamed.name, renamed.state)}"
    hint = f"{back}; or, to let it go, zonehookctl guard permit {name} --for 10m --reason WHY"
    return Zone(name, ZoneState.UNKNOWN, trouble=f"{text} (hint: {hint})", vanished=True)


async def _of_the_host(look: Look, declared: Declaration) -> Mapping[Claim, str]:
    """The host's own addresses on an uplink out of whose range zones are given theirs."""
    uplinks = {network.link for network in declared.networks.values() if network.pool and not network.internal}
    if not uplinks:
        return {}
    found = await look.ask(ipadm.addresses())
    return {(each.interface, str(each.address.ip)): GLOBAL for each in found if each.interface in uplinks}


def _on_record(look: Look, declared: Declaration) -> Mapping[Claim, str]:
    """Before the first survey: who has which link and which address, as our books say."""
    claims = {(LINK, record.name): record.owner.name for record in look.store.all() if record.kind == "vnic"}
    for (network, address), lease in _leases(look, declared, None).items():
        if lease.freed_s is None:
            claims[(declared.networks[network].link, address)] = lease.zone
    return claims


def _leases(look: Look, declared: Declaration, before: Site | None) -> Mapping[tuple[str, str], Lease]:
    """(network, address) -> who has or had it: by the books, and by what was given and is not in them yet."""
    pools = declared_pools(declared)
    leases: dict[tuple[str, str], Lease] = {}
    for record in look.store.of_kind(ADDRESS) if pools else ():
        network, _, address = record.name.partition("/")
        if network in pools:
            freed = record.facts.get("freed")
            leases[(network, address)] = Lease(
                record.facts["zone"], record.facts["link"], float(freed) if freed else None
            )
    for name in pools if before is not None else ():
        assert before is not None
        for attachment in before.on_network.get(name, ()):
            for address_given in attachment.addresses:
                key = (name, str(address_given.ip))
                if key not in leases or leases[key].freed_s is not None:
                    leases[key] = Lease(attachment.zone, attachment.link)
    return leases


def _still_leaving(look: Look, alone: Mapping[str, tuple[ZoneConfig | None, Attached]]) -> frozenset[str]:
    """NICs that are to go and have not gone: our books have their link until then."""
    marked = ((name, attached) for name, (config, attached) in alone.items() if config and PROVISIONED in config.attrs)
    return frozenset(
        each.link
        for name, attached in marked
        for each in attached.attachments
        if each.leaving and (record := look.store.one("vnic", each.link)) and record.owner.name == name
    )


def _without_the_gone(attached: Attached, leaving: frozenset[str]) -> Attached:
    stay = tuple(each for each in attached.attachments if not each.leaving or each.link in leaving)
    return attached if len(stay) == len(attached.attachments) else replace(attached, attachments=stay)


def _somebody_waits(site: Site) -> bool:
    """For an address of a pool, which time alone may bring."""
    return any(refusal.code == "pool-exhausted" for each in site.attached.values() for refusal in each.refusals)


def _changed_neighbours(before: Site | None, now: Site) -> frozenset[str]:
    """Zones whose placing changed because of somebody else: the rival for an address came or went."""
    if before is None:
        return frozenset()
    return frozenset(name for name, attached in now.attached.items() if before.attached.get(name) != attached)
