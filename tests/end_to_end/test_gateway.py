"""Zones behind zones, with real packets: out through NAT, in through forwards, and nothing private is ever seen."""

from __future__ import annotations

import json
from typing import Any

import pytest
from machine import Daemon, Machine, until

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


def seen_outside(host: Machine, **filters: str) -> list[dict[str, Any]]:
    words = [word for key, value in filters.items() for word in (f"--{key}", value)]
    found: list[dict[str, Any]] = json.loads(host.do("zonelab", "outside", "capture", "show", "--json", *words))
    return found


def ping(host: Machine, zone: str, target: str) -> bool:
    return host.run("zlogin", zone, "ping", "-c", "1", "-W", "3", target).status == 0


def test_zones_behind_a_gateway(either: Machine) -> None:
    host = either
    before = host.links()
    host.do("zonelab", "outside", "capture", "start")
    daemon = Daemon(host, CONFIG)
    daemon.start()
    member(host, "edge")
    member(host, "web1", "web")
    member(host, "db1", "db 10.98.0.7")
    links_there(host, "edge_wan0", "edge_web0", "edge_db0", "web1_0", "db1_0")
    until(lambda: "edge_db0" in host.do("zonecfg", "-z", "edge", "export"), "the gateway's NICs are in its configuration")
    boot(host, "edge", "web1", "db1")
    until(lambda: quiet(daemon), f"everybody is well: {daemon.ask('status').out}")
    for zone in ("web1", "db1"):
        assert ping(host, zone, FAR), zone
    assert ping(host, "web1", "10.98.0.7"), "two networks behind one gateway"
    print(host.do("zonelab", "outside", "capture", "show"))
