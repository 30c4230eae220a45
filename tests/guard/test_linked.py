"""Who depends by a link alone is in the books, for plugins: zap is told of such zones, too."""

from __future__ import annotations

import asyncio

from fixtures import Admin
from paper_gateway import WAN, member
from paper_guard import Guarded, written

from zonehookd.engine.survey import Survey
from zonehookd.guard.standing import NAME
from zonehookd.model.event import Event
from zonehookd.model.record import LINKED


def noted(guarded: Guarded) -> tuple[dict[str, str], list[Event]]:
    """After a full look, gateway -> zones in the books, and what the guard has hinted at."""
    path = guarded.state / NAME
    path.unlink(missing_ok=True)
    guarded.hints.clear()
    guarded.converge()

    async def seen() -> None:
        keeping = asyncio.create_task(guarded.guard.run())
        async with asyncio.timeout(60.0):
            while not path.exists():
                await asyncio.sleep(0.01)
        keeping.cancel()

    asyncio.run(seen())
    return {each.name: each.facts["zones"] for each in guarded.ours.store.of_kind(LINKED)}, guarded.hints


def test_zap_is_told_who_is_there_by_a_link_alone(guarded: Guarded, admin: Admin) -> None:
    records = admin.world.path("/var/zap/zones")
    records.mkdir(parents=True)
    admin.zone("odd", "set physical=own0")
    no = 'add attr; set name=zh.depends; set type=string; set value="no"; end'
    admin.zone("aside", "set physical=own1", extra=no)
    member(admin, "web1", "web")
    assert noted(guarded) == ({}, [])
    for link in ("own0", "own1"):
        admin.do("dladm", "create-vnic", "-l", "web0", link)
    news = [Event("guard", "links", "edge")]
    assert noted(guarded) == ({"edge": "odd"}, news), "and not whoever says so itself, nor who does not depend"
    assert noted(guarded) == ({"edge": "odd"}, []), "no news, so no look"
    (file,) = records.iterdir()
    assert file.read_text().splitlines()[1:] == ["parent_zone: edge", "zone: odd", "zone: web1"]
    admin.do("dladm", "delete-vnic", "own0")
    assert noted(guarded) == ({}, news)
    guarded.converge()
    assert file.read_text().splitlines()[1:] == ["parent_zone: edge", "zone: web1"]


def test_books_that_cannot_be_written_end_nothing(guarded: Guarded, admin: Admin) -> None:
    """As on a full disk. It is noted when they can."""
    admin.zone("odd", "set physical=own0")
    noted(guarded)
    admin.do("dladm", "create-vnic", "-l", "web0", "own0")
    database = guarded.ours.store._database
    database.execute("PRAGMA query_only = 1")
    guarded.looked()
    assert "web/odd" in [f"{each.network}/{each.zone}" for each in written(guarded)["edge"].dependents]
    database.execute("PRAGMA query_only = 0")
    assert noted(guarded)[0] == {"edge": "odd"}


def test_a_gateway_that_never_was_is_no_zone_for_that(guarded: Guarded, admin: Admin) -> None:
    """Nobody waits for it when the daemon starts."""
    admin.zone("odd", "set physical=own0")
    noted(guarded)
    admin.do("dladm", "create-vnic", "-l", "deep0", "own0")
    assert noted(guarded)[0] == {"inner": "odd"}
    guarded.ours.survey = Survey(guarded.ours.config.paths.zones, 60.0)
    guarded.look()
    site = guarded.ours.survey.site
    assert site is not None and "inner" not in site.zones and not guarded.ours.survey.undecided


def test_it_goes_with_the_declaration(guarded: Guarded, admin: Admin) -> None:
    admin.zone("odd", "set physical=own0")
    noted(guarded)
    admin.do("dladm", "create-vnic", "-l", "web0", "own0")
    assert noted(guarded)[0] == {"edge": "odd"}
    guarded.ours.redeclare({"wan": WAN}, {})
    assert noted(guarded)[0] == {}
