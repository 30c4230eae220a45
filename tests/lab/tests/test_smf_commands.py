"""svcs, svcadm and svcprop on the data-only floor: texts, exit codes, what is persistent [services 3.1-3.4]."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.dispatch import NOT_EMULATED, Completed
from lab.faults import Fault
from lab.smf import fmri
from lab.tests.zone_host import Host
from lab.world import Dialect

IPFILTER = "svc:/network/ipfilter:default"
DHCP = "svc:/network/service/dhcp:ipv4"


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def booted(host: Host, zone: str = "z", brand: str = "sparse") -> None:
    host.install(zone, brand=brand)
    host.good("zoneadm", "-z", zone, "boot")


# svcs -----------------------------------------------------------------------------------------------------------------


def test_columns(host: Host) -> None:
    line = "disabled       -              svc:/network/ipfilter:default\n"
    assert host.good("svcs", "-H", "-o", "state,nstate,fmri", IPFILTER) == line
    header, row = host.good("svcs", "-o", "FMRI,inst,sta,nsta,ctid,zone", IPFILTER).splitlines()
    assert header.split() == ["FMRI", "INST", "STA", "NSTA", "CTID", "ZONE"]
    assert row.split() == [IPFILTER, "default", "DIS", "-", "-", "global"]


def test_no_match_still_prints_the_header(host: Host) -> None:
    complaint = "svcs: Pattern 'nosuch' doesn't match any instances\n"
    assert host.run("svcs", "-H", "-o", "state", "nosuch") == Completed(1, "", complaint)
    assert host.run("svcs", "nosuch") == Completed(1, "STATE          STIME    FMRI\n", complaint)
    both = host.run("svcs", "-Ho", "fmri", "nosuch", IPFILTER)
    assert (both.status, both.out) == (1, f"{IPFILTER}\n")


def test_usage(host: Host) -> None:
    for argv in (["svcs", "-o", "colour"], ["svcs", "-l"], ["svcs", "-x", "-l", IPFILTER], ["svcadm"],
                 ["svcadm", "enable"], ["svcadm", "frobnicate", IPFILTER], ["svcprop"]):  # fmt: skip
        done = host.run(*argv)
        assert (done.status, done.out, done.err[:6]) == (2, "", "Usage:"), argv


def test_rows_are_sorted_and_disabled_ones_hidden(host: Host) -> None:
    host.good("svcadm", "enable", IPFILTER)
    shown = host.good("svcs", "-H", "-o", "fmri").split()
    assert IPFILTER in shown and DHCP not in shown
    every = host.good("svcs", "-a", "-H", "-o", "fmri").split()
    assert DHCP in every
    order = host.good("svcs", "-H", "-o", "fmri", IPFILTER, DHCP, "svc:/network/physical:default").split()
    assert order == [DHCP, "svc:/network/physical:default", IPFILTER]
    assert host.good("svcs", "-H", "-o", "fmri", "-S", "fmri", IPFILTER, DHCP).split() == [DHCP, IPFILTER]


def test_log_and_long(host: Host) -> None:
    assert host.good("svcs", "-L", "ipfilter") == "/var/svc/log/network-ipfilter:default.log\n"
    host.good("svcadm", "disable", "-t", "-c", "for now", IPFILTER)
    rows = [line.split(None, 1) for line in host.good("svcs", "-l", IPFILTER).splitlines()]
    assert rows[:2] == [["fmri", IPFILTER], ["name", "IP Filter"]]
    assert ["enabled", "false (temporary)"] in rows and ["comment", "for now"] in rows
    assert ["next_state", "none"] in rows and ["restarter", "svc:/system/svc/restarter:default"] in rows
    assert ["dependency", "require_all/error svc:/network/physical (online)"] in rows
    assert all(line[12] == " " for line in host.good("svcs", "-l", IPFILTER).splitlines())


def test_names() -> None:
    good = ["svc:/network/service/dhcp:ipv4", "svc:/network/service/dhcp", "dhcp", "service/dhcp", "dhcp:ipv4",
            "network/service/dhcp:ipv4", ":ipv4", "svc:/network/*:ipv4", "*dhcp*"]  # fmt: skip
    assert all(fmri.matches(each, DHCP) for each in good)
    bad = ["cp", "svc:/service/dhcp", "dhcp:ipv6", "svc:/network/service/dhcp:ip", ":ipv", "network"]
    assert not any(fmri.matches(each, DHCP) for each in bad)


def test_dependencies_and_dependents(host: Host) -> None:
    needs = host.good("svcs", "-d", "-H", "-o", "fmri", DHCP).split()
    assert sorted(needs) == ["svc:/network/physical:default", "svc:/system/filesystem/local:default"]
    assert DHCP in host.good("svcs", "-D", "-H", "-o", "fmri", "network/physical").split()


# svcadm ---------------------------------------------------------------------------------------------------------------


def test_enable_and_disable(host: Host) -> None:
    assert host.run("svcadm", "-v", "enable", "-s", DHCP) == Completed(0, f"{DHCP} enabled.\n", "")
    assert host.good("svcs", "-Ho", "state", DHCP) == "online\n"
    assert host.good("svcprop", "-c", "-p", "general/enabled", DHCP) == "true\n"
    assert host.good("svcadm", "-v", "restart", DHCP) == f"Action restart set for {DHCP}.\n"
    assert host.good("svcadm", "-v", "disable", "-s", DHCP) == f"{DHCP} disabled.\n"
    assert host.good("svcs", "-Ho", "state", DHCP) == "disabled\n"


def test_a_restart_is_a_new_contract_and_a_new_timestamp(host: Host) -> None:
    host.good("svcadm", "enable", DHCP)
    first = host.good("svcprop", "-p", "restarter/contract", DHCP)
    host.good("svcadm", "restart", DHCP)
    assert host.good("svcprop", "-p", "restarter/contract", DHCP) != first
    seconds, nanoseconds = host.good("svcprop", "-p", "restarter/state_timestamp", DHCP).strip().split(".")
    assert int(seconds) > 1_600_000_000 and len(nanoseconds) == 9


def test_what_svcadm_refuses(host: Host) -> None:
    missing = "svcadm: Pattern 'nosuch' doesn't match any instances\n"
    assert host.run("svcadm", "enable", "nosuch") == Completed(1, "", missing)
    assert host.run("svcadm", "enable", "-s", "nosuch") == Completed(1, "", missing)
    several = host.run("svcadm", "restart", "dhcp")
    assert several.status == 1
    assert several.err == f"svcadm: Pattern 'dhcp' matches multiple instances:\n\t{DHCP}\n\t{DHCP[:-1]}6\n"
    clear = f'svcadm: Instance "{DHCP}" is not in a maintenance or degraded state.\n'
    assert host.run("svcadm", "clear", DHCP) == Completed(1, "", clear)
    assert host.run("svcadm", "restart", DHCP) == Completed(0, "", "")  # disabled: no effect
    assert host.run("svcadm", "disable", "network/physical").status == NOT_EMULATED


def test_who_may_not(host: Host) -> None:
    denied = host.at_terminal("", "svcadm", "enable", DHCP, privileged=False)
    text = f'svcadm: {DHCP}: Couldn\'t modify "general" property group (permission denied).\n'
    assert (denied.status, denied.err) == (1, text)
    denied = host.at_terminal("", "svcadm", "restart", DHCP, privileged=False)
    assert (denied.status, denied.err) == (1, f"svcadm: {DHCP}: Permission denied.\n")


def test_marked_for_maintenance_and_cleared(host: Host) -> None:
    host.good("svcadm", "enable", DHCP)
    host.good("svcadm", "mark", "maintenance", DHCP)
    text = host.good("svcs", "-x")
    assert text.startswith(f"{DHCP} (ISC DHCP Server)\n State: maintenance since ")
    assert "\nReason: Maintenance requested by an administrator.\n   See: http://illumos.org/msg/SMF-8000-63\n" in text
    assert "   See: dhcpd(8)\n" in text
    assert text.endswith("Impact: This service is not running.\n")
    assert host.run("svcadm", "restart", DHCP) == Completed(0, "", "")
    assert host.good("svcs", "-Ho", "state", DHCP) == "maintenance\n"
    waited = host.run("svcadm", "enable", "-s", DHCP)
    assert waited == Completed(3, "", f'svcadm: Instance "{DHCP}" is in maintenance state.\n')
    host.good("svcadm", "clear", DHCP)
    assert host.good("svcs", "-Ho", "state", DHCP) == "online\n"
    assert host.good("svcs", "-x") == ""


def test_a_dependency_on_a_file_that_is_not_there(host: Host) -> None:
    """Tribblix' dnsmasq waits for its configuration [services 5.1]."""
    name = "svc:/network/dnsmasq:default"
    waited = host.run("svcadm", "enable", "-s", name)
    assert waited == Completed(4, "", f'svcadm: Instance "{name}" has unsatisfied dependencies.\n')
    assert host.good("svcs", "-Ho", "state", name) == "offline\n"
    assert "Reason: Dependency file://localhost/etc/dnsmasq.conf is absent.\n" in host.good("svcs", "-x", name)
    host.file("/etc/dnsmasq.conf").write_text("port=0\n")
    host.good("svcadm", "enable", "-s", name)


def test_enable_with_what_it_needs(host: Host) -> None:
    needs = "= fmri: svc:/network/ipfilter:default"
    host.good("svccfg", "-s", DHCP, "setprop", "network/entities", needs)
    host.good("svcadm", "refresh", DHCP)
    waited = host.run("svcadm", "enable", "-s", DHCP)
    assert waited == Completed(4, "", f'svcadm: Instance "{DHCP}" has unsatisfied dependencies.\n')
    explained = host.good("svcs", "-x", DHCP)
    assert f"Reason: Service {IPFILTER} is disabled.\n   See: http://illumos.org/msg/SMF-8000-FJ\n" in explained
    host.file("/etc/ipf").mkdir(parents=True, exist_ok=True)
    host.good("svcadm", "enable", "-rs", DHCP)
    assert host.good("svcs", "-Ho", "state", DHCP, IPFILTER) == "online\nonline\n"


def test_faults_strike(host: Host) -> None:
    host.world.faults.add(Fault("fail", "svcadm enable *", status="Repository backend is read-only"))
    done = host.run("svcadm", "enable", DHCP)
    assert done == Completed(1, "", f"svcadm: {DHCP}: Repository backend is read-only.\n")
    assert host.good("svcprop", "-c", "-p", "general/enabled", DHCP) == "false\n"


# svcprop --------------------------------------------------------------------------------------------------------------


def test_forms_of_a_property(host: Host) -> None:
    assert host.good("svcprop", "-p", "config/config_file", DHCP) == "/etc/dhcpd.conf\n"
    typed = "config/config_file astring /etc/dhcpd.conf\n"
    assert host.good("svcprop", "-t", "-p", "config/config_file", DHCP) == typed
    assert host.good("svcprop", "-f", "-p", "config/config_file", DHCP) == f"{DHCP}/:properties/{typed}"
    two = host.good("svcprop", "-p", "stop/exec", "-p", "stop/timeout_seconds", DHCP)
    assert two == "stop/exec astring :kill\nstop/timeout_seconds count 60\n"
    both = host.good("svcprop", "-p", "config/lease_file", "dhcp:ipv4", "dhcp:ipv6").splitlines()
    assert both == [f"{DHCP}/:properties/config/lease_file astring /var/db/dhcpd.leases",
                    f"{DHCP[:-1]}6/:properties/config/lease_file astring /var/db/dhcpd6.leases"]  # fmt: skip
    states = host.good("svcprop", "-p", "restarter/state", "-p", "restarter/next_state", IPFILTER)
    assert states == "restarter/state astring disabled\nrestarter/next_state astring none\n"


def test_missing_properties(host: Host) -> None:
    group = f"svcprop: Couldn't find property group `x' for instance `{DHCP}'.\n"
    assert host.run("svcprop", "-p", "x", DHCP) == Completed(1, "", group)
    name = f"svcprop: Couldn't find property `config/x' for instance `{DHCP}'.\n"
    assert host.run("svcprop", "-p", "config/x", DHCP) == Completed(1, "", name)
    assert host.run("svcprop", "-q", "-p", "config/x", DHCP) == Completed(1, "", "")
    assert host.run("svcprop", "-q", "-p", "config/debug", DHCP) == Completed(0, "", "")


def test_values_are_quoted(host: Host) -> None:
    host.good("svccfg", "-s", DHCP, "setprop", "config/text", "=", "astring:", '("a b" "" "c\\"d;e")')
    assert host.good("svcprop", "-c", "-p", "config/text", DHCP) == 'a\\ b "" c\\"d\\;e\n'


def test_the_running_snapshot_is_what_counts(host: Host) -> None:
    host.good("svccfg", "-s", DHCP, "setprop", "config/config_file", "=", "/etc/other.conf")
    assert host.good("svcprop", "-p", "config/config_file", DHCP) == "/etc/dhcpd.conf\n"
    assert host.good("svcprop", "-c", "-p", "config/config_file", DHCP) == "/etc/other.conf\n"
    host.good("svcadm", "refresh", DHCP)
    assert host.good("svcprop", "-p", "config/config_file", DHCP) == "/etc/other.conf\n"


def test_a_refresh_says_what_it_did(host: Host) -> None:
    name = "svc:/network/dnsmasq:default"
    host.file("/etc/dnsmasq.conf").write_text("port=0\n")
    host.good("svcadm", "enable", "-s", name)
    host.good("svcadm", "refresh", name)
    log = host.file("/var/svc/log/network-dnsmasq:default.log").read_text().splitlines()
    texts = [line.split(None, 4)[4].removesuffix(" ]") for line in log]
    start = ['Executing start method ("/usr/sbin/dnsmasq").', 'Method "start" exited with status 0.']
    refresh = ["Rereading configuration.", "No 'refresh' method defined.  Treating as :true."]
    assert texts == ["Enabled.", *start, *refresh]


# zones ----------------------------------------------------------------------------------------------------------------


def test_a_zone_has_a_repository_of_its_own(host: Host) -> None:
    booted(host)
    host.good("svcadm", "-z", "z", "enable", "-s", DHCP)
    assert host.good("svcs", "-z", "z", "-Ho", "state,zone", DHCP).split() == ["online", "z"]
    assert host.good("svcs", "-Ho", "state", DHCP) == "disabled\n"
    assert host.run("svcprop", "-c", "-p", "general/enabled", DHCP, zone="z").out == "true\n"
    assert host.run("zlogin", "z", "svcs", "-Ho", "state", DHCP).out == "online\n"
    log = "/zones/z/root/var/svc/log/network-service-dhcp:ipv4.log"
    assert host.good("svcs", "-z", "z", "-L", DHCP) == f"{host.file(log)}\n"
    assert host.file(log).exists()
    assert host.run("svcs", "-z", "z", DHCP, zone="z").status == NOT_EMULATED


def test_what_lasts_over_a_halt(host: Host) -> None:
    booted(host)
    host.good("svcadm", "-z", "z", "enable", DHCP)
    host.good("svcadm", "-z", "z", "enable", "-t", IPFILTER)
    assert host.run("zlogin", "z", "svccfg", "-s", DHCP, "setprop config/debug = true").status == 0
    host.good("zoneadm", "-z", "z", "halt")
    host.good("zoneadm", "-z", "z", "boot")
    assert host.good("svcs", "-z", "z", "-Ho", "state", DHCP) == "online\n"
    assert host.good("svcs", "-z", "z", "-Ho", "state", IPFILTER) == "disabled\n"
    assert host.good("svcprop", "-z", "z", "-c", "-p", "config/debug", DHCP) == "true\n"
    assert host.good("svcprop", "-z", "z", "-p", "config/debug", DHCP) == "false\n"


def test_zones_without_an_answer(tmp_path: Path) -> None:
    host = Host(tmp_path, Dialect.OMNIOS)
    host.install("z")
    unbound = {
        "svcs": "svcs: Could not bind to repository server: repository server unavailable.  Exiting.\n",
        "svcadm": "svcadm: Couldn't bind to configuration repository: repository server unavailable.\n",
        "svcprop": "svcprop: Could not connect to configuration repository: repository server unavailable.\n",
    }
    words = {"svcs": [DHCP], "svcadm": ["enable", DHCP], "svcprop": [DHCP]}
    booted(host, "vm", brand="bhyve")
    for program, text in unbound.items():
        for zone in ("z", "vm"):
            assert host.run(program, "-z", zone, *words[program]) == Completed(1, "", text)
        unknown = host.run(program, "-z", "nosuch", *words[program])
        assert unknown == Completed(1, "", f"{program}: invalid zone 'nosuch'\n")
    assert host.run("svccfg", "-z", "z", "list").status == 2


def test_the_dialects_differ_in_dnsmasq(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    vanilla, omnios = Host(tmp_path / "a"), Host(tmp_path / "b", Dialect.OMNIOS)
    assert vanilla.good("svcs", "-Ho", "fmri", "dnsmasq") == "svc:/network/dnsmasq:default\n"
    assert omnios.good("svcs", "-Ho", "fmri", "dnsmasq") == "svc:/network/dns/dnsmasq:default\n"
    start = omnios.good("svcprop", "-p", "start/exec", "dnsmasq")
    assert start == "/opt/ooce/sbin/dnsmasq\\ -C\\ /etc/opt/ooce/dnsmasq/dnsmasq.conf\n"
    assert omnios.good("svcprop", "-p", "refresh/exec", "dnsmasq") == ":true\n"
    assert vanilla.run("svcprop", "-q", "-p", "refresh/exec", "dnsmasq").status == 1
