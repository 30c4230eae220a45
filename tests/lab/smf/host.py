"""Every running zone's restarter, and what the kernel tells them: a zone boots, a zone goes down."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

from lab.smf import (
    methods_of_the_lab,  # noqa: F401 -- registers them
)
from lab.smf.contracts import Contract
from lab.smf.delivered import ZONES
from lab.smf.restarter import Restarter, has_something_of_its_own, numbers
from lab.world import GLOBAL, KernelZone, World
from lab.zone_network import NO_NATIVE_USERLAND

_UNREADABLE_SECONDS = 60.0


@dataclass
class _Host:
    """The lab's restarters. A zone that runs nothing of its own has none before somebody asks: a host may run ten
    thousand zones.
    """

    restarters: dict[str, Restarter] = field(default_factory=dict)
    dormant: dict[str, tuple[KernelZone, float]] = field(default_factory=dict)  # zone -> its kernel object, boot time
    ctids: Iterator[int] = field(default_factory=numbers)


_hosts: WeakKeyDictionary[World, _Host] = WeakKeyDictionary()


def _host(world: World) -> _Host:
    """Call it with `World.lock` held."""
    return _hosts.setdefault(world, _Host())


def boot(world: World, zone: KernelZone) -> None:
    """The zone's init has started: its enabled services follow, in the background. Call it without any lock."""
    if zone.brand in NO_NATIVE_USERLAND:
        return
    with world.lock:
        if not has_something_of_its_own(world, zone):
            _host(world).dormant[zone.name] = zone, time.time()
            return
        restarter = _make(world, zone, time.time())
    restarter.pump()


def down(world: World, zone: KernelZone) -> None:
    """The zone's processes are about to be killed."""
    with world.lock:
        host = _host(world)
        host.dormant.pop(zone.name, None)
        restarter = host.restarters.pop(zone.name, None)
    if restarter is not None:
        restarter.stop()


def restarter_of(world: World, zone: str) -> Restarter | None:
    """None when the zone has no repository that answers: it does not run, or has no native user land."""
    with world.lock:
        host = _host(world)
        found = host.restarters.get(zone)
        if found is not None:
            return found
        sleeping, since = host.dormant.pop(zone, (None, time.time()))
        if sleeping is None and zone != GLOBAL:
            return None
        made = _make(world, sleeping, since)
    made.pump()
    return made


def _make(world: World, zone: KernelZone | None, since: float) -> Restarter:
    host = _host(world)
    restarter = Restarter(world, zone, host.ctids, since)
    restarter.start()
    host.restarters[restarter.zone] = restarter
    return restarter


def contract(world: World, ctid: int, zone: str) -> Contract | None:
    """A contract as somebody in `zone` can name it: the global zone sees all."""
    with world.lock:
        known = list(_host(world).restarters.values())
    for restarter in known:
        if zone in (GLOBAL, restarter.zone):
            found = restarter.contract(ctid)
            if found is not None:
                return found
    return None


def zones_stop_seconds(world: World) -> float:
    """The stop timeout of svc:/system/zones:default, 60 if it cannot be read [zones 3.6]; infinite when it has none."""
    known = restarter_of(world, GLOBAL)
    if known is None or ZONES not in known.instances:
        return _UNREADABLE_SECONDS
    with known.changed:
        seconds = float(known.instances[ZONES].word("stop", "timeout_seconds", str(_UNREADABLE_SECONDS)))
    return seconds if seconds > 0 else math.inf
