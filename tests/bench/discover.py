"""Asks for an address by DHCP on behalf of somebody else, again and again; run by python3 in a zone of the network.

LINK MAC PERIOD     prints a line when it begins to ask; then when the first offer came (wall clock), and its address
"""

from __future__ import annotations

import select
import socket
import struct
import sys
import time

_COOKIE = bytes((99, 130, 83, 99))
_DISCOVER = bytes((53, 1, 1, 255))
_BROADCAST_FLAG = 0x8000
_TRANSACTION = 0x5A4F4E45


def main(link: str, mac: str, period: str) -> None:
    hardware = bytes(int(part, 16) for part in mac.split(":"))
    head = struct.pack("!4BIHH16s16s192s", 1, 1, 6, 0, _TRANSACTION, 0, _BROADCAST_FLAG, b"", hardware, b"")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, link.encode())
        sock.bind(("", 68))
        print("asking", flush=True)
        while True:
            sock.sendto(head + _COOKIE + _DISCOVER, ("255.255.255.255", 67))
            if select.select([sock], [], [], float(period))[0]:
                answer = sock.recv(2048)
                if answer[0] == 2 and answer[28:34] == hardware:
                    print(time.time(), socket.inet_ntoa(answer[16:20]), flush=True)
                    return


main(*sys.argv[1:])
