"""Killed between any two commands, before or after each: the next start finishes, and nothing foreign was touched."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from fixtures import Admin
from lab.dispatch import paper_world
from lab.world import Dialect
from paper import Died, Engine

DMZ = {"dmz": {"cidr": "10.1.0.0/24"}}


class Story:
    """Build two zones' wiring, move one to another stub, clear everything away; foreign things stand by."""

    def __init__(self, root: Path, dialect: Dialect) -> None:
        (root / "host").mkdir(parents=True)
        self.root = root
        self.admin = Admin(paper_world(str(root / "host"), dialect))
        self.admin.do("dladm", "create-etherstub", "dmz1")
        self.admin.do("dladm", "create-vnic", "-l", "dmz1", "web1_00x1")
        self.admin.do("ipadm", "create-addr", "-T", "static", "-a", "10.9.0.1/24", "net0/v4")
        self.foreign = self.state()
        self.ours = self.start(DMZ)
        self.changes = self.died = 0

    def start(self, networks: dict[str, object]) -> Engine:
        """A new process: nothing is left of the old one but the books and the host."""
        self.networks = networks
        return Engine(self.admin.world, self.root / "state.db", networks)

    def state(self) -> str:
        links = self.admin.do("dladm", "show-link", "-p", "-o", "link,class,mtu,over")
        return links + self.admin.do("ipadm", "show-addr", "-p", "-o", "addrobj,addr")

    def link_row(self, name: str) -> str:
        return f"{name}:vnic:1500:dmz0\n"

    def settle(self, die_at: tuple[int, str] | None) -> None:
        """Converge; if told to die on the way, start anew and converge then."""
        base = len(self.ours.commands.changes)
        if die_at is not None:
            self.ours.commands.die_at = (die_at[0] - self.changes + base, die_at[1])
        try:
            self.ours.converge()
        except Died:
            self.died += 1
            self.changes += len(self.ours.commands.changes) - base
            self.ours.store._database.interrupt()  # no orderly close: the process is gone
            self.ours = self.start(self.networks)
            base = 0
            self.ours.converge()
        self.changes += len(self.ours.commands.changes) - base

    def run(self, die_at: tuple[int, str] | None) -> list[str]:
        states = []
        self.admin.by_address("web1", "web1_0", "10.1.0.5/24")
        self.admin.by_address("web2", "web2_0", "10.1.0.6/24")
        self.settle(die_at)
        states.append(self.state())
        self.ours.redeclare({"dmz": {"cidr": "10.1.0.0/24", "etherstub": "other0"}})
        self.networks = {"dmz": {"cidr": "10.1.0.0/24", "etherstub": "other0"}}
        self.settle(die_at)
        states.append(self.state())
        self.admin.delete("web1")
        self.settle(die_at)
        states.append(self.state())
        self.admin.delete("web2")
        self.ours.redeclare({})
        self.networks = {}
        self.settle(die_at)
        states.append(self.state())
        assert list(self.ours.store.all()) == []
        return states


def boundaries() -> int:
    """How many changing commands the undisturbed story has; each is a boundary twice over."""
    return 14


@pytest.fixture(scope="module", params=list(Dialect), ids=lambda dialect: dialect.value)
def undisturbed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Dialect, list[str], int]:
    story = Story(tmp_path_factory.mktemp("undisturbed"), request.param)
    states = story.run(None)
    assert states[-1] == story.foreign, "nothing is left over, nothing foreign was touched"
    return request.param, states, story.changes


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("number", range(1, boundaries() + 1))
def test_killed_at_each_command(
    undisturbed: tuple[Dialect, list[str], int], tmp_path: Path, number: int, moment: str
) -> None:
    dialect, states, changes = undisturbed
    assert changes == boundaries(), "the story changed: let this test cover every boundary of it"
    story = Story(tmp_path, dialect)
    assert story.run((number, moment)) == states
    assert story.died == 1
    assert states[-1] == story.foreign


def test_killed_twice_in_a_row(undisturbed: tuple[Dialect, list[str], int], tmp_path: Path) -> None:
    dialect, states, _ = undisturbed
    for number, moment in itertools.product((1, 2), ("before", "after")):
        story = Story(tmp_path / f"{number}{moment}", dialect)
        story.ours.commands.die_at = (number, moment)
        story.admin.by_address("web1", "web1_0", "10.1.0.5/24")
        with pytest.raises(Died):
            story.ours.converge()
        story.ours = story.start(DMZ)
        story.ours.commands.die_at = (1, "before")
        with pytest.raises(Died):
            story.ours.converge()
        story.ours = story.start(DMZ)
        story.ours.converge()
        assert story.state() == states[0].replace(story.link_row("web2_0"), "")
