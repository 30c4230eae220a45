"""The kernel's side of a zone's life: its object, its status, and the events that announce each step [zones 2.1-2.3].

An event goes out *before* the status it announces is stored, and without the world's lock, so whoever asks at once may
see the old status: that is how the real one behaves.
"""

from __future__ import annotations

from collections.abc import Callable

from lab import datalinks, ip
from lab.smf import host as smf
from lab.world import KernelZone, Refused, Status, World
from lab.zonefiles import ZoneConfig

EVENT = {
    Status.UNINITIALIZED: "uninitialized",
    Status.INITIALIZED: "initialized",
    Status.READY: "ready",
    Status.BOOTING: "ready",
    Status.RUNNING: "running",
    Status.SHUTTING_DOWN: "shutting_down",
    Status.EMPTY: "shutting_down",
    Status.DOWN: "shutting_down",
    Status.DYING: "shutting_down",
    Status.DEAD: "uninitialized",
}


class KernelTrouble(Exception):
    """Creating or destroying failed half-way; the text is for zoneadmd to relay, "" if a hook has said enough."""


def advance(world: World, zone: KernelZone, status: Status) -> None:
    """Publish, then store."""
    world.channel.publish(zone.name, EVENT[status], EVENT[zone.status], zone.zoneid)
    with world.lock:
        zone.status = status


def create_kernel_zone(world: World, config: ZoneConfig) -> KernelZone:
    """A new incarnation with a new id, READY. Raises `Refused`; then nothing is left."""
    with world.lock:
        zone = KernelZone(config.name, world.new_zoneid(), config.brand, config.exclusive, config.zonepath)
        world.kernel_zones[config.name] = zone
    advance(world, zone, Status.INITIALIZED)
    try:
        world.floor.zone_create(zone, str(world.path(config.zonepath + "/root")))
    except Refused:
        advance(world, zone, Status.DEAD)
        _forget(world, zone)
        raise
    advance(world, zone, Status.READY)
    return zone


def start_init(world: World, zone: KernelZone, arguments: list[str], configure: Callable[[], None]) -> None:
    """BOOTING, then RUNNING. `configure` runs right before init: what the zone's own ipmgmtd does. Raises `Refused`."""
    advance(world, zone, Status.BOOTING)
    configure()
    world.floor.zone_start_init(zone, arguments)
    advance(world, zone, Status.RUNNING)
    smf.boot(world, zone)


def kill_processes(world: World, zone: KernelZone) -> None:
    """No more user processes; the status says SHUTTING_DOWN, then EMPTY. Repeating it is allowed."""
    if zone.status < Status.SHUTTING_DOWN:
        advance(world, zone, Status.SHUTTING_DOWN)
    if zone.status < Status.EMPTY:
        smf.down(world, zone)
        world.floor.zone_kill(zone)
        advance(world, zone, Status.EMPTY)


def destroy_kernel_zone(world: World, zone: KernelZone, halt_hook: Callable[[], bool]) -> None:
    """From any status to gone. Raises `KernelTrouble`; the zone then stays in shutting_down or down [zones 1.2]."""
    kill_processes(world, zone)
    if not halt_hook():
        raise KernelTrouble("")
    try:
        with world.lock:
            ip.drop_stack(world, zone.name)
            datalinks.give_back(world, zone.name)
    except Refused:
        raise KernelTrouble("datalinks remain in zone after shutdown") from None
    if zone.status < Status.DOWN:
        advance(world, zone, Status.DOWN)
    try:
        world.floor.zone_destroy(zone)
    except Refused as trouble:
        raise KernelTrouble(trouble.status) from None
    advance(world, zone, Status.DYING)
    advance(world, zone, Status.DEAD)
    _forget(world, zone)


def _forget(world: World, zone: KernelZone) -> None:
    with world.lock:
        if world.kernel_zones.get(zone.name) is zone:
            del world.kernel_zones[zone.name]
