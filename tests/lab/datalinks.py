"""The datalink management model: what dlmgmtd, the kernel's dls and libdladm do together [network 1, 2, 3, 8].

Every function expects `world.lock` to be held. The floor is asked before the data change, so a floor that refuses
leaves the data as they were. A refusal is `Refused` with the libdladm status text [network 2.2].
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable

from lab import datalink_conf
from lab.world import GLOBAL, Dialect, KernelZone, Link, LinkClass, NotEmulated, Refused, World

ETHERSTUB_MTU = 9000
MTU_MIN, MTU_MAX = 576, 9000  # [network 3.7]
NAME_MAX = 31  # MAXLINKNAMELEN less its NUL [network 1.1]
_NAME = re.compile(r"(?=.{2,31}\Z)[A-Za-z_.](?:[A-Za-z0-9_.]*[A-Za-z_.])?(?:0|[1-9][0-9]*)", re.ASCII)
_OCTET = re.compile(r"[0-9A-Fa-f]{1,2}", re.ASCII)
RANDOM_PREFIX = (0x2, 0x8, 0x20)  # [network 3.6]

Step = Callable[[], None]


def nothing() -> None:
    """The step of a caller that has no faults to inject."""


# names and addresses -------------------------------------------------------------------------------------------


def valid_name(name: str) -> bool:
    """The rule libdladm and dlmgmtd have coded [network 1.1]."""
    return _NAME.fullmatch(name) is not None


def parse_mac(text: str) -> str | None:
    """`text` as illumos prints it, or None when it is not six octets of one or two hex digits."""
    octets = text.split(":")
    if len(octets) != 6 or not all(_OCTET.fullmatch(octet) for octet in octets):
        return None
    return ":".join(f"{int(octet, 16):x}" for octet in octets)


def random_mac(prefix: tuple[int, ...] = RANDOM_PREFIX) -> str:
    """Not retried on a collision, like the kernel's [network 3.6]."""
    tail = secrets.token_bytes(6 - len(prefix))
    return ":".join(f"{octet:x}" for octet in (*prefix, *tail))


# looking -------------------------------------------------------------------------------------------------------


def lookup(world: World, name: str) -> Link | None:
    """The link of that name if it exists in the kernel, wherever it is on loan."""
    link = world.links.get(name)
    return link if link is not None and link.active else None


def visible(world: World, zone: str) -> list[Link]:
    """What a walk from `zone` meets, in datalink-id order: ghosts never, deactivated persistent links included.

    The global zone meets its own links, those on loan too; a zone meets those lent to it [network 2.6, 3.5].
    """
    links = world.links.values() if zone == GLOBAL else world.link_index.loans.get(zone, {}).values()
    return sorted((link for link in links if not link.ghost), key=lambda link: link.linkid)


def find(world: World, name: str, zone: str) -> Link | None:
    """Name to link as dlmgmtd answers a caller in `zone`: also ghosts and deactivated links."""
    if zone == GLOBAL:
        return world.links.get(name)
    return world.link_index.loans.get(zone, {}).get(name)


def plumbed_in(world: World, name: str, zone: str) -> bool:
    stack = world.stacks.get(zone)
    interface = stack.interfaces.get(name) if stack else None
    return interface is not None and interface.active


def plumbed_in_global(world: World, name: str) -> bool:
    return plumbed_in(world, name, GLOBAL)


def open_somewhere(world: World, link: Link) -> bool:
    """Open in the zone it is in: an IP interface, a sniffer, a virtual machine [network 3.1]."""
    return bool(link.holders) or plumbed_in(world, link.name, link.zone)


def carries(world: World, name: str) -> list[Link]:
    """The active links created over `name`."""
    return list(world.link_index.over.get(name, {}).values())


# the indexes and the file --------------------------------------------------------------------------------------


def _enter(world: World, link: Link) -> None:
    """`link` has come to life in the kernel."""
    world.links[link.name] = link
    if link.over:
        world.link_index.over.setdefault(link.over, {})[link.name] = link
        world.link_index.macs[link.over, link.mac, link.vid] = link.name


def _leave(world: World, link: Link) -> None:
    """`link` is gone from the kernel; its name may stay."""
    if link.over:
        world.link_index.over.get(link.over, {}).pop(link.name, None)
        world.link_index.macs.pop((link.over, link.mac, link.vid), None)
    _lend(world, link, GLOBAL)


def _lend(world: World, link: Link, zone: str) -> None:
    if link.zone != GLOBAL:
        world.link_index.loans.get(link.zone, {}).pop(link.name, None)
    link.zone = zone
    if zone != GLOBAL:
        world.link_index.loans.setdefault(zone, {})[link.name] = link


def store(world: World, link: Link) -> None:
    """Bring datalink.conf up to date with a persistent `link`."""
    datalink_conf.put(world, link)


# creation and deletion -----------------------------------------------------------------------------------------


def check_name_free(world: World, name: str) -> None:
    """Raises `Refused` when dlmgmtd would not reserve `name`."""
    held = world.links.get(name)
    if held is None:
        return
    if held.zone != GLOBAL and not _loans_are_checked(world):
        raise NotEmulated(
            f"a second link named {name!r} while the first is on loan to zone {held.zone!r}: "
            "this illumos would allow it and dlmgmtd would abort later [network 3.5]"
        )
    raise Refused("object already exists")


def _loans_are_checked(world: World) -> bool:
    return world.dialect is Dialect.OMNIOS


def create(world: World, link: Link, operate: Step = nothing, half_way: Step = nothing) -> None:
    """Reserve the name, then create in the kernel, then write the file: the order of dladm_vnic_create [network 8.3].

    `link` carries what was asked for; its id, MTU and creation time are filled in here. A kill in `half_way` leaves
    the name as a ghost. Raises `Refused`.
    """
    lower = lookup(world, link.over) if link.over else None
    if link.over:
        if lower is None:
            raise Refused("object not found")
        if lower.klass is LinkClass.VNIC:
            raise Refused("invalid argument")
        if link.persistent and not lower.persistent:
            raise Refused("can't create persistent object on top of temporary object")
    check_name_free(world, link.name)
    link.linkid = world.new_linkid()
    world.links[link.name] = Link(link.name, link.linkid, link.klass, persistent=False, active=False, ghost=True)
    half_way()
    try:
        operate()
        _create_in_kernel(world, link, lower)
    except (Refused, NotEmulated):
        del world.links[link.name]
        raise
    if link.persistent:
        store(world, link)


def _create_in_kernel(world: World, link: Link, lower: Link | None) -> None:
    if lower is None:
        link.mtu = ETHERSTUB_MTU
        world.floor.create_etherstub(link)
    else:
        _check_mac(world, link, lower)
        link.mtu = lower.mtu
        world.floor.create_vnic(link, lower)
    link.active = True
    link.created_ns = time.monotonic_ns()
    _enter(world, link)


def _check_mac(world: World, link: Link, lower: Link) -> None:
    """[network 2.5, 3.6]"""
    octets = [int(octet, 16) for octet in link.mac.split(":")]
    if octets[0] & 1 or not any(octets):
        raise Refused("invalid MAC address value")
    if link.mac == lower.mac:
        raise Refused("MAC address reserved for use by underlying data-link")
    if (lower.name, link.mac, link.vid) in world.link_index.macs:
        raise Refused("MAC address is already in use")


def delete(
    world: World, link: Link, active_only: bool = False, operate: Step = nothing, half_way: Step = nothing
) -> None:
    """Delete a VNIC or an etherstub: the active half, then, unless `active_only`, the persistent one [network 2.5].

    A kill in `half_way` leaves the persistent half. Raises `Refused`.
    """
    if link.ghost:
        # The name of a ghost stays until reboot, whatever is said [network 8.3].
        if active_only:
            raise Refused("object not found")
        return
    if not link.active and active_only:
        raise Refused("object not found")
    if link.active:
        if link.zone != GLOBAL or open_somewhere(world, link) or carries(world, link.name):
            raise Refused("link busy")
        operate()
        _destroy(world, link)
        half_way()
    if not link.persistent:
        world.links.pop(link.name, None)
    elif not active_only:
        datalink_conf.remove(world, link.name)
        del world.links[link.name]


def _destroy(world: World, link: Link) -> None:
    world.floor.delete_link(link)
    _leave(world, link)
    link.active = False
    link.props.clear()


def rename(world: World, link: Link, new: str, operate: Step = nothing) -> None:
    """The name in the kernel, in the file, and in what lies over it [network 2.9]. Raises `Refused`."""
    if not valid_name(new):
        raise Refused("invalid argument")
    check_name_free(world, new)
    if not link.active:
        raise NotEmulated(f"renaming {link.name!r}, which is not active [network 2.9, 8.3]")
    if link.zone != GLOBAL or open_somewhere(world, link):
        raise Refused("link busy")
    operate()
    world.floor.rename_link(link, new)
    old = link.name
    uppers = [upper for upper in world.links.values() if upper.over == old]
    lying_over = carries(world, old)
    for upper in lying_over:
        _leave_index_only(world, upper)
    _leave_index_only(world, link)
    del world.links[old]
    if link.persistent:
        datalink_conf.remove(world, old)
    link.name = new
    _enter(world, link)
    if link.persistent:
        store(world, link)
    for upper in uppers:
        upper.over = new
        if upper.active:
            _enter_index_only(world, upper)
        if upper.persistent:
            store(world, upper)


def _leave_index_only(world: World, link: Link) -> None:
    world.link_index.over.get(link.over, {}).pop(link.name, None)
    world.link_index.macs.pop((link.over, link.mac, link.vid), None)


def _enter_index_only(world: World, link: Link) -> None:
    world.link_index.over.setdefault(link.over, {})[link.name] = link
    world.link_index.macs[link.over, link.mac, link.vid] = link.name


# zones ---------------------------------------------------------------------------------------------------------


def assign(world: World, link: Link, zone: KernelZone | None) -> None:
    """Move `link` into `zone`, or back to the global zone (None) [network 3.1].

    Raises `Refused`: ``object not found`` (no such link in the kernel), ``invalid value`` (shared-IP zone),
    ``link busy`` (open where it is, links over it, or on loan to another zone).
    """
    if not link.active:
        raise Refused("object not found")
    target = GLOBAL if zone is None else zone.name
    if link.zone == target:
        return
    if zone is not None and not zone.exclusive:
        raise Refused("invalid value")
    if zone is not None and link.klass is LinkClass.ETHERSTUB:
        raise NotEmulated(f"an etherstub ({link.name}) in a zone")
    if open_somewhere(world, link) or carries(world, link.name) or (zone is not None and link.zone != GLOBAL):
        raise Refused("link busy")
    world.floor.move_link(link, zone)
    _lend(world, link, target)


def give_back(world: World, zone: str) -> None:
    """The zone's stack is gone: its links return to the global zone, transient ones are destroyed [network 3.3].

    What zoneadmd had set, or anybody else, is cleared: protection, allowed-ips, pool.
    """
    from lab import fence

    for link in list(world.link_index.loans.get(zone, {}).values()):
        for name in ("protection", "allowed-ips", "pool"):
            link.props.pop(name, None)
        fence.apply(world, link)
        world.floor.move_link(link, None)
        _lend(world, link, GLOBAL)
        link.holders.clear()
        if link.transient:
            _destroy(world, link)
            del world.links[link.name]
    world.link_index.loans.pop(zone, None)


# boot of the host ----------------------------------------------------------------------------------------------


def up(world: World, names: list[str] | None = None) -> None:
    """`dladm up-vnic`: what is persistent and not active comes to life, stubs first [network 1.2].

    Quiet about what cannot: a VNIC whose lower link is missing stays down.
    """
    from lab import linkprops

    waiting = [link for link in world.links.values() if not link.active and link.persistent and not link.ghost]
    for link in sorted(waiting, key=lambda link: bool(link.over)):
        if names is not None and link.name not in names:
            continue
        lower = lookup(world, link.over) if link.over else None
        if link.over and lower is None:
            continue
        try:
            _create_in_kernel(world, link, lower)
        except Refused:
            continue
        linkprops.apply_stored(world, link)


def load(world: World) -> None:
    """A host has just booted: bring up what datalink.conf says, beside the physical links that are there."""
    from lab import linkprops

    for link in datalink_conf.read(world):
        present = world.links.get(link.name)
        if link.klass is not LinkClass.PHYS:
            link.linkid = world.new_linkid()
            link.active = False
            world.links[link.name] = link
        elif present is not None:
            present.stored_props = link.stored_props
            linkprops.apply_stored(world, present)
    up(world)


def reboot(world: World) -> None:
    """The host's links after a reboot: temporary ones and ghosts are gone, stored properties hold, zones have nothing.

    The zones must have been halted before, and the global zone's interfaces taken down (`ip.shut_down`).
    """
    from lab import fence

    for link in sorted(world.links.values(), key=lambda link: not link.over):
        if link.active:
            if link.zone != GLOBAL:
                world.floor.move_link(link, None)
                _lend(world, link, GLOBAL)
            link.props.clear()
            fence.apply(world, link)
            link.holders.clear()
            if link.klass is not LinkClass.PHYS:
                _destroy(world, link)
    world.links = {name: link for name, link in world.links.items() if link.klass is LinkClass.PHYS}
    world.link_index.over.clear()
    world.link_index.macs.clear()
    world.link_index.loans.clear()
    load(world)
