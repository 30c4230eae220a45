"""Matches in the words of nftables, for NAT and filter rules alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lab.ipfilter.model import ANY_PROTOCOL, BOTH, End, Net, PortTest, dotted, protocol_number
from lab.ipfilter.state import FROM_GLOBAL
from lab.world import NotEmulated

KernelName = Callable[[str], str | None]  # link name -> its name in the kernel, None while there is no such link


@dataclass(frozen=True)
class Marks:
    """The bits of a connection's mark that belong to one ipf stack: what it has done with the connection."""

    state: int
    map: int
    rdr: int
    bimap_out: int
    bimap_in: int

    @property
    def nat(self) -> int:
        return self.map | self.rdr | self.bimap_out | self.bimap_in


def marks(which: str) -> Marks:
    shift = 8 if which == FROM_GLOBAL else 0
    return Marks(*(1 << (shift + bit) for bit in range(5)))


def set_mark(bit: int) -> str:
    return f"ct mark set ct mark or {bit:#x}"


def family(version: int) -> str:
    return "ip" if version == 4 else "ip6"


def of_version(version: int) -> str:
    return f"meta nfproto {'ipv4' if version == 4 else 'ipv6'}"


def address(version: int, side: str, net: Net | None, negated: bool = False) -> list[str]:
    """`side`: saddr or daddr. Empty when everything matches."""
    if net is None and negated:
        raise NotEmulated("a rule that excludes everything [services 1.5]")
    if net is None:
        return []
    field = f"{family(version)} {side}"
    if net.length is None:
        return [f"{field} & {dotted(net.mask, version)} {'!=' if negated else '=='} {net.host}"]
    return [f"{field} {'!= ' if negated else ''}{net}"]


def ports(side: str, test: PortTest | None) -> list[str]:
    """`side`: sport or dport."""
    if test is None:
        return []
    match test.operator:
        case "<>":
            return [f"th {side} != {test.low}-{test.high}"]
        case "><":
            return [f"th {side} > {test.low}", f"th {side} < {test.high}"]
        case ":":
            return [f"th {side} {test.low}-{test.high}"]
        case "=":
            return [f"th {side} {test.low}"]
        case operator:
            return [f"th {side} {operator} {test.low}"]


def protocol(name: str, with_ports: bool) -> list[str]:
    """Ports are those of TCP and UDP: a match on them implies these."""
    if name == BOTH or (name == ANY_PROTOCOL and with_ports):
        return ["meta l4proto { tcp, udp }"]
    return [] if name == ANY_PROTOCOL else [f"meta l4proto {protocol_number(name)}"]


def connection(version: int, protocol_name: str, source: End, destination: End) -> list[str]:
    """Matches a packet from `source` to `destination`."""
    with_ports = source.ports is not None or destination.ports is not None
    return [
        of_version(version),
        *protocol(protocol_name, with_ports),
        *address(version, "saddr", source.net, source.negated),
        *address(version, "daddr", destination.net, destination.negated),
        *ports("sport", source.ports),
        *ports("dport", destination.ports),
    ]


def interface(direction: str, name: str) -> list[str]:
    """`direction`: iifname or oifname; `name` as the kernel has it, "" or a wild card for any."""
    return [] if name in ("", "*", "-") else [f'{direction} "{name}"']
