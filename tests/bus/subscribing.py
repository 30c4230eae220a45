"""A real publisher on a loop of its own, and subscribers as others write them."""

from __future__ import annotations

import asyncio
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from queue import Empty, Queue
from typing import Any, TypeVar

import zmq
import zmq.asyncio

from zonehookd.bus import keys
from zonehookd.bus.publisher import Publisher
from zonehookd.bus.remote import Remote

EXAMPLES = Path(__file__).resolve().parents[2] / "docs" / "examples"
PATIENCE_S = 60.0
T = TypeVar("T")


def until(check: Callable[[], T], what: str) -> T:
    """Waits for a state; its truth."""
    deadline = time.monotonic() + PATIENCE_S
    while not (found := check()):
        assert time.monotonic() < deadline, f"did not happen within {PATIENCE_S:g} s: {what}"
        time.sleep(0.01)
    return found


class Running:
    """A Publisher, and the loop it lives in, on a thread. `do` runs something there and waits for it."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.folder = folder
        self.endpoint = f"ipc://{folder / 'events.sock'}"
        self.came: list[str] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self.publisher: Publisher = self.do(lambda: self._make(settings))

    def _make(self, settings: dict[str, Any]) -> Publisher:
        self._context = zmq.asyncio.Context()
        listen = settings.pop("listen", "")
        remote = (
            Remote(listen, self.folder / "keys", settings.get("queue", 10_000), self.came.append) if listen else None
        )
        self.remote_endpoint = f"tcp://{remote.listen}" if remote else ""
        publisher = Publisher(self._context, self.folder / "events.sock", remote=remote, **settings)
        self._task = self._loop.create_task(publisher.run())
        return publisher

    def do(self, what: Callable[[], T]) -> T:
        async def there() -> T:
            return what()

        return asyncio.run_coroutine_threadsafe(there(), self._loop).result(PATIENCE_S)

    def subscribers(self, transport: str = "ipc") -> float:
        return self.publisher.numbers()["event_subscribers"][(transport,)]

    def refused(self) -> float:
        return self.publisher.numbers()["event_subscribers_refused_total"][()]

    def close(self) -> None:
        if self._loop.is_closed():
            return

        async def end() -> None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self.publisher.close()
            self._context.term()

        asyncio.run_coroutine_threadsafe(end(), self._loop).result(PATIENCE_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE_S)
        self._loop.close()


class Program:
    """A subscriber in a process of its own, and the lines it prints."""

    def __init__(self, argv: list[str]) -> None:
        self.process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
        self._lines: Queue[str] = Queue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line.rstrip("\n"))

    def line(self) -> str:
        """The next one, as soon as it comes."""
        try:
            return self._lines.get(timeout=PATIENCE_S)
        except Empty:
            raise AssertionError(f"no line within {PATIENCE_S:g} s") from None

    def quiet(self) -> bool:
        return self._lines.empty()

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self._reader.join()
        assert self.process.stdout is not None
        self.process.stdout.close()


def key_file(folder: Path, name: str) -> Path:
    """A subscriber's secret file, beside the folder."""
    file = folder.parent / f"{name}.key_secret"
    keys.write_new(file, keys.new(folder, name))
    return file


def wait_for_pulses(endpoint: str, count: int) -> None:
    with zmq.Context() as context, context.socket(zmq.SUB) as socket:
        socket.subscribe("pulse")
        socket.connect(endpoint)
        for _ in range(count):
            assert socket.poll(PATIENCE_S * 1000), "no pulse"
            socket.recv_multipart()
