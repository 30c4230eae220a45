"""What is said at the lab's door, a stream socket; the other side is native/launch.c, which describes the messages."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

STATE = "/usr/lib/zonelab"  # a small tmpfs on the lab host; seen from every zone
DOOR = f"{STATE}/door"
JOURNAL = f"{STATE}/journal.jsonl"
REQUEST_BYTES_MAX = 16 << 20
_LENGTH = struct.Struct("=I")


class Malformed(Exception):
    """The peer does not speak this protocol, or left in the middle of a message."""


@dataclass(frozen=True)
class Request:
    kind: str  # run | events | ping
    closed: str  # which of the descriptors 0, 1, 2 the caller had closed, as digits
    cwd: str
    argv: list[str]
    environ: dict[str, str]
    files: list[int]  # descriptors 0, 1, 2; whoever holds the request closes them


def _words(items: Sequence[str]) -> bytes:
    return b"".join(item.encode(errors="surrogateescape") + b"\0" for item in items)


def receive_exactly(connection: socket.socket, length: int) -> bytes:
    pieces: list[bytes] = []
    while length > 0:
        piece = connection.recv(min(length, 1 << 20))
        if not piece:
            raise Malformed("the peer left")
        pieces.append(piece)
        length -= len(piece)
    return b"".join(pieces)


def receive_request(connection: socket.socket) -> Request:
    """Raises `Malformed`; no descriptor stays open then."""
    head, files, _flags, _address = socket.recv_fds(connection, _LENGTH.size, 3)
    try:
        head += receive_exactly(connection, _LENGTH.size - len(head)) if head else b""
        if not head:
            raise Malformed("the peer left")
        (length,) = _LENGTH.unpack(head)
        if length > REQUEST_BYTES_MAX:
            raise Malformed(f"a request of {length} bytes")
        words = receive_exactly(connection, length).decode(errors="surrogateescape").split("\0")[:-1]
        kind, closed, cwd, count = words[:4]
        argv, environ = words[4 : 4 + int(count)], words[4 + int(count) :]
        if not argv or (kind == "run" and len(files) != 3):
            raise Malformed("no arguments or no files")
        return Request(kind, closed, cwd, argv, dict(item.split("=", 1) for item in environ if "=" in item), files)
    except (Malformed, ValueError, OSError) as problem:
        for fd in files:
            os.close(fd)
        raise Malformed(str(problem)) from problem


def send_exit(connection: socket.socket, status: int) -> None:
    connection.sendall(b"E" + _LENGTH.pack(1) + bytes([status & 0xFF]))


def send_heed(connection: socket.socket, ignored: bool) -> None:
    """The caller is to ignore SIGINT, SIGTERM, SIGQUIT and SIGHUP, or no more; it does when this returns.

    Raises `Malformed` or OSError when it is gone.
    """
    connection.sendall(b"I" if ignored else b"D")
    receive_exactly(connection, 1)


def send_become(
    connection: socket.socket,
    argv: Sequence[str],
    environ: Mapping[str, str] | None,
    cwd: str,
    no_stdin: bool,
    zone: int,
    network: int = -1,
) -> None:
    """`zone` is a pidfd of the zone's process 1, or -1: where the caller is. `environ` None keeps the caller's.

    `network` is a descriptor of a network namespace, or -1: the caller's own; only where `zone` is -1.
    """
    flags = ("" if environ is None else "e") + ("n" if no_stdin else "") + ("" if network < 0 else "w")
    variables = [f"{name}={value}" for name, value in (environ or {}).items()]
    body = _words([flags, cwd, str(len(argv)), *argv, *variables])
    passed = max(zone, network)
    if passed < 0:
        connection.sendall(b"B" + _LENGTH.pack(len(body)) + body)
        return
    socket.send_fds(connection, [b"B"], [passed])
    connection.sendall(_LENGTH.pack(len(body)) + body)


def receive_wait_status(connection: socket.socket) -> int | None:
    """What a program inside a zone ended with, as `waitpid` gives it; None when its zlogin died first."""
    try:
        return int.from_bytes(receive_exactly(connection, 4), "little")
    except (Malformed, OSError):
        return None
