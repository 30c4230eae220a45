"""Asks a name server, over UDP or TCP: run by python3 -c in a zone, outside, anywhere.

udp|tcp[/S] SERVER TYPE NAME…     for each name a line: its code, then the answers; "silence" when none came within S
                                  seconds, 10 unless said
watch SERVER TYPE NAME CODE       prints when that was its code for the first time, by the monotonic clock
"""

from __future__ import annotations

import ipaddress
import socket
import struct
import sys
import time

TYPES = {"A": 1, "CNAME": 5, "PTR": 12, "TXT": 16, "AAAA": 28}
CODES = {0: "NOERROR", 2: "SERVFAIL", 3: "NXDOMAIN", 5: "REFUSED"}
WAIT_S = 10.0
WATCH_S = 1.0


def question(kind: str, name: str) -> bytes:
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return struct.pack("!6H", 0x4A, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!HH", TYPES[kind], 1)


def name_at(packet: bytes, at: int) -> tuple[str, int]:
    """(the name, where what comes after it begins)."""
    labels = []
    while size := packet[at]:
        if size >= 0xC0:
            rest, _ = name_at(packet, struct.unpack_from("!H", packet, at)[0] & 0x3FFF)
            return ".".join([*labels, rest]), at + 2
        labels.append(packet[at + 1 : at + 1 + size].decode())
        at += 1 + size
    return ".".join(labels), at + 1


def answers(packet: bytes) -> list[str]:
    _, flags, questions, count = struct.unpack_from("!4H", packet)
    found = [CODES[flags & 0xF]]
    at = 12
    for _ in range(questions):
        at = name_at(packet, at)[1] + 4
    for _ in range(count):
        _, at = name_at(packet, at)
        kind, _, _, size = struct.unpack_from("!HHIH", packet, at)
        at += 10
        data = packet[at : at + size]
        if kind in (TYPES["A"], TYPES["AAAA"]):
            found.append(str(ipaddress.ip_address(data)))
        elif kind == TYPES["TXT"]:
            found.append(data[1:].decode())
        else:
            found.append(name_at(packet, at)[0])
        at += size
    return [found[0], *sorted(found[1:])]


def ask(protocol: str, wait_s: float, server: str, kind: str, name: str) -> list[str]:
    family = socket.AF_INET6 if ":" in server else socket.AF_INET
    stream = protocol == "tcp"
    with socket.socket(family, socket.SOCK_STREAM if stream else socket.SOCK_DGRAM) as sock:
        sock.settimeout(wait_s)
        try:
            sock.connect((server, 53))
            asked = question(kind, name)
            sock.send(struct.pack("!H", len(asked)) + asked if stream else asked)
            return answers(sock.recv(4096)[2 if stream else 0 :])
        except OSError:
            return ["silence"]


def watch(server: str, kind: str, name: str, code: str) -> None:
    while ask("udp", WATCH_S, server, kind, name)[0] != code:
        time.sleep(0.01)
    print(time.monotonic())


if sys.argv[1] == "watch":
    watch(*sys.argv[2:])
else:
    protocol, _, seconds = sys.argv[1].partition("/")
    for each in sys.argv[4:]:
        print(*ask(protocol, float(seconds or WAIT_S), *sys.argv[2:4], each))
