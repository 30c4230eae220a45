"""Plugins that stand by themselves: neither stopped by what others cannot see or do, nor in their way."""

from __future__ import annotations

import asyncio
from pathlib import Path

from fixtures import Admin, Build
from lab.faults import Fault
from paper_gateway import Site, member, settle

from zonehookd.engine.reconciler import PlannedStep
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
