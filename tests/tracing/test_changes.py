"""One id from the first hint to the end, through the real dispatcher: on outcomes, on commands, in the timeline."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from fixtures import Admin, Build
from lab.faults import Fault
from paper import Engine
from paper_gateway import EDGE, WAN, WEB, Site, member

from zonehookd.engine.dispatcher import Dispatcher
from zonehookd.engine.survey import DELETED, UNDECIDED, Survey
from zonehookd.engine.timing import Timing
from zonehookd.host.process import Finished
from zonehookd.model import subject
from zonehookd.model.correlation import CURRENT, NONE, Correlation
from zonehookd.model.event import Event
from zonehookd.model.outcome import Outcome, Result
from zonehookd.model.subject import Subject
from zonehookd.tracing.timeline import Timeline

WEB1 = subject.zone("web1")


class Ears:
    """Remembers outcomes and events."""

    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []
        self.events: list[Event] = []

    def hinted(self, event: Event, new: bool) -> None:
        self.events.append(event)

    def looked(self, site: object, seconds: float, full: bool, planned: int, unannounced: int) -> None: ...
    def blind(self, error: str) -> None: ...
    def ended(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)

    def queued(self, waiting: int, oldest_s: float, working: int) -> None: ...

    def of(self, each: Subject) -> list[Outcome]:
        return [outcome for outcome in self.outcomes if outcome.subject == each and outcome.correlation is not NONE]


class Noted:
    """Commands, and under which correlation each was run."""

    def __init__(self, engine: Engine) -> None:
        self._inner = engine.commands
        self.run_for: list[tuple[tuple[str, ...], Correlation]] = []

    async def run(self, query_or_change: Any, *, why: str, subject: Subject | None) -> Finished:
        self.run_for.append((query_or_change.argv, CURRENT.get()))
        return await self._inner.run(query_or_change, why=why, subject=subject)


class Stage:
    """Gateway edge with web1 behind it, configured; `play` runs the dispatcher until all is settled, then the scene."""

    def __init__(self, site: Site) -> None:
        self.site, self.ears, self.timeline = site, Ears(), Timeline()
        self.noted = Noted(site.ours)

    def play(self, scene: Callable[[Dispatcher], Awaitable[None]]) -> None:
        async def run() -> None:
            ours = self.site.ours
            ours.commands = self.noted  # type: ignore[assignment]
            ours.applier._commands = self.noted
            timing = Timing(full_look_s=3600, pace_s=0.001, retry_max_s=0.2, heartbeat_s=0.05)
            heart = (ours._look, ours.store, ours.survey, ours.reconciler, ours.applier)
            dispatcher = Dispatcher(*heart, timing, [self.ears, self.timeline], lambda: None)
            dispatcher.declare(ours.declared)
            loop = asyncio.create_task(dispatcher.run())
            async with asyncio.timeout(60):
                await dispatcher.settled()
                await scene(dispatcher)
                dispatcher.stop()
                await loop

        asyncio.run(run())


@pytest.fixture
def stage(admin: Admin, engine: Build) -> Stage:
    site = Site(admin, engine, {"wan": WAN, "web": WEB}, {"edge": EDGE})
    member(admin, "edge")
    member(admin, "web1", "web")
    site.up("edge")
    return Stage(site)


async def settled(dispatcher: Dispatcher, each: Subject) -> None:
    await dispatcher.attended(each.name)
    while dispatcher.latest[each].result is not Result.NOOP:
        await asyncio.sleep(0.01)


def test_one_id_from_the_hint_to_the_end(stage: Stage) -> None:
    async def scene(dispatcher: Dispatcher) -> None:
        stage.ears.outcomes.clear()
        stage.noted.run_for.clear()
        stage.site.admin.do("zoneadm", "-z", "web1", "boot")
        dispatcher.hint(Event("zone-channel", "running", zone="web1"))
        await settled(dispatcher, WEB1)
        first = stage.ears.events[-2]
        assert first.kind == "running" and first.change
        mine = [outcome.correlation for outcome in stage.ears.of(WEB1)]
        assert {one.change for one in mine} == {first.change} == {one.cause for one in mine}
        assert mine[0].heard == "zone-channel running web1"
        steps = [(argv, tag) for argv, tag in stage.noted.run_for if tag.change == first.change]
        assert [argv for argv, _ in steps if "create-addr" in " ".join(argv)], "its steps bear the id"
        looks = {tag.look for _, tag in stage.noted.run_for if not tag.change}
        assert mine[0].look in looks, "what was asked before bears the id of the look"
        entries = stage.timeline.of(WEB1)
        assert entries[-1].what == "settled" and {each.change for each in entries[-3:]} == {first.change}
        dispatcher.hint(Event("zone-channel", "running", zone="web1"))
        assert stage.ears.events[-1].change > first.change, "what comes later is another change"

    stage.play(scene)


def test_zones_behind_a_gateway_hear_what_is_believed_of_it_by_one_look_each(stage: Stage) -> None:
    """Missing, believed to be gone, there again and shut, open: what is said of a zone is true at each of them."""
    names = ["web1", "web2", "web3"]
    for name in names[1:]:
        member(stage.site.admin, name, "web")
    stage.site.up(*names)
    ours, admin = stage.site.ours, stage.site.admin
    ours.survey = Survey(ours.config.paths.zones, 3.0)

    async def scene(dispatcher: Dispatcher) -> None:
        async def said(part: str) -> None:
            while not all(any(part in n.text for n in dispatcher.latest[subject.zone(name)].notes) for name in names):
                await asyncio.sleep(0.01)

        admin.do("zoneadm", "-z", "edge", "halt")
        dispatcher.hint(Event("zone-channel", "uninitialized", zone="edge"))
        await said("waiting for gateway edge: its zone is installed")
        text = admin.world.path("/etc/zones/index").read_text()
        config = admin.world.path("/etc/zones/edge.xml").read_text()
        stage.ears.outcomes.clear()
        admin.do("zonecfg", "-z", "edge", "delete", "-F")
        dispatcher.hint(Event("zone-files", "changed"))
        await said(f"waiting for gateway edge: {UNDECIDED}")
        await said(f"waiting for gateway edge: {DELETED}")
        await dispatcher.settled()
        for name in names:
            looks = [one for one in stage.ears.outcomes if one.subject == subject.zone(name)]
            assert len(looks) <= 3, "missing, gone, and the full look at the end"
        admin.world.path("/etc/zones/edge.xml").write_text(config)
        admin.world.path("/etc/zones/index").write_text(text)
        dispatcher.hint(Event("zone-files", "changed"))
        await said("waiting for gateway edge: its zone is installed")

    stage.play(scene)


def test_how_a_gateway_comes_back_is_said_alike_by_it_and_behind_it(stage: Stage) -> None:
    """Renamed, up by its new name, and deleted by that: whoever is asked names what can be done then."""
    stage.site.up("web1")
    ours, admin = stage.site.ours, stage.site.admin
    ours.survey = Survey(ours.config.paths.zones, 0.0)

    async def scene(dispatcher: Dispatcher) -> None:
        async def said(part: str) -> None:
            dispatcher.hint(Event("zone-files", "changed"))
            for each in (WEB1, subject.gateway("edge")):
                while not any(part in f"{n.text} (hint: {n.hint}" for n in dispatcher.latest[each].notes):
                    await asyncio.sleep(0.01)

        admin.do("zoneadm", "-z", "edge", "halt")
        admin.do("zonecfg", "-z", "edge", "set zonename=old")
        await said("(hint: if it was renamed: zonecfg -z old set zonename=edge; or")
        admin.do("zoneadm", "-z", "old", "boot")
        await said("(hint: if it was renamed: zoneadm -z old halt, then zonecfg -z old set zonename=edge; or")
        admin.do("zoneadm", "-z", "old", "halt")
        admin.do("zonecfg", "-z", "old", "delete", "-F")
        await said("(hint: zonehookctl guard restore edge; or")

    stage.play(scene)


def test_what_a_change_sets_off_has_its_id_as_cause(stage: Stage) -> None:
    async def scene(dispatcher: Dispatcher) -> None:
        stage.site.admin.do("zoneadm", "-z", "web1", "boot")
        dispatcher.hint(Event("zone-channel", "running", zone="web1"))
        await dispatcher.settled()
        stage.ears.outcomes.clear()
        stage.site.admin.do("zoneadm", "-z", "edge", "halt")
        dispatcher.hint(Event("zone-channel", "uninitialized", zone="edge"))
        root = stage.ears.events[-1].change
        while not [one for one in stage.ears.of(WEB1) if one.notes]:
            await asyncio.sleep(0.01)
        gateway, zone = stage.ears.of(subject.gateway("edge"))[0], stage.ears.of(WEB1)[0]
        assert gateway.correlation.cause == zone.correlation.cause == root
        assert len({root, gateway.correlation.change, zone.correlation.change}) == 3
        last = stage.timeline.of(WEB1)[-1]
        assert last.result == "waiting" and "waiting for gateway edge" in last.text and last.cause == root

    stage.play(scene)


def test_trouble_keeps_its_id(stage: Stage) -> None:
    async def scene(dispatcher: Dispatcher) -> None:
        stage.site.admin.world.faults.add(Fault("fail", "dladm create-vnic *", times=3))
        stage.ears.outcomes.clear()
        stage.site.admin.do("dladm", "delete-vnic", "web1_0")
        dispatcher.hint(Event("test", "look", everything=True))
        root = stage.ears.events[-1].change
        while not [one for one in stage.ears.of(WEB1) if one.result is Result.NOOP]:
            await asyncio.sleep(0.01)
        mine = stage.ears.of(WEB1)
        assert {one.result for one in mine} == {Result.FAILED, Result.CHANGED, Result.NOOP}
        assert len({one.correlation.change for one in mine}) == 1 and mine[0].correlation.cause == root
        whats = [each.result for each in stage.timeline.of(WEB1) if each.what == "plugin vnic"]
        assert "failed" in whats and whats[-1] == "done"

    stage.play(scene)


def test_a_look_that_finds_nothing_is_no_change(stage: Stage) -> None:
    async def scene(dispatcher: Dispatcher) -> None:
        stage.ears.outcomes.clear()
        before = len(stage.timeline.of(WEB1))
        await dispatcher.settled()
        assert stage.ears.outcomes and not stage.ears.of(WEB1)
        assert len(stage.timeline.of(WEB1)) == before

    stage.play(scene)
