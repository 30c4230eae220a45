"""A wall around each plugin, and one owner for each thing."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from fixtures import Admin, Build

from zonehookd.engine import reconciler
from zonehookd.errors import CannotObserve
from zonehookd.model.outcome import Result
from zonehookd.model.plan import Plan, Remember, RemoveFile, nothing
from zonehookd.model.record import Record
from zonehookd.plugin.contract import PluginOptions, ZonePlugin, ZoneView


class Stubborn(ZonePlugin[None]):
    name = "stubborn"
    trouble = "raise"

    async def observe(self, zone: ZoneView, host: Any) -> None:
        if zone.zone.name == "web1" and self.trouble == "blind":
            raise CannotObserve("the fog is thick")

    def plan(self, zone: ZoneView, seen: None) -> Plan:
        if zone.zone.name == "web1" and self.trouble == "raise":
            raise KeyError("oops")
        if zone.zone.name == "web1" and self.trouble == "steal":
            return Plan((Remember(Record("vnic", "web1_0", zone.subject, self.name), "mine"),))
        return "no plan" if self.trouble == "nonsense" else nothing("content")  # type: ignore[return-value]


def trouble(admin: Admin, engine: Build, kind: str) -> dict[str, Any]:
    admin.by_address("web1", "web1_0", "10.1.0.5/24")
    admin.by_address("web2", "web2_0", "10.1.0.6/24")
    ours = engine(dmz="10.1.0.0/24")
    plugin = Stubborn(PluginOptions())
    plugin.trouble = kind
    ours.reconciler.plugins = [*ours.reconciler.plugins, plugin]
    applied = ours.look()
    if kind == "raise":
        assert ours.planned[("stubborn", "plan", "failed")] == 1 and ours.planned[("vnic", "plan", "ok")] == 2
    return applied


def test_a_plugin_that_breaks_costs_its_subject_only(admin: Admin, engine: Build) -> None:
    applied = trouble(admin, engine, "raise")
    assert (
        applied["zone:web1"].result is Result.FAILED
        and "plugin stubborn broke: KeyError('oops')" in applied["zone:web1"].error
    )
    assert Path(__file__).name in applied["zone:web1"].error, "and where it broke"
    assert "web2_0" in admin.links() and "web1_0" not in admin.links()


def test_could_not_look_is_never_is_not_there(admin: Admin, engine: Build) -> None:
    applied = trouble(admin, engine, "blind")
    assert applied["zone:web1"].result is Result.BLIND and "the fog is thick" in applied["zone:web1"].error
    assert "web1_0" not in admin.links() and "web2_0" in admin.links()


def test_two_plugins_that_want_one_thing_are_both_named(admin: Admin, engine: Build) -> None:
    error = trouble(admin, engine, "steal")["zone:web1"].error
    assert error == "plugin stubborn: vnic web1_0 is wanted for zone:web1, and by plugin vnic for zone:web1"


def test_a_plan_that_is_none_is_said(admin: Admin, engine: Build) -> None:
    assert "plan returned str, not a Plan" in trouble(admin, engine, "nonsense")["zone:web2"].error


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        (Plan(RemoveFile(Path("/x"), "no")), "steps must be a tuple, found RemoveFile; is a comma missing?"),  # type: ignore[arg-type]
        (Plan(("dladm",)), "steps may not hold str"),  # type: ignore[arg-type]
        (Plan((RemoveFile(Path("/x"), ""),)), "has no why"),
        (Plan((RemoveFile(Path("x"), "go"),)), "x is no absolute path"),
    ],
)
def test_a_plan_is_checked_down_to_its_steps(admin: Admin, engine: Build, plan: Plan, said: str) -> None:
    class Clumsy(ZonePlugin[None]):
        name = "clumsy"

        async def observe(self, zone: ZoneView, host: Any) -> None:
            return None

        def plan(self, zone: ZoneView, seen: None) -> Plan:
            return plan if zone.zone.name == "web1" else nothing("content")

    admin.by_address("web1", "web1_0", "10.1.0.5/24")
    admin.by_address("web2", "web2_0", "10.1.0.6/24")
    ours = engine(dmz="10.1.0.0/24")
    ours.reconciler.plugins = [*ours.reconciler.plugins, Clumsy(PluginOptions())]
    error = ours.look()["zone:web1"].error
    assert error.startswith("plugin clumsy: plan: ") and said in error
    assert "web2_0" in admin.links(), "the others go on"


def test_an_observe_that_hangs_is_its_plugins_trouble(
    admin: Admin, engine: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Sleeper(ZonePlugin[None]):
        name = "sleeper"

        async def observe(self, zone: ZoneView, host: Any) -> None:
            await asyncio.sleep(3600 if zone.zone.name == "web1" else 0)

        def plan(self, zone: ZoneView, seen: None) -> Plan:
            return nothing("content")

    monkeypatch.setattr(reconciler, "OBSERVE_MAX_S", 0.05)
    admin.by_address("web1", "web1_0", "10.1.0.5/24")
    admin.by_address("web2", "web2_0", "10.1.0.6/24")
    ours = engine(dmz="10.1.0.0/24")
    ours.reconciler.plugins = [*ours.reconciler.plugins, Sleeper(PluginOptions())]
    assert ours.look()["zone:web1"].error == "plugin sleeper: observe took longer than 0.05 s"
    assert "web2_0" in admin.links()


def test_a_look_that_fails_plans_nothing(admin: Admin, engine: Build) -> None:
    admin.by_address("web1", "web1_0", "10.1.0.5/24")
    ours = engine(dmz="10.1.0.0/24")
    ours.converge()
    admin.world.path("/etc/zones/index").rename(admin.world.path("/etc/zones/away"))
    with pytest.raises(CannotObserve, match="index is missing"):
        ours.look()
    assert "web1_0" in admin.links()
