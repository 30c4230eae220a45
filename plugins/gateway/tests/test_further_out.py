"""Who is behind two gateways hears of it when the outer one is down; and each gateway is observed once a look."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from fixtures import Admin, Build
from paper_gateway import EDGE, WAN, Site, addresses, edge_site, inside, member, said, settle

from zonehookd.engine.survey import Survey
from zonehookd.model import subject
from zonehookd.model.plan import Note
from zonehookd.model.record import LET_GO

MID = {"cidr": "10.50.0.0/24", "via": "edge"}
DEEP = {"cidr": "10.60.0.0/24", "via": "a_inner"}  # before edge by name, and yet looked at after it
INNER = {"outside": "mid", "address": "10.50.0.10", "dhcp": "none", "dns": "none"}
DOWN = "waiting for gateway edge: its zone is installed"


def told(found: Site, shut: dict[str, str], *names: str) -> list[str]:
    """What a look at these zones alone says, when `shut` is known from before."""

    async def look() -> list[Note]:
        ours = found.ours
        one = ours._look()
        taken = await ours.survey.take(one, ours.declared, time.monotonic())
        due = [subject.zone(name) for name in names]
        plans = await ours.reconciler.plan(one, taken.site, due, ours.motion, shut)
        return [note for plan in plans for note in plan.notes if note.code == "gateway-down"]

    return [note.text for note in asyncio.run(look())]


def test_a_gateway_that_is_down_cuts_off_whoever_is_further_in(admin: Admin, engine: Build) -> None:
    for name in ("edge", "a_inner"):
        member(admin, name)
    member(admin, "deep1", "deep")
    networks = {"wan": WAN, "mid": MID, "deep": DEEP}
    found = Site(admin, engine, networks, {"edge": EDGE, "a_inner": INNER})
    found.up("edge", "a_inner", "deep1")
    assert said(found.ours, "gateway-down") == []
    admin.do("zoneadm", "-z", "edge", "halt")
    assert {note.text for note in said(found.ours, "gateway-down")} == {DOWN, f"waiting for gateway a_inner: {DOWN}"}
    (plan,) = [each for each in found.ours.plan() if each.subject == subject.gateway("a_inner")]
    assert plan.trouble == DOWN and not plan.steps, "its own work is done"
    assert told(found, {"a_inner": DOWN, "edge": ""}, "deep1") == [f"waiting for gateway a_inner: {DOWN}"]
    assert told(found, {"a_inner": ""}, "deep1") == []
    admin.do("zoneadm", "-z", "edge", "boot")
    settle(found.ours)
    assert said(found.ours, "gateway-down") == []


def test_what_an_admin_has_on_his_own_nic_stays_when_the_gateway_goes(admin: Admin, engine: Build) -> None:
    """A NIC that the zone's own configuration names is not ours to unplumb: only our address on it goes."""
    member(admin, "edge", "wan")
    found = Site(admin, engine)
    found.up("edge")
    assert addresses(admin, "edge")["edge_0/zh4"] == "192.0.2.10/24"
    inside(admin, "edge", "ipadm", "create-addr", "-T", "static", "-a", "192.0.2.77/24", "edge_0/v4")
    settle(found.ours)
    found.declare(gateways={"edge": {**EDGE, "kind": "external"}})
    settle(found.ours)
    assert addresses(admin, "edge") == {"edge_0/v4": "192.0.2.77/24"}
    assert found.ours.steps() == []


def test_a_gateway_zone_that_is_missing_at_a_first_look_is_not_forgotten(admin: Admin, engine: Build) -> None:
    """After a restart our books alone know of it: it must be missing twice, whatever kind of record they have."""
    found = edge_site(admin, engine)
    ours = found.ours
    for record in ours.store.of(subject.zone("edge")):
        ours.store.forget(record.kind, record.name)
    known = ours.store.of(subject.gateway("edge"))
    index = admin.world.path("/etc/zones/index")
    lines = index.read_text().splitlines(keepends=True)
    index.write_text("".join(line for line in lines if not line.startswith("edge:")))
    ours.survey = Survey(ours.config.paths.zones, 3.0)
    ours.look()
    assert known and ours.store.of(subject.gateway("edge")) == known, "it was missing once"
    ours.survey = Survey(ours.config.paths.zones, 0.0)
    ours.look()
    assert [record.kind for record in ours.store.of(subject.gateway("edge"))] == [LET_GO]


def test_a_gateway_is_observed_once_a_look(admin: Admin, engine: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    found = edge_site(admin, engine, "web1 web")
    count: dict[str, int] = {}
    for plugin in found.ours.reconciler.plugins:
        if plugin.kind == "gateway":
            monkeypatch.setattr(plugin, "observe", _counting(plugin, count))
    found.ours.plan()
    assert count and set(count.values()) == {1}


def _counting(plugin: Any, count: dict[str, int]) -> Any:
    before = plugin.observe

    async def observe(view: Any, host: Any) -> Any:
        count[plugin.name] = count.get(plugin.name, 0) + 1
        return await before(view, host)

    return observe
