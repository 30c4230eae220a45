"""The notification ABI, through ctypes as a program would use it [zones 2.5]."""

from __future__ import annotations

import ctypes
import errno
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator

import pytest

from lab.channel import SUBSCRIBERS
from lab.tests.bench import TIMEOUT_SECONDS, Bench, until

Event = tuple[str, int, str, str, int]
CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.c_char_p, ctypes.c_int32, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_int64, ctypes.c_void_p
)


class Listener:
    """One handle, its callback, and what came."""

    def __init__(self, bench: Bench, answer: Callable[[Event], int] = lambda event: 0) -> None:
        self.library = ctypes.CDLL(str(bench.folder / "lib/libzonecfg.so.1"))
        self.library.zonecfg_notify_bind.restype = ctypes.c_void_p
        for name in ("unbind", "critical_enter", "critical_exit", "critical_abort"):
            getattr(self.library, f"zonecfg_notify_{name}").argtypes = [ctypes.c_void_p]
        self.came: list[Event] = []
        self.changed = threading.Condition()
        self.answer = answer
        self.callback = CALLBACK(self._call)
        self.handle = self.library.zonecfg_notify_bind(self.callback, None)

    def _call(self, zone: bytes, zoneid: int, new: bytes, old: bytes, when: int, cookie: int | None) -> int:
        event = (zone.decode(), zoneid, new.decode(), old.decode(), when)
        with self.changed:
            self.came.append(event)
            self.changed.notify_all()
        return self.answer(event)

    def wait(self, count: int) -> list[Event]:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.came) >= count, TIMEOUT_SECONDS)
        return self.came

    def unbind(self) -> None:
        self.library.zonecfg_notify_unbind(self.handle)

    def enter(self) -> None:
        self.library.zonecfg_notify_critical_enter(self.handle)

    def exit(self) -> int:
        return int(self.library.zonecfg_notify_critical_exit(self.handle))

    def abort(self) -> None:
        self.library.zonecfg_notify_critical_abort(self.handle)


@pytest.fixture
def listener(bench: Bench) -> Iterator[Listener]:
    made = Listener(bench)
    assert made.handle
    yield made
    made.unbind()


def test_the_new_state_comes_before_the_old(bench: Bench, listener: Listener) -> None:
    bench.world.channel.publish("web1", "running", "ready", 7)
    [(zone, zoneid, new, old, when)] = listener.wait(1)
    assert (zone, zoneid, new, old) == ("web1", 7, "running", "ready")
    assert when > 0


def test_events_come_one_at_a_time_and_in_order(bench: Bench, listener: Listener) -> None:
    for number in range(200):
        bench.world.channel.publish("web1", "ready", "ready", number)
    assert [zoneid for _, zoneid, *_ in listener.wait(200)] == list(range(200))


def test_a_slot_is_free_once_the_callback_has_returned(bench: Bench, listener: Listener) -> None:
    hold, entered = threading.Event(), threading.Event()

    def answer(event: Event) -> int:
        entered.set()
        return 0 if hold.wait(TIMEOUT_SECONDS) else 1

    listener.answer = answer
    bench.world.channel.publish("web1", "ready", "ready", 1)
    assert entered.wait(TIMEOUT_SECONDS)
    [subscription] = bench.world.channel.subscriptions
    assert len(subscription.pending) == 1
    hold.set()
    listener.enter()
    assert listener.exit() == 0  # its own ping came back, so everything before is done
    assert len(subscription.pending) <= 1


@pytest.mark.parametrize(("tries", "calls"), [(1, 2), (3, 4), (99, 4)])
def test_eagain_is_delivered_again_three_times_at_most(
    bench: Bench, listener: Listener, tries: int, calls: int
) -> None:
    listener.answer = lambda event: errno.EAGAIN if len(listener.came) <= tries and event[1] == 1 else 0
    bench.world.channel.publish("web1", "ready", "ready", 1)
    bench.world.channel.publish("web2", "ready", "ready", 2)
    assert [zoneid for _, zoneid, *_ in listener.wait(calls + 1)] == [1] * calls + [2]


def test_any_other_value_counts_as_consumed(bench: Bench, listener: Listener) -> None:
    listener.answer = lambda event: 5
    bench.world.channel.publish("web1", "ready", "ready", 1)
    bench.world.channel.publish("web1", "ready", "ready", 2)
    assert len(listener.wait(2)) == 2


def test_a_quiet_critical_section_ends_with_0(listener: Listener) -> None:
    listener.enter()
    assert listener.exit() == 0


def test_what_happens_in_the_critical_section_is_thrown_away_but_noticed(bench: Bench, listener: Listener) -> None:
    listener.enter()
    bench.world.channel.publish("web1", "ready", "ready", 1)
    assert listener.exit() == 1
    assert listener.exit() == 0
    bench.world.channel.publish("web1", "ready", "ready", 2)
    assert [zoneid for _, zoneid, *_ in listener.wait(1)] == [2]


def test_abort_leaves_without_a_look(bench: Bench, listener: Listener) -> None:
    listener.enter()
    listener.abort()
    bench.world.channel.publish("web1", "ready", "ready", 3)
    assert [zoneid for _, zoneid, *_ in listener.wait(1)] == [3]


def test_the_ping_of_another_process_is_not_for_us(bench: Bench, listener: Listener) -> None:
    bench.world.channel.publish("", "", "", os.getpid() + 1, subclass="ping")
    bench.world.channel.publish("web1", "ready", "ready", 1)
    assert [zone for zone, *_ in listener.wait(1)] == ["web1"]


def test_the_thirty_third_subscriber_gets_null(bench: Bench) -> None:
    taken = [bench.world.channel.subscribe() for _ in range(SUBSCRIBERS)]
    assert None not in taken
    assert Listener(bench).handle is None


def test_without_privileges_null(bench: Bench) -> None:
    bench.server._superuser = -1
    assert Listener(bench).handle is None


def test_unbind_frees_the_place_and_waits_for_a_running_callback(bench: Bench) -> None:
    listener = Listener(bench)
    entered, leave, left = threading.Event(), threading.Event(), threading.Event()

    def answer(event: Event) -> int:
        entered.set()
        leave.wait(TIMEOUT_SECONDS)
        left.set()
        return 0

    listener.answer = answer
    bench.world.channel.publish("web1", "ready", "ready", 1)
    assert entered.wait(TIMEOUT_SECONDS)
    threading.Timer(0.05, leave.set).start()
    listener.unbind()
    assert left.is_set()
    _until_free(bench)


def test_a_dead_subscriber_frees_its_place(bench: Bench) -> None:
    program = f"""
import ctypes, os
library = ctypes.CDLL({str(bench.folder / "lib/libzonecfg.so.1")!r})
library.zonecfg_notify_bind.restype = ctypes.c_void_p
callback = ctypes.CFUNCTYPE(ctypes.c_int)(lambda: 0)
assert library.zonecfg_notify_bind(callback, None)
os._exit(0)
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=TIMEOUT_SECONDS)
    _until_free(bench)


def _until_free(bench: Bench) -> None:
    until(lambda: not bench.world.channel.subscriptions)


@pytest.mark.parametrize("call", ["unbind", "critical_enter", "critical_exit", "critical_abort"])
def test_a_call_from_the_callback_aborts_with_a_word(bench: Bench, call: str) -> None:
    """The real one deadlocks or aborts; a test that hangs teaches nobody anything."""
    program = f"""
import ctypes, signal
library = ctypes.CDLL({str(bench.folder / "lib/libzonecfg.so.1")!r})
library.zonecfg_notify_bind.restype = ctypes.c_void_p
library.zonecfg_notify_{call}.argtypes = [ctypes.c_void_p]
@ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_char_p, ctypes.c_int32, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_int64,
                  ctypes.c_void_p)
def callback(*_):
    library.zonecfg_notify_{call}(handle)
    return 0
handle = library.zonecfg_notify_bind(callback, None)
print("bound", flush=True)
signal.pause()
"""
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None and child.stdout.readline() == "bound\n"
        bench.world.channel.publish("web1", "ready", "ready", 1)
        _, err = child.communicate(timeout=TIMEOUT_SECONDS)
    assert err.startswith("zonelab: libzonecfg: called from the handle's own callback")
    assert child.returncode < 0
