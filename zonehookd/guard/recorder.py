"""Keeps the file true that answers while the daemon cannot: what the guard would say, by what was last seen."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from zonehookd.config import GuardSection
from zonehookd.engine.dependents import dependents
from zonehookd.engine.site import Site
from zonehookd.errors import CannotObserve
from zonehookd.guard import standing
from zonehookd.host.doors import Files
from zonehookd.model.gateway import GLOBAL
from zonehookd.model.guard import Dependent
from zonehookd.model.record import KEPT, LET_GO, PERMIT
from zonehookd.store.store import Store

OnLink = Mapping[str, Collection[str]]  # lower link -> zones
_PAUSE_S = 0.2  # between two writings
_VOUCH_S = 60.0  # so old the file may get while it stays true: its time says when all that was so


class Recorder:
    """`index`: where the host lists its zones. `see_links`: who has links on the etherstubs now, whoever made them; it
    may raise CannotObserve."""

    def __init__(
        self,
        store: Store,
        files: Files,
        path: Path,
        index: Path,
        policy: Callable[[], GuardSection],
        see_links: Callable[[Site], Awaitable[OnLink]],
    ) -> None:
        self._store = store
        self._files = files
        self._path = path
        self._index = index
        self._policy = policy
        self._see_links = see_links
        self._site: Site | None = None
        self._kept: Mapping[str, str] = {}  # gateway -> its zonepath, at the last look
        self._full = False
        self._changed = asyncio.Event()
        self._written = ""
        self._written_s = 0.0
        self._linked: OnLink | None = None

    def looked(self, site: Site, full: bool) -> None:
        kept = {record.name: record.facts.get("zonepath", "") for record in self._store.of_kind(KEPT)}
        if site is not self._site or kept != self._kept or full:  # who makes a link by hand tells nobody
            self._site, self._kept = site, kept  # kept by a step of the look before, which changes no site
            self._full = self._full or full
            self._changed.set()

    def changed(self) -> None:
        """A permit, or the policy."""
        self._changed.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            if self._site is not None:
                await self._see(self._site)
                text = self.text(self._site)
                with contextlib.suppress(OSError):  # the disk is full: tried again with the next change
                    old = time.monotonic() - self._written_s >= _VOUCH_S
                    if text != self._written or old or self._files.stamp(self._path) is None:
                        await asyncio.to_thread(self._files.write, self._path, text, 0o600)
                        self._written, self._written_s = text, time.monotonic()
            await asyncio.sleep(_PAUSE_S)

    async def _see(self, site: Site) -> None:
        """Links that others made are asked for at each full look; where the number of dependents will decide, at each
        change."""
        if not self._full and self._policy().without_daemon != "record":
            return
        self._full = False
        with contextlib.suppress(CannotObserve):  # then what was seen last stands
            self._linked = await self._see_links(site)

    def text(self, site: Site) -> str:
        """What is written."""
        on_link = self.on_link(site)
        lost = [name for name, zone in site.zones.items() if zone.vanished]
        gateways = {}
        for name in site.gateways:
            if name != GLOBAL:
                permit = self._store.one(PERMIT, name)
                until = float(permit.facts["until"]) if permit else 0.0
                unread = {zone.name: zone.trouble for zone in site.zones.values() if zone.unread and zone.name != name}
                found = dependents(site, name, on_link, lost, (), lost)
                if name in lost:
                    found = others(found, self.with_files_of(name, site))
                gateways[name] = standing.standing(found, until, unread, self._files_of(name))
                if name in lost:  # by its new name too: its files may be moved while nobody looks
                    named = replace(gateways[name], files="")
                    gateways |= dict.fromkeys(self.with_files_of(name, site), named)
        policy = self._policy()
        return standing.written(standing.Known(policy.without_daemon, policy.boot, gateways, str(self._index)))

    def with_files_of(self, gateway: str, site: Site) -> list[str]:
        """Other zones that have the files of a gateway that is gone: it was renamed."""
        kept = self._store.one(KEPT, gateway) or self._store.one(LET_GO, gateway)
        path = kept.facts.get("zonepath", "") if kept is not None else ""
        others = (zone for zone in site.zones.values() if path and zone.name != gateway)
        return sorted(zone.name for zone in others if zone.zonepath == path)

    def _files_of(self, gateway: str) -> str:
        kept = self._store.one(KEPT, gateway)
        return kept.facts.get("zonepath", "") if kept is not None else ""

    def on_link(self, site: Site) -> OnLink:
        """As last seen, or by our books."""
        if self._linked is not None:
            return self._linked
        on_link: dict[str, set[str]] = {}
        for record in self._store.of_kind("vnic"):
            zone = site.zones.get(record.owner.name) if record.owner.kind == "zone" else None
            if zone is None or "over" not in record.facts:
                continue
            if zone.config is None or zone.state.in_kernel or any(nic.link == record.name for nic in zone.config.nics):
                on_link.setdefault(record.facts["over"], set()).add(zone.name)
        return on_link


def others(found: Iterable[Dependent], renamed: Collection[str]) -> tuple[Dependent, ...]:
    """Without the gateway itself, by whatever name."""
    return tuple(each for each in found if each.zone not in renamed)
