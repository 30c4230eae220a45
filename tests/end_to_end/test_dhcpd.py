"""Zones get their leases from the real dhcpd: through OMAPI in the global zone, from a file in a gateway zone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from machine import Daemon, Machine, until
from test_gateway import boot, links_there, member, quiet

pytestmark = pytest.mark.namespaces

FMRI = "svc:/network/service/dhcp:ipv4"
CONFIG = """
[plugins]
enabled = ["etherstub", "gateway_nic", "vnic", "pool", "address", "boot_again", "nat", "gateway", "zone_address", "dhcpd"]
[network.wan]
cidr = "192.0.2.0/24"
uplink = "net0"
gateway = "192.0.2.1"
[network.lan]
cidr = "10.97.0.0/24"
via = "global"
address_by = "dhcp"
domain = "example.org"
[network.lan.dhcp]
ntp = ["10.97.0.9"]
[network.lan.dhcp.options]
224 = "ff:01"
[network.web]
cidr = "10.99.0.0/24"
via = "edge"
address_by = "dhcp"
[network.db]
cidr = "10.98.0.0/24"
via = "edge"
address_by = "dhcp"
[gateway.global]
dhcp = "dhcpd"
[gateway.edge]
outside = "wan"
address = "192.0.2.10"
dhcp = "dhcpd"
dns = "none"
upstream = ["192.0.2.53"]
"""


@pytest.fixture(scope="module")
def world(either: Machine) -> Iterator[tuple[Machine, Daemon]]:
    host = either
    daemon = Daemon(host, CONFIG)
    daemon.start()
    member(host, "edge")
    member(host, "app1", "lan")
    member(host, "web1", "web", "db")
    links_there(host, "edge_web0", "edge_db0", "app1_0", "web1_0", "web1_1")
    boot(host, "edge", "app1", "web1")
    until(lambda: quiet(daemon), f"everybody is well: {daemon.ask('status').out}", 30)
    yield host, daemon
    daemon.stop()


World = tuple[Machine, Daemon]


def ask_for_lease(host: Machine, zone: str, link: str) -> dict[str, Any]:
    """What the client in the zone was given."""
    host.do("zlogin", zone, f"ipadm create-addr -t -T dhcp -w 20 {link}/v4")
    answer: dict[str, Any] = json.loads(host.do("zonelab", "lease", zone, link))
    return answer


def test_one(world: World) -> None:
    host, daemon = world
    print(host.do("cat", "/etc/dhcpd.d/zonehookd.conf", "/etc/dhcpd.conf", "/var/db/dhcpd.leases"))
    print(host.do("svcs", "-a"))
    print(ask_for_lease(host, "app1", "app1_0"))
    print(ask_for_lease(host, "web1", "web1_0"))
    print(ask_for_lease(host, "web1", "web1_1"))
    print(host.do("zlogin", "edge", "cat /etc/dhcpd.d/zonehookd.conf"))
    print(daemon.ask("status").out)
    assert 0
