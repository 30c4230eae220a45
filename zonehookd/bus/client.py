"""How others ask the daemon: one question, one answer."""

from __future__ import annotations

import socket as socketlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import zmq

from zonehookd.bus.messages import Reply, Request, Verb
from zonehookd.errors import ZonehookError

_START = "start it: svcadm enable zonehookd, or svcadm clear zonehookd after faults; by hand: zonehookd --config FILE"
_BUSY = "svcs -xv zonehookd names its log; svcadm restart zonehookd where it stays so"
_SLOW_S = 2.0  # then somebody who looks on is told


class NoDaemon(ZonehookError):
    """Nobody answered."""

    code = "no-daemon"


def ask(run: Path, verb: Verb, *, timeout_s: float, slow: Callable[[], None] | None = None, **about: Any) -> Any:
    """The answer's data; `about`: the other fields of the Request. `slow` is called when it takes its time.

    Raises NoDaemon when nobody answers in time, ZonehookError when the daemon refuses.
    """
    path = run / "control.sock"
    try:
        there = path.is_socket()
    except PermissionError as problem:
        raise NoDaemon(f"may not reach zonehookd at {path}", hint="only its owner may") from problem
    if not there or not _answered(path):
        raise NoDaemon(f"zonehookd is not listening at {path}", hint=_START)
    with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
        socket.setsockopt(zmq.LINGER, 0)
        socket.connect(f"ipc://{path}")
        socket.send(Request(verb=verb, **about).model_dump_json().encode())
        if not _comes(socket, timeout_s, slow):
            raise NoDaemon(f"zonehookd did not answer {verb} in {timeout_s:g} s at {path}: it may hang", hint=_BUSY)
        reply = Reply.model_validate_json(socket.recv())
    if reply.error is not None:
        raise ZonehookError(reply.error, hint=reply.hint, code=reply.code)
    return reply.data


def _comes(socket: zmq.Socket[bytes], timeout_s: float, slow: Callable[[], None] | None) -> bool:
    if slow is not None and timeout_s > _SLOW_S:
        if socket.poll(int(_SLOW_S * 1000)):
            return True
        slow()
        timeout_s -= _SLOW_S
    return bool(socket.poll(int(timeout_s * 1000)))


def _answered(path: Path) -> bool:
    """Whether anybody holds the socket: ZeroMQ itself would wait for somebody to come."""
    with socketlib.socket(socketlib.AF_UNIX, socketlib.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except OSError:
            return True  # busy, or not ours to judge
    return True
