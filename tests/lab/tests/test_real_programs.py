"""dhcpd, dnsmasq, pgrep and pkill: when the machine's own answer, and when the lab does [services 3.4, 4.2, 5.2]."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.call import Become, Call
from lab.dispatch import NOT_EMULATED, Completed, run
from lab.tests.bench import Machine
from lab.tests.zone_host import Host
from lab.world import Dialect

DNSMASQ = "svc:/network/dnsmasq:default"
REFUSAL = "\ndnsmasq: dhcp-hostsdir, dhcp-optsdir and hostsdir are not supported on this platform\n"


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def put(host: Host, path: str, text: str, mode: int = 0o644) -> str:
    file = host.file(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    file.chmod(mode)
    return path


@pytest.mark.parametrize(
    "text",
    ["hostsdir=/x", "dhcp-hostsdir = /x # why not", "dhcp-optsdir=/x", "conf-file=/etc/more.conf",
     "conf-dir=/etc/more.d", "conf-dir=/etc/more.d,*.conf", "conf-dir=/etc/more.d,.off"],
)  # fmt: skip
def test_dnsmasq_without_inotify_refuses_wherever_it_is_said(host: Host, text: str) -> None:
    put(host, "/etc/dnsmasq.conf", f"port=0\n{text}\n")
    put(host, "/etc/more.conf", "hostsdir=/x\n")
    put(host, "/etc/more.d/a.conf", "hostsdir=/x\n")
    assert host.run("dnsmasq") == Completed(1, "", REFUSAL)


@pytest.mark.parametrize(
    "text",
    ["addn-hosts=/x", "#hostsdir=/x", "conf-dir=/etc/more.d", "conf-dir=/etc/other.d,*.conf",
     "conf-dir=/etc/other.d,.off", "conf-file=/etc/nosuch", "conf-file=/etc/dnsmasq.conf"],
)  # fmt: skip
def test_what_dnsmasq_does_not_read_does_not_matter(host: Host, text: str) -> None:
    put(host, "/etc/dnsmasq.conf", f"port=0\n{text}\n")
    for name in (".hidden", "backup~", "#half#"):
        put(host, f"/etc/more.d/{name}", "hostsdir=/x\n")
    put(host, "/etc/other.d/a.off", "hostsdir=/x\n")
    assert host.run("dnsmasq").status == NOT_EMULATED  # nothing to turn into here, but not refused


def test_dnsmasq_on_its_command_line(host: Host) -> None:
    put(host, "/etc/mine.conf", "hostsdir=/x\n")
    put(host, "/etc/dnsmasq.conf", "port=0\n")
    for words in (["--hostsdir=/x"], ["-C", "/etc/mine.conf"], ["-C/etc/mine.conf"], ["--conf-file=/etc/mine.conf"],
                  ["-k", "-C", "/etc/mine.conf"]):  # fmt: skip
        assert host.run("dnsmasq", *words) == Completed(1, "", REFUSAL), words
    assert host.run("dnsmasq", "-k").status == NOT_EMULATED


def test_in_process_a_configuration_can_be_checked(host: Host) -> None:
    put(host, "/etc/dnsmasq.conf", "port=0\nhostsdir=/x\n")
    checked = host.run("dnsmasq", "--test", "-C", "/etc/dnsmasq.conf")
    assert (checked.status, checked.err) == (0, "dnsmasq: syntax check OK.\n")
    put(host, "/etc/dnsmasq.conf", "nonsense\n")
    wrong = host.run("dnsmasq", "--test", "-C", "/etc/dnsmasq.conf")
    assert (wrong.status, wrong.err.strip()) == (1, "dnsmasq: bad option at line 1 of /etc/dnsmasq.conf")
    put(host, "/etc/dhcpd.conf", "nonsense\n")
    wrong = host.run("dhcpd", "-t", "-4", "-cf", "/etc/dhcpd.conf")
    assert wrong.status == 1
    assert "/etc/dhcpd.conf line 1: semicolon expected.\n" in wrong.err
    put(host, "/etc/dhcpd.conf", "subnet 10.0.0.0 netmask 255.0.0.0 { }\n")
    assert host.run("dhcpd", "-t", "-4", "-cf", "/etc/dhcpd.conf").status == 0
    assert host.run("dhcpd", "-4").status == NOT_EMULATED


def test_omnios_runs_dnsmasq_as_a_user_of_its_own(tmp_path: Path) -> None:
    host = Host(tmp_path, Dialect.OMNIOS)
    path = put(host, "/etc/opt/ooce/dnsmasq/dnsmasq.conf", "port=0\n", mode=0o600)
    service = {"SMF_FMRI": "svc:/network/dns/dnsmasq:default"}
    call = Call(host.world, ["dnsmasq", "-C", path], environ=service)
    assert run(call) == 3
    put(host, path, "port=0\ndhcp-range=10.0.0.0,static\n")
    assert run(Call(host.world, ["dnsmasq", "-C", path], environ=service)) == NOT_EMULATED


def test_contracts_on_paper(host: Host) -> None:
    """A service that counts as running takes a signal; nothing can be listed."""
    put(host, "/etc/dnsmasq.conf", "port=0\n")
    host.good("svcadm", "enable", "-s", DNSMASQ)
    ctid = host.good("svcprop", "-p", "restarter/contract", DNSMASQ).strip()
    assert host.run("pkill", "-HUP", "-c", ctid) == Completed(0, "", "")
    assert host.run("pkill", "-HUP", "-c", "9999") == Completed(1, "", "")
    assert host.run("pgrep", "-c", ctid).status == NOT_EMULATED
    assert host.run("pkill", "-HUP", "-u", "root", "-c", ctid).status == NOT_EMULATED
    host.install("z")
    host.good("zoneadm", "-z", "z", "boot")
    assert host.run("pkill", "-HUP", "-c", ctid, zone="z") == Completed(1, "", "")  # not the zone's


def test_everything_else_is_the_machines(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.world.root = Path("/")
    for argv in (["pgrep", "-x", "init"], ["pkill", "-f", "x"], ["pgrep", "-c", "name"], ["dhcpd", "-t"]):
        with pytest.raises(Become) as becoming:
            run(Call(host.world, argv))
        assert becoming.value.argv == [f"/usr/lib/zonelab/real/{argv[0]}", *argv[1:]]


@pytest.mark.namespaces
def test_on_a_host(ours: Machine) -> None:
    out = ours.script(
        """
        sleep 1000 & pid=$!
        [ $(pgrep -x sleep) = $pid ] && [ $(/usr/bin/pgrep -x sleep) = $pid ] && echo found
        pgrep -c sleep
        pkill -x sleep
        pgrep -c 4711 || echo $?
        /usr/sbin/dhcpd --version 2>&1 | grep -c isc-dhcpd
        """
    )
    assert out.split() == ["found", "1", "1", "1"]
