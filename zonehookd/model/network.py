"""A declared network: a name, a CIDR per address family, and the etherstub or uplink it lives on."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

Cidr = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class Network:
    """`link` is what its VNICs are made over: the etherstub of an internal network, the uplink of an external one."""

    name: str
    cidrs: tuple[Cidr, ...]  # at most one per family
    link: str
    internal: bool = True
    mtu: int | None = None  # bytes; None: whatever the link has
    gateways: tuple[IPv4Address | IPv6Address, ...] = ()  # held by the gateway, never by a zone
    isolated: bool = False  # may overlap others; its zones name it, no address finds it
    antispoof: bool = True

    def holds(self, address: IPv4Address | IPv6Address) -> bool:
        return any(address in cidr for cidr in self.cidrs if cidr.version == address.version)
