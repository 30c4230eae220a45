"""The zone channel by libsysevent alone: what it passes over, what it frees, its heartbeat, and its second life."""

from __future__ import annotations

import asyncio
import errno

import pytest
from foreign_library import BARE, FOREIGN, NAMELESS, PING, ForeignLibrary
from listening import Listening, by

from zonehookd.sources.libsysevent import Libsysevent
from zonehookd.sources.zone_channel import ZoneChannel


def test_libsysevent_passes_over_pings_and_frees_what_it_was_given(sysevent: ForeignLibrary) -> None:
    async def play() -> None:
        channel, listening = by(None, sysevent, heartbeat_s=0.05)
        async with listening:
            await listening.until_up("libsysevent (libzonecfg: /nowhere/libzonecfg.so.1: ")
            for _ in range(50):
                sysevent.publish("", "", kind=PING)
                sysevent.publish("web1", "running", kind=FOREIGN)
                sysevent.publish("web1", "running")
            await listening.until_heard("running", "web1")
            await listening.until(lambda: sysevent["calls"] == 100, "all of them")
            await listening.until(lambda: sysevent["strangers"] == 50, "those of another class, too")
        assert channel.counts.heard == 50 and channel.counts.unreadable == 0

    asyncio.run(play())
    assert (sysevent["lists"], sysevent["bound"], sysevent["again"]) == (0, 0, 0)


def test_libsysevent_is_asked_before_the_first_list_and_when_silent(sysevent: ForeignLibrary) -> None:
    async def play() -> None:
        took: list[float] = []
        channel = ZoneChannel([Libsysevent(str(sysevent.path), str(sysevent.path))], heartbeat_s=0.1, took=took.append)
        listening = Listening(channel)
        async with listening:
            await listening.until(lambda: channel.counts.heartbeats >= 4, "the barrier and three heartbeats")
            assert listening.words() == [("subscribed", None)] and channel.counts.heard == 0
        assert listening.said == ["up libsysevent"]
        assert len(took) == channel.counts.heartbeats and channel.counts.missed == 0

    asyncio.run(play())
    assert (sysevent["trespasses"], sysevent["unbinds"], sysevent["lists"]) == (0, 1, 0)


@pytest.mark.parametrize("how", ["ping", "thread", "barrier"])
def test_a_dead_channel_of_libsysevent_is_begun_anew(sysevent: ForeignLibrary, how: str) -> None:
    sysevent.set(lose_pings=int(how == "barrier"))

    async def play() -> None:
        _, listening = by(None, sysevent, heartbeat_s=0.1, deadline_s=5.0, patience_s=0.2)
        async with listening:
            if how != "barrier":
                await listening.until_up("libsysevent")
                sysevent.die() if how == "thread" else sysevent.set(lose_pings=1)
            await listening.until(lambda: any(each.startswith("down") for each in listening.said), "it is noticed")
            sysevent.set(lose_pings=0)
            await listening.until(lambda: listening.said[-1].startswith("up libsysevent"), "up again")
            assert listening.words()[-1] == ("subscribed", None), "what happened in between is looked for"
            sysevent.publish("web1", "running")
            await listening.until_heard("running", "web1")
        down = next(each for each in listening.said if each.startswith("down"))
        assert "sysevent_evc_publish: nothing came back within 0.2 s" in down

    asyncio.run(play())
    assert sysevent["binds"] >= 2 and (sysevent["bound"], sysevent["trespasses"]) == (0, 0)


def test_a_channel_that_is_full_for_a_moment_has_thrown_away_events(sysevent: ForeignLibrary) -> None:
    async def play() -> None:
        channel, listening = by(None, sysevent, heartbeat_s=0.1, deadline_s=5.0, patience_s=4.0)
        async with listening:
            await listening.until_up("libsysevent")
            sysevent.set(full=3)
            await listening.until_heard("missed", None)
            await listening.until(lambda: ("echo", None) in listening.words(), "its echoes")
        assert channel.counts.missed >= 1
        assert [each.split(" ")[:2] for each in listening.said] == [["up", "libsysevent"]]

    asyncio.run(play())


def test_a_channel_that_stays_full_is_said_and_comes_back(sysevent: ForeignLibrary) -> None:
    async def play() -> None:
        _, listening = by(None, sysevent, heartbeat_s=0.1, deadline_s=5.0, patience_s=0.2)
        async with listening:
            await listening.until_up("libsysevent")
            sysevent.set(full=10**9)
            await listening.until(lambda: len(listening.said) >= 3, "down, and down again")
            assert all("the channel is full: a subscriber on this host" in each for each in listening.said[1:])
            assert listening.said[2].startswith("down OSError('polling only (libzonecfg: ")
            sysevent.set(full=0)
            await listening.until(lambda: listening.said[-1].startswith("up libsysevent"), "up again")

    asyncio.run(play())
    assert sysevent["bound"] == 0


@pytest.mark.parametrize("how", ["no memory", "bare", "nameless"])
def test_an_event_of_libsysevent_that_cannot_be_read_is_a_hint_without_a_name(
    sysevent: ForeignLibrary, how: str
) -> None:
    async def play() -> None:
        channel, listening = by(None, sysevent)
        async with listening:
            await listening.until_up("libsysevent")
            sysevent.set(no_memory=int(how == "no memory"))
            sysevent.publish("web1", "running", kind={"bare": BARE, "nameless": NAMELESS}.get(how, 0))
            await listening.until_heard("anything", None)
        assert channel.counts.unreadable == 1

    asyncio.run(play())
    assert (sysevent["lists"], sysevent["again"]) == (0, 0)


def test_a_binding_that_cannot_be_given_back_is_not_made_twice(sysevent: ForeignLibrary) -> None:
    sysevent.set(keep=errno.EFAULT)

    async def play() -> None:
        channel, listening = by(None, sysevent)
        async with listening:
            await listening.until_up("libsysevent")
        again = Listening(channel)
        async with again:
            await again.until(lambda: again.said, "an answer")
        assert "libsysevent: given up in this process: sysevent_evc_unbind: " in again.said[0]

    asyncio.run(play())
    assert sysevent["binds"] == 1
