"""Killed before and after every command while a deleted gateway zone is restored: the next start goes on."""

from __future__ import annotations

from pathlib import Path

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

from zonehookd.model import subject
from zonehookd.model.record import KEPT, RESTORE, Record

EDGES = {"edge": {**EDGE, "forward": [{"port": 8080, "to": "web1", "to_port": 80}]}}


class Story:
    """A gateway zone with two networks and a member behind it is destroyed as zap would, its links with it."""

    def __init__(self, root: Path, dialect: Dialect) -> None:
        (root / "host").mkdir(parents=True)
        self.root = root
        self.admin = Admin(paper_world(str(root / "host"), dialect))
        member(self.admin, "edge")
        member(self.admin, "web1", "web")
        self.admin.do("zonecfg", "-z", "edge", 'set bootargs="-m verbose"')
        self.ours = self.start()
        settle(self.ours)
        for name in ("edge", "web1"):
            self.admin.do("zoneadm", "-z", name, "boot")
        settle(self.ours)
        self.before = self.state()
        self.admin.do("zoneadm", "-z", "edge", "halt")
        self.admin.do("zonecfg", "-z", "edge", "delete", "-F")
        for link in ("edge_wan0", "edge_web0", "edge_db0"):
            self.admin.do("dladm", "delete-vnic", link)
        settle(self.ours)

    def start(self) -> Engine:
        """A new process: nothing is left of the old one but the books and the host."""
        networks: dict[str, object] = {"wan": WAN, "web": WEB, "db": DB}
        return Engine(self.admin.world, self.root / "state.db", networks, gateway=EDGES)

    def state(self) -> dict[str, object]:
        admin = self.admin
        vnics = admin.do("dladm", "show-vnic", "-p", "-o", "link,over,macaddress,vid")
        return {
            "zone": admin.do("zoneadm", "-z", "edge", "list", "-p").split(":")[2],
            "nets": nets(admin, "edge"),
            "properties": [line for line in admin.do("zonecfg", "-z", "edge", "export").splitlines() if "=" in line],
            "links": sorted(vnics.split()),
            "addresses": addresses(admin, "edge"),
            "routes": (defaults(admin, "edge"), persistent(admin, "edge")),
            "forwards": forwarding(admin, "edge"),
            "rules": rules(admin),
            "file": conf(admin.world).read_text(),
        }

    def restore(self, die_at: tuple[int, str] | None) -> int:
        """How many changing commands it took, when nobody died."""
        self.ours.store.remember(Record(RESTORE, "edge", subject.gateway("edge"), "keeper", {"why": "the test"}))
        began = len(self.ours.commands.changes)
        if die_at is None:
            settle(self.ours)
            return len(self.ours.commands.changes) - began
        self.ours.commands.die_at = (die_at[0] + began, die_at[1])
        with pytest.raises(Died):
            settle(self.ours)
        self.ours.store._database.interrupt()  # no orderly close: the process is gone
        self.ours = self.start()
        settle(self.ours)
        return 0

    def over(self) -> None:
        assert self.state() == self.before
        assert self.ours.store.one(RESTORE, "edge") is None
        kept = self.ours.store.one(KEPT, "edge")
        assert kept is not None and kept.facts["active"] == "yes"
        assert kept.facts["xml"] == self.admin.world.path("/etc/zones/edge.xml").read_text()


def boundaries() -> int:
    """How many changing commands a restoration takes; each is a boundary twice over."""
    return 9


@pytest.mark.parametrize("dialect", list(Dialect), ids=lambda dialect: dialect.value)
def test_undisturbed(tmp_path: Path, dialect: Dialect) -> None:
    story = Story(tmp_path, dialect)
    assert story.restore(None) == boundaries(), "the story changed: let this test cover every boundary of it"
    story.over()


@pytest.mark.parametrize("dialect", list(Dialect), ids=lambda dialect: dialect.value)
@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("number", range(1, boundaries() + 1))
def test_killed(tmp_path: Path, dialect: Dialect, number: int, moment: str) -> None:
    story = Story(tmp_path, dialect)
    story.restore((number, moment))
    story.over()
