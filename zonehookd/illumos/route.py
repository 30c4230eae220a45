"""route and netstat: the routes of a stack (network sheet 5.2, 5.4). The exit status of route is the kernel's errno.

Its result, good or bad, is on stdout; what -p makes of the file is on stderr when it is a failure.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Literal

from zonehookd.errors import CannotObserve
from zonehookd.illumos.zlogin import GLOBAL, inside, judged, must_succeed
from zonehookd.model.command import Change, Query, Reply, Verdict

Ip = IPv4Address | IPv6Address
_PREFIX = "persistent: route add "
_NONE = "No persistent routes are defined"
_DEFAULT = "default"
_TABLES: dict[str, Literal[4, 6]] = {"Routing Table: IPv4": 4, "Routing Table: IPv6": 6}
# illumos' errno values
_EPERM, _ESRCH, _EBUSY, _EEXIST = 1, 3, 16, 17


@dataclass(frozen=True, slots=True)
class StaticRoute:
    """A line of static_routes. `gateway` None: named and not numbered."""

    destination: IPv4Network | IPv6Network
    text: str  # as it was given to route(8)
    gateway: Ip | None = None


class StaticRoutes(tuple[StaticRoute, ...]):
    """Persistent routes to networks and hosts. `defaults`: the gateways of the persistent default routes."""

    defaults: tuple[Ip, ...]

    def __new__(cls, found: Iterable[StaticRoute], defaults: Iterable[Ip]) -> StaticRoutes:
        self = super().__new__(cls, found)
        self.defaults = tuple(defaults)
        return self


@dataclass(frozen=True, slots=True)
class DefaultRoute:
    """A default route of the running stack. `interface` "" where netstat does not say."""

    gateway: Ip
    interface: str
    family: Literal[4, 6]


class DefaultRoutes(tuple[DefaultRoute, ...]):
    """The default routes, and `further`: (destination as it is printed, gateway) of the others. IPv4 destinations are
    printed without their length (5.4)."""

    further: frozenset[tuple[str, Ip]]

    def __new__(cls, found: Iterable[DefaultRoute] = (), further: Iterable[tuple[str, Ip]] = ()) -> DefaultRoutes:
        self = super().__new__(cls, found)
        self.further = frozenset(further)
        return self

    def leads(self, destination: IPv4Network | IPv6Network, gateway: Ip) -> bool:
        """As far as can be seen there is such a route in the running stack."""
        text = str(destination.network_address) if destination.version == 4 else str(destination)
        return (text, gateway) in self.further


# -- looking ---------------------------------------------------------------------------------------------------------


def static_routes(where: str = GLOBAL) -> Query[StaticRoutes]:
    """Routes to networks and hosts; what is named and not numbered is left out, and of the defaults the gateways."""
    argv = inside(where, ("route", "-p", "show"))

    def parse(reply: Reply) -> StaticRoutes:
        must_succeed(where, argv, reply)
        found = []
        defaults = []
        for line in reply.stdout.splitlines():
            if not line.startswith(_PREFIX):
                continue
            words = [word for word in line.removeprefix(_PREFIX).split() if not word.startswith("-")]
            gateway = _address(words[1]) if len(words) > 1 else None
            if words[:1] == [_DEFAULT]:
                defaults += [] if gateway is None else [gateway]
                continue
            try:
                found.append(StaticRoute(ipaddress.ip_network(words[0], strict=False), " ".join(words), gateway))
            except (ValueError, IndexError):
                continue
        return StaticRoutes(found, defaults)

    return Query(argv, parse)


def default_routes(where: str = GLOBAL) -> Query[DefaultRoutes]:
    """Default routes through a gateway, in both tables; there may be several of a family (5.2)."""
    argv = inside(where, ("netstat", "-rn"))

    def parse(reply: Reply) -> DefaultRoutes:
        must_succeed(where, argv, reply)
        found = []
        further = []
        family: Literal[4, 6] | None = None
        for line in reply.stdout.splitlines():
            family = _TABLES.get(line.strip(), family)
            words = line.split()
            gateway = _address(words[1]) if len(words) >= 5 else None  # destination gateway flags ref use [interface]
            if words[:1] != [_DEFAULT]:
                if gateway is not None and "G" in words[2]:
                    further.append((_normal(words[0]), gateway))
                continue
            if family is None or gateway is None or gateway.version != family:
                raise CannotObserve(f'"{" ".join(argv)}" printed {line!r}')
            if "G" in words[2]:
                found.append(DefaultRoute(gateway, words[5] if len(words) > 5 else "", family))
        if family is None:
            raise CannotObserve(f'"{" ".join(argv)}" printed no routing table: {reply.stdout[:80]!r}')
        return DefaultRoutes(found, further)

    return Query(argv, parse)


def _normal(destination: str) -> str:
    try:
        return str(ipaddress.IPv6Network(destination, strict=False)) if "/" in destination else destination
    except ValueError:
        return destination


def _address(text: str) -> Ip | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


# -- changing --------------------------------------------------------------------------------------------------------


def _judge(wanted_errno: int, in_file: str) -> Callable[[int, str], Verdict]:
    """`wanted_errno`: the kernel says that it is so already; `in_file`: with -p the file says so, which is status 1."""

    def verdict(status: int, stderr: str) -> Verdict:
        if status == wanted_errno or stderr.rstrip().endswith(in_file):
            return Verdict(again=False, done=True)
        if status == _EBUSY or "failed to lock route file" in stderr:
            return Verdict(again=True, busy=True)
        return Verdict(again=status != _EPERM)  # 1 is what wrong words get too; 128, unreachable: its subnet may come

    return verdict


_ADDED = _judge(_EEXIST, ": entry exists")
_DELETED = _judge(_ESRCH, ": not in file")


def _change(where: str, verb: Literal["add", "delete"], destination: str, gateway: Ip, lasts: bool, why: str) -> Change:
    family = ("-inet6",) if gateway.version == 6 else ()
    argv = ("route", *(("-p",) if lasts else ()), verb, *family, destination, str(gateway))
    return Change(inside(where, argv), why, judge=judged(where, _ADDED if verb == "add" else _DELETED))


def add_default(where: str, gateway: Ip, *, persistent: bool = False, why: str) -> Change:
    """After the address of its subnet: without it the network is unreachable (5.2). `persistent`: also in the file."""
    return _change(where, "add", _DEFAULT, gateway, persistent, why)


def delete_default(where: str, gateway: Ip, *, persistent: bool = False, why: str) -> Change:
    """`persistent`: also from the file. One that is not there is as it should be."""
    return _change(where, "delete", _DEFAULT, gateway, persistent, why)


def add_static(
    where: str, destination: IPv4Network | IPv6Network, gateway: Ip, *, persistent: bool = False, why: str
) -> Change:
    """As `add_default`, to a network. Raises ValueError: two families."""
    return _change(where, "add", _matching(destination, gateway), gateway, persistent, why)


def delete_static(
    where: str, destination: IPv4Network | IPv6Network, gateway: Ip, *, persistent: bool = False, why: str
) -> Change:
    """As `delete_default`, of a network. Raises ValueError: two families."""
    return _change(where, "delete", _matching(destination, gateway), gateway, persistent, why)


def _matching(destination: IPv4Network | IPv6Network, gateway: Ip) -> str:
    if destination.version != gateway.version:
        raise ValueError(f"a route to {destination} cannot go through {gateway}")
    return str(destination)
