"""Every running zone's restarter, and what the kernel tells them: a zone boots, a zone goes down."""

from __future__ import annotations

from collections.abc import Iterator
from weakref import WeakKeyDictionary

from lab.smf import (
    methods_of_the_lab,  # noqa: F401 -- registers them
)
from lab.smf.contracts import Contract
from lab.smf.restarter import Restarter, numbers
from lab.world import GLOBAL, KernelZone, World
from lab.zone_network import NO_NATIVE_USERLAND

_restarters: WeakKeyDictionary[World, dict[str, Restarter]] = WeakKeyDictionary()
_ctids: WeakKeyDictionary[World, Iterator[int]] = WeakKeyDictionary()


def boot(world: World, zone: KernelZone) -> None:
    """The zone's init has started: its enabled services follow, in the background. Call it without any lock."""
    if zone.brand in NO_NATIVE_USERLAND:
        return
    restarter = _make(world, zone)
    restarter.start()


def down(world: World, zone: KernelZone) -> None:
    """The zone's processes are about to be killed."""
    with world.lock:
        restarter = _restarters.get(world, {}).pop(zone.name, None)
    if restarter is not None:
        restarter.stop()


def restarter_of(world: World, zone: str) -> Restarter | None:
    """None when the zone has no repository that answers: it does not run, or has no native user land."""
    with world.lock:
        found = _restarters.get(world, {}).get(zone)
        if found is not None or zone != GLOBAL:
            return found
        made = _make(world, None)
    made.start()
    return made


def _make(world: World, zone: KernelZone | None) -> Restarter:
    with world.lock:
        ctids = _ctids.setdefault(world, numbers())
        restarter = Restarter(world, zone, ctids)
        _restarters.setdefault(world, {})[restarter.zone] = restarter
        return restarter


def contract(world: World, ctid: int, zone: str) -> Contract | None:
    """A contract as somebody in `zone` can name it: the global zone sees all."""
    with world.lock:
        known = list(_restarters.get(world, {}).values())
    for restarter in known:
        if zone in (GLOBAL, restarter.zone):
            found = restarter.contract(ctid)
            if found is not None:
                return found
    return None
