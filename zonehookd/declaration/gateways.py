"""From `[gateway.NAME]` to `Gateway`s, refusing what cannot be (contract A3, A6): pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping

from zonehookd.config import ForwardSection, GatewaySection
from zonehookd.declaration import proxies, values
from zonehookd.errors import ConfigError
from zonehookd.model.gateway import GLOBAL, Forward, Gateway, StaticNat
from zonehookd.model.network import Ip, Network
from zonehookd.model.zone import Address


def gateways(
    sections: Mapping[str, GatewaySection], networks: Mapping[str, Network]
) -> tuple[dict[str, Gateway], list[str]]:
    """(name -> gateway, faults)."""
    faults: list[str] = []
    found: dict[str, Gateway] = {}
    for network in networks.values():
        if network.via and network.via not in sections:
            faults.append(
                f"network.{network.name}.via: there is no gateway {network.via!r} "
                f"(hint: declare [gateway.{network.via}], or name one of: {', '.join(sections) or 'none'})"
            )
        if network.via and not network.internal:
            faults.append(f"network.{network.name}: lies over an uplink, so its gateway is not ours: it has no `via`")
    for name, section in sections.items():
        behind = {each.name: each for each in networks.values() if each.via == name}
        try:
            found[name] = _gateway(name, section, behind, networks)
        except ConfigError as fault:
            faults.append(str(fault))
    faults += _cycles(found)
    faults += _addresses_twice(found)
    return found, faults


def _gateway(
    name: str, section: GatewaySection, behind: Mapping[str, Network], networks: Mapping[str, Network]
) -> Gateway:
    where = f"gateway.{name}"
    kind = section.kind or ("global" if name == GLOBAL else "proxy")
    if (kind == "global") is not (name == GLOBAL):
        raise ConfigError(f"{where}.kind: the gateway of kind global is called global, and only that one")
    if kind == "external" and (section.forward or section.static):
        raise ConfigError(f"{where}: an external gateway is only wired, so nothing can be forwarded in it",
                          hint="declare the ways in there, or make it kind = \"proxy\"")  # fmt: skip
    outside = networks.get(section.outside) if section.outside else None
    if section.outside and outside is None:
        raise ConfigError(
            f"{where}.outside: there is no network {section.outside!r}", hint=f"declared: {', '.join(networks)}"
        )
    if outside is not None and outside.name in behind:
        raise ConfigError(f"{where}.outside: {outside.name} is behind this very gateway")
    if kind == "global" and outside is not None and outside.internal:
        raise ConfigError(f"{where}.outside: the global zone goes out by an uplink, and {outside.name} is an etherstub")
    texts = [section.address] if isinstance(section.address, str) else section.address or []
    addresses = tuple(_outer(where, text, outside) for text in texts)
    if len({each.ip for each in addresses}) < len(addresses):
        raise ConfigError(f"{where}.address: the same address twice")
    if section.nat and section.forward and outside is None:
        raise ConfigError(f"{where}.forward: there is no outer side to come in by", hint=f"set outside in [{where}]")
    forwards = tuple(_forward(f"{where}.forward", each, addresses) for each in section.forward)
    own = {str(address) for network in behind.values() for address in network.gateways} | {name}
    for target in [*(each.to for each in forwards), *(each.inside for each in section.static)]:
        if target in own:
            raise ConfigError(f"{where}: {target} is the gateway itself, and nothing need be translated to reach it",
                              hint="name a zone behind it, or its address")  # fmt: skip
    _check_forwards(where, forwards)
    statics: list[StaticNat] = []
    for each in section.static:
        public = values.address(f"{where}.static.public", each.public)
        if outside is None or not outside.holds(public):
            raise ConfigError(f"{where}.static: {public} is not in the outer network")
        if public in {one.ip for one in addresses}:
            raise ConfigError(f"{where}.static: {public} is the gateway's own outer address",
                              hint="a one-to-one address belongs to one zone alone: take another")  # fmt: skip
        if public in outside.gateways:
            raise ConfigError(f"{where}.static: {public} is the gateway address of network {outside.name}",
                              hint="choose an address that nobody has")  # fmt: skip
        other = next((one.inside for one in statics if one.public == public), None)
        if other is not None:
            raise ConfigError(f"{where}.static: {public} is given to two, {other} and {each.inside}",
                              hint="one public address has one owner")  # fmt: skip
        statics.append(StaticNat(public, _target(f"{where}.static.inside", each.inside)))
    made = Gateway(
        name=name,
        kind=kind,
        networks=behind,
        outside=outside,
        addresses=addresses,
        link=values.link(f"{where}.link", section.link) if section.link else "",
        nat=section.nat,
        forwards=forwards,
        statics=tuple(statics),
        dhcp=section.dhcp,
        dns=section.dns,
        upstream=values.addresses(f"{where}.upstream", section.upstream),
        proxy=proxies.proxy(name, section, kind),
    )
    proxies.check_ports(made)
    return made


def _outer(where: str, text: str, outside: Network | None) -> Address:
    address = values.address(f"{where}.address", text.partition("/")[0])
    cidr = outside.cidr(address.version) if outside else None
    if outside is None or cidr is None or address not in cidr:
        raise ConfigError(f"{where}.address: {address} is not in the outer network",
                          hint="`outside` names a network that contains it")  # fmt: skip
    if address in outside.gateways:
        raise ConfigError(f"{where}.address: {address} is the gateway address of network {outside.name}")
    return ipaddress.ip_interface(f"{address}/{cidr.prefixlen}")


def _target(where: str, text: str) -> str:
    """An address in normal form, or a zone's name: which zones there are is not for the configuration to know."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        if not text or text.strip("0123456789.:/") == "":
            raise ConfigError(f"{where}: expected an address or a zone's name, found {text!r}") from None
        return text


def _forward(where: str, section: ForwardSection, addresses: tuple[Address, ...]) -> Forward:
    first, last = values.port(f"{where}.port", section.port)
    public: Ip | None = None
    if section.public is not None:
        public = values.address(f"{where}.public", section.public)
        if public not in {each.ip for each in addresses}:
            raise ConfigError(f"{where}.public: {public} is none of the gateway's outer addresses")
    to_port = section.to_port or first
    if not section.fixed and to_port + last - first > 65535:
        raise ConfigError(f"{where}.to_port: {first}-{last} moved to {to_port} ends above 65535")
    return Forward(
        first,
        last,
        _target(f"{where}.to", section.to),
        to_port,
        section.protocol,
        public,
        tuple(values.cidr(f"{where}.sources", text) for text in section.sources),
        section.fixed,
    )


def _check_forwards(where: str, forwards: tuple[Forward, ...]) -> None:
    """The same public port twice is refused with the owner; different sources may differ (contract A6)."""
    taken: dict[tuple[Ip | None, str], list[tuple[int, Forward]]] = {}
    for number, forward in enumerate(forwards):
        for protocol in forward.protocol.split("/"):
            taken.setdefault((forward.public, protocol), []).append((number, forward))
    clashes = [clash for each in taken.values() for clash in _clashes(each)]
    if clashes:
        one, two = (forwards[number] for number in min(clashes))
        raise ConfigError(f"{where}.forward: {two} (to {two.to}) is taken by {one} (to {one.to})",
                          hint="one public port has one owner: choose another port or address")  # fmt: skip


def _clashes(forwards: list[tuple[int, Forward]]) -> Iterator[tuple[int, int]]:
    """Numbers of two that want the same, the earlier first. Sorted by port, so of a thousand only neighbours meet."""
    reach: list[tuple[int, Forward]] = []  # those whose ports may go on
    for number, forward in sorted(forwards, key=lambda each: each[1].first):
        reach = [each for each in reach if each[1].last >= forward.first]
        for other, one in reach:
            apart = one.sources and forward.sources and not any(
                a.overlaps(b) for a in one.sources for b in forward.sources if a.version == b.version
            )  # fmt: skip
            if not apart:
                yield min(number, other), max(number, other)
        reach.append((number, forward))


def _cycles(found: Mapping[str, Gateway]) -> Iterator[str]:
    """Following outer sides must end: at an uplink, or at a gateway that has none."""
    told: set[str] = set()
    for start in found:
        trail: list[str] = []
        name = start
        while name in found and name not in trail:
            trail.append(name)
            outside = found[name].outside
            name = outside.via if outside is not None else ""
        if name in trail and name not in told:
            ring = trail[trail.index(name) :]
            told.update(ring)
            yield (
                f"gateway.{start}: the gateways go round in a ring: {' behind '.join([*ring, name])} "
                "(hint: the outermost one needs an outside over an uplink)"
            )


def _addresses_twice(found: Mapping[str, Gateway]) -> Iterator[str]:
    owners: dict[tuple[str, Ip], str] = {}
    for name, gateway in found.items():
        if gateway.outside is None:
            continue
        for address in [*(each.ip for each in gateway.addresses), *(each.public for each in gateway.statics)]:
            owner = owners.setdefault((gateway.outside.link, address), name)
            if owner != name:
                yield f"gateway.{name}.address: {address} belongs to gateway {owner}"
