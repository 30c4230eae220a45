"""The main thread of a worker: frames to and from the daemon, and the leash. All else happens in the plugin's thread.

The leash is a pipe that the daemon holds and never writes to. It ends when the daemon does, however it died, and so do
we, at once. A plugin that holds the interpreter's lock stops this thread too: for that there is the clock in `serve`.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import queue
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import zmq
from pydantic import BaseModel, ValidationError

from zonehookd.errors import CannotObserve, PluginFailed
from zonehookd.wire.messages import (
    CALL_MAX_BYTES,
    FRAME_MAX_BYTES,
    AnswerFrame,
    Ask,
    Call,
    Question,
    Stop,
    Welcome,
    to_worker,
)

_LAST_WORDS_MS = 500
EXIT_PROTOCOL = 76  # EX_PROTOCOL of sysexits(3)


class Post:
    """`send`, `ask` and `forget` may be called from any thread; `run` is the main thread's."""

    def __init__(self, endpoint: str, leash: int, arrived: Callable[[Welcome | Call], None]) -> None:
        """`leash`: file descriptor that ends when the daemon does. `arrived`: given what the plugin is to work on."""
        self._leash = leash
        self._arrived = arrived
        self._out: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._woken, self._wake = os.pipe()
        os.set_blocking(self._wake, False)
        self._numbers = itertools.count(1)
        self._waiting: dict[int, Future[dict[str, Any]]] = {}
        self._socket = zmq.Context().socket(zmq.DEALER)
        self._socket.setsockopt(zmq.LINGER, _LAST_WORDS_MS)
        self._socket.setsockopt(zmq.MAXMSGSIZE, CALL_MAX_BYTES)
        self._socket.connect(endpoint)

    def send(self, frame: BaseModel) -> None:
        """Raises PluginFailed for a frame that the daemon would not take."""
        text = frame.model_dump_json().encode()
        if len(text) > FRAME_MAX_BYTES:
            raise PluginFailed(f"{len(text)} bytes are too many for one message; {FRAME_MAX_BYTES} are the most")
        self._out.put(text)
        with contextlib.suppress(BlockingIOError):  # the pipe is full of wakes that were not seen yet
            os.write(self._wake, b".")

    def ask(self, call: int, question: Question) -> Future[dict[str, Any]]:
        """The answer; CannotObserve if there is none."""
        number = next(self._numbers)
        answer: Future[dict[str, Any]] = Future()
        answer.set_running_or_notify_cancel()  # whoever gives up waiting cannot cancel it under our hands
        self._waiting[number] = answer
        self.send(Ask(id=call, ask=number, question=question))
        return answer

    def forget(self) -> None:
        """Nobody waits any more for what was asked so far."""
        self._waiting.clear()

    def run(self) -> int:
        """Until the daemon says stop, or is gone; returns an exit status."""
        poller = zmq.Poller()
        poller.register(self._socket, zmq.POLLIN)
        for fd in (self._leash, self._woken):
            poller.register(fd, zmq.POLLIN)
        while True:
            # A daemon that does not read is not waited for in `send`: we would not see it die.
            poller.modify(self._socket, zmq.POLLIN if self._out.empty() else zmq.POLLIN | zmq.POLLOUT)
            ready = dict(poller.poll())
            if self._leash in ready and not os.read(self._leash, 512):
                return 0
            if self._woken in ready:
                os.read(self._woken, 512)
            state = ready.get(self._socket, 0)
            if state & zmq.POLLOUT:
                self._socket.send(self._out.get())
            if state & zmq.POLLIN:
                try:
                    frame = to_worker.validate_json(self._socket.recv())
                except ValidationError as problem:
                    print(f"the daemon says what this version does not know: {problem}", flush=True)
                    return EXIT_PROTOCOL
                if isinstance(frame, Stop):
                    return 0
                self._take(frame)

    def _take(self, frame: Welcome | Call | AnswerFrame) -> None:
        if not isinstance(frame, AnswerFrame):
            self._arrived(frame)
        elif (answer := self._waiting.pop(frame.ask, None)) is not None:
            if frame.error:
                answer.set_exception(CannotObserve(frame.error))
            else:
                answer.set_result(frame.answer)
