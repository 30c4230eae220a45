"""Killed between any two commands while a gateway is built, changed and taken down: the next start finishes it.

What a gateway is made of lies in several places: links, zone configurations, two IP stacks, NAT rules, a file, a
service, and our books. A daemon that dies leaves some of it done. Nothing foreign is touched, nothing is left over.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fixtures import Admin
from lab.dispatch import paper_world
from lab.world import Dialect
from paper import Died, Engine
from paper_gateway import (
    DB,
    EDGE,
    WAN,
    WEB,
    addresses,
    conf,
    defaults,
    forwarding,
    member,
    nets,
    persistent,
    rules,
    settle,
)

FORWARD = {"port": 8080, "to": "web1", "to_port": 80}
BUILT = {"wan": WAN, "web": WEB, "db": DB}
FOREIGN_RULE = "map edge_wan0 10.99.0.10/32 -> 0/32;\n"
ACTS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    (BUILT, {"edge": {**EDGE, "forward": [FORWARD]}}),
    ({"wan": WAN, "web": WEB}, {"edge": {**EDGE, "address": "192.0.2.100", "forward": [{**FORWARD, "port": 8081}]}}),
    ({}, {}),
]


class Story:
    """A gateway zone with two networks, NAT, a way in and a member: built, changed, taken down, beside foreign things.

    The gateway runs from the beginning, so that its NICs are lent to it; the member boots when it is wired.
    """

    def __init__(self, root: Path, dialect: Dialect) -> None:
        (root / "host").mkdir(parents=True)
        self.root = root
        self.admin = Admin(paper_world(str(root / "host"), dialect))
        self.admin.do("dladm", "create-vnic", "-l", "net0", "edge_web00x0")
        self.admin.do("ipadm", "create-addr", "-T", "static", "-a", "10.9.0.1/24", "net0/v4")
        member(self.admin, "edge", state="running")
        member(self.admin, "web1", "web")
        file = conf(self.admin.world)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(FOREIGN_RULE)
        self.networks, self.gateways = ACTS[0]
        self.ours = self.start()
        self.changes = self.died = 0

    def start(self) -> Engine:
        """A new process: nothing is left of the old one but the books and the host."""
        return Engine(self.admin.world, self.root / "state.db", self.networks, gateway=self.gateways)

    def state(self) -> dict[str, object]:
        """All that anybody could see of it; what runs, what is configured, what is written down."""
        admin = self.admin
        found: dict[str, object] = {
            "links": sorted(admin.do("dladm", "show-link", "-p", "-o", "link,class,mtu,over").split()),
            "file": conf(admin.world).read_text(),
            "service": admin.do("svcs", "-z", "edge", "-H", "-o", "state", "ipfilter").strip(),
            "rules": rules(admin),
            "host": addresses(admin, "global"),
        }
        for name in ("edge", "web1"):
            if admin.sh("zoneadm", "-z", name, "list").status != 0:
                continue
            found[f"{name} nets"] = nets(admin, name)
            if admin.do("zoneadm", "-z", name, "list", "-p").split(":")[2] == "running":
                found[f"{name} addresses"] = sorted(addresses(admin, name).values())
                found[f"{name} routes"] = (defaults(admin, name), persistent(admin, name))
                found[f"{name} forwards"] = forwarding(admin, name)
        return found

    def settle(self, die_at: tuple[int, str] | None) -> None:
        """Settle; if told to die on the way, start anew and settle then."""
        base = len(self.ours.commands.changes)
        if die_at is not None:
            self.ours.commands.die_at = (die_at[0] - self.changes + base, die_at[1])
        try:
            settle(self.ours)
        except Died:
            self.died += 1
            self.changes += len(self.ours.commands.changes) - base
            self.ours.store._database.interrupt()  # no orderly close: the process is gone
            self.ours = self.start()
            base = 0
            settle(self.ours)
        self.changes += len(self.ours.commands.changes) - base

    def run(self, die_at: tuple[int, str] | None) -> list[dict[str, object]]:
        states = []
        for number, (self.networks, self.gateways) in enumerate(ACTS):
            self.ours.redeclare(self.networks, self.gateways)
            if number == len(ACTS) - 1:
                self.admin.delete("web1")
            self.settle(die_at)
            if number == 0:
                self.admin.do("zoneadm", "-z", "web1", "boot")
                self.settle(die_at)
            states.append(self.state())
        assert list(self.ours.store.all()) == []
        return states


def boundaries() -> int:
    """How many changing commands the undisturbed story has; each is a boundary twice over."""
    return 57


Undisturbed = tuple[Dialect, list[dict[str, object]], int]  # the states after each act, and how many changes


@pytest.fixture(scope="module", params=list(Dialect), ids=lambda dialect: dialect.value)
def undisturbed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    story = Story(tmp_path_factory.mktemp("undisturbed"), request.param)
    before = story.state()
    states = story.run(None)
    left = {key: each for key, each in before.items() if not key.startswith("web1")}
    theirs = ["map edge_wan0 10.99.0.10/32 -> 0.0.0.0/32"]
    assert states[-1] == {**left, "rules": theirs, "service": "online"}, "a filter with a rule of others stays on"
    return request.param, states, story.changes


def killed(undisturbed: Undisturbed, root: Path, number: int, moment: str) -> None:
    dialect, states, changes = undisturbed
    assert changes == boundaries(), "the story changed: let this test cover every boundary of it"
    story = Story(root, dialect)
    assert story.run((number, moment)) == states
    assert story.died == 1


@pytest.mark.parametrize("number", range(1, boundaries() + 1))
class TestBefore:  # two classes, so that they may run side by side
    def test_killed_before_each_command(self, undisturbed: Undisturbed, tmp_path: Path, number: int) -> None:
        killed(undisturbed, tmp_path, number, "before")


@pytest.mark.parametrize("number", range(1, boundaries() + 1))
class TestAfter:
    def test_killed_after_each_command(self, undisturbed: Undisturbed, tmp_path: Path, number: int) -> None:
        killed(undisturbed, tmp_path, number, "after")
