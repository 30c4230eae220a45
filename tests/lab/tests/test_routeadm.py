"""routeadm and the forwarding services [network 5.1, services 2]."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.dispatch import NOT_EMULATED, Completed
from lab.tests.zone_host import Host

SERVICE = "svc:/network/ipv4-forwarding:default"


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def forwarding(host: Host, zone: str = "global") -> str:
    return host.run("ipadm", "show-prop", "-c", "-o", "current", "-p", "forwarding", "ipv4", zone=zone).out


def test_enabled_and_applied_in_one_command(host: Host) -> None:
    assert host.run("routeadm", "-u", "-e", "ipv4-forwarding") == Completed(0, "", "")
    line = "persistent=enabled default=disabled current=enabled\n"
    assert host.good("routeadm", "-p", "ipv4-forwarding") == line
    assert f"ipv4-forwarding {line}" in host.good("routeadm", "-p")
    assert "            IPv4 forwarding   enabled              enabled\n" in host.good("routeadm")
    assert forwarding(host) == "on\n"
    assert host.good("svcs", "-Ho", "state", SERVICE) == "online\n"


def test_recorded_for_the_next_boot_only(host: Host) -> None:
    host.good("routeadm", "-e", "ipv4-forwarding")
    assert host.good("routeadm", "-p", "ipv4-forwarding") == "persistent=enabled default=disabled current=disabled\n"
    assert forwarding(host) == "off\n"
    host.good("routeadm", "-u")
    assert forwarding(host) == "on\n"
    host.good("routeadm", "-u", "-r", "ipv4-forwarding")
    assert forwarding(host) == "off\n"


def test_ipadm_and_routeadm_can_disagree(host: Host) -> None:
    host.good("ipadm", "set-prop", "-p", "forwarding=on", "ipv4")
    assert "current=disabled" in host.good("routeadm", "-p", "ipv4-forwarding")


def test_switching_it_off_clears_every_interface(host: Host) -> None:
    host.vnic("v0")
    host.good("ipadm", "create-if", "v0")
    host.good("svcadm", "enable", "-s", SERVICE)
    host.good("ipadm", "set-ifprop", "-p", "forwarding=on", "-m", "ipv4", "v0")
    host.good("svcadm", "disable", "-s", SERVICE)
    shown = host.good("ipadm", "show-ifprop", "-c", "-p", "forwarding", "-m", "ipv4", "-o", "current", "v0")
    assert shown == "off\n"


def test_in_a_zone_it_is_the_zones_own_stack(host: Host) -> None:
    host.install("z")
    host.good("zoneadm", "-z", "z", "boot")
    assert host.run("routeadm", "-u", "-e", "ipv4-forwarding", zone="z").status == 0
    assert (forwarding(host, "z"), forwarding(host)) == ("on\n", "off\n")
    host.good("zoneadm", "-z", "z", "reboot")
    assert forwarding(host, "z") == "on\n"


def test_errors(host: Host) -> None:
    assert host.run("routeadm", "-p", "x") == Completed(1, "", "routeadm: no such option/variable x\n")
    assert host.run("routeadm", "-e", "x") == Completed(1, "", "routeadm: invalid option: x\n")
    mixed = "routeadm: the -p option cannot be used with any of -demrsu\n"
    assert host.run("routeadm", "-p", "-e", "ipv4-forwarding") == Completed(1, "", mixed)
    assert host.run("routeadm", "-e", "ipv4-routing").status == NOT_EMULATED


def test_the_whole_table(host: Host) -> None:
    lines = host.good("routeadm").splitlines()
    assert lines[:4] == [
        "              Configuration   Current              Current",
        "                     Option   Configuration        System State",
        "---------------------------------------------------------------",
        "               IPv4 routing   disabled             disabled",
    ]
    assert lines[-1] == "                   disabled   svc:/network/routing/route:default"
    variables = host.good("routeadm", "-p").splitlines()[4:]
    assert variables[0] == 'ipv4-routing-daemon persistent="" default="" '
    assert variables[-1] == (
        'routing-svcs persistent="route:default ripng:default" default="route:default ripng:default" '
    )
