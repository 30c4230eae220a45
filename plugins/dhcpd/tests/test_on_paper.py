"""The plugin in the engine on the paper floor, with the real dhcpd's own test; and killed after each of its steps."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from fixtures import Admin
from lab.dispatch import paper_world
from lab.world import Dialect
from paper import Died, Engine

from zonehookd.config import STANDARD
from zonehookd.engine.reconciler import PlannedStep
from zonehookd.host.process import Finished
from zonehookd.model.command import Change, Query, Reply, Verdict
from zonehookd.model.plan import describe
from zonehookd.model.subject import Subject
from zonehookd.plugin.served import steps

FMRI = "svc:/network/service/dhcp:ipv4"
NETWORKS: dict[str, object] = {"dmz": {"cidr": "10.1.0.0/24", "via": "global"}}
GATEWAYS: dict[str, object] = {"global": {"dhcp": "dhcpd"}}
FOREIGN = "# not ours\nddns-update-style none;"


class Story:
    """A host whose admin has a dhcpd.conf, and the engine with this plugin. `done`: its steps so far."""

    def __init__(self, root: Path) -> None:
        (root / "host").mkdir(parents=True)
        self.root = root
        self.world = paper_world(str(root / "host"), Dialect.OMNIOS)
        self.admin = Admin(self.world)
        self.main = Path(self.world.path("/etc/dhcpd.conf"))
        self.folder = Path(self.world.path("/etc/dhcpd.d"))
        self.main.write_text(FOREIGN)
        self.done: list[str] = []
        self.die_after = 0
        self.engine = self.start(NETWORKS, GATEWAYS)

    def start(self, networks: dict[str, object], gateways: dict[str, object]) -> Engine:
        """A new process: only the books and the host are left of the old one."""
        self.declared = networks, gateways
        binary = shutil.which("dhcpd", path="/usr/sbin:/sbin:/usr/bin")
        assert binary is not None, "isc-dhcp-server is missing: tests/setup.sh"
        options = {
            "binary": binary, "main": str(self.main), "folder": str(self.folder), "method": "restart", "pace_s": 0,
            "leases": str(self.world.path("/var/db/dhcpd.leases")),
        }  # fmt: skip
        plugins = {"enabled": [each for each in STANDARD if each != "dnsmasq"], "options": {"dhcpd": options}}
        engine = Engine(self.world, self.root / "state.db", networks, gateway=gateways, plugins=plugins)
        carry_out = engine.applier._carry_out

        async def dying(planned: PlannedStep, subject: Subject) -> tuple[Verdict | None, str]:
            result = await carry_out(planned, subject)
            if planned.plugin == "dhcpd":
                self.done.append(describe(planned.step))
                if len(self.done) == self.die_after:
                    raise Died
            return result

        engine.applier._carry_out = dying  # type: ignore[method-assign]
        on_paper = engine.commands.run

        async def run(asked: Query[Any] | Change, *, why: str, subject: Subject | None) -> Finished:
            """The real dhcpd tests our files where they really lie; all else is the lab's."""
            if asked.argv[0] != binary:
                return await on_paper(asked, why=why, subject=subject)
            done = subprocess.run(asked.argv, capture_output=True, text=True, timeout=60)
            return Finished(Reply(done.returncode, done.stdout, done.stderr), 0.0)

        engine.commands.run = run  # type: ignore[method-assign, assignment]
        return engine

    def settle(self) -> None:
        """Until nobody has anything to do or waits; started anew when killed."""
        deadline = time.monotonic() + 60
        while True:
            try:
                looked = self.engine.look()
            except Died:
                self.engine.store._database.interrupt()
                self.engine = self.start(*self.declared)
                continue
            plans = self.engine.plan()
            busy = [describe(each.step) for plan in plans for each in plan.steps]
            busy += [note.text for plan in plans for note in plan.notes if note.kind == "waiting"]
            busy += [each.error for each in looked.values() if each.error]
            if not busy:
                return
            assert time.monotonic() < deadline, busy
            time.sleep(0.02)

    def redeclare(self, networks: dict[str, object], gateways: dict[str, object]) -> None:
        self.declared = networks, gateways
        self.engine.redeclare(networks, gateways)

    def zone(self, name: str) -> None:
        self.admin.zone(name, f"set physical={name}_0",
                        extra="add attr; set name=zh.net0; set type=string; set value=dmz; end")  # fmt: skip

    def state(self) -> list[str]:
        """All that the plugin has a hand in."""
        files = [self.main, *sorted(self.folder.glob("*"))]
        texts = [f"{path.name}: {path.read_text()}" for path in files if path.exists()]
        listens = self.admin.do("svcprop", "-c", "-p", "config/listen_ifnames", FMRI).strip()
        return [*texts, listens, self.admin.do("svcs", "-H", "-o", "state", FMRI).strip()]

    def run(self) -> list[list[str]]:
        states = [self.state()]
        self.zone("web1")
        self.settle()
        states.append(self.state())
        self.zone("web2")
        self.settle()
        states.append(self.state())
        self.admin.delete("web1")
        self.settle()
        states.append(self.state())
        self.redeclare({"dmz": {"cidr": "10.1.0.0/24"}}, {})
        self.settle()
        states.append(self.state())
        assert not [each for each in self.engine.store.all() if each.plugin == "dhcpd"]
        return states


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "SETTLE_S", 0.3)  # how long an svcadm may take to show, on a machine that is not busy


STEPS = 43  # of the undisturbed story


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Story, list[list[str]]]:
    story = Story(tmp_path_factory.mktemp("undisturbed"))
    return story, story.run()


Told = tuple[Story, list[list[str]]]


def test_the_story(undisturbed: Told) -> None:
    story, (before, one, two, less, after) = undisturbed
    assert after == before
    assert before[0] == f"dhcpd.conf: {FOREIGN}" and before[-1] == "disabled"
    assert one[-1] == two[-1] == less[-1] == "online"
    assert "fixed-address 10.1.0.2" in one[1] and "web2_0" not in one[1]
    assert "web1_0" in two[1] and "web2_0" in two[1] and "web1_0" not in less[1]
    assert (before[-2], one[-2], after[-2]) == ("", "global_dmz0", "")
    assert one[0].startswith(f"dhcpd.conf: {FOREIGN}\n# BEGIN zonehookd dhcpd\n")
    assert len([each for each in story.done if each.startswith("svcadm restart")]) == 2, "one for each change"
    assert len(story.done) <= STEPS, "the story changed: let the test below cover every step of it"


@pytest.mark.parametrize("number", range(1, STEPS + 1))
def test_killed_after_each_step(undisturbed: Told, tmp_path: Path, number: int) -> None:
    story, (calm, expected) = Story(tmp_path), undisturbed
    story.die_after = number
    assert plain(story, story.run()) == plain(calm, expected)


def plain(story: Story, states: list[list[str]]) -> list[list[str]]:
    """Without the place where the host lies."""
    return [[line.replace(str(story.root), "") for line in state] for state in states]
