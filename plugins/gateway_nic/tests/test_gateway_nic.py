"""A gateway zone's NICs, through the engine: in its configuration, lent while it runs, taken back; others' stay."""

from __future__ import annotations

from fixtures import Admin, Build
from paper_gateway import (
    DB,
    EDGE,
    WAN,
    WEB,
    Site,
    addresses,
    edge_site,
    member,
    nets,
    planned,
    repairs,
    rules,
    said,
    settle,
)

from zonehookd.model.plan import describe
from zonehookd.model.record import LET_GO

SIDES = ["edge_wan0", "edge_web0", "edge_db0"]


def in_zone(admin: Admin, link: str) -> str:
    """The zone that has the link now."""
    return admin.do("dladm", "show-linkprop", "-c", "-o", "value", "-p", "zone", link).strip()


def lines(found: Site) -> list[str]:
    return [describe(step) for step in planned(found.ours, "gateway_nic")]


def test_nobody_has_to_write_a_gateways_nics_down(admin: Admin, engine: Build) -> None:
    member(admin, "edge")
    found = Site(admin, engine)
    settle(found.ours)
    assert nets(admin, "edge") == SIDES
    export = admin.do("zonecfg", "-z", "edge", "export")
    assert "allowed-address" not in export, "which would drop whatever it should pass on"
    admin.do("zoneadm", "-z", "edge", "boot")
    assert [in_zone(admin, link) for link in SIDES] == ["edge"] * 3


def test_it_waits_until_the_vnic_is_there(admin: Admin, engine: Build) -> None:
    member(admin, "edge")
    found = Site(admin, engine)
    assert {note.text for note in said(found.ours, "no-vnic")} == {f"{link} waits for its VNIC" for link in SIDES}
    assert lines(found) == []
    found.ours.look()
    assert lines(found)[:2] == [
        "remember net edge_wan0",
        "zonecfg -z edge 'add net; set physical=edge_wan0; end'",
    ], "in the books before it is in the configuration"


def test_a_zone_that_runs_already_is_lent_its_sides(admin: Admin, engine: Build) -> None:
    member(admin, "edge", state="running")
    found = Site(admin, engine)
    settle(found.ours)
    assert nets(admin, "edge") == SIDES and [in_zone(admin, link) for link in SIDES] == ["edge"] * 3
    assert set(addresses(admin, "edge").values()) == {"192.0.2.10/24", "10.99.0.1/24", "10.98.0.1/24"}
    admin.do("zoneadm", "-z", "edge", "reboot")
    settle(found.ours)
    assert [in_zone(admin, link) for link in SIDES] == ["edge"] * 3


def test_a_side_that_was_taken_out_of_the_running_zone_comes_back(admin: Admin, engine: Build) -> None:
    found = edge_site(admin, engine)
    admin.do("zlogin", "edge", "ipadm", "delete-if", "edge_web0")
    admin.do("dladm", "reset-linkprop", "-t", "-p", "zone", "edge_web0")
    assert in_zone(admin, "edge_web0") != "edge"
    assert lines(found) == ["dladm set-linkprop -t -p zone=edge edge_web0"]
    settle(found.ours)
    assert in_zone(admin, "edge_web0") == "edge" and addresses(admin, "edge")["edge_web0/zh4"] == "10.99.0.1/24"


def test_a_nic_that_somebody_took_out_of_the_configuration_comes_back(admin: Admin, engine: Build) -> None:
    found = edge_site(admin, engine)
    admin.do("zonecfg", "-z", "edge", "remove net physical=edge_web0")
    assert lines(found) == ["zonecfg -z edge 'add net; set physical=edge_web0; end'"], "and the books know it already"
    assert repairs(found.ours) == {"missing": ["gateway_nic"]}
    settle(found.ours)
    assert sorted(nets(admin, "edge")) == sorted(SIDES)


def test_a_side_that_the_admin_wrote_down_is_used_and_stays(admin: Admin, engine: Build) -> None:
    member(admin, "edge", "web")
    found = Site(admin, engine)
    found.up("edge")
    assert nets(admin, "edge") == ["edge_0", "edge_wan0", "edge_db0"]
    assert addresses(admin, "edge")["edge_0/zh4"] == "10.99.0.1/24"
    found.declare({}, {})
    settle(found.ours)
    assert nets(admin, "edge") == ["edge_0"]


def test_a_network_goes_from_a_gateway_that_runs(admin: Admin, engine: Build) -> None:
    found = edge_site(admin, engine, "web1 web")
    before = rules(admin)
    found.declare({"wan": WAN, "web": WEB})
    settle(found.ours)
    assert nets(admin, "edge") == ["edge_wan0", "edge_web0"] and "edge_db0" not in admin.links()
    assert rules(admin) == [rule for rule in before if "10.98.0." not in rule]
    assert [in_zone(admin, link) for link in SIDES[:2]] == ["edge"] * 2


def test_a_network_goes_from_a_gateway_that_is_halted_and_comes_again(admin: Admin, engine: Build) -> None:
    found = edge_site(admin, engine)
    admin.do("zoneadm", "-z", "edge", "halt")
    found.declare({"wan": WAN, "web": WEB})
    settle(found.ours)
    assert nets(admin, "edge") == ["edge_wan0", "edge_web0"] and "edge_db0" not in admin.links()
    found.declare({"wan": WAN, "web": WEB, "db": DB})
    settle(found.ours)
    assert nets(admin, "edge") == SIDES
    admin.do("zoneadm", "-z", "edge", "boot")
    settle(found.ours)
    assert addresses(admin, "edge")["edge_db0/zh4"] == "10.98.0.1/24"


def test_whatever_else_is_in_the_configuration_stays(admin: Admin, engine: Build) -> None:
    admin.do("dladm", "create-vnic", "-l", "net0", "mgmt0")
    admin.do("dladm", "create-vnic", "-l", "net0", "edge_web00x0")
    attr = "add attr; set name=owner; set type=string; set value=alice; end; "
    admin.zone("edge", "set physical=mgmt0", "set physical=edge_web00x0", extra=attr)
    before = admin.do("zonecfg", "-z", "edge", "export")
    found = Site(admin, engine)
    settle(found.ours)
    assert set(SIDES) < set(nets(admin, "edge"))
    found.declare({}, {})
    settle(found.ours)
    assert admin.do("zonecfg", "-z", "edge", "export") == before


def test_a_zone_that_is_no_gateway_any_more_loses_its_sides(admin: Admin, engine: Build) -> None:
    found = edge_site(admin, engine, "web1 web")
    found.declare({"wan": WAN, "web": {**WEB, "via": None}, "db": {**DB, "via": None}}, {})
    settle(found.ours)
    assert nets(admin, "edge") == [] and not set(SIDES) & set(admin.links())
    assert admin.vnic("web1_0").startswith("web0:"), "whoever was behind it keeps his wire"


def test_a_gateway_zone_that_is_deleted_leaves_its_configuration_and_nothing_else(admin: Admin, engine: Build) -> None:
    found = edge_site(admin, engine)
    admin.delete("edge")
    settle(found.ours)
    assert not set(SIDES) & set(admin.links())
    assert [record.kind for record in found.ours.store.all() if record.owner.name == "edge"] == [LET_GO]
    member(admin, "edge")
    found.up("edge")
    assert nets(admin, "edge") == SIDES and addresses(admin, "edge")["edge_web0/zh4"] == "10.99.0.1/24"


def test_an_external_gateway_is_its_admins(admin: Admin, engine: Build) -> None:
    member(admin, "edge", "web 10.99.0.1")
    found = Site(admin, engine, gateways={"edge": {"kind": "external", "outside": "wan"}})
    found.up("edge")
    assert nets(admin, "edge") == ["edge_0"] and admin.vnic("edge_0").startswith("web0:")
    assert addresses(admin, "edge") == {} and not found.ours.notes()


def test_its_links_may_be_named(admin: Admin, engine: Build) -> None:
    member(admin, "edge")
    networks = {"wan": WAN, "web": {**WEB, "gateway_link": "inner0"}}
    found = Site(admin, engine, networks, {"edge": {**EDGE, "link": "outer0"}})
    found.up("edge")
    assert nets(admin, "edge") == ["outer0", "inner0"]
    assert addresses(admin, "edge") == {"outer0/zh4": "192.0.2.10/24", "inner0/zh4": "10.99.0.1/24"}


def test_a_zone_without_a_stack_of_its_own_is_refused_with_the_way_out(admin: Admin, engine: Build) -> None:
    admin.do("zonecfg", "-z", "edge", "create -b; set zonepath=/zones/edge; set brand=sparse; set ip-type=shared")
    found = Site(admin, engine)
    settle(found.ours)
    (note,) = found.ours.notes()
    assert (note.code, note.hint) == ("shared-ip", "zonecfg -z edge set ip-type=exclusive")
    assert nets(admin, "edge") == []


def test_a_foreign_link_of_that_name_is_refused_and_never_added(admin: Admin, engine: Build) -> None:
    admin.do("dladm", "create-etherstub", "edge_web0")
    member(admin, "edge")
    found = Site(admin, engine)
    settle(found.ours)
    assert [note.code for note in found.ours.notes()] == ["foreign-link"]
    assert "edge_web0" not in nets(admin, "edge"), "the zone would fail to boot with it"


def test_a_foreign_vnic_of_that_name_stays_where_it_is(admin: Admin, engine: Build) -> None:
    admin.do("dladm", "create-vnic", "-l", "net0", "edge_web0")
    before = admin.vnic("edge_web0")
    member(admin, "edge", state="running")
    found = Site(admin, engine)
    settle(found.ours)
    assert [note.code for note in found.ours.notes()] == ["foreign-link"]
    assert in_zone(admin, "edge_web0") != "edge" and admin.vnic("edge_web0") == before
    assert nets(admin, "edge") == ["edge_wan0", "edge_db0"], "the other sides go on"
