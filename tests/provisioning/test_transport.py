"""The second NIC of a zone that is being set up: there until the zone is marked, gone with its next power cycle."""

from __future__ import annotations

import pytest
from fixtures import Admin, Build
from paper import Engine

SECTION = {"uplink": "net0", "uplink_cidr": "192.0.2.0/24", "upstream": ["192.0.2.53"]}
PLUGINS = ["etherstub", "pool", "address", "vnic", "nat", "gateway_nic", "zone_address", "gateway"]
WISH = "add attr; set name=zh.provision; set type=string; set value=provision; end"
NIC = "web1_provision0"


@pytest.fixture
def host(admin: Admin, engine: Build) -> Engine:
    admin.do("ipadm", "create-addr", "-T", "static", "-a", "192.0.2.10/24", "net0/v4")
    admin.do("route", "add", "default", "192.0.2.1")
    return engine({"provisioning": {"provision": SECTION}, "plugins": {"enabled": PLUGINS}}, dmz="10.1.0.0/24")


def wanted(admin: Admin, state: str = "installed") -> None:
    admin.zone("web1", "set physical=web1_0; set allowed-address=10.1.0.5/24", extra=WISH)
    if state == "running":
        admin.do("zoneadm", "-z", "web1", "boot")


def mark(admin: Admin, value: str = "yes") -> None:
    admin.do("zonecfg", "-z", "web1", f"add attr; set name=zh.provisioned; set type=string; set value={value}; end")


def named(admin: Admin) -> list[str]:
    return [line.partition("=")[2].strip('"') for line in admin.do("zonecfg", "-z", "web1", "export").splitlines()
            if line.startswith("set physical=")]  # fmt: skip


def inside(admin: Admin) -> str:
    return admin.do("zlogin", "web1", "ipadm", "show-addr", "-p", "-o", "addr")


def test_it_is_there_before_the_zone_boots_and_is_no_default_route(host: Engine, admin: Admin) -> None:
    wanted(admin)
    host.converge()
    assert named(admin) == ["web1_0", NIC] and admin.vnic(NIC).startswith("estub_provision0:")
    assert host.survey.site is not None
    placed = {each.link: each for each in host.survey.site.of_zone("web1").attachments}
    assert (placed[NIC].network.name, placed[NIC].primary, placed["web1_0"].primary) == ("provision", False, True)
    assert [str(each) for each in placed[NIC].addresses] == ["10.190.190.10/24"]
    admin.do("zoneadm", "-z", "web1", "boot")
    host.converge()
    assert "10.190.190.10/24" in inside(admin)


def test_a_halted_zone_that_is_marked_has_it_no_more(host: Engine, admin: Admin) -> None:
    wanted(admin)
    host.converge()
    mark(admin)
    host.converge()
    assert named(admin) == ["web1_0"] and NIC not in admin.links() and "web1_0" in admin.links()
    assert host.steps() == [] and host.notes("waiting") == host.notes() == []
    assert not [record for record in host.store.all() if record.name in (NIC, f"provision/{NIC}")]


@pytest.mark.parametrize("how", [("halt",), ("reboot",), ("halt", "boot")])
def test_a_zone_that_runs_keeps_it_until_its_next_power_cycle(host: Engine, admin: Admin, how: tuple[str, ...]) -> None:
    host.converge()
    wanted(admin)
    host.converge()
    admin.do("zoneadm", "-z", "web1", "boot")
    host.converge()
    mark(admin)
    host.converge()
    assert named(admin) == ["web1_0"], "the next boot is without it, whoever boots"
    assert NIC in admin.links() and "10.190.190.10/24" in inside(admin)
    assert host.survey.site is not None
    assert NIC in {each.link for each in host.survey.site.on_network["provision"]}, "so its address is nobody else's"
    admin.by_address("web2", "web2_0", "10.190.190.10/24")
    host.look()
    assert any("10.190.190.10 on network provision belongs to zone web1" in note.text for note in host.notes())
    for verb in how:
        admin.do("zoneadm", "-z", "web1", verb)
    host.converge()
    assert NIC not in admin.links() and "web1_0" in admin.links()
    assert not [note for note in host.notes() if note.object.startswith("web2")], "and its address is free"


def test_a_zone_that_runs_is_given_it_at_once(host: Engine, admin: Admin) -> None:
    host.converge()
    admin.by_address("web1", "web1_0", "10.1.0.5/24")
    host.converge()
    admin.do("zoneadm", "-z", "web1", "boot")
    host.converge()
    admin.do("zonecfg", "-z", "web1", WISH)
    host.converge()
    assert NIC in named(admin) and "10.190.190.10/24" in inside(admin)


def test_a_zone_marked_from_the_start_never_gets_one(host: Engine, admin: Admin) -> None:
    wanted(admin)
    mark(admin)
    host.converge()
    assert NIC not in admin.links() and named(admin) == ["web1_0"]
    admin.do("zoneadm", "-z", "web1", "boot")
    host.converge()
    assert NIC not in admin.links() and host.steps() == []


def test_marked_no_is_not_marked(host: Engine, admin: Admin) -> None:
    wanted(admin)
    mark(admin, "no")
    host.converge()
    assert NIC in admin.links()


def test_a_nic_that_its_admin_wrote_down_is_his_to_take_out(host: Engine, admin: Admin) -> None:
    admin.zone("web1", f"set physical={NIC}", extra=WISH)
    host.converge()
    assert NIC in admin.links() and named(admin) == [NIC]
    mark(admin)
    host.look()
    assert named(admin) == [NIC] and NIC in admin.links(), "without its link it would not boot"
    (note,) = [note for note in host.notes("waiting") if note.object == NIC]
    assert note.hint == f"zonecfg -z web1 'remove net physical={NIC}'"
    admin.do("zonecfg", "-z", "web1", f"remove net physical={NIC}")
    host.converge()
    assert NIC not in admin.links()


@pytest.mark.parametrize(
    ("attribute", "value", "said"),
    [
        ("zh.provision", "nowhere", "there is no provisioning network 'nowhere'"),
        ("zh.provision", "dmz", "there is no provisioning network 'dmz'"),
        ("zh.provisioned", "perhaps", "attribute zh.provisioned is 'perhaps'"),
    ],
)
def test_what_cannot_be_meant_is_refused(host: Engine, admin: Admin, attribute: str, value: str, said: str) -> None:
    attr = f"add attr; set name={attribute}; set type=string; set value={value}; end"
    admin.zone("web1", "set physical=web1_0; set allowed-address=10.1.0.5/24", extra=attr)
    host.converge()
    assert [note.text for note in host.notes()] == [said] and "web1_0" in admin.links()


def test_a_zone_that_is_deleted_leaves_nothing(host: Engine, admin: Admin) -> None:
    wanted(admin)
    host.converge()
    admin.delete("web1")
    host.converge()
    assert NIC not in admin.links() and not [each for each in host.store.all() if each.owner.name == "web1"
                                             and each.kind != "address"]  # fmt: skip
