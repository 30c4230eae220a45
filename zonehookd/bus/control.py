"""The control socket: one question, one answer. Answers come from the engine; nothing is decided here."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import zmq
import zmq.asyncio
from pydantic import BaseModel, ValidationError

from zonehookd.bus.messages import Reply, Request
from zonehookd.errors import ZonehookError

_TOGETHER_MAX = 16  # requests answered at once; more wait in the socket
_REQUEST_MAX_BYTES = 1 << 20
Handler = Callable[[Request], Awaitable[BaseModel | list[Any]]]


class ControlServer:
    """`handlers` maps a verb to the coroutine that answers it."""

    def __init__(self, context: zmq.asyncio.Context, path: Path, handlers: dict[str, Handler]) -> None:
        self._handlers = handlers
        self._slots = asyncio.Semaphore(_TOGETHER_MAX)
        self._socket = context.socket(zmq.ROUTER)
        self._socket.setsockopt(zmq.LINGER, 500)
        self._socket.setsockopt(zmq.MAXMSGSIZE, _REQUEST_MAX_BYTES)
        self.path = path
        self.bind()

    def bind(self) -> None:
        """Makes the socket file; who is connected by a former one stays so. Raises zmq.ZMQError, OSError."""
        self._socket.bind(f"ipc://{self.path}")
        self.path.chmod(0o600)

    def close(self) -> None:
        self._socket.close()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            while True:
                await self._slots.acquire()
                frames = await self._socket.recv_multipart()
                tasks.create_task(self._answer(frames))

    async def _answer(self, frames: list[bytes]) -> None:
        try:
            reply = await self._reply(frames[-1])
            await self._socket.send_multipart([*frames[:-1], reply.model_dump_json().encode()])
        except zmq.ZMQError:
            pass  # who asked has gone
        finally:
            self._slots.release()

    async def _reply(self, text: bytes) -> Reply:
        try:
            request = Request.model_validate_json(text)
        except ValidationError as problem:
            return Reply(error=f"not a request: {problem.errors(include_url=False)[0]['msg']}", code="bad-request")
        try:
            answer = await self._handlers[request.verb](request)
        except ZonehookError as problem:
            return Reply(error=problem.args[0], code=problem.code, hint=problem.hint)
        except Exception as problem:  # a broken answer must not end the daemon
            return Reply(error=f"internal error: {problem!r}", code="internal")
        if isinstance(answer, BaseModel):
            return Reply(data=answer.model_dump(mode="json"))
        return Reply(data=[each.model_dump(mode="json") for each in answer])
