"""What is kept of a gateway zone, through the engine: when, at what cost, and when it is forgotten."""

from __future__ import annotations

import time
from collections.abc import Mapping

import pytest
from fixtures import Admin, Build
from lab.faults import Fault
from paper_gateway import EDGE, WAN, WEB, Site, edge_site, member, rules, said, settle

from zonehookd.model import subject
from zonehookd.model.record import KEPT, LET_GO, LINKED, PERMIT, RESTORE, Record

SOON = {"plugins": {"options": {"keeper": {"halted_s": 0}}}}
EXPORT = ("zonecfg", "-z", "edge", "export")


def kept(found: Site, name: str = "edge") -> Mapping[str, str]:
    record = found.ours.store.one(KEPT, name)
    return record.facts if record is not None else {}


def exports(found: Site) -> int:
    return found.ours.commands.looks.count(EXPORT)


def test_the_last_good_configuration_is_kept(admin: Admin, engine: Build) -> None:
    found = edge_site(admin, engine, "web1 web")
    facts = kept(found)
    assert facts["export"].startswith("create -b\n") and 'set physical="edge_web0"' in facts["export"]
    assert facts["xml"] == admin.world.path("/etc/zones/edge.xml").read_text()
    assert (facts["state"], facts["zonepath"], facts["active"]) == ("installed", "/zones/edge", "yes")
    assert facts["uuid"] == admin.do("zoneadm", "-z", "edge", "list", "-p").split(":")[4]
    assert set(facts["added"].split()) == {"edge_wan0", "edge_web0", "edge_db0"} and facts["lost"] == ""
    assert kept(found, "web1") == {}, "a zone that is no gateway is its admin's"


def test_commands_are_asked_for_when_the_file_has_changed(admin: Admin, engine: Build) -> None:
    found = edge_site(admin, engine, "web1 web")
    before = exports(found)
    for _ in range(3):
        found.ours.look()
    admin.do("zoneadm", "-z", "edge", "reboot")
    settle(found.ours)
    assert exports(found) == before, "a boot changes no file"
    admin.do("zonecfg", "-z", "edge", 'set bootargs="-m verbose"')
    settle(found.ours)
    assert exports(found) == before + 1
    assert 'set bootargs="-m verbose"\n' in kept(found)["export"], "quoted, or it would not survive"


@pytest.mark.parametrize("gateways", [1, 5])
def test_a_steady_look_costs_no_command(admin: Admin, engine: Build, gateways: int) -> None:
    names = [f"edge{number}" for number in range(gateways)]
    hidden = {f"net{n}": {"cidr": f"10.{n + 10}.0.0/24", "via": name} for n, name in enumerate(names)}
    tables = {name: {**EDGE, "address": f"192.0.2.{n + 10}"} for n, name in enumerate(names)}
    for name in names:
        member(admin, name)
    found = Site(admin, engine, {"wan": WAN, **hidden}, tables)
    settle(found.ours)
    assert len(list(found.ours.store.of_kind(KEPT))) == gateways
    found.ours.commands.looks.clear()
    assert found.ours.converge() == 1
    assert {argv[:2] for argv in found.ours.commands.looks} <= {
        ("zoneadm", "list"),
        ("dladm", "show-link"),
        ("dladm", "show-vnic"),
    }


def test_halted_is_running_for_a_while(admin: Admin, engine: Build) -> None:
    """Whoever destroys a zone halts it first."""
    found = edge_site(admin, engine)
    admin.do("zoneadm", "-z", "edge", "halt")
    found.ours.look()
    assert kept(found)["active"] == "yes" and "left" in kept(found)
    (again,) = [n.again_after_s for p in found.ours.plan() for n in p.notes if "only just been halted" in n.text]
    assert again is not None and 50 < again <= 60
    record = found.ours.store.one(KEPT, "edge")
    assert record is not None
    long_ago = {**record.facts, "left": str(float(record.facts["left"]) - 61)}
    found.ours.store.remember(Record(KEPT, "edge", record.owner, record.plugin, long_ago))
    settle(found.ours)
    assert kept(found)["active"] == "no" and "left" not in kept(found)
    admin.do("zoneadm", "-z", "edge", "boot")
    settle(found.ours)
    assert kept(found)["active"] == "yes"


def test_uninstalled_is_remembered(admin: Admin, engine: Build) -> None:
    member(admin, "edge")
    found = Site(admin, engine, options=SOON)
    settle(found.ours)
    assert (kept(found)["state"], kept(found)["active"]) == ("installed", "no")
    admin.do("zoneadm", "-z", "edge", "uninstall", "-F")
    settle(found.ours)
    assert (kept(found)["state"], kept(found)["uuid"]) == ("configured", "")


def test_what_an_export_does_not_say_is_said_before_it_is_needed(admin: Admin, engine: Build) -> None:
    found = edge_site(admin, engine)
    file = admin.world.path("/etc/zones/edge.xml")
    file.write_text(file.read_text().replace("</zone>", "<deleted-device match='x'/>\n</zone>"))
    settle(found.ours)
    (note,) = said(found.ours, "not-exported")
    assert (note.kind, note.object) == ("refused", "edge") and "deleted-device match=x" in note.text
    found.ours.look()
    assert said(found.ours, "not-exported") == [note], "as long as it is so"


@pytest.mark.parametrize("damage", [("<?xml", "<zone"), ("<zone ", "<zone colour='red' "), ("<!DOCTYPE", "<!-- >--")])
def test_a_zone_that_cannot_be_read_overwrites_nothing(admin: Admin, engine: Build, damage: tuple[str, str]) -> None:
    found = edge_site(admin, engine)
    before = kept(found)
    file = admin.world.path("/etc/zones/edge.xml")
    good = file.read_text()
    file.write_text(good.replace(*damage))
    settle(found.ours)
    assert kept(found) == before
    file.write_text(good)
    settle(found.ours)
    assert kept(found) == before


def test_a_gateway_that_cannot_be_kept_is_set_up_all_the_same(admin: Admin, engine: Build) -> None:
    found = edge_site(admin, engine, "web1 web 10.99.0.7")
    before = kept(found)
    file = admin.world.path("/etc/zones/edge.xml")
    good = file.read_text()
    file.write_text(good.replace('brand="sparse"', 'brand="unheard-of"'))
    found.edge(forward=[{"port": 8080, "to": "web1", "to_port": 80}])
    found.ours.converge()
    (note,) = said(found.ours, "not-kept")
    assert note.again_after_s is not None and "zonecfg -z edge export" in note.text
    assert any("8080" in rule for rule in rules(admin)) and kept(found) == before
    file.write_text(good)
    settle(found.ours)
    assert said(found.ours, "not-kept") == []


def test_one_that_is_external_is_kept_too(admin: Admin, engine: Build) -> None:
    member(admin, "edge")
    tables = {"edge": {"kind": "external", "outside": "wan", "address": "192.0.2.10"}}
    found = Site(admin, engine, {"wan": WAN, "web": WEB}, tables)
    settle(found.ours)
    assert kept(found)["state"] == "installed"


def test_forgotten_when_it_is_no_gateway_any_more(admin: Admin, engine: Build) -> None:
    found = edge_site(admin, engine, "web1 web")
    found.declare({"wan": WAN}, {})
    settle(found.ours)
    assert kept(found) == {}


@pytest.mark.parametrize("members", [(), ("web1 web",)])
@pytest.mark.parametrize("end", ["a new one", "no gateway any more"])
def test_one_that_is_let_go_is_not_missed_but_its_configuration_stays(
    admin: Admin, engine: Build, members: tuple[str, ...], end: str
) -> None:
    """By leave, or because nobody depends on it."""
    found = edge_site(admin, engine, *members)
    before = kept(found)
    permit = Record(PERMIT, "edge", subject.gateway("edge"), "guard", {"until": f"{time.time() + 600:.0f}"})
    if members:
        found.ours.store.remember(permit)
    admin.delete("edge")
    settle(found.ours)
    record = found.ours.store.one(LET_GO, "edge")
    assert record is not None and record.facts == before and kept(found) == {}
    assert said(found.ours, "gateway-lost") == [] and not admin.vnic("edge_web0")
    cut_off = "gateway zone edge was deleted and let go, and zones are cut off (network web: web1)"
    notes = [(note.kind, note.text, note.hint) for note in said(found.ours, "gateway-let-go")]
    assert notes == [("refused", cut_off, "zonehookctl guard restore edge")] * len(members)
    found.ours.store.forget(PERMIT, "edge")  # as the guard does
    if end == "a new one":
        member(admin, "edge")
        settle(found.ours)
        assert kept(found)["active"] == "no", "that one never ran"
    else:
        found.declare({"wan": WAN}, {})
        settle(found.ours)
        assert found.ours.store.of(subject.gateway("edge")) == []
    assert found.ours.store.one(LET_GO, "edge") is None


def test_who_is_cut_off_is_who_depends(admin: Admin, engine: Build) -> None:
    found = edge_site(admin, engine, "web1 web", "web2 web")
    admin.do("zonecfg", "-z", "web1", "add attr; set name=zh.depends; set type=string; set value=no; end")
    found.ours.store.remember(Record(LINKED, "edge", subject.gateway("edge"), "guard", {"zones": "odd"}))
    permit = Record(PERMIT, "edge", subject.gateway("edge"), "guard", {"until": f"{time.time() + 600:.0f}"})
    found.ours.store.remember(permit)
    admin.delete("edge")
    settle(found.ours)
    (note,) = said(found.ours, "gateway-let-go")
    assert note.text.endswith(" and zones are cut off (network web: web2; by a link: odd)")


def test_the_global_zone_is_nobodys_to_delete(admin: Admin, engine: Build) -> None:
    networks = {"wan": WAN, "web": {**WEB, "via": "global"}}
    found = Site(admin, engine, networks, {"global": {"outside": "wan", "dhcp": "none", "dns": "none"}})
    found.ours.look()
    assert list(found.ours.store.of_kind(KEPT)) == []


def test_a_gateway_that_nobody_can_see_into_is_kept_all_the_same(admin: Admin, engine: Build) -> None:
    """Also the first time: it may hang from its first boot on, and be deleted because of that."""
    member(admin, "edge", state="running")
    admin.world.faults.add(Fault("kill", "zlogin *edge *", times=10_000))
    found = Site(admin, engine)
    for _ in range(5):
        found.ours.look()
    (plan,) = [each for each in found.ours.plan() if each.subject == subject.gateway("edge")]
    assert plan.blind, "and that is so"
    assert kept(found)["active"] == "yes"
    admin.do("zonecfg", "-z", "edge", 'set bootargs="-m verbose"')
    found.ours.look()
    assert 'set bootargs="-m verbose"\n' in kept(found)["export"]


MISSED = "gateway zone edge was uninstalled, and zones depend on it: network web: web1"


def said_of(found: Site) -> list[tuple[str, str]]:
    """By whichever of its two codes: one is a loss and in the log, the other is left to do after a restore."""
    notes = [note for code in ("gateway-uninstalled", "needs-install") for note in said(found.ours, code)]
    return [(note.text, note.hint.partition(";")[0]) for note in notes]


@pytest.mark.parametrize("seen_on_its_way", [False, True])
def test_an_uninstall_that_nobody_was_asked_about_is_said(admin: Admin, engine: Build, seen_on_its_way: bool) -> None:
    found = edge_site(admin, engine, "web1 web")
    admin.do("zoneadm", "-z", "edge", "halt")
    if seen_on_its_way:
        admin.do("zoneadm", "-z", "edge", "mark", "-F", "incomplete")
        found.ours.look()
    admin.do("zoneadm", "-z", "edge", "uninstall", "-F")
    settle(found.ours)
    assert said_of(found) == [(MISSED, "zoneadm -z edge install")]
    settle(found.ours)
    assert said_of(found) == [(MISSED, "zoneadm -z edge install")], "as long as it is so"
    admin.do("zonecfg", "-z", "edge", "delete", "-F")
    found.ours.look()
    found.ours.look()
    found.ours.store.remember(Record(RESTORE, "edge", subject.gateway("edge"), "keeper", {"why": "the test"}))
    settle(found.ours)
    assert said_of(found) == [(MISSED, "zoneadm -z edge install")], "also once it is restored"
    admin.do("zoneadm", "-z", "edge", "install")
    settle(found.ours)
    assert said_of(found) == [] and kept(found)["state"] == "installed"


@pytest.mark.parametrize("why", ["with leave", "nobody behind it", "never installed"])
def test_an_uninstall_that_is_nobodys_loss_is_not_said(admin: Admin, engine: Build, why: str) -> None:
    member(admin, "edge", state="configured" if why == "never installed" else "installed")
    if why != "nobody behind it":
        member(admin, "web1", "web")
    found = Site(admin, engine)
    settle(found.ours)
    if why == "with leave":
        until = {"until": f"{time.time() + 600:.0f}"}
        found.ours.store.remember(Record(PERMIT, "edge", subject.gateway("edge"), "guard", until))
    if why != "never installed":
        admin.do("zoneadm", "-z", "edge", "uninstall", "-F")
    settle(found.ours)
    assert kept(found)["state"] == "configured" and said_of(found) == []


def test_a_gateway_that_was_detached_is_attached_again(admin: Admin, engine: Build) -> None:
    found = edge_site(admin, engine, "web1 web")
    admin.do("zoneadm", "-z", "edge", "halt")
    admin.do("zoneadm", "-z", "edge", "detach")
    settle(found.ours)
    assert said_of(found) == [(MISSED.replace("uninstalled", "detached"), "zoneadm -z edge attach")]
    admin.do("zoneadm", "-z", "edge", "attach")
    settle(found.ours)
    assert said_of(found) == []
