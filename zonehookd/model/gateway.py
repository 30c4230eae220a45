"""A declared gateway: who holds the gateway address of networks, and what goes through it (contract A3, A6)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from zonehookd.model.network import Cidr, Ip, Network
from zonehookd.model.route import Proxy
from zonehookd.model.zone import Address

GLOBAL = "global"
Kind = Literal["proxy", "router", "global", "external"]
Protocol = Literal["tcp", "udp", "tcp/udp"]


@dataclass(frozen=True, slots=True)
class Forward:
    """A way in: `public` None is the gateway's own outer address. `to` is an address or the name of a zone."""

    first: int
    last: int
    to: str
    to_port: int
    protocol: Protocol = "tcp"
    public: Ip | None = None
    sources: tuple[Cidr, ...] = ()
    fixed: bool = False  # a whole range to one port

    def __str__(self) -> str:
        ports = str(self.first) if self.first == self.last else f"{self.first}-{self.last}"
        return f"{self.public or 'outer address'} {self.protocol} {ports}"


@dataclass(frozen=True, slots=True)
class StaticNat:
    """One to one: what `inside` sends shows `public`, what is sent to `public` reaches `inside`."""

    public: Ip
    inside: str  # an address or the name of a zone


@dataclass(frozen=True, slots=True)
class Gateway:
    """`name` is that of its zone, or ``global``. `networks` are those whose gateway addresses it holds, by name."""

    name: str
    kind: Kind
    networks: Mapping[str, Network] = field(default_factory=dict)
    outside: Network | None = None  # the network of its outer NIC; itself perhaps behind another gateway
    addresses: tuple[Address, ...] = ()  # outer ones; none: from the pool of `outside`
    link: str = ""  # its outer NIC; none: a name made from its own and the network's
    nat: bool = True
    forwards: tuple[Forward, ...] = ()
    statics: tuple[StaticNat, ...] = ()
    dhcp: Literal["auto", "dhcpd", "dnsmasq", "none"] = "auto"
    dns: Literal["dnsmasq", "none"] = "dnsmasq"
    upstream: tuple[Ip, ...] = ()  # resolvers it asks
    proxy: Proxy | None = None

    def forward_on(self, port: int) -> Forward | None:
        """The forward that takes this public TCP port before our proxy could hear of it."""
        listen = self.proxy.listen if self.proxy else ()
        heard = (each for each in self.forwards if not listen or each.public is None or each.public in listen)
        return next((each for each in heard if "tcp" in each.protocol and each.first <= port <= each.last), None)

    @property
    def ours(self) -> bool:
        """We set it up inside; an `external` one is only wired."""
        return self.kind != "external"


@dataclass(frozen=True, slots=True)
class Declaration:
    """All that is declared; checked as a whole by `networks.declare`."""

    networks: Mapping[str, Network] = field(default_factory=dict)
    gateways: Mapping[str, Gateway] = field(default_factory=dict)
    provisioning: tuple[str, ...] = ()  # networks that are provisioning networks
