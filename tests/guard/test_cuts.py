"""What a changed declaration would cut off (contract A10), case by case: pure."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest

from zonehookd.config import Config
from zonehookd.declaration import declare
from zonehookd.engine.attach import attach_zone
from zonehookd.engine.site import Site, settle
from zonehookd.guard.cuts import Links, cuts
from zonehookd.model.gateway import Declaration
from zonehookd.model.zone import Nic, Zone, ZoneConfig, ZoneState

WAN = {"cidr": "192.0.2.0/24", "uplink": "net0", "gateway": "192.0.2.1"}
WEB: dict[str, Any] = {"cidr": ["10.99.0.0/24", "fd00:99::/64"], "via": "edge"}
DB: dict[str, Any] = {"cidr": "10.98.0.0/24", "via": "edge"}
TABLES: dict[str, Any] = {"wan": WAN, "web": WEB, "db": DB}
EDGE = {"outside": "wan", "address": "192.0.2.10"}


def declared(gateways: dict[str, Any] | None = None, **networks: Any) -> Declaration:
    """A network that is None is not declared."""
    tables = {name: table for name, table in {**TABLES, **networks}.items() if table is not None}
    if gateways is None:
        gateways = {"edge": EDGE} if any("via" in table for table in tables.values()) else {}
    return declare(Config.model_validate({"network": tables, "gateway": gateways}))


BEFORE = declared()


def zone(name: str, *addresses: str, state: ZoneState = ZoneState.INSTALLED, **attrs: str) -> Zone:
    nics = tuple(
        Nic(f"{name}_{number}", number, (ipaddress.ip_interface(address),) if address else ())
        for number, address in enumerate(addresses)
    )
    wishes = {key.replace("_", ".", 1): text for key, text in attrs.items()}
    return Zone(name, state, zonepath=f"/zones/{name}", config=ZoneConfig("sparse", True, nics, wishes))


def site(*zones: Zone, by: Declaration = BEFORE) -> Site:
    table = {each.name: each for each in (*zones, zone("edge"))}
    return settle(by, table, {name: attach_zone(each, by) for name, each in table.items()}, {}, {}, 0.0)


def cut(
    at: Site, after: Declaration, *permitted: str, before: Declaration = BEFORE, links: Links | None = None
) -> list[tuple[str, tuple[str, ...]]]:
    return [(each.network, each.zones) for each in cuts(before, after, at, permitted, links or Links())]


ONE = site(zone("z", "10.99.0.200/24"))


def test_the_same_again_cuts_off_nobody() -> None:
    assert cut(ONE, declared()) == []
    assert cut(ONE, declared(new={"cidr": "10.97.0.0/24"})) == []


def test_a_network_that_is_removed() -> None:
    (found,) = cuts(BEFORE, declared(web=None), ONE)
    assert (found.network, found.zones) == ("web", ("z",))
    assert str(found) == "network.web: it cannot be removed: zone z (10.99.0.200) would be cut off"
    assert cut(ONE, declared(db=None)) == [], "nobody is on it but its gateway"
    assert cut(ONE, declared(web=None, other=WEB)) == [("web", ("z",))], "another name is another network"


@pytest.mark.parametrize(
    "cidr, lost",
    [
        ("10.99.0.0/25", True),
        ("10.99.0.128/25", False),
        ("10.99.0.0/16", False),
        ("10.96.0.0/24", True),
        ("10.99.0.192/28", False),
        ("10.99.0.208/28", True),
        ("fd00:99::/64", True),
    ],
)
def test_a_range_that_shrinks(cidr: str, lost: bool) -> None:
    after = declared(web={**WEB, "cidr": cidr})
    assert cut(ONE, after) == ([("web", ("z",))] if lost else [])
    if lost:
        assert f"its range cannot become {cidr}: zone z (10.99.0.200)" in str(cuts(BEFORE, after, ONE)[0])


def test_both_families_are_looked_at() -> None:
    web = {**WEB, "pool": []}
    before = declared(web=web)
    six = site(zone("z", "fd00:99::7/64"), by=before)
    assert cut(six, declared(web={**web, "cidr": "10.99.0.0/24"}), before=before) == [("web", ("z",))]
    assert cut(six, declared(web={**web, "cidr": "fd00:99::/64"}), before=before) == []
    assert cut(six, declared(web={**web, "cidr": ["10.96.0.0/24", "fd00:99::/80"]}), before=before) == []
    both = site(zone("z", "", zh_net0="web 10.99.0.7 fd00:99::7"))
    assert len(both.of_zone("z").attachments[0].addresses) == 2
    assert cut(both, declared(web={**WEB, "cidr": "10.99.0.0/24"})) == [("web", ("z",))], "one of two is one too many"


def test_an_address_of_the_pool_is_one_too() -> None:
    pooled = site(zone("z", "", zh_net0="web"))
    (address,) = pooled.of_zone("z").attachments[0].addresses
    assert str(address.ip) == "10.99.0.2"
    assert cut(pooled, declared(web={**WEB, "cidr": "10.99.0.128/25"})) == [("web", ("z",))]
    assert cut(pooled, declared(web={**WEB, "cidr": "10.99.0.0/25"})) == []


def test_a_gateway_that_is_taken_away() -> None:
    alone = {"cidr": WEB["cidr"]}
    (found,) = cuts(BEFORE, declared(web=alone), ONE)
    assert "its gateway edge cannot be taken away: zone z (10.99.0.200)" in str(found)
    assert cut(ONE, declared(web=alone, db={"cidr": DB["cidr"]})) == [("web", ("z",))]
    lone = declared(web=alone)
    assert cut(site(zone("z", "10.99.0.200/24"), by=lone), declared(), before=lone) == [], "one is put before it"


def test_another_gateway_is_a_way_out_too() -> None:
    two = {"edge": EDGE, "edge2": {"outside": "wan", "address": "192.0.2.11"}}
    at = site(zone("z", "10.99.0.200/24"), zone("edge2"))
    assert cut(at, declared(two, web={**WEB, "via": "edge2"})) == []
    assert cut(at, declared({"edge2": two["edge2"]}, web={**WEB, "via": "edge2"}, db=None)) == []


def test_a_gateway_without_a_zone_is_no_way_out() -> None:
    two = {"edge": EDGE, "edge2": {"outside": "wan", "address": "192.0.2.11"}}
    after = declared(two, web={**WEB, "via": "edge2"})
    (found,) = cuts(BEFORE, after, ONE)
    assert "its gateway cannot become edge2, for there is no such zone: zone z (10.99.0.200)" in str(found)
    assert cut(site(zone("z", "10.99.0.200/24"), Zone("edge2", ZoneState.ABSENT)), after) == [("web", ("z",))]
    assert cut(site(zone("edge")), after) == [], "nobody is on it yet"
    host = declared({"edge": EDGE, "global": {"outside": "wan"}}, web={**WEB, "via": "global"})
    assert cut(ONE, host) == [], "the host is there"


def test_an_address_of_the_pool_is_not_taken_away_for_the_gateway() -> None:
    pooled = site(zone("z", "", zh_net0="web"))
    (found,) = cuts(BEFORE, declared(web={**WEB, "gateway": "10.99.0.2"}), pooled)
    assert "its gateway address cannot become 10.99.0.2: zone z (10.99.0.2)" in str(found)
    assert cut(pooled, declared(web={**WEB, "gateway": "10.99.0.3"})) == []


OTHER = declared(web={**WEB, "etherstub": "other0"})


def test_another_etherstub_moves_the_zones_with_it() -> None:
    assert cut(ONE, OTHER) == []


def test_another_etherstub_cuts_off_who_is_up_or_comes_up_without_its_gateway() -> None:
    up = zone("y", "10.99.0.201/24", state=ZoneState.RUNNING)
    (found,) = cuts(BEFORE, OTHER, site(zone("z", "10.99.0.200/24"), up))
    assert str(found) == "network.web: its etherstub cannot become other0: zone y (10.99.0.201) would be cut off"
    running = {each.name: each for each in (zone("edge", state=ZoneState.RUNNING), zone("z", "10.99.0.200/24"))}
    at = settle(BEFORE, running, {name: attach_zone(each, BEFORE) for name, each in running.items()}, {}, {}, 0.0)
    assert cut(at, OTHER) == [("web", ("z",))], "the gateway stays where it is until it has halted"
    assert cut(at, OTHER, "web") == [] == cut(site(zone("x", "10.98.0.7/24", state=ZoneState.RUNNING)), OTHER)
    wire = declared(web={"cidr": WEB["cidr"], "uplink": "net1"}, db=None)
    assert ("web", ("y",)) in cut(site(up), wire), "nor is it moved to a wire"


def test_the_host_as_gateway_never_halts() -> None:
    tables: dict[str, Any] = {"web": {**WEB, "via": "global"}, "db": None}
    host = {"global": {"outside": "wan"}}
    before = declared(host, **tables)
    member = zone("z", "10.99.0.200/24")
    table = {"z": member, "global": Zone("global", ZoneState.RUNNING, 0)}
    at = settle(before, table, {name: attach_zone(each, before) for name, each in table.items()}, {}, {}, 0.0)
    after = declared(host, **{**tables, "web": {**tables["web"], "etherstub": "other0"}})
    assert cut(at, after, before=before) == [("web", ("z",))]


def test_who_is_there_by_a_link_alone() -> None:
    """A VNIC on the etherstub, whatever the zone's configuration says of it."""
    at = site(zone("odd", ""), zone("gone", "", zh_depends="no"))
    links = Links({"web0": {"odd", "gone", "edge", "global", "never"}, "wan0": {"odd"}})
    (found,) = cuts(BEFORE, declared(web=None), at, (), links)
    assert str(found) == "network.web: it cannot be removed: zone odd (by its link) would be cut off"
    alone = {"cidr": WEB["cidr"]}
    two = {"edge": EDGE, "edge2": {"outside": "wan", "address": "192.0.2.11"}}
    for after in (declared(web=alone), declared(two, web={**WEB, "via": "edge2"}), OTHER):
        assert cut(at, after, links=links) == [("web", ("odd",))]
    assert cut(at, declared(web=None), "web", links=links) == []
    assert cut(at, declared(db=None), links=links) == [], "another network"
    wider = declared(web={**WEB, "cidr": ["10.99.0.0/23", "fd00:99::/64"]})
    assert cut(at, wider, links=links) == [], "what grows loses nobody"
    (doubt,) = cuts(BEFORE, declared(web={**WEB, "cidr": "10.99.0.0/25"}), at, (), links)
    assert "whether zone odd would be cut off is not known: its addresses are its own" in str(doubt)
    both = site(zone("odd", ""), zone("z", "10.99.0.200/24"))
    (found,) = cuts(BEFORE, declared(web=None), both, (), links)
    assert found.zones == ("odd", "z") and "zone odd (by its link), zone z (10.99.0.200)" in str(found)


def test_links_that_cannot_be_seen_are_in_the_way() -> None:
    blind = Links(blind="dlmgmtd is not well")
    (found,) = cuts(BEFORE, declared(web=None, db=DB), site(), (), blind)
    assert "it cannot be removed: who has a link on web0 cannot be seen: dlmgmtd is not well" in str(found)
    assert cut(site(), declared(new={"cidr": "10.97.0.0/24"}), links=blind) == [], "what takes nothing away is taken"
    assert cut(site(), declared(web=None), "web", links=blind) == []


def test_a_link_that_is_named_moves_with_nobody() -> None:
    nic = Nic("z_0", 0, global_nic="web0")
    at = site(Zone("z", ZoneState.INSTALLED, zonepath="/zones/z", config=ZoneConfig("lipkg", True, (nic,))))
    assert cut(at, declared()) == []
    after = declared(web={**WEB, "etherstub": "other0"})
    assert "it cannot become so, for z_0 would be somewhere else: zone z" in str(cuts(BEFORE, after, at)[0])


def test_a_zone_that_would_be_refused_is_cut_off() -> None:
    hidden = declared(web={**WEB, "isolated": True})
    assert "10.99.0.200/24 is in no declared network: zone z (10.99.0.200)" in str(cuts(BEFORE, hidden, ONE)[0])
    assert cut(site(zone("z", "", zh_net0="web 10.99.0.200")), hidden) == [], "it names the network"
    its_address = declared(web={**WEB, "gateway": ["10.99.0.200", "fd00:99::1"]})
    assert "10.99.0.200 is the gateway address of network web: zone z" in str(cuts(BEFORE, its_address, ONE)[0])
    assert cut(site(zone("z", "10.99.0.201/24")), its_address) == []


def test_two_networks_are_two_lines() -> None:
    at = site(zone("z", "10.99.0.200/24", "10.98.0.7/24"), zone("y", "10.98.0.8/24"))
    assert cut(at, declared(web=None, db=None)) == [("web", ("z",)), ("db", ("y", "z"))]
    assert cut(at, declared(web=None, db={**DB, "cidr": "10.98.0.0/29"})) == [("web", ("z",)), ("db", ("y",))]


def test_a_permit_is_for_one_network() -> None:
    at = site(zone("z", "10.99.0.200/24", "10.98.0.7/24"))
    after = declared(web=None, db=None)
    assert cut(at, after, "web") == [("db", ("z",))]
    assert cut(at, after, "web", "db") == []
    assert cut(at, after, "edge") == [("web", ("z",)), ("db", ("z",))], "a gateway's is for the gateway"


@pytest.mark.parametrize("state", [ZoneState.CONFIGURED, ZoneState.RUNNING, ZoneState.UNKNOWN])
def test_running_or_not(state: ZoneState) -> None:
    assert cut(site(zone("z", "10.99.0.200/24", state=state)), declared(web=None)) == [("web", ("z",))]


def test_who_has_gone_or_said_that_it_does_not_depend_is_not_in_the_way() -> None:
    at = site(zone("z", "10.99.0.200/24", zh_depends="no"), Zone("y", ZoneState.ABSENT))
    assert cut(at, declared(web=None)) == []


def test_a_gateway_further_in_is_in_the_way() -> None:
    deep = {"cidr": "10.97.0.0/24", "via": "inner"}
    two = {"edge": EDGE, "inner": {"outside": "web", "address": "10.99.0.9"}}
    before = declared(two, deep=deep)
    at = site(zone("inner"), zone("db1", "10.97.0.5/24"), by=before)
    assert cut(at, declared(two, deep=deep, web={**WEB, "cidr": "10.99.0.0/28"}), before=before) == []
    moved = {**two, "inner": {"outside": "web", "address": "10.99.0.2"}}
    after = declared(moved, deep=deep, web={**WEB, "cidr": "10.99.0.0/29"})
    assert cut(at, after, before=before) == [("web", ("inner",))], "it still has the former address"
    assert cut(at, declared({"edge": EDGE}, deep={"cidr": "10.97.0.0/24"}), before=before) == [("deep", ("db1",))]


def test_a_zone_that_cannot_be_read_is_in_the_way() -> None:
    blind = Zone("z", ZoneState.UNKNOWN, zonepath="/zones/z", trouble="cannot read /etc/zones/z.xml: half of it")
    at = site(blind)
    for after in (
        declared(web=None),
        declared(web={"cidr": WEB["cidr"]}),
        declared(web={**WEB, "cidr": "10.99.0.0/25"}),
    ):
        (found,) = cuts(BEFORE, after, at)
        assert "whether zone z would be cut off is not known: cannot read /etc/zones/z.xml" in str(found)
    assert cut(at, declared(web={**WEB, "cidr": ["10.99.0.0/23", "fd00:99::/64"]})) == [], "what grows loses nobody"
    assert cut(at, OTHER) == [("web", ("z",))], "it may be up"
    assert cut(at, declared(web=None), "web") == []


def test_a_zone_that_is_gone_and_never_read_is_no_ghost() -> None:
    """Deleted while we were down: our books know its name, the index does not."""
    at = site(Zone("z", ZoneState.UNKNOWN, trouble="missing from the zone index; looking again before believing it"))
    assert cut(at, declared(web=None)) == []


def test_a_lost_gateway_is_not_in_the_way_of_its_own_networks() -> None:
    lost = Zone("edge", ZoneState.UNKNOWN, trouble="its configuration was deleted", vanished=True)
    table = {"edge": lost}
    at = settle(BEFORE, table, {"edge": attach_zone(lost, BEFORE)}, {}, {}, 0.0)
    assert cut(at, declared(web=None, db=None)) == []


def test_of_many_the_first_are_named() -> None:
    at = site(*(zone(f"z{number:03}", f"10.99.0.{number}/24") for number in range(10, 110)))
    (found,) = cuts(BEFORE, declared(web=None), at)
    assert len(found.zones) == 100
    assert str(found).endswith("zone z017 (10.99.0.17) and 92 more would be cut off")
