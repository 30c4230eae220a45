"""Killed after each of its steps, in a gateway zone: the next start finishes, and nginx has read what lies on disk.

On paper no nginx runs, only its test does. So the story keeps account of what one would have read: everything whenever
its service has a new contract, and at a SIGHUP; and it says so where nginx would.
"""

from __future__ import annotations

import re
import sys
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
from zonehookd.illumos import nginx
from zonehookd.model.command import Reply, Verdict
from zonehookd.model.plan import describe
from zonehookd.model.subject import Subject
from zonehookd.plugin.served import steps

FMRI = "svc:/network/nginx:default"
MAIN = "opt/tribblix/nginx/conf/nginx.conf"
DMZ = {"cidr": "10.1.0.0/24", "via": "edge"}
PROXY = {"program": "nginx", "tcp_ports": ["5400-5499"]}
EDGE: dict[str, object] = {"nat": False, "dhcp": "none", "dns": "none"}
GATEWAYS: dict[str, object] = {"edge": {**EDGE, "proxy": PROXY}}
ENABLED = [each for each in STANDARD if each not in ("haproxy", "dnsmasq", "dhcpd")]
STEPS = 42  # of the undisturbed story


class Story:
    """A gateway zone as Tribblix delivers it. `done`: steps of the plugin; `read`: the digest nginx has read."""

    def __init__(self, root: Path) -> None:
        (root / "host").mkdir(parents=True)
        self.root = root
        self.admin = Admin(paper_world(str(root / "host"), Dialect.VANILLA))
        self.inside = Path(self.admin.world.path("/zones/edge/root"))
        self.done: list[str] = []
        self.die_after = 0
        self.read = ""
        self.contract = ""
        self.networks: dict[str, object] = {"dmz": DMZ}
        self.gateways = GATEWAYS
        self.engine = self.start()
        self.admin.zone("edge")
        for number in (1, 2):
            route = f'add attr; set name=zh.route; set type=string; set value="w{number}.example.org check=no"; end'
            self.admin.by_address(f"web{number}", f"web{number}_0", f"10.1.0.{number + 4}/24", extra=route)
        self.engine.converge(12)
        self.admin.do("zoneadm", "-z", "edge", "boot")
        self.admin.do("zoneadm", "-z", "web1", "boot")

    def start(self) -> Engine:
        """A new process: only the books and the host are left of the old one."""
        plugins = {"enabled": ENABLED, "options": {"nginx": {"pace_s": 0}}}
        engine = Engine(self.admin.world, self.root / "state.db", self.networks, gateway=self.gateways, plugins=plugins)
        plugin = next(each for each in engine.reconciler.plugins if each.name == "nginx")
        sys.modules[type(plugin).__module__].SETTLE_S = 0.3  # type: ignore[attr-defined]
        carry_out, run = engine.applier._carry_out, engine.commands.run

        async def asked(command: Any, **why: Any) -> Finished:
            said = " ".join(command.argv)
            if "/dev/tcp/127.0.0.1" in said:
                self.sample()
                words = f"HTTP/1.1 200 OK\r\n\r\n{self.read}\n" if self.read else "refused\n"
                return Finished(Reply(0, words, ""), 0.0)
            if "pgrep" in said:
                return Finished(Reply(0, "", ""), 0.0)
            if "%Y/%m/%d" in said:
                return Finished(Reply(0, "2026/11/21 21:00:00\n", ""), 0.0)
            return await run(command, **why)

        async def dying(planned: PlannedStep, subject: Subject) -> tuple[Verdict | None, str]:
            if planned.plugin != "nginx":
                return await carry_out(planned, subject)
            self.sample()
            result = await carry_out(planned, subject)
            said = describe(planned.step)
            self.done.append(said)
            if "pkill -HUP -o" in said:
                self.read = self.digest()
            if len(self.done) == self.die_after:
                raise Died
            return result

        engine.commands.run = asked  # type: ignore[method-assign]
        engine.applier._carry_out = dying  # type: ignore[method-assign]
        return engine

    def disk(self) -> dict[str, str]:
        files = [self.inside / MAIN, *sorted(self.inside.glob(f"{Path(MAIN).parent}/*zonehookd*"))]
        files += sorted(self.inside.glob("var/zonehookd/nginx/*"))
        return {path.name: path.read_text() for path in files if path.exists()}

    def digest(self) -> str:
        """What one would say that reads the files now."""
        there = self.disk()
        found = re.search(r'return 200 "([0-9a-f]{16})', there.get("http.conf", ""))
        return found[1] if found and "include /var/zonehookd/nginx/http.conf;" in there.get("nginx.conf", "") else ""

    def sample(self) -> None:
        contract = self.admin.do("svcs", "-z", "edge", "-H", "-o", "ctid", FMRI).strip()
        if contract != self.contract:
            self.contract, self.read = contract, "" if contract == "-" else self.digest()

    def settle(self) -> list[str]:
        """Until nobody has anything to do or waits, started anew when killed. The state then."""
        deadline = time.monotonic() + 60
        while True:
            try:
                looked = self.engine.look()
            except Died:
                self.engine.store._database.interrupt()
                self.engine = self.start()
                continue
            plans = self.engine.plan()
            busy = [describe(each.step) for plan in plans for each in plan.steps]
            busy += [note.text for plan in plans for note in plan.notes if note.kind == "waiting" or note.again_after_s]
            busy += [each.error for each in looked.values() if each.error]
            if not busy:
                break
            assert time.monotonic() < deadline, busy
            time.sleep(0.02)
        self.sample()
        state = self.admin.do("svcs", "-z", "edge", "-H", "-o", "state", FMRI).strip()
        if state == "online":
            assert self.read == self.digest(), "nginx has read what lies there"
        return [*(f"{name}: {text}" for name, text in self.disk().items()), state]

    def run(self) -> list[list[str]]:
        states = [self.settle()]
        self.admin.do("zoneadm", "-z", "web2", "boot")
        states.append(self.settle())
        self.admin.do("zoneadm", "-z", "web1", "halt")
        states.append(self.settle())
        self.gateways = {"edge": EDGE}
        self.engine.redeclare(self.networks, self.gateways)
        states.append(self.settle())
        assert not [each for each in self.engine.store.all() if each.plugin == "nginx"]
        return states


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "SETTLE_S", 0.3)  # how long an svcadm may take to show, on a machine that is not busy


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Story, list[list[str]]]:
    story = Story(tmp_path_factory.mktemp("undisturbed"))
    return story, story.run()


Told = tuple[Story, list[list[str]]]


def test_the_story(undisturbed: Told) -> None:
    story, (one, two, three, after) = undisturbed
    assert one[-1] == two[-1] == three[-1] == "online"
    assert "server 10.1.0.5:80 " in "".join(one) and "server 10.1.0.6:80 " not in "".join(one)
    assert "server 10.1.0.6:80 " in "".join(two)
    assert "server 10.1.0.5:80 " not in "".join(three) and "server_name w1.example.org;" in "".join(three)
    assert len(after) == 2 and "zonehookd" not in after[0] and after[1] == "disabled"
    told = [each for each in story.done if "svcadm" in each or "pkill" in each]
    assert [each.split()[3] if "svcadm" in each else "HUP" for each in told] == ["enable", "HUP", "HUP", "disable"]
    assert len(story.done) == STEPS, "the story changed: let the test below cover every step of it"


@pytest.mark.parametrize("number", range(1, STEPS + 1))
def test_killed_after_each_step(undisturbed: Told, tmp_path: Path, number: int) -> None:
    story = Story(tmp_path)
    story.die_after = number
    assert story.run() == undisturbed[1]


def test_the_scripts_are_what_the_story_takes_them_for() -> None:
    assert "/dev/tcp/127.0.0.1" in nginx._STATUS and "pgrep" in nginx._PROCESSES and "%Y/%m/%d" in nginx._ERRORS
