"""The checklist and the walk on the paper floor: how much is asked, and that what cannot be seen is never broken."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import pytest
from fixtures import Admin, Build
from lab.faults import Fault
from paper_gateway import Site, edge_site, member

from zonehookd.model import subject
from zonehookd.model.record import PERMIT, Record
from zonehookd.tracing.checklist import Checklist
from zonehookd.tracing.facts import Facts
from zonehookd.tracing.links import Link, first_broken
from zonehookd.tracing.trace import Traced, trace


def checked(found: Site, name: str) -> Sequence[Link]:
    async def run() -> Sequence[Link]:
        ours = found.ours
        look = ours._look()
        taken = await ours.survey.take(look, ours.declared, time.monotonic())
        plans = await ours.reconciler.plan(look, taken.site, ours._all(taken.site), ours.motion)
        return await Checklist(Facts(look, taken.site), taken.site.zones[name], plans).links()

    return asyncio.run(run())


def traced(found: Site, a: str, b: str) -> Traced:
    async def run() -> Traced:
        look = found.ours._look()
        taken = await found.ours.survey.take(look, found.ours.declared, time.monotonic())
        return await trace(Facts(look, taken.site), (), a, b)

    return asyncio.run(run())


@pytest.fixture
def site(admin: Admin, engine: Build) -> Site:
    return edge_site(admin, engine, "web1 web", "db1 db")


def states(links: Sequence[Link]) -> dict[str, str]:
    return {each.name: each.state for each in links}


def test_all_is_well(site: Site) -> None:
    links = checked(site, "web1")
    assert {each.state for each in links} == {"ok", "not applicable"}, links
    wanted = ["configuration", "network", "etherstub", "link", "zone", "address", "route", "gateway edge"]
    assert [each.name for each in links][: len(wanted)] == wanted
    assert {"gateway edge inside", "gateway edge filter", "gateway edge NAT", "gateway edge forwarding"} <= {
        each.name for each in links
    }
    assert traced(site, "web1", "db1").sure


def test_no_more_commands_for_one_zone_among_many(admin: Admin, engine: Build) -> None:
    found = edge_site(admin, engine, "web1 web", "db1 db")

    def asked() -> list[int]:
        numbers = []
        for question in (lambda: checked(found, "web1"), lambda: traced(found, "web1", "db1")):
            found.ours.commands.looks.clear()
            question()
            numbers.append(len(found.ours.commands.looks))
        return numbers

    few = asked()
    for number in range(20):
        member(admin, f"more{number}", "web", state="configured")
    found.up()
    many = asked()
    assert all(later <= first for first, later in zip(few, many, strict=True)), (few, many)


def test_it_changes_nothing(site: Site) -> None:
    before = len(site.ours.commands.changes)
    checked(site, "web1")
    traced(site, "web1", "198.51.100.1")
    assert len(site.ours.commands.changes) == before


def test_a_zone_that_cannot_be_looked_into_is_unknown_not_broken(site: Site) -> None:
    site.admin.world.faults.add(Fault("fail", "zlogin * web1 *", times=1000))
    links = checked(site, "web1")
    assert first_broken(links) is None and states(links)["address"] == "unknown", links
    found = traced(site, "web1", "db1")
    assert found.reachable and not found.sure
    assert any("cannot look inside" in hop.text and hop.state == "unknown" for hop in found.hops)


@pytest.mark.parametrize(
    ("argv", "name", "cure"),
    [
        (("ipnat", "-CF", "-z", "edge"), "gateway edge NAT", "apply"),
        (("zlogin", "edge", "ipadm set-ifprop -t -p forwarding=off -m ipv4 edge_web0"), "gateway edge forwarding", ""),
        (("zlogin", "edge", "route delete default 192.0.2.1"), "gateway edge way out", "apply"),
        (("zlogin", "web1", "route delete default 10.99.0.1"), "route", "route add default 10.99.0.1"),
        (("zlogin", "web1", "ipadm delete-addr web1_0/zh4"), "address", "explain"),
        (("zoneadm", "-z", "web1", "halt"), "zone", "zoneadm -z web1 boot"),
        (("zoneadm", "-z", "edge", "halt"), "gateway edge", "zoneadm -z edge boot"),
    ],
)
def test_the_first_broken_link_is_named(site: Site, argv: tuple[str, ...], name: str, cure: str) -> None:
    site.admin.do(*argv)
    broken = first_broken(checked(site, "web1"))
    assert broken is not None and broken.name == name and cure in broken.cure and broken.cure, broken
    if name != "gateway edge way out":
        assert not traced(site, "web1", "198.51.100.1").reachable


@pytest.mark.parametrize(
    ("argv", "cure"),
    [
        (("delete", "-F"), "zonehookctl guard restore edge; or to let it go, "),
        (("set zonename=edge2",), "if it was renamed: zonecfg -z edge2 set zonename=edge; or to let it go, "),
    ],
)
def test_a_gateway_that_is_missed_is_not_booted_but_had_back(site: Site, argv: tuple[str, ...], cure: str) -> None:
    site.admin.do("zoneadm", "-z", "edge", "halt")
    site.ours.converge()
    site.admin.do("zonecfg", "-z", "edge", *argv)
    site.ours.look()
    broken = first_broken(checked(site, "web1"))
    assert broken is not None and broken.name == "gateway edge" and broken.cure.startswith(cure), broken
    assert broken.text.startswith("its configuration was deleted while ") and "hint" not in broken.text
    itself = first_broken(checked(site, "edge"))
    back = "zonecfg -z edge2 set zonename=edge" if "zonename" in argv[0] else "zonehookctl guard restore edge"
    assert itself is not None and itself.cure == back, itself
    assert not [hop for hop in traced(site, "web1", "198.51.100.1").hops if "boot" in hop.cure]


@pytest.mark.parametrize("how", ["let go", "damaged"])
def test_a_gateway_that_was_let_go_or_is_damaged_is_had_back(site: Site, how: str) -> None:
    if how == "damaged":
        site.admin.world.path("/etc/zones/edge.xml").write_text("<zone")
    else:
        until = {"until": f"{time.time() + 600:.0f}"}
        site.ours.store.remember(Record(PERMIT, "edge", subject.gateway("edge"), "guard", until))
        site.admin.delete("edge")
    site.ours.look()
    site.ours.look()
    broken = first_broken(checked(site, "web1"))
    assert broken is not None and broken.name == "gateway edge", broken
    assert broken.cure == "zonehookctl guard restore edge", broken


def test_a_gateway_that_was_never_there_is_configured(admin: Admin, engine: Build) -> None:
    member(admin, "web1", "web")
    found = Site(admin, engine)
    found.up("web1")
    broken = first_broken(checked(found, "web1"))
    assert broken is not None and broken.text == "its zone does not exist", broken
    assert broken.cure == "there is no zone edge: zonecfg -z edge configures it"


def test_a_link_that_is_gone_comes_before_the_zone_that_cannot_boot_without_it(site: Site) -> None:
    site.admin.do("zoneadm", "-z", "web1", "halt")
    site.admin.do("dladm", "delete-vnic", "web1_0")
    links = checked(site, "web1")
    assert [each.name for each in links if each.state == "broken"][:2] == ["link", "zone"]
    assert states(links)["address"] == "not applicable"
