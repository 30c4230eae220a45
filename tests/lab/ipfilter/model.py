"""What NAT and filter rules have in common: networks, port comparisons, protocols [services 1.5, 1.9]."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from dataclasses import dataclass

ANY_PROTOCOL = "ip"
BOTH = "tcp/udp"
UNKNOWN_PROTOCOL = "255"  # what is left of -1 in an octet [services 1.5]
OPERATORS = {
    "=": "=", "!=": "!=", "<": "<", ">": ">", "<=": "<=", ">=": ">=",
    "eq": "=", "ne": "!=", "lt": "<", "gt": ">", "le": "<=", "ge": ">=",
}  # fmt: skip


@dataclass(frozen=True)
class Net:
    """An address and its mask, host bits cleared."""

    version: int  # 4 | 6
    address: int
    mask: int

    @property
    def bits(self) -> int:
        return 32 if self.version == 4 else 128

    @property
    def length(self) -> int | None:
        """None: the mask has holes."""
        ones = self.mask.bit_count()
        return ones if self.mask == ((1 << ones) - 1) << (self.bits - ones) else None

    @property
    def host(self) -> str:
        return str(ipaddress.IPv4Address(self.address) if self.version == 4 else ipaddress.IPv6Address(self.address))

    @property
    def last(self) -> int:
        return self.address | (~self.mask & ((1 << self.bits) - 1))

    @property
    def everything(self) -> bool:
        return self.mask == 0

    @property
    def own(self) -> bool:
        """``0/32``: the interface's current address [services 1.5]."""
        return self.address == 0 and self.mask == (1 << self.bits) - 1

    def __str__(self) -> str:
        length = self.length
        return f"{self.host}/{dotted(self.mask, self.version) if length is None else length}"


def net(version: int, address: int, length: int) -> Net:
    """A network by prefix length; longer than the address it is, mask and all, garbage [services 1.4]."""
    bits = 32 if version == 4 else 128
    full = (1 << bits) - 1
    mask = full & ~((1 << (bits - length)) - 1) if length <= bits else full >> (length - bits)
    return Net(version, address & mask, mask)


def dotted(number: int, version: int) -> str:
    return str(ipaddress.IPv4Address(number) if version == 4 else ipaddress.IPv6Address(number))


@dataclass(frozen=True)
class PortTest:
    """`operator`: one of = != < > <= >=, or with two ports: <> (outside), >< (strictly between), : (between)."""

    operator: str
    low: int
    high: int = 0

    def text(self, protocol: str, numeric: bool) -> str:
        if self.high or self.operator in ("<>", "><", ":"):
            gap = "" if self.operator == ":" else " "
            return f"port {self.low}{gap}{self.operator}{gap}{self.high}"
        return f"port {self.operator} {self.low if numeric else port_name(self.low, protocol)}"


@dataclass(frozen=True)
class End:
    """One end of a connection. `net` None: any."""

    net: Net | None = None
    negated: bool = False
    ports: PortTest | None = None

    def text(self, protocol: str, numeric: bool) -> str:
        """Without the negation: each grammar has its own place for it."""
        where = "any" if self.net is None else str(self.net)
        return where if self.ports is None else f"{where} {self.ports.text(protocol, numeric)}"


ANY_END = End()


def protocol_named(word: str) -> str:
    """A protocol as rules print it, by name or number; an unknown name is `UNKNOWN_PROTOCOL`."""
    if word.isdigit():
        return _protocol_numbered(int(word) & 0xFF)
    if word.lower() in (ANY_PROTOCOL, BOTH):
        return word.lower()
    number = _NUMBERS.get(word.lower())
    return UNKNOWN_PROTOCOL if number is None else _protocol_numbered(number)


_NAMES = {
    number: name[8:].lower().replace("icmpv6", "ipv6-icmp")
    for name, number in vars(socket).items()
    if name.startswith("IPPROTO_") and isinstance(number, int) and name not in ("IPPROTO_RAW", "IPPROTO_MAX")
}

_NUMBERS = {name: number for number, name in _NAMES.items()}


def _protocol_numbered(number: int) -> str:
    """The usual names; the rest by number."""
    return ANY_PROTOCOL if number == 0 else _NAMES.get(number, str(number))


def protocol_number(name: str) -> int:
    """Of a protocol as `protocol_named` gives it, `ANY_PROTOCOL` and `BOTH` excepted."""
    return int(name) if name.isdigit() else _NUMBERS[name]


def port_number(word: str, protocol: str = "") -> int | None:
    """By number or by /etc/services; None: no such service. May be above 65535."""
    if word.isdigit():
        return int(word)
    for each in ("tcp", "udp") if protocol in ("", BOTH, ANY_PROTOCOL) else (protocol,):
        with contextlib.suppress(OSError):
            return socket.getservbyname(word, each)
    return None


def port_name(port: int, protocol: str) -> str:
    """The service's name, or the number: not every port has one."""
    names = set()
    for each in ("tcp", "udp") if protocol in (BOTH, ANY_PROTOCOL) else (protocol,):
        try:
            names.add(socket.getservbyport(port, each))
        except OSError:
            return str(port)
    return names.pop() if len(names) == 1 else str(port)
