"""From the configuration to `Network`s, refusing what cannot be (contract A1): pure."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from zonehookd.config import Config, NetworkSection
from zonehookd.errors import ConfigError
from zonehookd.illumos import linkname
from zonehookd.model.network import Cidr, Network

_PREFIX = {4: (8, 30), 6: (48, 126)}
STUB_MTU_BYTES = 1500  # an etherstub has 9000 by itself, and what is routed out of it has 1500 (network sheet 3.7)


def declare(config: Config) -> Mapping[str, Network]:
    """name -> network. Raises ConfigError naming every fault at once, with object, owner and way out."""
    faults: list[str] = []
    networks: dict[str, Network] = {}
    for name, section in config.network.items():
        try:
            networks[name] = _network(name, section)
        except ConfigError as fault:
            faults.append(str(fault))
    for one, two in itertools.combinations(networks.values(), 2):
        faults += _between(one, two)
    if faults:
        raise ConfigError("\n".join(faults))
    return networks


def _network(name: str, section: NetworkSection) -> Network:
    where = f"network.{name}"
    texts = [section.cidr] if isinstance(section.cidr, str) else section.cidr
    cidrs = tuple(_cidr(where, text) for text in texts)
    if not cidrs:
        raise ConfigError(f"{where}.cidr: expected at least one CIDR, found none")
    if len({cidr.version for cidr in cidrs}) < len(cidrs):
        raise ConfigError(f"{where}.cidr: expected at most one CIDR per address family, found {', '.join(texts)}")
    if section.etherstub and section.uplink:
        raise ConfigError(f"{where}: has both an etherstub and an uplink", hint="keep one: etherstub for a network "
                          "without a wire, uplink for one over a physical link")  # fmt: skip
    link = section.uplink or section.etherstub or linkname.legal_from(name)
    if not linkname.legal(link):
        raise ConfigError(
            f"{where}: {link!r} is not a legal link name",
            hint=f"letters, digits, _ and ., no leading digit, a number at the end: {linkname.legal_from(link)!r}",
        )
    internal = section.uplink is None
    return Network(
        name=name,
        cidrs=cidrs,
        link=link,
        internal=internal,
        mtu=section.mtu or (STUB_MTU_BYTES if internal else None),
        gateways=_gateways(where, section, cidrs, internal),
        isolated=section.isolated,
        antispoof=section.antispoof,
    )


def _cidr(where: str, text: str) -> Cidr:
    try:
        cidr = ip_network(text)
    except ValueError as problem:
        raise ConfigError(f"{where}.cidr: expected a CIDR such as 10.1.0.0/24, found {text!r}: {problem}") from problem
    low, high = _PREFIX[cidr.version]
    if not low <= cidr.prefixlen <= high:
        raise ConfigError(f"{where}.cidr: expected a prefix length of {low} to {high}, found {text!r}")
    for word in ("loopback", "link_local", "multicast"):
        if getattr(cidr, f"is_{word}"):
            raise ConfigError(f"{where}.cidr: {text} is a {word.replace('_', '-')} range")
    return cidr


def _gateways(
    where: str, section: NetworkSection, cidrs: tuple[Cidr, ...], internal: bool
) -> tuple[IPv4Address | IPv6Address, ...]:
    if section.gateway is None:
        return tuple(cidr.network_address + 1 for cidr in cidrs) if internal else ()
    gateways = []
    for text in [section.gateway] if isinstance(section.gateway, str) else section.gateway:
        try:
            gateway = ip_address(text)
        except ValueError as problem:
            raise ConfigError(f"{where}.gateway: expected an address, found {text!r}") from problem
        cidr = next((cidr for cidr in cidrs if cidr.version == gateway.version and gateway in cidr), None)
        if cidr is None:
            raise ConfigError(f"{where}.gateway: {text} is outside {', '.join(map(str, cidrs))}")
        if gateway in (cidr.network_address, cidr.broadcast_address) and cidr.version == 4:
            raise ConfigError(f"{where}.gateway: {text} is the network or broadcast address of {cidr}")
        gateways.append(gateway)
    return tuple(gateways)


def _between(one: Network, two: Network) -> list[str]:
    faults = []
    if one.link == two.link and (one.internal or two.internal):
        faults.append(
            f"network.{two.name}: its link {two.link} is already that of network {one.name} "
            "(hint: give one of them another etherstub name)"
        )
    if not (one.isolated or two.isolated):
        faults += [
            f"network.{two.name}.cidr: {b} overlaps {a} of network {one.name} "
            "(hint: choose another range, or isolated = true for a range that may exist twice)"
            for a in one.cidrs
            for b in two.cidrs
            if a.version == b.version and a.overlaps(b)
        ]
    return faults
