"""When subjects are looked at: bursts gather, one worker per subject, failures pause, blindness concludes nothing."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fixtures import Admin
from lab.dispatch import paper_world
from lab.faults import Fault
from paper import Engine, PaperCommands

from zonehookd.engine.backoff import Backoff
from zonehookd.engine.dispatcher import Dispatcher
from zonehookd.engine.timing import Timing
from zonehookd.errors import CannotObserve
from zonehookd.host.process import Finished
from zonehookd.model import subject
from zonehookd.model.event import Event
from zonehookd.model.outcome import Outcome, Result
from zonehookd.model.subject import Subject


class Ears:
    """A listener that remembers."""

    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []
        self.looks = 0
        self.unannounced = 0
        self.blindness: list[str] = []
        self.new: list[bool] = []

    def hinted(self, event: Event, new: bool) -> None:
        self.new.append(new)

    def looked(self, site: object, seconds: float, full: bool, planned: int, unannounced: int) -> None:
        self.looks += 1
        self.unannounced += unannounced

    def blind(self, error: str) -> None:
        self.blindness.append(error)

    def ended(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)

    def queued(self, waiting: int, oldest_s: float, working: int) -> None:
        pass


class Slow:
    """Commands, one of which takes its time: before it acts, or after."""

    def __init__(self, inner: PaperCommands, pattern: str, seconds: float, when: str) -> None:
        self.inner, self.pattern, self.seconds, self.when = inner, pattern, seconds, when
        self.inside = asyncio.Event()

    async def run(self, query_or_change: Any, *, why: str, subject: Subject | None) -> Finished:
        struck = self.pattern in " ".join(query_or_change.argv)
        if struck and self.when == "before":
            await self.wait()
        done = await self.inner.run(query_or_change, why=why, subject=subject)
        if struck and self.when == "after":
            await self.wait()
        return done

    async def wait(self) -> None:
        self.inside.set()
        await asyncio.sleep(self.seconds)


class Stage:
    def __init__(self, root: Path) -> None:
        (root / "host").mkdir()
        self.admin = Admin(paper_world(str(root / "host")))
        self.engine = Engine(self.admin.world, root / "state.db", {"dmz": {"cidr": "10.1.0.0/24"}})
        self.ears = Ears()
        self.beats = 0

    def play(self, scene: Callable[[Dispatcher], Awaitable[None]]) -> None:
        async def run() -> None:
            engine = self.engine
            timing = Timing(full_look_s=3600, pace_s=0.001, retry_max_s=0.2, heartbeat_s=0.05)
            dispatcher = Dispatcher(
                engine._look,
                engine.store,
                engine.survey,
                engine.reconciler,
                engine.applier,
                timing,
                [self.ears],
                self.beat,
            )
            dispatcher.declare(engine.declared)
            loop = asyncio.create_task(dispatcher.run())
            async with asyncio.timeout(60):
                await dispatcher.settled()
                await scene(dispatcher)
                dispatcher.stop()
                await loop

        asyncio.run(run())

    def beat(self) -> None:
        self.beats += 1


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


async def until(check: Callable[[], object]) -> None:
    while not check():
        await asyncio.sleep(0.002)


def test_a_burst_of_hints_is_one_look(stage: Stage) -> None:
    async def scene(dispatcher: Dispatcher) -> None:
        for number in range(50):
            stage.admin.by_address(f"z{number}", f"z{number}_0", f"10.1.0.{number + 5}/24", state="configured")
        before = stage.ears.looks
        stage.engine.commands.looks.clear()
        for number in range(50):
            for _ in range(4):
                dispatcher.hint(Event("test", "running", zone=f"z{number}"))
        await until(lambda: len(stage.admin.links()) == 52)
        await until(lambda: all(each.result is Result.NOOP for each in dispatcher.latest.values()))
        assert stage.ears.looks - before <= 3, "one to do it, one to see that it is done"
        assert len(stage.engine.commands.looks) <= 10
        assert stage.ears.new.count(False) >= 150, "hints joined others that waited"

    stage.play(scene)


def test_done_means_a_look_finds_nothing_to_do(stage: Stage) -> None:
    async def scene(dispatcher: Dispatcher) -> None:
        stage.admin.by_address("web1", "web1_0", "10.1.0.5/24")
        dispatcher.hint(Event("test", "files"))
        await until(lambda: subject.zone("web1") in dispatcher.latest)
        await until(lambda: dispatcher.latest[subject.zone("web1")].result is Result.NOOP)
        mine = [each.result for each in stage.ears.outcomes if each.subject.name == "web1"]
        assert mine == [Result.CHANGED, Result.NOOP]

    stage.play(scene)


def test_a_failure_is_tried_again_by_itself(stage: Stage) -> None:
    async def scene(dispatcher: Dispatcher) -> None:
        stage.admin.by_address("web1", "web1_0", "10.1.0.5/24")
        stage.admin.world.faults.add(Fault("busy", "dladm create-vnic *", times=2))
        stage.admin.world.faults.add(Fault("fail", "dladm create-vnic *", skip=2, times=2))
        dispatcher.hint(Event("test", "files"))
        await until(lambda: "web1_0" in stage.admin.links())
        mine = [each.result for each in stage.ears.outcomes if each.subject.name == "web1"]
        assert mine[:4] == [Result.BUSY, Result.BUSY, Result.FAILED, Result.FAILED]

    stage.play(scene)


def test_a_refusal_for_want_of_privilege_waits_for_a_full_look(stage: Stage) -> None:
    async def scene(dispatcher: Dispatcher) -> None:
        stage.admin.by_address("web1", "web1_0", "10.1.0.5/24")
        stage.admin.world.faults.add(Fault("fail", "dladm create-vnic *", times=1, status="permission denied"))
        await dispatcher.settled()
        assert dispatcher.latest[subject.zone("web1")].result is Result.STUCK
        await asyncio.sleep(0.1)
        assert "web1_0" not in stage.admin.links()
        await dispatcher.settled()
        assert "web1_0" in stage.admin.links()

    stage.play(scene)


def test_a_blind_look_concludes_nothing_and_loses_no_hint(stage: Stage) -> None:
    async def scene(dispatcher: Dispatcher) -> None:
        stage.admin.by_address("web1", "web1_0", "10.1.0.5/24")
        index = stage.admin.world.path("/etc/zones/index")
        text = index.read_text()
        index.write_text("half a line")
        dispatcher.hint(Event("test", "running", zone="web1"))
        await until(lambda: stage.ears.blindness)
        assert "web1_0" not in stage.admin.links()
        index.write_text(text)
        await until(lambda: "web1_0" in stage.admin.links())

    stage.play(scene)


def test_apply_says_when_nothing_can_be_seen(stage: Stage) -> None:
    async def scene(dispatcher: Dispatcher) -> None:
        index = stage.admin.world.path("/etc/zones/index")
        text = index.read_text()
        index.unlink()
        with pytest.raises(CannotObserve, match="index is missing"):
            await dispatcher.settled()
        index.write_text(text)
        await dispatcher.settled()

    stage.play(scene)


def test_a_bug_in_a_look_does_not_end_the_loop(stage: Stage) -> None:
    async def scene(dispatcher: Dispatcher) -> None:
        stage.admin.by_address("web1", "web1_0", "10.1.0.5/24")
        good = dispatcher.declared
        dispatcher.declared = None  # type: ignore[assignment]
        dispatcher.hint(Event("test", "files"))
        await until(lambda: stage.ears.blindness)
        assert "internal error" in stage.ears.blindness[0]
        dispatcher.declare(good)
        await until(lambda: "web1_0" in stage.admin.links())

    stage.play(scene)


def test_zones_that_go_at_once_leave_the_loop_at_rest(stage: Stage) -> None:
    async def scene(dispatcher: Dispatcher) -> None:
        for number in range(5):
            stage.admin.by_address(f"z{number}", f"z{number}_0", f"10.1.0.{number + 5}/24", state="configured")
        await dispatcher.settled()
        for number in range(5):
            stage.admin.delete(f"z{number}")
        dispatcher.hint(Event("test", "files"))
        await until(lambda: stage.admin.links() == ["net0", "dmz0"])
        await dispatcher.settled()
        await asyncio.sleep(0.5)
        before = stage.ears.looks
        await asyncio.sleep(0.3)
        assert stage.ears.looks == before and list(dispatcher.latest) == [subject.network("dmz")]

    stage.play(scene)


def test_a_hint_during_a_failure_is_not_put_off_by_it(stage: Stage) -> None:
    async def scene(dispatcher: Dispatcher) -> None:
        stage.admin.by_address("web1", "web1_0", "10.1.0.5/24")
        stage.admin.world.faults.add(Fault("fail", "dladm create-vnic *", times=4))
        dispatcher.timing = replace(dispatcher.timing, retry_max_s=3600.0)
        for _ in range(5):
            dispatcher.hint(Event("test", "running", zone="web1"))
            count = len(stage.ears.outcomes)
            await until(lambda count=count: len(stage.ears.outcomes) > count)  # type: ignore[misc]
        await until(lambda: "web1_0" in stage.admin.links())

    stage.play(scene)


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_plan_that_was_overtaken_takes_nothing_from_the_new_owner(stage: Stage, when: str) -> None:
    """web1 and its two links go; while the first deletion hangs, web2 takes over the second link."""

    async def scene(dispatcher: Dispatcher) -> None:
        nets = [f"set physical={link}_0; set allowed-address=10.1.0.{last}/24" for link, last in (("a", 5), ("b", 6))]
        stage.admin.zone("web1", *nets)
        await dispatcher.settled()
        slow = stage.engine.applier._commands = Slow(stage.engine.commands, "delete-vnic a_0", 0.5, when)
        stage.admin.delete("web1")
        dispatcher.hint(Event("test", "files"))
        await slow.inside.wait()
        stage.admin.by_address("web2", "b_0", "10.1.0.6/24")
        dispatcher.hint(Event("test", "files"))
        await until(lambda: subject.zone("web2") in dispatcher.latest)
        await asyncio.sleep(0.8)
        await dispatcher.settled()
        assert "b_0" in stage.admin.links() and "a_0" not in stage.admin.links()
        assert [record.name for record in stage.engine.store.of(subject.zone("web2"))] == ["b_0"]

    stage.play(scene)


def test_a_raised_mtu_reaches_the_vnics_at_once(stage: Stage) -> None:
    async def scene(dispatcher: Dispatcher) -> None:
        stage.admin.by_address("web1", "web1_0", "10.1.0.5/24")
        await dispatcher.settled()
        for size in (3000, 1400):
            stage.engine.redeclare({"dmz": {"cidr": "10.1.0.0/24", "mtu": size}})
            dispatcher.declare(stage.engine.declared)
            argv = ("dladm", "show-link", "-p", "-o", "link,mtu")
            wanted = {f"dmz0:{size}", f"web1_0:{size}"}
            await until(lambda wanted=wanted, argv=argv: wanted <= set(stage.admin.do(*argv).split()))  # type: ignore[misc]

    stage.play(scene)


def test_a_listener_that_raises_harms_nobody(stage: Stage) -> None:
    class Broken(Ears):
        def ended(self, outcome: Outcome) -> None:
            raise OSError("no space left on device")

    stage.ears = Broken()

    async def scene(dispatcher: Dispatcher) -> None:
        stage.admin.by_address("web1", "web1_0", "10.1.0.5/24")
        await dispatcher.settled()
        assert "web1_0" in stage.admin.links() and dispatcher.deaf > 0

    stage.play(scene)


def test_a_change_that_only_the_poll_found_is_counted(stage: Stage) -> None:
    async def scene(dispatcher: Dispatcher) -> None:
        stage.admin.by_address("web1", "web1_0", "10.1.0.5/24")
        dispatcher.hint(Event("zone-files", "files"))
        await until(lambda: "web1_0" in stage.admin.links())
        assert stage.ears.unannounced == 0
        stage.admin.by_address("web2", "web2_0", "10.1.0.6/24")
        dispatcher.hint(Event("poll", "poll"))
        await until(lambda: "web2_0" in stage.admin.links())
        assert stage.ears.unannounced == 1

    stage.play(scene)


def test_the_loop_beats_while_it_is_idle(stage: Stage) -> None:
    async def scene(dispatcher: Dispatcher) -> None:
        before = stage.beats
        await until(lambda: stage.beats > before + 3)

    stage.play(scene)


def test_what_never_settles_is_said_and_slowed() -> None:
    backoff = Backoff(retry_max_s=30.0)
    results = [backoff.after(Result.CHANGED) for _ in range(8)]
    assert results[:5] == [(Result.CHANGED, 0.0)] * 5
    assert [each[0] for each in results[5:]] == [Result.UNSETTLED] * 3
    assert [each[1] for each in results[5:]] == [5.0, 10.0, 20.0]
    assert backoff.after(Result.NOOP) == (Result.NOOP, None)
    assert backoff.after(Result.CHANGED) == (Result.CHANGED, 0.0)


def test_who_hears_something_new_does_not_repeat_itself() -> None:
    backoff = Backoff(retry_max_s=30.0)
    for _ in range(20):
        assert [backoff.after(Result.CHANGED) for _ in range(5)] == [(Result.CHANGED, 0.0)] * 5
        backoff.heard()


def test_pauses_double_up_to_the_longest() -> None:
    backoff = Backoff(retry_max_s=3.0)
    assert [backoff.after(Result.FAILED)[1] for _ in range(5)] == [0.5, 1.0, 2.0, 3.0, 3.0]


@pytest.mark.parametrize("seed", range(5))
def test_events_doubled_out_of_order_and_about_nobody_change_nothing_but_the_time(stage: Stage, seed: int) -> None:
    kinds = ["initialized", "ready", "running", "shutting_down", "uninitialized", "echo", "free", ""]
    chance = random.Random(seed)  # noqa: S311 - a script of events, the same each time

    async def scene(dispatcher: Dispatcher) -> None:
        for number in range(6):
            stage.admin.by_address(f"z{number}", f"z{number}_0", f"10.1.0.{number + 5}/24")
        stage.admin.delete("z5")
        words = [(f"z{chance.randrange(9)}", chance.choice(kinds)) for _ in range(60)]
        for name, kind in [*words, *chance.sample(words, 30)]:
            dispatcher.hint(Event("zone-channel", kind, zone=name))
            if chance.random() < 0.3:
                await asyncio.sleep(0.001)
        await dispatcher.settled()
        assert set(stage.admin.links()) == {"net0", "dmz0", *(f"z{number}_0" for number in range(5))}
        assert not [argv for argv in stage.engine.commands.changes if argv[0] == "zoneadm"], (
            "nobody is booted by rumour"
        )

    stage.play(scene)
