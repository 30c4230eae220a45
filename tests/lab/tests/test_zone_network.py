"""`net` resources at boot and halt, and VNICs on demand [zones 3.10, 6.1-6.3]."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.dispatch import Completed
from lab.faults import Fault
from lab.tests.zone_host import Host
from lab.world import Dialect
from lab.zonefiles import state_of

NET = "add net; set physical={}; end; "
ADDRESS = "add net; set physical={}; set allowed-address={}; end; "
FAILED = "zoneadm: zone 'web1': call to zoneadmd failed\n"


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_a_missing_link(host: Host) -> None:
    host.configure("web1", NET.format("web1net0"))
    assert host.zoneadm("web1", "install") == Completed(
        0, "", "WARNING: skipping network interface 'web1net0': object not found\n"
    )
    done = host.zoneadm("web1", "boot")
    lines = done.err.splitlines(keepends=True)
    assert done.status == 1
    assert lines[0] == "WARNING: skipping network interface 'web1net0': object not found\n"
    assert lines[1].startswith("zone 'web1': failed to add network device: ")
    assert lines[2:] == [FAILED]
    assert host.good("zoneadm", "-z", "web1", "list", "-p") == (
        f"-:web1:installed:/zones/web1:{host.uuid('web1')}:sparse:excl\n"
    )
    assert not host.file("/var/run/zones/web1.snapshot.xml").exists()


def test_a_link_plumbed_in_the_global_zone(host: Host) -> None:
    host.vnic("v0")
    host.good("ipadm", "create-if", "-t", "v0")
    host.configure("web1", NET.format("v0"))
    host.zoneadm("web1", "install")
    lines = host.zoneadm("web1", "boot").err.splitlines(keepends=True)
    assert lines[0] == "WARNING: skipping network interface 'v0' which is used in the global zone.\n"
    assert lines[1] == "zone 'web1': WARNING: skipping network interface 'v0' which is used in the global zone\n"
    assert lines[2].startswith("zone 'web1': failed to add network device: ")
    assert lines[3:] == [FAILED]


def test_a_link_of_another_zone(host: Host) -> None:
    host.vnic("v0")
    host.install("other", NET.format("v0"))
    host.good("zoneadm", "-z", "other", "boot")
    host.configure("web1", NET.format("v0"))
    host.zoneadm("web1", "install")
    lines = host.zoneadm("web1", "boot").err.splitlines(keepends=True)
    assert lines[0] == "WARNING: skipping network interface 'v0' which is used by the non-global zone 'other'.\n"
    assert lines[1] == "zone 'web1': WARNING: unable to add network interface 'v0': link busy\n"
    assert lines[2].startswith("zone 'web1': failed to add network device: ")
    assert lines[3:] == [FAILED]
    assert host.world.links["v0"].zone == "other"


def test_links_move_in_and_come_back(host: Host) -> None:
    host.vnic("v0")
    host.vnic("v1")
    host.install("web1", NET.format("v0") + NET.format("v1"))
    host.good("zoneadm", "-z", "web1", "boot")
    assert [host.world.links[name].zone for name in ("v0", "v1")] == ["web1", "web1"]
    host.good("zoneadm", "-z", "web1", "halt")
    assert [host.world.links[name].zone for name in ("v0", "v1")] == ["global", "global"]


def test_when_the_second_link_is_missing_the_first_comes_back(host: Host) -> None:
    host.vnic("v0")
    host.configure("web1", NET.format("v0") + NET.format("v1"))
    host.zoneadm("web1", "install")
    assert host.zoneadm("web1", "boot").status == 1
    assert host.world.links["v0"].zone == "global"
    assert state_of(host.world, "web1") == "installed"


def test_allowed_addresses_fence_the_link_and_configure_the_zone(host: Host) -> None:
    host.vnic("v0")
    first = "add net; set physical=v0; set allowed-address=10.0.0.5/24; set defrouter=10.0.0.1; end; "
    host.install("web1", first + ADDRESS.format("v0", "10.0.0.6/24"))
    host.good("zoneadm", "-z", "web1", "boot")
    link = host.world.links["v0"]
    assert link.props["protection"] == "ip-nospoof"
    assert link.props["allowed-ips"] == "10.0.0.5/32,10.0.0.6/32"
    shown = host.run("ipadm", "show-addr", "-p", "-o", "type,addr", zone="web1").out
    assert "from-gz:10.0.0.5/24\n" in shown
    assert "from-gz:10.0.0.6/24\n" in shown
    assert [route.gateway for route in host.world.stacks["web1"].routes if route.destination == "default"] == [
        "10.0.0.1"
    ]
    host.good("zoneadm", "-z", "web1", "halt")
    assert "protection" not in link.props and "allowed-ips" not in link.props
    assert "web1" not in host.world.stacks


@pytest.mark.parametrize(
    ("setting", "message"),
    [("protection=ip-nospoof", "Protection is already set"), ("allowed-ips=10.0.0.5", "allowed-ips is already set")],
)
def test_a_link_that_is_fenced_already(host: Host, setting: str, message: str) -> None:
    host.vnic("v0")
    host.install("web1", ADDRESS.format("v0", "10.0.0.5/24"))
    host.good("dladm", "set-linkprop", "-t", "-p", setting, "v0")
    assert host.zoneadm("web1", "boot") == Completed(
        1,
        "",
        f"zone 'web1': {message}\nzone 'web1': failed to add address: Invalid argument\n{FAILED}",
    )
    assert state_of(host.world, "web1") == "installed"


def test_a_zone_without_native_userland_configures_nothing(tmp_path: Path) -> None:
    host = Host(tmp_path, Dialect.OMNIOS)
    host.vnic("v0")
    host.install("vm1", ADDRESS.format("v0", "10.0.0.5/24"), brand="bhyve")
    host.good("zoneadm", "-z", "vm1", "boot")
    assert host.world.links["v0"].props["protection"] == "ip-nospoof"
    stack = host.world.stacks.get("vm1")
    assert stack is None or "v0" not in stack.interfaces


def test_a_hot_added_link_returns_at_halt(host: Host) -> None:
    host.vnic("v7")
    host.install("web1")
    host.good("zoneadm", "-z", "web1", "boot")
    host.good("dladm", "set-linkprop", "-t", "-p", "zone=web1", "v7")
    assert host.world.links["v7"].zone == "web1"
    host.good("zoneadm", "-z", "web1", "halt")
    assert host.world.links["v7"].zone == "global"


def test_a_shared_zone_only_warns(host: Host) -> None:
    host.good("zonecfg", "-z", "old", "create -b; set zonepath=/zones/old; set brand=sparse; "
              "add net; set physical=net9; set address=10.0.0.5/24; end")  # fmt: skip
    warning = "WARNING: skipping network interface 'net9' which may not be present/plumbed in the global zone.\n"
    assert host.zoneadm("old", "install") == Completed(0, "", warning)
    assert host.zoneadm("old", "boot") == Completed(0, "", warning)
    assert state_of(host.world, "old") == "running"


# on demand ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def omnios(tmp_path: Path) -> Host:
    host = Host(tmp_path, Dialect.OMNIOS)
    host.good("dladm", "create-etherstub", "stub0")
    return host


WARNING = "WARNING: skipping network interface 'web1_0': object not found\n"


@pytest.mark.parametrize("brand", ["ipkg", "lipkg", "sparse", "pkgsrc", "lx", "bhyve"])
def test_a_vnic_on_demand_lives_from_ready_to_halt(omnios: Host, brand: str) -> None:
    omnios.configure("web1", "add net; set physical=web1_0; set global-nic=stub0; set vlan-id=7; end", brand)
    assert omnios.zoneadm("web1", "install").err == WARNING
    assert omnios.zoneadm("web1", "boot") == Completed(0, "", WARNING)
    link = omnios.world.links["web1_0"]
    assert (link.over, link.vid, link.persistent, link.zone) == ("stub0", 7, True, "web1")
    assert f"mac-addr: {link.mac}\n" in omnios.good("zonecfg", "-z", "web1", "info net")
    omnios.good("zoneadm", "-z", "web1", "reboot")
    assert omnios.world.links["web1_0"].mac == link.mac
    assert omnios.world.links["web1_0"] is not link
    omnios.good("zoneadm", "-z", "web1", "halt")
    assert "web1_0" not in omnios.world.links


def test_a_physical_that_exists_is_used_as_it_is(omnios: Host) -> None:
    omnios.good("dladm", "create-vnic", "-l", "stub0", "web1_0")
    mac = omnios.world.links["web1_0"].mac
    omnios.install("web1", "add net; set physical=web1_0; set global-nic=stub0; end")
    omnios.good("zoneadm", "-z", "web1", "boot")
    assert omnios.world.links["web1_0"].mac == mac
    assert "mac-addr not specified" in omnios.good("zonecfg", "-z", "web1", "info net")


def test_a_vnic_that_cannot_be_made_refuses_the_boot_without_an_event(omnios: Host) -> None:
    omnios.configure("web1", "add net; set physical=web1_0; set global-nic=stub9; end")
    omnios.zoneadm("web1", "install")
    events = omnios.world.channel.published
    done = omnios.zoneadm("web1", "boot")
    assert done.status == 1
    lines = done.err.splitlines(keepends=True)
    assert lines[0] == WARNING
    assert lines[1].startswith("zone 'web1': dladm: ")
    assert lines[-1] == FAILED
    assert omnios.world.channel.published == events


def test_a_fault_strikes_the_dladm_of_a_hook(omnios: Host) -> None:
    omnios.configure("web1", "add net; set physical=web1_0; set global-nic=stub0; end")
    omnios.zoneadm("web1", "install")
    omnios.world.faults.add(Fault("again", "dladm create-vnic *"))
    done = omnios.zoneadm("web1", "boot")
    assert done.status == 1
    assert "zone 'web1': dladm: vnic creation over stub0 failed: try again later\n" in done.err


def test_global_nic_auto_asks_the_route(omnios: Host) -> None:
    omnios.good("ipadm", "create-if", "net0")
    omnios.good("ipadm", "create-addr", "-T", "static", "-a", "10.0.0.1/24", "net0/v4")
    net = "add net; set physical=web1_0; set global-nic=auto; {} end"
    omnios.configure("web1", net.format("set allowed-address=10.0.0.5/24;"))
    omnios.zoneadm("web1", "install")
    assert omnios.zoneadm("web1", "boot").status == 0
    assert omnios.world.links["web1_0"].over == "net0"
    omnios.configure("web2", net.format("").replace("web1", "web2"))
    omnios.zoneadm("web2", "install")
    assert omnios.zoneadm("web2", "boot").status == 1
