"""`zoneadm list` [zones 1.3, 3.3]."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from lab import zonefiles
from lab.dispatch import Completed
from lab.tests.zone_host import Host
from lab.world import Dialect
from lab.zonexml import ZoneConfig


@pytest.fixture
def host(tmp_path: Path) -> Host:
    host = Host(tmp_path)
    fill(host)
    return host


def fill(host: Host) -> None:
    """web1 running, db1 installed, new1 configured, half1 incomplete."""
    for zone in ("db1", "web1", "half1"):
        host.install(zone)
    host.configure("new1")
    host.good("zoneadm", "-z", "half1", "mark", "incomplete")
    host.good("zoneadm", "-z", "web1", "boot")


def test_which_zones_are_listed(host: Host) -> None:
    assert host.good("zoneadm", "list") == "global\nweb1\n"
    assert host.good("zoneadm", "list", "-n") == "web1\n"
    assert host.good("zoneadm", "list", "-i") == "global\nweb1\ndb1\n"
    assert host.good("zoneadm", "list", "-c") == "global\nweb1\ndb1\nhalf1\nnew1\n"
    assert host.good("zoneadm", "list", "-ic") == "global\nweb1\ndb1\nhalf1\nnew1\n"
    host.good("zoneadm", "-z", "db1", "ready")
    assert host.good("zoneadm", "list") == "global\nweb1\ndb1\n"


def test_seven_fields_on_gate(host: Host) -> None:
    assert host.good("zoneadm", "list", "-cp") == (
        "0:global:running:/::ipkg:shared\n"
        f"1:web1:running:/zones/web1:{host.uuid('web1')}:sparse:excl\n"
        f"-:db1:installed:/zones/db1:{host.uuid('db1')}:sparse:excl\n"
        f"-:half1:incomplete:/zones/half1:{host.uuid('half1')}:sparse:excl\n"
        "-:new1:configured:/zones/new1::sparse:excl\n"
    )


def test_eight_fields_on_omnios(tmp_path: Path) -> None:
    host = Host(tmp_path, Dialect.OMNIOS)
    fill(host)
    assert host.good("zoneadm", "list", "-p") == (
        f"0:global:running:/::ipkg:shared:0\n1:web1:running:/zones/web1:{host.uuid('web1')}:sparse:excl:2\n"
    )


def test_the_table(host: Host) -> None:
    assert host.good("zoneadm", "list", "-v") == (
        "  ID NAME             STATUS     PATH                           BRAND    IP    \n"
        "   0 global           running    /                              ipkg     shared\n"
        "   1 web1             running    /zones/web1                    sparse   excl  \n"
    )
    last = host.good("zoneadm", "list", "-cv").splitlines()[-1]
    assert last == "   - new1             configured /zones/new1                    sparse   excl  "


def test_options_that_do_not_go_together(host: Host) -> None:
    done = host.run("zoneadm", "list", "-p", "-v")
    assert done == Completed(1, "", "zoneadm: list -p and -v are mutually exclusive.\n")
    for words in (("-c",), ("-i",), ("-n",), ("word",)):
        assert host.zoneadm("web1", "list", *words).status == 2
    assert host.run("zoneadm", "list", "-s").status == 2


def test_one_zone_in_any_state(host: Host) -> None:
    assert host.good("zoneadm", "-z", "new1", "list") == "new1\n"
    assert host.good("zoneadm", "-z", "new1", "list", "-p") == "-:new1:configured:/zones/new1::sparse:excl\n"
    assert host.good("zoneadm", "-z", "global", "list", "-p") == "0:global:running:/::ipkg:shared\n"


def test_listing_one_zone_asks_its_brand_after_the_line_is_out(host: Host) -> None:
    log = host.hook("sparse", "verifyadm", 'echo "$@" >>$LOG; exit 1')
    line = "<verify_adm>/usr/lib/brand/sparse/verifyadm %z %R </verify_adm>"
    host.element("sparse", "uninstall", line)
    assert host.zoneadm("db1", "list") == Completed(1, "db1\n", "")
    assert log.read_text() == "db1 /zones/db1 list\n"
    assert host.run("zoneadm", "list", "-c").status == 0
    assert log.read_text() == "db1 /zones/db1 list\n"


def test_inside_a_zone_only_itself(host: Host) -> None:
    done = host.run("zoneadm", "list", "-cp", zone="web1")
    assert done == Completed(0, f"1:web1:running:/:{host.uuid('web1')}:sparse:excl\n", "")


def test_a_zone_whose_xml_cannot_be_read_is_left_out(host: Host) -> None:
    host.file("/etc/zones/db1.xml").write_text("<zone")
    done = host.run("zoneadm", "list", "-c")
    assert done.status == 0
    assert done.out == "global\nweb1\nhalf1\nnew1\n"
    assert done.err == "zoneadm: db1: could not get brand name: Invalid document\n"


def test_ten_thousand_zones_are_listed_in_no_time(tmp_path: Path) -> None:
    host = Host(tmp_path)
    zonefiles.seed(
        host.world,
        (
            (ZoneConfig({"name": f"z{i}", "zonepath": "/z", "autoboot": "false", "brand": "sparse"}), "installed")
            for i in range(10_000)
        ),
    )
    assert host.good("zoneadm", "list", "-cp").count("\n") == 10_001
    began = time.process_time()
    assert host.good("zoneadm", "list", "-cp").count("\n") == 10_001
    assert time.process_time() - began < 0.3


@pytest.mark.parametrize("text", ["<zone", None])
def test_a_running_zone_whose_file_is_damaged_stays_as_it_is(host: Host, text: str | None) -> None:
    file = host.file("/etc/zones/web1.xml")
    whole = file.read_text()
    file.unlink() if text is None else file.write_text(text)
    for word in ("halt", "shutdown", "reboot", "uninstall", "list"):
        assert host.zoneadm("web1", word) == Completed(1, "", "zoneadm: zone 'web1': missing or invalid brand\n")
    for commands in ("delete -F", "create -F -b; set zonepath=/zones/web1", "set autoboot=true"):
        host.zonecfg("web1", commands)
        assert (file.read_text() if file.exists() else None) == text and "web1:installed:" in host.index()
    file.write_text(whole)
    assert host.zoneadm("web1", "halt") == Completed(0, "", "")
