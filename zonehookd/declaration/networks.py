"""From `[network.NAME]` to `Network`s, refusing what cannot be (contract A1, A4, A5): pure."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address

from zonehookd.config import NetworkSection
from zonehookd.declaration import values
from zonehookd.errors import ConfigError
from zonehookd.illumos import linkname
from zonehookd.model import dhcp_option
from zonehookd.model.network import Cidr, Dhcp, Network, Range, StaticName

_PREFIX = {4: (8, 30), 6: (48, 126)}
STUB_MTU_BYTES = 1500  # an etherstub has 9000 by itself, and what is routed out of it has 1500 (network sheet 3.7)


def networks(sections: Mapping[str, NetworkSection]) -> tuple[dict[str, Network], list[str]]:
    """(name -> network, faults); each fault names the key, what is wrong, and the way out."""
    faults: list[str] = []
    found: dict[str, Network] = {}
    for name, section in sections.items():
        try:
            found[name] = _network(name, section)
        except ConfigError as fault:
            faults.append(str(fault))
    for one, two in _neighbours(tuple(found.values())):
        faults += _between(one, two)
    return found, faults


def _neighbours(every: Sequence[Network]) -> Sequence[tuple[Network, Network]]:
    """Pairs with the same link or with ranges that meet, in the order of their declaration: among a thousand networks
    half a million pairs have nothing to do with each other."""
    pairs: set[tuple[int, int]] = set()
    by_link: dict[str, list[int]] = {}
    ranges: dict[int, list[tuple[int, int, int]]] = {}
    for number, network in enumerate(every):
        by_link.setdefault(network.link, []).append(number)
        for cidr in network.cidrs if not network.isolated else ():
            ends = int(cidr.network_address), int(cidr.broadcast_address), number
            ranges.setdefault(cidr.version, []).append(ends)
    for same in by_link.values():
        if any(every[number].internal for number in same):
            pairs.update(itertools.combinations(same, 2))
    for family in ranges.values():
        open_: list[tuple[int, int]] = []  # (end, number) of those that reach up to here
        for first, last, number in sorted(family):
            open_ = [each for each in open_ if each[0] >= first]
            pairs.update((min(number, other), max(number, other)) for _, other in open_ if other != number)
            open_.append((last, number))
    return [(every[one], every[two]) for one, two in sorted(pairs)]


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
    values.link(where, link)
    internal = section.uplink is None
    pool = _pool(where, section, cidrs)
    dhcp = _dhcp(where, section, cidrs) if section.dhcp.enabled else None
    for dynamic in dhcp.dynamic if dhcp else ():
        clash = next((each for each in pool if section.pool is not None and each.overlaps(dynamic)), None)
        if clash:
            raise ConfigError(f"{where}.dhcp.dynamic: {dynamic} overlaps the pool {clash}",
                              hint="zones and strangers must not share addresses: choose ranges apart")  # fmt: skip
    return Network(
        name=name,
        cidrs=cidrs,
        link=link,
        internal=internal,
        mtu=section.mtu or (STUB_MTU_BYTES if internal else None),
        gateways=_gateways(where, section, cidrs, internal),
        isolated=section.isolated,
        antispoof=section.antispoof,
        via=section.via or "",
        gateway_link=values.link(f"{where}.gateway_link", section.gateway_link) if section.gateway_link else "",
        pool=pool,
        excluded=tuple(values.a_range(f"{where}.exclude", text, cidrs) for text in section.exclude),
        quarantine_s=section.quarantine_s,
        address_by=section.address_by,
        dhcp=dhcp,
        domain=values.domain(f"{where}.domain", section.domain) if section.domain else "",
        names=tuple(_static_names(where, section)),
    )


def _pool(where: str, section: NetworkSection, cidrs: tuple[Cidr, ...]) -> tuple[Range, ...]:
    """Behind a gateway every NIC gets an IPv4 address unless told otherwise."""
    if section.pool is not None:
        return tuple(values.a_range(f"{where}.pool", text, cidrs) for text in section.pool)
    if section.via is None:
        return ()
    return tuple(Range(each.network_address, each.broadcast_address) for each in cidrs if each.version == 4)


def _dhcp(where: str, section: NetworkSection, cidrs: tuple[Cidr, ...]) -> Dhcp:
    given, key = section.dhcp, f"{where}.dhcp"
    of_zones = [(f"{key}.zones.{zone}", options) for zone, options in given.zones.items()]
    for place, options in ((f"{key}.options", given.options), *of_zones):
        _, faults = dhcp_option.options(options)
        if faults:
            raise ConfigError(f"{place}: {'; '.join(faults)}", hint="codes and names are those of dhcp-options(5)")
    return Dhcp(
        lease_s=given.lease_s,
        dynamic=tuple(values.a_range(f"{key}.dynamic", text, cidrs) for text in given.dynamic),
        resolvers=values.addresses(f"{key}.resolvers", given.resolvers),
        search=tuple(values.domain(f"{key}.search", text) for text in given.search),
        ntp=values.addresses(f"{key}.ntp", given.ntp),
        next_server=values.address(f"{key}.next_server", given.next_server) if given.next_server else None,
        boot_file=_plain(f"{key}.boot_file", given.boot_file),
        options={name: _plain(f"{key}.options.{name}", text) for name, text in given.options.items()},
        zones={
            zone: {name: _plain(f"{key}.zones.{zone}.{name}", text) for name, text in options.items()}
            for zone, options in given.zones.items()
        },
    )


def _plain(where: str, text: str) -> str:
    """It goes into a file that a server reads: printable, and nothing that ends a string or a line."""
    if not text.isprintable() or any(character in text for character in '"\\;{}'):
        raise ConfigError(f"{where}: may not hold quotes, backslashes, braces, semicolons or line ends: {text!r}")
    return text


def _static_names(where: str, section: NetworkSection) -> Iterator[StaticName]:
    for each in section.names:
        name = values.domain(f"{where}.names", each.name)
        given = [(kind, text) for kind in ("a", "aaaa", "cname", "txt") if (text := getattr(each, kind)) is not None]
        if len(given) != 1:
            raise ConfigError(f"{where}.names: {name} needs exactly one of a, aaaa, cname and txt")
        kind, text = given[0]
        if kind in ("a", "aaaa"):
            address = values.address(f"{where}.names.{kind}", text)
            if address.version != (4 if kind == "a" else 6):
                raise ConfigError(f"{where}.names: {name} is an {kind.upper()} record, and {text} is not its family")
            text = str(address)
        elif kind == "cname":
            text = values.domain(f"{where}.names.cname", text)
        else:
            text = _plain(f"{where}.names.txt", text)
        yield StaticName(name, kind.upper(), text)


def _cidr(where: str, text: str) -> Cidr:
    cidr = values.cidr(f"{where}.cidr", text)
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
        gateway = values.address(f"{where}.gateway", text)
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
