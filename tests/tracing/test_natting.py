"""What rules make of a packet, in the forms that the kernel prints them (services sheet 1.5 to 1.7)."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest

from zonehookd.illumos.ipnat import BimapRule, MapRule, RdrRule, texts
from zonehookd.tracing.natting import Done, Packet, Protocol, arriving, leaving, parse

OUT, WEB, FAR = ip_address("192.0.2.10"), ip_network("10.99.0.0/24"), ip_address("198.51.100.1")
INSIDE = ip_address("10.99.0.5")


def packet(src: str, dst: str, protocol: Protocol = "icmp", port: int = 0) -> Packet:
    return Packet(ip_address(src), ip_address(dst), protocol, port)


def after(done: Done | None) -> str:
    assert done is not None and not done.unknown
    return str(done.packet)


EVERY = (
    MapRule("e0", WEB, OUT, portmap="10000:60000"),
    MapRule("e0", WEB),
    MapRule("e0", WEB, OUT, to=ip_network("198.51.100.0/24")),
    MapRule("e0", WEB, OUT, unless_to=ip_network("10.0.0.0/8")),
    BimapRule("e0", INSIDE, ip_address("192.0.2.20")),
    RdrRule("e0", OUT, 9000, 9010, INSIDE, 7000),
    RdrRule("e0", OUT, 80, 80, INSIDE, 8080, "tcp/udp"),
    RdrRule("e0", OUT, 9000, 9010, INSIDE, 7000, fixed=True),
    RdrRule("e0", OUT, 22, 22, INSIDE, 22, sources=(ip_network("198.51.100.0/24"),)),
)


@pytest.mark.parametrize("text", [*texts(EVERY), "rdr e0 192.0.2.20/32 -> 10.99.0.5 ip"])
def test_every_form_that_we_write_is_known(text: str) -> None:
    rule = parse(text)
    assert rule is not None and rule.link == "e0" and rule.text == text


def test_the_longest_source_comes_first_then_the_order() -> None:
    rules = texts([MapRule("e0", WEB, OUT, portmap="10000:60000"), MapRule("e0", WEB, OUT), EVERY[4]])
    assert after(leaving(rules, "e0", Packet(INSIDE, FAR), [OUT])) == "192.0.2.20 → 198.51.100.1"
    ping = leaving(rules, "e0", packet("10.99.0.6", str(FAR)), [OUT])
    assert ping is not None and ping.rule == rules[1], "a rule with portmap is none for ping"
    web = leaving(rules, "e0", packet("10.99.0.6", str(FAR), "tcp", 80), [OUT])
    assert web is not None and web.rule == rules[0]
    assert leaving(rules, "e1", Packet(INSIDE, FAR), [OUT]) is None, "another interface"
    assert leaving(rules, "e0", packet("10.98.0.6", str(FAR)), [OUT]) is None, "another network"


def test_its_own_address_and_no_address() -> None:
    rules = texts([MapRule("e0", WEB)])
    assert after(leaving(rules, "e0", Packet(INSIDE, FAR), [OUT])) == "192.0.2.10 → 198.51.100.1"
    nothing = leaving(rules, "e0", Packet(INSIDE, FAR), [])
    assert nothing is not None and nothing.unknown == "e0 has no address to show"
    alone = leaving(["map e0 10.99.0.0/24 -> 0.0.0.0/0"], "e0", Packet(INSIDE, FAR), [OUT])
    assert after(alone) == "10.99.0.5 → 198.51.100.1"


def test_destinations() -> None:
    to, unless = texts([EVERY[2]]), texts([EVERY[3]])
    assert leaving(to, "e0", packet("10.99.0.5", "203.0.113.9"), [OUT]) is None
    assert leaving(to, "e0", Packet(INSIDE, FAR), [OUT]) is not None
    assert leaving(unless, "e0", packet("10.99.0.5", "10.1.0.1"), [OUT]) is None
    assert leaving(unless, "e0", Packet(INSIDE, FAR), [OUT]) is not None


def test_ways_in() -> None:
    rules = texts([*EVERY[4:7], EVERY[8]])
    assert after(arriving(rules, "e0", packet(str(FAR), "192.0.2.10", "tcp", 9003))).endswith("10.99.0.5 port 7003/tcp")
    assert after(arriving(rules, "e0", packet(str(FAR), "192.0.2.10", "udp", 80))).endswith("10.99.0.5 port 8080/udp")
    assert after(arriving(rules, "e0", packet(str(FAR), "192.0.2.20"))).endswith("10.99.0.5")
    assert arriving(rules, "e0", packet(str(FAR), "192.0.2.10", "udp", 9003)) is None, "TCP only"
    assert arriving(rules, "e0", packet("203.0.113.1", "192.0.2.10", "tcp", 22)) is None, "another source"
    assert arriving(rules, "e0", packet("198.51.100.7", "192.0.2.10", "tcp", 22)) is not None
    fixed = texts([EVERY[7]])
    assert after(arriving(fixed, "e0", packet(str(FAR), "192.0.2.10", "tcp", 9003))).endswith("port 7000/tcp")


def test_a_form_that_is_not_known_is_said_and_not_guessed() -> None:
    odd = ["map e0 10.99.0.0/24 -> 0.0.0.0/32 proxy port ftp ftp/tcp"]
    found = leaving(odd, "e0", Packet(INSIDE, FAR), [OUT])
    assert found is not None and found.unknown and found.rule == odd[0]
    assert leaving(odd, "e1", Packet(INSIDE, FAR), [OUT]) is None
    balanced = ["rdr e0 192.0.2.10/32 port 80 -> 10.99.0.5,10.99.0.6 port 80 tcp round-robin"]
    found = arriving(balanced, "e0", packet(str(FAR), "192.0.2.10", "tcp", 80))
    assert found is not None and found.unknown
