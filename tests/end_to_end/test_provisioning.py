"""The provisioning network with one command, on a lab host: set up, asked part by part, taken down."""

from __future__ import annotations

import shlex
from typing import Any

import pytest
from machine import CONFIG, Daemon, Machine, until

pytestmark = pytest.mark.namespaces

DROP_IN = "/etc/zonehookd.d/provisioning-provision.toml"
WIRES = ("etherstub", "host-vnic", "address", "forwarding", "nat")
QUIET = (
    '[plugins]\nenabled = ["etherstub", "pool", "address", "vnic", "nat", "gateway_nic", "zone_address", "gateway"]\n'
)


@pytest.fixture
def online(machine: Machine) -> Machine:
    """A host that can get out."""
    machine.do("ipadm", "create-addr", "-T", "static", "-a", "192.0.2.10/24", "net0/v4")
    machine.do("route", "add", "default", "192.0.2.1")
    return machine


@pytest.fixture
def running(online: Machine) -> Daemon:
    """Without servers of DHCP and names: they have tests of their own, and here every part is asked by itself."""
    daemon = Daemon(online, "", QUIET)
    daemon.start()
    return daemon


ASK = """
import socket, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
    asking.settimeout(10)
    name = b"".join(bytes([len(label)]) + label.encode() for label in sys.argv[1].split("."))
    asking.sendto(b"\\x12\\x34\\x01\\0\\0\\x01\\0\\0\\0\\0\\0\\0" + name + b"\\0\\0\\x01\\0\\x01", ("10.190.190.1", 53))
    print(socket.inet_ntoa(asking.recv(512)[-4:]))
"""


def component(answer: Any, name: str) -> tuple[Any, Any, Any]:
    (row,) = [each for each in answer["networks"][0]["components"] if each["name"] == name]
    return row["exists"], row["as_declared"], row["works"]


def text_of(answer: Any, name: str) -> str:
    return str(next(each["text"] for each in answer["networks"][0]["components"] if each["name"] == name))


def stack(machine: Machine) -> tuple[str, ...]:
    """All that a provisioning network touches."""
    looks = (["dladm", "show-link"], ["ipadm", "show-addr"], ["ipadm", "show-ifprop", "-p", "forwarding"],
             ["netstat", "-rn"], ["ipf", "-V"])  # fmt: skip
    return tuple("".join(machine.run(*argv).out.split()) for argv in looks)


def test_one_command_sets_it_up_and_one_takes_it_down(running: Daemon) -> None:
    machine = running.machine
    before = stack(machine)
    assert running.ctl("provisioning", "status") is None
    assert "no provisioning network is declared" in running.ask("provisioning", "status").err

    answer = running.ctl("provisioning", "setup")
    assert [component(answer, name) for name in WIRES] == [(True, True, True)] * 5, answer
    (network,) = answer["networks"]
    assert (network["cidr"], network["host"], network["uplink"]) == ("10.190.190.0/24", "10.190.190.1", "net0")
    assert (network["pool"], network["dynamic"]) == (["10.190.190.10-10.190.190.191"],
                                                     ["10.190.190.192-10.190.190.254"])  # fmt: skip
    assert network["declared_in"] == DROP_IN and not network["ready"]
    assert "plugin dnsmasq is not enabled" in text_of(answer, "dhcp"), "what does not work is said"
    assert {"estub_provision0", "provision_interconnect0"} <= set(machine.links())
    assert "map net0 10.190.190.0/24" in machine.do("ipnat", "-lR")

    written = machine.read(DROP_IN)
    again = running.ask("provisioning", "setup")
    assert again.status == 1 and "is declared in /etc/zonehookd.d" in again.out and machine.read(DROP_IN) == written
    assert running.ask("plan").status == 0

    done = running.ask("provisioning", "teardown")
    assert (done.status, done.out) == (0, "provisioning network provision is taken down\n"), done
    assert stack(machine) == before and machine.run("test", "-e", DROP_IN).status == 1
    assert running.ask("provisioning", "teardown").status == 1


@pytest.mark.parametrize("dialect", ["vanilla", "omnios"])
def test_ready_means_that_a_zone_needs_nothing_more(dialect: str) -> None:
    machine = Machine(*(["--omnios"] if dialect == "omnios" else []))
    try:
        machine.do("ipadm", "create-addr", "-T", "static", "-a", "192.0.2.10/24", "net0/v4")
        machine.do("route", "add", "default", "192.0.2.1")
        before = stack(machine)
        daemon = Daemon(machine, "")
        daemon.start()
        done = daemon.ask("provisioning", "setup", "--upstream", "198.51.100.1")
        assert done.status == 0 and ": ready" in done.out, done
        named = "create -b; set zonepath=/zones/{0}; set brand=sparse; set ip-type=exclusive; add net; "
        named += "set physical={0}_0; end; "
        wish = 'add attr; set name=zh.net0; set type=string; set value="provision"; end'
        machine.do("zonecfg", "-z", "ours", named.format("ours") + wish)
        machine.do("dladm", "create-vnic", "-l", "estub_provision0", "strange_0")
        machine.do("zonecfg", "-z", "strange", named.format("strange"))
        for zone in ("ours", "strange"):
            machine.do("zoneadm", "-z", zone, "install")
            until(lambda zone=zone: f"{zone}_0" in machine.links(), "its VNIC")
            machine.do("zoneadm", "-z", zone, "boot")
        addresses = ("ipadm", "show-addr", "-p", "-o", "addr")
        until(lambda: "10.190.190.10/24" in machine.run("zlogin", "ours", *addresses).out, "an address of the pool")
        machine.do("zlogin", "strange", "ipadm", "create-addr", "-T", "dhcp", "-w", "40", "strange_0/d")
        until(lambda: "10.190.190." in machine.run("zlogin", "strange", *addresses).out, "a lease for a stranger")
        lease = next(line for line in machine.do("zlogin", "strange", *addresses).split() if line.startswith("10."))
        assert 192 <= int(lease.partition("/")[0].rpartition(".")[2]) <= 254, lease
        until(
            lambda: machine.run("zlogin", "ours", "ping", "-c", "1", "-W", "1", "198.51.100.1").status == 0, "a way out"
        )
        for zone in ("ours", "strange"):
            machine.do("zlogin", zone, "ping", "-c", "1", "-W", "9", "198.51.100.1")
            asking = ("zlogin", zone, shlex.join(["python3", "-c", ASK, "ours"]))
            until(lambda asking=asking: machine.run(*asking).out.split() == ["10.190.190.10"], "a name for its own")
        assert daemon.ask("provisioning", "status").status == 0

        assert "in use by zone ours" in daemon.ask("provisioning", "teardown").err
        machine.delete("ours")
        machine.delete("strange")
        machine.do("dladm", "delete-vnic", "strange_0")
        until(lambda: daemon.ctl("provisioning", "status")["networks"][0]["zones"] == [], "no zone")
        gone = daemon.ask("provisioning", "teardown")
        assert (gone.status, gone.out) == (0, "provisioning network provision is taken down\n"), gone
        assert stack(machine) == before
        services = machine.do("svcs", "-H", "-o", "state", "dnsmasq", "dhcp:ipv4").split()
        assert services == ["disabled", "disabled"]
    finally:
        machine.close()


def test_a_zone_is_set_up_by_a_nic_that_leaves_when_it_reboots_itself(running: Daemon) -> None:
    machine = running.machine
    machine.write(CONFIG, QUIET + '[network.dmz]\ncidr = "10.1.0.0/24"\n')
    running.ask("reload")
    running.ask("provisioning", "setup")
    machine.zone("web1", "web1_0", "10.1.0.5/24")
    attribute = "add attr; set name={}; set type=string; set value={}; end"
    machine.do("zonecfg", "-z", "web1", attribute.format("zh.provision", "provision"))
    machine.do("zoneadm", "-z", "web1", "install")
    until(lambda: {"web1_0", "web1_provision0"} <= set(machine.links()), "both its NICs")
    until(lambda: "web1_provision0" in machine.do("zonecfg", "-z", "web1", "export"), "both in its configuration")
    machine.do("zoneadm", "-z", "web1", "boot")
    ping = ("zlogin", "web1", "ping", "-c", "1", "-W", "1", "10.190.190.1")
    until(lambda: machine.run(*ping).status == 0, "the host, by the NIC to be set up by")
    machine.do("zonecfg", "-z", "web1", attribute.format("zh.provisioned", "yes"))
    until(lambda: "web1_provision0" not in machine.do("zonecfg", "-z", "web1", "export"), "the mark seen")
    running.settle()
    assert machine.run(*ping).status == 0, "it is still there"
    assert "in use by zone web1" in running.ask("provisioning", "teardown").err
    machine.run("zlogin", "web1", "reboot")
    until(lambda: "web1_provision0" not in machine.links(), "the NIC gone")
    until(lambda: machine.run("zlogin", "web1", "true").status == 0, "the zone up again")
    assert "web1_0" in machine.links()
    until(lambda: running.ask("provisioning", "teardown").status == 0, "nobody attached")
    until(lambda: "there is no provisioning network" not in running.ask("status").out, "and nobody is blamed for it")


def test_a_network_with_zones_is_not_taken_down_and_keeps_its_range(running: Daemon) -> None:
    machine = running.machine
    running.ask("provisioning", "setup")
    machine.zone("web1", "web1_0", "10.190.190.50/24")
    until(lambda: running.ctl("provisioning", "status")["networks"][0]["zones"] == ["web1"], "the zone")
    links = machine.links()
    refused = running.ask("provisioning", "teardown", "provision")
    assert refused.status == 1 and "provisioning network provision is in use by zone web1 (hint: " in refused.err
    changed = running.ask("provisioning", "setup", "--cidr", "10.7.0.0/24")
    assert changed.status == 1 and "range of provisioning network provision cannot change: it is in use" in changed.err
    assert machine.links() == links and "10.7" not in machine.read(DROP_IN)
    machine.delete("web1")
    until(lambda: running.ctl("provisioning", "status")["networks"][0]["zones"] == [], "no zone")
    moved = running.ctl("provisioning", "setup", "--cidr", "10.7.0.0/24")
    assert component(moved, "address") == (True, True, True) and moved["networks"][0]["host"] == "10.7.0.1"
    assert running.ask("provisioning", "teardown").status == 0


def test_what_is_broken_by_hand_is_told_by_part(running: Daemon) -> None:
    machine = running.machine
    running.ask("provisioning", "setup")
    machine.do("ipadm", "set-ifprop", "-t", "-p", "forwarding=off", "-m", "ipv4", "net0")
    machine.do("ipnat", "-C")
    machine.do("route", "delete", "default", "192.0.2.1")
    answer = running.ctl("provisioning", "status")
    assert component(answer, "etherstub") == component(answer, "address") == (True, True, True)
    assert component(answer, "forwarding") == (True, False, False)
    assert text_of(answer, "forwarding") == "net0 does not forward; no IPv4 default route by net0"
    assert component(answer, "nat") == (False, False, False) and "no rule for the ports" in text_of(answer, "nat")
    assert running.ask("provisioning", "status").status == 1
    machine.do("route", "add", "default", "192.0.2.1")
    running.settle()
    answer = running.ctl("provisioning", "status")
    assert component(answer, "forwarding") == component(answer, "nat") == (True, True, True)


def test_the_uplink_must_be_known(machine: Machine) -> None:
    daemon = Daemon(machine, "", QUIET)
    daemon.start()
    none = daemon.ask("provisioning", "setup")
    assert none.status == 1 and "there is no IPv4 default route, so the uplink is not known (hint: name" in none.err
    assert "net0 has no IPv4 address" in daemon.ask("provisioning", "setup", "--uplink", "net0").err
    assert daemon.ctl("status")["config_error"] == "" and machine.run("test", "-e", DROP_IN).status == 1
    machine.do("ipadm", "create-addr", "-T", "static", "-a", "192.0.2.10/24", "net0/v4")
    named = daemon.ctl("provisioning", "setup", "--uplink", "net0", "--upstream", "192.0.2.53")
    assert component(named, "nat") == (True, True, True)
    assert text_of(named, "forwarding") == "no IPv4 default route by net0"
    assert 'upstream = ["192.0.2.53"]' in machine.read(DROP_IN)


def test_what_is_refused_is_not_declared(running: Daemon) -> None:
    machine = running.machine
    machine.write(CONFIG, QUIET + '[network.old]\ncidr = "10.190.0.0/16"\n')
    assert running.ask("reload").status == 0
    refused = running.ask("provisioning", "setup")
    assert refused.status == 1
    assert (
        f"{DROP_IN}: provisioning.provision.cidr: 10.190.190.0/24 overlaps 10.190.0.0/16 of network old" in refused.err
    )
    assert machine.run("test", "-e", DROP_IN).status == 1 and running.ctl("status")["config_error"] == ""
    assert "estub_provision0" not in machine.links()
    assert running.ask("provisioning", "setup", "no/name").status == 1
    assert running.ask("provisioning", "setup", "--cidr", "10.7.0.5/24").status == 1
    assert component(running.ctl("provisioning", "setup", "--cidr", "10.7.0.0/24"), "nat") == (True, True, True)


def test_tenants_come_and_go_by_themselves(running: Daemon) -> None:
    machine = running.machine
    running.ask("provisioning", "setup")
    running.ask("provisioning", "setup", "red", "--cidr", "10.191.0.0/24")
    answer = running.ctl("provisioning", "status")
    assert [each["name"] for each in answer["networks"]] == ["provision", "red"]
    assert {"estub_red0", "red_interconnect0", "estub_provision0"} <= set(machine.links())
    assert "which one? there are provision, red" in running.ask("provisioning", "teardown").err
    assert "there is no provisioning network 'blue'" in running.ask("provisioning", "status", "blue").err
    assert running.ask("provisioning", "teardown", "provision").status == 0
    left = running.ctl("provisioning", "status")
    assert [component(left, name) for name in WIRES] == [(True, True, True)] * 5 and left["networks"][0][
        "name"
    ] == "red"
    assert "estub_provision0" not in machine.links() and "10.190.190.0" not in machine.do("ipnat", "-lR")


def test_declared_by_hand_it_is_left_to_the_hand(online: Machine) -> None:
    section = '[provisioning.provision]\nuplink = "net0"\nuplink_cidr = "192.0.2.0/24"\n'
    daemon = Daemon(online, section, QUIET)
    daemon.start()
    answer = daemon.ctl("provisioning", "setup")
    assert component(answer, "nat") == (True, True, True) and answer["networks"][0]["declared_in"] == CONFIG
    assert (
        f"is declared in {CONFIG} (hint: change it there)" in daemon.ask("provisioning", "setup", "--uplink", "x0").err
    )
    assert f"is declared in {CONFIG} (hint: take it out there)" in daemon.ask("provisioning", "teardown").err
    assert online.run("test", "-e", DROP_IN).status == 1


def test_what_was_there_before_us_stays(running: Daemon) -> None:
    machine = running.machine
    machine.do("dladm", "create-etherstub", "estub_provision0")
    machine.do("dladm", "set-linkprop", "-p", "mtu=1500", "estub_provision0")
    assert component(running.ctl("provisioning", "setup"), "etherstub") == (True, True, True)
    done = running.ask("provisioning", "teardown")
    assert done.status == 0 and "not ours, so still there: estub_provision0" in done.out
    assert "estub_provision0" in machine.links() and "provision_interconnect0" not in machine.links()


def test_reload_answers_with_what_is_in_force_or_with_the_refusal(running: Daemon) -> None:
    machine = running.machine
    machine.write(CONFIG, QUIET + '[network.dmz]\ncidr = "10.1.0.0/24"\n[timing]\npoll_s = 5\n')
    done = running.ctl("reload")
    assert (done["networks"], done["gateways"], done["at_next_start"]) == (1, 0, ["timing"])
    until(lambda: "dmz0" in machine.links(), "the network")
    machine.do("mkdir", "-p", "/etc/zonehookd.d")
    machine.write("/etc/zonehookd.d/a.toml", '[network.dmz]\ncidr = "10.2.0.0/24"\n')
    refused = running.ask("reload")
    assert refused.status == 1
    assert f"zonehookctl: /etc/zonehookd.d/a.toml: network.dmz: is declared in {CONFIG} already" in refused.err
    assert "is declared in" in running.ctl("status")["config_error"] and "dmz0" in machine.links()
