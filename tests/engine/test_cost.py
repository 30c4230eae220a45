"""Commands are the cost: reads do not depend on the number of zones, changes are only what differs."""

from __future__ import annotations

from pathlib import Path

import pytest
from fixtures import Admin
from lab.dispatch import paper_world
from lab.world import Dialect
from paper import Engine

from zonehookd.model import subject

READS_MAX = 3  # zoneadm list, show-link, show-vnic
READS_FIRST_MAX = 5  # and, while an etherstub is to be made, the addresses and static routes of the host


def host(root: Path, zones: int, dialect: Dialect) -> tuple[Admin, Engine]:
    (root / "host").mkdir(parents=True)
    admin = Admin(paper_world(str(root / "host"), dialect))
    for number in range(zones):
        address = f"10.{1 + number // 60000}.{number // 250 % 250}.{number % 250 + 2}/8"
        admin.by_address(f"z{number}", f"z{number}_0", address, state="configured")
    return admin, Engine(admin.world, root / "state.db", {"all": {"cidr": "10.0.0.0/8"}})


@pytest.mark.parametrize("dialect", list(Dialect), ids=lambda dialect: dialect.value)
@pytest.mark.parametrize("zones", [10, 100, 1000])
def test_reads_are_constant_and_changes_are_what_differs(tmp_path: Path, zones: int, dialect: Dialect) -> None:
    admin, ours = host(tmp_path, zones, dialect)
    ours.look()
    assert len(ours.commands.looks) <= READS_FIRST_MAX
    assert len(ours.commands.changes) == zones + 2, "one create-vnic a zone, the etherstub, its MTU"
    ours.commands.looks.clear()
    ours.commands.changes.clear()
    ours.look()
    assert len(ours.commands.looks) <= READS_MAX and ours.commands.changes == [], "a second look changes nothing"
    admin.do("dladm", "delete-vnic", "z7_0")
    ours.look()
    assert [argv[:2] for argv in ours.commands.changes] == [("dladm", "create-vnic")], "one is missing, one is made"


@pytest.mark.parametrize("zones", [10, 100, 1000])
def test_one_zone_among_many_is_asked_for_by_name(tmp_path: Path, zones: int) -> None:
    _, ours = host(tmp_path, zones, Dialect.VANILLA)
    ours.converge()
    ours.commands.looks.clear()
    assert ours.plan([subject.zone("z3"), subject.network("all")])
    assert len(ours.commands.looks) == 4
    assert ("dladm", "show-vnic", "-p", "-o", "link,over,macaddress,vid", "z3_0") in ours.commands.looks


@pytest.mark.parametrize("zones", [10, 100, 1000])
def test_clearing_away_reads_no_more_either(tmp_path: Path, zones: int) -> None:
    admin, ours = host(tmp_path, zones, Dialect.VANILLA)
    ours.converge()
    for number in range(zones):
        admin.do("zonecfg", "-z", f"z{number}", "delete", "-F")
    ours.commands.looks.clear()
    ours.commands.changes.clear()
    ours.look()  # missing once: believed the second time
    ours.look()
    assert len(ours.commands.looks) <= 2 * READS_MAX + 1, "and one walk over the zones of the links that are to go"
    assert sorted({argv[1] for argv in ours.commands.changes}) == ["delete-vnic"]
    assert len(ours.commands.changes) == zones
