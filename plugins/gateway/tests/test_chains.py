"""Gateways behind gateways, the global zone as one, and IPv6: through the engine, with plugin nat."""

from __future__ import annotations

from fixtures import Admin, Build
from paper_gateway import (
    EDGE,
    WAN,
    WEB,
    Site,
    addresses,
    conf,
    defaults,
    forwarding,
    member,
    persistent,
    repairs,
    rules,
    said,
    settle,
)

MID = {"cidr": "10.50.0.0/24", "via": "edge"}
DEEP = {"cidr": "10.60.0.0/24", "via": "inner"}
INNER = {"outside": "mid", "address": "10.50.0.10", "dhcp": "none", "dns": "none"}
BOTH = {"10.50.0.0/24", "10.60.0.0/24"}  # what lies anywhere behind edge
HOST = {"outside": "wan", "dhcp": "none", "dns": "none"}
WEB_OUT = [
    "map net0 10.99.0.0/24 -> 0.0.0.0/32 portmap tcp/udp 10000:60000",
    "map net0 10.99.0.0/24 -> 0.0.0.0/32",
]


def chain(admin: Admin, build: Build, **inner: object) -> Site:
    """deep1 on network deep, behind gateway inner, which is on network mid behind gateway edge."""
    for name in ("edge", "inner"):
        member(admin, name)
    member(admin, "deep1", "deep")
    found = Site(admin, build, {"wan": WAN, "mid": MID, "deep": DEEP}, {"edge": EDGE, "inner": {**INNER, **inner}})
    found.up("edge", "inner", "deep1")
    return found


def translated(admin: Admin, zone: str) -> set[str]:
    return {rule.split()[2] for rule in rules(admin, zone) if rule.startswith("map ")}


# -- chains ------------------------------------------------------------------------------------------------------------


def test_each_gateway_of_a_chain_translates_all_that_lies_further_in(admin: Admin, engine: Build) -> None:
    chain(admin, engine)
    assert translated(admin, "edge") == BOTH and translated(admin, "inner") == {"10.60.0.0/24"}
    assert persistent(admin, "edge") == ["default 192.0.2.1"] and persistent(admin, "inner") == ["default 10.50.0.1"]
    assert addresses(admin, "inner") == {"inner_mid0/zh4": "10.50.0.10/24", "inner_deep0/zh4": "10.60.0.1/24"}
    assert defaults(admin, "deep1") == ["10.60.0.1"]


def test_what_an_inner_gateway_leaves_untranslated_the_outer_one_routes_and_translates(
    admin: Admin, engine: Build
) -> None:
    found = chain(admin, engine, nat=False)
    assert translated(admin, "edge") == BOTH and rules(admin, "inner") == []
    assert persistent(admin, "edge") == ["10.60.0.0/24 10.50.0.10", "default 192.0.2.1"]
    assert forwarding(admin, "inner") == {"inner_mid0/4", "inner_deep0/4"}
    found.declare(gateways={"edge": EDGE, "inner": {**INNER, "nat": False, "address": "10.50.0.100"}})
    settle(found.ours)
    assert persistent(admin, "edge") == ["10.60.0.0/24 10.50.0.100", "default 192.0.2.1"]
    for lasts in (["-p"], []):  # from the file and the running stack, and from the latter alone
        admin.do("zlogin", "edge", "route", *lasts, "delete", "10.60.0.0/24", "10.50.0.100")
        settle(found.ours)
        assert persistent(admin, "edge") == ["10.60.0.0/24 10.50.0.100", "default 192.0.2.1"]
        assert "10.60.0.0" in admin.do("zlogin", "edge", "netstat", "-rn") and found.ours.steps() == []
    found.declare(gateways={"edge": EDGE, "inner": INNER})
    settle(found.ours)
    assert persistent(admin, "edge") == ["default 192.0.2.1"] and translated(admin, "edge") == {
        "10.50.0.0/24",
        "10.60.0.0/24",
    }
    assert translated(admin, "inner") == {"10.60.0.0/24"}


def test_a_route_of_the_admin_beside_ours_stays(admin: Admin, engine: Build) -> None:
    found = chain(admin, engine, nat=False)
    admin.do("zlogin", "edge", "route", "-p", "add", "10.60.1.0/24", "10.50.0.10")
    found.declare({"wan": WAN, "mid": MID}, {"edge": EDGE})
    settle(found.ours)
    assert persistent(admin, "edge") == ["10.60.1.0/24 10.50.0.10", "default 192.0.2.1"]


def test_a_way_in_may_lead_to_somebody_further_in(admin: Admin, engine: Build) -> None:
    found = chain(admin, engine, nat=False)
    forward = [{"port": 80, "to": "10.60.0.2"}]
    found.declare(gateways={"edge": {**EDGE, "forward": forward}, "inner": {**INNER, "nat": False}})
    settle(found.ours)
    assert "rdr edge_wan0 192.0.2.10/32 port 80 -> 10.60.0.2 port 80 tcp" in rules(admin)
    found.declare(gateways={"edge": {**EDGE, "forward": forward}, "inner": INNER})
    settle(found.ours)
    assert [note.code for note in found.ours.notes()] == ["target-elsewhere"]


def test_gateways_of_a_chain_come_up_in_any_order(admin: Admin, engine: Build) -> None:
    found = chain(admin, engine)
    for name in ("inner", "edge"):
        admin.do("zoneadm", "-z", name, "halt")
    settle(found.ours)
    assert {note.text for note in said(found.ours, "gateway-down")} == {
        "waiting for gateway inner: its zone is installed"
    }
    for name in ("inner", "edge"):
        admin.do("zoneadm", "-z", name, "boot")
        settle(found.ours)
    assert translated(admin, "edge") == BOTH and translated(admin, "inner") == {"10.60.0.0/24"}


# -- the global zone ---------------------------------------------------------------------------------------------------


def host(admin: Admin, build: Build, **gateway: object) -> Site:
    """The global zone as gateway; its uplink has an address and a default route of the admin's."""
    admin.do("ipadm", "create-addr", "-T", "static", "-a", "192.0.2.2/24", "net0/v4")
    admin.do("route", "-p", "add", "default", "192.0.2.1")
    web = {**WEB, "via": "global"}
    options = {"plugins": {"options": {"nat": {"file": str(conf(admin.world, "global"))}}}}
    return Site(admin, build, {"wan": WAN, "web": web}, {"global": {**HOST, **gateway}}, options)


def test_the_global_zone_goes_out_by_its_uplink_with_the_hosts_own_address(admin: Admin, engine: Build) -> None:
    member(admin, "web1", "web")
    found = host(admin, engine)
    before = admin.links()
    found.up("web1")
    assert rules(admin, "global") == WEB_OUT and forwarding(admin, "global") == {"net0/4", "global_web0/4"}
    assert addresses(admin, "global") == {"net0/v4": "192.0.2.2/24", "global_web0/zh4": "10.99.0.1/24"}
    assert persistent(admin, "global") == ["default 192.0.2.1"] and admin.vnic("global_web0").startswith("web0:")
    assert defaults(admin, "web1") == ["10.99.0.1"] and found.ours.steps() == []
    admin.delete("web1")
    found.declare({}, {})
    settle(found.ours)
    assert rules(admin, "global") == [] and forwarding(admin, "global") == set() and admin.links() == before
    assert addresses(admin, "global") == {"net0/v4": "192.0.2.2/24"}
    assert persistent(admin, "global") == ["default 192.0.2.1"] and list(found.ours.store.all()) == []


def test_what_the_host_did_before_it_does_after(admin: Admin, engine: Build) -> None:
    file = conf(admin.world, "global")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("map net0 10.5.0.0/24 -> 0/32;\n")
    admin.do("svcadm", "enable", "-s", "svc:/network/ipfilter:default")
    found = host(admin, engine)
    admin.do("ipadm", "set-ifprop", "-p", "forwarding=on", "-m", "ipv4", "net0")
    settle(found.ours)
    assert rules(admin, "global") == ["map net0 10.5.0.0/24 -> 0.0.0.0/32", *WEB_OUT]
    found.declare({}, {})
    settle(found.ours)
    assert rules(admin, "global") == ["map net0 10.5.0.0/24 -> 0.0.0.0/32"]
    assert file.read_text() == "map net0 10.5.0.0/24 -> 0/32;\n" and forwarding(admin, "global") == {"net0/4"}
    assert admin.do("svcs", "-H", "-o", "state", "ipfilter").strip() == "online"


def test_a_declared_address_is_added_to_the_uplink_and_taken_off_again(admin: Admin, engine: Build) -> None:
    found = host(admin, engine, address="192.0.2.20", static=[{"public": "192.0.2.200", "inside": "10.99.0.7"}])
    settle(found.ours)
    uplink = {name: each for name, each in addresses(admin, "global").items() if name.startswith("net0/")}
    assert uplink == {"net0/v4": "192.0.2.2/24", "net0/zh4": "192.0.2.20/24", "net0/zh4n2": "192.0.2.200/24"}
    assert rules(admin, "global")[0] == "bimap net0 10.99.0.7/32 -> 192.0.2.200/32"
    found.declare(gateways={"global": HOST})
    settle(found.ours)
    assert rules(admin, "global") == WEB_OUT
    found.declare({}, {})
    settle(found.ours)
    assert addresses(admin, "global") == {"net0/v4": "192.0.2.2/24"}


def test_what_is_broken_by_hand_in_the_global_zone_comes_back(admin: Admin, engine: Build) -> None:
    found = host(admin, engine)
    settle(found.ours)
    admin.do("ipnat", "-CF")
    conf(admin.world, "global").unlink()
    admin.do("ipadm", "set-ifprop", "-t", "-p", "forwarding=off", "-m", "ipv4", "net0")
    admin.do("ipadm", "delete-addr", "global_web0/zh4")
    assert repairs(found.ours) == {"missing": ["nat", "nat", "gateway"]}
    settle(found.ours)
    assert rules(admin, "global") == WEB_OUT and "10.99.0.0/24" in conf(admin.world, "global").read_text()
    assert forwarding(admin, "global") == {"net0/4", "global_web0/4"}
    assert addresses(admin, "global")["global_web0/zh4"] == "10.99.0.1/24"


# -- IPv6 --------------------------------------------------------------------------------------------------------------


def six(admin: Admin, build: Build, web: str, *outer: str) -> Site:
    member(admin, "edge")
    wan = {**WAN, "cidr": ["192.0.2.0/24", "2001:db8::/64"], "gateway": ["192.0.2.1", "2001:db8::1"]}
    networks = {"wan": wan, "web": {**WEB, "cidr": ["10.99.0.0/24", web]}}
    found = Site(admin, build, networks, {"edge": {**EDGE, "address": ["192.0.2.10", *outer]}})
    found.up("edge")
    return found


def test_unique_local_addresses_need_an_outer_one_to_hide_behind(admin: Admin, engine: Build) -> None:
    found = six(admin, engine, "fd00:9::/64")
    (note,) = said(found.ours, "no-outer-address")
    assert note.text == "fd00:9::/64 cannot be translated: the gateway has no IPv6 address outside"
    assert "edge_wan0/6" not in forwarding(admin, "edge") and "edge_wan0/4" in forwarding(admin, "edge")
    found.edge(address=["192.0.2.10", "2001:db8::10"])
    settle(found.ours)
    assert [rule for rule in rules(admin) if "fd00" in rule] == [
        "map edge_wan0 fd00:9::/64 -> 2001:db8::10/128 portmap tcp/udp 10000:60000",
        "map edge_wan0 fd00:9::/64 -> 2001:db8::10/128",
    ]
    assert {"edge_wan0/6", "edge_web0/6"} <= forwarding(admin, "edge") and not said(found.ours, "no-outer-address")
    assert "2001:db8::1" in defaults(admin, "edge")
    found.edge()
    settle(found.ours)
    assert "edge_wan0/6" not in forwarding(admin, "edge") and not [rule for rule in rules(admin) if "fd00" in rule]
    order = found.ours.commands.changes
    (off,) = found.changed(["forwarding=off", "ipv6", "edge_wan0"])
    (removed,) = [argv for argv in order if argv[0] == "ipnat" and "-r" in argv]
    assert order.index(off) < order.index(removed), "nothing leaves as it is, not for a moment"
    assert defaults(admin, "edge") == ["192.0.2.1"]


def test_global_addresses_are_routed_as_they_are(admin: Admin, engine: Build) -> None:
    found = six(admin, engine, "2600:9::/64", "2001:db8::10")
    assert not [rule for rule in rules(admin) if "2600" in rule]
    assert {"edge_wan0/6", "edge_web0/6"} <= forwarding(admin, "edge") and found.ours.steps() == []
