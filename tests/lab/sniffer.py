"""A packet capture: every frame that a network namespace's interfaces receive or send, decoded when asked about.

Memory is bounded. What falls out of the window is counted (`forgotten`), what the kernel threw away before we read it
too (`lost`); the table of distinct (source, destination, protocol) keeps its counts from start to end.
"""

from __future__ import annotations

import contextlib
import ctypes
import ipaddress
import os
import select
import socket
import struct
import threading
import time
from collections import deque
from dataclasses import dataclass

from lab import linux

WINDOW = 100_000  # packets kept
FLOWS_MAX = 500_000
_SNAP = 128  # bytes of a frame that are copied: headers and ports
_BUFFER = 32 << 20
_AT_ONCE = 500
_ETH_P_ALL = 0x0003
_SOL_PACKET, _PACKET_STATISTICS = 263, 6
_OUTGOING = 4  # sockaddr_ll.sll_pkttype
_SO_RCVBUFFORCE, _SO_ATTACH_FILTER = 33, 26
_IP, _IP6, _ARP = b"\x08\x00", b"\x86\xdd", b"\x08\x06"
_PROTOCOLS = {1: "icmp", 6: "tcp", 17: "udp", 58: "icmp6"}
_EXTENSIONS = (0, 43, 60)  # IPv6: hop by hop, routing, destination options
_FRAGMENT = 44
WITH_PORTS = ("tcp", "udp")


class _Filter(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("code", ctypes.c_void_p)]


@dataclass(frozen=True)
class Flow:
    """Addresses as text; of ARP the sender's and the asked one; of what is not IP the MACs."""

    src: str
    dst: str
    proto: str  # tcp | udp | icmp | icmp6 | arp | ip-N | 0xNNNN (an ethertype)


@dataclass(frozen=True)
class Packet:
    time: float  # seconds since 1970, when it was read
    link: str
    direction: str  # in: received there; out: sent there
    flow: Flow
    sport: int | None
    dport: int | None
    mac: str  # of the frame's sender


class Capture:
    """From construction to `stop`. May be questioned at any time, from any thread."""

    def __init__(self, network_fd: int) -> None:
        """`network_fd` is a descriptor of the network namespace to listen in; all but its `lo` is heard."""
        with linux.network_of(network_fd):
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
        with contextlib.suppress(OSError):
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER)
        code = ctypes.create_string_buffer(struct.pack("=HBBI", 0x06, 0, 0, _SNAP))  # ret #_SNAP
        program = _Filter(1, ctypes.addressof(code))
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, bytes(program))
        self._socket.setblocking(False)
        self._turn = threading.Lock()
        self._kept: deque[tuple[float, str, int, bytes]] = deque()
        self._flows: dict[bytes, int] = {}
        self.seen = self.forgotten = self.lost = self.flows_forgotten = 0
        self._wake = os.eventfd(0, os.EFD_CLOEXEC)
        self.running = True
        self._thread = threading.Thread(target=self._read, name="capture", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """What was caught stays askable."""
        if not self.running:
            return
        self._catch_up()
        self.running = False
        os.eventfd_write(self._wake, 1)
        self._thread.join()
        self._socket.close()
        os.close(self._wake)

    def _read(self) -> None:
        watch = select.poll()
        watch.register(self._socket, select.POLLIN)
        watch.register(self._wake, select.POLLIN)
        while self.running:
            watch.poll()
            if self.running:
                self._some()

    def _some(self) -> bool:
        """Take a handful of frames; whether there may be more."""
        with self._turn:
            for _ in range(_AT_ONCE):
                try:
                    frame, address = self._socket.recvfrom(_SNAP)
                except OSError:  # none left; or the interface went down, which the kernel reports once
                    return False
                if address[0] != "lo":
                    self._take(frame, address[0], address[2])
        return True

    def _take(self, frame: bytes, link: str, kind: int) -> None:
        self.seen += 1
        self._kept.append((time.time(), link, kind, frame))
        if len(self._kept) > WINDOW:
            self._kept.popleft()
            self.forgotten += 1
        key = _key(frame)
        if key in self._flows or len(self._flows) < FLOWS_MAX:
            self._flows[key] = self._flows.get(key, 0) + 1
        else:
            self.flows_forgotten += 1

    def _catch_up(self) -> None:
        """Everything the kernel has for us now is in our books, and what it has lost."""
        if not self.running:
            return
        while self._some():
            pass
        with self._turn:
            statistics = self._socket.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8)  # reading them resets them
            self.lost += struct.unpack("=II", statistics)[1]

    def packets(self) -> list[Packet]:
        """Those still in the window, oldest first."""
        self._catch_up()
        with self._turn:
            kept = list(self._kept)
        return [_decode(*each) for each in kept]

    def flows(self) -> dict[Flow, int]:
        """Every distinct one since the start, with its number of packets."""
        self._catch_up()
        with self._turn:
            known = list(self._flows.items())
        return {_flow(key): count for key, count in known}


def _payload6(frame: bytes) -> tuple[int, int]:
    """(protocol, where its header begins) behind IPv6's extension headers."""
    kind, at = frame[20], 54
    while kind in (*_EXTENSIONS, _FRAGMENT) and at + 2 <= len(frame):
        length = 8 if kind == _FRAGMENT else 8 * (frame[at + 1] + 1)
        kind, at = frame[at], at + length
    return kind, at


def _key(frame: bytes) -> bytes:
    """Ethertype, protocol, source, destination, packed."""
    kind = frame[12:14]
    if kind == _IP and len(frame) >= 34:
        return kind + frame[23:24] + frame[26:34]
    if kind == _IP6 and len(frame) >= 54:
        return kind + bytes([_payload6(frame)[0]]) + frame[22:54]
    if kind == _ARP and len(frame) >= 42:
        return kind + b"\0" + frame[28:32] + frame[38:42]
    return kind + b"\0" + frame[6:12] + frame[0:6]


def _flow(key: bytes) -> Flow:
    kind, number, rest = key[:2], key[2], key[3:]
    half = len(rest) // 2
    if half == 6:
        return Flow(_mac(rest[:6]), _mac(rest[6:]), f"0x{kind.hex()}")
    proto = "arp" if kind == _ARP else _PROTOCOLS.get(number, f"ip-{number}")
    return Flow(str(ipaddress.ip_address(rest[:half])), str(ipaddress.ip_address(rest[half:])), proto)


def _mac(octets: bytes) -> str:
    return octets.hex(":")


def _decode(when: float, link: str, kind: int, frame: bytes) -> Packet:
    flow = _flow(_key(frame))
    sport = dport = None
    if flow.proto in WITH_PORTS:
        fragment = False
        if frame[12:14] == _IP:
            at = 14 + 4 * (frame[14] & 0x0F)
            fragment = bool(struct.unpack_from("!H", frame, 20)[0] & 0x1FFF)
        else:
            at = _payload6(frame)[1]
        if not fragment and len(frame) >= at + 4:
            sport, dport = struct.unpack_from("!HH", frame, at)
    return Packet(when, link, "out" if kind == _OUTGOING else "in", flow, sport, dport, _mac(frame[6:12]))
