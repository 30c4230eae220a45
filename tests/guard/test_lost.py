"""A gateway that was deleted behind our back: missed, kept, had back or let go; leave, and the record."""

from __future__ import annotations

import asyncio
import time

import pytest
from fixtures import Admin
from lab.faults import Fault
from paper_gateway import member
from paper_guard import FREE, Guarded, asked, shown, written

from zonehookd.bus.messages import GuardReply, GuardStatusReply, PermitRow, Request
from zonehookd.engine.survey import Survey
from zonehookd.errors import ZonehookError
from zonehookd.guard.standing import NAME, Standing, alone
from zonehookd.model import subject
from zonehookd.model.guard import Dependent
from zonehookd.model.outcome import Outcome, Result
from zonehookd.model.record import KEPT, PERMIT, RESTORE


def held(admin: Admin) -> list[str]:
    return [name for name in admin.links() if name.startswith("edge_")]


@pytest.mark.parametrize("how", ["attribute", "link"])
def test_a_deleted_gateway_is_missed_and_keeps_what_it_has(guarded: Guarded, admin: Admin, how: str) -> None:
    if how == "link":
        admin.do("dladm", "create-vnic", "-l", "web0", "own0")
        admin.zone("web1", "set physical=own0")
    else:
        member(admin, "web1", "web")
    guarded.converge()
    links = admin.links()
    admin.do("zonecfg", "-z", "edge", "delete", "-F")
    guarded.converge()
    site = guarded.ours.survey.site
    assert site is not None and site.zones["edge"].vanished and "web1" in site.zones["edge"].trouble
    assert admin.links() == links
    assert guarded.lost[-1] == {"edge"}
    assert asked(guarded) == (False, "dependents", ["web/web1"])
    admin.delete("web1")
    guarded.converge()
    assert held(admin) == []
    assert not list(guarded.ours.store.of_kind(KEPT)) and guarded.lost[-1] == set()


def test_gateways_in_a_row_are_missed_together(guarded: Guarded, admin: Admin) -> None:
    member(admin, "inner", state="configured")
    member(admin, "db1", "deep")
    guarded.converge()
    links = admin.links()
    for name in ("edge", "inner"):
        admin.do("zonecfg", "-z", name, "delete", "-F")
    guarded.converge()
    assert admin.links() == links and guarded.lost[-1] == {"edge", "inner"}
    admin.delete("db1")
    guarded.converge()
    assert set(admin.links()) == {"db0", "deep0", "net0", "web0"} and guarded.lost[-1] == set()


def test_a_lost_gateway_leaves_nobody_free_to_take_away_the_one_before_it(guarded: Guarded, admin: Admin) -> None:
    member(admin, "inner")
    member(admin, "db1", "deep")
    guarded.converge()
    admin.do("zonecfg", "-z", "inner", "delete", "-F")
    assert asked(guarded) == (False, "dependents", ["deep/db1"]), "before anybody believes that it is gone"
    guarded.converge()
    assert asked(guarded) == (False, "dependents", ["deep/db1"])
    guarded.guard.grant("inner", 60.0, "because", ["db1"])
    assert asked(guarded) == FREE, "let go, it leads nowhere"


def test_leave_lets_a_deleted_gateway_go_for_good(guarded: Guarded, admin: Admin) -> None:
    member(admin, "web1", "web")
    guarded.converge()
    guarded.guard.grant("edge", 60.0, "because", ["web1"])
    admin.do("zonecfg", "-z", "edge", "delete", "-F")
    guarded.converge()
    assert held(admin) == [] and "web1_0" in admin.links()
    guarded.guard.grant("edge", -1.0, "because", ["web1"])
    guarded.converge()
    site = guarded.ours.survey.site
    assert site is not None and "edge" not in {name for name, zone in site.zones.items() if zone.vanished}
    assert guarded.ours.store.one(PERMIT, "edge") is None, "what has run out is forgotten"


def test_leave_is_for_the_gateway_that_was_there(guarded: Guarded, admin: Admin) -> None:
    member(admin, "web1", "web")
    guarded.converge()
    guarded.guard.grant("edge", 3600.0, "because", ["web1"])
    admin.do("zoneadm", "-z", "edge", "uninstall", "-F")
    guarded.converge()
    assert asked(guarded)[1] == "permitted", "it may still be deleted"
    admin.do("zonecfg", "-z", "edge", "delete", "-F")
    guarded.converge()
    assert guarded.ours.store.one(PERMIT, "edge") is None
    member(admin, "edge")
    guarded.converge()
    assert asked(guarded) == (False, "dependents", ["web/web1"])
    guarded.guard.grant("network/db", 3600.0, "because", [])
    guarded.converge()
    assert guarded.ours.store.one(PERMIT, "network/db") is not None, "a network's has its time"


@pytest.mark.parametrize("policy", ["ask", "auto"])
def test_it_is_had_back_when_somebody_asks_or_by_itself(guarded: Guarded, admin: Admin, policy: str) -> None:
    member(admin, "web1", "web")
    guarded.converge()
    guarded.policy = guarded.policy.model_copy(update={"restore": policy})
    before = admin.do("zonecfg", "-z", "edge", "export")
    admin.do("zonecfg", "-z", "edge", "delete", "-F")
    guarded.converge()
    if policy == "auto":
        assert guarded.ours.store.one(RESTORE, "edge") is not None
        guarded.converge()
    else:
        reply = asyncio.run(guarded.answers.restore(Request(verb="guard-restore", zone="edge")))
        assert reply.model_dump()["state"] == "installed"
        assert guarded.said == [("restore", "edge", "asked for", ())]
    assert admin.do("zonecfg", "-z", "edge", "export") == before
    assert guarded.lost[-1] == set() and asked(guarded)[1:] == ("dependents", ["web/web1"])
    with pytest.raises(ZonehookError, match="nothing to restore"):
        asyncio.run(guarded.answers.restore(Request(verb="guard-restore", zone="edge")))


def test_one_that_was_deleted_a_moment_ago_is_had_back_too(guarded: Guarded, admin: Admin) -> None:
    """Whoever asks at once is not told that it is there, nor to delete it."""
    member(admin, "web1", "web")
    guarded.converge()
    before = guarded.ours.survey._last
    assert before is not None
    guarded.ours.survey = Survey(guarded.ours.config.paths.zones, 0.3)
    guarded.ours.survey.keep(before)
    admin.do("zonecfg", "-z", "edge", "delete", "-F")
    guarded.look()
    assert guarded.ours.survey.undecided == {"edge"}
    reply = asyncio.run(guarded.answers.restore(Request(verb="guard-restore", zone="edge")))
    assert reply.model_dump()["state"] == "installed"


def test_what_somebody_had_leave_to_delete_does_not_come_back_by_itself(guarded: Guarded, admin: Admin) -> None:
    """He was slower than his leave."""
    guarded.policy = guarded.policy.model_copy(update={"restore": "auto"})
    member(admin, "web1", "web")
    guarded.converge()
    guarded.guard.grant("edge", 60.0, "replaced", ["web1"])
    admin.do("zoneadm", "-z", "edge", "uninstall", "-F")
    guarded.converge()
    guarded.guard.grant("edge", -1.0, "replaced", ["web1"])
    guarded.converge()
    assert asked(guarded)[1] == "dependents", "it has run out"
    admin.do("zonecfg", "-z", "edge", "delete", "-F")
    guarded.converge()
    assert guarded.lost[-1] == {"edge"} and guarded.ours.store.one(RESTORE, "edge") is None
    reply = asyncio.run(guarded.answers.restore(Request(verb="guard-restore", zone="edge")))
    assert reply.model_dump()["state"] == "configured", "but somebody may ask for it"
    admin.do("zoneadm", "-z", "edge", "install")
    guarded.converge()
    assert guarded.ours.store.one(PERMIT, "edge") is None
    admin.do("zonecfg", "-z", "edge", "delete", "-F")
    guarded.converge()
    assert guarded.ours.store.one(RESTORE, "edge") is not None, "that one nobody had leave to delete"


@pytest.mark.parametrize("text", ["<zone", None])
def test_one_that_may_be_missed_is_kept(guarded: Guarded, admin: Admin, text: str | None) -> None:
    """Nobody can read the only zone that may depend on it, and it has no link of ours: that is not nobody."""
    admin.zone("odd", state="configured")
    guarded.converge()
    path = admin.world.path("/etc/zones/odd.xml")
    whole = path.read_text()
    path.unlink() if text is None else path.write_text(text)
    guarded.look()
    links = admin.links()
    admin.do("zonecfg", "-z", "edge", "delete", "-F")
    guarded.converge()
    assert guarded.lost[-1] == {"edge"} and admin.links() == links
    site = guarded.ours.survey.site
    assert site is not None and "whether zone odd depends on it is not known: cannot read" in site.zones["edge"].trouble
    path.write_text(whole)
    guarded.converge()
    assert guarded.lost[-1] == set() and held(admin) == [], "it does not, and nobody else does"


# -- leave, and what is written down


def test_leave_is_given_with_a_reason_and_a_time(guarded: Guarded, admin: Admin) -> None:
    member(admin, "web1", "web")
    guarded.converge()

    def ask(*names: str, **how: object) -> PermitRow:
        request = Request.model_validate({"verb": "guard-permit", "names": names or ["edge"], "reason": "x", **how})
        reply = asyncio.run(guarded.answers.permit(request))
        return reply.permits[-1]

    for wrong in ({"for_s": 0}, {"for_s": -1}, {"for_s": 90_000}, {"for_s": 5, "reason": " \n"}, {},
                  {"for_s": 5, "names": []}):  # fmt: skip
        with pytest.raises(ZonehookError):
            ask(**wrong)
    for nobody in ("web1", "network/wb", "net/web", "network/", "/web", ""):
        with pytest.raises(ZonehookError):
            ask("edge", "network/web", nobody, for_s=5)
    assert guarded.ours.store.of_kind(PERMIT) == [], "to all of them, or to none"
    assert asked(guarded)[1] == "dependents" and not guarded.said
    before = time.time()
    reply = ask(for_s=60.2, reason="moving\nto edge2")
    assert reply.cuts_off == ["web1"] and before + 60.2 <= reply.until, "never shorter than was asked for"
    assert reply.until <= time.time() + 61.2
    assert asked(guarded)[1] == "permitted"
    assert guarded.said == [("permit", "edge", "moving to edge2 (for 60 s)", {"web1"})]
    assert ask("network/web", for_s=5).cuts_off == ["web1"]
    admin.zone("odd", "set physical=own0")
    admin.do("dladm", "create-vnic", "-l", "web0", "own0")
    assert ask("inner", "network/web", "inner", for_s=5).cuts_off == ["odd", "web1"], "by a link alone, seen just now"
    assert sorted(each.name for each in guarded.ours.store.of_kind(PERMIT)) == ["edge", "inner", "network/web"]


def test_who_asks_is_told_what_is_so(guarded: Guarded, admin: Admin) -> None:
    member(admin, "web1", "web")
    guarded.converge()
    check = asyncio.run(guarded.answers.check(Request(verb="guard-check", zone="edge", operation="delete")))
    assert isinstance(check, GuardReply) and not check.allowed and check.lines[1] == "  network web: web1 (installed)"
    with pytest.raises(ZonehookError, match="there is no zone 'edgy'"):
        asyncio.run(guarded.answers.check(Request(verb="guard-check", zone="edgy", operation="delete")))
    status = asyncio.run(guarded.answers.status(Request(verb="guard-status")))
    assert isinstance(status, GuardStatusReply)
    assert [(row.name, row.state, row.kept, len(row.dependents)) for row in status.gateways] == [
        ("edge", "installed", True, 1), ("inner", "absent", False, 0)]  # fmt: skip


def test_a_name_that_nobody_has_is_not_found_and_who_is_no_gateway_is_refused(guarded: Guarded, admin: Admin) -> None:
    member(admin, "web1", "web")
    guarded.converge()
    for name, code in (("nosuch", "not-found"), ("web1", "refused"), ("inner", "refused")):
        with pytest.raises(ZonehookError) as refused:
            asyncio.run(guarded.answers.restore(Request(verb="guard-restore", zone=name)))
        assert refused.value.code == code, name
        if name != "inner":  # a declared one may be given leave before it is there
            request = Request(verb="guard-permit", names=[name], for_s=5.0, reason="x")
            with pytest.raises(ZonehookError) as refused:
                asyncio.run(guarded.answers.permit(request))
            assert refused.value.code == code and refused.value.hint, name


@pytest.mark.parametrize("policy", ["block", "record"])
def test_what_is_written_down_is_what_would_be_said(guarded: Guarded, admin: Admin, policy: str) -> None:
    guarded.policy = guarded.policy.model_copy(update={"without_daemon": policy})
    member(admin, "inner")
    member(admin, "web1", "web")
    member(admin, "db1", "deep", "db")
    for lose in (False, True):
        guarded.converge()
        known = written(guarded)
        for name in ("edge", "inner"):
            verdict = guarded.check(name)
            assert known[name].lines == verdict.lines()[1:-1]
            assert known[name].count == len({each.zone for each in verdict.dependents})
            assert known[name].dependents == verdict.dependents
        if not lose:
            admin.do("zonecfg", "-z", "inner", "delete", "-F")


@pytest.mark.parametrize("policy", ["block", "record", "allow"])
def test_links_made_by_hand_are_counted(guarded: Guarded, admin: Admin, policy: str) -> None:
    guarded.policy = guarded.policy.model_copy(update={"without_daemon": policy})
    admin.zone("odd", "set physical=own0")
    guarded.look()
    assert written(guarded)["edge"].count == 0
    admin.do("dladm", "create-vnic", "-l", "web0", "own0")
    guarded.look()
    odd = Dependent("web", "odd", "link", "installed")
    assert written(guarded)["edge"] == Standing(1, 0, ("  network web: odd (installed)",), (odd,), "/zones/edge")


def test_who_cannot_be_read_is_counted_where_nobody_else_is(guarded: Guarded, admin: Admin) -> None:
    member(admin, "db1", "db", state="configured")
    guarded.converge()
    admin.world.path("/etc/zones/db1.xml").write_text("<zone")
    guarded.look()
    assert written(guarded)["edge"].lines == ("  network db: db1 (unknown)",), "it has a link there"
    assert written(guarded)["inner"].count == 1
    assert written(guarded)["inner"].lines[0].startswith("  whether zone db1 depends on it is not known: cannot read")


def test_a_nic_that_was_taken_away_is_not_written_down(guarded: Guarded, admin: Admin) -> None:
    member(admin, "web1", "web")
    guarded.converge()
    admin.do("zonecfg", "-z", "web1", "remove net physical=web1_0; remove attr name=zh.net0")
    admin.world.faults.add(Fault("busy", "dladm delete-vnic web1_0", times=100))
    guarded.look()
    assert guarded.ours.store.one("vnic", "web1_0") is not None and written(guarded)["edge"].count == 0


def test_a_renamed_gateway_is_still_one(guarded: Guarded, admin: Admin) -> None:
    """Its files are what an uninstall destroys, whatever it is called by now."""
    member(admin, "web1", "web")
    guarded.converge()
    admin.do("zonecfg", "-z", "edge", "set zonename=edge2")
    assert asked(guarded, zone="edge2") == (False, "dependents", ["web/web1"])
    guarded.converge()
    assert guarded.lost[-1] == {"edge"}
    verdict = asyncio.run(guarded.guard.check("edge2", "uninstall"))
    assert "which is gateway edge renamed" in verdict.text and "guard permit edge --for" in verdict.hint
    for name in ("edge", "edge2"):
        known = written(guarded)[name]
        assert [each.zone for each in known.dependents] == ["web1"], "known when nobody can be asked, and not itself"
        assert known.count == 1 and known.lines[0].startswith("  network web: web1")
    status = asyncio.run(guarded.answers.status(Request(verb="guard-status")))
    assert isinstance(status, GuardStatusReply)
    rows = {row.name: [each.zone for each in row.dependents] for row in status.gateways}
    assert rows["edge"] == ["web1"] and guarded.guard.last_seen("edge") == {"web1"}
    with pytest.raises(ZonehookError, match="zone edge2 is gateway edge renamed") as refused:
        asyncio.run(guarded.answers.permit(Request(verb="guard-permit", names=["edge2"], for_s=60.0, reason="test")))
    assert refused.value.hint == "zonehookctl guard permit edge"
    (plan,) = [each for each in guarded.ours.plan() if each.subject == subject.gateway("edge")]
    guarded.latest[plan.subject] = Outcome(plan.subject, Result.NOOP, (), tuple(plan.notes))
    row = shown(guarded)
    assert (
        row.state == "lost" and "its files are zone edge2's now (hint: if it was renamed: zonecfg -z edge2" in row.text
    )
    with pytest.raises(ZonehookError, match="its files are zone edge2's now"):
        asyncio.run(guarded.answers.restore(Request(verb="guard-restore", zone="edge")))
    admin.do("zoneadm", "-z", "edge2", "boot")
    guarded.look()
    with pytest.raises(ZonehookError, match="its files are zone edge2's now") as up:
        asyncio.run(guarded.answers.restore(Request(verb="guard-restore", zone="edge")))
    assert up.value.hint == "zoneadm -z edge2 halt, then zonecfg -z edge2 set zonename=edge"
    admin.do("zoneadm", "-z", "edge2", "halt")
    admin.do("zonecfg", "-z", "edge2", "set zonename=edge3")  # nobody looks any more
    verdict = alone(guarded.state / NAME, "edge3", "uninstall", time.time())
    assert not verdict.allowed and "zone edge3, which is gateway edge renamed," in verdict.text
    admin.do("zonecfg", "-z", "edge3", "set zonename=edge")
    guarded.converge()
    assert guarded.lost[-1] == set()
    assert asked(guarded) == (False, "dependents", ["web/web1"])


def test_one_that_is_missed_causes_no_looks(guarded: Guarded, admin: Admin) -> None:
    """It may stay so all night."""
    member(admin, "web1", "web")
    guarded.converge()
    admin.do("zonecfg", "-z", "edge", "delete", "-F")
    guarded.converge()
    ours = guarded.ours
    taken = asyncio.run(ours.survey.take(ours._look(), ours.declared, time.monotonic()))
    assert taken.site.zones["edge"].vanished and taken.again_after_s is None


def test_the_list_of_gateways_costs_what_one_costs(guarded: Guarded, admin: Admin) -> None:
    member(admin, "inner", state="configured")
    member(admin, "web1", "web")
    guarded.converge()
    before = len(guarded.ours.commands.looks)
    answer = asyncio.run(guarded.answers.status(Request(verb="guard-status")))
    assert isinstance(answer, GuardStatusReply) and len(answer.gateways) >= 2
    asked_of = [argv[:2] for argv in guarded.ours.commands.looks[before:]]
    assert asked_of == [("zoneadm", "list"), ("dladm", "show-vnic")]


def test_a_record_that_somebody_deleted_is_written_again(guarded: Guarded, admin: Admin) -> None:
    member(admin, "web1", "web")
    guarded.converge()
    before = written(guarded)
    (guarded.state / NAME).unlink()
    assert written(guarded) == before, "though it would say the same"
