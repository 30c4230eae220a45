"""What the vnic plugin does when a zone, its configuration or somebody else changes under it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from fixtures import Admin, Build
from lab.world import Dialect

from zonehookd.engine.boots import Motion
from zonehookd.host.process import Finished
from zonehookd.model import subject
from zonehookd.model.outcome import Result
from zonehookd.model.plan import describe
from zonehookd.model.subject import Subject


def attribute(text: str) -> str:
    return f'add attr; set name=zh.net0; set type=string; set value="{text}"; end'


def test_a_changed_mac_is_given_to_a_new_link(admin: Admin, engine: Build) -> None:
    admin.zone("web1", "set physical=web1_0", extra=attribute("dmz 10.1.0.5 mac=2:8:20:0:0:3"))
    ours = engine(dmz="10.1.0.0/24")
    ours.converge()
    assert admin.vnic("web1_0") == "dmz0:2:8:20:0:0:3:0"
    admin.do("zonecfg", "-z", "web1", 'select attr name=zh.net0; set value="dmz 10.1.0.5 mac=2:8:20:0:0:4"; end')
    ours.converge()
    assert admin.vnic("web1_0") == "dmz0:2:8:20:0:0:4:0"
    record = ours.store.one("vnic", "web1_0")
    assert record is not None and record.facts["mac"] == "02:08:20:00:00:04"


def test_a_mac_that_another_link_has_is_refused_with_its_holder(admin: Admin, engine: Build) -> None:
    ours = engine(dmz="10.1.0.0/24")
    ours.converge()
    admin.do("dladm", "create-vnic", "-l", "dmz0", "-m", "2:8:20:0:0:3", "other0")
    admin.zone("web1", "set physical=web1_0", extra=attribute("dmz 10.1.0.5 mac=2:8:20:0:0:3"))
    ours.converge()
    (note,) = ours.notes()
    assert note.code == "mac-taken" and "belongs to other0" in note.text


def test_a_changed_vlan_is_repaired(admin: Admin, engine: Build) -> None:
    if admin.world.dialect is not Dialect.OMNIOS:
        assert engine(dmz="10.1.0.0/24").converge() == 2, "vanilla zonecfg knows no VLAN"
        return
    admin.zone("web1", "set physical=web1_0; set allowed-address=192.168.1.5/24; set vlan-id=7")
    ours = engine(lan={"cidr": "192.168.1.0/24", "uplink": "net0"})
    ours.converge()
    admin.do("zonecfg", "-z", "web1", "select net physical=web1_0; set vlan-id=8; end")
    ours.converge()
    assert admin.vnic("web1_0").endswith(":8")


def test_a_renamed_etherstub_is_put_right(admin: Admin, engine: Build) -> None:
    admin.by_address("web1", "web1_0", "10.1.0.5/24")
    ours = engine(dmz="10.1.0.0/24")
    ours.converge()
    mac = admin.vnic("web1_0").split(":", 1)[1]
    admin.do("dladm", "rename-link", "dmz0", "mine0")
    ours.converge()
    assert admin.vnic("web1_0") == f"dmz0:{mac}"


def test_a_link_torn_out_of_a_running_zone_comes_back_protected(admin: Admin, engine: Build) -> None:
    admin.zone("web1", "set physical=web1_0", extra=attribute("dmz 10.1.0.5"))
    ours = engine(dmz="10.1.0.0/24")
    ours.converge()
    admin.do("zoneadm", "-z", "web1", "boot")
    admin.do("dladm", "reset-linkprop", "-t", "-p", "zone", "web1_0")
    admin.do("dladm", "delete-vnic", "web1_0")
    (plan,) = [plan for plan in ours.plan() if plan.subject.name == "web1"]
    verbs = [describe(each.step).split()[1] for each in plan.steps]
    assert verbs == ["vnic", "create-vnic", "set-linkprop", "set-linkprop", "set-linkprop"], (
        "guarded before it is let in"
    )
    ours.converge()
    asked = ("-p", "zone,protection,allowed-ips", "web1_0")
    shown = admin.do("dladm", "show-linkprop", "-c", "-o", "value", *asked).split()
    assert shown == ["web1", "ip-nospoof", "10.1.0.5/32"]


def test_a_link_is_not_moved_between_the_halves_of_a_reboot(admin: Admin, engine: Build) -> None:
    admin.by_address("web1", "web1_0", "10.1.0.5/24")
    ours = engine(dmz="10.1.0.0/24")
    ours.converge()
    ours.redeclare({"dmz": {"cidr": "10.1.0.0/24", "etherstub": "other0"}})
    ours.motion = replace(Motion(), moving=frozenset({"web1"}))
    ours.look()
    assert [note.code for note in ours.notes("waiting") if note.object == "web1_0"] == ["in-motion"]
    assert admin.vnic("web1_0").startswith("dmz0:")
    ours.motion = Motion()
    ours.converge()
    assert admin.vnic("web1_0").startswith("other0:")


def test_nobody_takes_a_link_or_an_address_that_another_zone_has(admin: Admin, engine: Build) -> None:
    admin.by_address("web1", "web1_0", "10.1.0.5/24")
    admin.by_address("web2", "web2_0", "10.1.0.6/24")
    ours = engine(dmz="10.1.0.0/24", back="10.2.0.0/24")
    ours.converge()
    before = admin.vnic("web2_0")
    admin.do("zonecfg", "-z", "web1", "add net; set physical=web2_0; set allowed-address=10.2.0.9/24; end")
    admin.do("zonecfg", "-z", "web1", "add net; set physical=web1_1; set allowed-address=10.1.0.6/24; end")
    ours.converge()
    assert admin.vnic("web2_0") == before and "web1_1" not in admin.links()
    assert sorted(note.code for note in ours.notes()) == ["address-taken", "link-taken"]
    assert all("web2" in note.text for note in ours.notes())
    assert [record.name for record in ours.store.of(subject.zone("web2"))] == ["web2_0"]


def test_an_index_that_was_cut_off_takes_nothing_away(admin: Admin, engine: Build) -> None:
    admin.by_address("web1", "web1_0", "10.1.0.5/24")
    ours = engine(dmz="10.1.0.0/24")
    ours.converge()
    admin.world.path("/etc/zones/index").write_text("")
    with pytest.raises(Exception, match="global zone is not in it"):
        ours.look()
    assert "web1_0" in admin.links()


def test_a_link_name_that_would_be_an_option_is_refused(admin: Admin, engine: Build) -> None:
    admin.by_address("web1", "web1_0", "10.1.0.5/24", state="configured")
    file = admin.world.path("/etc/zones/web1.xml")
    file.write_text(file.read_text().replace('physical="web1_0"', 'physical="-s"'))
    ours = engine(dmz="10.1.0.0/24")
    ours.converge()
    assert [note.code for note in ours.notes()] == ["illegal-link-name"]
    assert not [argv for argv in ours.commands.looks + ours.commands.changes if "-s" in argv]


@pytest.mark.parametrize("gone", [False, True], ids=["zone stays", "zone goes"])
def test_two_walks_that_disagree_are_no_answer(admin: Admin, engine: Build, gone: bool) -> None:
    """A walk is no snapshot: a VNIC that one lists and the other does not keeps its record, whatever becomes of it."""
    admin.by_address("web1", "web1_0", "10.1.0.5/24")
    ours = engine(dmz="10.1.0.0/24")
    ours.converge()
    if gone:
        admin.delete("web1")
    whole = ours.commands.run

    async def torn(asked: Any, *, why: str, subject: Subject | None) -> Finished:
        done = await whole(asked, why=why, subject=subject)
        if "show-vnic" not in asked.argv:
            return done
        rows = [row for row in done.reply.stdout.splitlines(keepends=True) if not row.startswith("web1_0:")]
        return Finished(replace(done.reply, stdout="".join(rows)), done.seconds)

    ours.commands.run = torn  # type: ignore[method-assign,assignment]
    for _ in range(3):
        applied = ours.look()
    assert applied["zone:web1"].result is Result.BLIND
    assert ours.store.one("vnic", "web1_0") is not None and "web1_0" in admin.links()
    ours.commands.run = whole  # type: ignore[method-assign]
    ours.converge()
    assert ("web1_0" in admin.links()) is not gone
