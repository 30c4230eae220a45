"""What may be declared of reverse proxies, and how a refusal reads: key, owner, way out (contract A6, A9)."""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import Any

import pytest
from pydantic import ValidationError

from zonehookd.config import Config
from zonehookd.declaration import declare
from zonehookd.errors import ConfigError
from zonehookd.model.gateway import Gateway
from zonehookd.model.route import Check, Match, Offer, Proxy, Tls

WAN = {"cidr": "192.0.2.0/24", "uplink": "net0", "gateway": "192.0.2.1"}
WEB = {"cidr": "10.1.0.0/24", "via": "edge"}
EDGE: dict[str, Any] = {"outside": "wan", "address": ["192.0.2.10", "192.0.2.11"]}
PEM = "/etc/ssl/private/shop.pem"


def gateway(proxy: dict[str, Any] | None, name: str = "edge", **more: Any) -> Gateway:
    networks = {"wan": WAN, "web": {**WEB, "via": name}}
    table = {**EDGE, **more, **({"proxy": proxy} if proxy is not None else {})}
    return declare(Config.model_validate({"network": networks, "gateway": {name: table}})).gateways[name]


def proxy(table: dict[str, Any], **more: Any) -> Proxy:
    made = gateway({"program": "haproxy", **table}, **more).proxy
    assert made is not None
    return made


def said(table: dict[str, Any] | None, **more: Any) -> str:
    with pytest.raises((ConfigError, ValidationError)) as refusal:
        gateway(None if table is None else {"program": "haproxy", **table}, **more)
    return str(refusal.value)


def test_the_least_and_the_most() -> None:
    assert proxy({}) == Proxy("haproxy")
    assert proxy({}).ports == (80,), "no https without a certificate"
    made = proxy(
        {
            "program": "nginx",
            "http": 8080,
            "https": 8443,
            "listen": ["192.0.2.10"],
            "balance": "leastconn",
            "tls": [{"certificate": PEM, "key": "/etc/ssl/private/k", "hosts": ["shop.example.org", "*.example.org"]}],
            "tcp_ports": [5432, "7000-7010"],
            "hosts": {"*.Example.org": ["web*"]},
            "drain_s": 0,
        }
    )
    assert made == Proxy(
        "nginx", 8080, 8443, (ip_address("192.0.2.10"),), "leastconn",
        (Tls(PEM, "/etc/ssl/private/k", ("shop.example.org", "*.example.org")),),
        ((5432, 5432), (7000, 7010)), {"*.example.org": ("web*",)}, (), 0.0,
    )  # fmt: skip
    assert made.ports == (8080, 8443)
    assert [made.may_have(port) for port in (5432, 5433, 7000, 7010, 7011)] == [True, False, True, True, False]


def test_routes_of_the_configuration_are_offers() -> None:
    made = proxy(
        {},
        route=[
            {"to": "web1", "host": ["shop.example.org", "www.example.org/api"], "check": "/health", "weight": 3},
            {"to": "10.1.0.9", "tcp": 5432, "check": "no", "group": "db", "on": "web"},
        ],
    )
    first = Offer("gateway.edge.route 1", "web1", (Match("shop.example.org"), Match("www.example.org", "/api/")), 80, 3,
                  Check("http", "/health"))  # fmt: skip
    second = Offer("gateway.edge.route 2", "10.1.0.9", (Match(port=5432),), 5432, 1, Check("none"), "db", "web")
    assert made.offers == (first, second)


def test_the_most_exact_declaration_of_a_host_decides() -> None:
    made = proxy({"hosts": {"*.example.org": ["web*"], "*.a.example.org": ["a?"], "x.a.example.org": []}})
    assert made.may_serve("web1", "shop.example.org") and not made.may_serve("db1", "shop.example.org")
    assert made.may_serve("a1", "y.a.example.org") and not made.may_serve("web1", "y.a.example.org")
    assert not made.may_serve("a1", "x.a.example.org")
    assert made.may_serve("db1", "example.org") and made.may_serve("db1", "example.net"), "declared by nobody"
    assert made.may_serve("web1", "*.example.org") and not made.may_serve("db1", "*.example.org")


def test_a_wildcard_is_no_way_round_a_declaration_beneath_it() -> None:
    made = proxy({"hosts": {"*.example.org": ["web*"], "shop.example.com": ["web1", "shop*"]}})
    assert not made.may_serve("db1", "*.org") and made.may_serve("web1", "*.org")
    assert not made.may_serve("web2", "*.example.com") and made.may_serve("web1", "*.com")
    assert made.may_serve("db1", "*.example.net") and made.may_serve("db1", "*.myexample.com")


REFUSED: list[tuple[dict[str, Any] | None, dict[str, Any], str]] = [
    (None, {"route": [{"to": "web1", "host": "a"}]}, r"edge\.route: .*no proxy.*declare \[gateway\.edge\.proxy\]"),
    ({}, {"kind": "external"}, r"gateway\.edge\.proxy: an external gateway is only wired.*make it kind"),
    ({"tls": [{"certificate": PEM}], "https": 80}, {}, r"gateway\.edge\.proxy\.https: 80 is the port for HTTP, too"),
    ({"http": 0}, {}, r"gateway\.edge\.proxy: it has no port to listen on.*http, https with tls, or tcp_ports"),
    ({"listen": ["192.0.2"]}, {}, r"gateway\.edge\.proxy\.listen"),
    ({"tcp_ports": ["9-1"]}, {}, r"gateway\.edge\.proxy\.tcp_ports"),
    ({"tcp_ports": ["ssh"]}, {}, r"gateway\.edge\.proxy\.tcp_ports"),
    ({"hosts": {"a b": ["web1"]}}, {}, r"gateway\.edge\.proxy\.hosts: expected a host name"),
    ({"hosts": {"x;": ["web1"]}}, {}, r"gateway\.edge\.proxy\.hosts: expected a host name"),
    ({"tls": [{"certificate": "shop.pem"}]}, {}, r"gateway\.edge\.proxy\.tls: expected an absolute path.*shop\.pem"),
    ({"tls": [{"certificate": "/a b.pem"}]}, {}, r"gateway\.edge\.proxy\.tls: expected an absolute path"),
    ({"tls": [{"certificate": "/a\n.pem"}]}, {}, r"gateway\.edge\.proxy\.tls: expected an absolute path"),
    ({"tls": [{"certificate": "/a;.pem"}]}, {}, r"gateway\.edge\.proxy\.tls: expected an absolute path"),
    ({"tls": [{"certificate": PEM, "key": "/k"}]}, {}, rf"tls\.key: haproxy looks.*put it into {PEM}, or call it"),
    ({"tls": [{"certificate": PEM, "hosts": ["{x}"]}]}, {}, r"gateway\.edge\.proxy\.tls\.hosts: expected a host name"),
    ({}, {"route": [{"to": "web1"}]}, r"gateway\.edge\.route 1: expected either host or tcp"),
    ({}, {"route": [{"to": "web1", "host": "a", "tcp": 1}]}, r"gateway\.edge\.route 1: expected either host or tcp"),
    ({}, {"route": [{"to": "web1", "host": "a/../b"}]}, r"gateway\.edge\.route 1\.host: expected a path"),
    ({}, {"route": [{"to": "w", "host": "a"}, {"to": "w", "host": "b;"}]}, r"route 2\.host: expected a host name"),
    ({}, {"route": [{"to": "web1", "host": "a", "check": "health"}]}, r"route 1\.check: expected tcp, no or a path"),
    ({}, {"route": [{"to": "web1", "host": "a", "group": "a b"}]}, r"route 1\.group: expected a group"),
    ({}, {"route": [{"to": "", "host": "a"}]}, r"gateway\.edge\.route 1\.to: expected a zone or an address"),
    ({}, {"forward": [{"port": 80, "to": "web1"}]}, r"proxy: port 80 is taken by forward .*80 \(to web1\).*one owner"),
    ({"tls": [{"certificate": PEM}]}, {"forward": [{"port": "400-500", "to": "web1"}]}, r"443 is taken by forward"),
    ({}, {"forward": [{"port": 5432, "to": "db1"}], "route": [{"to": "web1", "tcp": 5432}]}, r"5432 is taken"),
    ({}, {"route": [{"to": "web1", "tcp": 80}]}, r"proxy: tcp 80 is the proxy's own port for HTTP or HTTPS"),
    ({"program": "caddy"}, {}, r"program"),
    ({"drain_s": -1}, {}, r"drain_s"),
    ({"weights": 1}, {}, r"weights"),
]  # fmt: skip


@pytest.mark.parametrize(("table", "more", "text"), REFUSED)
def test_a_refusal_names_the_key_the_owner_and_the_way_out(
    table: dict[str, Any] | None, more: dict[str, Any], text: str
) -> None:
    assert re.search(text, said(table, **more), re.DOTALL), said(table, **more)


def test_in_the_global_zone_it_listens_where_it_is_told() -> None:
    with pytest.raises(
        ConfigError, match=r"gateway\.global\.proxy\.listen: in the global zone it listens on no address"
    ):
        table = {"gateway": {"global": {"proxy": {"program": "nginx"}}}, "network": {"web": {**WEB, "via": "global"}}}
        declare(Config.model_validate(table))
    assert gateway({"program": "nginx"}, name="global").proxy == Proxy("nginx")


def test_a_forward_on_another_address_or_of_udp_harms_nobody() -> None:
    forward = {"port": 80, "to": "web1", "public": "192.0.2.11"}
    assert proxy({"listen": ["192.0.2.10"]}, forward=[forward]).ports == (80,)
    assert proxy({}, forward=[{"port": 80, "to": "web1", "protocol": "udp"}]).ports == (80,)
    assert "taken by forward" in said({"listen": ["192.0.2.11"]}, forward=[forward])
    assert "taken by forward" in said({}, forward=[{**forward, "protocol": "tcp/udp"}])
