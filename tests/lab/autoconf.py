"""What in.ndpd adds to an address object of type addrconf: the prefixes and default routes that routers advertise.

The real floor's kernel listens; the lab asks it when somebody looks. DHCPv6 is not there: a router that wants it
("managed") is not followed. Every function expects `world.lock` to be held.
"""

from __future__ import annotations

from lab import ip
from lab.world import Interface, World


def listen(world: World, zone: str, interface: str) -> None:
    """To be called before the link-local address is there: its arrival is what asks the routers."""
    world.floor.hear_routers(ip.kernel_zone(world, zone), interface, True)


def stop(world: World, zone: str, interface: Interface) -> None:
    """What routers have given to `interface` goes."""
    if any(address.kind == "addrconf" and address.stateless for address in interface.addresses.values()):
        world.floor.hear_routers(ip.kernel_zone(world, zone), interface.name, False)
        for address in interface.addresses.values():
            address.advertised = []


def refresh(world: World, zone: str) -> None:
    """Bring the stack's data up to date with what routers have said."""
    stack = ip.stack_of(world, zone)
    stack.advertised = []
    for interface in stack.interfaces.values():
        for address in interface.addresses.values():
            if address.kind == "addrconf" and address.stateless and address.active and address.state == "ok":
                heard = world.floor.advertised(ip.kernel_zone(world, zone), interface.name)
                address.advertised, routes = heard
                stack.advertised += routes
