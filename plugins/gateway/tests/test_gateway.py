"""A gateway's own stack, through the engine: addresses, default route, forwarding; changed, repaired, taken down."""

from __future__ import annotations

import pytest
from fixtures import Admin, Build
from paper_gateway import (
    DB,
    EDGE,
    WAN,
    WEB,
    Site,
    addresses,
    defaults,
    edge_site,
    forwarding,
    inside,
    member,
    nets,
    persistent,
    repairs,
    rules,
    said,
    settle,
)

from zonehookd.model.record import LET_GO

ALL = {"edge_wan0/4", "edge_web0/4", "edge_db0/4"}


def texts(found: Site, code: str = "gateway-shut") -> list[str]:
    return [note.text for note in said(found.ours, code)]


def test_it_has_its_addresses_its_way_out_and_forwards(admin: Admin, engine: Build) -> None:
    found = edge_site(admin, engine)
    assert addresses(admin, "edge") == {
        "edge_wan0/zh4": "192.0.2.10/24",
        "edge_web0/zh4": "10.99.0.1/24",
        "edge_db0/zh4": "10.98.0.1/24",
    }
    assert defaults(admin, "edge") == ["192.0.2.1"] and persistent(admin, "edge") == ["default 192.0.2.1"]
    assert forwarding(admin, "edge") == ALL and found.ours.steps() == [] and not found.ours.notes()


def test_nothing_forwards_before_the_rules_are_loaded(admin: Admin, engine: Build) -> None:
    member(admin, "edge")
    found = Site(admin, engine)
    settle(found.ours)
    admin.do("zoneadm", "-z", "edge", "boot")
    assert texts(found) == ["gateway edge passes nothing on until 10.99.0.0/24, 10.98.0.0/24 is translated"]
    for _ in range(10):
        before = set(rules(admin))
        found.ours.look()
        if forwarding(admin, "edge"):
            assert "map edge_wan0 10.98.0.0/24 -> 192.0.2.10/32" in before
            return
    raise AssertionError("it never forwards")


def test_it_boots_with_addresses_and_route_and_forwards_only_when_we_are_there(admin: Admin, engine: Build) -> None:
    found = edge_site(admin, engine)
    admin.do("zoneadm", "-z", "edge", "reboot")
    assert set(addresses(admin, "edge").values()) == {"192.0.2.10/24", "10.99.0.1/24", "10.98.0.1/24"}
    assert defaults(admin, "edge") == ["192.0.2.1"] and forwarding(admin, "edge") == set()
    assert repairs(found.ours) == {}, "it is switched on at each boot"
    settle(found.ours)
    assert forwarding(admin, "edge") == ALL


def test_while_its_zone_is_halted_everybody_behind_it_is_told(admin: Admin, engine: Build) -> None:
    found = edge_site(admin, engine, "web1 web")
    admin.do("zoneadm", "-z", "edge", "halt")
    settle(found.ours)
    assert texts(found) == ["gateway edge: its zone is installed"]
    assert texts(found, "gateway-down") == ["waiting for gateway edge: its zone is installed"]


def test_what_was_taken_away_by_hand_comes_back(admin: Admin, engine: Build) -> None:
    found = edge_site(admin, engine)
    assert repairs(found.ours) == {}
    admin.do("zlogin", "edge", "ipadm", "delete-addr", "edge_web0/zh4")
    assert repairs(found.ours) == {"missing": ["gateway"]}
    settle(found.ours)
    assert addresses(admin, "edge")["edge_web0/zh4"] == "10.99.0.1/24"
    admin.do("zlogin", "edge", "ipadm", "delete-if", "edge_wan0")
    settle(found.ours)
    assert addresses(admin, "edge")["edge_wan0/zh4"] == "192.0.2.10/24" and defaults(admin, "edge") == ["192.0.2.1"]
    admin.do("zlogin", "edge", "route", "-p", "delete", "default", "192.0.2.1")
    assert repairs(found.ours) == {"missing": ["gateway"]}
    settle(found.ours)
    assert defaults(admin, "edge") == ["192.0.2.1"] and persistent(admin, "edge") == ["default 192.0.2.1"]
    admin.do("zlogin", "edge", "ipadm", "set-ifprop", "-t", "-p", "forwarding=off", "-m", "ipv4", "edge_web0")
    assert repairs(found.ours) == {"altered": ["gateway"]}
    settle(found.ours)
    assert forwarding(admin, "edge") == ALL


def test_an_address_of_somebody_else_beside_ours_stays(admin: Admin, engine: Build) -> None:
    found = edge_site(admin, engine)
    for name, address in (("mine", "10.99.0.10/24"), ("zh40", "10.99.0.11/24")):
        admin.do("zlogin", "edge", "ipadm", "create-addr", "-T", "static", "-a", address, f"edge_web0/{name}")
    found.declare({"wan": WAN, "web": {**WEB, "gateway": "10.99.0.254"}, "db": DB})
    settle(found.ours)
    assert {name: a for name, a in addresses(admin, "edge").items() if "web0" in name} == {
        "edge_web0/mine": "10.99.0.10/24",
        "edge_web0/zh40": "10.99.0.11/24",
        "edge_web0/zh4n2": "10.99.0.254/24",
    }


def test_an_address_that_is_there_under_another_name_is_used(admin: Admin, engine: Build) -> None:
    member(admin, "edge")
    found = Site(admin, engine)
    settle(found.ours)
    admin.do("zoneadm", "-z", "edge", "boot")
    admin.do("zlogin", "edge", "ipadm", "create-addr", "-T", "static", "-a", "10.99.0.1/24", "edge_web0/v4")
    settle(found.ours)
    assert "edge_web0/v4" in addresses(admin, "edge") and "edge_web0/zh4" not in addresses(admin, "edge")


def test_the_outer_address_changes_and_so_does_the_way_out(admin: Admin, engine: Build) -> None:
    found = edge_site(admin, engine)
    found.edge(address="192.0.2.100")
    assert repairs(found.ours) == {}, "a change that was asked for is no repair"
    settle(found.ours)
    assert addresses(admin, "edge")["edge_wan0/zh4n2"] == "192.0.2.100/24"
    assert "192.0.2.10/24" not in addresses(admin, "edge").values()
    assert {rule.split(" -> ")[1].split()[0] for rule in rules(admin)} == {"192.0.2.100/32"}
    found.declare({**found.networks, "wan": {**WAN, "gateway": "192.0.2.254"}})
    settle(found.ours)
    assert defaults(admin, "edge") == ["192.0.2.254"] and persistent(admin, "edge") == ["default 192.0.2.254"]


def test_a_second_outer_address_comes_and_goes(admin: Admin, engine: Build) -> None:
    found = edge_site(admin, engine)
    found.edge(address=["192.0.2.10", "192.0.2.100"])
    settle(found.ours)
    outer = {name: a for name, a in addresses(admin, "edge").items() if "wan0" in name}
    assert sorted(outer.values()) == ["192.0.2.10/24", "192.0.2.100/24"]
    found.edge()
    settle(found.ours)
    assert [a for name, a in addresses(admin, "edge").items() if "wan0" in name] == ["192.0.2.10/24"]
    assert defaults(admin, "edge") == ["192.0.2.1"] and forwarding(admin, "edge") == ALL


def test_a_default_route_of_the_admin_is_used_and_stays(admin: Admin, engine: Build) -> None:
    member(admin, "edge")
    found = Site(admin, engine)
    settle(found.ours)
    admin.do("zoneadm", "-z", "edge", "boot")
    for command in (("ipadm", "create-addr", "-T", "static", "-a", "192.0.2.10/24", "edge_wan0/v4"),
                    ("route", "-p", "add", "default", "192.0.2.77")):  # fmt: skip
        admin.do("zlogin", "edge", *command)
    settle(found.ours)
    assert defaults(admin, "edge") == ["192.0.2.77"]
    found.declare({}, {})
    settle(found.ours)
    assert persistent(admin, "edge") == ["default 192.0.2.77"] and not found.changed(["route", "delete"])


def test_its_outer_address_may_come_from_a_pool(admin: Admin, engine: Build) -> None:
    member(admin, "edge")
    wan = {**WAN, "pool": ["192.0.2.50-192.0.2.60"]}
    edge = {key: value for key, value in EDGE.items() if key != "address"}
    found = Site(admin, engine, {"wan": wan, "web": WEB}, {"edge": edge})
    found.up("edge")
    assert addresses(admin, "edge")["edge_wan0/zh4"] == "192.0.2.50/24"
    assert "map edge_wan0 10.99.0.0/24 -> 192.0.2.50/32" in rules(admin)


def test_a_gateway_without_an_outer_side_connects_its_networks(admin: Admin, engine: Build) -> None:
    member(admin, "edge")
    found = Site(admin, engine, {"web": WEB, "db": DB}, {"edge": {"dhcp": "none", "dns": "none"}})
    found.up("edge")
    assert forwarding(admin, "edge") == {"edge_web0/4", "edge_db0/4"} and defaults(admin, "edge") == []
    assert rules(admin) == [] and not found.ours.notes() and not found.ours.notes("waiting")


def test_a_network_that_goes_forwards_no_more_before_its_address_is_gone(admin: Admin, engine: Build) -> None:
    found = edge_site(admin, engine)
    found.declare({"wan": WAN, "web": WEB})
    settle(found.ours)
    assert forwarding(admin, "edge") == {"edge_wan0/4", "edge_web0/4"}
    off = found.changed(["forwarding=off", "edge_db0"])
    gone = found.changed(["delete-if", "edge_db0"])
    order = found.ours.commands.changes
    assert len(off) == len(gone) == 1 and order.index(off[0]) < order.index(gone[0])
    assert not [rule for rule in rules(admin) if "10.98." in rule or "edge_db0" in rule]
    (removed,) = [argv for argv in order if argv[:2] == ("ipnat", "-z") and "-r" in argv]
    assert order.index(off[0]) < order.index(removed), "its rules go last: nothing private is ever seen outside"


def test_undeclared_it_is_the_zone_it_was(admin: Admin, engine: Build) -> None:
    member(admin, "edge", state="running")
    admin.do("dladm", "create-vnic", "-t", "-l", "net0", "mgmt0")
    admin.do("dladm", "set-linkprop", "-t", "-p", "zone=edge", "mgmt0")
    admin.do("zlogin", "edge", "ipadm", "create-addr", "-t", "-T", "static", "-a", "172.16.0.5/24", "mgmt0/v4")
    admin.do("zlogin", "edge", "ipadm", "set-ifprop", "-t", "-p", "forwarding=on", "-m", "ipv4", "mgmt0")
    found = Site(admin, engine)
    settle(found.ours)
    assert forwarding(admin, "edge") == ALL | {"mgmt0/4"}
    found.declare({}, {})
    settle(found.ours)
    assert addresses(admin, "edge") == {"mgmt0/v4": "172.16.0.5/24"} and forwarding(admin, "edge") == {"mgmt0/4"}
    assert (defaults(admin, "edge"), persistent(admin, "edge"), rules(admin), nets(admin, "edge")) == ([], [], [], [])
    assert [record for record in found.ours.store.all() if record.owner.name == "edge"] == []


def test_undeclared_while_it_is_halted_it_is_cleared_when_it_runs_again(admin: Admin, engine: Build) -> None:
    found = edge_site(admin, engine)
    admin.do("zoneadm", "-z", "edge", "halt")
    found.declare({}, {})
    settle(found.ours)
    assert nets(admin, "edge") == [] and not [link for link in admin.links() if link.startswith("edge_")]
    admin.do("zoneadm", "-z", "edge", "boot")
    settle(found.ours)
    assert addresses(admin, "edge") == {} and defaults(admin, "edge") == [] and persistent(admin, "edge") == []
    assert inside(admin, "edge", "ipadm", "show-if", "-p", "-o", "ifname").split() == ["lo0"]
    assert list(found.ours.store.all()) == []


def test_its_zone_is_deleted_and_comes_again(admin: Admin, engine: Build) -> None:
    found = edge_site(admin, engine, "web1 web")
    admin.do("zonecfg", "-z", "web1", "add attr; set name=zh.depends; set type=string; set value=no; end")
    admin.delete("edge")
    settle(found.ours)
    assert [record.kind for record in found.ours.store.all() if record.owner.name == "edge"] == [LET_GO]
    assert texts(found) == ["gateway edge: its zone does not exist"]
    assert texts(found, "gateway-down") == ["waiting for gateway edge: its zone does not exist"]
    member(admin, "edge")
    found.up("edge")
    assert forwarding(admin, "edge") == ALL and not found.ours.notes("waiting")


@pytest.mark.parametrize("side", ["web", "wan"])
def test_an_allowed_address_on_a_side_is_refused_with_the_way_out(admin: Admin, engine: Build, side: str) -> None:
    address = {"web": "10.99.0.1/24", "wan": "192.0.2.10/24"}[side]
    admin.zone("edge", f"set physical=own0; set allowed-address={address}")
    found = Site(admin, engine)
    found.up("edge")
    (note,) = found.ours.notes()
    assert note.text == "own0 of gateway edge has an allowed-address, which drops whatever it should pass on"
    assert note.hint == "zonecfg -z edge 'select net physical=own0; clear allowed-address; end', then reboot it"
    admin.do("zonecfg", "-z", "edge", "select net physical=own0; clear allowed-address; end; "
             f"add attr; set name=zh.net0; set type=string; set value={side}; end")  # fmt: skip
    admin.do("zoneadm", "-z", "edge", "reboot")
    settle(found.ours)
    assert not found.ours.notes() and "own0/4" in forwarding(admin, "edge")


def test_somebody_elses_address_is_said(admin: Admin, engine: Build) -> None:
    found = edge_site(admin, engine)
    admin.world.stacks["edge"].interfaces["edge_web0"].addresses["edge_web0/zh4"].state = "duplicate"
    (note,) = found.ours.notes()
    assert note.text == "gateway edge: 10.99.0.1/24 on edge_web0 is duplicate" and note.code == "gateway-shut"
