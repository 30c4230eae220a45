"""A gateway that is uninstalled, renamed, or deleted again and again: what `guard status` and the log say of it."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from fixtures import Admin
from paper_gateway import member
from paper_guard import Guarded, shown
from structlog.testing import CapturingLogger

from zonehookd.bus.messages import Request
from zonehookd.guard.guard import Guard
from zonehookd.lines import Lines
from zonehookd.model import subject
from zonehookd.model.outcome import Outcome, Result
from zonehookd.model.record import BY_ITSELF, RESTORE


def test_one_that_was_uninstalled_is_said_by_guard_status_and_once_by_the_log(guarded: Guarded, admin: Admin) -> None:
    """The gate was not asked: its brand's files were just being replaced."""
    member(admin, "web1", "web")
    guarded.converge()
    told = CapturingLogger()
    lines = Lines(told)

    def looked() -> str:
        guarded.converge()
        (plan,) = [each for each in guarded.ours.plan() if each.subject == subject.gateway("edge")]
        guarded.latest[plan.subject] = Outcome(plan.subject, Result.NOOP, (), tuple(plan.notes))
        lines.ended(guarded.latest[plan.subject])
        return shown(guarded).text

    for _ in range(2):
        admin.do("zoneadm", "-z", "edge", "uninstall", "-F")
        for _ in range(2):
            text = looked()
            assert text.startswith(
                "gateway zone edge was uninstalled, and zones depend on it: network web: web1 (hint: "
            )
            assert "(hint: zoneadm -z edge install; or " in text
        admin.do("zoneadm", "-z", "edge", "install")
        assert looked() == ""
    said = [(each.method_name, *each.args, each.kwargs["gateway"]) for each in told.calls]
    assert said == [("error", "gateway lost: what was installed in it is gone", "edge")] * 2


def test_the_log_says_how_a_gateway_that_was_renamed_comes_back(guarded: Guarded, admin: Admin) -> None:
    member(admin, "web1", "web")
    guarded.converge()
    admin.do("zonecfg", "-z", "edge", "set zonename=old")
    guarded.converge()
    told = CapturingLogger()
    lines = Lines(told)
    assert guarded.ours.survey.site is not None
    lines.looked(guarded.ours.survey.site, 0.0, True, 0, 0)
    lines.lost(["edge"])
    assert told.calls[-1].kwargs["hint"].startswith("if it was renamed: zonecfg -z old set zonename=edge; or, ")


def test_it_does_not_come_back_by_itself_for_ever(guarded: Guarded, admin: Admin) -> None:
    guarded.policy = guarded.policy.model_copy(update={"restore": "auto"})
    member(admin, "web1", "web")
    guarded.converge()
    came_back = 0
    for _ in range(5):
        admin.sh("zonecfg", "-z", "edge", "delete", "-F")
        guarded.converge()
        if guarded.ours.store.one(RESTORE, "edge") is None:
            break
        guarded.converge()
        came_back += 1
    assert came_back == 3 and guarded.lost[-1] == {"edge"}
    guarded.look()
    assert guarded.used_up == ["edge"], "said once"
    (plan,) = [each for each in guarded.ours.plan() if each.subject == subject.gateway("edge")]
    guarded.latest[plan.subject] = Outcome(plan.subject, Result.NOOP, (), tuple(plan.notes))  # what `status` shows
    why = '; restored by itself too often within an hour, so [guard] restore = "auto" waits (hint: zonehookctl guard '
    assert why in shown(guarded).text
    guarded.guard = Guard(guarded.tools)  # of a daemon that has just started
    guarded.look()
    assert guarded.ours.store.one(RESTORE, "edge") is None and guarded.used_up == ["edge", "edge"]
    reply = asyncio.run(guarded.answers.restore(Request(verb="guard-restore", zone="edge")))
    assert reply.model_dump()["state"] == "installed"
    admin.do("zonecfg", "-z", "edge", "delete", "-F")
    guarded.converge()
    assert guarded.ours.store.one(RESTORE, "edge") is None, "who asks once has not asked for ever"
    (record,) = guarded.ours.store.of_kind(BY_ITSELF)
    first, *more = record.facts["at"].split()
    hour_ago = {"at": " ".join([f"{float(first) - 3601:.0f}", *more])}
    guarded.ours.store.remember(replace(record, facts=hour_ago))
    guarded.look()
    assert guarded.ours.store.one(RESTORE, "edge") is not None, "the first is long ago"
    guarded.policy = guarded.policy.model_copy(update={"restore": "ask"})
    guarded.converge()
    assert not list(guarded.ours.store.of_kind(BY_ITSELF))
