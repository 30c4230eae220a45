"""ipadm: addresses of the global zone's stack (network sheet 4.3)."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv6Interface

from zonehookd.errors import CannotObserve
from zonehookd.illumos.parseable import rows
from zonehookd.model.command import Query, Reply


@dataclass(frozen=True, slots=True)
class AddressObject:
    """One row of show-addr with an address; `interface` is the datalink's name."""

    name: str
    interface: str
    address: IPv4Interface | IPv6Interface


def addresses() -> Query[tuple[AddressObject, ...]]:
    """Rows without an address (DHCP without a lease) and point-to-point rows are left out."""
    argv = ("ipadm", "show-addr", "-p", "-o", "addrobj,type,state,addr")

    def parse(reply: Reply) -> tuple[AddressObject, ...]:
        if reply.status != 0:
            raise CannotObserve(f'"{" ".join(argv)}" exited {reply.status}: {reply.stderr.strip()}')
        found = []
        for name, _, _, text, *_ in rows(reply.stdout.strip("\n"), 4):
            host, _, length = text.partition("/")
            try:
                address = ipaddress.ip_interface(f"{host.partition('%')[0]}/{length}" if length else host)
            except ValueError:
                continue
            found.append(AddressObject(name, name.partition("/")[0], address))
        return tuple(found)

    return Query(argv, parse)
