"""The world beyond the physical links, and what crosses them."""

from __future__ import annotations

import json
import os
import uuid
from pathlib import Path

import pytest

from lab.dispatch import NOT_EMULATED, paper_world
from lab.tests.bench import Bench, Machine

pytestmark = pytest.mark.namespaces


@pytest.fixture(params=["ours", "ordinary"])
def machine(request: pytest.FixtureRequest) -> Machine:
    made = request.getfixturevalue(request.param)
    assert isinstance(made, Machine)
    return made


NET0 = """
ipadm create-addr -T static -a 192.0.2.10/24 net0/v4
route add default 192.0.2.1 >/dev/null
"""


def test_the_outside_answers_once_net0_is_configured(machine: Machine) -> None:
    out = machine.script(
        """
ls /sys/class/net | xargs
ip -o address | grep -v ' lo ' || echo no addresses
ping -c1 -W1 192.0.2.1 >/dev/null 2>&1 || echo unreachable
"""
        + NET0
        + """
ping -c1 -W9 192.0.2.1 | grep -o ttl=64
ping -c1 -W9 198.51.100.1 | grep -o ttl=64
zonelab outside run -- ping -c1 -W9 192.0.2.10 | grep -o ttl=64
"""
    )
    assert out.splitlines() == ["lo net0", "no addresses", "unreachable", "ttl=64", "ttl=64", "ttl=64"]


def test_ipv6(ours: Machine) -> None:
    out = ours.script(
        """
ipadm create-addr -T addrconf net0/ll
ipadm create-addr -T static -a 2001:db8:0:1::10/64 net0/v6
route add -inet6 default 2001:db8:0:1::1 >/dev/null
ping -c1 -W9 2001:db8:ffff::1 | grep -o ttl=64
"""
    )
    assert out == "ttl=64\n"


def test_a_vnic_of_a_zone_reaches_it_too(machine: Machine) -> None:
    out = machine.script(
        """
dladm create-vnic -l net0 web1_0
zonecfg -z web1 "create; set zonepath=/zones/web1; set ip-type=exclusive; add net; set physical=web1_0; end; commit"
zoneadm -z web1 install >/dev/null; zoneadm -z web1 boot
zlogin web1 ipadm create-addr -T static -a 192.0.2.20/24 web1_0/v4
zlogin web1 ping -c1 -W9 192.0.2.1 | grep -o ttl=64
"""
    )
    assert out == "ttl=64\n"


def test_run_passes_streams_folder_and_status(machine: Machine) -> None:
    out = machine.script(
        """
echo in | zonelab outside run -- cat
zonelab outside run -- sh -c 'exit 7' || echo $?
zonelab outside run -- sh -c 'kill -15 $$' 2>/dev/null || echo $?
zonelab outside run -- no-such-command 2>/dev/null || echo $?
cd /etc; zonelab outside run -- sh -c 'pwd; echo "$@"' sh -- -x
zonelab outside run -- dladm show-link -p -o link
"""
    )
    assert out.splitlines() == ["in", "7", "143", "127", "/etc", "-- -x", "net0"]


def test_addresses_and_routes_of_the_outside(ours: Machine) -> None:
    out = ours.script(
        NET0
        + """
zonelab outside address add 203.0.113.1/32 lo
ping -c1 -W9 203.0.113.1 | grep -o ttl=64
zonelab outside address remove 203.0.113.1/32 lo
zonelab outside run -- ip -br address show lo | grep -c 203.0.113 || true
ipadm create-addr -T static -a 10.9.0.1/24 net0/b
zonelab outside run -- ping -c1 -W1 10.9.0.1 >/dev/null 2>&1 || echo no route
zonelab outside route add 10.9.0.0/24 via 192.0.2.10
zonelab outside run -- ping -c1 -W9 10.9.0.1 | grep -o ttl=64
zonelab outside route add 10.9.0.0/24 via 192.0.2.10 2>&1 || echo $?
zonelab outside address add 300.0.0.1/8 2>&1 || echo $?
zonelab outside address add 10.0.0.1/8 net7 2>&1 || echo $?
"""
    )
    assert out.splitlines() == [
        "ttl=64",
        "0",
        "no route",
        "ttl=64",
        "zonelab: outside route: object already exists",
        "1",
        "zonelab: outside address: '300.0.0.1/8' does not appear to be an IPv4 or IPv6 interface",
        "1",
        "zonelab: outside address: object not found",
        "1",
    ]


def test_several_uplinks(ours: Machine) -> None:
    out = ours.script(
        """
dladm show-phys -p -o link
zonelab outside address add 203.0.113.1/24 net1
ipadm create-addr -T static -a 203.0.113.2/24 net1/v4
ping -c1 -W9 203.0.113.1 | grep -o ttl=64
ipadm create-addr -T static -a 192.0.2.10/24 net2/v4
ping -c1 -W1 192.0.2.1 >/dev/null 2>&1 || echo another wire
""",
        "--uplinks",
        "3",
    )
    assert out.splitlines() == ["net0", "net1", "net2", "ttl=64", "another wire"]


# capture ------------------------------------------------------------------------------------------------------------


def test_a_capture_tells_what_crossed_the_wire(machine: Machine) -> None:
    out = machine.script(
        NET0
        + """
ping -c1 -W9 192.0.2.1 >/dev/null  # before the start
zonelab outside capture start
ping -c2 -i0.01 -W9 198.51.100.1 >/dev/null
python3 -c 'import socket
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind(("192.0.2.10", 4000))
udp.connect(("198.51.100.1", 53))
udp.send(b"x")
try: udp.recv(1)
except ConnectionRefusedError: pass'
zonelab outside capture show --json
zonelab outside capture show --count --proto icmp
zonelab outside capture show --count --proto icmp --src 192.0.2.10/32
zonelab outside capture show --count --port 53 --dst 198.51.100.0/24
zonelab outside capture show --count --port 54
zonelab outside capture show --count --src 10.0.0.0/8
zonelab outside capture show --proto udp --port 4000 | cut -d' ' -f2-
zonelab outside capture show --flows --proto icmp
zonelab outside capture stop
ping -c1 -W9 198.51.100.1 >/dev/null
zonelab outside capture show --count --proto icmp --src 192.0.2.10/32
"""
    )
    first, *rest = out.splitlines()
    report = json.loads(first)
    assert (report["running"], report["forgotten"], report["lost"]) == (True, 0, 0)
    assert report["seen"] == len(report["packets"])
    (udp,) = [packet for packet in report["packets"] if packet["proto"] == "udp"]
    assert udp.pop("time") > 1e9
    assert udp == {
        "link": "net0", "direction": "in", "src": "192.0.2.10", "dst": "198.51.100.1", "proto": "udp", "sport": 4000,
        "dport": 53, "mac": "02:08:20:00:00:01",
    }  # fmt: skip
    assert {"src": "198.51.100.1", "dst": "192.0.2.10", "proto": "icmp", "count": 3} in report["flows"]  # a port error
    assert rest == [
        "5", "2", "1", "0", "0", "in net0 udp 192.0.2.10.4000 > 198.51.100.1.53",
        "icmp 192.0.2.10 > 198.51.100.1 2", "icmp 198.51.100.1 > 192.0.2.10 3", "2",
    ]  # fmt: skip


def test_arp_and_ipv6_are_read_too(ours: Machine) -> None:
    out = ours.script(
        """
zonelab outside capture start
ipadm create-addr -T static -a 192.0.2.10/24 net0/v4
ping -c1 -W9 192.0.2.1 >/dev/null
zonelab outside capture show --proto arp --src 192.0.2.10 | cut -d' ' -f2- | sort -u
ipadm create-addr -T addrconf net0/ll
ipadm create-addr -T static -a 2001:db8:0:1::10/64 net0/v6
ping -c1 -W9 2001:db8:0:1::1 >/dev/null
zonelab outside capture show --proto icmp6 --src 2001:db8:0:1::10 --dst 2001:db8:0:1::1/128 --count
python3 -c 'import socket
try: socket.create_connection(("2001:db8:0:1::1", 81))
except OSError: pass'
zonelab outside capture show --proto tcp --port 81 --dst 2001:db8:0:1::/64 --count
"""
    )
    asks, announces, pings, tries = out.splitlines()
    assert asks == "in net0 arp 192.0.2.10 > 192.0.2.1"
    assert announces == "in net0 arp 192.0.2.10 > 192.0.2.10"
    assert int(pings) >= 1
    assert tries == "2"  # the attempt and the refusal


def test_nothing_is_forgotten_in_silence(ours: Machine) -> None:
    """More packets than the window holds: the counts by address still hold, those by port say that they do not."""
    out = ours.script(
        NET0
        + """
zonelab outside capture start
for part in 1 2 3 4 5 6; do
    python3 -c 'import socket
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.connect(("192.0.2.1", 9))
sent = 0
while sent < 20000:
    try: sent += bool(udp.send(b"x"))
    except ConnectionRefusedError: pass
'
    zonelab outside capture show --count --proto udp >/dev/null 2>&1 || true  # who is asked reads what is waiting
done
zonelab outside capture show --json --src 203.0.113.0/24 2>/dev/null
zonelab outside capture show --count --proto udp 2>/dev/null || true
zonelab outside capture show --count --port 9 2>&1 || echo $?
"""
    )
    lines = out.splitlines()
    report = json.loads(lines[0])
    assert report["packets"] == [] and report["flows"] == []
    assert report["forgotten"] + report["lost"] >= 20_000
    if os.geteuid() != 0 and report["lost"]:  # a receive buffer that only root may enlarge: what it lost is told
        assert int(lines[1]) + report["lost"] >= 120_000
        assert lines[-2:] == ["zonelab: at least; packets were lost or forgotten", "3"]
        return
    assert report["lost"] == 0
    assert lines[1] == "120000"
    assert lines[2:] == ["100000", "zonelab: at least; packets were lost or forgotten", "3"] or int(lines[2]) < 100_000


def test_order_of_a_capture(ours: Machine) -> None:
    out = ours.script(
        """
zonelab outside capture show 2>&1 || echo $?
zonelab outside capture start
zonelab outside capture start 2>&1 || echo $?
zonelab outside capture stop
zonelab outside capture stop
zonelab outside capture start
zonelab outside capture show --count
"""
    )
    assert out.splitlines() == [
        "zonelab: outside capture: no capture was started", "1", "zonelab: outside capture: a capture is running", "1",
        "0",
    ]  # fmt: skip


def test_steering_from_outside_the_host(ours: Machine) -> None:
    name = f"t{uuid.uuid4().hex[:8]}"
    assert ours.zonelab("up", name).returncode == 0
    try:
        host = ("--host", name)
        done = ours.zonelab("outside", "run", *host, "--", "sh", "-c", "echo $1; exit 5", "sh", "--host")
        assert (done.returncode, done.stdout, done.stderr) == (5, "--host\n", "")
        assert ours.zonelab("outside", "capture", "start", *host).returncode == 0
        done = ours.zonelab("outside", "capture", "show", "--count", "--proto", "udp", *host)
        assert (done.returncode, done.stdout) == (0, "0\n")
        done = ours.zonelab("outside", "address", "add", "203.0.113.1/32", "lo", f"--host={name}")
        assert (done.returncode, done.stderr) == (0, "")
    finally:
        ours.zonelab("down", name)


def test_the_data_only_floor_has_no_outside(bench: Bench) -> None:
    done = bench.run("zonelab", "outside", "capture", "start")
    assert (done.returncode, done.stderr) == (
        NOT_EMULATED,
        "zonelab: not emulated: the world outside on the data-only floor\n",
    )


def test_uplinks_as_data(tmp_path: Path) -> None:
    assert list(paper_world(str(tmp_path)).links) == ["net0"]
