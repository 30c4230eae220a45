"""A hundred thousand events at once: nobody on the host is held up, memory stays, and the end state is known."""

from __future__ import annotations

import asyncio
import time

import psutil
import pytest
from foreign_library import ForeignLibrary
from listening import Listening

from zonehookd.sources.inbox import Counts, Inbox
from zonehookd.sources.libsysevent import Libsysevent
from zonehookd.sources.libzonecfg import Libzonecfg
from zonehookd.sources.zone_channel import ZoneChannel

EVENTS = 100_000
ZONES = 200
STATES = ("initialized", "ready", "running", "shutting_down", "uninitialized")
LAST = STATES[(EVENTS // ZONES - 1) % len(STATES)]
MEAN_MAX_NS = 1_000_000  # it takes some 25 microseconds when nobody else wants the machine's cores
SLOW_MAX = EVENTS // 50
WORST_MAX_NS = 2_000_000_000
GROWTH_MAX = 16 * 2**20


@pytest.mark.parametrize("consumer", ["sleeps", "computes"])
@pytest.mark.parametrize("way", ["libzonecfg", "libsysevent"])
def test_a_slow_consumer_holds_up_nobody(
    zonecfg: ForeignLibrary, sysevent: ForeignLibrary, way: str, consumer: str
) -> None:
    library = zonecfg if way == "libzonecfg" else sysevent
    second = str(sysevent.path)
    channel = ZoneChannel([Libzonecfg(str(zonecfg.path)) if way == "libzonecfg" else Libsysevent(second, second)])
    last: dict[str, str] = {}
    process = psutil.Process()

    async def play() -> tuple[int, int]:
        before = most = process.memory_info().rss
        told = 0
        events = channel.events()
        async for event in events:
            if event.kind == "subscribed":
                library.flood(EVENTS, ZONES)
            elif event.zone and event.kind != "echo":
                told += 1
                last[event.zone] = event.kind
                if consumer == "sleeps":
                    await asyncio.sleep(0.001)
                else:
                    busy_until = time.perf_counter() + 0.0005
                    while time.perf_counter() < busy_until:  # holds the interpreter's lock, as a big plan does
                        pass
            most = max(most, process.memory_info().rss)
            if channel.counts.heard == EVENTS and len(last) == ZONES and set(last.values()) == {LAST}:
                break
        await events.aclose()
        return told, most - before

    told, growth = asyncio.run(asyncio.wait_for(play(), 100))
    print(f"{way}, consumer {consumer}: {library.timing()}; {told} told; memory grew {growth / 2**20:.1f} MiB")
    assert library["calls"] == EVENTS and channel.counts.heard == EVENTS
    assert library["total_ns"] / EVENTS < MEAN_MAX_NS
    assert library["slow"] < SLOW_MAX and library["longest_ns"] < WORST_MAX_NS
    assert (library["again"], library["dropped"], library["lists"], library["bound"]) == (0, 0, 0, 0)
    assert (channel.counts.unreadable, channel.counts.crowded, channel.counts.failed) == (0, 0, 0)
    assert growth < GROWTH_MAX
    assert told < EVENTS, "many events, few hints"


def test_more_names_than_there_can_be_zones_become_one_hint(zonecfg: ForeignLibrary) -> None:
    most = 1000

    async def play() -> None:
        counts = Counts()
        inbox = Inbox(counts, zones_max=most)
        way = Libzonecfg(str(zonecfg.path))
        await asyncio.to_thread(way.open, inbox)
        zonecfg.flood(EVENTS, EVENTS)  # each with a name of its own
        waiting = 0
        while counts.heard < EVENTS:
            waiting = max(waiting, len(inbox))
            await asyncio.sleep(0.001)
        assert waiting == most == len(inbox)
        assert counts.crowded == EVENTS - most
        zones, anything = inbox.take()
        assert anything and list(zones) == [f"z{number}" for number in range(most)]
        assert inbox.take() == ({}, False)
        await asyncio.to_thread(way.close)

    asyncio.run(play())
    print(zonecfg.timing())


def test_the_echoes_of_a_flood_of_names_are_bounded_too(zonecfg: ForeignLibrary) -> None:
    channel = ZoneChannel([Libzonecfg(str(zonecfg.path))], zones_max=100)

    async def play() -> None:
        listening = Listening(channel)
        async with listening:
            await listening.until_up("libzonecfg")
            zonecfg.flood(20_000, 20_000)
            await listening.until(lambda: channel.counts.heard == 20_000, "all heard")
            at = len(listening.heard)
            await asyncio.sleep(1.8)

            def echoes() -> list[str | None]:
                return [zone for kind, zone in listening.words()[at:] if kind == "echo"]

            await listening.until(lambda: None in echoes(), "one for all that had no room")
            assert len(set(echoes())) <= 101
        assert ("anything", None) in listening.words() and channel.counts.crowded > 0

    asyncio.run(play())


def test_a_callback_that_fails_is_counted_and_looked_for() -> None:
    async def play() -> tuple[Counts, tuple[dict[str, list[str]], bool]]:
        inbox = Inbox(Counts())
        assert inbox.put("web1", b"running") == 0  # type: ignore[arg-type]
        await inbox.wait(5)
        return inbox.counts, inbox.take()

    counts, taken = asyncio.run(play())
    assert counts.failed == 1 and taken == ({}, True)
