"""A gateway that was let go, by leave or because nobody needed it, and one with a damaged file: had back by asking."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from fixtures import Admin
from paper_gateway import EDGE, WAN, WEB, member, nets
from paper_guard import Guarded, asked, shown, written

from zonehookd.bus.messages import Request
from zonehookd.engine.survey import Survey
from zonehookd.errors import ZonehookError
from zonehookd.model.record import KEPT, LET_GO, PERMIT, RESTORE


@pytest.mark.parametrize("policy", ["ask", "auto"])
def test_who_gave_leave_and_regrets_it_has_it_back(guarded: Guarded, admin: Admin, policy: str) -> None:
    """By asking alone; who is cut off is said until then."""
    guarded.policy = guarded.policy.model_copy(update={"restore": policy})
    member(admin, "web1", "web")
    guarded.converge()
    before = admin.do("zonecfg", "-z", "edge", "export")
    guarded.guard.grant("edge", 60.0, "because", ["web1"])
    admin.do("zonecfg", "-z", "edge", "delete", "-F")
    guarded.converge()
    row = shown(guarded)
    assert (row.state, row.kept, row.text) == (
        "absent", True, "deleted and let go; zonehookctl guard restore edge has it back")  # fmt: skip
    assert [(each.network, each.zone) for each in row.dependents] == [("web", "web1")]
    admin.do("zonecfg", "-z", "web1", "add attr; set name=zh.depends; set type=string; set value=no; end")
    guarded.converge()
    assert (shown(guarded).text, shown(guarded).kept) == ("", True), "nobody is cut off"
    admin.do("zonecfg", "-z", "web1", "remove attr name=zh.depends")
    guarded.converge()
    assert guarded.ours.store.one(RESTORE, "edge") is None and guarded.lost[-1:] in ([], [set()])
    reply = asyncio.run(guarded.answers.restore(Request(verb="guard-restore", zone="edge")))
    assert reply.model_dump()["state"] == "installed" and reply.text == ""
    assert admin.do("zonecfg", "-z", "edge", "export") == before
    guarded.converge()
    assert asked(guarded)[1] == "dependents" and guarded.ours.store.one(PERMIT, "edge") is None
    assert guarded.ours.store.one(LET_GO, "edge") is None and guarded.ours.store.one(KEPT, "edge") is not None


def test_one_that_nobody_missed_is_had_back_too(guarded: Guarded, admin: Admin) -> None:
    """At a restart nobody waits for it."""
    admin.do("zonecfg", "-z", "edge", "delete", "-F")
    guarded.converge()
    before, guarded.ours.survey = guarded.ours.survey, Survey(guarded.ours.config.paths.zones, 60.0)
    guarded.look()
    site = guarded.ours.survey.site
    assert site is not None and "edge" not in site.zones and not guarded.ours.survey.undecided
    guarded.ours.survey = before
    reply = asyncio.run(guarded.answers.restore(Request(verb="guard-restore", zone="edge")))
    assert reply.model_dump()["state"] == "installed"
    guarded.converge()
    assert guarded.lost[-1:] in ([], [set()]) and guarded.ours.store.one(RESTORE, "edge") is None


def test_who_lets_it_go_wants_it_back_no_more(guarded: Guarded, admin: Admin) -> None:
    member(admin, "web1", "web")
    guarded.converge()
    admin.do("zonecfg", "-z", "edge", "delete", "-F")
    guarded.converge()
    guarded.guard.restore("edge", "asked for")
    guarded.guard.grant("edge", 60.0, "because", ["web1"])
    guarded.converge()
    assert admin.sh("zoneadm", "-z", "edge", "list").status == 1 and guarded.ours.store.one(RESTORE, "edge") is None


def test_who_lets_one_go_that_nobody_misses_wants_it_back_no_more(guarded: Guarded, admin: Admin) -> None:
    admin.do("zonecfg", "-z", "edge", "delete", "-F")
    guarded.converge()
    guarded.guard.restore("edge", "asked for")
    guarded.guard.grant("edge", 60.0, "because", ())
    guarded.converge()
    assert admin.sh("zoneadm", "-z", "edge", "list").status == 1 and guarded.ours.store.one(RESTORE, "edge") is None
    assert guarded.ours.store.one(LET_GO, "edge") is not None


def test_killed_in_between_the_newer_record_is_the_one(guarded: Guarded, admin: Admin) -> None:
    """There is a zone of that name again, and what was let go is not forgotten yet."""
    member(admin, "web1", "web")
    guarded.converge()
    kept = guarded.ours.store.one(KEPT, "edge")
    assert kept is not None
    old = replace(kept, kind=LET_GO, facts={**kept.facts, "export": kept.facts["export"].replace("sparse", "old")})
    guarded.ours.store.remember(old)
    admin.do("zonecfg", "-z", "edge", "delete", "-F")
    guarded.converge()
    asyncio.run(guarded.answers.restore(Request(verb="guard-restore", zone="edge")))
    assert "set brand=sparse" in admin.do("zonecfg", "-z", "edge", "export")
    guarded.ours.store.remember(old)
    guarded.converge()
    assert guarded.ours.store.one(LET_GO, "edge") is None


def test_its_nics_are_ours_again(guarded: Guarded, admin: Admin) -> None:
    """A network that is declared no more takes its NIC along, without which the gateway would not boot."""
    guarded.guard.grant("edge", 60.0, "because", ())
    admin.do("zonecfg", "-z", "edge", "delete", "-F")
    guarded.converge()
    asyncio.run(guarded.answers.restore(Request(verb="guard-restore", zone="edge")))
    guarded.converge()
    assert nets(admin, "edge") == ["edge_wan0", "edge_web0", "edge_db0"]
    guarded.ours.redeclare({"wan": WAN, "web": WEB}, {"edge": EDGE})
    guarded.converge()
    assert nets(admin, "edge") == ["edge_wan0", "edge_web0"] and "edge_db0" not in admin.links()
    admin.do("zoneadm", "-z", "edge", "boot")


def test_renamed_with_leave_it_is_another_zone(guarded: Guarded, admin: Admin) -> None:
    member(admin, "web1", "web")
    guarded.converge()
    guarded.guard.grant("edge", 60.0, "because", ["web1"])
    admin.do("zonecfg", "-z", "edge", "set zonename=former")
    guarded.converge()
    assert asked(guarded, zone="former") == (True, "not-guarded", [])
    assert written(guarded)["edge"].files == "" and "former" not in written(guarded)
    with pytest.raises(ZonehookError, match="its files are zone former's now"):
        asyncio.run(guarded.answers.restore(Request(verb="guard-restore", zone="edge")))


def test_a_damaged_one_is_had_back_and_no_other_thing(guarded: Guarded, admin: Admin) -> None:
    member(admin, "web1", "web")
    admin.do("zoneadm", "-z", "edge", "boot")
    guarded.converge()
    file = admin.world.path("/etc/zones/edge.xml")
    whole = file.read_text()
    file.write_text("<zone")
    guarded.converge()
    row = shown(guarded)
    assert row.kept and row.text.endswith("; zonehookctl guard restore edge puts it back as it was")
    reply = asyncio.run(guarded.answers.restore(Request(verb="guard-restore", zone="edge")))
    assert reply.model_dump()["state"] == "running" and file.read_text() == whole
    with pytest.raises(ZonehookError, match="nothing to restore"):
        asyncio.run(guarded.answers.restore(Request(verb="guard-restore", zone="edge")))
