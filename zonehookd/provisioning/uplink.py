"""The way out of the host, where nobody has named it: the link of the default route, and the range it is on. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface

from zonehookd.errors import ZonehookError
from zonehookd.illumos.ipadm import AddressObject
from zonehookd.illumos.route import DefaultRoute

NAME_IT = "name it with --uplink"
RESOLV_CONF = "/etc/resolv.conf"


@dataclass(frozen=True, slots=True)
class WayOut:
    link: str
    cidr: str


def way_out(named: str | None, routes: Iterable[DefaultRoute], addresses: Sequence[AddressObject]) -> WayOut:
    """The uplink that is `named`, else the one the default route goes by. Raises ZonehookError: none, or two."""
    defaults = [route for route in routes if route.family == 4]
    gateways = [route.gateway for route in defaults if isinstance(route.gateway, IPv4Address)]
    link = named or _by_default(defaults, addresses)
    on_it = [a.address for a in addresses if a.interface == link and isinstance(a.address, IPv4Interface)]
    if not on_it:
        raise ZonehookError(f"{link} has no IPv4 address, so nothing gets out by it", hint=NAME_IT)
    towards = [each for each in on_it if any(gateway in each.network for gateway in gateways)]
    return WayOut(link, str((towards or on_it)[0].network))


def _by_default(defaults: Sequence[DefaultRoute], addresses: Sequence[AddressObject]) -> str:
    """A route that says no interface (network sheet 5.4) goes by the one that its gateway is on."""
    links = []
    for route in defaults:
        near = (a.interface for a in addresses if route.gateway in a.address.network)
        links.append(route.interface.partition(":")[0] or next(near, ""))
    found = sorted({link for link in links if link})
    if not found:
        raise ZonehookError("there is no IPv4 default route, so the uplink is not known", hint=NAME_IT)
    if len(found) > 1:
        raise ZonehookError(f"there are default routes by {' and '.join(found)}", hint=f"{NAME_IT}: one of the two")
    return found[0]


def resolvers(text: str | None) -> list[str]:
    """The name servers of a resolv.conf that somebody else can ask too."""
    found = []
    for line in (text or "").splitlines():
        words = line.split()
        if len(words) >= 2 and words[0] == "nameserver":
            try:
                address = ipaddress.ip_address(words[1])
            except ValueError:
                continue
            if not (address.is_loopback or address.is_link_local):
                found.append(str(address))
    return found
