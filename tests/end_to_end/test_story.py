"""The main job with real packets: configure, boot, ping, break, repair, halt, uninstall, delete; nothing is left."""

from __future__ import annotations

import signal

import pytest
from machine import Daemon, Machine, until

pytestmark = pytest.mark.namespaces


def test_the_story(either: Machine) -> None:
    host = either
    before = host.links()
    daemon = Daemon(host)
    daemon.start()
    assert host.links() == sorted([*before, "back0", "dmz0"])

    for number in (1, 2, 3):
        host.zone(f"web{number}", f"web{number}_0", f"10.1.0.1{number}/24")
    until(lambda: {"web1_0", "web2_0", "web3_0"} <= set(host.links()), "three VNICs")
    for number in (1, 2, 3):
        host.do("zoneadm", "-z", f"web{number}", "install")
        booted = host.run("zoneadm", "-z", f"web{number}", "boot")
        assert (booted.status, booted.err) == (0, "")
    for address in ("10.1.0.12", "10.1.0.13"):
        ping = host.run("zlogin", "web1", "ping", "-c", "1", "-W", "5", address)
        assert ping.status == 0, ping

    mac = host.do("dladm", "show-vnic", "-p", "-o", "macaddress", "web3_0")
    host.do("zoneadm", "-z", "web3", "halt")
    host.do("dladm", "delete-vnic", "web3_0")
    daemon.settle()
    assert host.do("dladm", "show-vnic", "-p", "-o", "macaddress", "web3_0") == mac, "the same link again"
    host.do("zoneadm", "-z", "web3", "boot")
    assert host.run("zlogin", "web1", "ping", "-c", "1", "-W", "5", "10.1.0.13").status == 0

    host.do("zoneadm", "-z", "web2", "reboot")
    assert host.run("zlogin", "web2", "ping", "-c", "1", "-W", "5", "10.1.0.11").status == 0

    for number in (1, 2, 3):
        host.delete(f"web{number}")
    until(lambda: host.links() == sorted([*before, "back0", "dmz0"]), "the zones' VNICs are gone")
    daemon.configure("")
    host.signal(daemon.pid, signal.SIGHUP)
    until(lambda: host.links() == before, "the etherstubs are gone")
    assert daemon.stop() == 0
    host.do("rm", "-r", "/var/lib/zonehookd")


def test_zones_on_different_networks_do_not_meet(either: Machine) -> None:
    host = either
    daemon = Daemon(host)
    daemon.start()
    host.zone("front", "front_0", "10.1.0.21/24")
    host.zone("rear", "rear_0", "10.2.0.21/24")
    until(lambda: {"front_0", "rear_0"} <= set(host.links()), "two VNICs")
    for name in ("front", "rear"):
        host.do("zoneadm", "-z", name, "install")
        host.do("zoneadm", "-z", name, "boot")
    assert host.run("zlogin", "front", "ping", "-c", "1", "-W", "1", "10.2.0.21").status != 0
    for name in ("front", "rear"):
        host.delete(name)
    until(lambda: "front_0" not in host.links() and "rear_0" not in host.links(), "the VNICs are gone")
    assert daemon.stop() == 0


def test_the_daemon_catches_up_with_what_happened_while_it_was_away(machine: Machine, daemon: Daemon) -> None:
    daemon.start()
    machine.zone("old", "old_0", "10.1.0.30/24")
    until(lambda: "old_0" in machine.links(), "the VNIC")
    assert daemon.stop() == 0
    machine.do("zonecfg", "-z", "old", "delete", "-F")
    machine.zone("new", "new_0", "10.1.0.30/24")
    daemon.start()
    until(lambda: "old_0" not in machine.links(), "the deleted zone's VNIC is gone")
    assert "new_0" in machine.links()


@pytest.mark.parametrize("flavour", [[], ["--omnios"]], ids=["vanilla", "omnios"])
def test_a_zone_on_demand(flavour: list[str]) -> None:
    host = Machine(*flavour)
    try:
        daemon = Daemon(host)
        daemon.start()
        command = (
            "create -b; set zonepath=/zones/dem; set brand=sparse; set ip-type=exclusive; add net; set physical=dem0; "
            "set allowed-address=10.1.0.40/24; set global-nic=dmz0; end"
        )
        done = host.run("zonecfg", "-z", "dem", command)
        if not flavour:
            assert done.status == 1, "vanilla knows no global-nic, and says so"
            return
        host.do("zoneadm", "-z", "dem", "install")
        assert "dem0" not in host.links()
        host.do("zoneadm", "-z", "dem", "boot")
        over = host.do("dladm", "show-vnic", "-p", "-o", "over", "dem0")
        assert over.strip() == "dmz0" and daemon.ctl("plan")["changes"] == 0
        host.do("zoneadm", "-z", "dem", "halt")
        assert "dem0" not in host.links(), "the brand takes it away, and we leave it away"
        daemon.settle()
        assert "dem0" not in host.links()
    finally:
        host.close()


def test_reboot_and_halt_from_inside_the_zone(machine: Machine, daemon: Daemon) -> None:
    daemon.start()
    machine.zone("web1", "web1_0", "10.1.0.5/24")
    machine.zone("web2", "web2_0", "10.1.0.6/24")
    until(lambda: {"web1_0", "web2_0"} <= set(machine.links()), "the VNICs")
    for name in ("web1", "web2"):
        machine.do("zoneadm", "-z", name, "install")
        machine.do("zoneadm", "-z", name, "boot")

    def listed() -> list[str]:
        return machine.do("zoneadm", "-z", "web1", "list", "-p").split(":")[:3]

    before = listed()
    machine.run("zlogin", "web1", "reboot")
    until(lambda: listed()[2] == "running" and listed()[0] != before[0], "another incarnation")
    assert machine.run("zlogin", "web1", "ping", "-c", "1", "-W", "5", "10.1.0.6").status == 0
    machine.run("zlogin", "web1", "halt")
    until(lambda: listed()[2] == "installed", "it is down")
    daemon.settle()
    assert "web1_0" in machine.links() and daemon.ctl("plan")["changes"] == 0
    assert listed()[2] == "installed", "who halts a zone wants it halted"
