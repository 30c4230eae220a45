"""The pieces under the provisioning verbs: the way out, the drop-in, the question to a name server."""

from __future__ import annotations

import asyncio
import tomllib
from ipaddress import IPv4Address, ip_address, ip_interface
from pathlib import Path
from typing import Literal, cast

import pytest

from zonehookd.errors import ConfigError, ZonehookError
from zonehookd.host import name_server
from zonehookd.illumos.ipadm import AddressObject
from zonehookd.illumos.route import DefaultRoute
from zonehookd.provisioning import drop_in, uplink

FILE = Path("/etc/zonehookd/zonehookd.d/provisioning-provision.toml")
ON_NET0 = AddressObject("net0/v4", "net0", ip_interface("192.0.2.10/24"))
ALSO_NET0 = AddressObject("net0/b", "net0", ip_interface("198.51.100.10/24"))
ON_NET1 = AddressObject("net1/v4", "net1", ip_interface("203.0.113.10/24"))
ON_NET0_V6 = AddressObject("net0/v6", "net0", ip_interface("2001:db8::10/64"))


def default(gateway: str, interface: str = "", family: Literal[4, 6] = 4) -> DefaultRoute:
    return DefaultRoute(ip_address(gateway), interface, family)


@pytest.mark.parametrize(
    ("route", "link"),
    [
        (default("192.0.2.1", "net0"), "net0"),
        (default("192.0.2.1", "net0:1"), "net0"),
        (default("192.0.2.1"), "net0"),
        (default("203.0.113.1"), "net1"),
    ],
)
def test_the_way_out_is_that_of_the_default_route(route: DefaultRoute, link: str) -> None:
    assert uplink.way_out(None, [route], [ON_NET0, ON_NET1]).link == link


def test_its_range_is_the_one_towards_the_router() -> None:
    both = [ALSO_NET0, ON_NET0_V6, ON_NET0]
    assert uplink.way_out(None, [default("192.0.2.1", "net0")], both).cidr == "192.0.2.0/24"
    assert uplink.way_out("net0", [], both).cidr == "198.51.100.0/24"


@pytest.mark.parametrize(
    ("named", "routes", "said"),
    [
        (None, [], "there is no IPv4 default route, so the uplink is not known (hint: name it with --uplink)"),
        (None, [default("2001:db8::1", "net0", 6)], "there is no IPv4 default route"),
        (None, [default("192.0.2.1", "net0"), default("203.0.113.1", "net1")], "default routes by net0 and net1"),
        ("net7", [default("192.0.2.1", "net0")], "net7 has no IPv4 address"),
    ],
)
def test_none_or_two_must_be_named(named: str | None, routes: list[DefaultRoute], said: str) -> None:
    with pytest.raises(ZonehookError) as refusal:
        uplink.way_out(named, routes, [ON_NET0, ON_NET1])
    assert said in str(refusal.value) and "--uplink" in str(refusal.value)


def test_two_routes_by_one_link_are_one_way_out() -> None:
    routes = [default("192.0.2.1", "net0"), default("192.0.2.2")]
    assert uplink.way_out(None, routes, [ON_NET0, ON_NET1]).link == "net0"


def test_resolvers_are_those_that_others_can_ask() -> None:
    text = "# nameserver 1.1.1.1\nsearch here\nnameserver 127.0.0.1\nnameserver 192.0.2.53\nnameserver fe80::1\n"
    assert uplink.resolvers(text + "nameserver\nnameserver 2001:db8::53\nnameserver nonsense") == [
        "192.0.2.53",
        "2001:db8::53",
    ]
    assert uplink.resolvers(None) == []


def test_the_drop_in_keeps_what_an_admin_wrote_into_it() -> None:
    text = drop_in.written(None, "provision", {"uplink": "net0", "upstream": ["192.0.2.53"]}, FILE)
    assert tomllib.loads(text) == {"provisioning": {"provision": {"uplink": "net0", "upstream": ["192.0.2.53"]}}}
    assert drop_in.written(text, "provision", {"uplink": "net0"}, FILE) == text, "nothing to change, nothing changed"
    edited = text.replace('uplink = "net0"', 'uplink = "net0" # the blue cable\ndomain = "example"')
    again = drop_in.written(edited, "provision", {"cidr": "10.9.0.0/24"}, FILE)
    assert "# the blue cable" in again and tomllib.loads(again)["provisioning"]["provision"] == {
        "uplink": "net0",
        "domain": "example",
        "upstream": ["192.0.2.53"],
        "cidr": "10.9.0.0/24",
    }
    assert drop_in.section(again, "provision", FILE)["domain"] == "example" and not drop_in.section(None, "x", FILE)
    for broken in (drop_in.section, lambda t, n, f: drop_in.written(t, n, {}, f)):
        with pytest.raises(ConfigError, match=f"^{FILE}: not TOML"):
            broken("[", "provision", FILE)


class _Server(asyncio.DatagramProtocol):
    """Says to each question what `reply` makes of it; nothing when that is nothing."""

    def __init__(self, reply: str) -> None:
        self._reply = reply
        self.asked: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)  # asyncio's own is no subclass of it

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.asked.append(data)
        if self._reply == "nxdomain":
            self._transport.sendto(data[:2] + b"\x85\x83" + data[4:], addr)
        elif self._reply == "another":
            self._transport.sendto(bytes([data[0] ^ 1]) + data[1:2] + b"\x85\x83" + data[4:], addr)
        elif self._reply == "echo":
            self._transport.sendto(data, addr)


@pytest.mark.parametrize(("reply", "answers"), [("nxdomain", True), ("another", False), ("echo", False), ("", False)])
def test_a_name_server_answers_or_not(reply: str, answers: bool) -> None:
    async def ask() -> tuple[bool, list[bytes]]:
        server = _Server(reply)
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: server, local_addr=("127.0.0.1", 0))
        try:
            port = transport.get_extra_info("sockname")[1]
            patience_s = 30.0 if answers else 0.2  # where silence is right, a little of it will do
            return await name_server.answers(IPv4Address("127.0.0.1"), patience_s, port), server.asked
        finally:
            transport.close()

    found, asked = asyncio.run(ask())
    assert found is answers and len(asked) == (1 if answers else 2)
    assert asked[0][12:] == b"\x011\x010\x010\x03127\x07in-addr\x04arpa\x00\x00\x0c\x00\x01"


def test_where_nobody_listens_nobody_answers() -> None:
    assert asyncio.run(name_server.answers(IPv4Address("127.0.0.1"), 0.2, 9)) is False
