"""Zones behind zones, with real packets: out through NAT, in through forwards, and nothing private is ever seen."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator

import pytest
from machine import SET_UP_S, Daemon, Machine, until

pytestmark = pytest.mark.namespaces

FAR = "198.51.100.1"  # a server far away: the lab's outside has it
CONFIG = """
[network.wan]
cidr = "192.0.2.0/24"
uplink = "net0"
gateway = "192.0.2.1"
[network.web]
cidr = "10.99.0.0/24"
via = "edge"
[network.db]
cidr = "10.98.0.0/24"
via = "edge"
[gateway.edge]
outside = "wan"
address = "192.0.2.10"
dhcp = "none"
dns = "none"
[[gateway.edge.forward]]
port = "9000-9003"
to = "web1"
to_port = 7000
[[gateway.edge.static]]
public = "192.0.2.20"
inside = "db1"
"""


def member(host: Machine, name: str, *wishes: str) -> None:
    """A zone with a NIC for each wish, such as ``web`` or ``web 10.99.0.7``."""
    nets = "".join(f"add net; set physical={name}_{number}; end; " for number, _ in enumerate(wishes))
    attrs = "".join(
        f'add attr; set name=zh.net{number}; set type=string; set value="{wish}"; end; '
        for number, wish in enumerate(wishes)
    )
    host.do("zonecfg", "-z", name, f"create -b; set zonepath=/zones/{name}; set brand=sparse; "
            f"set ip-type=exclusive; {nets}{attrs}")  # fmt: skip
    host.do("zoneadm", "-z", name, "install")


def boot(host: Machine, *names: str) -> None:
    for name in names:
        booted = host.run("zoneadm", "-z", name, "boot")
        assert booted.status == 0, booted


def links_there(host: Machine, *links: str) -> None:
    until(lambda: set(links) <= set(host.links()), f"{links}")


def quiet(daemon: Daemon) -> bool:
    """Nobody is in trouble, nobody waits."""
    status = daemon.ctl("status")
    return bool(status and status["ready"] and not status["trouble"])


def well(daemon: Daemon) -> None:
    """Everybody is, also who was booted a moment ago: nobody is in trouble whom no look has seen yet."""
    daemon.settle()
    until(lambda: quiet(daemon), f"everybody is well: {daemon.ask('status').out}", SET_UP_S)


def ping(host: Machine, zone: str, target: str) -> bool:
    return host.inside(zone, "ping", "-c", "1", "-W", "9", target).status == 0


def calls(host: Machine, where: str, kind: str, target: str, port: int) -> list[str]:
    """Who the server says has called it: address, port, and on which port of its own; empty when nobody answers."""
    return host.wire(where, "ask", kind, target, str(port)).out.split()


def private_sources(host: Machine) -> list[str]:
    """Private sources that were ever seen outside, of any protocol."""
    flows = json.loads(host.do("zonelab", "outside", "capture", "show", "--json"))["flows"]
    return [each["src"] for each in flows if each["src"].startswith(("10.", "fd"))]


@pytest.fixture(scope="module")
def world(either: Machine) -> Iterator[tuple[Machine, Daemon]]:
    """A gateway zone with two networks behind it, a zone on each, everything booted and well."""
    host = either
    host.do("zonelab", "outside", "capture", "start")
    for kind in ("tcp", "udp"):
        host.serve("outside", "serve", kind, FAR, "80")
    daemon = Daemon(host, CONFIG)
    daemon.start()
    member(host, "edge")
    member(host, "web1", "web")
    member(host, "web2", "web")
    member(host, "db1", "db 10.98.0.7")
    links_there(host, "edge_wan0", "edge_web0", "edge_db0", "web1_0", "web2_0", "db1_0")
    until(
        lambda: "edge_db0" in host.do("zonecfg", "-z", "edge", "export"), "the gateway's NICs are in its configuration"
    )
    boot(host, "edge", "web1", "web2", "db1")
    well(daemon)
    yield host, daemon
    assert private_sources(host) == [], "no private source was ever seen outside, during all of this"
    daemon.stop()


World = tuple[Machine, Daemon]


def test_tcp_udp_and_ping_leave_with_the_gateways_address(world: World) -> None:
    host, _ = world
    assert ping(host, "web1", FAR)
    for kind in ("tcp", "udp"):
        assert calls(host, "web1", kind, FAR, 80)[:1] == ["192.0.2.10"], kind
    assert (
        host.do("zonelab", "outside", "capture", "show", "--count", "--src", "192.0.2.10", "--proto", "icmp") != "0\n"
    )


def test_one_to_one_shows_its_own_address_and_lets_everything_in(world: World) -> None:
    host, _ = world
    for kind in ("tcp", "udp"):
        assert calls(host, "db1", kind, FAR, 80)[:1] == ["192.0.2.20"], kind
    host.serve("db1", "serve", "tcp", "5432")
    until(lambda: calls(host, "outside", "tcp", "192.0.2.20", 5432), "the public address reaches the zone")
    assert host.run("zonelab", "outside", "run", "--", "ping", "-c", "1", "-W", "9", "192.0.2.20").status == 0


def test_two_networks_behind_one_gateway_meet(world: World) -> None:
    host, _ = world
    assert ping(host, "web1", "10.98.0.7") and ping(host, "db1", "10.99.0.2")


def test_a_range_comes_in_and_keeps_its_offset(world: World) -> None:
    host, _ = world
    host.serve("web1", "serve", "tcp", "7000", "7001", "7002", "7003", "7004")
    until(lambda: calls(host, "outside", "tcp", "192.0.2.10", 9000), "the first port of the range")
    for offset in range(4):
        assert calls(host, "outside", "tcp", "192.0.2.10", 9000 + offset)[2:] == [str(7000 + offset)]
    assert calls(host, "outside", "tcp", "192.0.2.10", 9004) == [], "and no further"


def test_a_neighbour_that_calls_the_public_address_gets_its_answer(world: World) -> None:
    host, _ = world
    assert calls(host, "web2", "tcp", "192.0.2.10", 9001)[2:] == ["7001"]
    assert calls(host, "db1", "tcp", "192.0.2.10", 9002)[2:] == ["7002"]


def test_a_way_in_may_be_for_some_sources_only(world: World) -> None:
    host, daemon = world
    host.serve("web2", "serve", "tcp", "2201", "2202")
    ways = "".join(
        f'[[gateway.edge.forward]]\nport = {port}\nto = "web2"\nsources = ["{source}"]\n'
        for port, source in ((2201, "192.0.2.0/24"), (2202, "203.0.113.0/24"))
    )
    daemon.configure(CONFIG + ways)
    host.signal(daemon.pid, signal.SIGHUP)
    until(lambda: calls(host, "outside", "tcp", "192.0.2.10", 2201), "whoever may come in comes in")
    assert calls(host, "outside", "tcp", "192.0.2.10", 2202) == [], "and nobody else"


def test_the_gateway_reboots_and_nobody_behind_it_is_touched(world: World) -> None:
    host, daemon = world
    boots = host.do("zlogin", "web1", "cat", "/proc/1/stat").split()[21]
    host.do("zoneadm", "-z", "edge", "halt")
    until(lambda: "waiting for gateway edge" in daemon.ask("status").out, "status says who is waited for")
    down = "waiting for gateway edge: its zone is installed"  # before that: it is on its way down
    until(lambda: down in daemon.ask("explain", "web1").out, "and why")
    host.do("zoneadm", "-z", "edge", "boot")
    until(lambda: ping(host, "web1", FAR), "all back")
    until(lambda: quiet(daemon), "everybody is well")
    assert host.do("zlogin", "web1", "cat", "/proc/1/stat").split()[21] == boots


def test_a_foreign_flush_is_repaired_and_counted(world: World) -> None:
    host, daemon = world
    host.do("ipnat", "-CF", "-z", "edge")
    daemon.settle()
    assert calls(host, "web1", "tcp", FAR, 80)[:1] == ["192.0.2.10"]
    metrics = host.do(
        "python3", "-c", "import urllib.request as u; print(u.urlopen('http://127.0.0.1:9631/metrics').read().decode())"
    )
    assert 'drift_repairs_total{cause="missing",kind="gateway",plugin="nat"}' in metrics


def test_all_is_gone_after_delete(world: World) -> None:
    host, daemon = world
    daemon.may_lose("wan", "web", "db")
    daemon.configure("")
    host.signal(daemon.pid, signal.SIGHUP)
    until(
        lambda: "192.0.2.10" not in host.do("zlogin", "edge", "ipadm", "show-addr"), "the gateway's addresses are gone"
    )
    until(lambda: "rdr" not in host.run("ipnat", "-lR", "-z", "edge").out, "its rules are gone")
    until(lambda: "zonehookd" not in host.do("zlogin", "edge", "cat", "/etc/ipf/ipnat.conf"), "nor in its file")
    until(lambda: "edge_" not in host.do("zonecfg", "-z", "edge", "export"), "its NICs are out of its configuration")
    until(
        lambda: not [each for each in host.links() if each.startswith("edge_")], f"its links are gone: {host.links()}"
    )
    for name in ("web1", "web2", "db1", "edge"):
        host.delete(name)
    until(lambda: host.links() == ["net0"], f"nothing is left: {host.links()}")
