"""What a zone sees of its network as it boots; run by python3 in the zone.

SERVER NAME FAR PORT   prints, as JSON, the wall-clock times when it first had an address, when SERVER first knew NAME,
and when a connection to FAR was first made
"""

from __future__ import annotations

import json
import socket
import struct
import sys
import time

_PAUSE_S, _PATIENCE_S = 0.005, 0.1


def leased(server: str) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.connect((server, 53))
        except OSError:
            return False
        return True


def named(server: str, name: str) -> bool:
    question = (
        struct.pack("!6H", 1, 0x0100, 1, 0, 0, 0) + bytes([len(name)]) + name.encode() + struct.pack("!B2H", 0, 1, 1)
    )
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(_PATIENCE_S)
        try:
            sock.connect((server, 53))
            sock.send(question)
            flags, _, answers = struct.unpack_from("!3H", sock.recv(2048), 2)
        except OSError:
            return False
        return bool(flags & 0xF == 0 and answers > 0)


def out(far: str, port: int) -> bool:
    try:
        socket.create_connection((far, port), _PATIENCE_S).close()
    except OSError:
        return False
    return True


def main(server: str, name: str, far: str, port: str) -> None:
    checks = {
        "leased": lambda: leased(server),
        "named": lambda: named(server, name),
        "out": lambda: out(far, int(port)),
    }
    seen: dict[str, float] = {}
    while len(seen) < len(checks):
        for what in [each for each in checks if each not in seen]:
            if checks[what]():
                seen[what] = time.time()
            elif what == "leased":
                break  # without an address nothing further is there
        time.sleep(_PAUSE_S)
    print(json.dumps(seen))


main(*sys.argv[1:])
