"""The etherstub plugin through the engine, on the paper floor, in both dialects."""

from __future__ import annotations

import pytest
from fixtures import Admin, Build


def test_a_declared_network_has_its_etherstub_and_an_undeclared_one_has_not(admin: Admin, engine: Build) -> None:
    before = admin.links()
    ours = engine(dmz="10.1.0.0/24", lan={"cidr": "192.168.1.0/24", "uplink": "net0"})
    ours.converge()
    assert sorted(admin.links()) == sorted([*before, "dmz0"])
    assert admin.do("dladm", "show-link", "-p", "-o", "class,mtu", "dmz0").strip() == "etherstub:1500"
    ours.redeclare({})
    ours.converge()
    assert admin.links() == before


def test_an_etherstub_that_was_there_before_is_used_and_never_deleted(admin: Admin, engine: Build) -> None:
    admin.do("dladm", "create-etherstub", "dmz0")
    ours = engine(dmz="10.1.0.0/24")
    assert ours.converge() == 1
    assert "was there before us" in ours.notes("nothing")[0].text
    ours.redeclare({})
    ours.converge()
    assert "dmz0" in admin.links()


def test_a_link_of_another_class_is_refused(admin: Admin, engine: Build) -> None:
    ours = engine(dmz={"cidr": "10.1.0.0/24", "etherstub": "net0"})
    ours.converge()
    (note,) = ours.notes()
    assert (
        note.code == "foreign-link"
        and "net0" in note.text
        and "is a phys" in note.text
        and "[network.dmz]" in note.hint
    )


@pytest.mark.parametrize("address", ["10.1.0.7/24", "10.0.0.7/8"], ids=["inside", "around"])
def test_a_range_the_host_itself_uses_is_refused_before_anything_is_built(
    admin: Admin, engine: Build, address: str
) -> None:
    admin.do("ipadm", "create-addr", "-T", "static", "-a", address, "net0/v4")
    ours = engine(dmz="10.1.0.0/24", back="172.16.2.0/24")
    ours.converge()
    (note,) = ours.notes()
    assert note.code == "overlaps-host" and f"overlaps {address}, which this host has on net0" in note.text
    assert "dmz0" not in admin.links() and "back0" in admin.links()


def test_a_range_the_host_routes_elsewhere_is_refused(admin: Admin, engine: Build) -> None:
    admin.do("ipadm", "create-addr", "-T", "static", "-a", "192.168.1.7/24", "net0/v4")
    admin.do("route", "-p", "add", "10.1.0.0/16", "192.168.1.1")
    ours = engine(dmz="10.1.0.0/24")
    ours.converge()
    (note,) = ours.notes()
    assert 'overlaps the static route "10.1.0.0/16 192.168.1.1" of this host' in note.text
    assert "dmz0" not in admin.links()


def test_a_renamed_network_keeps_its_etherstub(admin: Admin, engine: Build) -> None:
    ours = engine(dmz={"cidr": "10.1.0.0/24", "etherstub": "stub0"})
    ours.converge()
    ours.redeclare({"front": {"cidr": "10.1.0.0/24", "etherstub": "stub0"}})
    ours.converge()
    assert ("dladm", "delete-etherstub", "stub0") not in ours.commands.changes
    ours.redeclare({})
    ours.converge()
    assert "stub0" not in admin.links(), "the new owner clears it away"


def test_broken_by_hand_is_put_right(admin: Admin, engine: Build) -> None:
    ours = engine(dmz="10.1.0.0/24")
    ours.converge()
    admin.do("dladm", "set-linkprop", "-p", "mtu=9000", "dmz0")
    assert ours.steps() == ["dladm set-linkprop -p mtu=1500 dmz0"]
    ours.converge()
    admin.do("dladm", "delete-etherstub", "dmz0")
    ours.converge()
    assert "dmz0" in admin.links()


@pytest.mark.parametrize(
    "now", [{"cidr": "10.1.0.0/24", "etherstub": "new0"}, {"cidr": "10.1.0.0/24", "uplink": "net0"}]
)
def test_a_network_that_moves_leaves_no_etherstub_behind(admin: Admin, engine: Build, now: dict[str, object]) -> None:
    admin.by_address("web1", "web1_0", "10.1.0.5/24")
    ours = engine(dmz="10.1.0.0/24")
    ours.converge()
    ours.redeclare({"dmz": {"cidr": "10.1.0.0/24", **now}})
    ours.converge()
    assert "dmz0" not in admin.links() and admin.vnic("web1_0").split(":")[0] in ("new0", "net0")


def test_an_uplink_that_is_not_there_is_the_networks_trouble(admin: Admin, engine: Build) -> None:
    ours = engine(lan={"cidr": "192.168.1.0/24", "uplink": "typo7"})
    ours.converge()
    (note,) = ours.notes("waiting")
    assert note.code == "uplink-missing" and "typo7" in note.text and "[network.lan]" in note.hint
