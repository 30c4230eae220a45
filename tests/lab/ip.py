"""IP stacks: interfaces, addresses and protocol properties, as ipadm and each stack's ipmgmtd have them [network 4].

Every function expects `world.lock` to be held and asks the floor before the data change. A refusal is `Refused` with
the libipadm status text [network 4.5]. Routes are in `lab.routes`.
"""

from __future__ import annotations

import ipaddress

from lab import datalinks, ipadm_conf
from lab.datalinks import Step, nothing
from lab.ipfilter.state import OWN
from lab.world import (
    GLOBAL,
    Address,
    Interface,
    KernelZone,
    Link,
    LinkClass,
    NotEmulated,
    Refused,
    Stack,
    World,
    loopback,
)

FAMILY = {"ipv4": 4, "ipv6": 6}
ON_TEMPORARY = "Persistent operation on temporary object"
FROM_GZ = "Operation not permitted on from-gz interface"
NO_INTERFACE = "Interface does not exist"


# stacks -------------------------------------------------------------------------------------------------------------


def kernel_zone(world: World, zone: str) -> KernelZone | None:
    """How the floor names the stack of `zone`."""
    return None if zone == GLOBAL else world.kernel_zones[zone]


def stack_of(world: World, zone: str) -> Stack:
    """The stack that programs in `zone` see."""
    if zone != GLOBAL and not world.kernel_zones[zone].exclusive:
        raise NotEmulated(f"the view of a shared-IP zone ({zone!r}) on the global zone's stack")
    return world.stacks.setdefault(zone, Stack(zone, {"lo0": loopback()}))


def drop_stack(world: World, zone: str) -> None:
    """The zone's kernel object goes, its stack with it; its links stay, to be given back."""
    from lab import dhcp

    dhcp.stop(world, zone)
    world.stacks.pop(zone, None)


def shut_down(world: World) -> None:
    """Shutdown of the host: the global zone's stack goes."""
    from lab import dhcp

    dhcp.stop(world, GLOBAL)
    for name in list(world.stacks[GLOBAL].interfaces):
        if name != "lo0":
            world.floor.unplumb(None, name)
    stack = world.stacks[GLOBAL] = Stack(GLOBAL, {"lo0": loopback()})
    world.floor.packets.load(None, OWN, stack.ipf)


# interfaces ---------------------------------------------------------------------------------------------------------


def create_interface(world: World, zone: str, name: str, persistent: bool, operate: Step = nothing) -> Interface:
    """Plumb both families on the datalink `name` [network 4.2]. Raises `Refused`."""
    stack = stack_of(world, zone)
    if name in stack.interfaces:
        raise Refused("Interface already exists")
    link = _datalink(world, zone, name)
    if persistent and not link.persistent:
        raise Refused(ON_TEMPORARY)
    operate()
    interface = Interface(name, persistent=persistent)
    world.floor.plumb(kernel_zone(world, zone), name)
    stack.interfaces[name] = interface
    for proto, family in FAMILY.items():
        if stack.props.get(("forwarding", proto)) == "on":  # new interfaces inherit it [network 4.4]
            world.floor.set_forwarding(kernel_zone(world, zone), interface, family, True)
            interface.props["forwarding", proto] = "on"
    if persistent:
        ipadm_conf.save(world, stack)
    return interface


def _datalink(world: World, zone: str, name: str) -> Link:
    link = datalinks.lookup(world, name)
    if link is not None and zone == GLOBAL and link.zone != GLOBAL:
        raise Refused("Interface already in use")
    if link is None or link.zone != zone or link.klass is LinkClass.ETHERSTUB:
        raise Refused("Could not open DLPI link")
    return link


def find_interface(world: World, zone: str, name: str) -> Interface:
    """Raises `Refused` when there is none."""
    interface = stack_of(world, zone).interfaces.get(name)
    if interface is None:
        raise Refused(NO_INTERFACE)
    return interface


def is_from_gz(interface: Interface) -> bool:
    """Configured by the net resource's allowed-address: the zone may not change it."""
    return any(address.kind == "from-gz" for address in interface.addresses.values())


def delete_interface(world: World, zone: str, name: str, operate: Step = nothing) -> None:
    """Active and persistent, with all addresses and the routes through it. Raises `Refused`."""
    from lab import autoconf, dhcp, routes

    stack = stack_of(world, zone)
    interface = find_interface(world, zone, name)
    if name == "lo0":
        raise NotEmulated("taking lo0 away")
    if is_from_gz(interface):
        raise Refused(FROM_GZ)
    operate()
    dhcp.stop(world, zone, name)
    autoconf.stop(world, zone, interface)
    world.floor.unplumb(kernel_zone(world, zone), name)
    routes.forget(world, stack, lambda route: route.interface == name)
    del stack.interfaces[name]
    ipadm_conf.save(world, stack)


# addresses ----------------------------------------------------------------------------------------------------------


def split_object(text: str) -> tuple[str, str] | None:
    """``IF/NAME`` as (interface, name); None when libipadm would not take it [network 4.3]."""
    interface, slash, name = text.partition("/")
    good = slash and interface and len(text) < 64 and len(name) <= 31
    if not good or not (name.isascii() and name.isalnum() and name[0].isalpha()):
        return None
    return interface, name


def full_address(text: str) -> str:
    """ADDR/LEN; without a length the class's default, for IPv6 64 [network 4.3]. Raises `Refused`."""
    try:
        if "/" not in text:
            bare = ipaddress.ip_address(text)
            return f"{bare}/{64 if bare.version == 6 else _class_length(int(bare) >> 24)}"
        return str(ipaddress.ip_interface(text))
    except ValueError:
        raise Refused("Invalid address") from None


def _class_length(first_octet: int) -> int:
    return 8 if first_octet < 128 else 16 if first_octet < 192 else 24


def link_local(link: Link) -> str:
    """The EUI-64 address of `link`, scope and all [network 4.3]."""
    octets = [int(octet, 16) for octet in link.mac.split(":")]
    identifier = bytes([octets[0] ^ 2, *octets[1:3], 0xFF, 0xFE, *octets[3:]])
    return f"{ipaddress.IPv6Address(bytes([0xFE, 0x80, *[0] * 6]) + identifier)}%{link.name}/10"


def version(address: str) -> int:
    return 6 if ":" in address else 4


def bare(address: str) -> str:
    """Without scope and length."""
    return address.partition("/")[0].partition("%")[0]


def create_address(
    world: World,
    zone: str,
    name: str,
    kind: str,
    text: str,
    persistent: bool,
    down: bool = False,
    operate: Step = nothing,
    half_way: Step = nothing,
    request_host: str = "",
    stateless: bool = True,
) -> None:
    """The address object `name` (IF/NAME), `kind` static, addrconf or dhcp [network 4.3]; plumbs when needed.

    The lease of a dhcp one comes later. A kill in `half_way` leaves the name taken and nothing behind it.
    Raises `Refused`.
    """
    from lab import autoconf, dhcp

    stack = stack_of(world, zone)
    where = name.partition("/")[0]
    interface = stack.interfaces.get(where)
    if interface is not None and name in interface.addresses:
        raise Refused("Address object already exists")
    if interface is not None and is_from_gz(interface):
        raise Refused(FROM_GZ)
    if interface is not None and persistent and not interface.persistent:
        raise Refused(ON_TEMPORARY)
    plumbed_here = interface is None
    if interface is None:
        interface = create_interface(world, zone, where, persistent)
    try:
        address = link_local(_datalink(world, zone, where)) if kind == "addrconf" else text
        _check_free(stack, interface, kind, address)
        state = "down" if down else "ok"
        made = Address(name, kind, address, state, persistent, request_host=request_host, stateless=stateless)
        interface.addresses[name] = Address(name, kind, "", "reserved", persistent=False, active=False)
        half_way()
        try:
            operate()
            if kind == "dhcp":
                dhcp.start(world, zone, interface, made)
            elif not down:
                if kind == "addrconf" and stateless:
                    autoconf.listen(world, zone, where)
                world.floor.add_address(kernel_zone(world, zone), where, _unscoped(address))
        except (Refused, NotEmulated):
            del interface.addresses[name]
            raise
    except (Refused, NotEmulated):
        if plumbed_here:
            delete_interface(world, zone, where)
        raise
    interface.addresses[name] = made
    if persistent:
        ipadm_conf.save(world, stack)


def _check_free(stack: Stack, interface: Interface, kind: str, address: str) -> None:
    if kind == "dhcp":
        if any(taken.kind == "dhcp" for taken in interface.addresses.values()):
            raise NotEmulated(f"two DHCP clients on {interface.name} [network 4.3]")
        return
    for other in stack.interfaces.values():
        for taken in other.addresses.values():
            if taken.active and bare(taken.address) == bare(address) and (kind == "static" or other is interface):
                raise Refused("Address already in use" if kind == "static" else "Addrconf already in progress")
    local = any(taken.kind == "addrconf" for taken in interface.addresses.values())
    if kind == "static" and version(address) == 6 and not local:
        raise NotEmulated("ipadm's refusal of a static IPv6 address before an addrconf one [network 4.3]")


def _unscoped(address: str) -> str:
    return f"{bare(address)}/{address.partition('/')[2]}"


def find_address(world: World, zone: str, name: str) -> tuple[Interface, Address]:
    """Raises `Refused`."""
    interface = stack_of(world, zone).interfaces.get(name.partition("/")[0])
    if interface is None or name not in interface.addresses:
        raise Refused("Object not found")
    return interface, interface.addresses[name]


def delete_address(world: World, zone: str, name: str, release: bool = False, operate: Step = nothing) -> None:
    """Active and persistent, with the routes that only it made reachable; a DHCP client ends. Raises `Refused`."""
    from lab import autoconf, dhcp

    interface, address = find_address(world, zone, name)
    if address.kind == "from-gz":
        raise Refused(FROM_GZ)
    operate()
    if address.kind == "dhcp":
        dhcp.stop(world, zone, interface.name, release)
    elif address.kind == "addrconf":
        autoconf.stop(world, zone, interface)
    take_down(world, zone, interface, address)
    del interface.addresses[name]
    ipadm_conf.save(world, stack_of(world, zone))


def set_address_up(world: World, zone: str, name: str, up: bool, persistent: bool, operate: Step = nothing) -> None:
    """`up-addr` and `down-addr`. Raises `Refused`."""
    interface, address = find_address(world, zone, name)
    if address.kind == "from-gz":
        raise Refused(FROM_GZ)
    if persistent and not address.persistent:
        raise Refused(ON_TEMPORARY)
    if address.kind != "static":
        raise NotEmulated(f"taking an address of type {address.kind} up or down [network 4.3]")
    operate()
    if up and address.state == "down":
        world.floor.add_address(kernel_zone(world, zone), interface.name, _unscoped(address.address))
        address.state = "ok"
    elif not up:
        take_down(world, zone, interface, address)
        address.state = "down"
    if persistent:
        ipadm_conf.save(world, stack_of(world, zone))


def take_down(world: World, zone: str, interface: Interface, address: Address) -> None:
    """Off the interface, with the routes that only it made reachable; the object stays."""
    from lab import routes

    if not address.active or address.state == "down" or not address.address:
        return
    world.floor.remove_address(kernel_zone(world, zone), interface.name, _unscoped(address.address))
    others = [each for each in interface.addresses.values() if each is not address and each.state == "ok"]
    rest = [each.address for each in others if each.active and each.address]
    routes.forget(
        world,
        stack_of(world, zone),
        lambda route: route.interface == interface.name and not any(routes.reaches(a, route) for a in rest),
    )


# properties ---------------------------------------------------------------------------------------------------------


def set_forwarding(
    world: World, zone: str, name: str | None, proto: str, on: bool, persistent: bool, operate: Step = nothing
) -> None:
    """Of one interface, or (None) of the stack and so of every interface [network 4.4]. Raises `Refused`."""
    stack = stack_of(world, zone)
    interface = None if name is None else find_interface(world, zone, name)
    key, value = ("forwarding", proto), "on" if on else "off"
    if interface is not None and is_from_gz(interface):
        raise Refused(FROM_GZ)
    if interface is not None and persistent and not interface.persistent:
        raise Refused(ON_TEMPORARY)
    operate()
    world.floor.set_forwarding(kernel_zone(world, zone), interface, FAMILY[proto], on)
    holder = stack if interface is None else interface
    holder.props[key] = value
    if interface is None:
        for each in stack.interfaces.values():
            each.props[key] = value
    if persistent:
        holder.stored_props[key] = value
        ipadm_conf.save(world, stack)
