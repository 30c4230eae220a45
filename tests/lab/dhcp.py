"""Address objects of type dhcp: what each stack's dhcpagent does [network 4.3].

Every function expects `world.lock` to be held, but `report` and `wait`. The resolvers a server names stay in the lease:
nothing writes the zone's resolv.conf.
"""

from __future__ import annotations

import ipaddress
import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lab import fence, ip, routes
from lab.world import Address, Interface, Refused, Route, World

if TYPE_CHECKING:
    from lab.dhcp_client import DhcpClient

_LOOK_SECONDS = 0.25


@dataclass
class Lease:
    """One client at work, with or without a lease."""

    zone: str
    interface: Interface
    address: Address
    ticket: str
    client: DhcpClient | None = None
    settled: threading.Event = field(default_factory=threading.Event)  # it had a lease, or has been stopped
    routes: list[Route] = field(default_factory=list)  # the default routes that came with it


def start(world: World, zone: str, interface: Interface, address: Address) -> None:
    """Raises `Refused`, `NotEmulated`."""
    lease = Lease(zone, interface, address, secrets.token_hex(8))
    world.leases[lease.ticket] = lease
    try:
        link = world.links[interface.name]
        lease.client = world.floor.start_dhcp(
            ip.kernel_zone(world, zone), interface.name, link.mac, address.request_host, lease.ticket
        )
    except BaseException:
        del world.leases[lease.ticket]
        raise


def find(world: World, zone: str, interface: str) -> Lease | None:
    found = (lease for lease in world.leases.values() if lease.zone == zone and lease.interface.name == interface)
    return next(found, None)


def stop(world: World, zone: str, interface: str | None = None, release: bool = False) -> None:
    """End the client of `interface`, or (None) every one of the stack. Address and routes stay for the caller to take
    away: `ip.delete_address` and its like.
    """
    for lease in [each for each in world.leases.values() if each.zone == zone]:
        if interface in (None, lease.interface.name):
            if lease.client is not None:
                lease.client.stop(release and bool(lease.address.address))
            del world.leases[lease.ticket]
            lease.settled.set()
            fence.apply(world, world.links[lease.interface.name])


def refresh(world: World, zone: str, interface: str) -> None:
    """The lease is renewed; with no lease the search starts again."""
    lease = find(world, zone, interface)
    if lease is not None and lease.client is not None:
        lease.client.renew()


def wait(lease: Lease, seconds: float | None, caller_gone: Callable[[float], bool]) -> bool:
    """Until there is a lease; False when `seconds` (None: no end) have passed without one. Take no lock for it."""
    while not lease.settled.is_set():
        step = _LOOK_SECONDS if seconds is None else min(_LOOK_SECONDS, seconds)
        lease.settled.wait(step)
        if seconds is not None:
            seconds -= step
            if seconds <= 0:
                break
        if caller_gone(0):
            break
    return bool(lease.address.address)


def report(world: World, ticket: str, event: str, said: Mapping[str, str]) -> None:
    """What a client's process says: `event` and the variables of udhcpc. One that has been stopped is not heard."""
    lease = world.leases.get(ticket)
    if lease is None or lease.client is None:
        return
    if event == "deconfig":
        lease.client.deconfigured.set()  # before the lock: `stop` waits for it with the lock held
    with world.lock:
        if world.leases.get(ticket) is not lease:
            return
        if event in ("bound", "renew"):
            _bound(world, lease, said)
        elif event == "deconfig":
            _unbound(world, lease)


def _bound(world: World, lease: Lease, said: Mapping[str, str]) -> None:
    length = said.get("mask", "")
    address = ip.full_address(f"{said['ip']}/{length}" if length else said["ip"])
    if lease.address.address != address:
        fresh = not lease.address.address
        _unbound(world, lease)
        try:
            world.floor.add_address(ip.kernel_zone(world, lease.zone), lease.interface.name, address)
        except Refused:
            return
        lease.address.address = address
        fence.apply(world, world.links[lease.interface.name])
        if fresh and lease.interface.props.get(("forwarding", "ipv4")) == "on":  # [network 4.4, services 2]
            ip.set_forwarding(world, lease.zone, lease.interface.name, "ipv4", on=False, persistent=False)
    _route(world, lease, said.get("router", "").split())
    lease.settled.set()


def _route(world: World, lease: Lease, gateways: list[str]) -> None:
    """The default routes through this interface are those the server names now."""
    stack = ip.stack_of(world, lease.zone)
    wanted = [
        Route(routes.DEFAULT, gateway, lease.interface.name, 4)
        for gateway in gateways
        if ipaddress.IPv4Address(gateway).packed != b"\0\0\0\0"
    ]
    gone = [route for route in lease.routes if route not in wanted]
    routes.forget(world, stack, lambda route: route in gone)
    for route in wanted:
        routes.try_add(world, lease.zone, [routes.DEFAULT, route.gateway, "-ifp", route.interface])
    lease.routes = [route for route in wanted if route in stack.routes]


def _unbound(world: World, lease: Lease) -> None:
    ip.take_down(world, lease.zone, lease.interface, lease.address)
    lease.address.address = ""
    fence.apply(world, world.links[lease.interface.name])
    lease.routes.clear()
