"""ipf on the real floor: one nftables table per ipf stack, in the network namespace of the zone.

A change builds new chains beside those in use, in pieces that any kernel takes, and then one transaction turns to them:
packets meet the old rules or the new ones, never a mixture. NAT rules are bound in pages that are named after what they
say, so a change among a thousand rules writes one page. Counters are objects with names, so hits outlive a change.

    arriving    -100  nat of the -G stack, then the own     0  filter of the -G stack    10  own filter
    leaving        0  own filter    10  filter of the -G stack    90  leaks    100  own nat, then that of the -G stack
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field

from lab.ipfilter import conntrack, nft_filter, nft_nat
from lab.ipfilter.floor import Session, Traffic
from lab.ipfilter.nft_words import KernelName, Marks, marks
from lab.ipfilter.state import FROM_GLOBAL, OWN, IpfStack
from lab.network import Network
from lab.world import KernelZone

_PIECE = 20_000  # characters of one transaction: without root a netlink buffer has 200 KiB, and rules grow sixfold
_PAGE = 32  # rules, on average
_SYSCTLS = {
    "netfilter/nf_conntrack_timestamp": 1,  # the newest session comes first
    "netfilter/nf_conntrack_tcp_loose": 0,  # a segment in the middle of nowhere makes no session
    "netfilter/nf_conntrack_tcp_be_liberal": 1,
    # How long an idle NAT session lives, in seconds [services 1.11]; that of TCP is the same on both systems.
    "netfilter/nf_conntrack_udp_timeout": 600,
    "netfilter/nf_conntrack_udp_timeout_stream": 600,
    "netfilter/nf_conntrack_icmp_timeout": 3,
    "netfilter/nf_conntrack_icmpv6_timeout": 3,
    "netfilter/nf_conntrack_generic_timeout": 60,
}


@dataclass
class _Table:
    """What is in the kernel of one ipf stack."""

    name: str
    generation: int = 0
    chains: set[str] = field(default_factory=set)
    nat: set[int] = field(default_factory=set)  # numbers of the NAT rules
    counters: set[int] = field(default_factory=set)
    loaded: IpfStack = field(default_factory=IpfStack)


class NftPackets:
    """The `PacketFloor` of containers."""

    def __init__(self, network_of: Callable[[KernelZone | None], Network], kernel_name: KernelName) -> None:
        """`kernel_name` answers also for a link that is not there yet, if it can."""
        self._network_of = network_of
        self._kernel_name = kernel_name
        self._tables: dict[Network, dict[str, _Table]] = {}

    def load(self, zone: KernelZone | None, which: str, ipf: IpfStack) -> None:
        self._load(self._network_of(zone), which, ipf)

    def names_changed(self) -> None:
        """A link that has a generated name in the kernel has come, or has another one."""
        for network, tables in list(self._tables.items()):
            for which, table in list(tables.items()):
                self._load(network, which, table.loaded)

    def _load(self, network: Network, which: str, ipf: IpfStack) -> None:
        tables = self._tables.setdefault(network, {})
        if not ipf.enabled:
            if which in tables:
                table = tables.pop(which)
                network.nft(f"delete table inet {table.name}\n")
                ours = marks(which)
                conntrack.end(network.fd, conntrack.marked(network.fd, ours.nat))
                conntrack.remark(network.fd, conntrack.marked(network.fd, ours.state), ours.state)
            return
        first = which not in tables
        table = tables.setdefault(which, _Table(f"ipf_{which}"))
        table.loaded = ipf
        _turn(network, table, which, ipf, self._present)
        if not table.nat >= set(ipf.nat.values()):
            _untranslated_end(network)
        table.nat = set(ipf.nat.values())
        if first:
            for name, value in _SYSCTLS.items():
                network.sysctl(name, value)

    def _present(self, name: str) -> str | None:
        if name in ("*", "-"):
            return name
        return "lo" if name == "lo0" else self._kernel_name(name)

    def forget(self, network: Network) -> None:
        """It ends, and with it what was loaded there."""
        self._tables.pop(network, None)

    # what the kernel knows ----------------------------------------------------------------------------------------

    def sessions(self, zone: KernelZone | None, which: str) -> list[Session]:
        ours = marks(which)
        found = conntrack.marked(self._network_of(zone).fd, ours.nat)
        return [session for connection in found for session in connection.sessions(ours)]

    def end_sessions(self, zone: KernelZone | None, which: str) -> int:
        network, ours = self._network_of(zone), marks(which)
        found = conntrack.marked(network.fd, ours.nat)
        conntrack.end(network.fd, found)
        return sum(1 for connection in found for _ in connection.sessions(ours))

    def end_states(self, zone: KernelZone | None, which: str, only_unfinished: bool) -> int:
        network, bit = self._network_of(zone), marks(which).state
        found = [each for each in conntrack.marked(network.fd, bit) if not (only_unfinished and each.established)]
        conntrack.remark(network.fd, found, bit)
        return len(found)

    def hits(self, zone: KernelZone | None, which: str) -> dict[int, int]:
        counters = self._counters(zone, which)
        return {int(name[1:]): packets for name, packets in counters.items() if name[1:].isdigit()}

    def traffic(self, zone: KernelZone | None, which: str) -> Traffic:
        counters = self._counters(zone, which)
        return Traffic(counters.get("mapped_in", 0), counters.get("mapped_out", 0))

    def _counters(self, zone: KernelZone | None, which: str) -> dict[str, int]:
        network = self._network_of(zone)
        table = self._tables.get(network, {}).get(which)
        if table is None:
            return {}
        answer = json.loads(network.nft("", "-j", "list", "counters", "table", "inet", table.name))
        found = (item["counter"] for item in answer["nftables"] if "counter" in item)
        return {counter["name"]: counter["packets"] for counter in found}


def _untranslated_end(network: Network) -> None:
    """A new rule is for every packet, but Linux asks about the first of a connection only: so it shall be a first one.

    TCP that a state lets pass is left alone, as without its connection it would not find its way through the filter.
    """
    nat = marks(OWN).nat | marks(FROM_GLOBAL).nat
    state = marks(OWN).state | marks(FROM_GLOBAL).state
    found = (each for each in conntrack.connections(network.fd) if not each.mark & nat)
    conntrack.end(network.fd, [each for each in found if not (each.mark & state and each.tcp)])


def _turn(network: Network, table: _Table, which: str, ipf: IpfStack, kernel_name: KernelName) -> None:
    ours, of_global = marks(which), which == FROM_GLOBAL
    assert which in (OWN, FROM_GLOBAL)
    table.generation += 1
    nat = nft_nat.chains(ipf.nat, ours, kernel_name)
    filters = nft_filter.chains(ipf.filters, ours, kernel_name, f"g{table.generation}")
    into, out, leaks = _paged(nat.into), _paged(nat.out), _paged(nat.leaks)
    chains = {**into, **out, **leaks, **filters.chains}
    numbers = {*ipf.nat.values(), *(kept.number for rules in ipf.filters.values() for kept in rules)}
    lines = [] if table.generation > 1 else _bases(table.name, of_global)
    lines += [f"add counter inet {table.name} n{number}" for number in sorted(numbers - table.counters)]
    for chain in chains.keys() - table.chains:
        lines.append(f"add chain inet {table.name} {chain}")
        lines += [f"add rule inet {table.name} {chain} {rule}" for rule in chains[chain]]
    # Chains are named before their rules: one may jump to another.
    lines.sort(key=lambda line: line.startswith("add rule"))
    begin = {
        "nat_in": [f"jump {page}" for page in into],
        "nat_out": [f"jump {page}" for page in out],
        "leaks": [f"jump {page}" for page in leaks],
        "in": filters.into,
        "out_forward": filters.out,
        "out_local": filters.out,
    }
    turn = _turning(table.name, _frame(begin, ours), table.chains - chains.keys())
    pieces = _pieces(lines)
    pieces[-1] += "".join(f"{line}\n" for line in turn)
    after = [f"delete counter inet {table.name} n{number}" for number in sorted(table.counters - numbers)]
    for piece in pieces + (_pieces(after) if after else []):
        network.nft(piece)
    table.chains = set(chains)
    table.counters = numbers


def _pieces(lines: list[str]) -> list[str]:
    pieces = [""]
    for line in lines:
        if len(pieces[-1]) > _PIECE:
            pieces.append("")
        pieces[-1] += f"{line}\n"
    return pieces


def _bases(table: str, of_global: bool) -> list[str]:
    """The table and the chains where packets come in; of the -G stack nearer to the link."""
    late = 10 * of_global
    hooks = {
        "nat_in": f"type nat hook prerouting priority {-100 - of_global}",
        "nat_out": f"type nat hook postrouting priority {100 + of_global}",
        "leaks": f"type filter hook postrouting priority {90 + of_global}",
        "in": f"type filter hook prerouting priority {10 - late}",
        "out_forward": f"type filter hook forward priority {late}",
        "out_local": f"type filter hook output priority {late}",
    }
    chains = [f"add chain inet {table} {name} {{ {hook}; policy accept; }}" for name, hook in hooks.items()]
    counters = [f"add counter inet {table} {name}" for name in ("mapped_in", "mapped_out")]
    return [f"add table inet {table}", *counters, *chains]


def _paged(rules: list[str]) -> dict[str, list[str]]:
    """Where a page ends depends on the rule there only, so a rule more or less changes one page, or two."""
    pages: dict[str, list[str]] = {}
    page: list[str] = []
    for at, rule in enumerate(rules, start=1):
        page.append(rule)
        if at == len(rules) or zlib.crc32(rule.encode()) % _PAGE == 0:
            pages[f"p{hashlib.sha256(chr(10).join(page).encode()).hexdigest()[:16]}"] = page
            page = []
    return pages


def _frame(begin: dict[str, list[str]], ours: Marks) -> dict[str, list[str]]:
    """The rules of the chains where packets come in."""
    passed = f"ct mark and {ours.state:#x} == {ours.state:#x} accept"
    mapped, redirected = ours.map | ours.bimap_out, ours.rdr | ours.bimap_in
    counted = [
        f"ct mark and {mapped:#x} != 0 ct direction reply counter name mapped_in",
        f"ct mark and {redirected:#x} != 0 ct direction original counter name mapped_in",
    ]
    counted_out = [
        f"ct mark and {mapped:#x} != 0 ct direction original counter name mapped_out",
        f"ct mark and {redirected:#x} != 0 ct direction reply counter name mapped_out",
    ]
    before = {
        "leaks": counted_out,
        "in": ['iifname "lo" accept', *counted, passed],
        "out_forward": [passed],
        "out_local": ['oifname "lo" accept', passed],
    }
    return {base: [*before.get(base, []), *rules] for base, rules in begin.items()}


def _turning(table: str, bases: dict[str, list[str]], old: set[str]) -> list[str]:
    """Packets take the new chains, and the old ones are gone."""
    lines = []
    for base, rules in bases.items():
        lines.append(f"flush chain inet {table} {base}")
        lines += [f"add rule inet {table} {base} {rule}" for rule in rules]
    lines += [f"flush chain inet {table} {chain}" for chain in old]
    lines += [f"delete chain inet {table} {chain}" for chain in old]
    return lines
