"""The socket to one worker: frames that the wire knows, from one peer, and no more of them than we can hold."""

from __future__ import annotations

import asyncio
import os
import pwd
from collections.abc import Callable
from pathlib import Path

import zmq
import zmq.asyncio
from pydantic import TypeAdapter, ValidationError

from zonehookd.foreign.faults import Fault
from zonehookd.wire.messages import FRAME_MAX_BYTES, Frame, FromWorker

_WAITING = 4  # frames that are kept for us; whoever sends more waits
_CUT_BYTES = 4 * FRAME_MAX_BYTES  # a frame that is larger is not read at all, and its connection is cut
_SEND_S = 30.0  # for room in the socket, when a worker does not read
_frame: TypeAdapter[FromWorker] = TypeAdapter(FromWorker)


class Line:
    """A ROUTER on a socket file of its own. Whoever speaks first is the worker; others are not heard."""

    def __init__(self, context: zmq.asyncio.Context, path: Path, user: str) -> None:
        """`user`: who may connect beside us. Raises OSError, zmq.ZMQError, KeyError (no such user)."""
        self.endpoint = f"ipc://{path}"
        self._path = path
        self._peer: bytes | None = None
        self._socket = context.socket(zmq.ROUTER)
        try:
            self._socket.setsockopt(zmq.LINGER, 0)
            self._socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
            self._socket.setsockopt(zmq.RCVHWM, _WAITING)
            self._socket.setsockopt(zmq.MAXMSGSIZE, _CUT_BYTES)
            self._socket.bind(self.endpoint)
            path.chmod(0o600)
            if user:
                os.chown(path, pwd.getpwnam(user).pw_uid, -1)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._socket.close()
        self._path.unlink(missing_ok=True)

    async def read(self, take: Callable[[FromWorker], None]) -> None:
        """Until the socket is closed. Raises Fault for what breaks the rules; so may `take`."""
        while True:
            peer, *frames = await self._socket.recv_multipart()
            if self._peer is None:
                self._peer = peer
                self._path.unlink(missing_ok=True)  # nobody else connects: each connection may hold frames of ours
            if peer == self._peer:
                take(_received(frames))
            await asyncio.sleep(0)  # a message that is there already is read without a pause, and so is a flood of them

    async def send(self, frame: Frame) -> int:
        """Its size in bytes. Raises Fault."""
        return await self.send_text(frame.model_dump_json().encode())

    async def send_text(self, text: bytes) -> int:
        if self._peer is None:
            raise Fault("protocol", "has not said a word")
        try:
            async with asyncio.timeout(_SEND_S):
                await self._socket.send_multipart([self._peer, text])
        except TimeoutError:
            raise Fault("protocol", "does not read what it is sent") from None
        except zmq.ZMQError as problem:
            raise Fault("protocol", f"cannot be reached: {problem}") from problem
        return len(text)


def _received(frames: list[bytes]) -> FromWorker:
    if len(frames) != 1:
        raise Fault("protocol", f"sent a message of {len(frames)} frames, and one is expected")
    if len(frames[0]) > FRAME_MAX_BYTES:
        raise Fault("protocol", f"sent {len(frames[0])} bytes in one frame, and {FRAME_MAX_BYTES} are the most")
    try:
        return _frame.validate_json(frames[0])
    except ValidationError as problem:
        fault = problem.errors(include_url=False, include_context=False)[0]
        where = ".".join(map(str, fault["loc"]))
        found = "" if fault["type"] in ("missing", "json_invalid") else f", found {str(fault['input'])[:100]!r}"
        more = f" ({problem.error_count()} faults)" if problem.error_count() > 1 else ""
        start = frames[0][:80].decode(errors="replace")
        raise Fault(
            "protocol", f"sent what the wire does not know: {where}: {fault['msg']}{found}{more}; it begins {start!r}"
        ) from None
