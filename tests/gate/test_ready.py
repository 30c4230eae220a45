"""A boot that asks: answered at once when its links are there, else after they are made, and in time always."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Literal

import pytest
from fixtures import Admin
from lab.dispatch import paper_world
from lab.faults import Fault
from lab.world import Dialect
from paper import Engine, PaperCommands

from zonehookd.engine.dispatcher import Dispatcher
from zonehookd.engine.look import Look
from zonehookd.engine.timing import Timing
from zonehookd.errors import CommandTimedOut
from zonehookd.gate import ready as waiting
from zonehookd.gate.ready import Ready
from zonehookd.gate.server import Word
from zonehookd.host.process import Finished
from zonehookd.model import subject
from zonehookd.model.event import Event
from zonehookd.model.record import RESTORE, Record
from zonehookd.model.subject import Subject

NETWORKS: dict[str, object] = {"dmz": {"cidr": "10.1.0.0/24"}, "back": {"cidr": "10.2.0.0/24"}}
OWN_S, LONG_S = waiting._PATIENCE_S, 30.0  # its patience, and one that no slow machine comes to the end of
Scene = Callable[[Dispatcher, Ready], Awaitable[None]]


class Commands:
    """The paper host's, with a hook: what happens before a command runs. Counts what was asked."""

    def __init__(self, inner: PaperCommands) -> None:
        self.inner = inner
        self.ran: list[str] = []
        self.before: Callable[[str], Awaitable[None]] | None = None

    async def run(self, query_or_change: Any, *, why: str, subject: Subject | None) -> Finished:
        line = " ".join(query_or_change.argv)
        self.ran.append(line)
        await asyncio.sleep(0)
        if self.before is not None:
            await self.before(line)
        return await self.inner.run(query_or_change, why=why, subject=subject)


class Stage:
    def __init__(self, root: Path, dialect: Dialect, **options: object) -> None:
        (root / "host").mkdir()
        self.admin = Admin(paper_world(str(root / "host"), dialect))
        self.engine = Engine(self.admin.world, root / "state.db", NETWORKS, **options)
        self.commands = Commands(self.engine.commands)
        self.engine.applier._commands = self.commands
        self.policy: Literal["allow", "deny"] = "allow"

    def look(self) -> Look:
        return Look(self.commands, self.engine.files, self.engine.store, self.engine.dialect, "paper")

    def play(self, scene: Scene, patience_s: float = LONG_S) -> None:
        async def run() -> None:
            ours = self.engine
            timing = Timing(full_look_s=3600, pace_s=0.001, retry_max_s=0.2, heartbeat_s=0.05)
            dispatcher = Dispatcher(
                self.look, ours.store, ours.survey, ours.reconciler, ours.applier, timing, [], lambda: None
            )
            dispatcher.declare(ours.declared)
            loop = asyncio.create_task(dispatcher.run())
            async with asyncio.timeout(60):
                await dispatcher.settled()
                self.commands.ran.clear()
                await scene(dispatcher, Ready(dispatcher, self.look, lambda: self.policy))
                self.commands.before = None
                dispatcher.stop()
                await loop

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(waiting, "_PATIENCE_S", patience_s)
            asyncio.run(run())

    def breaks(self, kind: str, pattern: str, **how: Any) -> None:
        self.admin.world.faults.add(Fault(kind, pattern, **how))


@pytest.fixture(params=[Dialect.VANILLA, Dialect.OMNIOS], ids=lambda dialect: dialect.value)
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Stage:
    return Stage(tmp_path, request.param)


async def timed(asking: Awaitable[Word]) -> tuple[Word, float]:
    began = time.monotonic()
    return await asking, time.monotonic() - began


def test_configured_and_booted_in_the_same_breath(stage: Stage) -> None:
    async def scene(dispatcher: Dispatcher, ready: Ready) -> None:
        for number in range(20):
            name = f"z{number}"
            stage.admin.by_address(name, f"{name}_0", f"10.1.0.{number + 5}/24")
            assert await ready.before_ready(name) == Word(True, "made")
            assert f"{name}_0" in stage.admin.links()

    stage.play(scene)


def test_many_that_come_together(stage: Stage) -> None:
    async def scene(dispatcher: Dispatcher, ready: Ready) -> None:
        names = [f"z{number}" for number in range(40)]
        for number, name in enumerate(names):
            stage.admin.by_address(name, f"{name}_0", f"10.1.0.{number + 5}/24")
        began = time.monotonic()
        words = await asyncio.gather(*(ready.before_ready(name) for name in names))
        more = (time.monotonic() - began) / 0.25  # while some are at work, so often is looked at those that are done
        assert words == [Word(True, "made")] * len(names)
        assert {f"{name}_0" for name in names} <= set(stage.admin.links())
        assert len([line for line in stage.commands.ran if line.startswith("zoneadm list")]) <= 4 + more, "few looks"

    stage.play(scene)


def test_a_zone_that_is_well_waits_for_one_command(stage: Stage) -> None:
    stage.admin.by_address("web1", "web1_0", "10.1.0.5/24")

    async def scene(dispatcher: Dispatcher, ready: Ready) -> None:
        word = await ready.before_ready("web1")
        assert word == Word(True, "ready")
        assert [line.split(" -p ")[0] for line in stage.commands.ran] == ["dladm show-vnic"]

    stage.play(scene)


def test_a_zone_without_networks_of_ours_waits_for_none(stage: Stage) -> None:
    stage.admin.zone("alone")

    async def scene(dispatcher: Dispatcher, ready: Ready) -> None:
        assert await ready.before_ready("alone") == Word(True, "not-attached")
        assert stage.commands.ran == []
        stage.admin.zone("fresh")  # whether it is attached is known only once it was seen
        assert await ready.before_ready("fresh") == Word(True, "not-attached")
        assert stage.commands.ran != []

    stage.play(scene)


def test_a_configuration_of_a_moment_ago_counts(stage: Stage) -> None:
    """The survey knew the zone, and its link is there: but it has one more by now."""
    stage.admin.by_address("web1", "web1_0", "10.1.0.5/24")

    async def scene(dispatcher: Dispatcher, ready: Ready) -> None:
        script = "add net; set physical=web1_1; set allowed-address=10.2.0.5/24; end"
        stage.admin.do("zonecfg", "-z", "web1", script)
        assert await ready.before_ready("web1") == Word(True, "made")
        assert "web1_1" in stage.admin.links()

    stage.play(scene)


def test_a_link_that_somebody_deleted_is_back_before_the_boot(stage: Stage) -> None:
    stage.admin.by_address("web1", "web1_0", "10.1.0.5/24")

    async def scene(dispatcher: Dispatcher, ready: Ready) -> None:
        before = stage.admin.vnic("web1_0")
        stage.admin.do("dladm", "delete-vnic", "web1_0")
        assert await ready.before_ready("web1") == Word(True, "made")
        assert stage.admin.vnic("web1_0") == before

    stage.play(scene)


def test_a_network_that_changed_over_a_reboot(stage: Stage) -> None:
    """The zone is between its two halves, so its links are at home: now or never."""
    stage.admin.by_address("web1", "web1_0", "10.1.0.5/24")

    async def scene(dispatcher: Dispatcher, ready: Ready) -> None:
        script = "select net physical=web1_0; set allowed-address=10.2.0.5/24; end"
        stage.admin.do("zonecfg", "-z", "web1", script)
        for kind in ("shutting_down", "uninitialized"):
            dispatcher.hint(Event("zone-channel", kind, zone="web1"))
        assert await ready.before_ready("web1") == Word(True, "made")
        assert stage.admin.vnic("web1_0").startswith("back0:")

    stage.play(scene)


@pytest.mark.parametrize("policy", ["allow", "deny"])
def test_a_link_that_cannot_be_made_is_a_matter_of_policy(stage: Stage, policy: Literal["allow", "deny"]) -> None:
    stage.policy = policy
    stage.breaks("fail", "dladm create-vnic *", status="permission denied", times=1000)

    async def scene(dispatcher: Dispatcher, ready: Ready) -> None:
        stage.admin.by_address("web1", "web1_0", "10.1.0.5/24")
        word, seconds = await timed(ready.before_ready("web1"))
        assert word.allowed is (policy == "allow") and word.code == "links-missing"
        assert "web1_0 on network dmz is not there" in word.lines[0] and "permission denied" in word.lines[0]
        assert seconds < LONG_S / 2, "nothing will come of waiting"
        if policy == "deny":
            assert word.lines[0].startswith("zonehookd: boot of zone web1 is refused")
            assert "zonehookctl explain web1" in word.lines[1]

    stage.play(scene)


def test_an_uplink_that_is_not_there_is_not_waited_for(tmp_path: Path) -> None:
    stage = Stage(tmp_path, Dialect.VANILLA)
    stage.engine.redeclare({"far": {"cidr": "10.9.0.0/24", "uplink": "net9"}})

    async def scene(dispatcher: Dispatcher, ready: Ready) -> None:
        stage.admin.by_address("web1", "web1_0", "10.9.0.5/24")
        word, seconds = await timed(ready.before_ready("web1"))
        assert word.code == "links-missing" and "net9" in word.lines[0] and seconds < 4.0

    stage.play(scene, 4.5)  # less than until somebody looks again whether there is one by now


def test_a_link_that_is_busy_for_a_moment_is_waited_for(stage: Stage) -> None:
    stage.breaks("busy", "dladm create-vnic *", times=3)

    async def scene(dispatcher: Dispatcher, ready: Ready) -> None:
        stage.admin.by_address("web1", "web1_0", "10.1.0.5/24")
        assert await ready.before_ready("web1") == Word(True, "made")

    stage.play(scene)


def test_a_host_that_hangs_costs_less_than_the_gate_waits(stage: Stage) -> None:
    async def scene(dispatcher: Dispatcher, ready: Ready) -> None:
        goes_on = asyncio.Event()

        async def hang(line: str) -> None:
            if line.startswith("dladm create-vnic"):
                await goes_on.wait()

        stage.commands.before = hang
        stage.admin.by_address("web1", "web1_0", "10.1.0.5/24")
        word, seconds = await timed(ready.before_ready("web1"))
        goes_on.set()
        assert (word.allowed, word.code) == (True, "late") and OWN_S - 0.1 < seconds < LONG_S
        assert word.lines == ("zonehookd: zone web1 boots as it is: it was not looked after in time",)

    assert OWN_S < 2.0
    stage.play(scene, OWN_S)


def test_a_host_that_cannot_be_seen(stage: Stage) -> None:
    stage.policy = "deny"

    async def scene(dispatcher: Dispatcher, ready: Ready) -> None:
        stage.admin.by_address("web1", "web1_0", "10.1.0.5/24")

        async def refuse(line: str) -> None:
            if line.startswith("zoneadm list"):
                raise CommandTimedOut(("zoneadm", "list"), "did not finish")

        stage.commands.before = refuse
        word, seconds = await timed(ready.before_ready("web1"))
        assert not word.allowed and word.code == "cannot-look" and seconds < LONG_S / 2

    stage.play(scene)


def test_a_zone_whose_configuration_cannot_be_read(stage: Stage) -> None:
    stage.admin.by_address("web1", "web1_0", "10.1.0.5/24")

    async def scene(dispatcher: Dispatcher, ready: Ready) -> None:
        stage.admin.world.path("/etc/zones/web1.xml").write_text("<zone")
        word, seconds = await timed(ready.before_ready("web1"))
        assert word.code == "unreadable" and "not well-formed" in word.lines[0] and seconds < LONG_S / 2

    stage.play(scene)


def test_a_zone_that_nobody_knows(stage: Stage) -> None:
    async def scene(dispatcher: Dispatcher, ready: Ready) -> None:
        word, seconds = await timed(ready.before_ready("nobody"))
        assert word.code == "late" and seconds < LONG_S

    stage.play(scene, OWN_S)


def test_what_is_refused_is_said_and_holds_up_nobody(stage: Stage) -> None:
    stage.policy = "deny"
    stage.admin.by_address("web1", "web1_0", "10.1.0.5/24")
    stage.admin.by_address("web2", "web2_0", "10.1.0.5/24")

    async def scene(dispatcher: Dispatcher, ready: Ready) -> None:
        word = await ready.before_ready("web2")
        assert (word.allowed, word.code) == (True, "made"), word
        assert "10.1.0.5 on network dmz belongs to zone web1" in word.lines[0]

    stage.play(scene)


def test_our_own_second_boot_does_not_wait_for_itself(stage: Stage) -> None:
    """Its gate asks while its step runs (zones sheet 5.5): who waited for the step would wait for the limit."""
    answers: list[Word] = []

    async def scene(dispatcher: Dispatcher, ready: Ready) -> None:
        async def gate(line: str) -> None:
            if line == "zoneadm -z web1 boot":
                answers.append(await ready.before_ready("web1"))

        stage.commands.before = gate
        stage.admin.by_address("web1", "web1_0", "10.1.0.5/24")
        for kind in ("initialized", "ready", "shutting_down", "uninitialized"):  # a boot without the gate, that failed
            dispatcher.hint(Event("zone-channel", kind, zone="web1"))
        while not answers:
            await asyncio.sleep(0.01)
        while dispatcher.latest[subject.zone("web1")].result.value != "noop":
            await asyncio.sleep(0.01)
        stage.commands.before = None

    stage.play(scene)
    assert len(answers) == 1 and answers[0].allowed and answers[0].code != "late", answers
    assert "running" in stage.admin.do("zoneadm", "-z", "web1", "list", "-p")


def test_a_boot_that_asks_is_not_followed_by_one_of_ours(stage: Stage) -> None:
    async def scene(dispatcher: Dispatcher, ready: Ready) -> None:
        stage.breaks("busy", "dladm create-vnic *", times=2)
        stage.admin.by_address("web1", "web1_0", "10.1.0.5/24")
        for kind in ("initialized", "uninitialized"):  # the admin's first try, before the brand had the gate
            dispatcher.hint(Event("zone-channel", kind, zone="web1"))
        assert (await ready.before_ready("web1")).code == "made"  # and his second
        await dispatcher.settled()
        assert "zoneadm -z web1 boot" not in stage.commands.ran

    stage.play(scene)


def test_a_link_the_brand_makes_on_demand_needs_only_what_is_below_it(tmp_path: Path) -> None:
    stage = Stage(tmp_path, Dialect.OMNIOS)
    stage.admin.zone("web1", "set physical=web1_0; set global-nic=dmz0; set allowed-address=10.1.0.5/24")

    async def scene(dispatcher: Dispatcher, ready: Ready) -> None:
        assert await ready.before_ready("web1") == Word(True, "ready")
        assert "web1_0" not in stage.admin.links()

    stage.play(scene)


def test_a_gateway_has_all_its_sides_before_it_boots(stage: Stage, tmp_path: Path) -> None:
    networks = {
        "wan": {"cidr": "192.0.2.0/24", "uplink": "net0"},
        "web": {"cidr": "10.9.0.0/24", "via": "edge"},
    }
    stage.engine.redeclare(networks, {"edge": {"outside": "wan", "address": "192.0.2.10"}})

    async def scene(dispatcher: Dispatcher, ready: Ready) -> None:
        stage.admin.zone("edge")
        word = await ready.before_ready("edge")
        assert (word.allowed, word.code) == (True, "made"), word
        named = [line.split()[1] for line in stage.admin.do("zonecfg", "-z", "edge", "info", "net").splitlines()
                 if "physical:" in line]  # fmt: skip
        assert len(named) == 2 and set(named) <= set(stage.admin.links())

    stage.play(scene)


def test_a_gateway_that_was_had_back_is_waited_for_at_its_next_boot(stage: Stage) -> None:
    networks = {"wan": {"cidr": "192.0.2.0/24", "uplink": "net0"}, "web": {"cidr": "10.9.0.0/24", "via": "edge"}}
    edge = {"outside": "wan", "address": "192.0.2.10", "dhcp": "none", "dns": "none"}
    stage.engine.redeclare(networks, {"edge": edge})
    ours: list[bool] = []

    async def scene(dispatcher: Dispatcher, ready: Ready) -> None:
        async def gate(line: str) -> None:
            if line == "zoneadm -z edge boot":
                ours.append(dispatcher.boots("edge"))

        stage.admin.zone("edge")
        stage.admin.by_address("web1", "web1_0", "10.9.0.5/24")
        await dispatcher.settled()
        stage.admin.do("zoneadm", "-z", "edge", "boot")
        await dispatcher.settled()
        stage.admin.do("zoneadm", "-z", "edge", "halt")
        stage.admin.do("zonecfg", "-z", "edge", "delete", "-F")
        stage.engine.store.remember(Record(RESTORE, "edge", subject.gateway("edge"), "keeper", {"why": "asked for"}))
        stage.commands.before = gate
        while stage.engine.store.one(RESTORE, "edge") is not None:
            await dispatcher.settled()
            await asyncio.sleep(0.02)
        stage.commands.before = None
        assert ours == [True] and not dispatcher.boots("edge")

    stage.play(scene)
