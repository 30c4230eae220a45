"""The ipfilter service: what its method does, in which order, and when that is maintenance [services 1.2, 1.3]."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.faults import Fault
from lab.tests.bench import Machine
from lab.tests.zone_host import Host

IPFILTER = "svc:/network/ipfilter:default"
NAT = "map net0 10.0.0.0/24 -> 0/32;\n"


@pytest.fixture
def host(tmp_path: Path) -> Host:
    made = Host(tmp_path)
    made.file("/etc/ipf").mkdir(parents=True)
    return made


def state(host: Host) -> str:
    return host.good("svcs", "-Ho", "state", IPFILTER).strip()


def rules(host: Host) -> list[str]:
    return [line for line in host.good("ipnat", "-lR").splitlines() if line.startswith(("map", "rdr"))]


def policy(host: Host) -> str:
    return host.good("svcprop", "-p", "firewall_config_default/policy", IPFILTER).strip()


def test_nat_is_loaded_under_every_policy_and_cleared_by_a_stop(host: Host) -> None:
    host.file("/etc/ipf/ipnat.conf").write_text(NAT)
    host.good("svcadm", "enable", "-s", IPFILTER)
    assert (policy(host), state(host), len(rules(host))) == ("none", "online", 1)
    assert host.good("svcprop", "-p", "firewall_config_default/version", IPFILTER) == "1\n"
    host.good("svcadm", "disable", "-s", IPFILTER)
    assert "ioctl(SIOCGNATS)" in host.run("ipnat", "-l").err


def test_a_filter_file_of_the_first_start_chooses_the_policy(host: Host) -> None:
    host.file("/etc/ipf/ipf.conf").write_text("# mine\nblock in quick on net0 proto tcp from any to any port = 25\n")
    host.good("svcadm", "enable", "-s", IPFILTER)
    assert policy(host) == "custom"
    assert host.file("/var/run/ipf/ipf.conf").readlink() == Path("/etc/ipf/ipf.conf")
    assert "port = 25" in host.good("ipfstat", "-iR")


def test_a_filter_file_that_comes_later_is_ignored_until_the_policy_is_set(host: Host) -> None:
    host.file("/etc/ipf/ipf.conf").write_text("# nothing yet\n")
    host.good("svcadm", "enable", "-s", IPFILTER)
    host.file("/etc/ipf/ipf.conf").write_text("block in quick on net0 proto tcp from any to any port = 25\n")
    host.good("svcadm", "restart", IPFILTER)
    assert "port = 25" not in host.run("ipfstat", "-iR").out
    host.good("svccfg", "-s", IPFILTER, "setprop", "firewall_config_default/policy", "=", "astring:", "custom")
    host.good("svcadm", "refresh", IPFILTER)
    assert "port = 25" in host.good("ipfstat", "-iR")


def test_a_bad_nat_file_is_half_loaded_and_maintenance(host: Host) -> None:
    host.file("/etc/ipf/ipnat.conf").write_text(NAT)
    host.good("svcadm", "enable", "-s", IPFILTER)
    host.file("/etc/ipf/ipnat.conf").write_text(NAT.replace("10.0.0.0", "10.1.0.0") + "map net0 oops;\n")
    host.good("svcadm", "refresh", IPFILTER)
    assert state(host) == "maintenance"
    assert "Reason: Method failed.\n" in host.good("svcs", "-x", IPFILTER)
    assert len(rules(host)) == 1 and "10.1.0.0/24" in rules(host)[0]
    host.file("/etc/ipf/ipnat.conf").write_text(NAT)
    host.good("svcadm", "clear", IPFILTER)
    assert state(host) == "online"


def test_a_bad_filter_file_leaves_the_old_rules(host: Host) -> None:
    host.file("/etc/ipf/ipf.conf").write_text("block in quick on net0 proto tcp from any to any port = 25\n")
    host.good("svcadm", "enable", "-s", IPFILTER)
    host.file("/etc/ipf/ipf.conf").write_text("block the bad\n")
    host.good("svcadm", "refresh", IPFILTER)
    assert state(host) == "maintenance"
    assert "port = 25" in host.good("ipfstat", "-iR")


def test_steps_are_commands_so_faults_strike_them(host: Host) -> None:
    host.file("/etc/ipf/ipnat.conf").write_text(NAT)
    host.world.faults.add(Fault("kill", "ipnat -f *"))
    waited = host.run("svcadm", "enable", "-s", IPFILTER)
    assert waited.status == 3
    assert "Start method exited with $SMF_EXIT_ERR_CONFIG." in host.good("svcs", "-x", IPFILTER)


def test_what_is_not_emulated_is_said_in_the_log(host: Host) -> None:
    host.good("svccfg", "-s", IPFILTER, "setprop", "firewall_config_default/policy", "=", "deny")
    host.good("svcadm", "refresh", IPFILTER)
    assert host.run("svcadm", "enable", "-s", IPFILTER).status == 3
    log = host.file("/var/svc/log/network-ipfilter:default.log").read_text()
    assert "zonelab: not emulated: firewall_config_default/policy = deny" in log


@pytest.mark.namespaces
def test_in_a_zone_of_a_real_host(ours: Machine) -> None:
    """Its own repository, its own files, its own rules; a boot brings them back."""
    out = ours.script(
        """
        zonecfg -z z1 'create -b; set zonepath=/zones/z1; set brand=sparse; set ip-type=exclusive'
        zoneadm -z z1 install
        zoneadm -z z1 boot
        mkdir -p /zones/z1/root/etc/ipf
        echo 'map z0 10.0.0.0/24 -> 0/32;' >/zones/z1/root/etc/ipf/ipnat.conf
        svcadm -z z1 enable -s ipfilter
        zlogin z1 ipnat -lR | grep -c '^map'
        svcs -Ho state ipfilter
        zoneadm -z z1 reboot
        until [ "$(svcs -z z1 -Ho state ipfilter)" = online ]; do sleep 0.02; done
        ipnat -lR -z z1 | grep -c '^map'
        """
    )
    assert out.split() == ["1", "disabled", "1"]
