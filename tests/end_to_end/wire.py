"""Something to say over a network and somebody to say it to: run by python3 -c in a zone, outside, anywhere.

serve tcp|udp [HOST] PORT…    answers every connection or datagram with the address and port it came from, and its own
ask tcp|udp HOST PORT         prints that answer; exit 1 when none came within 10 s
stream HOST PORT SECONDS      sends numbered lines over one connection and prints how many came back in order
echo [HOST] PORT              the other end of a stream
"""

from __future__ import annotations

import selectors
import signal
import socket
import sys
import time

WAIT_S = 10.0
STREAM_S = 10.0


def family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def bound(kind: str, host: str, port: int) -> socket.socket:
    sock = socket.socket(family(host), socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((host, port))
    if kind == "tcp":
        sock.listen(64)
    return sock


def serve(kind: str, *words: str) -> None:
    host, ports = ("0.0.0.0", words) if words[0].isdigit() else (words[0], words[1:])  # noqa: S104
    ready = selectors.DefaultSelector()
    for port in ports:
        ready.register(bound(kind, host, int(port)), selectors.EVENT_READ)
    while True:
        for key, _ in ready.select():
            sock: socket.socket = key.fileobj  # type: ignore[assignment]
            own = sock.getsockname()[1]
            if kind == "tcp":
                connection, peer = sock.accept()
                connection.sendall(f"{peer[0]} {peer[1]} {own}\n".encode())
                connection.close()
            else:
                _, peer = sock.recvfrom(2048)
                sock.sendto(f"{peer[0]} {peer[1]} {own}\n".encode(), peer)


def ask(kind: str, host: str, port: str) -> None:
    sock = socket.socket(family(host), socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
    sock.settimeout(WAIT_S)
    try:
        sock.connect((host, int(port)))
        if kind == "udp":
            sock.send(b"hello")
        print(sock.recv(2048).decode().strip())
    except OSError as problem:
        print(problem, file=sys.stderr)
        sys.exit(1)


def echo(*words: str) -> None:
    host, port = ("0.0.0.0", words[0]) if len(words) == 1 else words  # noqa: S104
    sock = bound("tcp", host, int(port))
    connection, _ = sock.accept()
    while data := connection.recv(65536):
        connection.sendall(data)


def stream(host: str, port: str, seconds: str) -> None:
    """One line at a time, and the next only when it came back: whatever is lost stops it, and is seen."""
    sock = socket.create_connection((host, int(port)), WAIT_S)
    sock.settimeout(STREAM_S)
    file = sock.makefile("rw")
    number, worst_s = 0, 0.0
    end = time.monotonic() + float(seconds)
    stopped: list[int] = []
    signal.signal(signal.SIGINT, lambda number, frame: stopped.append(number))
    while time.monotonic() < end and not stopped:
        began = time.monotonic()
        file.write(f"{number}\n")
        file.flush()
        if file.readline() != f"{number}\n":
            sys.exit(f"broken after {number} lines")
        number += 1
        worst_s = max(worst_s, time.monotonic() - began)
        time.sleep(0.002)
    print(number, f"{worst_s:.3f}")


{"serve": serve, "ask": ask, "echo": echo, "stream": stream}[sys.argv[1]](*sys.argv[2:])
