"""What zones serve, and how it is reached from outside: routes through the proxy of a gateway (contract A9)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Literal

from zonehookd.model.network import Ip

Balance = Literal["roundrobin", "leastconn", "source"]
Program = Literal["haproxy", "nginx"]
CheckKind = Literal["http", "tcp", "none"]
ROUTE = "routing"  # record; name: GATEWAY MATCH; see plugin/routing/book.py. "route" is the gateway plugin's
DRAIN = "drain"  # record; name: ZONE; facts: zoneid of the run it is about, until (seconds, wall clock), reason

# What follows is the whole defence of the templates: nothing else ever reaches them from a zone.
_LABEL = r"(?!-)[a-z0-9-]{1,63}(?<!-)"
_HOST = re.compile(rf"(\*\.)?{_LABEL}(\.{_LABEL})*", re.ASCII)
_PATH = re.compile(r"/([A-Za-z0-9._~-]+/)*", re.ASCII)
_CHECK_PATH = re.compile(r"/[A-Za-z0-9._~/?=&-]{0,127}", re.ASCII)
_GROUP = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", re.ASCII)
HOST_MAX, PATH_MAX = 253, 128


def host(text: str) -> str:
    """A host name in lower case, perhaps ``*.`` and a domain. Raises ValueError, also for an address and localhost."""
    name = text.lower().removesuffix(".")
    plain = _HOST.fullmatch(name) and not name.rpartition(".")[2].isdecimal() and name != "localhost"
    if len(name) > HOST_MAX or not plain:
        raise ValueError(f"expected a host name such as shop.example.org or *.example.org, found {text!r}")
    return name


def path(text: str) -> str:
    """A prefix of whole segments, with a slash at both ends. Raises ValueError."""
    whole = text if text.endswith("/") else f"{text}/"
    segments = whole.split("/")
    if len(whole) > PATH_MAX or not _PATH.fullmatch(whole) or "." in segments or ".." in segments:
        raise ValueError(f"expected a path of letters, digits, and . _ ~ - between slashes, found {text!r}")
    return whole


def group(text: str) -> str:
    if not _GROUP.fullmatch(text):
        raise ValueError(f"expected a group of letters, digits, and . _ - after the first, found {text!r}")
    return text


@dataclass(frozen=True, slots=True, order=True)
class Match:
    """Which requests: a host with a path prefix, or with `port` whatever comes to this public TCP port."""

    host: str = ""
    path: str = "/"
    port: int = 0

    @property
    def protocol(self) -> Literal["http", "tcp"]:
        return "tcp" if self.port else "http"

    def __str__(self) -> str:
        return f"tcp/{self.port}" if self.port else f"{self.host}{self.path}"


@dataclass(frozen=True, slots=True)
class Check:
    """When a backend counts as ready. `tcp`: it takes a connection; `http`: GET `path` gives a status below 400."""

    kind: CheckKind = "tcp"
    path: str = "/"

    def __str__(self) -> str:
        return self.path if self.kind == "http" else self.kind


def check(text: str) -> Check:
    """``tcp``, ``no`` or a path. Raises ValueError."""
    if text in ("tcp", "no", "none"):
        return Check("tcp" if text == "tcp" else "none")
    if not _CHECK_PATH.fullmatch(text):
        raise ValueError(f"expected tcp, no or a path such as /health, found {text!r}")
    return Check("http", text)


@dataclass(frozen=True, slots=True)
class Offer:
    """What a zone, or the configuration for it, says it serves. `source`: the attribute or key that says so.

    `to`: the zone, or an address behind the gateway. `network`: on which its address is taken; "": the first that can.
    `group`: who says the same one shares the route.
    """

    source: str
    to: str
    matches: tuple[Match, ...]
    port: int
    weight: int = 1
    check: Check = Check()
    group: str = ""
    network: str = ""


@dataclass(frozen=True, slots=True)
class Backend:
    """One server behind a route. `zone`: whose it is, "" for a bare address. `network`: by which it is reached."""

    address: Ip
    port: int
    zone: str = ""
    weight: int = 1
    check: Check = Check()
    network: str = ""
    source: str = ""
    key: str = field(init=False, repr=False, compare=False)  # names it within its route: letters, digits, and . : _ -

    def __post_init__(self) -> None:
        """The key is made once: a look at thousands of routes asks for each several times."""
        object.__setattr__(self, "key", f"{self.zone or 'address'}:{self.address}:{self.port}")


@dataclass(frozen=True, slots=True)
class Route:
    """`owner`: the zone that had it first, or what declares it. `network`: whose templates apply."""

    match: Match
    backends: tuple[Backend, ...]
    owner: str = ""
    group: str = ""
    network: str = ""


@dataclass(frozen=True, slots=True)
class Held:
    """Who has a route by our books. `zones`: all who are behind it, if the owner cannot be read."""

    owner: str
    zones: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Tls:
    """Files of the proxy's zone. `hosts` empty: for whom no other is. `key` "": it is in the same file."""

    certificate: str
    key: str = ""
    hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Proxy:
    """The reverse proxy of a gateway. `http`, `https`: public ports, 0 for none; https needs `tls`.

    `listen`: on these of its addresses; none: all of its zone's, in the global zone the gateway's outer ones.
    `tcp_ports`: public ports a zone may ask for, both ends included. `hosts`: host or ``*.domain`` -> patterns of zones
    that may serve it. `offers`: what the configuration declares.
    """

    program: Program
    http: int = 80
    https: int = 443
    listen: tuple[Ip, ...] = ()
    balance: Balance = "roundrobin"
    tls: tuple[Tls, ...] = ()
    tcp_ports: tuple[tuple[int, int], ...] = ()
    hosts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    offers: tuple[Offer, ...] = ()
    drain_s: float = 10.0

    @property
    def ports(self) -> tuple[int, ...]:
        """Public ports it has whatever zones ask for."""
        return tuple(port for port in (self.http, self.https if self.tls else 0) if port)

    def may_have(self, port: int) -> bool:
        return any(first <= port <= last for first, last in self.tcp_ports)

    def lends(self, name: str) -> bool:
        """The configuration says who may serve this host."""
        return any(each in self.hosts for each in _covering(name))

    def may_serve(self, zone: str, name: str) -> bool:
        """The most exact declaration of the host decides; without one anybody may be first. A wildcard that none covers
        is not for whoever may not serve what is declared beneath it: he would get what nobody else serves of that."""
        declared = next((self.hosts[each] for each in _covering(name) if each in self.hosts), None)
        if declared is not None:
            return _meant(zone, declared)
        beneath = (zones for each, zones in self.hosts.items() if name[0] == "*" and each.endswith(name[1:]))
        return all(_meant(zone, zones) for zones in beneath)


def _meant(zone: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(zone, each) for each in patterns)


def _covering(name: str) -> Iterator[str]:
    """The names under which a host may be declared, the most exact first."""
    yield name
    rest = name.removeprefix("*.")
    while "." in rest:
        rest = rest.partition(".")[2]
        yield f"*.{rest}"
