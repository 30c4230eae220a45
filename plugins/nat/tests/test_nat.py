"""NAT of a gateway, through the engine: what is translated, what is opened, whose rules are whose, and repairs."""

from __future__ import annotations

import pytest
from fixtures import Admin, Build
from lab.faults import Fault
from paper_gateway import (
    DB,
    EDGE,
    WAN,
    WEB,
    Site,
    addresses,
    conf,
    edge_site,
    forwarding,
    member,
    opened,
    planned,
    repairs,
    rules,
    said,
    settle,
    shown,
    wish,
)

FOREIGN = "rdr edge_wan0 192.0.2.10/32 port 2222 -> 10.99.0.99 port 22 tcp"
WEB_OUT = [
    "map edge_wan0 10.99.0.0/24 -> 192.0.2.10/32 portmap tcp/udp 10000:60000",
    "map edge_wan0 10.99.0.0/24 -> 192.0.2.10/32",
]
DB_OUT = [rule.replace("10.99.", "10.98.") for rule in WEB_OUT]
HTTP = {"port": 8080, "to": "web1", "to_port": 80}


def load(admin: Admin, rule: str) -> None:
    """Somebody else's rule, in the kernel of edge."""
    path = admin.world.path("/tmp/rule.conf")  # noqa: S108
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"{rule};\n")
    admin.do("ipnat", "-z", "edge", "-f", str(path))


def block(*lines: str) -> str:
    return "".join(["# BEGIN zonehookd nat\n", *(f"{line};\n" for line in lines), "# END zonehookd nat\n"])


# -- what is translated ----------------------------------------------------------------------------------------------


def test_each_network_shows_the_outer_address_in_the_kernel_and_in_the_file(admin: Admin, engine: Build) -> None:
    found = edge_site(admin, engine)
    assert rules(admin) == [*WEB_OUT, *DB_OUT] and conf(admin.world).read_text() == block(*WEB_OUT, *DB_OUT)
    assert admin.do("svcs", "-z", "edge", "-H", "-o", "state", "ipfilter").strip() == "online"
    assert found.ours.steps() == []
    admin.do("zoneadm", "-z", "edge", "reboot")
    settle(found.ours)
    assert rules(admin) == [*WEB_OUT, *DB_OUT]


def test_without_an_outer_address_of_ours_the_one_that_is_there_is_shown(admin: Admin, engine: Build) -> None:
    member(admin, "edge")
    edge = {key: value for key, value in EDGE.items() if key != "address"}
    found = Site(admin, engine, {"wan": WAN, "web": WEB}, {"edge": edge})
    settle(found.ours)
    admin.do("zoneadm", "-z", "edge", "boot")
    settle(found.ours)
    (note,) = said(found.ours, "gateway-shut")
    assert note.text == "gateway edge has no IP interface on edge_wan0, its way out"
    admin.do("zlogin", "edge", "ipadm", "create-addr", "-T", "static", "-a", "192.0.2.33/24", "edge_wan0/own")
    settle(found.ours)
    assert rules(admin) == [rule.replace("192.0.2.10/", "0.0.0.0/") for rule in WEB_OUT], "whatever it is at the moment"


def test_what_is_not_to_be_translated_is_not(admin: Admin, engine: Build) -> None:
    found = edge_site(admin, engine)
    found.edge(nat=False)
    settle(found.ours)
    assert rules(admin) == [] and conf(admin.world).read_text() == "# no rules\n"
    assert admin.do("svcs", "-z", "edge", "-H", "-o", "state", "ipfilter").strip() == "disabled", "as it was before"
    found.edge()
    settle(found.ours)
    assert rules(admin) == [*WEB_OUT, *DB_OUT]


def test_a_filter_that_was_on_before_us_stays_on(admin: Admin, engine: Build) -> None:
    member(admin, "edge", state="running")
    file = conf(admin.world)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("# mine\n")
    admin.do("svcadm", "-z", "edge", "enable", "-s", "svc:/network/ipfilter:default")
    found = Site(admin, engine)
    settle(found.ours)
    assert rules(admin) == [*WEB_OUT, *DB_OUT]
    found.declare({}, {})
    settle(found.ours)
    assert rules(admin) == [] and file.read_text() == "# mine\n"
    assert admin.do("svcs", "-z", "edge", "-H", "-o", "state", "ipfilter").strip() == "online"


# -- ways in -----------------------------------------------------------------------------------------------------------


def test_a_new_way_in_is_announced_in_the_plan_and_only_then(admin: Admin, engine: Build) -> None:
    found = edge_site(admin, engine, "web1 web", "db1 db 10.98.0.7")
    assert opened(found.ours) == []
    found.edge(
        forward=[
            HTTP,
            {"port": "9000-9003", "to": "10.98.0.7", "to_port": 7000, "protocol": "udp"},
            {"port": 22, "to": "db1", "sources": ["203.0.113.0/24", "198.51.100.7/32"]},
            {"port": "5000-5002", "to": "db1", "to_port": 6000, "fixed": True, "protocol": "tcp/udp"},
        ],
        static=[{"public": "192.0.2.20", "inside": "db1"}],
    )
    assert opened(found.ours) == [
        "opens 192.0.2.20, every port and protocol, to db1 10.98.0.7",
        "opens 192.0.2.10:8080/tcp for everybody, to web1 10.99.0.2:80",
        "opens 192.0.2.10:9000-9003/udp for everybody, to 10.98.0.7 10.98.0.7:7000-7003",
        "opens 192.0.2.10:22/tcp for 203.0.113.0/24, 198.51.100.7/32, to db1 10.98.0.7:22",
        "opens 192.0.2.10:5000-5002/tcp/udp for everybody, to db1 10.98.0.7:6000",
    ]
    settle(found.ours)
    assert opened(found.ours) == []
    outer = [rule for rule in rules(admin) if rule.startswith(("rdr edge_wan0", "bimap"))]
    assert outer == [
        "bimap edge_wan0 10.98.0.7/32 -> 192.0.2.20/32",
        "rdr edge_wan0 192.0.2.10/32 port 8080 -> 10.99.0.2 port 80 tcp",
        "rdr edge_wan0 192.0.2.10/32 port 9000-9003 -> 10.98.0.7 port 7000 udp",
        "rdr edge_wan0 from 203.0.113.0/24 to 192.0.2.10/32 port = 22 -> 10.98.0.7 port 22 tcp",
        "rdr edge_wan0 from 198.51.100.7/32 to 192.0.2.10/32 port = 22 -> 10.98.0.7 port 22 tcp",
        "rdr edge_wan0 192.0.2.10/32 port 5000-5002 -> 10.98.0.7 port = 6000 tcp/udp",
    ]
    found.edge(forward=[HTTP])
    assert opened(found.ours) == [] and any(line.startswith("not rdr edge_wan0") for line in shown(found.ours))
    settle(found.ours)
    assert [rule for rule in rules(admin) if rule.startswith(("rdr edge_wan0", "bimap"))] == [
        "rdr edge_wan0 192.0.2.10/32 port 8080 -> 10.99.0.2 port 80 tcp"
    ]


def test_a_neighbour_may_call_the_public_address(admin: Admin, engine: Build) -> None:
    edge_site(admin, engine, "web1 web", forward=[HTTP])
    inner = [rule for rule in rules(admin) if "edge_web0" in rule or "edge_db0" in rule]
    assert inner == [
        "rdr edge_web0 192.0.2.10/32 port 8080 -> 10.99.0.2 port 80 tcp",
        "rdr edge_db0 192.0.2.10/32 port 8080 -> 10.99.0.2 port 80 tcp",
        "map edge_web0 from 10.99.0.0/24 to 10.99.0.2/32 -> 10.99.0.1/32 portmap tcp/udp 10000:60000",
        "map edge_web0 from 10.99.0.0/24 to 10.99.0.2/32 -> 10.99.0.1/32",
    ]


def test_a_forward_follows_its_zone(admin: Admin, engine: Build) -> None:
    found = edge_site(
        admin, engine, "web1 web", "web10 web 10.99.0.20", forward=[HTTP, {**HTTP, "port": 81, "to": "web10"}]
    )
    admin.do("zonecfg", "-z", "web1", f"remove attr name=zh.net0; {wish(0, 'web 10.99.0.200')}")
    assert opened(found.ours) == ["opens 192.0.2.10:8080/tcp for everybody, to web1 10.99.0.200:80"]
    settle(found.ours)
    outer = [rule for rule in rules(admin) if rule.startswith("rdr edge_wan0")]
    assert set(outer) == {
        "rdr edge_wan0 192.0.2.10/32 port 81 -> 10.99.0.20 port 80 tcp",
        "rdr edge_wan0 192.0.2.10/32 port 8080 -> 10.99.0.200 port 80 tcp",
    }
    admin.delete("web1")
    settle(found.ours)
    assert [rule for rule in rules(admin) if "8080" in rule] == [] and len(
        [r for r in rules(admin) if "port 81 " in r]
    ) == 3
    (note,) = said(found.ours, "no-target")
    assert note.kind == "waiting"
    assert note.text.endswith("waits for zone web1, which has no IPv4 address behind gateway edge")


def test_a_target_that_is_not_behind_it_is_refused_with_what_is(admin: Admin, engine: Build) -> None:
    found = edge_site(admin, engine, forward=[{"port": 80, "to": "10.97.0.5"}])
    (note,) = found.ours.notes()
    assert (note.code, note.object) == ("target-elsewhere", "10.97.0.5")
    assert note.text == "outer address tcp 80: 10.97.0.5 is not behind gateway edge"
    assert note.hint == "behind it: 10.99.0.0/24, 10.98.0.0/24"
    assert rules(admin) == [*WEB_OUT, *DB_OUT]


def test_too_many_rules_for_one_forward_are_refused(admin: Admin, engine: Build) -> None:
    wide = {"port": "2000-2999", "to": "10.99.0.5", "sources": ["203.0.113.0/24"]}
    found = edge_site(admin, engine, forward=[wide])
    (note,) = found.ours.notes()
    assert note.code == "bad-forward" and "ports 2000-2999 from 1 sources are more than 128 rules" in note.text
    assert rules(admin) == [*WEB_OUT, *DB_OUT]


def test_a_public_address_one_to_one_is_claimed_and_released(admin: Admin, engine: Build) -> None:
    statics = [{"public": f"192.0.2.{last}", "inside": f"10.99.0.{last}"} for last in (20, 200)]
    found = edge_site(admin, engine, static=statics)
    assert [rule for rule in rules(admin) if rule.startswith("bimap")] == [
        "bimap edge_wan0 10.99.0.20/32 -> 192.0.2.20/32",
        "bimap edge_wan0 10.99.0.200/32 -> 192.0.2.200/32",
    ]
    assert "rdr edge_web0 192.0.2.20/32 -> 10.99.0.20 ip" in rules(admin), "for neighbours that call it"
    assert {"192.0.2.10/24", "192.0.2.20/24", "192.0.2.200/24"} <= set(addresses(admin, "edge").values())
    found.edge(static=statics[1:])
    settle(found.ours)
    assert rules(admin)[0] == "bimap edge_wan0 10.99.0.200/32 -> 192.0.2.200/32"
    assert [a for a in addresses(admin, "edge").values() if a.startswith("192.")] == ["192.0.2.10/24", "192.0.2.200/24"]


# -- whose rules -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["\n", ""], ids=["with a last newline", "without one"])
def test_rules_and_lines_of_others_stay_byte_for_byte(admin: Admin, engine: Build, end: str) -> None:
    member(admin, "edge", state="running")
    file = conf(admin.world)
    file.parent.mkdir(parents=True, exist_ok=True)
    theirs = f"# Alice's\n\tmap edge_wan0 10.99.0.1/32 -> 0/32 ;\nmap edge_wan0 10.99.0.10/32 -> 0/32;{end}"
    file.write_text(theirs)
    found = Site(admin, engine)
    settle(found.ours)
    load(admin, FOREIGN)
    settle(found.ours)
    assert file.read_text().startswith(theirs) and block(*WEB_OUT, *DB_OUT).rstrip("\n") in file.read_text()
    found.edge(address="192.0.2.100")
    settle(found.ours)
    found.declare({"wan": WAN, "web": WEB})
    settle(found.ours)
    found.declare({}, {})
    settle(found.ours)
    assert file.read_text() == theirs
    assert rules(admin) == [
        "map edge_wan0 10.99.0.1/32 -> 0.0.0.0/32",
        "map edge_wan0 10.99.0.10/32 -> 0.0.0.0/32",
        FOREIGN,
    ]
    assert admin.do("svcs", "-z", "edge", "-H", "-o", "state", "ipfilter").strip() == "online", "others' rules need it"


def test_rules_that_look_alike_are_left_alone(admin: Admin, engine: Build) -> None:
    found = edge_site(admin, engine, static=[{"public": "192.0.2.20", "inside": "10.99.0.2"}])
    alike = [
        WEB_OUT[1].replace("10.99.0.0/24", "10.99.0.0/25"),
        WEB_OUT[1].replace("192.0.2.10/32", "192.0.2.100/32"),
        WEB_OUT[1].replace("edge_wan0", "edge_wan00x0"),
        "bimap edge_wan0 10.99.0.10/32 -> 192.0.2.200/32",
    ]
    for rule in alike:
        load(admin, rule)
    settle(found.ours)
    found.declare({}, {})
    settle(found.ours)
    assert rules(admin) == alike


def test_rules_that_are_lost_and_cannot_be_loaded_let_nothing_out(admin: Admin, engine: Build) -> None:
    found = edge_site(admin, engine)
    assert "edge_wan0/4" in forwarding(admin, "edge")
    admin.do("ipnat", "-C", "-z", "edge")
    admin.world.faults.add(Fault("fail", "ipnat -z edge -f*", times=3, status="I/O error"))
    found.ours.look()
    assert rules(admin) == [] and "edge_wan0/4" not in forwarding(admin, "edge")
    settle(found.ours)
    assert rules(admin) == [*WEB_OUT, *DB_OUT] and "edge_wan0/4" in forwarding(admin, "edge")


def test_one_network_more_adds_its_rules_and_touches_no_other(admin: Admin, engine: Build) -> None:
    member(admin, "edge")
    found = Site(admin, engine, {"wan": WAN, "web": WEB})
    found.up("edge")
    found.ours.commands.changes.clear()
    found.declare({"wan": WAN, "web": WEB, "db": DB})
    settle(found.ours)
    assert rules(admin) == [*WEB_OUT, *DB_OUT]
    assert [argv for argv in found.ours.commands.changes if argv[0] == "ipnat"] == [("ipnat", "-z", "edge", "-f", "-")]
    assert not [argv for argv in found.ours.commands.changes if argv[0] == "svcadm"], (
        "a refresh would end every session"
    )
    assert not [argv for argv in found.ours.commands.changes if "forwarding=off" in " ".join(argv)], "nobody shut out"


def test_a_changed_address_is_never_without_rules(admin: Admin, engine: Build) -> None:
    found = edge_site(admin, engine)
    found.ours.commands.changes.clear()
    found.edge(address="192.0.2.100")
    settle(found.ours)
    ipnat = [argv[3:] for argv in found.ours.commands.changes if argv[0] == "ipnat"]
    assert ipnat == [("-f", "-"), ("-r", "-f", "-")], "the new ones stand before the old ones go"
    assert rules(admin) == [rule.replace("192.0.2.10/", "192.0.2.100/") for rule in (*WEB_OUT, *DB_OUT)]


# -- repairs -----------------------------------------------------------------------------------------------------------


def test_flushed_rules_are_repaired_as_missing(admin: Admin, engine: Build) -> None:
    found = edge_site(admin, engine, "web1 web", forward=[HTTP])
    before = rules(admin)
    admin.do("ipnat", "-CF", "-z", "edge")
    assert repairs(found.ours) == {"missing": ["nat"]}
    assert opened(found.ours) == ["opens 192.0.2.10:8080/tcp for everybody, to web1 10.99.0.2:80"]
    settle(found.ours)
    assert rules(admin) == before


def test_a_hand_edited_file_is_repaired_as_altered_and_the_rest_of_it_stays(admin: Admin, engine: Build) -> None:
    found = edge_site(admin, engine)
    file = conf(admin.world)
    file.write_text("# Bob\n" + file.read_text().replace("10.98.0.0/24", "10.98.0.0/16"))
    assert repairs(found.ours) == {"altered": ["nat"]}
    settle(found.ours)
    assert file.read_text() == "# Bob\n" + block(*WEB_OUT, *DB_OUT)


def test_a_deleted_file_is_repaired_as_missing(admin: Admin, engine: Build) -> None:
    found = edge_site(admin, engine)
    conf(admin.world).unlink()
    assert repairs(found.ours) == {"missing": ["nat"]}
    settle(found.ours)
    assert conf(admin.world).read_text() == block(*WEB_OUT, *DB_OUT)


def test_a_torn_block_is_refused_with_the_way_out_and_nothing_is_written(admin: Admin, engine: Build) -> None:
    found = edge_site(admin, engine)
    file = conf(admin.world)
    torn = file.read_text().replace("# END zonehookd nat\n", "")
    file.write_text(torn)
    settle(found.ours)
    (note,) = found.ours.notes()
    assert note.code == "broken-block" and "/etc/ipf/ipnat.conf" in note.hint and file.read_text() == torn
    file.unlink()
    settle(found.ours)
    assert file.read_text() == block(*WEB_OUT, *DB_OUT) and not found.ours.notes()


def test_a_filter_that_was_switched_off_is_switched_on_again(admin: Admin, engine: Build) -> None:
    found = edge_site(admin, engine)
    admin.do("ipf", "-D", "edge")
    settle(found.ours)
    assert rules(admin) == [*WEB_OUT, *DB_OUT], "the filter alone, its service being online"
    admin.do("svcadm", "-z", "edge", "disable", "-s", "svc:/network/ipfilter:default")
    settle(found.ours)
    assert rules(admin) == [*WEB_OUT, *DB_OUT]
    assert admin.do("svcs", "-z", "edge", "-H", "-o", "state", "ipfilter").strip() == "online"


def test_a_halted_gateway_is_let_be_and_a_deleted_one_forgotten(admin: Admin, engine: Build) -> None:
    found = edge_site(admin, engine)
    admin.do("zoneadm", "-z", "edge", "halt")
    assert planned(found.ours, "nat") == [] and rules(admin) == []
    assert found.ours.store.one("nat", "edge") is not None
    admin.delete("edge")
    settle(found.ours)
    assert found.ours.store.one("nat", "edge") is None
