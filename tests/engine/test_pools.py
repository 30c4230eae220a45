"""Addresses out of pools (contract A4): who gets which, for how long, and what is said when there is none."""

from __future__ import annotations

import ipaddress
import time
from typing import Any

import pytest

from zonehookd.config import Config
from zonehookd.declaration import declare
from zonehookd.engine.attach import attach_zone
from zonehookd.engine.pools import Lease
from zonehookd.engine.site import Site, settle
from zonehookd.model.gateway import Declaration
from zonehookd.model.zone import Nic, Zone, ZoneConfig, ZoneState

Leases = dict[tuple[str, str], Lease]


def declared(pool: list[str] | None = None, **more: Any) -> Declaration:
    web = {
        "cidr": ["10.1.0.0/24", "fd00:1::/64"],
        "via": "edge",
        **more,
        **({"pool": pool} if pool is not None else {}),
    }
    return declare(Config.model_validate({"network": {"web": web}, "gateway": {"edge": {}}}))


def zone(name: str, wish: str = "web", state: ZoneState = ZoneState.INSTALLED) -> Zone:
    nics = (Nic(f"{name}_0", 0),)
    return Zone(name, state, config=ZoneConfig("sparse", True, nics, {"zh.net0": wish}))


def site(
    what: Declaration,
    *zones: Zone,
    leases: Leases | None = None,
    held: dict[tuple[str, str], str] | None = None,
    now_s: float = 1e6,
) -> Site:
    table = {each.name: each for each in zones}
    alone = {name: attach_zone(each, what) for name, each in table.items()}
    return settle(what, table, alone, held or {}, leases or {}, now_s)


def address(found: Site, name: str) -> str:
    (attachment,) = found.of_zone(name).attachments
    return " ".join(str(each) for each in attachment.addresses)


def test_a_nic_without_an_address_gets_the_first_that_nobody_ever_had() -> None:
    found = site(declared(), zone("a"), zone("b"))
    assert (address(found, "a"), address(found, "b")) == ("10.1.0.2/24", "10.1.0.3/24")


def test_fifty_at_once_get_fifty() -> None:
    found = site(declared(), *(zone(f"z{number}") for number in range(50)))
    assert len({address(found, f"z{number}") for number in range(50)}) == 50


@pytest.mark.parametrize("held", [{}, {("web0", "10.1.0.2"): "m"}], ids=["after a restart", "while we watch"])
def test_nobody_takes_by_name_what_a_pool_gave_to_another(held: dict[tuple[str, str], str]) -> None:
    leases = {("web", "10.1.0.2"): Lease("m", "m_0")}
    found = site(declared(), zone("a", "web 10.1.0.2"), zone("m"), leases=leases, held=held)
    (refusal,) = found.of_zone("a").refusals
    assert (refusal.code, refusal.owner, address(found, "m")) == ("address-taken", "zone m", "10.1.0.2/24")
    moved = site(declared(pool=["10.1.0.9"]), zone("a", "web 10.1.0.2"), zone("m"), leases=leases, held=held)
    assert (address(moved, "a"), address(moved, "m")) == ("10.1.0.2/24", "10.1.0.9/24"), "out of the pool, it is free"


def test_an_address_is_not_kept_for_a_nic_when_its_own_zone_asks_for_it_on_another() -> None:
    nics = (Nic("m_0", 0), Nic("m_1", 1))
    config = ZoneConfig("sparse", True, nics, {"zh.net0": "web", "zh.net1": "web 10.1.0.2"})
    leases = {("web", "10.1.0.2"): Lease("m", "m_0")}
    found = site(declared(), Zone("m", ZoneState.INSTALLED, config=config), leases=leases)
    assert [str(*each.addresses) for each in found.of_zone("m").attachments] == ["10.1.0.3/24", "10.1.0.2/24"]


def test_ranges_cross_octets_and_families_are_served_apart() -> None:
    what = declared(pool=["10.1.0.254", "fd00:1::fffe-fd00:1::1:1"])
    found = site(what, zone("a"))
    assert address(found, "a") == "10.1.0.254/24 fd00:1::fffe/64"
    wide = declare(Config.model_validate({"network": {"w": {"cidr": "10.1.0.0/22", "pool": ["10.1.0.255-10.1.1.0"]}}}))
    found = site(wide, zone("a", "w"), zone("b", "w"))
    assert [address(found, name) for name in "ab"] == ["10.1.0.255/22", "10.1.1.0/22"]


@pytest.mark.parametrize(
    ("more", "first"),
    [
        ({"gateway": "10.1.0.2"}, "10.1.0.1"),
        ({"exclude": ["10.1.0.2-10.1.0.9"]}, "10.1.0.10"),
        ({"dhcp": {"dynamic": ["10.1.0.2-10.1.0.3"]}}, "10.1.0.4"),
    ],
)
def test_what_is_spoken_for_is_never_given(more: dict[str, Any], first: str) -> None:
    assert address(site(declared(**more), zone("a")), "a") == f"{first}/24"


def test_an_explicit_address_is_never_given_to_somebody_else() -> None:
    found = site(declared(), zone("z", "web 10.1.0.2"), zone("a"))
    assert (address(found, "a"), address(found, "z")) == ("10.1.0.3/24", "10.1.0.2/24")


def test_it_stays_the_same_for_life_whoever_comes_before() -> None:
    leases = {("web", "10.1.0.9"): Lease("m", "m_0")}
    assert address(site(declared(), zone("a"), zone("m"), leases=leases), "m") == "10.1.0.9/24"


def test_the_same_nic_gets_its_old_address_back_while_it_is_free() -> None:
    leases = {("web", "10.1.0.9"): Lease("m", "m_0", freed_s=999_999.0)}
    assert address(site(declared(), zone("m"), leases=leases), "m") == "10.1.0.9/24"
    taken = site(declared(), zone("m"), zone("x", "web 10.1.0.9"), leases=leases)
    assert address(taken, "m") == "10.1.0.2/24"


def test_a_returned_address_rests_and_the_one_longest_free_comes_first() -> None:
    what = declared(pool=["10.1.0.5-10.1.0.6"], quarantine_s=600)
    leases = {
        ("web", "10.1.0.5"): Lease("old", "old_0", freed_s=1e6 - 700),
        ("web", "10.1.0.6"): Lease("older", "older_0", freed_s=1e6 - 800),
    }
    assert address(site(what, zone("a"), leases=leases), "a") == "10.1.0.6/24"
    resting = {key: Lease(lease.zone, lease.link, freed_s=1e6 - 10) for key, lease in leases.items()}
    (refusal,) = site(what, zone("a"), leases=resting).of_zone("a").refusals
    assert refusal.code == "pool-exhausted"
    assert "the pool of network web is exhausted: of its 2 IPv4 addresses none is free, 2 rest for 600 s" in str(
        refusal
    )


def test_exhausted_is_exhausted_and_counts_the_pool() -> None:
    found = site(declared(pool=["10.1.0.5"]), zone("a"), zone("b"))
    (refusal,) = found.of_zone("b").refusals
    assert "b_0: the pool of network web is exhausted: of its 1 IPv4 addresses none is free" in str(refusal)
    assert [each.link for each in found.of_zone("b").attachments] == ["b_0"], "it keeps its link"


def test_who_came_first_keeps_it_before_it_is_in_the_books() -> None:
    what = declared()
    before = site(what, zone("m"))
    assert address(before, "m") == "10.1.0.2/24"
    leases = {("web", "10.1.0.2"): Lease("m", "m_0")}  # as the survey adds it from the look before
    assert address(site(what, zone("a"), zone("m"), leases=leases), "m") == "10.1.0.2/24"


def test_outer_addresses_belong_to_the_gateway() -> None:
    what = declare(
        Config.model_validate(
            {
                "network": {"wan": {"cidr": "192.0.2.0/24", "uplink": "net0"}},
                "gateway": {"edge": {"outside": "wan", "address": "192.0.2.10", "static": []}},
            }
        )
    )
    (refusal,) = site(what, zone("a", "wan 192.0.2.10")).of_zone("a").refusals
    assert (refusal.code, refusal.owner) == ("address-taken", "zone edge")


def test_the_first_nic_with_a_gateway_has_the_default_route_unless_another_asks() -> None:
    nics = (Nic("a_0", 0), Nic("a_1", 1))
    networks = {"web": {"cidr": "10.1.0.0/24", "via": "edge"}, "db": {"cidr": "10.2.0.0/24", "via": "edge"}}
    what = declare(Config.model_validate({"network": networks, "gateway": {"edge": {}}}))
    for wishes, primary in ((("web", "db"), "a_0"), (("web", "db primary"), "a_1")):
        attrs = {f"zh.net{number}": wish for number, wish in enumerate(wishes)}
        each = Zone("a", ZoneState.INSTALLED, config=ZoneConfig("sparse", True, nics, attrs))
        assert [a.link for a in attach_zone(each, what).attachments if a.primary] == [primary]


def test_a_gateway_zone_gets_the_sides_its_configuration_does_not_name() -> None:
    networks = {
        "wan": {"cidr": "192.0.2.0/24", "uplink": "net0", "gateway": "192.0.2.1"},
        "web": {"cidr": "10.1.0.0/24", "via": "edge"},
        "db": {"cidr": "10.2.0.0/24", "via": "edge", "gateway": "10.2.0.254"},
    }
    gateways = {"edge": {"outside": "wan", "address": "192.0.2.10"}}
    what = declare(Config.model_validate({"network": networks, "gateway": gateways}))
    own = Zone("edge", ZoneState.INSTALLED, config=ZoneConfig("sparse", True, (Nic("in_0", 0),), {"zh.net0": "web"}))
    sides = {a.network.name: a for a in attach_zone(own, what).attachments}
    assert {name: (a.link, a.role, a.to_add) for name, a in sides.items()} == {
        "web": ("in_0", "inside", False),
        "wan": ("edge_wan0", "outside", True),
        "db": ("edge_db0", "inside", True),
    }
    assert sides["db"].addresses == (ipaddress.ip_interface("10.2.0.254/24"),)
    assert sides["wan"].primary and not sides["web"].primary
    shared = Zone("edge", ZoneState.INSTALLED, config=ZoneConfig("sparse", False, (), {}))
    (refusal,) = attach_zone(shared, what).refusals
    assert "ip-type shared" in refusal.text and "set ip-type=exclusive" in refusal.hint


def test_what_is_kept_of_a_huge_pool_is_passed_over_at_once() -> None:
    """Half of a /8 excluded, most of the rest for strangers: millions of addresses, none of which is tried."""
    what = declare(
        Config.model_validate(
            {
                "network": {
                    "web": {
                        "cidr": "10.0.0.0/8",
                        "via": "edge",
                        "exclude": ["10.0.0.0-10.127.255.255", "10.128.0.2-10.191.255.255"],
                        "dhcp": {"dynamic": ["10.192.0.0-10.255.255.0"]},
                    }
                },
                "gateway": {"edge": {}},
            }
        )
    )
    began_s = time.process_time()
    found = site(what, *(zone(f"z{number}") for number in range(4)))
    assert time.process_time() - began_s < 1.0
    got = {
        name: [str(each.ip) for a in found.of_zone(name).attachments for each in a.addresses] for name in found.zones
    }
    assert got == {"z0": ["10.128.0.0"], "z1": ["10.128.0.1"], "z2": ["10.255.255.1"], "z3": ["10.255.255.2"]}


def test_the_hosts_own_address_on_the_uplink_is_never_given() -> None:
    lan = {"cidr": "192.168.1.0/24", "uplink": "net0", "pool": ["192.168.1.2-192.168.1.9"]}
    what = declare(Config.model_validate({"network": {"lan": lan}}))
    each = zone("a", "lan")
    taken = {("net0", "192.168.1.2"): "global"}
    found = settle(what, {"a": each}, {"a": attach_zone(each, what)}, {}, {}, 0.0, taken)
    assert address(found, "a") == "192.168.1.3/24"
    asks = zone("a", "lan 192.168.1.2")
    (refusal,) = settle(what, {"a": asks}, {"a": attach_zone(asks, what)}, {}, {}, 0.0, taken).of_zone("a").refusals
    assert "belongs to zone global" in refusal.text
