"""Addresses that were given back, in the books of their network: counted, and dropped when they are of no pool."""

from __future__ import annotations

from fixtures import Admin, Build
from paper_gateway import Site, member, settle

from zonehookd.model.record import ADDRESS

WEB = {"cidr": "10.99.0.0/24", "via": "edge"}
APP = {"cidr": "10.98.0.0/24", "via": "edge"}


def site(admin: Admin, build: Build) -> Site:
    """Networks web and app; web1 and app1 each had an address and are gone, web2 has one."""
    member(admin, "web1", "web 10.99.0.10")
    member(admin, "web2", "web 10.99.0.100")
    member(admin, "app1", "app 10.98.0.10")
    found = Site(admin, build, {"web": WEB, "app": APP}, {"edge": {}})
    settle(found.ours)
    admin.delete("web1")
    admin.delete("app1")
    settle(found.ours)
    return found


def booked(found: Site) -> list[str]:
    return sorted(each.name for each in found.ours.store.of_kind(ADDRESS))


def says(found: Site, network: str) -> list[str]:
    return [n.text for plan in found.ours.plan() if str(plan.subject) == f"network:{network}" for n in plan.notes]


def test_it_tells_how_many_are_used_and_how_many_rest(admin: Admin, engine: Build) -> None:
    found = site(admin, engine)
    assert booked(found) == ["app/10.98.0.10", "web/10.99.0.10", "web/10.99.0.100"]
    assert "pool of network web: 1 addresses in use, 1 were given back" in says(found, "web")
    assert "pool of network app: 0 addresses in use, 1 were given back" in says(found, "app")


def test_a_pool_that_shrinks_forgets_what_is_no_longer_in_it(admin: Admin, engine: Build) -> None:
    found = site(admin, engine)
    found.declare({"web": {**WEB, "pool": ["10.99.0.100-10.99.0.200"]}, "app": APP})
    assert "forget address web/10.99.0.10" in found.ours.steps()
    settle(found.ours)
    assert booked(found) == ["app/10.98.0.10", "web/10.99.0.100"], "of this network alone, and nobody's who has it"


def test_a_network_that_is_gone_leaves_no_address_behind(admin: Admin, engine: Build) -> None:
    found = site(admin, engine)
    found.declare({"web": WEB})
    settle(found.ours)
    assert booked(found) == ["web/10.99.0.10", "web/10.99.0.100"]
    admin.delete("web2")
    found.declare({}, {})
    settle(found.ours)
    assert list(found.ours.store.all()) == []


def test_a_network_without_a_pool_says_so(admin: Admin, engine: Build) -> None:
    found = site(admin, engine)
    found.declare({"web": {**WEB, "pool": []}, "app": APP})
    settle(found.ours)
    assert "network web has no pool" in says(found, "web")
    assert booked(found) == ["app/10.98.0.10"]
    assert admin.vnic("web2_0").startswith("web0:"), "who asks for an address by itself is not touched"
    assert not found.ours.notes()
