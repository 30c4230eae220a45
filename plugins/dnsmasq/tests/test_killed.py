"""Killed after each of its steps, in a gateway zone: the next start finishes, and dnsmasq has read what lies on disk.

On paper no dnsmasq runs. So the test keeps account of what one would have read: everything whenever its service has a
new contract, the data files at a SIGHUP.
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from fixtures import Admin
from lab.dispatch import paper_world
from lab.world import Dialect
from paper import Died, Engine

from zonehookd.config import STANDARD
from zonehookd.engine.reconciler import PlannedStep
from zonehookd.model.command import Verdict
from zonehookd.model.plan import describe
from zonehookd.model.subject import Subject
from zonehookd.plugin.served import steps

FMRI = "svc:/network/dnsmasq:default"
FOREIGN = "# the admin's own"
DATA = ("hosts", "reservations")
DMZ = {"cidr": "10.1.0.0/24", "via": "edge"}
ALIAS = {**DMZ, "names": [{"name": "www", "cname": "web1"}]}
GATEWAYS: dict[str, object] = {"edge": {"nat": False, "dhcp": "dnsmasq"}}
STEPS = 32  # of the undisturbed story


class Story:
    """A gateway zone whose admin has a dnsmasq.conf. `done`: steps of the plugin; `read`: what the server has read."""

    def __init__(self, root: Path) -> None:
        (root / "host").mkdir(parents=True)
        self.root = root
        self.admin = Admin(paper_world(str(root / "host"), Dialect.VANILLA))
        self.inside = Path(self.admin.world.path("/zones/edge/root"))
        self.done: list[str] = []
        self.die_after = 0
        self.read: dict[str, str] = {}
        self.contract = ""
        self.networks: dict[str, object] = {"dmz": DMZ}
        self.gateways = GATEWAYS
        self.engine = self.start()
        self.admin.zone("edge")
        for number in (1, 2):
            self.admin.by_address(f"web{number}", f"web{number}_0", f"10.1.0.{number + 4}/24")
        (self.inside / "etc").mkdir(parents=True, exist_ok=True)
        (self.inside / "etc/dnsmasq.conf").write_text(FOREIGN)
        self.engine.converge(12)
        self.admin.do("zoneadm", "-z", "edge", "boot")
        self.admin.do("zoneadm", "-z", "web1", "boot")

    def start(self) -> Engine:
        """A new process: only the books and the host are left of the old one."""
        plugins = {"enabled": list(STANDARD), "options": {"dnsmasq": {"pace_s": 0}}}
        engine = Engine(self.admin.world, self.root / "state.db", self.networks, gateway=self.gateways, plugins=plugins)
        carry_out = engine.applier._carry_out

        async def dying(planned: PlannedStep, subject: Subject) -> tuple[Verdict | None, str]:
            if planned.plugin != "dnsmasq":
                return await carry_out(planned, subject)
            self.sample()
            result = await carry_out(planned, subject)
            said = describe(planned.step)
            self.done.append(said)
            if "pkill -HUP" in said:
                self.read |= {name: text for name, text in self.disk().items() if name in DATA}
            if len(self.done) == self.die_after:
                raise Died
            return result

        engine.applier._carry_out = dying  # type: ignore[method-assign]
        return engine

    def disk(self) -> dict[str, str]:
        files = [self.inside / "etc/dnsmasq.conf", *sorted(self.inside.glob("var/zonehookd/dnsmasq/*"))]
        there = [each for each in files if each.exists() and not each.name.endswith("candidate")]
        return {path.name if "etc" not in path.parts else "main": path.read_text() for path in there}

    def sample(self) -> None:
        contract = self.admin.do("svcs", "-z", "edge", "-H", "-o", "ctid", FMRI).strip()
        if contract not in (self.contract, "-"):
            self.contract, self.read = contract, self.disk()

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
            busy += [note.text for plan in plans for note in plan.notes if note.kind == "waiting"]
            busy += [each.error for each in looked.values() if each.error]
            if not busy:
                break
            assert time.monotonic() < deadline, busy
            time.sleep(0.02)
        self.sample()
        state = self.admin.do("svcs", "-z", "edge", "-H", "-o", "state", FMRI).strip()
        if state == "online":
            assert self.read == self.disk(), "the server has read what lies there"
        return [*(f"{name}: {text}" for name, text in self.disk().items()), state]

    def run(self) -> list[list[str]]:
        states = [self.settle()]
        self.admin.do("zoneadm", "-z", "web2", "boot")
        states.append(self.settle())
        self.networks = {"dmz": ALIAS}
        self.engine.redeclare(self.networks, self.gateways)
        self.admin.do("zoneadm", "-z", "web1", "halt")
        states.append(self.settle())
        self.networks, self.gateways = {"dmz": {"cidr": "10.1.0.0/24"}}, {}
        self.engine.redeclare(self.networks, self.gateways)
        states.append(self.settle())
        assert not [each for each in self.engine.store.all() if each.plugin == "dnsmasq"]
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
    assert "10.1.0.5 web1.dmz web1" in "".join(one) and "web2.dmz" not in "".join(one)
    assert "web2.dmz" in "".join(two) and "cname" not in "".join(two)
    assert "cname=www.dmz" in "".join(three) and "10.1.0.5 web1" not in "".join(three)
    assert after == [f"main: {FOREIGN}", "disabled"]
    told = [each for each in story.done if "svcadm" in each or "pkill" in each]
    assert [each.split()[3] if "svcadm" in each else "HUP" for each in told] == ["enable", "HUP", "restart", "disable"]
    assert len(story.done) == STEPS, "the story changed: let the test below cover every step of it"


@pytest.mark.parametrize("number", range(1, STEPS + 1))
def test_killed_after_each_step(undisturbed: Told, tmp_path: Path, number: int) -> None:
    story = Story(tmp_path)
    story.die_after = number
    assert story.run() == undisturbed[1]
