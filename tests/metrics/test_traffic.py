"""Traffic of links: one command a reading, a cap, and what becomes of it when it cannot be read."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import structlog
from fixtures import Admin, Build
from lab.world import Link
from paper import Engine

from zonehookd.errors import CommandTimedOut
from zonehookd.host.process import Finished
from zonehookd.metrics.table import TABLE
from zonehookd.model.command import Query
from zonehookd.traffic import METRICS, NAMES, Traffic


@pytest.fixture
def wired(admin: Admin, engine: Build, monkeypatch: pytest.MonkeyPatch) -> Engine:
    def counters(links: list[Link]) -> dict[str, dict[str, int]]:
        names = ("rbytes64", "obytes64", "ipackets64", "opackets64", "ierrors", "oerrors")
        return {link.name: {name: 100 * link.linkid + n for n, name in enumerate(names)} for link in links}

    monkeypatch.setattr(admin.world.floor, "counters", counters)
    admin.by_address("web1", "web1_0", "10.1.0.5/24")
    admin.by_address("web2", "web2_0", "10.2.0.5/24")
    made = engine(dmz="10.1.0.0/24", back="10.2.0.0/24")
    made.converge()
    return made


def reader(engine: Engine, links_max: int = 10, every_s: float = 15.0) -> Traffic:
    return Traffic(engine.commands, lambda: engine.survey.site, every_s, links_max, structlog.get_logger())


def test_what_the_links_have_counted_is_shown_by_link_zone_and_network(wired: Engine) -> None:
    traffic = reader(wired)
    asked = len(wired.commands.looks)
    asyncio.run(traffic.read())
    assert len(wired.commands.looks) == asked + 1, "one command for all links"
    shown = traffic.answers()
    assert shown.keys() == set(METRICS)
    assert {name: TABLE[name].label_names for name in NAMES} == dict.fromkeys(NAMES, ("link", "zone", "network"))
    number = 100 * wired.world.links["web1_0"].linkid
    web1 = ("web1_0", "web1", "dmz")
    assert [shown[name][web1] for name in NAMES] == [number, number + 1, number + 2, number + 3, number + 4, number + 5]
    assert shown["link_up"] == {web1: 1.0, ("web2_0", "web2", "back"): 1.0}, "links of ours only, and not net0"
    assert shown["links_uncounted"] == {(): 0.0}


def test_links_beyond_the_cap_are_counted_and_left_out(wired: Engine) -> None:
    traffic = reader(wired, links_max=1)
    asyncio.run(traffic.read())
    assert list(traffic.answers()["link_receive_bytes_total"]) == [("web1_0", "web1", "dmz")], "the first by name"
    assert traffic.answers()["links_uncounted"] == {(): 1.0}


def test_a_reading_that_fails_leaves_the_last_one_until_it_is_old(
    wired: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def times_out(asked: Query[Any], **why: object) -> Finished:
        raise CommandTimedOut(asked.argv, "did not finish within 30 s and was stopped")

    traffic = reader(wired)
    asyncio.run(traffic.read())
    before = traffic.answers()
    with monkeypatch.context() as patch:
        patch.setattr(wired.commands, "run", times_out)
        asyncio.run(traffic.read())
    assert traffic.answers() == before and before["link_up"]
    old = reader(wired, every_s=0.0)
    asyncio.run(old.read())
    assert old.answers()["link_up"] == {}, "three intervals later it is no news any more"
    assert old.answers()["traffic_last_read_timestamp_seconds"].keys() == {()}


def test_nothing_is_made_up_before_the_first_reading(wired: Engine) -> None:
    shown = reader(wired).answers()
    assert all(shown[name] == {} for name in (*NAMES, "link_up"))
