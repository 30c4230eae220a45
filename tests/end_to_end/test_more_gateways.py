"""Chains of gateways, IPv6, and the global zone as a gateway; with real packets."""

from __future__ import annotations

import signal

import pytest
from machine import Daemon, Machine, until
from test_gateway import FAR, boot, calls, links_there, member, ping, private_sources, well

pytestmark = pytest.mark.namespaces

FAR6 = "2001:db8:ffff::1"
WAN = """
[network.wan]
cidr = ["192.0.2.0/24", "2001:db8:0:1::/64"]
uplink = "net0"
gateway = ["192.0.2.1", "2001:db8:0:1::1"]
"""


def begun(host: Machine, config: str) -> Daemon:
    host.do("zonelab", "outside", "capture", "start")
    host.serve("outside", "serve", "tcp", FAR, "80")
    host.serve("outside", "serve", "tcp", FAR6, "80")
    daemon = Daemon(host, config)
    daemon.start()
    return daemon


CHAIN = (
    WAN
    + """
[network.web]
cidr = "10.99.0.0/24"
via = "edge"
[network.vault]
cidr = "10.77.0.0/24"
via = "deep"
[gateway.edge]
outside = "wan"
address = "192.0.2.10"
dhcp = "none"
dns = "none"
[gateway.deep]
outside = "web"
address = "10.99.0.5"
dhcp = "none"
dns = "none"
"""
)


@pytest.mark.parametrize("translated", [True, False], ids=["nat", "routed"])
def test_a_chain_of_two_gateways(machine: Machine, translated: bool) -> None:
    host = machine
    daemon = begun(host, CHAIN + ("" if translated else "nat = false\n"))
    for name in ("edge", "deep"):
        member(host, name)
    member(host, "web1", "web")
    member(host, "gold", "vault")
    links_there(host, "edge_wan0", "edge_web0", "deep_web0", "deep_vault0", "web1_0", "gold_0")
    until(lambda: "deep_vault0" in host.do("zonecfg", "-z", "deep", "export"), "its NICs are in its configuration")
    boot(host, "gold", "deep", "web1", "edge")  # the outermost last: everybody waits for it
    well(daemon)
    assert calls(host, "gold", "tcp", FAR, 80)[:1] == ["192.0.2.10"]
    assert ping(host, "gold", "10.99.0.2"), "the neighbours of its gateway"
    assert ping(host, "web1", "10.77.0.2") is not translated, "in there only by a route"
    host.do("zoneadm", "-z", "deep", "reboot")
    until(lambda: ping(host, "gold", FAR), "all back")
    assert private_sources(host) == []
    assert daemon.stop() == 0


SIX = (
    WAN
    + """
[network.web]
cidr = ["10.99.0.0/24", "fd00:99::/64"]
via = "edge"
pool = ["10.99.0.10-10.99.0.20", "fd00:99::10-fd00:99::20"]
[network.open]
cidr = "2001:db8:99::/64"
via = "edge"
pool = ["2001:db8:99::10-2001:db8:99::20"]
[gateway.edge]
outside = "wan"
address = ["192.0.2.10", "2001:db8:0:1::10"]
dhcp = "none"
dns = "none"
"""
)


def test_ipv6_is_translated_where_it_is_private_and_routed_where_it_is_not(machine: Machine) -> None:
    host = machine
    daemon = begun(host, SIX)
    member(host, "edge")
    member(host, "web1", "web")
    member(host, "open1", "open")
    links_there(host, "edge_wan0", "edge_web0", "edge_open0", "web1_0", "open1_0")
    until(lambda: "edge_open0" in host.do("zonecfg", "-z", "edge", "export"), "its NICs are in its configuration")
    host.do("zonelab", "outside", "route", "add", "2001:db8:99::/64", "via", "2001:db8:0:1::10")
    boot(host, "edge", "web1", "open1")
    well(daemon)
    assert calls(host, "web1", "tcp", FAR, 80)[:1] == ["192.0.2.10"]
    assert calls(host, "web1", "tcp", FAR6, 80)[:1] == ["2001:db8:0:1::10"]
    assert calls(host, "open1", "tcp", FAR6, 80)[:1] == ["2001:db8:99::10"]
    host.serve("open1", "serve", "tcp", "::", "22")
    until(lambda: calls(host, "outside", "tcp", "2001:db8:99::10", 22), "routed in as well as out")
    assert private_sources(host) == []
    assert daemon.stop() == 0


GLOBAL = """
[network.wan]
cidr = "192.0.2.0/24"
uplink = "net0"
gateway = "192.0.2.1"
[network.web]
cidr = "10.99.0.0/24"
via = "global"
[network.db]
cidr = "10.98.0.0/24"
via = "global"
[gateway.global]
outside = "wan"
dhcp = "none"
dns = "none"
"""
FORWARD = """
[[gateway.global.forward]]
port = 8080
to = "web1"
to_port = 80
"""


def test_the_global_zone_is_a_gateway_for_a_host_with_one_address(either: Machine) -> None:
    host = either
    host.do("ipadm", "create-addr", "-T", "static", "-a", "192.0.2.2/24", "net0/v4")
    host.do("route", "-p", "add", "default", "192.0.2.1")
    before = host.do("ipadm", "show-addr"), host.do("ipadm", "show-ifprop", "-p", "forwarding", "-m", "ipv4", "net0")
    daemon = begun(host, GLOBAL + FORWARD)
    member(host, "web1", "web")
    member(host, "db1", "db")
    links_there(host, "web1_0", "db1_0")
    boot(host, "web1", "db1")
    well(daemon)
    assert calls(host, "web1", "tcp", FAR, 80)[:1] == ["192.0.2.2"]
    assert ping(host, "db1", FAR) and ping(host, "db1", "10.99.0.2")
    host.serve("web1", "serve", "tcp", "80")
    until(lambda: calls(host, "outside", "tcp", "192.0.2.2", 8080), "the way in")

    daemon.may_lose("web", "db")
    daemon.configure(GLOBAL.replace("[network.db]\ncidr", "[network.late]\ncidr") + FORWARD)  # one goes, one comes
    host.signal(daemon.pid, signal.SIGHUP)
    until(lambda: "global_db0" not in host.links() and "global_late0" in host.links(), "in any order")
    until(lambda: calls(host, "web1", "tcp", FAR, 80)[:1] == ["192.0.2.2"], "the other is not disturbed")

    daemon.configure("")
    host.signal(daemon.pid, signal.SIGHUP)
    until(lambda: "global_web0" not in host.links() and "global_late0" not in host.links(), "the global zone's NICs")
    for name in ("web1", "db1"):
        host.delete(name)
    until(lambda: host.links() == ["net0"], f"nothing is left: {host.links()}")
    until(
        lambda: "disabled" in host.do("svcs", "-H", "-o", "state", "svc:/network/ipfilter:default"), "it was disabled"
    )
    after = host.do("ipadm", "show-addr"), host.do("ipadm", "show-ifprop", "-p", "forwarding", "-m", "ipv4", "net0")
    assert after == before
    assert private_sources(host) == []
    assert daemon.stop() == 0
    host.do("rm", "-r", "/var/lib/zonehookd")
