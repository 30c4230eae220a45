"""A declared network: a name, a CIDR per address family, the link it lives on, and what its zones are given."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Literal

Cidr = IPv4Network | IPv6Network
Ip = IPv4Address | IPv6Address
AddressBy = Literal["auto", "dhcp", "zonecfg", "zlogin", "none"]


@dataclass(frozen=True, slots=True)
class Range:
    """Addresses `first` to `last`, both included; linear, so it may cross octets."""

    first: Ip
    last: Ip

    @property
    def version(self) -> int:
        return self.first.version

    def __contains__(self, address: Ip) -> bool:
        return address.version == self.version and int(self.first) <= int(address) <= int(self.last)

    @property
    def size(self) -> int:
        return int(self.last) - int(self.first) + 1

    def __iter__(self) -> Iterator[Ip]:
        make = type(self.first)
        return (make(number) for number in range(int(self.first), int(self.last) + 1))

    def overlaps(self, other: Range) -> bool:
        return self.version == other.version and self.first <= other.last and other.first <= self.last  # type: ignore[operator]

    def __str__(self) -> str:
        return f"{self.first}-{self.last}"


@dataclass(frozen=True, slots=True)
class Dhcp:
    """What clients are told beside their address. `dynamic`: for clients that are no zone of ours."""

    lease_s: int = 300
    dynamic: tuple[Range, ...] = ()
    resolvers: tuple[Ip, ...] = ()  # none: the gateway, where it answers names
    search: tuple[str, ...] = ()
    ntp: tuple[Ip, ...] = ()
    next_server: Ip | None = None
    boot_file: str = ""
    options: Mapping[str, str] = field(default_factory=dict)  # any option, by code (1-254) or name -> value
    zones: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # the same for one zone, by its name


@dataclass(frozen=True, slots=True)
class StaticName:
    """One static record: kind A, AAAA, CNAME or TXT."""

    name: str
    kind: str
    value: str


@dataclass(frozen=True, slots=True)
class Network:
    """`link` is what its VNICs are made over: the etherstub of an internal network, the uplink of an external one."""

    name: str
    cidrs: tuple[Cidr, ...]  # at most one per family
    link: str
    internal: bool = True
    mtu: int | None = None  # bytes; None: whatever the link has
    gateways: tuple[Ip, ...] = ()  # held by the gateway, never by a zone
    isolated: bool = False  # may overlap others; its zones name it, no address finds it
    antispoof: bool = True
    via: str = ""  # the gateway that holds those addresses
    gateway_link: str = ""  # the gateway's NIC here; none: a name made from the two
    pool: tuple[Range, ...] = ()  # where NICs without an address get one
    excluded: tuple[Range, ...] = ()
    quarantine_s: float = 600.0  # an address that was given back is not given to somebody else for so long
    address_by: AddressBy = "auto"
    dhcp: Dhcp | None = None
    domain: str = ""  # names are ZONE.DOMAIN and ZONE.NETWORK.DOMAIN; none: the network's own
    names: tuple[StaticName, ...] = ()

    def holds(self, address: Ip) -> bool:
        return any(address in cidr for cidr in self.cidrs if cidr.version == address.version)

    def cidr(self, version: int) -> Cidr | None:
        return next((cidr for cidr in self.cidrs if cidr.version == version), None)

    def gateway(self, version: int) -> Ip | None:
        return next((gateway for gateway in self.gateways if gateway.version == version), None)
