"""What dhcpd is to serve behind a gateway, and the file that says so. Pure.

A router is given to the hosts that should have one, never to their subnet: what a subnet gives cannot be taken from one
of its hosts, and a secondary NIC must hear of none (services sheet 4.3).
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from zonehookd.illumos import dhcpd, omapi
from zonehookd.model import dhcp_option
from zonehookd.plugin import GatewayView, Ip, Network, Note, Range, templates
from zonehookd.plugin.reservations import Reservation, host_name, reservations

# What we give ourselves where the admin does not say it by code: code -> how dhcpd calls it
_ROUTER, _HOST_NAME = 3, 12
_RESOLVERS, _DOMAIN, _MTU, _NTP, _SEARCH = 6, 15, 26, 42, 119


@dataclass(frozen=True, slots=True)
class Subnet:
    """One network as dhcpd serves it. `lines`: statements without their semicolons. `ranges`: for strangers."""

    name: str
    link: str
    cidr: IPv4Network
    router: IPv4Address
    lease_s: int
    lines: tuple[str, ...]
    ranges: tuple[tuple[IPv4Address, IPv4Address], ...] = ()


@dataclass(frozen=True, slots=True)
class Rules:
    """Everything dhcpd is to know."""

    subnets: tuple[Subnet, ...] = ()
    hosts: tuple[Reservation, ...] = ()
    notes: tuple[Note, ...] = ()

    @property
    def links(self) -> tuple[str, ...]:
        """IP interfaces to listen on: inner ones, and no other."""
        return tuple(sorted({each.link for each in self.subnets}))

    def statements(self, host: Reservation) -> tuple[str, ...]:
        """What this host alone is told."""
        router = next(each.router for each in self.subnets if each.name == host.network)
        given = {each.code for each in host.options}
        own = [_given(each) for each in host.options]
        if host.name and _HOST_NAME not in given:
            own.append(f'option host-name "{host.name}"')
        if host.router and _ROUTER not in given:
            own.append(f"option routers {router}")
        return tuple(own)

    def live(self) -> Mapping[str, omapi.Host]:
        """The hosts as OMAPI adds them, by name."""
        every = (
            omapi.named(each.link, each.mac, each.address, "".join(f"{line}; " for line in self.statements(each)))
            for each in self.hosts
        )
        return {each.name: each for each in every}


@dataclass(frozen=True, slots=True)
class Control:
    """OMAPI: its TCP port, and the file with the key, which is base64."""

    port: int
    file: Path
    key: str
    name: str = omapi.KEY_NAME

    @property
    def digest(self) -> str:
        """Tells one key from another, and tells nobody the key: 256 random bits are not guessed from it."""
        return hashlib.sha256(self.key.encode()).hexdigest()[:12]


@dataclass
class _Gathered:
    subnets: list[Subnet] = field(default_factory=list)
    networks: list[Network] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)


def rules(
    view: GatewayView, up: Mapping[IPv4Address, str], macs: Mapping[str, str], foreign: dhcpd.Declared, main: Path
) -> Rules:
    """`up`: address that is really there -> its IP interface. `macs`: link -> expected MAC. `foreign`: what the rest of
    the main file declares, which comes first wherever the two meet."""
    found = _Gathered()
    for network in sorted(served(view), key=lambda one: one.name):
        _network(view, network, up, foreign, main, found)
    hosts, notes = reservations(view, found.networks, macs)
    kept = []
    for host in hosts:
        refused = _refused(host, foreign, main)
        if refused is not None:
            found.notes.append(refused)
        else:
            kept.append(host)
    return Rules(tuple(found.subnets), tuple(kept), (*found.notes, *notes))


def served(view: GatewayView) -> Iterator[Network]:
    """The gateway's networks on which somebody is to serve DHCP."""
    for network in view.gateway.networks.values() if view.gateway else ():
        if network.dhcp is not None and network.cidr(4) is not None and network.gateway(4) is not None:
            yield network


def render(rules: Rules, control: Control | None, hosts: bool) -> str:
    """The include file. `hosts`: with the reservations; else they come through OMAPI."""
    links = {link: [each for each in rules.subnets if each.link == link] for link in rules.links}
    shown = [
        {"link": each.link, "mac": each.mac, "address": each.address, "lines": rules.statements(each)}
        for each in (rules.hosts if hosts else ())
    ]
    template = templates(Path(__file__).parent / "templates").get_template("dhcpd.conf.j2")
    return template.render(omapi=control, links=links, hosts=shown)


def _network(
    view: GatewayView,
    network: Network,
    up: Mapping[IPv4Address, str],
    foreign: dhcpd.Declared,
    main: Path,
    found: _Gathered,
) -> None:
    cidr, router = network.cidr(4), network.gateway(4)
    assert isinstance(cidr, IPv4Network) and isinstance(router, IPv4Address) and network.dhcp is not None
    link = up.get(router)
    if link is None:
        text = f"DHCP on network {network.name} waits for {router}, its gateway address, to be up"
        found.notes.append(Note("waiting", text, "inner-side-down", network.name, again_after_s=1.0))
        return
    clash = next((each for each in foreign.subnets if each.overlaps(cidr)), None)
    other = next((each for each in found.subnets if each.cidr.overlaps(cidr)), None)
    if clash is not None or other is not None:
        owner = f"subnet {clash} of {main}" if clash is not None else f"network {other.name}" if other else ""
        text = f"DHCP on network {network.name}: {cidr} overlaps {owner}, and one dhcpd cannot serve both"
        hint = f"take it out of {main}" if clash is not None else "serve one of the two from another gateway"
        found.notes.append(Note("refused", text, "subnet-taken", network.name, hint))
        return
    given, faults = dhcp_option.options(network.dhcp.options)
    hint = f"see [network.{network.name}.dhcp] options"
    for fault in faults:
        text = f"DHCP on network {network.name}: {fault}"
        found.notes.append(Note("refused", text, "bad-option", network.name, hint))
    lines = [*_lines(view, network, {each.code for each in given})]
    lines += [_given(each) for each in given]
    ranges = tuple(
        _free(network.dhcp.dynamic, {router, cidr.network_address, cidr.broadcast_address, *_addresses(view, network)})
    )
    found.networks.append(network)
    found.subnets.append(Subnet(network.name, link, cidr, router, network.dhcp.lease_s, tuple(lines), ranges))


def _given(option: dhcp_option.Option) -> str:
    """dhcpd knows any option without a name by its number, whoever declares it or not (4.4.3-P1: parse_option_name).

    A declaration of ours would be missing when dhcpd reads an option of a host in its lease file before it is there.
    """
    return f"option {option.name or f'unknown-{option.code}'} = {option.hex}"


def _lines(view: GatewayView, network: Network, given: Collection[int]) -> Iterator[str]:
    """What the declaration implies, as statements; what the admin gave by code comes from there."""
    dhcp = network.dhcp
    assert dhcp is not None
    label = host_name(network.name)
    domain = f"{label}.{network.domain}" if network.domain else label
    if _RESOLVERS not in given and (resolvers := _resolvers(view, network)):
        yield f"option domain-name-servers {', '.join(map(str, resolvers))}"
    if _DOMAIN not in given:
        yield f'option domain-name "{domain}"'
    if _SEARCH not in given and dhcp.search:
        yield "option domain-search " + ", ".join(f'"{each}"' for each in dhcp.search)
    if _MTU not in given and network.mtu is not None:
        yield f"option interface-mtu {network.mtu}"
    if _NTP not in given and (ntp := _ipv4(dhcp.ntp)):
        yield f"option ntp-servers {', '.join(map(str, ntp))}"
    if dhcp.next_server is not None and dhcp.next_server.version == 4:
        yield f"next-server {dhcp.next_server}"
    if dhcp.boot_file:
        yield f'filename "{dhcp.boot_file}"'


def _resolvers(view: GatewayView, network: Network) -> Sequence[Ip]:
    """Those declared; else the gateway, where it answers names; else those it would ask."""
    assert view.gateway is not None and network.dhcp is not None
    if network.dhcp.resolvers:
        return _ipv4(network.dhcp.resolvers)
    router = network.gateway(4)
    if view.gateway.dns != "none" and router is not None:
        return (router,)
    return _ipv4(view.gateway.upstream)


def _ipv4(addresses: Collection[Ip]) -> tuple[Ip, ...]:
    return tuple(each for each in addresses if each.version == 4)


def _addresses(view: GatewayView, network: Network) -> Iterator[IPv4Address]:
    for attachment in view.members.get(network.name, ()):
        yield from (each.ip for each in attachment.addresses if isinstance(each.ip, IPv4Address))


def _free(ranges: Collection[Range], taken: Collection[IPv4Address]) -> Iterator[tuple[IPv4Address, IPv4Address]]:
    """`ranges` without what somebody has: dhcpd would give it to a second one (services sheet 4.2)."""
    for each in ranges:
        if not isinstance(each.first, IPv4Address) or not isinstance(each.last, IPv4Address):
            continue
        first = each.first
        for address in sorted(address for address in taken if address in each):
            if first < address:
                yield first, address - 1
            first = max(first, address + 1)
        if first <= each.last:
            yield first, each.last


def _refused(host: Reservation, foreign: dhcpd.Declared, main: Path) -> Note | None:
    for thing, owner, code in (
        (host.mac, foreign.macs.get(host.mac), "duplicate-mac"),
        (str(host.address), foreign.addresses.get(host.address), "duplicate-address"),
    ):
        if owner is not None:
            text = f"{host.link}: {thing} of zone {host.zone} is that of host {owner} in {main}"
            return Note("refused", text, code, host.link, f"take host {owner} out of {main}, or change the zone")
    if foreign.routers and not host.router:
        text = f"{host.link} is to have no router, and {main} gives one to everybody"
        return Note("refused", text, "router-for-all", host.link, f"move option routers in {main} into its subnets")
    return None
