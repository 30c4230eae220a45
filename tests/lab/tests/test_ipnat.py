"""ipnat: what it accepts, prints, says and answers [services 1.4-1.7, 1.12, 1.14]."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.dispatch import NOT_EMULATED, SIGKILLED, Completed
from lab.faults import Fault
from lab.tests.zone_host import Host
from lab.world import Dialect

LISTED = "List of active MAP/Redirect filters:\n{}\nList of active sessions:\n"
USAGE = "Usage: ipnat [-CdFhlnrRsv] [-f filename] [-G|-z zonename]\n"
BOX = "map net0 10.99.0.0/24 -> 0/32"


@pytest.fixture
def host(tmp_path: Path) -> Host:
    made = Host(tmp_path)
    made.good("ipf", "-E")
    return made


def canonical(host: Host, text: str, *options: str) -> Completed:
    return host.run("ipnat", "-nv", *options, "-f", "-", stdin=text)


def load(host: Host, text: str, *options: str, zone: str = "global") -> Completed:
    return host.run("ipnat", *options, "-f", "-", stdin=text, zone=zone)


def rules(host: Host, *options: str) -> list[str]:
    lines = host.good("ipnat", "-lR", *options).splitlines()
    assert lines[0] == "List of active MAP/Redirect filters:" and lines[-2:] == ["", "List of active sessions:"]
    return lines[1:-2]


EXAMPLES = """
map  net0 10.99.0.0/24 -> 0/32 portmap tcp/udp auto;       # TCP and UDP only
map  net0 10.99.0.0/24 -> 0/32;                            # everything else (ICMP!)
map  net0 from 10.99.0.0/24 ! to 10.0.0.0/8 -> 203.0.113.5/32 portmap tcp/udp 1025:65000;
bimap net0 10.99.0.7/32 -> 203.0.113.7/32;
rdr  net0 203.0.113.5/32 port 8080 -> 10.99.0.5 port 80 tcp;
rdr  net0 203.0.113.5/32 port 9000-9010 -> 10.99.0.6 port 9000 tcp/udp;    # 9003 -> 9003
rdr  net0 203.0.113.5/32 port 9000-9010 -> 10.99.0.6 port = 9000 tcp;      # all -> 9000
rdr  net0 203.0.113.5/32 port 80 -> 10.99.0.5,10.99.0.6 port 80 tcp round-robin sticky;
rdr  net0 from 198.51.100.0/24 to 203.0.113.5/32 port = 22 -> 10.99.0.8 port 22 tcp;
"""
PRINTED = """\
map net0 10.99.0.0/24 -> 0.0.0.0/32 portmap tcp/udp auto
map net0 10.99.0.0/24 -> 0.0.0.0/32
map net0 from 10.99.0.0/24 ! to 10.0.0.0/8 -> 203.0.113.5/32 portmap tcp/udp 1025:65000
bimap net0 10.99.0.7/32 -> 203.0.113.7/32
rdr net0 203.0.113.5/32 port 8080 -> 10.99.0.5 port 80 tcp
rdr net0 203.0.113.5/32 port 9000-9010 -> 10.99.0.6 port 9000 tcp/udp
rdr net0 203.0.113.5/32 port 9000-9010 -> 10.99.0.6 port = 9000 tcp
rdr net0 203.0.113.5/32 port 80 -> 10.99.0.5,10.99.0.6 port 80 tcp round-robin sticky
rdr net0 from 198.51.100.0/24 to 203.0.113.5/32 port = 22 -> 10.99.0.8 port 22 tcp
"""


def test_the_examples_of_the_sheet_load_and_print(host: Host) -> None:
    assert canonical(host, EXAMPLES, "-R") == Completed(0, PRINTED, "")
    assert load(host, EXAMPLES) == Completed(0, "", "")
    assert host.good("ipnat", "-lR") == LISTED.format(PRINTED)
    assert "port = ssh ->" in host.good("ipnat", "-l")
    assert load(host, PRINTED, "-r") == Completed(0, "", "")
    assert host.good("ipnat", "-l") == LISTED.format("")


@pytest.mark.parametrize(
    ("written", "printed"),
    [
        ("MAP net0 10.0.0.7/24 -> 0/32", "map net0 10.0.0.0/24 -> 0.0.0.0/32"),
        ("map net0 10.0.0.7 -> 0/0", "map net0 10.0.0.7/32 -> 0.0.0.0/0"),
        ("map net0 any -> 1.2.3.4", "map net0 0.0.0.0/0 -> 1.2.3.4/32"),
        ("map net0 0/0 -> 1.2.3.4/32", "map net0 0.0.0.0/0 -> 1.2.3.4/32"),
        ("map net0 from any to 0/0 -> 0/32", "map net0 from any to any -> 0.0.0.0/32"),
        ("map net0 10.0.0.0/255.255.0.0 -> 0/32", "map net0 10.0.0.0/16 -> 0.0.0.0/32"),
        ("map net0 10.0.0.0 mask 0xffffff00 -> 0/32", "map net0 10.0.0.0/24 -> 0.0.0.0/32"),
        ("map net0 10.0.0.1 netmask 255.0.255.0 -> 0/32", "map net0 10.0.0.0/255.0.255.0 -> 0.0.0.0/32"),
        ("map net0,net1 10.0.0.0/24 -> 0/32", "map net0,net1  10.0.0.0/24 -> 0.0.0.0/32"),
        ("map * 10.0.0.0/24 -> 0/32", "map * 10.0.0.0/24 -> 0.0.0.0/32"),
        ("map a-b_c.d0 10.0.0.0/24->0/32", "map a-b_c.d0 10.0.0.0/24 -> 0.0.0.0/32"),
        (f"map {'x' * 40} 10.0.0.0/24 -> 0/32", f"map {'x' * 31} 10.0.0.0/24 -> 0.0.0.0/32"),
        ("map net0 10.0.0.0/24 -> range 1.1.1.1-1.1.1.9", "map net0 10.0.0.0/24 -> range 1.1.1.1-1.1.1.9"),
        (
            "map net0 10.0.0.0/24 -> 0/32 frag age 30/60 tcp",
            "map net0 10.0.0.0/24 -> 0.0.0.0/32 tcp frag age 30/60",
        ),
        (
            "map net0 10.0.0.0/24 -> 0/32 portmap tcpudp 1:9 sequential mssclamp 1400 tag t1",
            "map net0 10.0.0.0/24 -> 0.0.0.0/32 portmap tcp/udp 1:9 sequential mssclamp 1400 tag t1",
        ),
        (
            "map net0 10.0.0.0/24 -> 0/32 icmpidmap icmp 1:99",
            "map net0 10.0.0.0/24 -> 0.0.0.0/32 icmpidmap icmp 1:99",
        ),
        (
            "map net0 10.0.0.0/24 -> 0/32 proxy port ftp ftp/tcp",
            "map net0 10.0.0.0/24 -> 0.0.0.0/32 proxy port 21 ftp/tcp",
        ),
        ("map-block net0 10.0.0.0/24 -> 1.1.1.0/24 ports auto", "map-block net0 10.0.0.0/24 -> 1.1.1.0/24 ports auto"),
        (
            "map net0 from 10.0.0.0/8 port 1 <> 9 to any port >= 80 -> 0/32 tcp",
            "map net0 from 10.0.0.0/8 port 1 <> 9 to any port >= 80 -> 0.0.0.0/32 tcp",
        ),
        ("rdr net0 1.2.3.4 -> 10.0.0.1", "rdr net0 1.2.3.4/32 -> 10.0.0.1 ip"),
        ("rdr net0 1.2.3.4 port 80 -> 10.0.0.1 port http", "rdr net0 1.2.3.4/32 port 80 -> 10.0.0.1 port 80 tcp"),
        ("rdr net0 1.2.3.4 port 1:9 -> 0/32 port 1 17", "rdr net0 1.2.3.4/32 port 1-9 -> 0.0.0.0 port 1 udp"),
        (
            "rdr net0 ! from 10.0.0.0/8 to 1.2.3.4 port eq 80 -> 10.0.0.1 port 81",
            "rdr net0 ! from 10.0.0.0/8 to 1.2.3.4/32 port = 80 -> 10.0.0.1 port 81 tcp",
        ),
        ("map net0 fd00:0::5/64 -> 2001:db8::1", "map net0 fd00::/64 -> 2001:db8::1/128"),
        ("n=net7;map $n 10.0.0.0/24 -> ${t}", "map net7 10.0.0.0/24 -> 9.9.9.9/32"),
        ("map net0\n10.0.0.0/24 ->\n0/32\n\n", "map net0 10.0.0.0/24 -> 0.0.0.0/32"),
    ],
)
def test_canonical_form(host: Host, written: str, printed: str) -> None:
    text = "t = 9.9.9.9;\n" + written if "${t}" in written else written
    assert canonical(host, text, "-R") == Completed(0, printed + "\n", "")
    if "frag" not in written:  # of these, what is printed cannot be read again
        assert canonical(host, printed, "-R").out == printed + "\n"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("map net0 10.0.0.0/24 -> 0/32 portmap tcp tcp", 'syntax error error at "tcp", line 1'),
        ("map net0 10.0.0.0/24 -> 0/32 tcp frag", 'syntax error error at "frag", line 1'),
        ("map net0 from any to !10.0.0.0/8 -> 0/32", 'syntax error error at "!", line 1'),
        ("map net0 from any port 80 to any -> 0/32", 'syntax error error at "to", line 1'),
        ("map net0 10.0.0.0/24 # no\n-> 0/32", 'syntax error error at "# no", line 1'),
        ("map tag 10.0.0.0/24 -> 0/32", 'syntax error error at "tag", line 1'),
        ("map 0net 10.0.0.0/24 -> 0/32", 'syntax error error at "0net", line 1'),
        ("map net0:1 10.0.0.0/24 -> 0/32", 'syntax error error at ":", line 1'),
        ("\n\nmap net0", 'syntax error error at "", line 1'),
        ("\n \n", 'syntax error error at "", line 1'),
        ("# ok\n\nrdr net0 1.2.3.4 port 80 -> 10.0.0.1/32 port 80", 'Invalid mask for dip error at "32", line 3'),
        ("rdr net0 1.2.3.4 port 70000 -> 10.0.0.1 port 80", 'invalid port number error at "70000", line 1'),
        ("rdr net0 from any to 1.2.3.4 -> 10.0.0.1", 'syntax error error at "", line 1'),
        ("rdr net0 from any ! to 1.2.3.4 port = 1 -> 10.0.0.1 port 1", 'syntax error error at "!", line 1'),
        (
            "map net0 10.0.0.0/24 -> 0/32 portmap tcp/udp auto\ntcp",
            'protocol set twice error at "tcp", line 2',
        ),
        ("map net0 10.0.0.0/24 -> fd00::1", '1.address family mismatch error at "", line 1'),
    ],
)
def test_syntax_errors(host: Host, text: str, complaint: str) -> None:
    done = host.run("ipnat", "-n", "-f", "-", stdin=text)
    assert (done.status, done.out, done.err) == (1, "", complaint + "\n")


@pytest.mark.parametrize("text", ["", "# nothing\n", "#"])
def test_no_rules_are_no_error(host: Host, text: str) -> None:
    assert load(host, text) == Completed(0, "", "")


def test_a_stray_word_becomes_the_protocol_of_the_rule_before(host: Host) -> None:
    done = load(host, f"{BOX}\nbogus line\nmap net0 10.1.0.0/24 -> 0/32")
    assert (done.status, rules(host)) == (1, ["map net0 10.99.0.0/24 -> 0.0.0.0/32 255"])
    assert load(host, f"{BOX};\nbogus line").status == 1
    assert rules(host)[1:] == ["map net0 10.99.0.0/24 -> 0.0.0.0/32"]


def test_the_valid_head_of_a_broken_line_is_loaded(host: Host) -> None:
    text = f"map net0 10.1.0.0/24 -> 0/32;\n{BOX} port 80\nmap net0 10.2.0.0/24 -> 0/32"
    assert load(host, text) == Completed(1, "", 'syntax error error at "port", line 2\n')
    assert rules(host) == ["map net0 10.1.0.0/24 -> 0.0.0.0/32", "map net0 10.99.0.0/24 -> 0.0.0.0/32"]


def test_the_order_of_work_is_fixed_and_only_the_last_file_counts(host: Host) -> None:
    for name in ("one", "two"):
        host.file(f"/{name}").write_text(f"map {name} 10.0.0.0/24 -> 0/32;")
    load(host, BOX)
    done = host.run("ipnat", "-l", "-f", "/one", "-f", "two", "-CF")
    assert done == Completed(
        0,
        "0 entries flushed from NAT table\n4 entries flushed from NAT list\n"
        + LISTED.format("map two 10.0.0.0/24 -> 0.0.0.0/32\n"),
        "",
    )


def test_a_wrong_file_after_a_flush_has_flushed_already(host: Host) -> None:
    load(host, BOX)
    assert load(host, "rubbish !", "-CF").status == 1
    assert rules(host) == []


def test_without_doing_anything(host: Host) -> None:
    load(host, BOX)
    done = host.run("ipnat", "-nCF", "-f", "-", stdin="map net1 10.0.0.0/33 -> 0/32 portmap tcp 2000:1000")
    assert done == Completed(0, "0 entries flushed from NAT table\n1 entries flushed from NAT list\n", "")
    assert rules(host) == ["map net0 10.99.0.0/24 -> 0.0.0.0/32"]


def test_what_the_kernel_refuses_is_said_and_the_status_is_0(host: Host) -> None:
    load(host, BOX)
    text = (
        f"{BOX}\nmap net0 10.1.0.0/24 -> 0/32 portmap tcp 2000:1000\n"
        "map net0 10.2.0.0/24 -> 0/32 proxy port 99 nobody/tcp\nmap net0 10.3.0.0/24 -> 0/32"
    )
    assert load(host, text) == Completed(
        0,
        "",
        "2:ioctl(add/insert nat rule): File exists\n3:ioctl(add/insert nat rule): Invalid argument\n"
        "4:ioctl(add/insert nat rule): No such file or directory\n",
    )
    assert len(rules(host)) == 2
    assert load(host, "map net0 10.9.0.0/24 -> 0/32", "-r") == Completed(
        0, "", "1:ioctl(delete nat rule): No such process\n"
    )
    assert host.run("ipnat", "-f", "/none") == Completed(0, "", "fopen(/none) failed: No such file or directory\n")


def test_rdr_rules_that_differ_in_the_target_port_are_two(host: Host) -> None:
    rdr = "rdr net0 1.2.3.4/32 port 80 -> 10.0.0.1 port {} tcp"
    assert load(host, f"{rdr.format(80)};{rdr.format(81)};") == Completed(0, "", "")
    assert rules(host) == [rdr.format(80), rdr.format(81)]
    load(host, rdr.format(80), "-r")
    load(host, rdr.format(80))
    assert rules(host) == [rdr.format(81), rdr.format(80)]  # appended


def test_usage(host: Host) -> None:
    assert host.run("ipnat") == Completed(0, "", "")
    assert host.run("ipnat", "-q") == Completed(1, "", "ipnat: illegal option -- q\n" + USAGE)
    assert host.run("ipnat", "-f") == Completed(1, "", "ipnat: option requires an argument -- f\n" + USAGE)


def test_statistics_come_first_and_hits_before_each_rule(host: Host) -> None:
    load(host, BOX)
    out = host.good("ipnat", "-lsh")
    assert out.startswith("mapped\tin\t0\tout\t0\nadded\t0\texpired\t0\nno memory\t0\tbad nat\t0\ninuse\t0\n")
    assert out.endswith("rules\t1\nwilds\t0\n" + LISTED.format("0 map net0 10.99.0.0/24 -> 0.0.0.0/32\n"))


def test_a_stack_that_is_off(host: Host) -> None:
    host.good("ipf", "-D")
    for arguments in ([], ["-l"], ["-CF"], ["-f", "/etc/passwd"]):
        assert host.run("ipnat", *arguments) == Completed(1, "", "ioctl(SIOCGNATS): I/O error\n")
    assert canonical(host, BOX).status == 0


def test_switching_off_forgets_everything(host: Host) -> None:
    load(host, BOX)
    host.good("ipf", "-E")
    assert len(rules(host)) == 1
    host.good("ipf", "-D")
    host.good("ipf", "-E")
    assert rules(host) == []


# zones --------------------------------------------------------------------------------------------------------------


def test_three_stacks_and_where_they_are_seen(host: Host) -> None:
    host.install("web1")
    host.good("zoneadm", "-z", "web1", "boot")
    host.good("ipf", "-E", "web1")
    host.good("ipf", "-GE", "web1")
    load(host, BOX)
    load(host, "map inner0 10.0.0.0/24 -> 0/32", "-z", "web1")
    load(host, "map outer0 10.0.0.0/24 -> 0/32", "-G", "web1")
    assert [rules(host, *where)[0].split()[1] for where in ([], ["-z", "web1"], ["-G", "web1"])] == [
        "net0", "inner0", "outer0",
    ]  # fmt: skip
    inside = host.run("ipnat", "-l", zone="web1")
    assert inside == Completed(0, LISTED.format("map inner0 10.0.0.0/24 -> 0.0.0.0/32\n"), "")
    assert rules(host, "-z", "global") == rules(host)
    host.good("zoneadm", "-z", "web1", "reboot")
    assert host.run("ipnat", "-l", "-z", "web1") == Completed(1, "", "ioctl(SIOCGNATS): I/O error\n")


def test_a_zone_reads_its_own_files(host: Host) -> None:
    host.install("web1")
    host.good("zoneadm", "-z", "web1", "boot")
    host.run("ipf", "-E", zone="web1")
    etc = host.file("/zones/web1/root/etc/ipf")
    etc.mkdir(parents=True)
    (etc / "real.conf").write_text("map inner0 10.0.0.0/24 -> 0/32;")
    (etc / "ipnat.conf").symlink_to("/etc/ipf/real.conf")
    assert host.run("ipnat", "-f", "/etc/ipf/ipnat.conf", zone="web1") == Completed(0, "", "")
    assert rules(host, "-z", "web1") == ["map inner0 10.0.0.0/24 -> 0.0.0.0/32"]


def test_zones_that_cannot_be_named(host: Host) -> None:
    host.install("web1")
    host.install("old")

    def answer(*arguments: str, zone: str = "global") -> str:
        done = host.run("ipnat", "-l", *arguments, zone=zone)
        assert (done.status, done.out) == (1, "")
        return done.err

    assert answer("-z", "web1") == "Could not find running zone: web1\n"
    assert answer("-G", "ghost") == "Could not find running zone: ghost\n"
    assert answer("-G", "global") == "-G cannot be used with the global zone\n"
    assert answer("-G", "web1", "-z", "web1") == "Only one of -G and -z may be set\n"
    host.good("zoneadm", "-z", "web1", "boot")
    assert answer("-z", "web1", zone="web1") == "Permission denied setting zone: web1\n"


def test_a_zone_without_a_stack_of_its_own(host: Host) -> None:
    host.good("zonecfg", "-z", "old", "create -b; set zonepath=/zones/old; set brand=sparse")
    host.zoneadm("old", "install")
    host.good("zoneadm", "-z", "old", "boot")
    assert host.run("ipnat", "-l", "-z", "old").status == NOT_EMULATED


def test_machines_of_bhyve_have_no_stack_inside(tmp_path: Path) -> None:
    host = Host(tmp_path, Dialect.OMNIOS)
    host.install("vm1", brand="bhyve")
    host.good("zoneadm", "-z", "vm1", "boot")
    assert host.run("ipnat", "-l", zone="vm1").status == NOT_EMULATED
    host.good("ipf", "-GE", "vm1")
    assert rules(host, "-G", "vm1") == []


def test_nat_on_one_interface_in_both_stacks_is_refused(host: Host) -> None:
    host.install("web1")
    host.good("zoneadm", "-z", "web1", "boot")
    host.good("ipf", "-E", "web1")
    host.good("ipf", "-GE", "web1")
    load(host, BOX, "-z", "web1")
    assert load(host, BOX, "-G", "web1").status == NOT_EMULATED
    assert load(host, "rdr net0 1.2.3.4 port 80 -> 10.0.0.1 port 80;", "-G", "web1").status == 0


# faults and what the lab does not do --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "rule",
    [
        "map net0 10.0.0.0/24 -> 0/32 proxy port ftp ftp/tcp",
        "map-block net0 10.0.0.0/24 -> 1.1.1.0/24",
        "map net0 10.0.0.0/24 -> 0/32 age 10",
        "map net0 10.0.0.0/24 -> 0/32 mssclamp 1400",
        "map net0 10.0.0.0/24 -> 0/0 portmap tcp 1:9",
        "map net0,net1 10.0.0.0/24 -> 0/32",
        "bimap net0 10.0.0.0/24 -> 1.1.1.1/32",
        "rdr net0 0/32 port 80 -> 10.0.0.1 port 80",
        "rdr net0 1.1.1.1 port 1000-9000 -> 10.0.0.1 port 60000",
        "map net0 example.org -> 0/32",
        'map "net0" 10.0.0.0/24 -> 0/32',
    ],
)
def test_what_the_lab_does_not_do_is_refused_loudly(host: Host, rule: str) -> None:
    done = load(host, rule)
    assert done.status == NOT_EMULATED and done.err.startswith("zonelab: not emulated: ")
    assert rules(host) == []


def test_a_fault_strikes_one_rule(host: Host) -> None:
    host.world.faults.add(Fault("busy", "ipnat *"))
    assert load(host, BOX) == Completed(0, "", "1:ioctl(add/insert nat rule): Device busy\n")
    assert load(host, BOX) == Completed(0, "", "")
    host.world.faults.add(Fault("again", "ipnat -F"))
    assert host.run("ipnat", "-F") == Completed(0, "", "ioctl(SIOCFLNAT): Resource temporarily unavailable\n")


def test_a_load_that_is_killed_leaves_half(host: Host) -> None:
    host.world.faults.add(Fault("kill", "ipnat *"))
    assert load(host, "map net0 10.1.0.0/24 -> 0/32; map net0 10.2.0.0/24 -> 0/32;").status == SIGKILLED
    assert rules(host) == ["map net0 10.1.0.0/24 -> 0.0.0.0/32"]
