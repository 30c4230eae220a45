"""No packet leaves with a private source: whatever goes, or fails, forwarding goes before translation."""

from __future__ import annotations

from fixtures import Admin, Build
from paper_gateway import EDGE, WAN, WEB, Site, conf, edge_site, forwarding, member, planned, rules, settle

from zonehookd.engine.views import gateway_view
from zonehookd.model.command import Change
from zonehookd.plugin.translation import untranslated

PLAIN = "map edge_wan0 10.99.0.0/24 -> 192.0.2.10/32"
LAN = {"cidr": "198.51.100.0/24", "uplink": "net0", "gateway": "198.51.100.1"}


def order(found: Site, *words: list[str]) -> list[int]:
    """When each change that holds these words was made; each only once."""
    done = [" ".join(argv) for argv in found.ours.commands.changes]
    return [next(number for number, line in enumerate(done) if all(word in line for word in each)) for each in words]


def test_without_a_filter_nothing_leaves(admin: Admin, engine: Build) -> None:
    found = edge_site(admin, engine)
    for off in (["ipf", "-D", "edge"], ["svcadm", "-z", "edge", "disable", "-s", "svc:/network/ipfilter:default"]):
        admin.do(*off)
        first, *_ = planned(found.ours, "nat")
        assert isinstance(first, Change) and "forwarding=off" in first.argv[-1] and "edge_wan0" in first.argv[-1]
        found.ours.look()
        assert "edge_wan0/4" not in forwarding(admin, "edge"), "until the rules are seen again"
        assert "edge_web0/4" in forwarding(admin, "edge"), "neighbours still reach each other"
        settle(found.ours)
        assert "edge_wan0/4" in forwarding(admin, "edge") and PLAIN in rules(admin)


def test_another_way_out_is_translated_until_nothing_leaves_by_the_old_one(admin: Admin, engine: Build) -> None:
    found = edge_site(admin, engine)
    found.ours.commands.changes.clear()
    found.declare({**found.networks, "lan": LAN}, {"edge": {**EDGE, "outside": "lan", "address": "198.51.100.10"}})
    settle(found.ours)
    assert PLAIN.replace("wan", "lan").replace("192.0.2", "198.51.100") in rules(admin) and PLAIN not in rules(admin)
    shut, removed = order(found, ["forwarding=off", "edge_wan0"], ["ipnat", "-r"])
    assert shut < removed, "a packet on the old way is translated to the last"
    assert not [line for line in conf(admin.world).read_text().splitlines() if "edge_wan0" in line]
    assert found.ours.steps() == []


def test_a_gateway_that_becomes_its_admins_affair_lets_nothing_out_on_its_way(admin: Admin, engine: Build) -> None:
    found = edge_site(admin, engine)
    found.ours.commands.changes.clear()
    found.edge(kind="external")
    settle(found.ours)
    assert forwarding(admin, "edge") == set() and rules(admin) == []
    shut, removed = order(found, ["forwarding=off", "edge_wan0"], ["ipnat", "-r"])
    assert shut < removed
    kinds = {record.kind for record in found.ours.store.all() if record.owner.kind == "gateway"}
    assert kinds == {"kept"} and found.ours.steps() == [], "but zones are behind it all the same"


def test_a_rule_for_tcp_and_udp_alone_does_not_translate_ping(admin: Admin, engine: Build) -> None:
    found = Site(admin, engine, {"wan": WAN, "web": WEB})
    member(admin, "edge")
    found.up("edge")
    site = found.ours.survey.site
    assert site is not None
    view = gateway_view(site, "edge")
    ports = f"{PLAIN} portmap tcp/udp 10000:60000"
    as_it_is = "map edge_wan0 10.99.0.0/24 -> 0.0.0.0/0"
    for loaded, whole in (([ports, PLAIN], True), ([ports], False), ([as_it_is], False), ([PLAIN], True)):
        assert (not untranslated(view, "edge_wan0", loaded)) is whole
