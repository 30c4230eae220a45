"""Addresses in the books, through the engine: written before they are used, kept for life, resting after."""

from __future__ import annotations

import time

import pytest
from fixtures import Admin, Build
from paper import until
from paper_gateway import Site, addresses, member, settle, wish

from zonehookd.model import subject
from zonehookd.model.plan import Remember, describe
from zonehookd.model.record import ADDRESS, Record

WEB = {"cidr": "10.99.0.0/24", "via": "edge"}


def site(admin: Admin, build: Build, **web: object) -> Site:
    """One network with a pool. Its gateway need not be there: an address is given by the books alone."""
    return Site(admin, build, {"web": {**WEB, **web}}, {"edge": {}})


def booked(found: Site, key: str) -> Record:
    record = found.ours.store.one(ADDRESS, key)
    assert record is not None, f"{key} is not in the books"
    return record


def owners(found: Site) -> dict[str, str]:
    """Address -> who owns its record: a zone, or the network for one that rests."""
    return {each.name.partition("/")[2]: str(each.owner) for each in found.ours.store.of_kind(ADDRESS)}


def test_it_is_in_the_books_before_anything_bears_it(admin: Admin, engine: Build) -> None:
    member(admin, "web1", "web")
    ours = site(admin, engine).ours
    (zone,) = [plan for plan in ours.plan() if plan.subject == subject.zone("web1")]
    lines = [describe(each.step) for each in zone.steps]
    assert lines[0] == "remember address web/10.99.0.2", "also before its VNIC is made"
    (remember,) = [each.step for each in zone.steps if each.plugin == "address"]
    assert isinstance(remember, Remember) and remember.why == "web1_0 has 10.99.0.2"


def test_it_stays_for_life_whoever_comes_later_and_over_a_restart(admin: Admin, engine: Build) -> None:
    member(admin, "web2", "web")
    found = site(admin, engine)
    settle(found.ours)
    member(admin, "web1", "web")
    again = site(admin, engine)
    settle(again.ours)
    assert owners(again) == {"10.99.0.2": "zone:web2", "10.99.0.3": "zone:web1"}
    for command in ("boot", "reboot", "halt"):
        admin.do("zoneadm", "-z", "web2", command)
        settle(again.ours)
    assert booked(again, "web/10.99.0.2").facts == {"zone": "web2", "link": "web2_0"}


def test_an_address_that_was_asked_for_is_booked_and_released_when_it_changes(admin: Admin, engine: Build) -> None:
    member(admin, "web1", "web 10.99.0.10")
    found = site(admin, engine)
    settle(found.ours)
    assert owners(found) == {"10.99.0.10": "zone:web1"}
    admin.do("zonecfg", "-z", "web1", f"remove attr name=zh.net0; {wish(0, 'web 10.99.0.1x')}")
    settle(found.ours)
    assert owners(found) == {"10.99.0.10": "zone:web1"}, "a slip of the pen costs nobody an address"
    admin.do("zonecfg", "-z", "web1", f"remove attr name=zh.net0; {wish(0, 'web 10.99.0.100')}")
    settle(found.ours)
    assert owners(found) == {"10.99.0.10": "network:web", "10.99.0.100": "zone:web1"}


def test_after_its_zone_is_deleted_it_rests_and_only_its_nic_may_have_it_back(admin: Admin, engine: Build) -> None:
    member(admin, "web1", "web")
    member(admin, "web2", "web 10.99.0.20")
    found = site(admin, engine)
    settle(found.ours)
    before = time.time()
    admin.delete("web1")
    settle(found.ours)
    record = booked(found, "web/10.99.0.2")
    assert record.owner == subject.network("web") and abs(float(record.facts["freed"]) - before) < 60
    assert owners(found)["10.99.0.20"] == "zone:web2", "a neighbour with the same digits is another"
    member(admin, "app1", "web")
    settle(found.ours)
    assert owners(found)["10.99.0.3"] == "zone:app1"
    member(admin, "web1", "web")
    settle(found.ours)
    assert owners(found)["10.99.0.2"] == "zone:web1" and "freed" not in booked(found, "web/10.99.0.2").facts


@pytest.mark.parametrize(("quarantine_s", "served"), [(0, True), (600, False)])
def test_the_last_address_changes_its_owner_after_the_quarantine(
    admin: Admin, engine: Build, quarantine_s: int, served: bool
) -> None:
    member(admin, "web1", "web")
    found = site(admin, engine, pool=["10.99.0.5"], quarantine_s=quarantine_s)
    settle(found.ours)
    admin.delete("web1")
    settle(found.ours)
    member(admin, "web2", "web")
    settle(found.ours)
    assert owners(found) == {"10.99.0.5": "zone:web2" if served else "network:web"}
    assert [note.code for note in found.ours.notes()] == ([] if served else ["pool-exhausted"])
    assert admin.vnic("web2_0").startswith("web0:"), "it is wired either way"


def test_who_waits_for_an_address_gets_the_one_that_comes_free(admin: Admin, engine: Build) -> None:
    member(admin, "web1", "web")
    member(admin, "web2", "web")
    found = site(admin, engine, pool=["10.99.0.5"], quarantine_s=0)
    settle(found.ours)
    (note,) = found.ours.notes()
    assert "web2_0: the pool of network web is exhausted: of its 1 IPv4 addresses none is free" in note.text
    assert "a larger pool in [network.web]" in note.hint
    admin.delete("web1")
    settle(found.ours)

    def served() -> bool:  # when it was given back is on record to the second
        found.ours.look()
        return owners(found) == {"10.99.0.5": "zone:web2"}

    until(served)
    assert not found.ours.notes()


def test_a_nic_that_goes_gives_its_address_back_and_its_neighbour_keeps_his(admin: Admin, engine: Build) -> None:
    member(admin, "web1", "web", "web")
    found = site(admin, engine)
    settle(found.ours)
    assert owners(found) == {"10.99.0.2": "zone:web1", "10.99.0.3": "zone:web1"}
    admin.do("zonecfg", "-z", "web1", "remove attr name=zh.net1; remove net physical=web1_1")
    settle(found.ours)
    assert owners(found) == {"10.99.0.2": "zone:web1", "10.99.0.3": "network:web"}


def test_a_zone_that_cannot_be_placed_or_read_keeps_what_it_has(admin: Admin, engine: Build) -> None:
    member(admin, "web1", "web")
    found = site(admin, engine, quarantine_s=0)
    settle(found.ours)
    admin.do("zonecfg", "-z", "web1", f"remove attr name=zh.net0; {wish(0, 'wep')}")
    member(admin, "app1", "web 10.99.0.3")
    settle(found.ours)
    assert owners(found) == {"10.99.0.2": "zone:web1", "10.99.0.3": "zone:app1"}
    admin.do("zonecfg", "-z", "web1", f"remove attr name=zh.net0; {wish(0, 'web')}")
    settle(found.ours)
    path = admin.world.path("/etc/zones/web1.xml")
    good = path.read_bytes()
    path.write_bytes(b"<zone")
    member(admin, "app2", "web 10.99.0.2")
    settle(found.ours)
    assert owners(found)["10.99.0.2"] == "zone:web1"
    assert "app2_0: 10.99.0.2 on network web belongs to zone web1" in "".join(n.text for n in found.ours.notes())
    path.write_bytes(good)
    settle(found.ours)
    assert owners(found)["10.99.0.2"] == "zone:web1"


def test_a_network_without_a_pool_keeps_no_books(admin: Admin, engine: Build) -> None:
    member(admin, "dmz1", "dmz 10.1.0.5")
    found = Site(admin, engine, {"dmz": "10.1.0.0/24"}, {})
    settle(found.ours)
    assert owners(found) == {}
    plans = {str(plan.subject): plan for plan in found.ours.plan()}
    assert not [each for each in plans["zone:dmz1"].steps if each.plugin == "address"]


def test_what_a_crash_left_unbooked_is_booked_by_the_next_look(admin: Admin, engine: Build) -> None:
    member(admin, "web1", "web")
    found = site(admin, engine)
    found.up("web1")
    assert addresses(admin, "web1") == {"web1_0/zh4": "10.99.0.2/24"}
    found.ours.store.forget(ADDRESS, "web/10.99.0.2")
    settle(found.ours)
    assert owners(found) == {"10.99.0.2": "zone:web1"}
