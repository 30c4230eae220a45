"""What `check`, `explain`, `trace` and `timeline` answer of a name that is no zone's, or is no more."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

import pytest
from fixtures import Admin, Build
from paper_gateway import Site as Play
from paper_gateway import edge_site, member

from zonehookd.bus.messages import Request
from zonehookd.bus.trace_messages import CheckReply, ExplainReply
from zonehookd.engine.look import Look
from zonehookd.engine.reconciler import SubjectPlan
from zonehookd.engine.site import Site
from zonehookd.errors import NotFound
from zonehookd.model import subject
from zonehookd.model.gateway import Declaration
from zonehookd.model.outcome import Outcome
from zonehookd.model.record import LET_GO, PERMIT, Record
from zonehookd.model.subject import Subject
from zonehookd.routes import rows
from zonehookd.tracing.answers import TraceAnswers
from zonehookd.tracing.timeline import Timeline


class Asked:
    """`zonehookctl` and the heart of a daemon over the paper engine."""

    def __init__(self, play: Play) -> None:
        self.ours = play.ours
        self.survey = self.ours.survey
        self.latest: dict[Subject, Outcome] = {}
        self.at_work: Mapping[Subject, tuple[SubjectPlan, float]] = {}
        self.answers = TraceAnswers(
            self,
            self.ours._look,
            self.ours.store,
            Timeline(),
            lambda site, zone: rows.reply(rows.Told(site, [], [], self.latest, set()), zone),
        )

    async def dry_run(
        self, declared: Declaration | None = None, look: Look | None = None
    ) -> tuple[Site, list[SubjectPlan]]:
        look = look or self.ours._look()
        taken = await self.survey.take(look, declared or self.ours.declared, time.monotonic())
        return taken.site, await self.ours.reconciler.dry(
            look, taken.site, self.ours._all(taken.site), self.ours.motion
        )

    def __call__(self, verb: Any, zone: str, target: str = "") -> Any:
        async def ask() -> Any:
            return await self.answers.handlers()[verb](Request(verb=verb, zone=zone, target=target))

        return asyncio.run(ask())


@pytest.mark.parametrize("members", [(), ("web1 web",)])
def test_a_gateway_that_was_let_go_is_explained(admin: Admin, engine: Build, members: tuple[str, ...]) -> None:
    play = edge_site(admin, engine, *members)
    until = {"until": f"{time.time() + 600:.0f}"}
    play.ours.store.remember(Record(PERMIT, "edge", subject.gateway("edge"), "guard", until))
    admin.delete("edge")
    play.ours.converge()
    play.ours.store.forget(PERMIT, "edge")  # as the guard does
    play.ours.converge()
    site = play.ours.survey.site
    assert site is not None and "edge" not in site.zones and play.ours.store.one(LET_GO, "edge") is not None
    asked = Asked(play)
    explained, checked = asked("explain", "edge"), asked("check", "edge")
    assert isinstance(explained, ExplainReply) and isinstance(checked, CheckReply)
    cut_off = ", and zones are cut off (network web: web1)" if members else ""
    assert explained.text == checked.text == f"zone edge: gateway edge: it was deleted and let go{cut_off}"
    assert explained.cure == checked.cure == "zonehookctl guard restore edge"
    assert checked.broken and explained.state == "absent"


def test_a_gateway_that_never_was_is_declared_and_not_there(admin: Admin, engine: Build) -> None:
    member(admin, "web1", "web")
    play = Play(admin, engine)
    play.up("web1")
    answer = Asked(play)("explain", "edge")
    assert answer.text == "zone edge: gateway edge: its zone does not exist"
    assert answer.cure == "there is no zone edge: zonecfg -z edge configures it"


@pytest.mark.parametrize("text", ["<zone", "<zone/>", None])
def test_a_damaged_file_is_put_back(admin: Admin, engine: Build, text: str | None) -> None:
    """zonecfg verifies none that it cannot read."""
    play = edge_site(admin, engine, "web1 web")
    admin.do("zoneadm", "-z", "web1", "halt")
    for name in ("edge", "web1"):
        file = admin.world.path(f"/etc/zones/{name}.xml")
        file.unlink() if text is None else file.write_text(text)
    play.ours.look()
    asked = Asked(play)
    assert asked("explain", "edge").cure == "zonehookctl guard restore edge"
    assert asked("trace", "edge", "198.51.100.1").cure == "zonehookctl guard restore edge"
    anew = "or, while the zone is down, zonecfg -z web1 delete -F, and make it anew"
    assert asked("explain", "web1").cure == f"put /etc/zones/web1.xml back from a backup; {anew}"
    assert admin.sh("zonecfg", "-z", "web1", "verify").status != 0
    admin.do("zonecfg", "-z", "web1", "delete", "-F")


def test_who_is_nobody_is_not_found(admin: Admin, engine: Build) -> None:
    asked = Asked(edge_site(admin, engine, "web1 web"))
    for words in (("timeline", "nosuch"), ("check", "nosuch"), ("explain", "nosuch"), ("trace", "nosuch", "web1"),
                  ("trace", "web1", "nosuch")):  # fmt: skip
        with pytest.raises(NotFound) as refused:
            asked(*words)
        assert refused.value.code == "not-found" and refused.value.hint, words
