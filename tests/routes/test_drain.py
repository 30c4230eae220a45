"""Zones that are drained: by hand and before a halt; waited for, taken back, forgotten when their run is over."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from stage import Stage

from zonehookd.bus.messages import Request
from zonehookd.bus.route_messages import DrainReply
from zonehookd.engine.dispatcher import Dispatcher
from zonehookd.errors import ZonehookError
from zonehookd.model.event import Event
from zonehookd.model.route import DRAIN
from zonehookd.routes.answers import RouteAnswers
from zonehookd.routes.drain import Draining

SHOP, BLOG = "shop.example.org check=no", "blog.example.org check=no"


@pytest.fixture
def two(stage: Stage) -> Stage:
    """edge, web1 and web2 run; each of the two serves a route of its own and one together."""
    stage.up()
    stage.zone("web1", "one.example.org check=no", f"{SHOP} group=shop")
    stage.zone("web2", "two.example.org check=no", f"{SHOP} group=shop")
    stage.zone("plain")
    return stage


BOTH = {
    "one.example.org/ web1 in",
    "shop.example.org/ web1 in",
    "shop.example.org/ web2 in",
    "two.example.org/ web2 in",
}
WITHOUT_WEB1 = {each for each in BOTH if "web1" not in each}
PATIENCE_S = 30.0  # of a halt that is not to be late, however slow the machine


async def ask(answers: RouteAnswers, zone: str, *, wait: bool = True, **about: float | str) -> DrainReply:
    request = Request.model_validate({"verb": "drain", "zone": zone, "wait": wait, **about})
    reply = await answers.drain(request)
    assert isinstance(reply, DrainReply)
    return reply


def test_a_drain_is_over_when_nobody_sends_to_the_zone(two: Stage) -> None:
    async def scene(dispatcher: Dispatcher, draining: Draining, answers: RouteAnswers) -> None:
        assert two.served() == BOTH
        reply = await ask(answers, "web1", for_s=60, reason="new   kernel\nsoon")
        assert two.served() == WITHOUT_WEB1
        assert reply.still == [] and reply.until is not None and 50 < reply.until - time.time() <= 60
        assert reply.text == "zone web1 is drained"
        assert two.said == [("drain", "web1", "new kernel soon (for 60 s)", ())]
        record = two.ours.store.one(DRAIN, "web1")
        assert record is not None and record.facts["reason"] == "new kernel soon"
        assert record.facts["zoneid"] == two.admin.do("zoneadm", "-z", "web1", "list", "-p").split(":")[0]

    two.play(scene)


def test_a_zone_that_is_busy_is_waited_for_and_then_given_up(two: Stage) -> None:
    two.scribe.busy = {"web1"}

    async def scene(dispatcher: Dispatcher, draining: Draining, answers: RouteAnswers) -> None:
        began = time.monotonic()
        reply = await ask(answers, "web1", wait=False)
        assert reply.still == ["one.example.org/ (in)", "shop.example.org/ (in)"]
        assert reply.limit_s == 8.0, "what the proxy allows, and a little for its looks"
        reply = await ask(answers, "web1")
        assert time.monotonic() - began > 2.0, "as long as the proxy has patience"
        assert reply.still == [] and two.served() == WITHOUT_WEB1

    two.play(scene)


def test_it_comes_back_by_itself_and_by_hand(two: Stage) -> None:
    async def scene(dispatcher: Dispatcher, draining: Draining, answers: RouteAnswers) -> None:
        await ask(answers, "web1", for_s=0.5)
        await asyncio.sleep(0.6)
        await dispatcher.settled()
        assert two.served() == BOTH
        assert two.ours.store.one(DRAIN, "web1") is None
        await ask(answers, "web1", for_s=600)
        reply = await answers.undrain(Request(verb="undrain", zone="web1"))
        assert isinstance(reply, DrainReply) and reply.text == "zone web1 is drained no more" and reply.until is None
        await dispatcher.settled()
        assert two.served() == BOTH and two.said[-1] == ("undrain", "web1", "asked for", ())
        reply = await answers.undrain(Request(verb="undrain", zone="web1"))
        assert isinstance(reply, DrainReply) and reply.text == "zone web1 was not drained" and len(two.said) == 3

    two.play(scene)


@pytest.mark.parametrize(
    ("zone", "about", "text"),
    [
        ("web9", {}, "there is no zone 'web9'.*there are: .*web1"),
        ("plain", {}, "zone plain has no routes.*zonehookctl routes --zone plain"),
        ("halted", {}, "zone halted is installed, so there is nothing to drain"),
        ("web1", {"for_s": 0}, "more than 0 and at most 86400 s"),
        ("web1", {"for_s": 90000}, "more than 0 and at most 86400 s"),
        ("web1", {"reason": "x" * 501}, "at most 500 characters"),
    ],
)
def test_what_cannot_be_drained_is_refused(two: Stage, zone: str, about: dict[str, float | str], text: str) -> None:
    two.zone("halted", BLOG, state="installed")

    async def scene(dispatcher: Dispatcher, draining: Draining, answers: RouteAnswers) -> None:
        with pytest.raises(ZonehookError, match=text):
            await ask(answers, zone, **about)
        assert not list(two.ours.store.of_kind(DRAIN)) and not two.said

    two.play(scene)


def test_a_drain_is_about_one_run_of_the_zone(two: Stage) -> None:
    async def scene(dispatcher: Dispatcher, draining: Draining, answers: RouteAnswers) -> None:
        await ask(answers, "web1")
        two.admin.do("zoneadm", "-z", "web1", "reboot")
        await dispatcher.settled()
        assert two.served() == BOTH and two.ours.store.one(DRAIN, "web1") is None
        await ask(answers, "web1")
        two.admin.do("zoneadm", "-z", "web1", "halt")
        await dispatcher.settled()
        assert two.ours.store.one(DRAIN, "web1") is None, "the run is over"

    two.play(scene)


def test_a_zone_that_is_deleted_leaves_no_drain_behind(two: Stage) -> None:
    two.ours.survey._absence_s = 0.0

    async def scene(dispatcher: Dispatcher, draining: Draining, answers: RouteAnswers) -> None:
        await ask(answers, "web1")
        two.admin.delete("web1")
        for _ in range(3):
            await dispatcher.settled()
        assert two.served() == WITHOUT_WEB1
        assert two.ours.store.one(DRAIN, "web1") is None
        assert "web1" not in {owner.name for owner in two.ours.store.owners()}

    two.play(scene)


# -- before a halt


def test_a_halt_waits_until_nobody_sends_to_the_zone(two: Stage) -> None:
    async def scene(dispatcher: Dispatcher, draining: Draining, answers: RouteAnswers) -> None:
        assert await draining.before_halt("web1", PATIENCE_S) == "drained"
        assert two.served() == WITHOUT_WEB1, "the proxy was told"
        two.admin.do("zoneadm", "-z", "web1", "halt")
        await dispatcher.settled()
        assert two.ours.store.one(DRAIN, "web1") is None
        two.admin.do("zoneadm", "-z", "web1", "boot")
        await dispatcher.settled()
        assert two.served() == BOTH

    two.play(scene)


def test_a_halt_waits_no_longer_than_it_may(two: Stage) -> None:
    two.scribe.busy = {"web1"}

    async def scene(dispatcher: Dispatcher, draining: Draining, answers: RouteAnswers) -> None:
        began = time.monotonic()
        assert await draining.before_halt("web1", 0.5) == "drain-late", "and not until the proxy gives up"
        assert time.monotonic() - began >= 0.5
        while two.served() == BOTH:
            await asyncio.sleep(0.01)
        assert two.served() == WITHOUT_WEB1 | {"one.example.org/ web1 drain", "shop.example.org/ web1 drain"}

    two.play(scene)


@pytest.mark.parametrize("zone", ["plain", "edge", "nobody", "out"])
def test_a_zone_that_nobody_sends_to_is_not_delayed(two: Stage, zone: str) -> None:
    two.zone("out", "tcp=9999", state="running")  # refused: not for zones

    async def scene(dispatcher: Dispatcher, draining: Draining, answers: RouteAnswers) -> None:
        looks = two.ears.looks
        with pytest.raises(StopIteration) as answered:  # at once: nothing is awaited
            draining.before_halt(zone, 1.5).send(None)
        assert answered.value.value == ""
        await asyncio.sleep(0.05)
        assert two.ears.looks == looks and not list(two.ours.store.of_kind(DRAIN))

    two.play(scene)


def test_a_halt_is_not_delayed_for_a_proxy_that_does_not_run(two: Stage) -> None:
    async def scene(dispatcher: Dispatcher, draining: Draining, answers: RouteAnswers) -> None:
        two.admin.do("zoneadm", "-z", "edge", "halt")
        await dispatcher.settled()
        assert await draining.before_halt("web1", 1.5) == ""
        assert two.ours.store.one(DRAIN, "web1") is None

    two.play(scene)


def test_a_proxy_that_cannot_be_seen_does_not_hold_up_a_halt_for_ever(two: Stage) -> None:
    async def scene(dispatcher: Dispatcher, draining: Draining, answers: RouteAnswers) -> None:
        two.scribe.blind = True
        assert await draining.before_halt("web1", 0.4) == "drain-late"
        two.scribe.blind = False
        await dispatcher.settled()
        assert await draining.before_halt("web1", PATIENCE_S) in ("drained", ""), "and it is forgotten who waited"

    two.play(scene)


def test_a_halt_of_a_zone_that_is_drained_already_keeps_the_longer_time(two: Stage) -> None:
    async def scene(dispatcher: Dispatcher, draining: Draining, answers: RouteAnswers) -> None:
        two.scribe.busy = {"web1"}
        reply = await ask(answers, "web1", wait=False, for_s=600, reason="ticket 42")
        await draining.before_halt("web1", 0.1)
        record = two.ours.store.one(DRAIN, "web1")
        assert record is not None and record.facts["reason"] == "ticket 42"
        assert float(record.facts["until"]) == pytest.approx(reply.until, abs=0.01)

    two.play(scene)


def test_many_halts_at_once_cost_few_looks(two: Stage) -> None:
    names = [f"z{number}" for number in range(20)]
    for name in names:
        two.zone(name, f"{name}.example.org check=no")

    async def scene(dispatcher: Dispatcher, draining: Draining, answers: RouteAnswers) -> None:
        looks = two.ears.looks
        ended = await asyncio.gather(*(draining.before_halt(name, PATIENCE_S) for name in names))
        assert ended == ["drained"] * len(names)
        assert two.ears.looks - looks <= 12
        assert two.served() == BOTH

    two.play(scene)


def test_only_the_work_of_the_gateway_ends_the_wait(two: Stage) -> None:
    async def scene(dispatcher: Dispatcher, draining: Draining, answers: RouteAnswers) -> None:
        two.scribe.busy = {"web1"}
        waiting = asyncio.ensure_future(draining.before_halt("web1", 10.0))
        await asyncio.sleep(0.3)
        dispatcher.hint(Event("test", "look", zone="web2"))
        await asyncio.sleep(0.1)
        assert not waiting.done()
        two.scribe.busy = set()
        dispatcher.hint(Event("test", "look", zone="web2"))
        assert await waiting == "drained"

    two.play(scene)


def test_the_books_of_a_daemon_that_died_still_say_who_is_drained(two: Stage, tmp_path: Path) -> None:
    async def first(dispatcher: Dispatcher, draining: Draining, answers: RouteAnswers) -> None:
        await ask(answers, "web1", for_s=600)

    async def second(dispatcher: Dispatcher, draining: Draining, answers: RouteAnswers) -> None:
        assert two.served() == WITHOUT_WEB1
        await answers.undrain(Request(verb="undrain", zone="web1"))
        await dispatcher.settled()
        assert two.served() == BOTH

    two.play(first)
    two.play(second)
