"""A gateway zone that is deleted although zones depend on it, and comes back: through the engine, on paper."""

from __future__ import annotations

import pytest
from fixtures import Admin, Build
from lab.faults import Fault
from paper_gateway import WAN, WEB, Site, addresses, defaults, edge_site, forwarding, member, nets, rules, said, settle

from zonehookd.model import subject
from zonehookd.model.plan import Note, describe
from zonehookd.model.record import KEPT, RESTORE, Record

FORWARD = {"port": 8080, "to": "web1", "to_port": 80}
LOST = "gateway zone edge was deleted while zones depend on it (network web: web1)"


def site(admin: Admin, engine: Build) -> Site:
    return edge_site(admin, engine, "web1 web 10.99.0.7", forward=[FORWARD])


def state(admin: Admin, name: str = "edge") -> str:
    done = admin.sh("zoneadm", "-z", name, "list", "-p")
    return done.out.split(":")[2] if done.status == 0 else "gone"


def seen(admin: Admin) -> object:
    """What matters of the gateway to those behind it."""
    found = (addresses(admin, "edge"), defaults(admin, "edge"), forwarding(admin, "edge"), rules(admin))
    return found, sorted(nets(admin, "edge")), admin.vnic("edge_web0"), admin.vnic("edge_wan0")


def wanted(found: Site, name: str = "edge") -> None:
    """What `zonehookctl guard restore` writes down."""
    found.ours.store.remember(Record(RESTORE, name, subject.gateway(name), "keeper", {"why": "the test"}))


def asked(found: Site, name: str = "edge") -> bool:
    return found.ours.store.one(RESTORE, name) is not None


def gone(admin: Admin, *, uninstalled: bool = False) -> None:
    """As zap destroy-zone does it, whatever is refused on the way."""
    admin.sh("zoneadm", "-z", "edge", "halt")
    if uninstalled:
        admin.do("zoneadm", "-z", "edge", "uninstall", "-F")
    admin.do("zonecfg", "-z", "edge", "delete", "-F")


def lost(found: Site) -> Note:
    """What the gateway says of it; its zone says the same in short."""
    (note,) = [each for each in said(found.ours, "gateway-lost") if each.text.startswith("gateway zone")]
    return note


def look(found: Site) -> None:
    """Missing twice, so that it is believed."""
    found.ours.look()
    found.ours.look()


def test_it_is_said_loudly_and_nothing_is_done(admin: Admin, engine: Build) -> None:
    found = site(admin, engine)
    before = found.ours.store.one(KEPT, "edge")
    gone(admin)
    look(found)
    note = lost(found)
    assert (note.kind, note.object, note.text) == ("refused", "edge", LOST)
    let_go = "to let it go, zonehookctl guard permit edge --for 10m --reason WHY"
    assert note.hint == f"zonehookctl guard restore edge; or {let_go}"
    changes = len(found.ours.commands.changes)
    settle(found.ours)
    assert len(found.ours.commands.changes) == changes and found.ours.store.one(KEPT, "edge") == before
    assert state(admin) == "gone" and admin.vnic("edge_web0"), "it keeps what it has"


def test_of_many_zones_the_first_are_named(admin: Admin, engine: Build) -> None:
    found = edge_site(admin, engine, *(f"web{number} web" for number in range(10, 22)))
    gone(admin)
    look(found)
    assert "(network web: web10, web11, web12, web13, web14, web15, web16, web17 and 4 more)" in lost(found).text


def test_who_is_there_by_a_link_alone_is_named_too(admin: Admin, engine: Build) -> None:
    found = edge_site(admin, engine)
    admin.zone("odd", "set physical=own0")
    admin.do("dladm", "create-vnic", "-l", "web0", "own0")
    settle(found.ours)
    gone(admin)
    look(found)
    assert lost(found).text == "gateway zone edge: its configuration was deleted while zone odd depends on it"


def test_it_comes_back_as_it_was(admin: Admin, engine: Build) -> None:
    found = site(admin, engine)
    admin.do("zonecfg", "-z", "edge", 'set bootargs="-m verbose"; set autoboot=true')
    settle(found.ours)
    before = seen(admin)
    gone(admin)
    look(found)
    wanted(found)
    assert "zonecfg -z edge -f -" in [describe(each.step) for plan in found.ours.plan() for each in plan.steps]
    settle(found.ours)
    assert state(admin) == "running" and seen(admin) == before and not asked(found)
    assert said(found.ours, "gateway-lost") == []
    assert "set bootargs=-m verbose\nset" in admin.do("zonecfg", "-z", "edge", "export")
    kept = found.ours.store.one(KEPT, "edge")
    assert kept is not None and kept.facts["uuid"] == admin.do("zoneadm", "-z", "edge", "list", "-p").split(":")[4]
    gone(admin)
    look(found)
    wanted(found)
    settle(found.ours)
    assert state(admin) == "running" and seen(admin) == before, "and a second time"


def test_its_links_that_zap_deleted_are_there_before_it_boots(admin: Admin, engine: Build) -> None:
    found = site(admin, engine)
    before = seen(admin)
    gone(admin)
    for link in ("edge_wan0", "edge_web0", "edge_db0"):
        admin.do("dladm", "delete-vnic", link)
    look(found)
    wanted(found)
    settle(found.ours)
    assert state(admin) == "running" and seen(admin) == before
    boots = [argv for argv in found.ours.commands.changes if argv == ("zoneadm", "-z", "edge", "boot")]
    assert len(boots) == 1, "none in vain"


def test_what_was_uninstalled_is_restored_as_far_as_it_can_be(admin: Admin, engine: Build) -> None:
    found = site(admin, engine)
    gone(admin, uninstalled=True)
    look(found)
    assert "and then zoneadm install, for what was installed is gone" in lost(found).hint
    wanted(found)
    settle(found.ours)
    assert state(admin) == "configured" and not asked(found)
    (note,) = said(found.ours, "needs-install")
    assert note.kind == "refused" and note.hint.startswith("zoneadm -z edge install; or mount /zones/edge, then ")
    admin.do("zoneadm", "-z", "edge", "install")
    settle(found.ours)
    assert said(found.ours, "needs-install") == []
    admin.do("zoneadm", "-z", "edge", "boot")
    settle(found.ours)
    assert any("8080" in rule for rule in rules(admin)), "and it is set up anew"


def test_one_that_did_not_run_is_not_booted(admin: Admin, engine: Build) -> None:
    found = site(admin, engine)
    admin.do("zoneadm", "-z", "edge", "halt")
    settle(found.ours)
    record = found.ours.store.one(KEPT, "edge")
    assert record is not None
    facts = {**record.facts, "left": str(float(record.facts["left"]) - 3600)}
    found.ours.store.remember(Record(KEPT, "edge", record.owner, record.plugin, facts))
    settle(found.ours)
    gone(admin)
    look(found)
    wanted(found)
    settle(found.ours)
    assert state(admin) == "installed" and not asked(found)


def test_one_that_was_seen_halted_on_its_way_out_is_booted(admin: Admin, engine: Build) -> None:
    found = site(admin, engine)
    admin.do("zoneadm", "-z", "edge", "halt")
    settle(found.ours)
    gone(admin)
    look(found)
    wanted(found)
    settle(found.ours)
    assert state(admin) == "running"


def test_a_zone_that_was_renamed_is_not_made_twice(admin: Admin, engine: Build) -> None:
    found = site(admin, engine)
    admin.do("zoneadm", "-z", "edge", "halt")
    admin.do("zonecfg", "-z", "edge", "set zonename=edge2")
    look(found)
    wanted(found)
    changes = len(found.ours.commands.changes)
    settle(found.ours)
    note = lost(found)
    assert "its files are zone edge2's now" in note.text and "zonecfg -z edge2 set zonename=edge;" in note.hint
    assert len(found.ours.commands.changes) == changes and state(admin) == "gone"
    admin.do("zonecfg", "-z", "edge2", "set zonename=edge")
    settle(found.ours)
    assert state(admin) == "running" and not asked(found), "it was asked for, and is there"


@pytest.mark.parametrize("way_out", ["deleted", "installed"])
def test_a_zone_that_somebody_made_meanwhile_is_not_ours(admin: Admin, engine: Build, way_out: str) -> None:
    found = site(admin, engine)
    found.edge(forward=[])
    settle(found.ours)
    admin.do("zonecfg", "-z", "edge", "set autoboot=true; add attr; set name=who; set type=string; set value=a; end")
    settle(found.ours)
    gone(admin)
    look(found)
    admin.zone("edge", state="configured")
    wanted(found)
    settle(found.ours)
    (note,) = said(found.ours, "restore-taken")
    assert note.kind == "refused" and "configured by somebody else" in note.text and "autoboot=true" in note.text
    assert state(admin) == "configured"
    if way_out == "deleted":
        admin.do("zonecfg", "-z", "edge", "delete", "-F")
        look(found)
        settle(found.ours)
        assert state(admin) == "running" and 'name="who"' in admin.do("zonecfg", "-z", "edge", "export")
    else:
        admin.do("zoneadm", "-z", "edge", "install")
        settle(found.ours)
        record = found.ours.store.one(KEPT, "edge")
        assert record is not None and "who" not in record.facts["xml"], "it is the one that is kept from now on"
    assert not asked(found) and said(found.ours, "restore-taken") == []


def test_what_comes_back_otherwise_is_not_booted(admin: Admin, engine: Build) -> None:
    found = site(admin, engine)
    file = admin.world.path("/etc/zones/edge.xml")
    file.write_text(file.read_text().replace("</zone>", "<deleted-device match='x'/>\n</zone>"))
    settle(found.ours)
    gone(admin)
    look(found)
    wanted(found)
    settle(found.ours)
    (note,) = said(found.ours, "restore-differs")
    assert "it lacks deleted-device match=x" in note.text and state(admin) == "configured"
    record = found.ours.store.one(KEPT, "edge")
    assert record is not None and "deleted-device" in record.facts["xml"], "what is kept is not overwritten"
    admin.do("zoneadm", "-z", "edge", "attach", "-F")
    settle(found.ours)
    assert said(found.ours, "restore-differs") == [] and not asked(found) and state(admin) == "installed"


def test_a_network_that_went_meanwhile_is_no_difference(admin: Admin, engine: Build) -> None:
    found = site(admin, engine)
    gone(admin)
    look(found)
    found.declare({"wan": WAN, "web": WEB})
    settle(found.ours)
    wanted(found)
    settle(found.ours)
    assert state(admin) == "running" and "edge_db0" not in nets(admin, "edge") and not asked(found)


def test_a_zone_that_will_not_boot_is_given_up(admin: Admin, engine: Build) -> None:
    found = site(admin, engine)
    gone(admin)
    look(found)
    wanted(found)
    admin.world.faults.add(Fault("fail", "zoneadm -z edge boot", times=1000))
    for _ in range(12):
        found.ours.look()
    boots = [argv for argv in found.ours.commands.changes if argv == ("zoneadm", "-z", "edge", "boot")]
    assert len(boots) == 3
    (note,) = said(found.ours, "restore-no-boot")
    assert (note.kind, note.hint) == ("refused", "zoneadm -z edge boot")
    admin.world.faults.clear()
    admin.do("zoneadm", "-z", "edge", "boot")
    settle(found.ours)
    assert not asked(found) and said(found.ours, "restore-no-boot") == []


@pytest.mark.parametrize("fault", ["busy", "kill"])
def test_zonecfg_in_trouble_is_asked_again(admin: Admin, engine: Build, fault: str) -> None:
    """Killed, it leaves the file without the line in the index; the zone is not there until it has both."""
    found = site(admin, engine)
    gone(admin)
    look(found)
    wanted(found)
    admin.world.faults.add(Fault(fault, "zonecfg -z edge -f -"))
    settle(found.ours)
    assert state(admin) == "running" and not asked(found)


def test_nothing_is_restored_when_it_cannot_be_seen_whose_files_they_are(admin: Admin, engine: Build) -> None:
    found = site(admin, engine)
    gone(admin)
    look(found)
    wanted(found)
    admin.world.path("/zones").rename(admin.world.path("/aside"))
    admin.world.path("/zones").write_text("no folder")
    found.ours.look()
    (note,) = said(found.ours, "not-seen")
    assert note.again_after_s == 5.0 and "/zones/edge" in note.text and state(admin) == "gone"
    admin.world.path("/zones").unlink()
    admin.world.path("/aside").rename(admin.world.path("/zones"))
    settle(found.ours)
    assert state(admin) == "running"


def test_the_commands_are_in_the_plan(admin: Admin, engine: Build) -> None:
    found = site(admin, engine)
    gone(admin)
    look(found)
    wanted(found)
    shown = [line for plan in found.ours.plan() for e in plan.steps for line in getattr(e.step, "shows", ())]
    assert shown[0] == "create -b" and 'set physical="edge_web0"' in shown


@pytest.mark.parametrize("text", ["<zone", "<zone/>", None])
@pytest.mark.parametrize("up", [True, False])
def test_a_damaged_file_is_put_back_and_the_zone_runs_on(
    admin: Admin, engine: Build, text: str | None, up: bool
) -> None:
    """While it runs, no tool does anything to it; halted, it could be deleted, which is more than is needed."""
    found = Site(admin, engine, options={"plugins": {"options": {"keeper": {"halted_s": 0}}}})
    for name in ("edge", "web1"):
        member(admin, name, *(("web",) if name == "web1" else ()))
    found.up(*(("edge", "web1") if up else ("web1",)))
    zones, before = admin.do("zoneadm", "list", "-cp"), admin.do("zonecfg", "-z", "edge", "export")
    file = admin.world.path("/etc/zones/edge.xml")
    whole = file.read_text()
    file.unlink() if text is None else file.write_text(text)
    settle(found.ours)
    (note,) = said(found.ours, "damaged")
    assert (note.kind, note.hint) == ("refused", "zonehookctl guard restore edge") and "/etc/zones/edge" in note.text
    assert (file.read_text() if file.exists() else None) == text, "nobody has asked yet"
    wanted(found)
    began = len(found.ours.commands.changes)
    settle(found.ours)
    assert file.read_text() == whole and file.stat().st_mode & 0o777 == 0o644
    assert not asked(found) and said(found.ours, "damaged") == []
    assert admin.do("zoneadm", "list", "-cp") == zones and admin.do("zonecfg", "-z", "edge", "export") == before
    assert found.ours.commands.changes[began:] == [], "it is what it was: not halted, not booted"


def test_a_damaged_file_of_a_zone_that_is_elsewhere_by_now(admin: Admin, engine: Build) -> None:
    found = site(admin, engine)
    index = admin.world.path("/etc/zones/index")
    index.write_text(index.read_text().replace("/zones/edge", "/zones/moved"))
    admin.world.path("/etc/zones/edge.xml").write_text("<zone")
    wanted(found)
    settle(found.ours)
    (note,) = said(found.ours, "restore-differs")
    assert "/zones/moved" in note.hint and admin.world.path("/etc/zones/edge.xml").read_text() == "<zone"
