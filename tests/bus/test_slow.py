"""A subscriber that stands still while fifty thousand announcements go out costs himself, and nobody else."""

from __future__ import annotations

import signal
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
import zmq
from subscribing import EXAMPLES, PATIENCE_S, Program, Running, until

from zonehookd.bus.announcements import Announcement, BlindData
from zonehookd.bus.follow import Missed

MANY, TOGETHER, QUEUE = 50_000, 500, 1_000
TEXT = "x" * 2_000  # so that keeping all of them for the slow one would be 100 MB
GROWTH_MAX = 40 << 20


class Fast:
    """A subscriber on a thread, that counts what it hears and what it missed."""

    def __init__(self, endpoint: str) -> None:
        self.heard = 0
        self.lost: list[object] = []
        self._end = threading.Event()
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._endpoint = endpoint
        self._thread = threading.Thread(target=self._hear)
        self._thread.start()

    def _hear(self) -> None:
        missed = Missed()
        with self._context.socket(zmq.SUB) as socket:
            socket.setsockopt(zmq.LINGER, 0)
            socket.subscribe("")
            socket.connect(self._endpoint)
            while not self._end.is_set():
                if socket.poll(50):
                    said = Announcement.model_validate_json(socket.recv_multipart()[1])
                    self.lost += missed.before(said)
                    self.heard += said.topic == "blind"

    def close(self) -> None:
        self._end.set()
        self._thread.join(PATIENCE_S)
        self._context.term()


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[Callable[[str], Program]]:
    made: list[Program] = []

    def start(endpoint: str) -> Program:
        made.append(Program([sys.executable, str(EXAMPLES / "follow.py"), endpoint, "blind"]))
        assert made[-1].line().startswith("listening")
        return made[-1]

    yield start
    for each in made:
        each.close()


def publish(here: Running, fast: Fast, count: int) -> list[float]:
    """Seconds for each announcement. Goes on when the fast one has all so far: his own queue is as short."""
    took = []
    before = fast.heard

    def some() -> None:
        for _ in range(TOGETHER):
            began = time.perf_counter()
            here.publisher.say(BlindData(error=TEXT))
            took.append(time.perf_counter() - began)

    while len(took) < count:
        here.do(some)
        until(lambda: fast.heard - before == len(took), "the fast one has all of them")
    return took


def test_a_stopped_subscriber_costs_only_himself(running: Callable[..., Running], slow: Callable[..., Program]) -> None:
    here = running(queue=QUEUE, pulse_s=0.5)
    fast = Fast(here.endpoint)
    try:
        until(here.subscribers, "the fast one")
        alone = publish(here, fast, MANY // 10)
        stopped = slow(here.endpoint)
        stopped.process.send_signal(signal.SIGSTOP)
        publish(here, fast, QUEUE * 2)  # his queue is full, and ours has the size it has then
        size = psutil.Process().memory_info().rss
        beside = publish(here, fast, MANY - QUEUE * 2)
        grown = psutil.Process().memory_info().rss - size
        ratio = statistics.median(beside) / statistics.median(alone)
        print(
            f"median {statistics.median(beside) * 1e6:.0f} us beside a stopped one, {ratio:.2f} times as long as alone,"
            f" longest {max(beside) * 1e3:.1f} ms; memory grew by {grown / 1e6:.1f} MB"
        )
        assert fast.lost == [] and fast.heard == MANY // 10 + MANY
        assert ratio < 3, "the publisher does not wait for him"
        assert grown < GROWTH_MAX, "he costs his queue, and not what has been said"
        stopped.process.send_signal(signal.SIGCONT)
        heard = lost = 0
        while heard + lost < MANY:
            line = stopped.line()
            lost += int(line.split()[1]) if line.startswith("lost ") else 0
            heard += not line.startswith("lost ")
        assert heard + lost == MANY and lost > MANY - 10 * QUEUE, "he knows exactly how many he lost"
    finally:
        fast.close()


def test_an_announcement_that_is_too_long_is_cut(running: Callable[..., Running]) -> None:
    here = running()
    fast = Fast(here.endpoint)
    try:
        until(here.subscribers, "the fast one")
        here.do(lambda: here.publisher.say(BlindData(error="y" * 1_000_000)))
        until(lambda: fast.heard, "it all the same")
        assert fast.lost == []
    finally:
        fast.close()
