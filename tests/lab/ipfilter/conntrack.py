"""The kernel's connections in one network namespace, as far as ipf's marks are on them."""

from __future__ import annotations

import contextlib
import errno
import socket
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from pyroute2 import NFCTSocket
from pyroute2.netlink.exceptions import NetlinkError
from pyroute2.netlink.nfnetlink.nfctsocket import NFCTAttrTuple

from lab import linux
from lab.ipfilter.floor import Session
from lab.ipfilter.nft_words import Marks

_FAMILIES = (socket.AF_INET, socket.AF_INET6)
_WITH_PORTS = (socket.IPPROTO_TCP, socket.IPPROTO_UDP)
_TCP_ESTABLISHED = 3


@dataclass(frozen=True)
class Connection:
    mark: int
    original: NFCTAttrTuple  # as its first packet came
    reply: NFCTAttrTuple  # as the answer comes
    started: int  # ns; 0 if the kernel keeps no time
    established: bool

    @property
    def tcp(self) -> bool:
        return bool(self.original.proto == socket.IPPROTO_TCP)

    def sessions(self, marks: Marks) -> Iterator[Session]:
        """A connection that two rules translate, one at each side, is two sessions."""
        out = "MAP" if self.mark & marks.map else "BIMAP" if self.mark & marks.bimap_out else ""
        if out:
            yield Session(out, _from(self.original), _to(self.reply), _from(self.reply))
        into = "RDR" if self.mark & marks.rdr else "BIMAP" if self.mark & marks.bimap_in else ""
        if into:
            yield Session(into, _from(self.reply), _to(self.original), _from(self.original))


def _from(way: NFCTAttrTuple) -> tuple[str, int | None]:
    return way.saddr, way.sport


def _to(way: NFCTAttrTuple) -> tuple[str, int | None]:
    return way.daddr, way.dport


def connections(network_fd: int) -> list[Connection]:
    """All of them, the newest first."""
    found = []
    for family in _FAMILIES:
        with _socket(network_fd, family) as table:
            found += [_connection(family, message) for message in table.dump()]
    return _newest_first(found)


def marked(network_fd: int, bits: int) -> list[Connection]:
    """Those with any of `bits` in their mark, the newest first.

    The kernel is asked for each bit: of a busy proxy's tens of thousands of others it would take seconds to read all.
    """
    each_bit = [1 << number for number in range(bits.bit_length()) if bits >> number & 1]
    found: dict[tuple[Any, ...], Connection] = {}
    for family in _FAMILIES:
        with _socket(network_fd, family) as table:
            for bit in each_bit:
                for message in table.dump(mark=bit, mark_mask=bit):
                    connection = _connection(family, message)
                    found[_key(connection.original)] = connection
    return _newest_first(found.values())


def _key(way: NFCTAttrTuple) -> tuple[Any, ...]:
    icmp = way.icmp_id, way.icmp_type, way.icmp_code
    return way.family, way.saddr, way.daddr, way.proto, way.sport, way.dport, *icmp


def _newest_first(found: Iterable[Connection]) -> list[Connection]:
    return sorted(found, key=lambda connection: -connection.started)


def end(network_fd: int, connections: list[Connection]) -> None:
    for family in _FAMILIES:
        with _socket(network_fd, family) as table:
            for connection in connections:
                if connection.original.family == family:
                    with _gone_is_fine():
                        table.entry("del", tuple_orig=connection.original)


def remark(network_fd: int, connections: list[Connection], without: int) -> None:
    """Take the bits `without` off the marks."""
    for family in _FAMILIES:
        with _socket(network_fd, family) as table:
            for connection in connections:
                if connection.original.family == family:
                    with _gone_is_fine():
                        table.entry("set", tuple_orig=connection.original, mark=connection.mark & ~without)


@contextlib.contextmanager
def _socket(network_fd: int, family: int) -> Iterator[Any]:
    with linux.network_of(network_fd):
        table = NFCTSocket(nfgen_family=family)
    try:
        yield table
    finally:
        table.close()


@contextlib.contextmanager
def _gone_is_fine() -> Iterator[None]:
    try:
        yield
    except NetlinkError as problem:
        if problem.code != errno.ENOENT:
            raise


def _connection(family: int, message: Any) -> Connection:
    original = NFCTAttrTuple.from_netlink(family, message.get_attr("CTA_TUPLE_ORIG"))
    reply = NFCTAttrTuple.from_netlink(family, message.get_attr("CTA_TUPLE_REPLY"))
    times = message.get_attr("CTA_TIMESTAMP")
    started = times.get_attr("CTA_TIMESTAMP_START") if times is not None else 0
    established = True
    if original.proto == socket.IPPROTO_TCP:
        tcp = message.get_nested("CTA_PROTOINFO", "CTA_PROTOINFO_TCP")
        established = tcp is not None and tcp.get_attr("CTA_PROTOINFO_TCP_STATE") == _TCP_ESTABLISHED
    return Connection(message.get_attr("CTA_MARK") or 0, original, reply, started or 0, established)
