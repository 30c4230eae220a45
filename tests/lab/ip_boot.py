"""What a stack gets when its zone, or the host, boots: from the net resources, and what was made persistent in it.

Every function expects `world.lock` to be held.
"""

from __future__ import annotations

from lab import ip, ipadm_conf, routes
from lab.world import GLOBAL, Address, KernelZone, NotEmulated, Refused, World


def configure_from_gz(
    world: World, zone: KernelZone, interface: str, addresses: list[str], defrouter: list[str]
) -> None:
    """What ipmgmtd in an exclusive-IP zone does with the net resource's allowed-address and defrouter [zones 6.1].

    Interface, addresses of type from-gz, default routes. What the floor or the stack refuses is left out: nobody
    listens when a zone boots.
    """
    stack = ip.stack_of(world, zone.name)
    try:
        plumbed = stack.interfaces.get(interface) or ip.create_interface(world, zone.name, interface, persistent=False)
    except Refused:
        return
    for letter, text in zip("abcdefghijklmnopqrstuvwxyz", addresses, strict=False):
        try:
            address = ip.full_address(text)
            world.floor.add_address(zone, interface, address)
        except Refused:
            continue
        name = f"{interface}/_{letter}"
        plumbed.addresses[name] = Address(name, "from-gz", address, persistent=False)
    for gateway in defrouter:
        routes.try_add(world, zone.name, ["default", gateway])


def restore(world: World, zone: KernelZone | None) -> None:
    """ipmgmtd and the routing services start: what was made persistent in this stack comes back."""
    where = GLOBAL if zone is None else zone.name
    stored = ipadm_conf.read(world, where)
    for (name, key), value in stored.props.items():
        if name == "":
            ip.set_forwarding(world, where, None, key[1], value == "on", persistent=False)
            ip.stack_of(world, where).stored_props[key] = value
    stack = ip.stack_of(world, where)
    for name in stored.interfaces:
        try:
            ip.create_interface(world, where, name, persistent=False).persistent = True
        except Refused:
            continue
    for address in stored.addresses:
        try:
            ip.create_address(
                world, where, address.name, address.kind, address.address, False, down=address.state == "down",
                request_host=address.request_host, stateless=address.stateless,
            )  # fmt: skip
        except (Refused, NotEmulated):
            continue
        ip.find_address(world, where, address.name)[1].persistent = True
    for (name, key), value in stored.props.items():
        interface = stack.interfaces.get(name)
        if interface is not None and interface.persistent:
            ip.set_forwarding(world, where, name, key[1], value == "on", persistent=False)
            interface.stored_props[key] = value
    routes.replay(world, where)
