"""Addresses and default routes inside zones, through the engine, by each way there is."""

from __future__ import annotations

import lab.world
import pytest
from fixtures import Admin, Build
from lab.faults import Fault
from lab.world import Dialect
from paper_gateway import (
    DB,
    WAN,
    WEB,
    Site,
    addresses,
    defaults,
    edge_site,
    member,
    nets,
    persistent,
    planned,
    said,
    settle,
    wish,
)

from zonehookd.model.plan import describe


def lines(found: Site) -> list[str]:
    return [describe(step) for step in planned(found.ours, "zone_address")]


def site(admin: Admin, build: Build, **web: object) -> Site:
    """One network behind a gateway; the gateway's zone need not be there."""
    return Site(admin, build, {"web": {**WEB, **web}}, {"edge": {"dhcp": "none", "dns": "none"}})


def protected(admin: Admin, zone: str) -> str:
    """allowed-address and defrouter in its configuration."""
    export = admin.do("zonecfg", "-z", zone, "export").splitlines()
    return " ".join(
        line.removeprefix("set ").replace('"', "")
        for line in export
        if "allowed-address" in line or "defrouter" in line
    )


# -- zlogin ------------------------------------------------------------------------------------------------------------


def test_a_native_zone_is_given_both_inside_once_per_boot(admin: Admin, engine: Build) -> None:
    found = edge_site(admin, engine, "web1 web")
    assert addresses(admin, "web1") == {"web1_0/zh4": "10.99.0.2/24"} and defaults(admin, "web1") == ["10.99.0.1"]
    assert persistent(admin, "web1") == ["default 10.99.0.1"] and found.ours.steps() == []
    admin.do("zoneadm", "-z", "web1", "reboot")
    assert addresses(admin, "web1") == {"web1_0/zh4": "10.99.0.2/24"} and defaults(admin, "web1") == ["10.99.0.1"]
    assert lines(found) == ["remember inside web1"], "it has them by itself, and that is noted"
    settle(found.ours)
    admin.do("zlogin", "web1", "ipadm", "delete-addr", "web1_0/zh4")
    assert found.ours.steps() == [], "what the zone's admin does there later is his"
    admin.do("zoneadm", "-z", "web1", "reboot")
    settle(found.ours)
    assert addresses(admin, "web1") == {"web1_0/zh4": "10.99.0.2/24"}


def test_of_two_nics_the_first_has_the_default_route_and_the_second_none(admin: Admin, engine: Build) -> None:
    member(admin, "edge")
    member(admin, "two", "db 10.98.0.10", "web 10.99.0.100")
    found = Site(admin, engine)
    found.up("edge", "two")
    assert addresses(admin, "two") == {"two_0/zh4": "10.98.0.10/24", "two_1/zh4": "10.99.0.100/24"}
    assert defaults(admin, "two") == ["10.98.0.1"] == [each.split()[1] for each in persistent(admin, "two")]
    admin.do("zonecfg", "-z", "two", f"remove attr name=zh.net1; {wish(1, 'web 10.99.0.100 primary')}")
    settle(found.ours)
    assert defaults(admin, "two") == ["10.99.0.1"] == [each.split()[1] for each in persistent(admin, "two")]


def test_the_address_changes_under_a_running_zone(admin: Admin, engine: Build) -> None:
    found = edge_site(admin, engine, "web1 web 10.99.0.10")
    admin.do("zlogin", "web1", "ipadm", "create-addr", "-T", "static", "-a", "10.99.0.100/24", "web1_0/mine")
    admin.do("zonecfg", "-z", "web1", f"remove attr name=zh.net0; {wish(0, 'web 10.99.0.20')}")
    settle(found.ours)
    assert addresses(admin, "web1") == {"web1_0/mine": "10.99.0.100/24", "web1_0/zh4n2": "10.99.0.20/24"}
    assert defaults(admin, "web1") == ["10.99.0.1"]


@pytest.mark.parametrize(
    ("networks", "old", "new"),
    [(WEB, "10.99.0.10/24", "10.99.0.20/24"), ({**WEB, "cidr": "10.99.0.0/16"}, "10.99.0.10/24", "10.99.0.10/16")],
    ids=["another", "a prefix length"],
)
def test_its_default_route_outlives_its_only_address(
    admin: Admin, engine: Build, networks: dict[str, object], old: str, new: str
) -> None:
    found = edge_site(admin, engine, f"web1 web {old}")
    found.declare({"wan": WAN, "web": {**networks, "gateway": "10.99.0.1"}, "db": DB})
    admin.do("zonecfg", "-z", "web1", f"remove attr name=zh.net0; {wish(0, f'web {new}')}")
    settle(found.ours)
    assert list(addresses(admin, "web1").values()) == [new]
    assert defaults(admin, "web1") == ["10.99.0.1"] and persistent(admin, "web1") == ["default 10.99.0.1"]


def test_a_gateway_that_moves_takes_the_default_route_along(admin: Admin, engine: Build) -> None:
    found = edge_site(admin, engine, "web1 web")
    found.declare({"wan": WAN, "web": {**WEB, "gateway": "10.99.0.254"}, "db": DB})
    settle(found.ours)
    assert defaults(admin, "web1") == ["10.99.0.254"] and persistent(admin, "web1") == ["default 10.99.0.254"]


def test_a_default_route_that_the_zone_has_already_stays(admin: Admin, engine: Build) -> None:
    member(admin, "web1", "web 10.99.0.5")
    found = site(admin, engine)
    settle(found.ours)
    admin.do("zoneadm", "-z", "web1", "boot")
    admin.do("zlogin", "web1", "ipadm", "create-addr", "-T", "static", "-a", "10.99.0.5/24", "web1_0/v4")
    admin.do("zlogin", "web1", "route", "-p", "add", "default", "10.99.0.77")
    settle(found.ours)
    assert addresses(admin, "web1") == {"web1_0/v4": "10.99.0.5/24"}, "used under the name it has"
    assert defaults(admin, "web1") == ["10.99.0.77"]


def test_both_families(admin: Admin, engine: Build) -> None:
    member(admin, "web1", "web 10.99.0.5 fd00:9::5")
    found = site(admin, engine, cidr=["10.99.0.0/24", "fd00:9::/64"])
    found.up("web1")
    assert addresses(admin, "web1") == {"web1_0/zh4": "10.99.0.5/24", "web1_0/zh6": "fd00:9::5/64"}
    assert defaults(admin, "web1") == ["10.99.0.1", "fd00:9::1"]
    settle(found.ours)
    admin.do("zonecfg", "-z", "web1", f"remove attr name=zh.net0; {wish(0, 'web 10.99.0.5')}")
    settle(found.ours)
    assert addresses(admin, "web1") == {"web1_0/zh4": "10.99.0.5/24"} and "10.99.0.1" in defaults(admin, "web1")


def test_a_zone_that_is_not_up_yet_is_waited_for_and_wired_all_the_same(admin: Admin, engine: Build) -> None:
    member(admin, "web1", "web")
    found = site(admin, engine)
    settle(found.ours)
    admin.do("zoneadm", "-z", "web1", "boot")
    admin.world.faults.add(Fault("fail", "zlogin *show-addr*", status="no such door", times=2))
    (note,) = said(found.ours, "not-up")
    assert note.kind == "waiting" and "zone web1 is not up: zlogin: no such door" in note.text and note.again_after_s
    assert lines(found) == []
    settle(found.ours)
    assert addresses(admin, "web1") == {"web1_0/zh4": "10.99.0.2/24"}


def test_another_machine_with_the_address_is_said(admin: Admin, engine: Build) -> None:
    member(admin, "web1", "web 10.99.0.5")
    found = site(admin, engine)
    settle(found.ours)
    admin.do("zoneadm", "-z", "web1", "boot")
    admin.do("zlogin", "web1", "ipadm", "create-addr", "-T", "static", "-a", "10.99.0.5/24", "web1_0/zh4")
    admin.world.stacks["web1"].interfaces["web1_0"].addresses["web1_0/zh4"].state = "duplicate"
    (note,) = found.ours.notes()
    assert (note.code, note.text) == ("duplicate-address", "10.99.0.5/24 on web1_0 is duplicate")


# -- the other ways ----------------------------------------------------------------------------------------------------


def test_given_an_allowed_address_only_the_default_route_is_missing(admin: Admin, engine: Build) -> None:
    admin.by_address("web1", "web1_0", "10.99.0.5/24")
    admin.by_address("web2", "web2_0", "10.99.0.6/24; set defrouter=10.99.0.1")
    found = site(admin, engine)
    found.up("web1", "web2")
    for name, last in (("web1", 5), ("web2", 6)):
        assert list(addresses(admin, name).values()) == [f"10.99.0.{last}/24"], "zoneadmd's, and no other"
        assert defaults(admin, name) == ["10.99.0.1"]
    assert not found.changed(["web2", "add"]), "its configuration has a router: nothing is done inside"


def test_written_into_the_configuration_before_it_boots(admin: Admin, engine: Build) -> None:
    member(admin, "two", "web", "db")
    networks = {each: {**cidr, "address_by": "zonecfg"} for each, cidr in (("web", WEB), ("db", DB))}
    found = Site(admin, engine, networks, {"edge": {"dhcp": "none", "dns": "none"}})
    settle(found.ours)
    assert protected(admin, "two") == "allowed-address=10.99.0.2/24 defrouter=10.99.0.1 allowed-address=10.98.0.2/24"
    admin.do("zoneadm", "-z", "two", "boot")
    settle(found.ours)
    assert sorted(addresses(admin, "two").values()) == ["10.98.0.2/24", "10.99.0.2/24"]
    assert defaults(admin, "two") == ["10.99.0.1"] and nets(admin, "two") == ["two_0", "two_1"]
    assert not found.changed(["create-addr"]) and not found.ours.notes()


def test_a_zone_that_runs_is_set_up_inside_until_its_next_boot(admin: Admin, engine: Build) -> None:
    member(admin, "web1", "web")
    found = site(admin, engine, address_by="none")
    found.up("web1")
    assert addresses(admin, "web1") == {} and defaults(admin, "web1") == [] and protected(admin, "web1") == ""
    found.declare({"web": {**WEB, "address_by": "zonecfg"}})
    settle(found.ours)
    assert addresses(admin, "web1") == {"web1_0/zh4": "10.99.0.2/24"} and protected(admin, "web1") == ""
    admin.do("zoneadm", "-z", "web1", "halt")
    settle(found.ours)
    assert protected(admin, "web1") == "allowed-address=10.99.0.2/24 defrouter=10.99.0.1"


@pytest.mark.parametrize("by", ["none", "dhcp"])
def test_left_to_the_zone_itself(admin: Admin, engine: Build, by: str) -> None:
    member(admin, "web1", "web")
    found = site(admin, engine, address_by=by)
    found.up("web1")
    assert addresses(admin, "web1") == {} and defaults(admin, "web1") == []
    assert not [argv for argv in found.ours.commands.changes if argv[0] in ("zlogin", "zonecfg")]


def test_a_brand_without_ipadm_asks_by_itself(admin: Admin, engine: Build) -> None:
    if admin.world.dialect is not Dialect.OMNIOS:
        done = admin.sh("zonecfg", "-z", "box", "create -b; set zonepath=/zones/box; set brand=bhyve")
        assert done.status != 0 or admin.sh("zoneadm", "-z", "box", "install").status != 0, "vanilla has no bhyve here"
        return
    member(admin, "box", "web", brand="bhyve", state="configured")
    found = site(admin, engine)
    settle(found.ours)
    assert admin.vnic("box_0").startswith("web0:") and lines(found) == []
    assert found.ours.store.one("address", "web/10.99.0.2") is not None, "what is reserved for it"


def test_a_zone_that_asks_by_dhcp_already_is_not_given_a_second_address(admin: Admin, engine: Build) -> None:
    member(admin, "web1", "web")
    found = site(admin, engine)
    settle(found.ours)
    admin.do("zoneadm", "-z", "web1", "boot")
    admin.do("zlogin", "web1", "ipadm", "create-if", "web1_0")
    asking = lab.world.Address("web1_0/dhcp", "dhcp", "")
    admin.world.stacks["web1"].interfaces["web1_0"].addresses[asking.name] = asking
    settle(found.ours)
    assert not found.changed(["create-addr"]), "whether it has an answer or waits for one"


def test_a_network_whose_gateway_is_not_ours_is_left_alone(admin: Admin, engine: Build) -> None:
    member(admin, "dmz1", "dmz 10.1.0.5")
    found = Site(admin, engine, {"dmz": "10.1.0.0/24"}, {})
    found.up("dmz1")
    assert addresses(admin, "dmz1") == {} and found.ours.store.one("inside", "dmz1") is None


def test_what_is_known_of_a_zone_goes_with_it(admin: Admin, engine: Build) -> None:
    member(admin, "web1", "web")
    member(admin, "web10", "web")
    found = site(admin, engine)
    found.up("web1", "web10")
    admin.delete("web1")
    settle(found.ours)
    assert found.ours.store.one("inside", "web1") is None and found.ours.store.one("inside", "web10") is not None
    assert list(addresses(admin, "web10").values()) == ["10.99.0.3/24"]
