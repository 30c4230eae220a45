"""What dnsmasq is to say by DHCP behind a gateway. Pure.

Reservations are in a file that a running dnsmasq reads again; they bear no tags there, for with one dnsmasq 2.90 died
at SIGHUP (services sheet 5.2). The NICs that must hear of no router are tagged in the configuration, by their MAC.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv4Network

from zonehookd.model import dhcp_option
from zonehookd.plugin import GatewayView, Ip, Network, Note, Range
from zonehookd.plugin.reservations import Reservation, host_name, reservations

NO_ROUTER = "zh-norouter"
_ROUTER, _RESOLVERS, _DOMAIN, _MTU, _NTP, _SEARCH = 3, 6, 15, 26, 42, 119
# How dnsmasq reads a value depends on the option: these take addresses, those a text, one names; all others octets.
_ADDRESSES = frozenset({3, 6, 7, 9, 16, 21, 32, 33, 41, 42, 44, 45, 48, 49, 65, *range(68, 77), 150})
_TEXTS = frozenset({15, 17, 18, 40, 64, 66, 67, 100, 101})


@dataclass(frozen=True, slots=True)
class Served:
    """One network: `options`: what stands after the tag of a dhcp-option, such as ``26,1500``. `boot`: file and server,
    or nothing. `instead`: code -> tags of NICs that are told something else, or nothing."""

    name: str
    cidr: IPv4Network
    lease_s: int
    options: tuple[str, ...]
    ranges: tuple[tuple[IPv4Address, IPv4Address], ...] = ()
    boot: str = ""
    instead: Mapping[int, tuple[str, ...]] = field(default_factory=dict)

    @property
    def lines(self) -> tuple[str, ...]:
        """The options with the tags of who is not told them."""
        but = {str(code): "".join(f"tag:!{tag}," for tag in tags) for code, tags in self.instead.items()}
        return tuple(f"{but.get(each.partition(',')[0], '')}{each}" for each in self.options)

    @property
    def tag(self) -> str:
        return f"zh-{self.name}"


@dataclass(frozen=True, slots=True)
class Dhcp:
    """`lines`: the reservations, as dnsmasq reads them. `no_router`: MACs of secondary NICs. `own`: what one zone alone
    is told: its tag, MAC and options."""

    networks: tuple[Served, ...] = ()
    lines: tuple[str, ...] = ()
    no_router: tuple[str, ...] = ()
    own: tuple[tuple[str, str, tuple[str, ...]], ...] = ()
    notes: tuple[Note, ...] = ()


def dhcp(view: GatewayView, networks: Collection[Network], macs: Mapping[str, str]) -> Dhcp:
    """For those of `networks` that have DHCP, and whose gateway address is up. `macs`: link -> expected MAC."""
    notes: list[Note] = []
    on = [each for each in networks if each.dhcp is not None and each.cidr(4) and each.gateway(4)]
    served = tuple(_served(view, each, notes) for each in on)
    hosts, refused = reservations(view, on, macs)
    leases = {each.name: each.lease_s for each in served}
    lines = tuple(f"{each.mac},{each.address},{leases[each.network]}" for each in hosts)
    no_router = tuple(each.mac for each in hosts if not each.router)
    own = tuple((f"zh-nic-{each.link}", each.mac, _lines_of(each)) for each in hosts if each.options)
    return Dhcp(tuple(_apart(each, hosts) for each in served), lines, no_router, own, (*notes, *refused))


def _lines_of(host: Reservation) -> tuple[str, ...]:
    return tuple(f"{each.code},{value(each)}" for each in host.options)


def _apart(network: Served, hosts: Collection[Reservation]) -> Served:
    """What a NIC is told of its own it is not told by its network as well."""
    instead: dict[int, list[str]] = {_ROUTER: [NO_ROUTER]}
    for each in hosts:
        if each.network == network.name:
            for option in each.options:
                instead.setdefault(option.code, []).append(f"zh-nic-{each.link}")
    return replace(network, instead={code: tuple(tags) for code, tags in instead.items()})


def _served(view: GatewayView, network: Network, notes: list[Note]) -> Served:
    cidr, given = network.cidr(4), network.dhcp
    assert isinstance(cidr, IPv4Network) and given is not None
    options, faults = dhcp_option.options(given.options)
    for fault in faults:
        text = f"DHCP on network {network.name}: {fault}"
        hint = f"see [network.{network.name}.dhcp] options"
        notes.append(Note("refused", text, "bad-option", network.name, hint))
    own = {each.code: value(each) for each in options}
    ours = dict(_ours(view, network))
    lines = tuple(f"{code},{text}" if text else f"{code}" for code, text in sorted({**ours, **own}.items()))
    server = given.next_server if given.next_server is not None and given.next_server.version == 4 else ""
    boot = f"{_quoted(given.boot_file)},,{server}" if given.boot_file or server else ""
    taken = {address.ip for each in view.members.get(network.name, ()) for address in each.addresses}
    ranges = tuple(_free(given.dynamic, {*taken, *network.gateways}))
    return Served(network.name, cidr, given.lease_s, lines, ranges, boot.rstrip(","))


def _ours(view: GatewayView, network: Network) -> Iterator[tuple[int, str]]:
    """What the declaration implies; an option without a value is not sent, where dnsmasq would send its own."""
    given = network.dhcp
    assert given is not None and view.gateway is not None
    label = host_name(network.name)
    yield _ROUTER, str(network.gateway(4))
    yield _DOMAIN, _quoted(f"{label}.{network.domain}" if network.domain else label)
    resolvers = given.resolvers
    if not resolvers:
        resolvers = network.gateways if view.gateway.dns != "none" else view.gateway.upstream
    yield _RESOLVERS, _addresses(resolvers)
    if network.mtu is not None:
        yield _MTU, str(network.mtu)
    if given.ntp:
        yield _NTP, _addresses(given.ntp)
    if given.search:
        yield _SEARCH, ",".join(given.search)


def value(option: dhcp_option.Option) -> str:
    """The octets of an option as dnsmasq must be told them, to send just those."""
    octets = option.octets
    if option.code in _ADDRESSES:
        return ",".join(str(IPv4Address(octets[at : at + 4])) for at in range(0, len(octets), 4))
    if option.code in _TEXTS:
        return _quoted(octets.decode("ascii"))
    if option.code == _SEARCH:
        return ",".join(_names(octets))
    return option.hex if len(octets) > 1 else str(octets[0])  # a single pair of digits is read as a decimal number


def _names(octets: bytes) -> Iterator[str]:
    labels: list[str] = []
    at = 0
    while at < len(octets):
        size = octets[at]
        if size:
            labels.append(octets[at + 1 : at + 1 + size].decode("ascii"))
        elif labels:
            yield ".".join(labels)
            labels = []
        at += 1 + size


def _addresses(every: Collection[Ip]) -> str:
    return ",".join(str(each) for each in every if each.version == 4)


def _quoted(text: str) -> str:
    """Between quotes commas and # mean themselves; the declaration lets neither quotes nor backslashes through."""
    return f'"{text}"' if text else ""


def _free(ranges: Collection[Range], taken: Collection[Ip]) -> Iterator[tuple[IPv4Address, IPv4Address]]:
    """`ranges` without what somebody has already."""
    for each in ranges:
        first, last = each.first, each.last
        if not isinstance(first, IPv4Address) or not isinstance(last, IPv4Address):
            continue
        for address in sorted(one for one in taken if isinstance(one, IPv4Address) and first <= one <= last):
            if first < address:
                yield first, address - 1
            first = address + 1
        if first <= last:
            yield first, last
