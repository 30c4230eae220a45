"""A zone that never answers: it costs itself this look, and nobody else anything."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from fixtures import Admin, Build
from paper import PaperCommands
from paper_gateway import EDGE, WAN, WEB, Site, addresses, member, settle

from zonehookd.engine import late
from zonehookd.engine.dispatcher import Dispatcher
from zonehookd.engine.late import Late
from zonehookd.engine.look import Look
from zonehookd.engine.timing import Timing
from zonehookd.errors import CannotObserve
from zonehookd.host.process import Finished
from zonehookd.illumos import dladm, ipadm, route
from zonehookd.model import subject
from zonehookd.model.command import Query
from zonehookd.model.event import Event
from zonehookd.model.outcome import Result
from zonehookd.model.subject import Subject


class Gate:
    """Commands, of which those with `pattern` wait until somebody opens."""

    def __init__(self, inner: PaperCommands, pattern: str) -> None:
        self.inner, self.pattern = inner, pattern
        self.opened = asyncio.Event()
        self.waiting = 0

    async def run(self, query_or_change: Any, *, why: str, subject: Subject | None) -> Finished:
        if self.pattern in " ".join(query_or_change.argv):
            self.waiting += 1
            await self.opened.wait()
        else:
            await asyncio.sleep(0)
        return await self.inner.run(query_or_change, why=why, subject=subject)


@pytest.fixture
def site(admin: Admin, engine: Build) -> Site:
    """Zones web1 and web2 run behind edge; both lack their address."""
    made = Site(admin, engine, {"wan": WAN, "web": WEB}, {"edge": EDGE})
    for name in ("edge", "web1", "web2"):
        member(admin, name, *(() if name == "edge" else ("web",)))
    settle(made.ours)
    for name in ("edge", "web1", "web2"):
        admin.do("zoneadm", "-z", name, "boot")
    return made


def test_a_zone_that_never_answers_holds_up_nobody(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(late, "PATIENCE_S", 0.3)
    ours, admin = site.ours, site.admin

    async def scene() -> None:
        gate = Gate(ours.commands, "zlogin -n web1")
        asked = Late(lambda zone: dispatcher.hint(Event("zone", "answered", zone=zone)))
        timing = Timing(full_look_s=3600, pace_s=0.001, retry_max_s=0.2, heartbeat_s=0.05)
        dispatcher = Dispatcher(
            lambda: Look(gate, ours.files, ours.store, ours.dialect, "paper", asked),
            ours.store, ours.survey, ours.reconciler, ours.applier, timing, [], lambda: None,
        )  # fmt: skip
        dispatcher.declare(ours.declared)
        loop = asyncio.create_task(dispatcher.run())
        async with asyncio.timeout(60):
            while not addresses(admin, "web2"):
                await asyncio.sleep(0.05)
            assert not addresses(admin, "web1") and gate.waiting, "web1 was asked, and says nothing"
            notes = dispatcher.latest[subject.zone("web1")].notes
            assert "zone web1 has not answered" in next(note.text for note in notes if note.code == "not-up")
            before = gate.waiting
            began = time.monotonic()
            dispatcher.hint(Event("test", "anything", everything=True))
            await dispatcher.settled()
            assert time.monotonic() - began < 5 and gate.waiting == before, "while it is silent it is not asked again"
            gate.opened.set()
            while not addresses(admin, "web1"):
                await asyncio.sleep(0.05)
            await dispatcher.settled()
            assert dispatcher.latest[subject.zone("web1")].result is Result.NOOP
            dispatcher.stop()
            await loop
            await asked.stop()

    asyncio.run(scene())


def test_answers_that_come_late_come_together_and_once(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(late, "PATIENCE_S", 0.1)
    ours = site.ours

    async def scene() -> None:
        gate = Gate(ours.commands, "show-addr")
        ended: list[str] = []
        asked = Late(ended.append)

        def look() -> Look:
            return Look(gate, ours.files, ours.store, ours.dialect, "paper", asked)

        first = look()
        assert await first.ask(route.default_routes("web1")) == ()
        for _ in range(2):
            with pytest.raises(CannotObserve, match="zone web1 has not answered yet"):
                await first.ask(ipadm.addresses("web1"))
        with pytest.raises(CannotObserve, match="zone web1 has not answered"):
            await look().ask(route.default_routes("web1"))
        assert ended == []
        gate.opened.set()
        async with asyncio.timeout(60):
            while not ended:
                await asyncio.sleep(0.01)
        with pytest.raises(CannotObserve):
            await first.ask(ipadm.addresses("web1"))  # what this look has concluded is not overthrown
        count = gate.waiting
        await look().ask(ipadm.addresses("web1"))
        assert gate.waiting == count, "the answer was there"
        await look().ask(ipadm.addresses("web1"))
        assert gate.waiting == count + 1, "and is not given twice"
        assert ended == ["web1"]

    asyncio.run(scene())


def test_questions_that_follow_one_another_are_all_answered_by_a_zone_that_is_always_late(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(late, "PATIENCE_S", 0.1)
    ours = site.ours

    async def scene() -> None:
        gate, ended = Gate(ours.commands, "zlogin -n web1"), asyncio.Event()
        asked = Late(lambda zone: ended.set())
        looks = 0
        while looks < 9:
            looks += 1
            look = Look(gate, ours.files, ours.store, ours.dialect, "paper", asked)
            gate.opened.clear()
            ended.clear()
            try:
                for query in (ipadm.addresses("web1"), route.default_routes("web1"), ipadm.forwarding("web1")):
                    await look.ask(query)
                break
            except CannotObserve:
                await asyncio.sleep(late.PATIENCE_S)  # it is late by more than a little
                gate.opened.set()
                await ended.wait()
        assert (looks, gate.waiting) == (4, 3)
        assert asked.patience_s("web1") == 0.0, "it was late, and is not waited for"
        monkeypatch.setattr(late, "PATIENCE_S", 60.0)
        for _ in range(2):  # one question is late no longer, and so the zone is waited for again
            look = Look(gate, ours.files, ours.store, ours.dialect, "paper", asked)
            gate.opened.clear()
            ended.clear()
            try:
                await look.ask(ipadm.addresses("web1"))
            except CannotObserve:
                gate.opened.set()
                await ended.wait()
        assert asked.patience_s("web1") == late.PATIENCE_S

    asyncio.run(scene())


def test_who_waits_for_the_same_answer_is_not_cancelled_with_the_one_who_asked(site: Site) -> None:
    ours = site.ours

    async def scene() -> None:
        look = Look(Gate(ours.commands, "dladm"), ours.files, ours.store, ours.dialect, "paper")
        asks = asyncio.create_task(look.ask(dladm.links()))
        await asyncio.sleep(0)
        waits = asyncio.create_task(look.ask(dladm.links()))
        await asyncio.sleep(0)
        asks.cancel()
        with pytest.raises(CannotObserve, match="given up"):
            await waits
        with pytest.raises(CannotObserve, match="given up"):
            await look.ask(dladm.links())

    asyncio.run(scene())


def test_a_question_of_a_plugin_elsewhere_makes_no_zone_late_for_ours(site: Site) -> None:
    """It hangs in web1 until its own deadline; ours ask in there as ever, in this look and in the next."""
    ours = site.ours

    async def scene() -> None:
        gate, asked = Gate(ours.commands, "hang"), Late()
        look = Look(gate, ours.files, ours.store, ours.dialect, "paper", asked)
        theirs = Query(("zlogin", "-n", "web1", "hang"), lambda reply: reply, raw=True, lane="plugin other")
        hanging = asyncio.ensure_future(look.ask(theirs))
        while not gate.waiting:
            await asyncio.sleep(0.01)
        for each in (look, Look(gate, ours.files, ours.store, ours.dialect, "paper", asked)):
            assert await each.ask(route.default_routes("web1")) == ()
        assert not hanging.done()
        hanging.cancel()
        await asyncio.wait([hanging])

    asyncio.run(scene())
