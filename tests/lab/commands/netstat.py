"""netstat(8), its routing tables only, of the stack of the zone it runs in [network 5.4].

Ref and Use are not counted by the lab: 1 and 0. The sheet shows the IPv6 table by its title only; its columns here are
the lab's own, wide enough for an address with its length.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from lab import autoconf, ip, routes
from lab.call import Call
from lab.getopt import getopt
from lab.world import NotEmulated, Stack

FAMILIES = {"inet": 4, "inet6": 6}
HEADERS = {
    4: (
        "\nRouting Table: IPv4\n"
        "  Destination           Gateway           Flags  Ref     Use     Interface \n"
        "-------------------- -------------------- ----- ----- ---------- --------- \n"
    ),
    6: (
        "\nRouting Table: IPv6\n"
        "  Destination/Mask            Gateway                   Flags  Ref     Use     Interface \n"
        "--------------------------- --------------------------- ----- ----- ---------- --------- \n"
    ),
}
WIDTH = {4: 20, 6: 27}


def main(call: Call) -> int:
    options, operands = getopt(call.argv[1:], "rnf:")
    letters = {option.letter for option in options}
    if operands or not {"r", "n"} <= letters <= {"r", "n", "f"}:
        raise NotEmulated("netstat other than -rn [-f inet|inet6] [network 5.4]")
    wanted = [option.value for option in options if option.letter == "f"]
    if not set(wanted) <= FAMILIES.keys():
        raise NotEmulated(f"netstat -f {wanted[0]} [network 5.4]")
    with call.world.lock:
        autoconf.refresh(call.world, call.zone)
        stack = ip.stack_of(call.world, call.zone)
        text = "".join(_table(stack, family) for name, family in FAMILIES.items() if not wanted or name == wanted[-1])
    call.out(text)
    return 0


def _table(stack: Stack, family: int) -> str:
    width = WIDTH[family]
    rows = [
        f"{destination:<{width}s} {gateway:<{width}s} {flags:<5s}  {1:4d} {0:10d} {interface:<9s} \n"
        for destination, gateway, flags, interface in (*_ours(stack, family), *_connected(stack, family))
    ]
    return HEADERS[family] + "".join(rows)


def _ours(stack: Stack, family: int) -> Iterator[tuple[str, str, str, str]]:
    """The routes somebody added and those of IPv6 routers: (destination, gateway, flags, interface).

    Default ones first.
    """
    mine = [route for route in [*stack.routes, *stack.advertised] if route.family == family]
    for route in sorted(mine, key=lambda route: route.destination != routes.DEFAULT):
        flags, gateway = "U", route.gateway
        if gateway:
            flags += "G"
        else:
            gateway = _address_of(stack, route.interface, family)
        destination = route.destination
        if destination != routes.DEFAULT:
            network = ipaddress.ip_network(destination)
            flags += "H" if network.prefixlen == network.max_prefixlen else ""
            destination = _shown(network)
        yield destination, gateway, flags, route.interface


def _address_of(stack: Stack, interface: str, family: int) -> str:
    addresses = stack.interfaces[interface].addresses.values()
    mine = (ip.bare(each.address) for each in addresses if each.active and each.address)
    return next((each for each in mine if ip.version(each) == family), "")


def _connected(stack: Stack, family: int) -> Iterator[tuple[str, str, str, str]]:
    """A line per address that is up, lo0's last."""
    for interface in sorted(stack.interfaces.values(), key=lambda interface: interface.name == "lo0"):
        for address in interface.addresses.values():
            if not (address.active and address.state == "ok" and address.address):
                continue
            for each in (address.address, *address.advertised):
                mine = ip.bare(each)
                if ip.version(mine) != family:
                    continue
                network = ipaddress.ip_network(f"{mine}/{each.partition('/')[2]}", strict=False)
                if interface.name == "lo0" or network.prefixlen == network.max_prefixlen:
                    yield mine, mine, "UH", interface.name
                else:
                    yield _shown(network), mine, "U", interface.name


def _shown(network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> str:
    """IPv4 without its length."""
    return str(network.network_address) if network.version == 4 else str(network)
