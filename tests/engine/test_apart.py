"""Plugins that stand by themselves: neither stopped by what others cannot see or do, nor in their way."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from fixtures import Admin, Build
from lab.faults import Fault
from paper_gateway import Site, member, settle

from zonehookd.engine.applier import _TOGETHER
from zonehookd.engine.reconciler import PlannedStep
from zonehookd.host.process import Finished
from zonehookd.model import subject
from zonehookd.model.command import Change
from zonehookd.model.outcome import Result
from zonehookd.model.plan import Forget, WriteFile

EDGE = subject.gateway("edge")


def blind_site(admin: Admin, engine: Build) -> Site:
    admin.world.path("/var/zap/zones").mkdir(parents=True)
    member(admin, "edge", state="running")
    member(admin, "web1", "web")
    admin.world.faults.add(Fault("kill", "zlogin *edge *", times=10_000))
    return Site(admin, engine)


def test_what_others_cannot_see_does_not_stop_it(admin: Admin, engine: Build) -> None:
    found = blind_site(admin, engine)
    found.ours.look()
    (plan,) = [each for each in found.ours.plan() if each.subject == EDGE]
    assert plan.blind and plan.trouble == plan.blind, "the gateway is not seen"
    assert "parent_zone: edge" in admin.world.path("/var/zap/zones/zconfig.zonehookd-edge").read_text()
    assert found.ours.store.one("kept", "edge") is not None
    assert plan.steps == [], "and done is done"


def test_its_steps_fail_alone_and_come_first(admin: Admin, engine: Build) -> None:
    member(admin, "edge", state="running")
    found = Site(admin, engine)
    settle(found.ours)
    admin.world.path("/var/in-the-way").write_text("a file")
    admin.world.faults.add(Fault("fail", "dladm create-etherstub *", times=10))
    bad = WriteFile(Path("/var/in-the-way/below"), "x", "it cannot be written")
    good = WriteFile(Path("/var/written"), "x", "it can")
    command = Change(("dladm", "create-etherstub", "stub7"), "which fails")
    every = [
        PlannedStep("zap", bad, True),
        PlannedStep("zap", good, True),
        PlannedStep("nat", Forget("vnic", "nobody", "which works")),
        PlannedStep("nat", command),
        PlannedStep("gateway", good),
        PlannedStep("keeper", WriteFile(Path("/var/kept"), "x", "it can"), True),
    ]
    applied = asyncio.run(found.ours.applier.apply(EDGE, every))
    assert applied.result is Result.FAILED and "it cannot be written" in applied.error, "the first that failed is said"
    assert [(each.plugin, each.ok) for each in applied.steps] == [
        ("zap", False),
        ("nat", True),
        ("nat", False),
        ("keeper", True),
    ]
    assert admin.world.path("/var/kept").exists() and not admin.world.path("/var/written").exists()


def test_a_step_that_nobody_foresaw_costs_its_plugin_alone(admin: Admin, engine: Build) -> None:
    member(admin, "edge", state="running")
    found = Site(admin, engine)
    settle(found.ours)
    every = [
        PlannedStep("vnic", WriteFile(Path("/var/ours"), "x", "it can be written")),
        PlannedStep("odd", WriteFile(Path("/var/odd"), "x", "no file has that mode", 1 << 40), True, True),
        PlannedStep("other", WriteFile(Path("/var/other"), "x", "it can be written"), True, True),
    ]
    applied = asyncio.run(found.ours.applier.apply(EDGE, every))
    assert [(each.plugin, each.ok) for each in applied.steps] == [("vnic", True), ("odd", False), ("other", True)]
    assert applied.result is Result.FAILED and "no file has that mode: internal error" in applied.error


def test_a_plugin_elsewhere_that_is_slow_with_some_holds_up_no_others(
    admin: Admin, engine: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who waits for its turn is let go, to be planned for anew: it may be that ours have something to do there."""
    monkeypatch.setattr("zonehookd.engine.applier._TURN_S", 0.05)
    ours = Site(admin, engine).ours
    slow = PlannedStep("slow", Change(("dladm", "show-link"), "which takes its time"), True, True)
    quick = PlannedStep("quick", Change(("dladm", "show-link"), "which does not"), True, True)
    run = ours.commands.run

    async def scene() -> None:
        go_on = asyncio.Event()

        async def waits(asked: Change, **how: Any) -> Finished:
            if asked.lane == "plugin slow":
                await go_on.wait()
            return await run(asked, **how)

        monkeypatch.setattr(ours.commands, "run", waits)
        every = [
            asyncio.ensure_future(ours.applier.apply(subject.zone(f"web{number}"), [slow, quick]))
            for number in range(10)
        ]
        async with asyncio.timeout(60):
            while sum(each.done() for each in every) < 10 - _TOGETHER:
                await asyncio.sleep(0.01)
        for let_go in (each.result() for each in every if each.done()):
            assert let_go.result is Result.BUSY and "is still at work for others" in let_go.error
            assert [(each.plugin, each.ok) for each in let_go.steps] == [("slow", False), ("quick", True)]
        go_on.set()
        done = await asyncio.gather(*every)
        assert [each.result for each in done].count(Result.CHANGED) == _TOGETHER

    asyncio.run(scene())


def test_the_steps_of_a_plugin_elsewhere_have_a_time_for_all_of_them(
    admin: Admin, engine: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zonehookd.engine.applier._FOREIGN_MAX_S", -1.0)
    ours = Site(admin, engine).ours
    every = [
        PlannedStep("long", WriteFile(Path("/var/one"), "x", "the first"), True, True),
        PlannedStep("long", WriteFile(Path("/var/two"), "x", "the second"), True, True),
        PlannedStep("other", WriteFile(Path("/var/other"), "x", "it can be written"), True, True),
        PlannedStep("vnic", WriteFile(Path("/var/ours"), "x", "it can be written")),
    ]
    applied = asyncio.run(ours.applier.apply(EDGE, every))
    assert applied.result is Result.BUSY and "plugin long: its steps took longer than" in applied.error
    assert [each.plugin for each in applied.steps] == ["vnic"], "ours have no such limit"
