"""Faults, ghosts and reboots [network 1.2, 8.3, 8.4]."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab import datalink_conf, datalinks
from lab.dispatch import Completed, paper_world
from lab.faults import Fault
from lab.tests.typed import Host
from lab.world import Dialect, LinkClass, Refused, World


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("create-etherstub stub1", "etherstub creation failed: link busy"),
        ("create-vnic -l net0 b0", "VLAN over 'net0' may not use default_tag ID (see dladm(8))"),
        ("delete-vnic a0", "vnic deletion failed: link busy"),
        ("rename-link a0 b0", "rename operation failed: link busy"),
        ("set-linkprop -t -p mtu=1400 a0", "warning: cannot set link property 'mtu' on 'a0': link busy"),
        ("reset-linkprop -t -p mtu a0", "warning: cannot reset link property 'mtu' on 'a0': link busy"),
    ],
)
def test_a_busy_link_stays_as_it_was(host: Host, line: str, text: str) -> None:
    host.ok("dladm create-vnic -l net0 a0")
    before, file = host("dladm show-link"), host.persistent_links()
    host.world.faults.add(Fault("busy", f"dladm {line}"))
    host.fails(f"dladm {line}", f"dladm: {text}")
    assert (host("dladm show-link"), host.persistent_links()) == (before, file)
    host.ok(f"dladm {line}")


def test_try_again_later(host: Host) -> None:
    host.world.faults.add(Fault("again", "dladm create-vnic *"))
    host.fails("dladm create-vnic -l net0 a0", "dladm: vnic creation over net0 failed: try again later")


def test_a_killed_create_leaves_a_ghost(host: Host) -> None:
    host.world.faults.add(Fault("kill", "dladm create-vnic *"))
    assert host("dladm create-vnic -l net0 a0") == Completed(137, "", "")
    host.fails("dladm create-vnic -l net0 a0", "dladm: vnic creation over net0 failed: object already exists")
    host.fails("dladm show-vnic a0", "dladm: failed to show vnic 'a0': object not found")
    host.prints("dladm show-vnic -p -o link", "")
    host.prints("dladm show-link -p -o link", "net0\n")
    assert "a0                 2  vnic        Ethernet                  1\n" in host("dladm show-linkmap").out
    host.fails("dladm delete-vnic -t a0", "dladm: vnic deletion failed: object not found")
    host.ok("dladm delete-vnic a0")
    host.fails("dladm create-vnic -l net0 a0", "dladm: vnic creation over net0 failed: object already exists")
    assert datalinks.lookup(host.world, "a0") is None
    datalinks.reboot(host.world)
    host.ok("dladm create-vnic -l net0 a0")


def test_a_killed_set_linkprop_has_set_but_not_stored(host: Host) -> None:
    host.ok("dladm create-vnic -l net0 a0")
    host.world.faults.add(Fault("kill", "dladm set-linkprop *"))
    assert host("dladm set-linkprop -p mtu=1400 a0").status == 137
    host.prints("dladm show-linkprop -c -o value -p mtu a0", "1400\n")
    host.prints("dladm show-linkprop -c -P -o value -p mtu a0", "\n")


def test_a_floor_that_refuses_changes_nothing(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise Refused("operation failed")

    host.ok("dladm create-vnic -l net0 a0")
    for method in ("create_vnic", "create_etherstub", "delete_link", "rename_link", "move_link", "set_mtu"):
        monkeypatch.setattr(host.world.floor, method, refuse)
    host.zone("web1")
    before = (host("dladm show-linkmap").out, host("dladm show-linkprop -c -o link,value -p zone,mtu").out)
    file = host.persistent_links()
    for line in (
        "create-vnic -l net0 b0",
        "create-etherstub stub0",
        "delete-vnic a0",
        "rename-link a0 b0",
        "set-linkprop -p mtu=1400 a0",
        "set-linkprop -t -p zone=web1 a0",
    ):
        done = host(f"dladm {line}")
        assert done.status == 1
        assert done.err.endswith(": operation failed\n")
    after = (host("dladm show-linkmap").out, host("dladm show-linkprop -c -o link,value -p zone,mtu").out)
    assert after == before
    assert host.persistent_links() == file


@pytest.mark.parametrize("dialect", list(Dialect))
def test_what_survives_a_reboot(tmp_path: Path, dialect: Dialect) -> None:
    host = Host(tmp_path, dialect)
    host.ok(
        "dladm create-etherstub stub0",
        "dladm create-vnic -l stub0 a0",
        "dladm create-vnic -t -l stub0 b0",
        "dladm create-etherstub -t stub1",
        "dladm create-vnic -l net0 -m 2:8:20:1:2:3 -v 9 c0",
        "dladm create-vnic -l net0 d0",
        "dladm delete-vnic -t d0",
    )
    host.zone("web1")
    host.ok("dladm set-linkprop -t -p zone=web1 a0")
    fields = "dladm show-vnic -p -o link,over,macaddress,macaddrtype,vid"
    kept = [line for line in host(fields).out.splitlines() if not line.startswith("b0")]
    datalinks.give_back(host.world, "web1")
    datalinks.reboot(host.world)
    assert [line for line in host(fields).out.splitlines() if not line.startswith("d0")] == kept
    host.prints("dladm show-link -p -o link", "net0\nstub0\na0\nc0\nd0\n")
    again = Host(tmp_path, dialect)  # another lab over the same files
    assert again(fields).out == host(fields).out


def test_the_file(host: Host) -> None:
    host.ok("dladm create-vnic -l net0 -m 2:8:20:1:2:3 -p maxbw=100 a0")
    assert host.persistent_links().splitlines()[-1] == (
        "a0\tclass=string,vnic;media=string,Ethernet;maddrtype=int,0;maddrlen=int,6;macaddr=string,2:8:20:1:2:3;"
        "linkover=string,net0;maxbw=string,100;"
    )
    host.ok("dladm create-vnic -t -l net0 b0", "dladm delete-vnic b0")
    assert "b0" not in host.persistent_links()
    host.ok("dladm delete-vnic a0")
    assert "a0" not in host.persistent_links()


def test_a_large_file_is_right_a_moment_later(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    late: list[Deferred] = []

    def timer(delay: float, deed: Callable[[World], None], arguments: list[World]) -> Deferred:
        late.append(Deferred(deed, arguments[0]))
        return late[-1]

    monkeypatch.setattr(datalink_conf, "AT_ONCE", 2)
    monkeypatch.setattr(threading, "Timer", timer)
    for number in range(5):
        host.ok(f"dladm create-etherstub stub{number}")
    host.ok("dladm delete-etherstub stub1", "dladm delete-etherstub stub2", "dladm create-etherstub stub9")
    (only,) = late
    only.deed(only.world)
    names = [line.split("\t")[0] for line in host.persistent_links().splitlines() if "\t" in line]
    assert names == ["stub0", "stub3", "stub4", "stub9"]


@dataclass
class Deferred:
    """A timer that waits to be told."""

    deed: Callable[[World], None]
    world: World
    daemon: bool = False

    def start(self) -> None:
        pass


def test_a_value_with_the_files_own_letters_survives(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.ok("dladm create-vnic -l net0 -p 'allowed-dhcp-cids=a;b\\c' a0")
    world = paper_world(str(tmp_path))
    assert world.links["a0"].stored_props == {"allowed-dhcp-cids": "a;b\\c"}
    assert world.links["a0"].klass is LinkClass.VNIC
