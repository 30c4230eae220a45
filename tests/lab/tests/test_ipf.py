"""ipf and ipfstat: options in order, the two sets, the grammar, the lists [services 1.8-1.10, 1.12, 1.14]."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.dispatch import NOT_EMULATED, Completed
from lab.faults import Fault
from lab.tests.zone_host import Host

EMPTY = "empty list for ipfilter(out)\nempty list for ipfilter(in)\n"
EMPTY_INACTIVE = EMPTY.replace("for", "for inactive")
USAGE = (
    "usage: ipf [-6AdDEGInoPrRsvVyzZ] [-l block|pass|nomatch|state|nat] [-cc] [-F i|o|a|s|S|u] [-f filename] "
    "[-T <tuneopts>] [zonename]\n"
)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    made = Host(tmp_path)
    made.good("ipf", "-E")
    return made


def load(host: Host, text: str, *options: str) -> Completed:
    return host.run("ipf", *options, "-f", "-", stdin=text)


def canonical(host: Host, text: str, *options: str) -> Completed:
    return host.run("ipf", *options, "-nv", "-f", "-", stdin=text)


EXAMPLE = """
block in quick on int0 from any to 10.98.0.0/24;                 # int0's net must not reach int1's net
block in log on int0 all head int0
pass  in quick proto udp from any to any port = 67 group int0    # DHCP
pass  in quick proto tcp/udp from 10.99.0.0/24 to 10.99.0.1/32 port = 53 keep state group int0
pass  in quick from 10.99.0.0/24 to any keep state group int0
pass out quick all keep state
"""


def test_the_example_of_the_sheet(host: Host) -> None:
    assert load(host, EXAMPLE) == Completed(0, "", "")
    assert host.run("ipfstat", "-hnioR") == Completed(
        0,
        "0 @1 pass out quick all keep state\n"
        "0 @1 block in quick on int0 from any to 10.98.0.0/24\n"
        "0 @2 block in log on int0 all head int0\n"
        "0 @1 pass in quick proto udp from any to any port = 67 group int0\n"
        "0 @2 pass in quick proto tcp/udp from 10.99.0.0/24 to 10.99.0.1/32 port = 53 keep state group int0\n"
        "0 @3 pass in quick from 10.99.0.0/24 to any keep state group int0\n",
        "",
    )
    assert "port = domain" in host.good("ipfstat", "-io")


@pytest.mark.parametrize(
    ("written", "printed"),
    [
        ("pass in", "pass in all"),
        ("PASS OUT LOG BODY FIRST QUICK ON net0 ALL", "pass out log body first quick on net0 all"),
        ("block in on net0 quick from 10.0.0.7/24 to any", "block in quick on net0 from 10.0.0.0/24 to any"),
        ("block in from !10.0.0.0/8 to 1.2.3.4", "block in from !10.0.0.0/8 to 1.2.3.4/32"),
        ("block in to 1.2.3.4", "block in from any to 1.2.3.4/32"),
        ("pass in proto tcp all", "pass in proto tcp from any to any"),
        ("pass in proto tcp flags S keep state", "pass in proto tcp from any to any flags S/FSRPAU keep state"),
        ("pass in proto tcp flags AS/SAFR", "pass in proto tcp from any to any flags SA/FSRA"),
        ("pass in proto tcp from any port 1 >< 9 to any port != 80", None),
        ("pass in proto tcp from any to any port 1:9", None),
        ("pass in proto tcp from any to any port = http", "pass in proto tcp from any to any port = 80"),
        ("block in proto icmp all icmp-type 8 code 0", "block in proto icmp from any to any icmp-type echo code 0"),
        ("block return-rst in proto tcp from any to any port = 113", None),
        ("block return-icmp(port-unr) in all", "block return-icmp(3) in all"),
        ("pass in all keep state keep frags group g head h", None),
        ("pass in all head h group g", "pass in all head h group g"),
        ("@5 pass in quick all", "pass in quick all"),
    ],
)
def test_canonical_form(host: Host, written: str, printed: str | None) -> None:
    if written.endswith("group g head h"):
        assert canonical(host, written).status == 1  # head comes before group
        return
    assert canonical(host, written, "-R") == Completed(0, (printed or written) + "\n", "")


def test_lists_become_several_rules(host: Host) -> None:
    load(host, "pass in quick proto tcp from (10.0.0.1, 10.0.0.2) to any port = (22, 80) flags S keep state group g")
    lines = host.good("ipfstat", "-iR").splitlines()
    assert len(lines) == 4
    assert lines[1] == ("pass in quick proto tcp from 10.0.0.1/32 to any port = 80 flags S/FSRPAU keep state group g")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("pass in from any to any port = http", 'service unknown error at "http", line 1'),
        ("pass in from 10.0.0.0/33 to any", 'Bad value specified for netmask error at "to", line 1'),
        ("\n\npass in from fd00::/64 to any", 'Bad value specified for netmask error at "to", line 3'),
        ("pass in all flags S", 'flags with non-ipf type rule error at "", line 1'),
        ("pass sideways", 'syntax error error at "sideways", line 1'),
        ("pass in quick quick", 'syntax error error at "quick", line 1'),
    ],
)
def test_syntax_errors(host: Host, text: str, complaint: str) -> None:
    done = load(host, text)
    assert (done.status, done.err) == (1, complaint + "\n")


def test_almost_everything_is_optional_and_loaded_before_the_error(host: Host) -> None:
    assert load(host, "pass in bogus").status == 1
    assert host.good("ipfstat", "-i") == "pass in all\n"


def test_options_work_from_left_to_right(host: Host) -> None:
    for name, text in (("four", "block in all"), ("six", "block out all")):
        host.file(f"/{name}").write_text(text)
    load(host, "pass in all")
    done = host.run("ipf", "-I", "-Fa", "-f", "/four", "-6", "-Fa", "-f", "/six", "-sy")
    assert done == Completed(0, "Set 0 now inactive\nfilter sync'd\n", "")
    assert host.run("ipfstat", "-io") == Completed(0, "block in all\n", "empty list for ipfilter(out)\n")
    assert host.run("ipfstat", "-6io") == Completed(0, "block out all\n", "empty list for ipfilter(in)\n")
    assert host.run("ipfstat", "-Ii") == Completed(0, "pass in all\n", "")
    assert host.good("ipf", "-s") == "Set 1 now inactive\n"
    assert host.run("ipfstat", "-i") == Completed(0, "pass in all\n", "")
    assert host.run("ipfstat", "-6io") == Completed(0, "", EMPTY)  # one swap turns both families
    assert host.good("ipf", "-IAFi") == ""  # -A takes -I back
    assert host.run("ipfstat", "-io") == Completed(0, "", EMPTY)
    assert host.good("ipf", "-n", "-Fa", "-s", "-y") == "Set 2 now inactive\nfilter sync'd\n"
    assert host.good("ipfstat", "-Ii") == "block in all\n"


def test_a_parse_error_ends_everything_before_the_swap(host: Host) -> None:
    load(host, "pass in all")
    host.file("/bad").write_text("block in all\n}")
    assert host.run("ipf", "-I", "-Fa", "-f", "/bad", "-s") == Completed(1, "", 'syntax error error at "}", line 2\n')
    assert host.good("ipfstat", "-i") == "pass in all\n"
    assert host.good("ipfstat", "-Ii") == "block in all\n"


def test_flushing_one_direction(host: Host) -> None:
    load(host, "pass in all\npass out all")
    host.good("ipf", "-Fo")
    assert host.run("ipfstat", "-io") == Completed(0, "pass in all\n", "empty list for ipfilter(out)\n")


def test_what_is_refused_is_said_or_not(host: Host) -> None:
    assert load(host, "pass in all\npass in all\nblock out all") == Completed(
        0, "", "3:ioctl(add/insert rule): File exists\n"
    )
    assert host.run("ipf", "-f", "/none") == Completed(0, "", "fopen(/none) failed: No such file or directory\n")
    assert load(host, "pass out all", "-r") == Completed(0, "", "")
    assert load(host, "pass in all", "-r") == Completed(0, "", "")
    assert host.run("ipfstat", "-io") == Completed(0, "block out all\n", "empty list for ipfilter(in)\n")


def test_a_place_in_the_list_is_counted_from_0(host: Host) -> None:
    load(host, "pass in on a0\npass out on b0\npass in on c0")
    load(host, "@1 pass in on d0\n@0 pass in on e0\n@9 pass in on f0")
    assert host.good("ipfstat", "-in") == "".join(
        f"@{at} pass in on {name} all\n" for at, name in enumerate(("e0", "a0", "d0", "c0", "f0"), start=1)
    )


def test_version_and_usage(host: Host) -> None:
    out = host.good("ipf", "-V")
    assert out.startswith("ipf: IP Filter: v4.1.9 (") and "\nRunning: yes\n" in out and "\nActive list: 0\n" in out
    host.good("ipf", "-D")
    assert "\nRunning: no\n" in host.good("ipf", "-V")
    assert host.run("ipf", "-V", "ghost") == Completed(1, "", "Could not find running zone: ghost\n")
    assert host.run("ipf") == Completed(1, "", USAGE)
    assert host.run("ipf", "-q") == Completed(1, "", USAGE)


def test_a_stack_that_is_off(host: Host) -> None:
    host.good("ipf", "-D")
    assert load(host, "pass in all") == Completed(0, "", "1:ioctl(add/insert rule): I/O error\n")
    assert host.run("ipf", "-Fa") == Completed(1, "", "ioctl(SIOCIPFFL): I/O error\n")


def test_zones(host: Host) -> None:
    host.file("/rules").write_text("block in all")
    absent = "Could not find running zone: web1\n"
    assert host.run("ipf", "-Fa", "-f", "/rules", "web1") == Completed(1, "", absent)
    assert host.run("ipf", "-f", "/rules", "web1") == Completed(
        0, "", absent + "1:ioctl(add/insert rule): Bad file number\n"
    )
    assert host.run("ipfstat", "-io", "-z", "web1") == Completed(255, "", absent)
    host.install("web1")
    host.good("zoneadm", "-z", "web1", "boot")
    done = host.run("ipf", "-G", "-E", "-I", "-Fa", "-f", "/rules", "-6", "-Fa", "-sy", "web1")
    assert done == Completed(0, "Set 0 now inactive\nfilter sync'd\n", "")
    assert host.run("ipfstat", "-io", "-G", "web1").out == "block in all\n"
    assert host.run("ipfstat", "-io", "-z", "web1") == Completed(0, "", EMPTY)
    assert "Running: no" in host.good("ipf", "-V", "web1")
    assert "Running: yes" in host.good("ipf", "-GV", "web1")
    assert host.run("ipfstat", "-io", "-z", "web1", zone="web1") == Completed(
        255, "", "Permission denied setting zone: web1\n"
    )
    assert host.run("ipfstat", "-iI", "-G", "web1").err == "empty list for inactive ipfilter(in)\n"
    host.good("ipf", "-GD", "web1")
    host.good("ipf", "-GE", "web1")
    assert host.run("ipfstat", "-io", "-G", "web1") == Completed(0, "", EMPTY)


@pytest.mark.parametrize(
    "rule",
    [
        "set intercept_loopback true;",
        "count in all",
        "skip 1 in all",
        "pass in on net0 to net1:10.0.0.1 all",
        "pass in fastroute all",
        "pass in all with short",
        "pass in all keep state (strict)",
        "block in all keep state",
        "pass in from pool/7 to any",
        "100 pass in all",
        "block in quick all head g\npass in group g",
        "pass in all head g\npass in all head g group g",
    ],
)
def test_what_the_lab_does_not_do_is_refused_loudly(host: Host, rule: str) -> None:
    done = load(host, rule)
    assert done.status == NOT_EMULATED and done.err.startswith("zonelab: not emulated: ")


def test_faults(host: Host) -> None:
    host.world.faults.add(Fault("again", "ipf *"))
    assert load(host, "pass in all") == Completed(0, "", "1:ioctl(add/insert rule): Resource temporarily unavailable\n")
    assert host.run("ipfstat", "-Iio") == Completed(0, "", EMPTY_INACTIVE)
