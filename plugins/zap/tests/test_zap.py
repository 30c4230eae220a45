"""What zap destroy-zone is told: a file of ours among its records, while zones are behind a gateway."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from fixtures import Admin, Build
from paper_gateway import DB, EDGE, WAN, WEB, Site, edge_site, member, repairs, said, settle

from zonehookd.importing.zap import from_zap
from zonehookd.model import subject
from zonehookd.model.record import LINKED, PERMIT, Record

RECORDS = "/var/zap/zones"
INNER = {"outside": "web", "dhcp": "none", "dns": "none"}


def folder(admin: Admin) -> Path:
    return admin.world.path(RECORDS)


@pytest.fixture(autouse=True)
def _zap(admin: Admin) -> None:
    folder(admin).mkdir(parents=True)


def told(admin: Admin, gateway: str = "edge") -> list[str] | None:
    """The zones that zap would name, as its destroy-zone finds them; None: it would go on and destroy."""
    found = [
        file for file in folder(admin).glob("zconfig.*") if f"parent_zone: {gateway}" in file.read_text().splitlines()
    ]
    lines = [line for file in found for line in file.read_text().splitlines()]
    return [line.split()[-1] for line in lines if line.startswith("zone:")] if found else None


def test_zap_is_told_who_depends(admin: Admin, engine: Build) -> None:
    found = edge_site(admin, engine)
    assert told(admin) is None and list(folder(admin).iterdir()) == []
    member(admin, "web1", "web")
    member(admin, "db1", "db", state="configured")
    settle(found.ours)
    assert told(admin) == ["db1", "web1"], "running or not"
    (file,) = folder(admin).iterdir()
    assert file.name == "zconfig.zonehookd-edge" and file.read_text().startswith("# zonehookd: ")
    assert file.stat().st_mode & 0o777 == 0o644
    admin.delete("web1")
    settle(found.ours)
    settle(found.ours)
    assert told(admin) == ["db1"]
    admin.delete("db1")
    settle(found.ours)
    settle(found.ours)
    assert told(admin) is None and list(folder(admin).iterdir()) == []
    assert not [each for each in found.ours.store.all() if each.kind == "zap"]


def test_a_host_without_zap_gets_nothing(admin: Admin, engine: Build) -> None:
    folder(admin).rmdir()
    found = edge_site(admin, engine, "web1 web")
    assert not folder(admin).exists()
    folder(admin).mkdir()
    settle(found.ours)
    assert told(admin) == ["web1"]
    for file in folder(admin).iterdir():
        file.unlink()
    folder(admin).rmdir()
    settle(found.ours)
    assert not folder(admin).exists() and not [each for each in found.ours.store.all() if each.kind == "zap"]


def test_gateways_further_in_are_what_the_outer_one_is_for(admin: Admin, engine: Build) -> None:
    networks: dict[str, Any] = {"wan": WAN, "web": WEB, "db": {**DB, "via": "inner"}}
    member(admin, "edge")
    member(admin, "inner")
    member(admin, "db1", "db")
    found = Site(admin, engine, networks, {"edge": EDGE, "inner": INNER})
    settle(found.ours)
    assert told(admin, "edge") == ["inner"] and told(admin, "inner") == ["db1"]


def test_a_zone_may_say_that_it_does_not_depend(admin: Admin, engine: Build) -> None:
    found = edge_site(admin, engine, "web1 web", "web2 web")
    admin.do("zonecfg", "-z", "web1", 'add attr; set name=zh.depends; set type=string; set value="no"; end')
    settle(found.ours)
    assert told(admin) == ["web2"]


def test_who_is_there_by_a_link_alone_is_told_by_the_books(admin: Admin, engine: Build) -> None:
    found = edge_site(admin, engine, "web1 web")
    linked = Record(LINKED, "edge", subject.gateway("edge"), "guard", {"zones": "own1 web1"})
    found.ours.store.remember(linked)
    settle(found.ours)
    assert told(admin) == ["own1", "web1"]
    admin.do("zonecfg", "-z", "web1", 'add attr; set name=zh.depends; set type=string; set value="no"; end')
    settle(found.ours)
    assert told(admin) == ["own1"], "its configuration is newer than the books"
    found.ours.store.forget(LINKED, "edge")
    settle(found.ours)
    assert told(admin) is None


def test_a_permit_lifts_it_while_it_is_valid(admin: Admin, engine: Build) -> None:
    found = edge_site(admin, engine, "web1 web")
    until = {"until": f"{time.time() + 600:.0f}", "reason": "moving house"}
    found.ours.store.remember(Record(PERMIT, "edge", subject.gateway("edge"), "guard", until))
    settle(found.ours)
    assert told(admin) is None
    again = [n.again_after_s for p in found.ours.plan() for n in p.notes if "may be destroyed" in n.text]
    assert again[0] is not None and 590 < again[0] < 602, "nobody announces that it has run out"
    found.ours.store.remember(Record(PERMIT, "edge", subject.gateway("edge"), "guard", {"until": "1000"}))
    settle(found.ours)
    assert told(admin) == ["web1"]


def test_what_is_zaps_own_stays_and_a_file_of_that_name_too(admin: Admin, engine: Build) -> None:
    zaps = {"zconfig.edge": "zone: edge\nparent_zone: global\n", "zconfig.zonehookd-edge": "zone: whose\n"}
    for name, text in zaps.items():
        (folder(admin) / name).write_text(text)
    found = edge_site(admin, engine, "web1 web")
    (note,) = said(found.ours, "foreign-file")
    assert note.kind == "refused" and note.object == f"{RECORDS}/zconfig.zonehookd-edge"
    admin.delete("web1")
    settle(found.ours)
    assert {file.name: file.read_text() for file in folder(admin).iterdir()} == zaps
    assert said(found.ours, "foreign-file") == []


def test_an_altered_or_lost_file_is_repaired(admin: Admin, engine: Build) -> None:
    found = edge_site(admin, engine, "web1 web")
    (file,) = folder(admin).iterdir()
    good = file.read_text()
    file.unlink()
    assert repairs(found.ours) == {"missing": ["zap"]}
    settle(found.ours)
    file.write_text(good.replace("web1", "web9"))
    assert repairs(found.ours) == {"altered": ["zap"]}
    settle(found.ours)
    assert file.read_text() == good


def test_it_goes_with_the_declaration(admin: Admin, engine: Build) -> None:
    found = edge_site(admin, engine, "web1 web")
    found.declare({"wan": WAN}, {})
    settle(found.ours)
    assert list(folder(admin).iterdir()) == []


def test_lost_books_do_not_leave_it_behind(admin: Admin, engine: Build) -> None:
    found = edge_site(admin, engine, "web1 web")
    found.ours.store.forget("zap", "edge")
    settle(found.ours)
    assert found.ours.store.one("zap", "edge") is not None, "known by its mark"


def test_a_zone_that_cannot_be_read_still_depends(admin: Admin, engine: Build) -> None:
    found = edge_site(admin, engine, "web1 web", "web2 web")
    admin.world.path("/etc/zones/web1.xml").write_text("<zone")
    settle(found.ours)
    assert told(admin) == ["web1", "web2"]
    assert [n.again_after_s for p in found.ours.plan() for n in p.notes if "it still has its link" in n.text] == [5.0]


def test_a_gateway_that_has_vanished_is_still_missed(admin: Admin, engine: Build) -> None:
    found = edge_site(admin, engine, "web1 web")
    admin.do("zoneadm", "-z", "edge", "halt")
    admin.do("zonecfg", "-z", "edge", "delete", "-F")
    settle(found.ours)
    settle(found.ours)
    assert said(found.ours, "gateway-lost") and told(admin) == ["web1"]


def test_what_cannot_be_read_stops_nobody(admin: Admin, engine: Build) -> None:
    found = edge_site(admin, engine, "web1 web")
    (file,) = folder(admin).iterdir()
    file.unlink()
    file.mkdir()
    found.edge(forward=[{"port": 8080, "to": "web1", "to_port": 80}])
    found.ours.converge()
    (note,) = [n for n in said(found.ours, "not-seen") if "zap is not told" in n.text]
    assert note.again_after_s is not None
    assert "8080" in admin.do("ipnat", "-lR", "-z", "edge")


def test_it_costs_no_command(admin: Admin, engine: Build) -> None:
    found = edge_site(admin, engine, *(f"web{number} web" for number in range(4)))
    asked = []
    for _ in range(2):
        found.ours.commands.looks.clear()
        assert found.ours.converge() == 1
        asked.append(found.ours.commands.looks[:])
        shutil.rmtree(folder(admin), ignore_errors=True)
        settle(found.ours)
    assert asked[0] == asked[1], "with zap as without"


def test_an_import_of_zaps_records_leaves_ours_out(admin: Admin, engine: Build) -> None:
    edge_site(admin, engine, "web1 web")
    files = {file.name: file.read_text() for file in folder(admin).iterdir()}
    own = {"zconfig.web9": "zone: web9\nip-type: exclusive\naddress: 10.2.0.5\n"}
    with_ours, without = from_zap({**files, **own}, RECORDS), from_zap(own, RECORDS)
    assert (with_ours.lost, with_ours.networks) == (without.lost, without.networks)
