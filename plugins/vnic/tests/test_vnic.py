"""The vnic plugin through the engine, on the paper floor, in both dialects."""

from __future__ import annotations

from pathlib import Path

import pytest
from fixtures import Admin, Build
from lab.faults import Fault
from lab.world import Dialect

from zonehookd.illumos.linkname import derived_mac
from zonehookd.model import subject
from zonehookd.model.outcome import Result
from zonehookd.model.plan import Remember


def test_each_nic_gets_its_vnic_on_the_matching_etherstub(admin: Admin, engine: Build) -> None:
    admin.zone("web1", "set physical=web1_0; set allowed-address=10.1.0.5/24",
               "set physical=web1_1; set allowed-address=10.2.0.5/24")  # fmt: skip
    ours = engine(dmz="10.1.0.0/24", back="10.2.0.0/24")
    assert ours.converge() == 2, "one look to do it, one to find nothing to do"
    assert admin.vnic("web1_0").startswith("dmz0:") and admin.vnic("web1_1").startswith("back0:")


def test_a_zone_is_wired_when_configured_and_boots(admin: Admin, engine: Build) -> None:
    admin.by_address("web1", "web1_0", "10.1.0.5/24", state="configured")
    engine(dmz="10.1.0.0/24").converge()
    admin.do("zoneadm", "-z", "web1", "install")
    booted = admin.sh("zoneadm", "-z", "web1", "boot")
    assert (booted.status, booted.err) == (0, "")


def test_name_and_mac_stay_over_halt_boot_reboot_and_recreation(admin: Admin, engine: Build) -> None:
    admin.by_address("web1", "web1_0", "10.1.0.5/24")
    ours = engine(dmz="10.1.0.0/24")
    ours.converge()
    first = admin.vnic("web1_0")
    for command in ("boot", "reboot", "halt"):
        admin.do("zoneadm", "-z", "web1", command)
        assert ours.steps() == [] and admin.vnic("web1_0") == first
    admin.do("dladm", "delete-vnic", "web1_0")
    ours.converge()
    assert admin.vnic("web1_0") == first


def test_everything_goes_with_the_zone_and_the_network(admin: Admin, engine: Build) -> None:
    before = admin.links()
    admin.by_address("web1", "web1_0", "10.1.0.5/24")
    ours = engine(dmz="10.1.0.0/24")
    ours.converge()
    admin.delete("web1")
    ours.converge()
    assert sorted(admin.links()) == sorted([*before, "dmz0"])
    ours.redeclare({})
    ours.converge()
    assert admin.links() == before and list(ours.store.all()) == []


def test_a_zone_that_loses_a_nic_loses_its_vnic(admin: Admin, engine: Build) -> None:
    admin.by_address("web1", "web1_0", "10.1.0.5/24")
    ours = engine(dmz="10.1.0.0/24")
    ours.converge()
    admin.do("zonecfg", "-z", "web1", "remove net physical=web1_0")
    ours.converge()
    assert "web1_0" not in admin.links()


def test_a_running_zone_keeps_the_link_it_was_told_to_lose_until_it_halts(admin: Admin, engine: Build) -> None:
    admin.by_address("web1", "web1_0", "10.1.0.5/24")
    ours = engine(dmz="10.1.0.0/24")
    ours.converge()
    admin.do("zoneadm", "-z", "web1", "boot")
    admin.do("zonecfg", "-z", "web1", "remove net physical=web1_0")
    (note,) = [note for note in ours.notes("waiting") if note.object == "web1_0"]
    assert note.code == "in-use" and "still in zone web1" in note.text and ours.steps() == []
    admin.do("zoneadm", "-z", "web1", "halt")
    ours.converge()
    assert "web1_0" not in admin.links()


def test_a_changed_etherstub_moves_the_vnic_when_the_zone_has_halted(admin: Admin, engine: Build) -> None:
    admin.by_address("web1", "web1_0", "10.1.0.5/24")
    ours = engine(dmz="10.1.0.0/24")
    ours.converge()
    mac = admin.vnic("web1_0").split(":", 1)[1]
    admin.do("zoneadm", "-z", "web1", "boot")
    ours.redeclare({"dmz": {"cidr": "10.1.0.0/24", "etherstub": "other0"}})
    ours.converge()
    assert admin.vnic("web1_0").startswith("dmz0:"), "never under a running zone"
    admin.do("zoneadm", "-z", "web1", "halt")
    ours.converge()
    assert admin.vnic("web1_0") == f"other0:{mac}"


@pytest.mark.parametrize("made", ["over net0", "a stub"])
def test_a_foreign_link_of_that_name_is_refused_and_untouched(admin: Admin, engine: Build, made: str) -> None:
    if made == "over net0":
        admin.do("dladm", "create-vnic", "-l", "net0", "web1_0")
    else:
        admin.do("dladm", "create-etherstub", "web1_0")
    before = admin.do("dladm", "show-link", "-p", "-o", "link,class,over", "web1_0")
    admin.by_address("web1", "web1_0", "10.1.0.5/24")
    admin.by_address("web2", "web2_0", "10.1.0.6/24")
    ours = engine(dmz="10.1.0.0/24")
    ours.converge()
    (note,) = ours.notes()
    assert note.code == "foreign-link" and note.object == "web1_0" and note.hint
    assert admin.do("dladm", "show-link", "-p", "-o", "link,class,over", "web1_0") == before
    assert admin.vnic("web2_0"), "the others go on"
    admin.delete("web1")
    ours.converge()
    assert admin.do("dladm", "show-link", "-p", "-o", "link,class,over", "web1_0") == before


def test_a_vnic_made_by_somebody_else_is_used_and_never_deleted(admin: Admin, engine: Build) -> None:
    ours = engine(dmz="10.1.0.0/24")
    ours.converge()
    admin.do("dladm", "create-vnic", "-l", "dmz0", "znic0")
    before = admin.vnic("znic0")
    admin.by_address("web1", "znic0", "10.1.0.5/24")
    assert ours.converge() == 1, "there is nothing to do"
    admin.delete("web1")
    ours.converge()
    assert admin.vnic("znic0") == before


def test_a_link_recreated_by_hand_is_no_longer_ours(admin: Admin, engine: Build) -> None:
    admin.by_address("web1", "web1_0", "10.1.0.5/24")
    ours = engine(dmz="10.1.0.0/24")
    ours.converge()
    admin.do("dladm", "delete-vnic", "web1_0")
    admin.do("dladm", "create-vnic", "-l", "dmz0", "-m", "2:8:20:9:9:9", "web1_0")
    ours.converge()
    assert ours.store.one("vnic", "web1_0") is None
    admin.delete("web1")
    ours.converge()
    assert admin.vnic("web1_0") == "dmz0:2:8:20:9:9:9:0"


def test_names_that_look_alike_are_left_alone(admin: Admin, engine: Build) -> None:
    admin.do("dladm", "create-etherstub", "dmz00x1")
    admin.do("dladm", "create-vnic", "-l", "dmz00x1", "web1_01x0")
    admin.by_address("web1", "web1_0", "10.1.0.5/24")
    ours = engine(dmz="10.1.0.0/24")
    ours.converge()
    admin.do("dladm", "create-vnic", "-l", "dmz0", "web1_10")
    admin.delete("web1")
    ours.redeclare({})
    for _ in range(3):
        ours.look()
    assert {"dmz00x1", "web1_01x0", "web1_10", "dmz0"} <= set(admin.links())
    (note,) = ours.notes("waiting")
    assert note.code == "vnics-on-etherstub" and "web1_10" in note.text


def test_a_renamed_zone_takes_its_link_along(admin: Admin, engine: Build) -> None:
    admin.by_address("web1", "web1_0", "10.1.0.5/24")
    ours = engine(dmz="10.1.0.0/24")
    ours.converge()
    first = admin.vnic("web1_0")
    admin.do("zonecfg", "-z", "web1", "set zonename=web2")
    ours.converge()
    assert admin.vnic("web1_0") == first
    assert [record.name for record in ours.store.of(subject.zone("web2"))] == ["web1_0"]
    assert ("dladm", "delete-vnic", "web1_0") not in ours.commands.changes


def test_an_address_by_attribute_is_protected_while_the_zone_runs(admin: Admin, engine: Build) -> None:
    admin.zone("web1", "set physical=web1_0",
               extra='add attr; set name=zh.net0; set type=string; set value="dmz 10.1.0.5"; end')  # fmt: skip
    ours = engine(dmz="10.1.0.0/24")
    ours.converge()
    show = ("dladm", "show-linkprop", "-c", "-o", "value", "-p", "protection,allowed-ips", "web1_0")
    assert admin.do(*show).split() == [], "a link protected before its zone boots could keep it from booting"
    for command in ("boot", "reboot"):
        admin.do("zoneadm", "-z", "web1", command)
        ours.converge()
        assert admin.do(*show).split() == ["ip-nospoof", "10.1.0.5/32"]


def test_allowed_address_is_left_to_zoneadmd(admin: Admin, engine: Build) -> None:
    admin.by_address("web1", "web1_0", "10.1.0.5/24")
    ours = engine(dmz="10.1.0.0/24")
    ours.converge()
    admin.do("zoneadm", "-z", "web1", "boot")
    ours.converge()
    assert not [argv for argv in ours.commands.changes if "protection" in " ".join(argv)]


def test_a_vnic_on_demand_is_left_to_the_brand(admin: Admin, engine: Build) -> None:
    if admin.world.dialect is not Dialect.OMNIOS:
        done = admin.sh("zonecfg", "-z", "web1", "create -b; add net; set global-nic=dmz0; end")
        assert done.status != 0, "vanilla knows no global-nic"
        return
    admin.zone("web1", "set physical=web1_0; set allowed-address=10.1.0.5/24; set global-nic=dmz0")
    ours = engine(dmz="10.1.0.0/24")
    ours.converge()
    assert "web1_0" not in admin.links() and "dmz0" in admin.links()
    admin.do("zoneadm", "-z", "web1", "boot")
    ours.converge()
    assert admin.vnic("web1_0").startswith("dmz0:") and ours.store.one("vnic", "web1_0") is None
    admin.do("zoneadm", "-z", "web1", "halt")
    assert "web1_0" not in admin.links() and ours.converge() == 1


def test_global_nic_auto_finds_a_hidden_network_because_we_are_first(admin: Admin, engine: Build) -> None:
    if admin.world.dialect is not Dialect.OMNIOS:
        assert admin.sh("dladm", "show-vnic", "-p", "-o", "link,zone").status == 1, "nothing to show on vanilla"
        return
    admin.zone("web1", "set physical=web1_0; set allowed-address=10.1.0.5/24; set global-nic=auto")
    ours = engine(dmz="10.1.0.0/24")
    ours.converge()
    for _ in range(2):
        admin.do("zoneadm", "-z", "web1", "boot")
        assert admin.vnic("web1_0").startswith("dmz0:")
        admin.do("zoneadm", "-z", "web1", "halt")
        ours.converge()


def test_a_vlan_is_tagged(admin: Admin, engine: Build) -> None:
    if admin.world.dialect is not Dialect.OMNIOS:
        assert engine(lan={"cidr": "192.168.1.0/24", "uplink": "net0"}).converge() == 1
        return
    admin.zone("web1", "set physical=web1_0; set allowed-address=192.168.1.5/24; set vlan-id=7")
    engine(lan={"cidr": "192.168.1.0/24", "uplink": "net0"}).converge()
    assert admin.vnic("web1_0").endswith(":7") and admin.vnic("web1_0").startswith("net0:")


def test_two_links_never_get_one_mac(admin: Admin, engine: Build) -> None:
    ours = engine(dmz="10.1.0.0/24")
    ours.converge()
    admin.do("dladm", "create-vnic", "-l", "dmz0", "-m", derived_mac("paper", "web1_0"), "squatter0")
    admin.by_address("web1", "web1_0", "10.1.0.5/24")
    ours.converge()
    assert admin.vnic("web1_0") != admin.vnic("squatter0")


def test_lost_books_are_rebuilt_from_the_macs(admin: Admin, engine: Build, tmp_path: Path) -> None:
    import asyncio

    from zonehookd.engine.look import PluginReader

    admin.by_address("web1", "web1_0", "10.1.0.5/24")
    admin.by_address("web2", "web2_0", "10.1.0.6/24")
    first = engine(dmz="10.1.0.0/24")
    first.converge()
    admin.do("dladm", "create-vnic", "-l", "dmz0", "foreign0")
    first.store.close()
    (tmp_path / "state" / "state.db").write_bytes(b"garbage" * 1000)
    admin.do("zoneadm", "-z", "web2", "uninstall", "-F")
    admin.do("zonecfg", "-z", "web2", "delete", "-F")  # while the books are gone
    again = engine(dmz="10.1.0.0/24")
    assert "unreadable" in again.store.rebuilt
    look = again._look()
    taken = asyncio.run(again.survey.take(look, again.declared, 0.0))
    for plugin in again.reconciler.plugins:
        for record in asyncio.run(plugin.reclaim(taken.site.holders, PluginReader(again._look(), plugin.name))):
            again.store.remember(record)
    assert {record.name for record in again.store.all()} == {"web1_0", "web2_0"}
    again.converge()
    assert "web2_0" not in admin.links() and {"web1_0", "foreign0"} <= set(admin.links())


@pytest.mark.parametrize(("kind", "result"), [("busy", Result.BUSY), ("again", Result.BUSY), ("fail", Result.FAILED)])
def test_trouble_with_one_link_is_that_links_trouble(admin: Admin, engine: Build, kind: str, result: Result) -> None:
    admin.by_address("web1", "web1_0", "10.1.0.5/24")
    admin.by_address("web2", "web2_0", "10.1.0.6/24")
    ours = engine(dmz="10.1.0.0/24")
    admin.world.faults.add(Fault(kind, "dladm create-vnic * web1_0"))
    applied = ours.look()
    assert applied["zone:web1"].result is result and applied["zone:web2"].result is Result.CHANGED
    assert "web1_0" in applied["zone:web1"].error
    ours.converge()
    assert {"web1_0", "web2_0"} <= set(admin.links())


def test_a_create_that_is_killed_half_way_is_said_and_the_others_go_on(admin: Admin, engine: Build) -> None:
    """The ghost name it leaves stays until the host reboots (network sheet 8.3); nothing we could do."""
    for number in (1, 2, 3, 4):
        admin.by_address(f"web{number}", f"web{number}_0", f"10.1.0.{number + 4}/24")
    ours = engine(dmz="10.1.0.0/24")
    admin.world.faults.add(Fault("kill", "dladm create-vnic * web1_0"))
    assert ours.look()["zone:web1"].result is Result.FAILED
    again = ours.look()["zone:web1"]
    assert again.result is Result.FAILED and "object already exists" in again.error
    assert "web2_0" in admin.links()


def test_an_unreadable_zone_keeps_what_it_has(admin: Admin, engine: Build) -> None:
    admin.by_address("web1", "web1_0", "10.1.0.5/24")
    admin.by_address("web2", "web2_0", "10.1.0.6/24")
    ours = engine(dmz="10.1.0.0/24")
    ours.converge()
    admin.world.path("/etc/zones/web1.xml").write_text("<zone")
    ours.converge()
    (note,) = ours.notes()
    assert note.code == "unreadable" and "web1.xml" in note.text
    assert {"web1_0", "web2_0"} <= set(admin.links())


def test_an_address_that_moves_out_of_all_networks_takes_nothing_away(admin: Admin, engine: Build) -> None:
    admin.by_address("web1", "web1_0", "10.1.0.5/24")
    ours = engine(dmz="10.1.0.0/24")
    ours.converge()
    ours.redeclare({"dmz": {"cidr": "10.9.0.0/24"}})
    ours.converge()
    (note,) = ours.notes()
    assert note.code == "no-network" and "web1_0" in admin.links()


def test_mtu_of_the_network_reaches_every_vnic(admin: Admin, engine: Build) -> None:
    admin.by_address("web1", "web1_0", "10.1.0.5/24")
    ours = engine(dmz={"cidr": "10.1.0.0/24", "mtu": 9000})
    ours.converge()

    def mtu(link: str) -> str:
        return admin.do("dladm", "show-link", "-p", "-o", "mtu", link).strip()

    assert (mtu("dmz0"), mtu("web1_0")) == ("9000", "9000")
    for size in (1400, 3000):
        ours.redeclare({"dmz": {"cidr": "10.1.0.0/24", "mtu": size}})
        ours.converge()
        assert (mtu("dmz0"), mtu("web1_0")) == (str(size), str(size))


def test_a_recorded_mac_that_another_took_first_is_given_up(admin: Admin, engine: Build) -> None:
    """Two new links whose derived MACs are one: the second to be made is refused, and gets the next."""
    admin.by_address("web1", "web1_0", "10.1.0.5/24")
    ours = engine(dmz="10.1.0.0/24")
    plans = ours.plan()
    admin.do("dladm", "create-etherstub", "dmz0")
    admin.do("dladm", "create-vnic", "-l", "dmz0", "-m", derived_mac("paper", "web1_0"), "squatter0")
    remember = plans[-1].steps[0].step  # the record was written, and then we were too late
    assert isinstance(remember, Remember)
    ours.store.remember(remember.record)
    ours.converge()
    assert admin.vnic("web1_0").startswith("dmz0:") and admin.vnic("web1_0") != admin.vnic("squatter0")


def test_an_internal_network_never_lands_on_a_physical_link(admin: Admin, engine: Build) -> None:
    admin.by_address("web1", "web1_0", "10.1.0.5/24")
    ours = engine(net="10.1.0.0/24")  # the etherstub made of this name is net0, and net0 is the physical link
    ours.converge()
    assert "web1_0" not in admin.links()
    assert [note.code for note in ours.notes("waiting")] == ["network-trouble"]
    alone = engine({"plugins": {"enabled": ["vnic"]}}, net="10.1.0.0/24")
    alone.converge()
    assert "web1_0" not in admin.links() and alone.notes()[0].code == "foreign-link"


def test_a_missing_uplink_is_waited_for(admin: Admin, engine: Build) -> None:
    admin.by_address("web1", "web1_0", "192.168.1.5/24")
    ours = engine(lan={"cidr": "192.168.1.0/24", "uplink": "aggr7"})
    ours.converge()
    notes = ours.notes("waiting")
    assert [note.code for note in notes] == ["uplink-missing"] * 2, "the network's, and the zone's"
    assert all("aggr7" in note.text for note in notes)


def test_a_network_that_is_refused_is_waited_for(admin: Admin, engine: Build) -> None:
    admin.do("ipadm", "create-addr", "-T", "static", "-a", "10.1.0.7/24", "net0/v4")
    admin.by_address("web1", "web1_0", "10.1.0.5/24")
    ours = engine(dmz="10.1.0.0/24")
    ours.converge()
    (note,) = ours.notes("waiting")
    assert note.code == "network-trouble" and "overlaps 10.1.0.7/24" in note.text
    admin.do("ipadm", "delete-addr", "net0/v4")
    ours.converge()
    assert "web1_0" in admin.links()
