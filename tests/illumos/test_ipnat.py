"""NAT rules as `ipnat -lR` prints them, and what its failures mean; texts from the services sheet, section 1."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from fixtures import Admin
from lab.dispatch import run_text
from lab.world import World

from zonehookd.errors import CannotObserve
from zonehookd.illumos import ipf, ipnat
from zonehookd.illumos.ipnat import BimapRule, MapRule, RdrRule
from zonehookd.illumos.zlogin import GLOBAL
from zonehookd.model.command import Change, Query, Reply

NET, OUT, HOST = ip_network("10.99.0.0/24"), ip_address("203.0.113.5"), ip_address("10.99.0.5")
LIST = """List of active MAP/Redirect filters:
map net0 10.99.0.0/24 -> 0.0.0.0/32 portmap tcp/udp auto
map net0 10.99.0.0/24 -> 0.0.0.0/32
rdr net0 203.0.113.5/32 port 8080 -> 10.99.0.5 port 80 tcp

List of active sessions:
MAP 10.99.0.5       40112 <- -> 203.0.113.5     40112 [192.0.2.44 443]
"""


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (MapRule("net0", NET, portmap="auto"), "map net0 10.99.0.0/24 -> 0.0.0.0/32 portmap tcp/udp auto"),
        (MapRule("net0", NET), "map net0 10.99.0.0/24 -> 0.0.0.0/32"),
        (MapRule("net0", NET, OUT, "1025:65000", unless_to=ip_network("10.0.0.0/8")),
         "map net0 from 10.99.0.0/24 ! to 10.0.0.0/8 -> 203.0.113.5/32 portmap tcp/udp 1025:65000"),
        (MapRule("net0", ip_network("0.0.0.0/0"), ip_network("0.0.0.0/0"), to=NET),
         "map net0 from any to 10.99.0.0/24 -> 0.0.0.0/0"),
        (MapRule("net0", ip_network("fd00::/64"), ip_address("2001:db8::5"), "10000:60000", "udp"),
         "map net0 fd00::/64 -> 2001:db8::5/128 portmap udp 10000:60000"),
        (BimapRule("net0", HOST, OUT), "bimap net0 10.99.0.5/32 -> 203.0.113.5/32"),
        (RdrRule("net0", OUT, 8080, 8080, HOST, 80),
         "rdr net0 203.0.113.5/32 port 8080 -> 10.99.0.5 port 80 tcp"),
        (RdrRule("net0", OUT, 9000, 9010, HOST, 9000, "tcp/udp"),
         "rdr net0 203.0.113.5/32 port 9000-9010 -> 10.99.0.5 port 9000 tcp/udp"),
        (RdrRule("net0", OUT, 9000, 9010, HOST, 9000, fixed=True),
         "rdr net0 203.0.113.5/32 port 9000-9010 -> 10.99.0.5 port = 9000 tcp"),
        (RdrRule("net0", OUT, 22, 22, HOST, 22, sources=(ip_network("198.51.100.0/24"),)),
         "rdr net0 from 198.51.100.0/24 to 203.0.113.5/32 port = 22 -> 10.99.0.5 port 22 tcp"),
        (RdrRule("net0", OUT, 80, 80, HOST, 80, fixed=True),
         "rdr net0 203.0.113.5/32 port 80 -> 10.99.0.5 port 80 tcp"),
    ],
)  # fmt: skip
def test_rules_are_written_as_they_are_printed(rule: ipnat.Rule, text: str) -> None:
    assert rule.texts == (text,)


def test_ports_by_source_become_a_rule_each_and_keep_the_offset() -> None:
    sources = (ip_network("198.51.100.0/24"), ip_network("0.0.0.0/0"))
    rule = RdrRule("net0", OUT, 9000, 9001, HOST, 80, sources=sources)
    assert rule.texts == (
        "rdr net0 from 198.51.100.0/24 to 203.0.113.5/32 port = 9000 -> 10.99.0.5 port 80 tcp",
        "rdr net0 from 198.51.100.0/24 to 203.0.113.5/32 port = 9001 -> 10.99.0.5 port 81 tcp",
        "rdr net0 from any to 203.0.113.5/32 port = 9000 -> 10.99.0.5 port 80 tcp",
        "rdr net0 from any to 203.0.113.5/32 port = 9001 -> 10.99.0.5 port 81 tcp",
    )
    fixed = RdrRule("net0", OUT, 9000, 9001, HOST, 80, fixed=True, sources=sources[:1])
    assert [text.split()[-2] for text in fixed.texts] == ["80", "80"]


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: MapRule("any", NET), "not the name of an IP interface"),
        (lambda: MapRule("net0:1", NET), "not the name of an IP interface"),
        (lambda: MapRule("net0", NET, portmap="2000:1000"), "ports 2000 to 1000: not in order"),
        (lambda: MapRule("net0", NET, portmap="1000:70000"), "not within 1 to 65535"),
        (lambda: MapRule("net0", NET, portmap="all"), "neither auto nor FIRST:LAST"),
        (lambda: MapRule("net0", ip_network("fd00::/64"), OUT), "IPv4 and IPv6 in one rule"),
        (lambda: MapRule("net0", ip_network("fd00::/64")), "needs the address it shows"),
        (lambda: MapRule("net0", NET, to=NET, unless_to=NET), "one destination"),
        (lambda: RdrRule("net0", OUT, 0, 0, HOST, 80), "not within"),
        (lambda: RdrRule("net0", OUT, 9000, 9010, HOST, 65530), "ports 65530 to 65540"),
        (lambda: RdrRule("net0", OUT, 1, 200, HOST, 1, sources=(NET,)), "more than 128 rules"),
        (lambda: BimapRule("net0", HOST, ip_address("::1")), "IPv4 and IPv6"),
    ],
)
def test_what_ipnat_would_take_wrongly_is_refused(make: Callable[[], object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        make()


def test_the_loaded_rules_in_their_order() -> None:
    query = ipnat.loaded("web1")
    assert query.argv == ("ipnat", "-lR", "-z", "web1") and ipnat.loaded().argv == ("ipnat", "-lR")
    found = query.parse(Reply(0, LIST, ""))
    wanted = (MapRule("net0", NET, portmap="auto"), MapRule("net0", NET), RdrRule("net0", OUT, 8080, 8080, HOST, 80))
    assert found == ipnat.Loaded(enabled=True, rules=ipnat.texts(wanted))
    empty = "List of active MAP/Redirect filters:\n\nList of active sessions:\n"
    assert query.parse(Reply(0, empty, "")) == ipnat.Loaded(enabled=True)


def test_a_stack_that_is_off_has_no_rules_and_no_stack_is_no_answer() -> None:
    query = ipnat.loaded("web1")
    assert query.parse(Reply(1, "", "ioctl(SIOCGNATS): I/O error\n")) == ipnat.Loaded(enabled=False)
    with pytest.raises(CannotObserve, match="zone web1 is not up: Could not find running zone"):
        query.parse(Reply(1, "", "Could not find running zone: web1\n"))
    with pytest.raises(CannotObserve, match="open device: Permission denied"):
        query.parse(Reply(1, "", "open device: Permission denied\nUser/kernel version check failed\n"))
    with pytest.raises(CannotObserve, match="no list of rules"):
        query.parse(Reply(0, "", ""))


def test_rules_are_fed_each_once_and_ended() -> None:
    change = ipnat.add("web1", [MapRule("net0", NET), "map net0 10.99.0.0/24 -> 0.0.0.0/32"], why="")
    assert change.argv == ("ipnat", "-z", "web1", "-f", "-") and change.silent
    assert change.stdin == "map net0 10.99.0.0/24 -> 0.0.0.0/32;\n"
    assert ipnat.remove(GLOBAL, ["x"], why="").argv == ("ipnat", "-r", "-f", "-")
    assert ipnat.canonical_file([]) == ""


ADD, REMOVE = ipnat.add("web1", [MapRule("net0", NET)], why=""), ipnat.remove("web1", [MapRule("net0", NET)], why="")
EXISTS, ABSENT = "2:ioctl(add/insert nat rule): File exists", "1:ioctl(delete nat rule): No such process"


@pytest.mark.parametrize(
    ("change", "status", "err", "again", "done"),
    [
        (ADD, 0, EXISTS, False, True),
        (ADD, 0, f"{EXISTS}\n{EXISTS}", False, True),
        (ADD, 0, f"{EXISTS}\n1:ioctl(add/insert nat rule): I/O error", True, False),
        (ADD, 1, 'syntax error error at "frag", line 1', False, False),
        (ADD, 1, "ioctl(SIOCGNATS): I/O error", True, False),
        (ADD, 1, "Could not find running zone: web1", True, False),
        (ADD, 1, "open device: Permission denied\nUser/kernel version check failed", False, False),
        (REMOVE, 0, ABSENT, False, True),
        (REMOVE, 0, EXISTS, True, False),
    ],
)
def test_exit_0_is_not_success(change: Change, status: int, err: str, again: bool, done: bool) -> None:
    said = change.judge(status, err)
    assert (said.again, said.done) == (again, done)


def test_the_lab_prints_our_rules_as_we_write_them(world: World, admin: Admin) -> None:
    """In the zone's own stack, over its life; exit status 0 is judged as the applier does."""

    def change(step: Change) -> tuple[bool, bool]:
        done = run_text(world, list(step.argv), step.stdin)
        if done.status == 0 and not (step.silent and done.err):
            return True, False
        said = step.judge(done.status, done.err.strip())
        return said.done, said.again

    def ask(query: Query[Any]) -> Any:
        done = run_text(world, list(query.argv))
        return query.parse(Reply(done.status, done.out, done.err))

    rules = [
        MapRule("v0", NET, portmap="10000:60000"), MapRule("v0", NET), BimapRule("v0", HOST, OUT),
        MapRule("v0", NET, unless_to=ip_network("10.0.0.0/8")),
        MapRule("v0", ip_network("fd00::/64"), ip_address("2001:db8::5")),
        RdrRule("v0", OUT, 8080, 8080, HOST, 80), RdrRule("v0", OUT, 9000, 9010, HOST, 9000, "tcp/udp", fixed=True),
        RdrRule("v0", OUT, 22, 23, HOST, 22, sources=(ip_network("198.51.100.0/24"),)),
    ]  # fmt: skip
    admin.zone("web1")
    with pytest.raises(CannotObserve, match="zone web1 is not up"):
        ask(ipnat.loaded("web1"))
    assert change(ipnat.add("web1", rules, why="")) == (False, True), "no zone, no stack, but soon perhaps"
    admin.do("zoneadm", "-z", "web1", "boot")
    assert ask(ipf.enabled("web1")) is False and ask(ipnat.loaded("web1")) == ipnat.Loaded(enabled=False)
    assert change(ipnat.add("web1", rules, why="")) == (False, True), "not enabled yet"
    assert change(ipf.enable("web1", why=""))[0] and change(ipf.enable("web1", why=""))[0]
    assert ask(ipf.enabled("web1")) is True
    for _ in range(2):
        assert change(ipnat.add("web1", rules, why="")) == (True, False)
        assert ask(ipnat.loaded("web1")) == ipnat.Loaded(enabled=True, rules=ipnat.texts(rules))
    for _ in range(2):
        assert change(ipnat.remove("web1", ipnat.texts(rules)[1:], why="")) == (True, False)
        assert ask(ipnat.loaded("web1")).rules == ipnat.texts(rules[:1])
    assert change(ipnat.add("web1", ["map v0 10.0.0.0/8 frag"], why="")) == (False, False)
    assert ask(ipf.enabled()) is False, "each stack is its own"
