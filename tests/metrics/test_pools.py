"""Addresses of pools, by what becomes of them: every address of a pool is in exactly one state."""

from __future__ import annotations

import pytest
from fixtures import Admin, Build
from paper import Engine

from zonehookd.metrics.collectors import SITE, placed
from zonehookd.model.record import ADDRESS

WAN = {"cidr": "192.0.2.0/24", "uplink": "net0", "gateway": "192.0.2.1"}
WEB = {
    "cidr": ["10.99.0.0/24", "fd00:99::/64"],
    "via": "edge",
    "gateway": ["10.99.0.10", "fd00:99::1"],
    "pool": ["10.99.0.10-10.99.0.19", "fd00:99::10-fd00:99::1f"],
    "exclude": ["10.99.0.19"],
}


def states(engine: Engine, pool: str) -> dict[str, float]:
    shown = placed(engine.survey.site, engine.store.of_kind(ADDRESS))
    return {state: number for (name, state), number in shown["ipam_addresses"].items() if name == pool}


@pytest.fixture
def behind(engine: Build) -> Engine:
    gateway = {"edge": {"outside": "wan", "address": "192.0.2.10", "dhcp": "none", "dns": "none"}}
    return engine({"gateway": gateway}, wan=WAN, web=WEB)


def test_used_reserved_quarantined_and_free_are_all_of_the_pool(admin: Admin, behind: Engine) -> None:
    wish = 'add attr; set name=zh.net0; set type=string; set value="web"; end'
    for name in ("web1", "web2"):
        admin.zone(name, f"set physical={name}_0", extra=wish)
    behind.converge()
    size = 10.0 - len(behind.declared.networks["web"].excluded)
    four = states(behind, "web")
    assert four["used"] == 2 and four["quarantined"] == 0 and sum(four.values()) in (size, size + 1)
    assert four["reserved"] == 1, "the gateway's own address lies in the range"
    six = states(behind, "web/ipv6")
    assert (six["used"], six["reserved"], six["free"]) == (2, 0, 14), "IPv6 is a pool of its own"
    admin.delete("web2")
    behind.converge()
    behind.plan()
    rests = states(behind, "web")
    assert rests["used"] == 1 and rests["quarantined"] == 1 and rests["free"] == four["free"]


def test_zones_and_nics_are_counted_and_nothing_before_the_first_look(admin: Admin, behind: Engine) -> None:
    assert placed(None, []) == {}
    admin.zone("web1", "set physical=web1_0", extra='add attr; set name=zh.net0; set type=string; set value="web"; end')
    behind.converge()
    shown = placed(behind.survey.site, [])
    assert shown.keys() == set(SITE)
    assert shown["zones"] == {("installed", "sparse"): 1.0} and shown["attachments"] == {(): 1.0}
