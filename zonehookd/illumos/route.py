"""route: the persistent routes of the global zone's stack (network sheet 5.2)."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network

from zonehookd.errors import CannotObserve
from zonehookd.model.command import Query, Reply

_PREFIX = "persistent: route add "


@dataclass(frozen=True, slots=True)
class StaticRoute:
    destination: IPv4Network | IPv6Network
    text: str  # as it was given to route(8)


def static_routes() -> Query[tuple[StaticRoute, ...]]:
    """Routes to networks and hosts; the default routes, and what is named and not numbered, are left out."""
    argv = ("route", "-p", "show")

    def parse(reply: Reply) -> tuple[StaticRoute, ...]:
        if reply.status != 0:
            raise CannotObserve(f'"{" ".join(argv)}" exited {reply.status}: {reply.stderr.strip()}')
        found = []
        for line in reply.stdout.splitlines():
            if line.startswith(_PREFIX):
                words = [word for word in line.removeprefix(_PREFIX).split() if not word.startswith("-")]
                try:
                    found.append(StaticRoute(ipaddress.ip_network(words[0], strict=False), " ".join(words)))
                except (ValueError, IndexError):
                    continue
        return tuple(found)

    return Query(argv, parse)
