"""The lab's verdict on a zone's document is libxml2's, by the DTD of the lab's host; and whoever reads one asks it."""

from __future__ import annotations

from pathlib import Path

import pytest
from zone_documents import DOCUMENTS, WHOLE, libxml2_accepts

from lab import zone_dtd
from lab.tests.zone_host import Host
from lab.world import Dialect, NotEmulated, World
from lab.zonexml import InvalidDocument, parse


@pytest.mark.parametrize("name", DOCUMENTS)
def test_it_is_valid_for_us_if_it_is_for_libxml2(world: World, name: str) -> None:
    document = DOCUMENTS[name]
    valid = not document.said(world.dialect)
    assert libxml2_accepts(world, document.text) is valid
    if valid:
        assert parse(document.text.encode(), world.dialect).name == "edge"
    else:
        with pytest.raises(InvalidDocument):
            parse(document.text.encode(), world.dialect)


def test_all_that_zonecfg_writes_is_valid(world: World, tmp_path: Path) -> None:
    for file in world.path("/etc/zones").glob("*.xml"):
        assert libxml2_accepts(world, file.read_text()), file


def test_declarations_in_the_document_are_not_known_here() -> None:
    with pytest.raises(NotEmulated):
        parse(WHOLE.replace('.1">', '.1" [<!ATTLIST zone a CDATA "">]>').encode(), Dialect.VANILLA)


def test_no_program_does_anything_to_a_zone_whose_file_is_not_valid(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.install("web1")
    host.install("db1")
    assert host.zoneadm("web1", "boot").status == 0
    for name in ("web1", "db1"):
        file = host.file(f"/etc/zones/{name}.xml")
        file.write_text(file.read_text().replace('ip-type="', 'colour="red" ip-type="'))
    listed = host.run("zoneadm", "list", "-cp")
    assert listed.status == 0 and listed.out.count("\n") == 1, listed
    assert listed.err.count("could not get brand name: Invalid document") == 2
    for argv in (
        ("zoneadm", "-z", "web1", "halt"),
        ("zoneadm", "-z", "db1", "boot"),
        ("zoneadm", "-z", "db1", "uninstall", "-F"),
        ("zonecfg", "-z", "db1", "export"),
        ("zonecfg", "-z", "db1", "set autoboot=true"),
        ("zlogin", "web1", "true"),
    ):
        assert host.run(*argv).status == 1, argv
    assert host.world.kernel_zones.keys() == {"web1"}


def test_the_host_carries_the_dtd_of_its_dialect(world: World) -> None:
    assert ("net-attr" in world.path(zone_dtd.PATH).read_text()) is (world.dialect is Dialect.OMNIOS)
