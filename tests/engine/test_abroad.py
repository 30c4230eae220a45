"""Plugins whose code runs elsewhere: asked together, hardly waited for; what they cannot do is their own loss."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
from fixtures import Admin, Build
from paper import Engine

from zonehookd.engine import views
from zonehookd.engine.abroad import Answer, AnyView, ForeignPlans, ForeignPlugin
from zonehookd.engine.boots import Motion
from zonehookd.engine.look import Look
from zonehookd.engine.reconciler import Reconciler, SubjectPlan
from zonehookd.model import subject
from zonehookd.model.command import Change
from zonehookd.model.outcome import Result
from zonehookd.model.plan import Note, Plan, Remember, WriteBlock, WriteFile
from zonehookd.model.record import Record
from zonehookd.model.subject import Subject

WEB1, WEB2 = subject.zone("web1"), subject.zone("web2")
Plans = Callable[[AnyView], Answer]


class Elsewhere:
    """Plugins that answer in their own time: `pause_s` may change between calls, and who is `held` says nothing."""

    def __init__(self, *plugins: ForeignPlugin) -> None:
        self.known = list(plugins)
        self.says: dict[str, Plans] = {}
        self.pause_s: dict[str, float] = {}
        self.held: set[str] = set()
        self.calls: list[tuple[str, list[str]]] = []

    def plugins(self) -> Sequence[ForeignPlugin]:
        return self.known

    async def plan(self, name: str, views: Sequence[AnyView], look: Look) -> Mapping[Subject, Answer]:
        self.calls.append((name, [each.subject.name for each in views]))
        await asyncio.sleep(self.pause_s.get(name, 0.0))
        while name in self.held:
            await asyncio.sleep(0.01)
        return {each.subject: self.says[name](each) for each in views}


def wish(path: Path, why: str = "it is wanted") -> Plans:
    return lambda view: Answer(Plan((WriteFile(path / view.subject.name, "x", why),)))


@pytest.fixture
def ours(admin: Admin, engine: Build) -> Engine:
    for name, address in (("web1", "10.1.0.5/24"), ("web2", "10.1.0.6/24")):
        admin.by_address(name, f"{name}_0", address)
    built = engine(dmz="10.1.0.0/24")
    built.converge()
    return built


async def look(ours: Engine, foreign: ForeignPlans) -> Mapping[str, SubjectPlan]:
    made = ours._look()
    taken = await ours.survey.take(made, ours.declared, time.monotonic())
    ours.survey.keep(taken)
    reconciler = Reconciler(ours.reconciler.plugins, lambda *_: None, foreign)
    plans = await reconciler.plan(made, taken.site, ours._all(taken.site), ours.motion)
    return {each.subject.name: each for each in plans if each.subject.kind == "zone"}


def codes(plan: SubjectPlan) -> list[str]:
    return [note.code for note in plan.notes if note.kind != "nothing"]


def test_one_call_for_all_that_is_due(ours: Engine, tmp_path: Path) -> None:
    where = Elsewhere(ForeignPlugin("cards", "zone"), ForeignPlugin("nets", "network"))
    where.says = {"cards": wish(tmp_path), "nets": lambda view: Answer()}
    plans = asyncio.run(look(ours, ForeignPlans(where)))
    assert sorted(where.calls) == [("cards", ["web1", "web2"]), ("nets", ["dmz"])]
    assert [(each.plugin, each.apart, each.foreign) for each in plans["web1"].steps] == [("cards", True, True)]


def test_ours_come_first_but_not_for_ever(ours: Engine, admin: Admin, tmp_path: Path) -> None:
    where = Elsewhere(ForeignPlugin("cards", "zone"))
    where.says["cards"] = wish(tmp_path)
    admin.do("dladm", "delete-vnic", "web1_0")

    async def scene() -> None:
        foreign = ForeignPlans(where)
        for _ in range(2):
            plans = await look(ours, foreign)
            assert [each.plugin for each in plans["web1"].steps] == ["vnic", "vnic"], (
                "ours may fail, and be tried again"
            )
            assert [each.plugin for each in plans["web2"].steps] == ["cards"], "others are asked about meanwhile"
        plans = await look(ours, foreign)
        assert [each.plugin for each in plans["web1"].steps] == ["vnic", "vnic", "cards"]
        assert [each.foreign for each in plans["web1"].steps] == [False, False, True]
        made = ours._look()
        site = (await ours.survey.take(made, ours.declared, time.monotonic())).site
        reconciler = Reconciler(ours.reconciler.plugins, lambda *_: None, ForeignPlans(where))
        (web1,) = await reconciler.dry(made, site, [WEB1], ours.motion)
        assert [each.plugin for each in web1.steps] == ["vnic", "vnic", "cards"], (
            "who asks what would be done is told all"
        )

    asyncio.run(scene())


def test_one_that_hangs_costs_a_moment_once_and_its_answer_is_taken_late(ours: Engine, tmp_path: Path) -> None:
    where = Elsewhere(ForeignPlugin("slow", "zone"), ForeignPlugin("quick", "zone"))
    where.says = {"slow": wish(tmp_path / "slow"), "quick": wish(tmp_path / "quick")}
    where.held = {"slow"}
    due: list[Subject] = []

    async def scene() -> None:
        foreign = ForeignPlans(where, due.append)
        first = await look(ours, foreign)
        assert [each.plugin for each in first["web1"].steps] == ["quick"], "the other one is not waited for"
        assert codes(first["web1"]) == ["plugin-late"]
        again = await look(ours, foreign)
        assert len([name for name, _ in where.calls if name == "slow"]) == 1, "and is not asked twice meanwhile"
        assert codes(again["web1"]) == ["plugin-late"]
        where.held.clear()
        while WEB1 not in due or WEB2 not in due:
            await asyncio.sleep(0.01)
        where.held = {"slow"}
        third = await look(ours, foreign)
        assert [each.plugin for each in third["web1"].steps] == ["slow", "quick"] and codes(third["web1"]) == []
        assert len([name for name, _ in where.calls if name == "slow"]) == 1
        foreign._patience_s = 3600.0
        fourth = await look(ours, foreign)
        assert codes(fourth["web1"]) == ["plugin-late"], "whoever was slow is asked, and not waited for at all"
        assert foreign._desks["slow"].slow
        where.held.clear()
        while foreign._desks["slow"].asked:
            await asyncio.sleep(0.01)
        for _ in range(2):  # the first takes what came late
            await look(ours, foreign)
            while foreign._desks["slow"].asked:
                await asyncio.sleep(0.01)
        assert not foreign._desks["slow"].slow, "until it was quick again"
        await foreign.stop()

    asyncio.run(scene())


def test_an_answer_about_what_is_no_longer_so_is_asked_anew(ours: Engine, admin: Admin, tmp_path: Path) -> None:
    where = Elsewhere(ForeignPlugin("slow", "zone"))
    where.says["slow"] = lambda view: Answer(Plan((WriteFile(tmp_path / "x", str(view), "as it was shown"),)))
    where.held = {"slow"}
    due: list[Subject] = []

    async def scene() -> None:
        foreign = ForeignPlans(where, due.append)
        await look(ours, foreign)
        admin.do("zoneadm", "-z", "web1", "boot")
        await look(ours, foreign)
        where.held.clear()
        while due.count(WEB1) < 1:
            await asyncio.sleep(0.01)
        (step,) = (await look(ours, foreign))["web1"].steps
        assert isinstance(step.step, WriteFile) and "ZoneState.RUNNING" in step.step.content
        await foreign.stop()

    asyncio.run(scene())


def test_a_quiet_plugin_that_is_late_says_nothing_and_wakes_nobody(ours: Engine) -> None:
    where = Elsewhere(ForeignPlugin("watcher", "zone"))
    where.says["watcher"] = lambda view: Answer()
    due: list[Subject] = []

    async def scene() -> None:
        foreign = ForeignPlans(where, due.append)
        await look(ours, foreign)
        where.pause_s["watcher"] = 0.3
        plans = await look(ours, foreign)
        assert codes(plans["web1"]) == []
        while where.calls and foreign._desks["watcher"].asked:
            await asyncio.sleep(0.01)
        assert due == []
        await foreign.stop()

    asyncio.run(scene())


@pytest.mark.parametrize("trouble", ["blind", "failed"])
def test_required_is_trouble_of_the_zone_and_optional_is_only_said(ours: Engine, trouble: str) -> None:
    where = Elsewhere(ForeignPlugin("must", "zone", required=True), ForeignPlugin("may", "zone"))
    where.says = dict.fromkeys(("must", "may"), lambda view: Answer(**{trouble: "the sea is too high"}))
    plan = asyncio.run(look(ours, ForeignPlans(where)))["web1"]
    assert getattr(plan, trouble) == "the sea is too high"
    assert plan.without_steps is (Result.BLIND if trouble == "blind" else Result.FAILED)
    (note,) = [each for each in plan.notes if each.object == "may"]
    assert (note.kind, note.code) == ("waiting", f"plugin-{trouble}") and note.again_after_s


def test_what_cannot_be_asked_degrades_only_if_required(ours: Engine) -> None:
    where = Elsewhere(
        ForeignPlugin("must", None, required=True, down="died 3 times"), ForeignPlugin("may", None, down="x")
    )
    plan = asyncio.run(look(ours, ForeignPlans(where)))["web1"]
    assert plan.failed == "plugin must: died 3 times" and codes(plan) == [] and where.calls == []
    where.known = [ForeignPlugin("must", None, required=True, down="is starting", starting=True)]
    plan = asyncio.run(look(ours, ForeignPlans(where)))["web1"]
    assert not plan.failed and codes(plan) == ["plugin-starting"]


def test_ours_go_on_whatever_it_wants_that_is_ours(ours: Engine, admin: Admin, tmp_path: Path) -> None:
    admin.do("dladm", "delete-vnic", "web1_0")
    where = Elsewhere(ForeignPlugin("thief", "zone", required=True), ForeignPlugin("crook", "zone"))
    record = Record("vnic", "web1_0", WEB1, "thief")
    where.says["thief"] = lambda view: Answer(Plan((Remember(record, "it shall be mine"),)))
    where.says["crook"] = lambda view: Answer(Plan((WriteFile(Path("etc/passwd"), "", "relative"),)))
    foreign = ForeignPlans(where)

    async def third_look() -> SubjectPlan:
        return [(await look(ours, foreign))["web1"] for _ in range(3)][-1]

    plan = asyncio.run(third_look())
    assert [each.plugin for each in plan.steps] == ["vnic", "vnic"]
    assert "vnic web1_0 is wanted for zone:web1, and by plugin vnic for zone:web1" in plan.failed
    assert any("etc/passwd is no absolute path" in note.text for note in plan.notes)


def test_its_commands_take_turns_among_themselves(ours: Engine) -> None:
    where = Elsewhere(ForeignPlugin("busybody", "zone"))
    where.says["busybody"] = lambda view: Answer(Plan((Change(("dladm", "show-link"), "to be seen"),)))
    lanes = []
    run = ours.commands.run

    async def heard(asked: Change, **how: object) -> object:
        lanes.append(asked.lane)
        return await run(asked, **how)  # type: ignore[arg-type]

    async def scene() -> None:
        plan = (await look(ours, ForeignPlans(where)))["web1"]
        ours.commands.run = heard  # type: ignore[method-assign, assignment]
        await ours.applier.apply(WEB1, plan.steps)

    asyncio.run(scene())
    assert lanes == ["plugin busybody"]


def test_it_sees_its_own_links_only(ours: Engine) -> None:
    where = Elsewhere(ForeignPlugin("cards", "zone"))
    shown: dict[str, AnyView] = {}

    def keep(view: AnyView) -> Answer:
        shown[view.subject.name] = view
        return Answer(Plan(notes=(Note("nothing", "seen"),)))

    where.says["cards"] = keep
    asyncio.run(look(ours, ForeignPlans(where)))
    site = ours.survey.site
    assert site is not None and set(site.holders) == {"web1_0", "web2_0"}
    assert shown["web1"].holders == {"web1_0": "web1"}  # type: ignore[union-attr]
    assert views.zone_view(site, site.zones["web1"], Motion(), {}, {}).holders == site.holders


def test_lines_in_a_file_that_is_somebody_elses(ours: Engine, admin: Admin, tmp_path: Path) -> None:
    hosts = admin.world.path("/etc/hosts")
    hosts.write_text("127.0.0.1 localhost\n::1 localhost")
    where = Elsewhere(ForeignPlugin("hosts", "zone"))

    def lines(view: AnyView) -> Answer:
        assert isinstance(view, views.ZoneView)
        gone = view.zone.absent or not view.attachments
        body = "" if gone else f"{view.attachments[0].addresses[0].ip} {view.zone.name}"
        return Answer(Plan((WriteBlock(Path("/etc/hosts"), body, "names of zones"),)))

    where.says["hosts"] = lines

    async def settle() -> int:
        foreign = ForeignPlans(where)
        for rounds in range(5):
            plans = await look(ours, foreign)
            if not any(each.steps for each in plans.values()):
                return rounds
            for each in plans.values():
                assert (await ours.applier.apply(each.subject, each.steps)).result is not Result.FAILED
        raise AssertionError("not settled")

    assert asyncio.run(settle()) == 1
    text = hosts.read_text()
    assert text.startswith("127.0.0.1 localhost\n::1 localhost\n# BEGIN zonehookd hosts:zone:web1\n10.1.0.5 web1\n")
    assert len([record for record in ours.store.all() if record.kind == "block"]) == 2
    assert asyncio.run(settle()) == 0, "what stands is no step"
    hosts.write_text(text.replace("10.1.0.6 web2", "10.1.0.66 web2"))
    assert asyncio.run(settle()) == 1 and hosts.read_text() == text
    admin.delete("web1")
    admin.delete("web2")
    asyncio.run(settle())
    assert hosts.read_text() == "127.0.0.1 localhost\n::1 localhost"
    assert [record for record in ours.store.all() if record.kind == "block"] == []


@pytest.mark.parametrize("steps", [False, True])
def test_what_was_said_to_be_late_is_looked_at_again_when_it_came(ours: Engine, tmp_path: Path, steps: bool) -> None:
    """Also if it is what was said before: its steps are still to be carried out, and it is not late any more."""
    where = Elsewhere(ForeignPlugin("cards", "zone"))
    where.says["cards"] = wish(tmp_path) if steps else lambda view: Answer()
    due: list[Subject] = []

    async def scene() -> None:
        foreign = ForeignPlans(where, due.append)
        if steps:
            assert (await look(ours, foreign))["web1"].steps, "and then they fail"
        where.pause_s["cards"] = 0.3
        late = await look(ours, foreign)
        assert codes(late["web1"]) == ["plugin-late"] and not late["web1"].steps
        async with asyncio.timeout(60):
            while WEB1 not in due or WEB2 not in due:
                await asyncio.sleep(0.01)
        again = await look(ours, foreign)
        assert codes(again["web1"]) == [] and bool(again["web1"].steps) == steps
        await foreign.stop()

    asyncio.run(scene())


def test_who_is_gone_is_remembered_by_nobody(ours: Engine, tmp_path: Path) -> None:
    where = Elsewhere(ForeignPlugin("cards", "zone"))
    where.says["cards"] = wish(tmp_path)
    where.pause_s["cards"] = 0.3
    due: list[Subject] = []

    async def scene() -> None:
        foreign = ForeignPlans(where, due.append)
        await look(ours, foreign)
        foreign.forget(WEB1)
        async with asyncio.timeout(60):
            while WEB2 not in due:
                await asyncio.sleep(0.01)
        assert WEB1 not in due and WEB1 not in foreign._desks["cards"].fresh
        await look(ours, foreign)
        foreign.forget(WEB2)
        assert not any(WEB2 in kept for kept in (foreign._desks["cards"].standing, foreign._desks["cards"].left))
        await foreign.stop()

    asyncio.run(scene())
