"""Who serves what: one owner for each host, path and port, whoever asks, in whatever order, over restarts."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from fixtures import Admin, Build
from lab.world import World
from paper import Engine
from paper_gateway import EDGE, WAN, WEB

from zonehookd.model import subject
from zonehookd.model.attachment import Refusal
from zonehookd.model.record import Record
from zonehookd.model.route import Match, Route
from zonehookd.plugin.routing import RouteBook, Seat

PROXY: dict[str, Any] = {"program": "haproxy", "tcp_ports": [5432, "7000-7010"]}
SHOP = "shop.example.org"


class Scene:
    """An engine and zones with attributes, looked at and not carried out."""

    def __init__(self, admin: Admin, build: Build, **gateway: Any) -> None:
        self.admin, self.build = admin, build
        self.gateway = {**EDGE, "proxy": PROXY, **gateway}
        self.start()

    def start(self) -> None:
        """As a daemon that starts: nothing is known but the books."""
        self.ours: Engine = self.build({"gateway": {"edge": self.gateway}}, wan=WAN, web=WEB)

    def zone(self, name: str, *routes: str, net: str = "web", state: str = "installed") -> None:
        attrs = [f'add attr; set name=zh.route{number}; set type=string; set value="{text}"; end'
                 for number, text in enumerate(routes)]  # fmt: skip
        if net:
            attrs.append(f'add attr; set name=zh.net0; set type=string; set value="{net}"; end')
        self.admin.zone(name, f"set physical={name}_0", extra="; ".join(attrs), state=state)

    def say(self, zone: str, number: int, text: str) -> None:
        self.admin.do("zonecfg", "-z", zone, f'select attr name=zh.route{number}; set value="{text}"; end')

    def look(self) -> tuple[Route, ...]:
        self.ours.plan()
        assert self.ours.survey.site is not None
        return self.ours.survey.site.routes.get("edge", ())

    def served(self) -> dict[str, list[str]]:
        """Match -> zones behind it."""
        return {str(route.match): [each.zone for each in route.backends] for route in self.look()}

    def refused(self, zone: str) -> list[Refusal]:
        self.look()
        assert self.ours.survey.site is not None
        return list(self.ours.survey.site.of_zone(zone).refusals)

    def remember(self, text: str, owner: str, *others: str) -> None:
        """What a proxy's plugin writes once it serves it."""
        match = Match(text)
        routes = {route.match: route for route in self.look()}
        seats = {each.key: Seat(each, "in") for each in routes[match].backends if each.zone in (owner, *others)}
        book = RouteBook(match, owner, "web", "", seats)
        self.ours.store.remember(book.to_record("edge", subject.gateway("edge"), "haproxy"))


@pytest.fixture
def scene(admin: Admin, engine: Build) -> Scene:
    return Scene(admin, engine)


def test_a_zone_is_behind_what_it_offers_by_its_address_of_the_pool(scene: Scene) -> None:
    scene.zone("web1", f"{SHOP} www.example.org/api port=8080", "tcp=5432")
    routes = {str(route.match): route for route in scene.look()}
    assert set(routes) == {"shop.example.org/", "www.example.org/api/", "tcp/5432"}
    (backend,) = routes["shop.example.org/"].backends
    assert (str(backend.address), backend.port, backend.zone, backend.network) == ("10.99.0.2", 8080, "web1", "web")
    assert routes["tcp/5432"].owner == "web1" and not scene.refused("web1")


def test_a_host_name_has_one_owner_the_second_is_told_whose_it_is(scene: Scene) -> None:
    scene.zone("web1", SHOP)
    scene.zone("web2", f"{SHOP} mine.example.org")
    assert scene.served() == {"shop.example.org/": ["web1"], "mine.example.org/": ["web2"]}
    (no,) = scene.refused("web2")
    assert (no.code, no.object, no.owner) == ("host-taken", "zh.route0", "zone web1")
    assert no.text == "attribute zh.route0: shop.example.org/ belongs to zone web1" and "group=" in no.hint
    assert not scene.refused("web1")


def test_another_path_of_the_same_host_is_another_route_of_the_same_zone(scene: Scene) -> None:
    scene.zone("web1", SHOP, f"{SHOP}/api port=81")
    assert scene.served() == {"shop.example.org/": ["web1"], "shop.example.org/api/": ["web1"]}


def test_a_path_on_the_host_of_another_is_taken_by_nobody(scene: Scene) -> None:
    scene.zone("web1", SHOP)
    scene.zone("web2", f"{SHOP}/login")
    assert scene.served() == {"shop.example.org/": ["web1"]}
    (no,) = scene.refused("web2")
    assert (no.code, no.owner) == ("host-taken", "zone web1") and "group=" in no.hint


def test_the_owner_of_a_host_stays_who_had_it(scene: Scene) -> None:
    scene.zone("web2", SHOP)
    scene.remember(f"{SHOP}", "web2")
    scene.zone("web1", f"{SHOP}/login", state="running")
    scene.start()
    assert scene.served() == {"shop.example.org/": ["web2"]}


def test_by_a_group_a_host_is_shared_path_by_path(scene: Scene) -> None:
    scene.zone("web1", f"{SHOP} group=shop")
    scene.zone("web2", f"{SHOP}/api group=shop")
    assert scene.served() == {"shop.example.org/": ["web1"], "shop.example.org/api/": ["web2"]}


def test_a_host_that_is_declared_for_both_is_shared_path_by_path(admin: Admin, engine: Build) -> None:
    scene = Scene(admin, engine, proxy={**PROXY, "hosts": {SHOP: ["web*"]}})
    scene.zone("web1", SHOP)
    scene.zone("web2", f"{SHOP}/api")
    assert scene.served() == {"shop.example.org/": ["web1"], "shop.example.org/api/": ["web2"]}


def test_who_runs_comes_before_who_does_not_and_then_the_first_by_name(scene: Scene) -> None:
    for name in ("web3", "web1", "web2"):
        scene.zone(name, SHOP)
    assert scene.served() == {"shop.example.org/": ["web1"]}
    scene.admin.do("dladm", "create-etherstub", "web0")
    scene.ours.converge()
    scene.admin.do("zoneadm", "-z", "web2", "boot")
    scene.start()
    assert scene.served() == {"shop.example.org/": ["web2"]}


def test_who_has_it_by_our_books_keeps_it_over_a_restart(scene: Scene) -> None:
    scene.zone("web2", SHOP)
    scene.look()
    scene.remember(SHOP, "web2")
    scene.zone("web1", SHOP)
    for _ in range(2):
        assert scene.served() == {"shop.example.org/": ["web2"]}
        assert [no.owner for no in scene.refused("web1")] == ["zone web2"]
        scene.start()
    scene.say("web2", 0, "other.example.org")
    assert scene.served() == {"other.example.org/": ["web2"], "shop.example.org/": ["web1"]}, "given up is free"
    assert not scene.refused("web1")


def test_a_zone_that_is_gone_gives_it_up(scene: Scene) -> None:
    scene.zone("web1", SHOP)
    scene.zone("web2", SHOP)
    scene.look()
    scene.remember(SHOP, "web1")
    scene.admin.delete("web1")
    scene.look()
    assert scene.served() == {"shop.example.org/": ["web2"]}


def test_who_has_it_keeps_it_while_it_has_no_address(scene: Scene) -> None:
    """Its NIC is refused, by a slip of the pen: nobody else takes its name for that."""
    scene.zone("web2", f"{SHOP} group=shop", net="web 10.99.0.5")
    scene.zone("web3", f"{SHOP} group=shop")
    scene.zone("db", net="web 10.99.0.9")
    scene.look()
    scene.remember(SHOP, "web2", "web3")
    scene.zone("web1", SHOP)
    for address, there in (("10.99.0.9", ["web3"]), ("10.99.0.5", ["web2", "web3"])):
        scene.admin.do("zonecfg", "-z", "web2", f'select attr name=zh.net0; set value="web {address}"; end')
        assert {key: sorted(zones) for key, zones in scene.served().items()} == {"shop.example.org/": there}
        assert [no.owner for no in scene.refused("web1")] == ["zone web2"]
    scene.admin.do("zonecfg", "-z", "web2", 'select attr name=zh.net0; set value="web 10.99.0.9"; end')
    scene.admin.delete("web3")
    assert scene.served() == {"shop.example.org/": []}, "it is nobody else's even so"
    scene.say("web2", 0, "other.example.org")
    assert scene.served() == {"shop.example.org/": ["web1"]}


def damaged(world: World, zone: str) -> None:
    world.path(f"/etc/zones/{zone}.xml").write_text("<zone name=")


def test_a_zone_that_cannot_be_read_keeps_its_name_also_over_a_restart(scene: Scene) -> None:
    scene.zone("web1", SHOP)
    scene.look()
    scene.remember(SHOP, "web1")
    damaged(scene.admin.world, "web1")
    scene.zone("web2", SHOP)
    for _ in range(2):
        assert scene.served() == {}
        (no,) = scene.refused("web2")
        assert (no.code, no.owner) == ("host-taken", "zone web1") and "which cannot be read now" in no.text
        scene.start()


def test_who_shares_with_a_zone_that_cannot_be_read_stays(scene: Scene) -> None:
    scene.zone("web1", f"{SHOP} group=shop")
    scene.zone("web2", f"{SHOP} group=shop")
    scene.look()
    scene.remember(SHOP, "web1", "web2")
    damaged(scene.admin.world, "web1")
    scene.zone("web3", f"{SHOP} group=shop")
    (route,) = scene.look()
    assert route.owner == "web1" and [each.zone for each in route.backends] == ["web2"]
    assert not scene.refused("web2") and [no.code for no in scene.refused("web3")] == ["host-taken"]


def test_who_says_the_same_group_shares(scene: Scene) -> None:
    scene.zone("web1", f"{SHOP} group=shop")
    scene.zone("web2", f"{SHOP} group=shop weight=3")
    scene.zone("web3", f"{SHOP} group=Shop")
    scene.zone("web4", SHOP)
    (route,) = scene.look()
    assert (route.group, [(each.zone, each.weight) for each in route.backends]) == ("shop", [("web1", 1), ("web2", 3)])
    assert [no.code for zone in ("web3", "web4") for no in scene.refused(zone)] == ["host-taken"] * 2
    assert "zone web1 has group=shop" in scene.refused("web4")[0].hint


def test_without_a_group_at_the_owner_nobody_shares(scene: Scene) -> None:
    scene.zone("web1", SHOP)
    scene.zone("web2", f"{SHOP} group=shop")
    assert scene.served() == {"shop.example.org/": ["web1"]}
    assert "zone web1 has none" in scene.refused("web2")[0].hint


def test_a_zone_may_serve_one_name_by_two_ports(scene: Scene) -> None:
    scene.zone("web1", f"{SHOP} port=80", f"{SHOP} port=81", f"{SHOP} port=81 weight=9")
    (route,) = scene.look()
    assert [(each.port, each.weight) for each in route.backends] == [(80, 1), (81, 1)]


def test_a_wildcard_and_a_host_beneath_it_are_two_routes(scene: Scene) -> None:
    scene.zone("web1", "*.example.org")
    scene.zone("web2", SHOP)
    scene.zone("web3", "*.example.org")
    assert scene.served() == {"*.example.org/": ["web1"], "shop.example.org/": ["web2"]}
    assert scene.refused("web3")[0].code == "host-taken"


def test_hosts_are_for_the_zones_that_are_named(admin: Admin, engine: Build) -> None:
    hosts = {"*.example.org": ["web*"], SHOP: ["web2"], "*.shop.example.org": []}
    scene = Scene(admin, engine, proxy={**PROXY, "hosts": hosts})
    scene.zone("web1", "a.example.org free.example.net", SHOP, "*.example.org")
    scene.zone("web2", SHOP, "x.shop.example.org")
    scene.zone("db1", "b.example.org")
    assert scene.served() == {
        "a.example.org/": ["web1"],
        "free.example.net/": ["web1"],
        "*.example.org/": ["web1"],
        "shop.example.org/": ["web2"],
    }
    for zone in ("web1", "web2", "db1"):
        (no,) = scene.refused(zone)
        assert (no.code, no.owner) == ("host-not-allowed", "[gateway.edge.proxy.hosts]")
        assert zone in no.text


def test_public_ports_are_lent_never_taken(admin: Admin, engine: Build) -> None:
    forward = {"port": 7001, "to": "web1"}
    scene = Scene(admin, engine, forward=[forward], proxy={**PROXY, "tcp_ports": ["1-65535"]})
    scene.zone("web1", "tcp=5432", "tcp=7001", "tcp=80", "tcp=443")
    scene.zone("web2", "tcp=5432")
    assert scene.served() == {"tcp/443": ["web1"], "tcp/5432": ["web1"]}, "without tls nobody has 443"
    assert [(no.code, no.object) for no in scene.refused("web1")] == [
        ("port-taken", "zh.route2"), ("port-taken", "zh.route1"),
    ]  # fmt: skip
    assert any("taken by forward outer address tcp 7001" in no.text for no in scene.refused("web1"))
    assert [(no.code, no.owner) for no in scene.refused("web2")] == [("port-taken", "zone web1")]


def test_a_port_that_is_not_for_zones(scene: Scene) -> None:
    scene.zone("web1", "tcp=7005", "tcp=7011")
    assert scene.served() == {"tcp/7005": ["web1"]}
    (no,) = scene.refused("web1")
    assert (no.code, no.owner) == ("port-not-allowed", "[gateway.edge.proxy]") and "tcp_ports" in no.hint


def test_what_the_configuration_declares_comes_before_every_zone(admin: Admin, engine: Build) -> None:
    routes = [
        {"to": "web2", "host": SHOP},
        {"to": "10.99.0.77", "host": SHOP},
        {"to": "nobody", "host": "x.example.org"},
    ]
    scene = Scene(admin, engine, route=routes)
    scene.zone("web1", SHOP)
    scene.zone("web2", f"{SHOP} port=81")
    route, to_come = scene.look()
    assert route.owner == to_come.owner == "the configuration" and not to_come.backends
    assert [(each.zone, each.port) for each in route.backends] == [("", 80), ("web2", 80)]
    assert [no.owner for no in scene.refused("web1")] == ["the configuration"]
    assert [no.owner for no in scene.refused("web2")] == ["the configuration"]


def test_what_is_declared_for_a_zone_that_is_still_to_come_is_given_to_nobody(admin: Admin, engine: Build) -> None:
    scene = Scene(admin, engine, route=[{"to": "legacy", "host": "old.example.org", "group": "old"}])
    scene.zone("web1", "old.example.org")
    (route,) = scene.look()
    assert (route.owner, route.backends) == ("the configuration", ())
    assert [no.owner for no in scene.refused("web1")] == ["the configuration"]
    scene.say("web1", 0, "old.example.org group=old")
    assert scene.served() == {"old.example.org/": ["web1"]}


def test_a_zone_joins_what_is_declared_by_its_group(admin: Admin, engine: Build) -> None:
    scene = Scene(admin, engine, route=[{"to": "web2", "host": SHOP, "group": "shop"}])
    scene.zone("web1", f"{SHOP} group=shop")
    scene.zone("web2")
    assert scene.served() == {"shop.example.org/": ["web1", "web2"]}


def test_offers_without_a_way_say_why(admin: Admin, engine: Build) -> None:
    scene = Scene(admin, engine)
    scene.ours = engine(
        {"gateway": {"edge": scene.gateway, "far": {"outside": "wan", "address": "192.0.2.11"}}},
        wan=WAN, web=WEB, far={"cidr": "10.97.0.0/24", "via": "far"},
    )  # fmt: skip
    scene.zone("web1", SHOP, net="far")
    scene.zone("web2", SHOP, net="wan 192.0.2.55")
    scene.zone("web3", f"{SHOP} on=wan")
    said = {zone: scene.refused(zone)[0] for zone in ("web1", "web2", "web3")}
    assert [no.code for no in said.values()] == ["no-proxy", "no-proxy", "no-network"]
    assert "gateway far has no proxy; declare [gateway.far.proxy]" in said["web1"].text
    assert "the zone is on no network that has a gateway with a proxy" in said["web2"].text
    assert "the zone has no NIC on network wan" in said["web3"].text


def test_without_any_proxy_an_offer_is_told_how_to_get_one(admin: Admin, engine: Build) -> None:
    scene = Scene(admin, engine, proxy=None)
    scene.zone("web1", SHOP)
    (no,) = scene.refused("web1")
    assert (no.code, no.hint) == ("no-proxy", "declare [gateway.edge.proxy]")


def test_a_hostile_zone_harms_nobody(scene: Scene) -> None:
    scene.zone("web1", SHOP)
    scene.zone("zevil", f"{SHOP} port=81", "*.example.org;", "tcp=80", "x{y}.example.org", f"{SHOP} group=.")
    assert scene.served() == {"shop.example.org/": ["web1"]}
    assert not scene.refused("web1")
    assert sorted(no.code for no in scene.refused("zevil")) == [
        "host-taken",
        *["malformed-route"] * 3,
        "port-not-allowed",
    ]


@pytest.mark.parametrize("order", list(itertools.permutations(["web1", "web2", "web3"])))
def test_the_order_in_which_zones_come_decides_nothing_once_it_is_in_the_books(
    scene: Scene, order: tuple[str, ...]
) -> None:
    scene.zone(order[0], SHOP)
    scene.look()
    scene.remember(SHOP, order[0])
    for name in order[1:]:
        scene.zone(name, SHOP)
        assert scene.served() == {"shop.example.org/": [order[0]]}
    scene.start()
    assert scene.served() == {"shop.example.org/": [order[0]]}


def test_a_record_of_another_gateway_holds_nothing_here(scene: Scene) -> None:
    scene.zone("web1", SHOP)
    scene.zone("web2", SHOP)
    scene.look()
    book = RouteBook(Match(SHOP), "web2").to_record("other", subject.gateway("other"), "haproxy")
    scene.ours.store.remember(Record(book.kind, book.name, book.owner, book.plugin, book.facts))
    assert scene.served() == {"shop.example.org/": ["web1"]}
