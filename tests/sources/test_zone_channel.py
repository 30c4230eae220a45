"""The zone channel by libraries of our own that behave as the real ones, and then as badly as they may."""

from __future__ import annotations

import asyncio
import errno
import subprocess
import sys
import time
from pathlib import Path

import pytest
from foreign_library import ForeignLibrary
from listening import DEADLINE_S, Listening, by


def test_an_event_is_heard_at_once_and_twice_more(zonecfg: ForeignLibrary) -> None:
    async def play() -> None:
        _, listening = by(zonecfg)
        async with listening:
            await listening.until_up("libzonecfg")
            zonecfg.publish("web1", "running")
            await listening.until(lambda: listening.words().count(("echo", "web1")) == 2, "two echoes")
        assert listening.words() == [("subscribed", None), ("running", "web1"), ("echo", "web1"), ("echo", "web1")]
        assert listening.said == ["up libzonecfg"]

    asyncio.run(play())
    assert (zonecfg["binds"], zonecfg["unbinds"], zonecfg["trespasses"], zonecfg["again"]) == (1, 1, 0, 0)


@pytest.mark.parametrize("way", ["libzonecfg", "libsysevent"])
def test_of_many_states_each_is_told_once_the_latest_last(
    zonecfg: ForeignLibrary, sysevent: ForeignLibrary, way: str
) -> None:
    library = zonecfg if way == "libzonecfg" else sysevent

    async def play() -> None:
        _, listening = by(zonecfg if way == "libzonecfg" else None, sysevent)
        async with listening:
            await listening.until_up(way)
            for state in ("initialized", "ready", "ready", "shutting_down", "shutting_down", "uninitialized", "ready"):
                library.publish("web1", state)
            began = time.monotonic()
            while library["calls"] < 7 and time.monotonic() - began < 60:
                time.sleep(0.01)  # the loop is busy, and the callbacks are not held up by that
            assert library["calls"] == 7
            await listening.until_heard("ready", "web1")
        states = [kind for kind, zone in listening.words() if zone == "web1" and kind != "echo"]
        assert states == ["initialized", "shutting_down", "uninitialized", "ready"]

    asyncio.run(play())


@pytest.mark.parametrize(
    "name",
    [b"\xff\xfe\x80", b"", b"web 1", b"-web1", b"../../etc", b"x" * 64, "wéb".encode(), "wéb".encode("latin-1")],
)
@pytest.mark.parametrize("way", ["libzonecfg", "libsysevent"])
def test_a_name_that_no_zone_has_is_a_hint_without_a_name(
    zonecfg: ForeignLibrary, sysevent: ForeignLibrary, way: str, name: bytes
) -> None:
    async def play() -> None:
        channel, listening = by(zonecfg if way == "libzonecfg" else None, sysevent)
        async with listening:
            await listening.until_up(way)
            (zonecfg if way == "libzonecfg" else sysevent).publish(name, "running")
            await listening.until_heard("anything", None)
        assert channel.counts.unreadable == 1 and channel.counts.failed == 0

    asyncio.run(play())


def test_the_global_zone_is_nobodys_and_a_state_of_no_vocabulary_is_other(zonecfg: ForeignLibrary) -> None:
    async def play() -> None:
        _, listening = by(zonecfg)
        async with listening:
            await listening.until_up("libzonecfg")
            zonecfg.publish("global", "shutting_down", zoneid=0)
            zonecfg.publish("web1", "no such state \xff", zoneid=-1)
            await listening.until_heard("other", "web1")
        assert "global" not in [zone for _, zone in listening.words()]

    asyncio.run(play())


# -- the heartbeat


def test_a_silent_channel_is_asked_and_one_that_speaks_is_not(zonecfg: ForeignLibrary) -> None:
    async def play() -> None:
        channel, listening = by(zonecfg, heartbeat_s=0.5)
        async with listening:
            await listening.until(lambda: channel.counts.heartbeats >= 3, "the barrier and two heartbeats")
            late, at = 0, time.monotonic()
            for number in range(60):
                zonecfg.publish(f"web{number}", "running")
                await asyncio.sleep(0.04)
                late += time.monotonic() - at > 0.3  # so slow is the machine: that may have been a silence
                at = time.monotonic()
                if number == 1:
                    pings = zonecfg["pings"]
            assert zonecfg["pings"] <= pings + 1 + late, "without events it would have been four or five"

            def known() -> int:
                return zonecfg["thrown"] + len([1 for kind, _ in listening.words() if kind == "running"])

            await listening.until(lambda: known() >= 59, "each, or that it was thrown away")
        assert listening.said == ["up libzonecfg"]

    asyncio.run(play())
    assert (zonecfg["unbinds"], zonecfg["trespasses"]) == (1, 0)


@pytest.mark.parametrize("changes", [1, 2, 3, 100])
def test_what_a_heartbeat_threw_away_is_looked_for(zonecfg: ForeignLibrary, changes: int) -> None:
    async def play() -> None:
        channel, listening = by(zonecfg, heartbeat_s=0.1)
        async with listening:
            await listening.until_up("libzonecfg")
            zonecfg.set(changes=changes)
            await listening.until_heard("missed", None)
            await listening.until(lambda: listening.words().count(("echo", None)) >= 2, "its echoes")
            zonecfg.set(changes=0)

            def heard() -> bool:  # said again and again, for the next heartbeat may throw it away, too
                zonecfg.publish("web1", "running")
                return ("running", "web1") in listening.words()

            await listening.until(heard, "the section was left")
        assert channel.counts.missed >= 1 and listening.said == ["up libzonecfg"]

    asyncio.run(play())
    assert (zonecfg["unbinds"], zonecfg["trespasses"]) == (1, 0)


def test_the_barrier_comes_before_the_first_list(zonecfg: ForeignLibrary) -> None:
    zonecfg.set(changes=1)

    async def play() -> None:
        _, listening = by(zonecfg)
        async with listening:
            await listening.until_heard("missed", None)
            assert zonecfg["pings"] == 2, "once more, for something had changed"
        assert listening.words()[:2] == [("subscribed", None), ("missed", None)]

    asyncio.run(play())


@pytest.mark.parametrize("how", ["ping", "thread", "barrier"])
def test_a_dead_channel_is_left_alone_for_good_and_libsysevent_takes_over(
    zonecfg: ForeignLibrary, sysevent: ForeignLibrary, how: str
) -> None:
    if how == "barrier":
        zonecfg.set(lose_pings=1)

    async def play() -> None:
        _, listening = by(zonecfg, sysevent, heartbeat_s=0.1)
        async with listening:
            if how != "barrier":
                await listening.until_up("libzonecfg")
                zonecfg.die() if how == "thread" else zonecfg.set(lose_pings=1)
            await listening.until_up("libsysevent")
            assert ("subscribed", None) in listening.words()[-1:], "what happened in between is looked for"
            sysevent.publish("web1", "running")
            await listening.until_heard("running", "web1")
            await listening.until(lambda: sysevent["pings"] >= 3, "a heartbeat of its own")
        down, up = listening.said[-2:]
        assert down == "down Hung('libzonecfg: no return after 0.3 s')"
        why = "given up in this process: no return after 0.3 s (svcadm restart zonehookd tries it again)"
        assert up == f"up libsysevent (libzonecfg: {why})"

    asyncio.run(play())
    assert (zonecfg["binds"], zonecfg["unbinds"], zonecfg["trespasses"]) == (1, 0, 0)
    assert (sysevent["binds"], sysevent["unbinds"], sysevent["lists"]) == (1, 1, 0)
    assert sysevent["trespasses"] == 0, "no ping that the handle left behind would take for its own"


def test_a_dead_channel_and_nothing_else_means_polling_only(zonecfg: ForeignLibrary) -> None:
    async def play() -> None:
        _, listening = by(zonecfg, heartbeat_s=0.1)
        async with listening:
            await listening.until_up("libzonecfg")
            zonecfg.set(lose_pings=1)
            await listening.until(lambda: listening.said[-1].startswith("never"), "the end")
        assert listening.said[-1].startswith("never polling only (libzonecfg: given up in this process: no return")

    asyncio.run(play())


def test_a_loop_that_was_held_up_does_not_make_a_channel_dead(zonecfg: ForeignLibrary) -> None:
    async def play() -> None:
        channel, listening = by(zonecfg, heartbeat_s=0.02)
        async with listening:
            await listening.until_up("libzonecfg")
            for _ in range(8):
                await asyncio.sleep(0.015)
                time.sleep(DEADLINE_S + 0.05)
            await listening.until(lambda: channel.counts.heartbeats > 4, "heartbeats")
        assert listening.said == ["up libzonecfg"]

    asyncio.run(play())


def test_a_process_with_a_call_that_never_returns_can_still_end(zonecfg: ForeignLibrary) -> None:
    program = f"""
import asyncio, sys
sys.path[:0] = {[str(Path(__file__).parent), *sys.path]!r}
from pathlib import Path
from foreign_library import ForeignLibrary
from listening import by
zonecfg = ForeignLibrary(Path({str(zonecfg.path)!r}))
async def play():
    _, listening = by(zonecfg, heartbeat_s=0.05)
    async with listening:
        await listening.until_up("libzonecfg")
        zonecfg.set(lose_pings=1)
        await listening.until(lambda: listening.said[-1].startswith("never"), "the end")
    zonecfg.flood(1000000, 10)
asyncio.run(play())
print("done")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")


# -- subscribing and leaving


def test_without_a_handle_libsysevent_is_asked(zonecfg: ForeignLibrary, sysevent: ForeignLibrary) -> None:
    zonecfg.set(refuse=1)

    async def play() -> None:
        _, listening = by(zonecfg, sysevent)
        async with listening:
            await listening.until_up("libsysevent")
        assert listening.said == ["up libsysevent (libzonecfg: zonecfg_notify_bind failed: not root, not the global "
                                  "zone, or 32 subscribers already)"]  # fmt: skip

    asyncio.run(play())


@pytest.mark.parametrize("error", [errno.EPERM, errno.ENOENT])
def test_who_may_not_subscribe_does_not_try_again(
    zonecfg: ForeignLibrary, sysevent: ForeignLibrary, error: int
) -> None:
    zonecfg.set(refuse=1)
    sysevent.set(refuse=error)

    async def play() -> None:
        _, listening = by(zonecfg, sysevent)
        async with listening:
            await listening.until(lambda: listening.said, "an answer")
        assert len(listening.said) == 1 and listening.said[0].startswith("never polling only (libzonecfg: ")

    asyncio.run(play())


def test_a_full_channel_is_tried_again(zonecfg: ForeignLibrary, sysevent: ForeignLibrary) -> None:
    zonecfg.set(refuse=1)
    sysevent.set(refuse_sub=errno.ENOMEM)

    async def play() -> None:
        _, listening = by(zonecfg, sysevent)
        async with listening:
            await listening.until(lambda: listening.said, "an answer")
            assert listening.said[0].startswith("down OSError('polling only (libzonecfg: "), listening.said
            assert sysevent["bound"] == 0, "the binding was given back"
            zonecfg.set(refuse=0)
            await listening.until_up("libzonecfg")

    asyncio.run(play())
    assert (zonecfg["bound"], sysevent["bound"]) == (0, 0)


@pytest.mark.parametrize("way", ["libzonecfg", "libsysevent"])
def test_called_back_while_it_leaves(zonecfg: ForeignLibrary, sysevent: ForeignLibrary, way: str) -> None:
    library = zonecfg if way == "libzonecfg" else sysevent
    library.set(last_words=200)

    async def play() -> None:
        channel, listening = by(zonecfg if way == "libzonecfg" else None, sysevent)
        async with listening:
            await listening.until_up(way)
        assert channel.counts.heard == 200 and channel.counts.failed == 0

    asyncio.run(play())
    assert (library["calls"], library["bound"], library["lists"]) == (200, 0, 0)


@pytest.mark.parametrize("way", ["libzonecfg", "libsysevent"])
def test_leaving_that_never_ends_holds_up_nobody(zonecfg: ForeignLibrary, sysevent: ForeignLibrary, way: str) -> None:
    library = zonecfg if way == "libzonecfg" else sysevent
    library.set(stuck=1)

    async def play() -> None:
        channel, listening = by(zonecfg if way == "libzonecfg" else None, sysevent if way == "libsysevent" else None)
        async with listening:
            await listening.until_up(way)
            began = time.monotonic()
        assert time.monotonic() - began < DEADLINE_S + 15.0
        again = Listening(channel)
        async with again:
            await again.until(lambda: again.said, "an answer")
        assert again.said[0].startswith("never") and f"{way}: given up in this process" in again.said[0]

    asyncio.run(play())
    assert (library["binds"], library["unbinds"]) == (1, 0)
    library.set(stuck=0)


def test_an_end_in_the_middle_of_a_heartbeat_waits_for_it(zonecfg: ForeignLibrary) -> None:
    async def play() -> None:
        for moment in range(30):
            _, listening = by(zonecfg, heartbeat_s=0.002)
            async with listening:
                await listening.until_up("libzonecfg")
                await asyncio.sleep(0.001 * moment)

    asyncio.run(play())
    assert (zonecfg["binds"], zonecfg["unbinds"], zonecfg["trespasses"]) == (30, 30, 0)
