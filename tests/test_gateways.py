"""What may be declared of gateways, pools, names and forwards, and how a refusal reads (contract A3 to A6)."""

from __future__ import annotations

import itertools
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zonehookd.config import Config
from zonehookd.declaration import declare
from zonehookd.errors import ConfigError
from zonehookd.model.gateway import Declaration

WAN = {"cidr": "192.0.2.0/24", "uplink": "net0", "gateway": "192.0.2.1"}
WEB = {"cidr": "10.1.0.0/24", "via": "edge"}


def declaration(networks: dict[str, Any] | None = None, **gateways: Any) -> Declaration:
    return declare(Config.model_validate({"network": networks or {"wan": WAN, "web": WEB}, "gateway": gateways}))


def said(networks: dict[str, Any] | None = None, **gateways: Any) -> str:
    with pytest.raises(ConfigError) as refusal:
        declaration(networks, **gateways)
    return str(refusal.value)


def test_a_gateway_knows_its_networks_and_its_kind() -> None:
    edge = declaration(edge={"outside": "wan"}).gateways["edge"]
    assert (edge.kind, list(edge.networks), edge.outside and edge.outside.name) == ("proxy", ["web"], "wan")
    networks = {"wan": WAN, "web": {**WEB, "via": "global"}}
    assert declaration(networks, **{"global": {"outside": "wan"}}).gateways["global"].kind == "global"


def test_gateways_that_go_round_in_a_ring_are_refused_by_name() -> None:
    networks = {"one": {"cidr": "10.1.0.0/24", "via": "a"}, "two": {"cidr": "10.2.0.0/24", "via": "b"}}
    text = said(networks, a={"outside": "two"}, b={"outside": "one"})
    assert "the gateways go round in a ring: a behind b behind a" in text
    assert "the outermost one needs an outside over an uplink" in text


@pytest.mark.parametrize(
    ("edge", "text"),
    [
        ({"outside": "wam"}, "gateway.edge.outside: there is no network 'wam'"),
        ({"outside": "web"}, "gateway.edge.outside: web is behind this very gateway"),
        ({"kind": "external", "forward": [{"port": 80, "to": "a"}]}, "an external gateway is only wired"),
        ({"kind": "global"}, "the gateway of kind global is called global"),
        ({"outside": "wan", "address": "198.51.100.1"}, "198.51.100.1 is not in the outer network"),
        ({"outside": "wan", "address": "192.0.2.1"}, "192.0.2.1 is the gateway address of network wan"),
        ({"outside": "wan", "address": ["192.0.2.9", "192.0.2.9"]}, "the same address twice"),
        ({"forward": [{"port": 80, "to": "web1"}]}, "there is no outer side to come in by"),
        ({"outside": "wan", "forward": [{"port": "90-80", "to": "web1"}]}, "expected a port or FIRST-LAST"),
        ({"outside": "wan", "forward": [{"port": 70000, "to": "web1"}]}, "between 1 and 65535"),
        ({"outside": "wan", "forward": [{"port": "80-90", "to": "web1", "to_port": 65530}]}, "ends above 65535"),
        ({"outside": "wan", "forward": [{"port": 80, "to": "10.1.0"}]}, "expected an address or a zone's name"),
        (
            {"outside": "wan", "forward": [{"port": 80, "to": "a", "public": "192.0.2.8"}]},
            "none of the gateway's outer",
        ),
        (
            {
                "outside": "wan",
                "forward": [{"port": "80-90", "to": "a"}, {"port": 85, "to": "b", "protocol": "tcp/udp"}],
            },
            "outer address tcp/udp 85 (to b) is taken by outer address tcp 80-90 (to a)",
        ),
        (
            {"outside": "wan", "address": "192.0.2.9", "static": [{"public": "192.0.2.9", "inside": "a"}]},
            "192.0.2.9 is the gateway's own outer address",
        ),
        (
            {"outside": "wan", "static": [{"public": "192.0.2.8", "inside": name} for name in "ab"]},
            "192.0.2.8 is given to two",
        ),
    ],
)
def test_what_cannot_be_is_refused_by_name(edge: dict[str, Any], text: str) -> None:
    assert text in said(edge=edge)


def test_one_port_may_have_two_owners_for_sources_that_never_meet() -> None:
    apart = [
        {"port": 22, "to": to, "sources": [cidr]} for to, cidr in (("a", "203.0.113.0/25"), ("b", "203.0.113.128/25"))
    ]
    assert len(declaration(edge={"outside": "wan", "forward": apart}).gateways["edge"].forwards) == 2


_PORTS = st.tuples(st.integers(1, 30), st.integers(0, 6), st.sampled_from(["tcp", "udp", "tcp/udp"]))


@given(st.lists(_PORTS, max_size=6))
def test_two_ways_in_clash_when_a_port_of_a_protocol_is_in_both(ways: list[tuple[int, int, str]]) -> None:
    forwards = [
        {"port": f"{first}-{first + more}", "to": f"z{number}", "protocol": protocol}
        for number, (first, more, protocol) in enumerate(ways)
    ]
    wants = [
        {(port, each) for port in range(first, first + more + 1) for each in protocol.split("/")}
        for first, more, protocol in ways
    ]
    clashes = [(f"z{b}", f"z{a}") for a, b in itertools.combinations(range(len(ways)), 2) if wants[a] & wants[b]]
    edge = {"outside": "wan", "forward": forwards}
    if not clashes:
        assert len(declaration(edge=edge).gateways["edge"].forwards) == len(ways)
    else:
        found = re.search(r"\(to (z\d)\) is taken by .* \(to (z\d)\)", said(edge=edge))
        assert found is not None and found.groups() == clashes[0]


def test_one_outer_address_has_one_gateway() -> None:
    assert "gateway.b.address: 192.0.2.9 belongs to gateway a" in said(
        {"wan": WAN}, a={"outside": "wan", "address": "192.0.2.9"}, b={"outside": "wan", "address": "192.0.2.9"}
    )


@pytest.mark.parametrize(
    ("web", "text"),
    [
        (
            {"via": "egde"},
            "network.web.via: there is no gateway 'egde' (hint: declare [gateway.egde], or name one of: edge)",
        ),
        ({"uplink": "net0"}, "lies over an uplink, so its gateway is not ours"),
        ({"pool": ["10.1.0.9-10.1.0.5"]}, "begins after its end (hint: 10.1.0.5-10.1.0.9?)"),
        ({"pool": ["10.2.0.1"]}, "network.web.pool: 10.2.0.1 is not within 10.1.0.0/24"),
        ({"pool": ["10.1.0.x"]}, "network.web.pool: expected an address, found '10.1.0.x'"),
        ({"pool": ["10.1.0.5-10.1.0.9"], "dhcp": {"dynamic": ["10.1.0.9-10.1.0.20"]}}, "overlaps the pool"),
        ({"dhcp": {"boot_file": 'x"; } evil'}}, "may not hold quotes"),
        ({"domain": "a..b"}, "network.web.domain: expected a name such as zones.example"),
        ({"names": [{"name": "db"}]}, "db needs exactly one of a, aaaa, cname and txt"),
        ({"names": [{"name": "db", "aaaa": "10.1.0.5"}]}, "is an AAAA record, and 10.1.0.5 is not its family"),
    ],
)
def test_a_network_that_cannot_be_is_refused_by_name(web: dict[str, Any], text: str) -> None:
    assert text in said({"wan": WAN, "web": {**WEB, **web}}, edge={"outside": "wan"})
