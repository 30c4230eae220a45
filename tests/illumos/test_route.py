"""What route and netstat print, and what errno as exit status means; texts from the network sheet, 5.2 and 5.4."""

from __future__ import annotations

from ipaddress import ip_address, ip_interface, ip_network
from typing import Any

import pytest
from fixtures import Admin
from lab.dispatch import run_text
from lab.world import World

from zonehookd.errors import CannotObserve
from zonehookd.illumos import ipadm, route
from zonehookd.illumos.route import DefaultRoute
from zonehookd.illumos.zlogin import GLOBAL
from zonehookd.model.command import Change, Query, Reply

GW, GW6, NET, NET6 = ip_address("10.0.0.1"), ip_address("fd00::1"), ip_network("10.9.0.0/24"), ip_network("fd09::/64")
NETSTAT = """
Routing Table: IPv4
  Destination           Gateway           Flags  Ref     Use     Interface \n\
-------------------- -------------------- ----- ----- ---------- --------- \n\
default              192.168.1.1          UG        2       1234 net0      \n\
default              192.168.2.1          UG        1          0           \n\
default              192.168.1.7          U         1          0 net0      \n\
10.0.0.0             10.0.0.1             U         3         55 stubgw0   \n\
127.0.0.1            127.0.0.1            UH        2         10 lo0       \n\

Routing Table: IPv6
  Destination/Mask            Gateway                   Flags Ref   Use    If   \n\
--------------------------- --------------------------- ----- --- ------- ----- \n\
default                     fd00::1                     UG      2       0 net0  \n\
::1                         ::1                         UH      2       0 lo0   \n\
"""


def test_default_routes_of_both_families() -> None:
    assert route.default_routes().parse(Reply(0, NETSTAT, "")) == (
        DefaultRoute(ip_address("192.168.1.1"), "net0", 4),
        DefaultRoute(ip_address("192.168.2.1"), "", 4),
        DefaultRoute(ip_address("fd00::1"), "net0", 6),
    )
    assert route.default_routes("web1").parse(Reply(0, "\nRouting Table: IPv4\n", "")) == ()


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (Reply(0, "", ""), "no routing table"),
        (Reply(0, "Routing Table: IPv4\ndefault router1 UG 1 0 net0\n", ""), "printed 'default router1"),
        (Reply(0, "default 10.0.0.1 UG 1 0 net0\n", ""), "printed 'default"),
        (Reply(1, "", "zlogin: zone 'web1' unknown\n"), "zone web1 is not up"),
    ],
)
def test_what_is_no_routing_table_is_no_answer(reply: Reply, said: str) -> None:
    with pytest.raises(CannotObserve, match=said):
        route.default_routes("web1").parse(reply)


def test_persistent_routes() -> None:
    found = route.static_routes().parse(
        Reply(
            0,
            "persistent: route add 10.9.0.0/24 10.0.0.1\npersistent: route add -inet6 fd09::/64 fd00::1\n"
            "persistent: route add default 10.0.0.1\npersistent: route add somewhere there\n"
            "persistent: route add 10.8.0.0/16 router1\n",
            "",
        )
    )
    assert [(each.destination, each.gateway) for each in found] == [
        (NET, GW), (NET6, GW6), (ip_network("10.8.0.0/16"), None),
    ]  # fmt: skip
    assert found.defaults == (GW,)
    assert route.static_routes().parse(Reply(0, "No persistent routes are defined\n", "")) == ()


def test_arguments_are_as_the_manual_has_them() -> None:
    def argv(change: Change) -> str:
        return " ".join(change.argv)

    assert argv(route.add_default(GLOBAL, GW, why="")) == "route add default 10.0.0.1"
    assert argv(route.add_default(GLOBAL, GW6, persistent=True, why="")) == "route -p add -inet6 default fd00::1"
    assert argv(route.delete_static("web1", NET, GW, why="")) == "zlogin -n web1 route delete 10.9.0.0/24 10.0.0.1"
    with pytest.raises(ValueError, match="cannot go through"):
        route.add_static(GLOBAL, NET, GW6, why="")


AGAIN, BUSY, NEVER, DONE = (True, False, False), (True, True, False), (False, False, False), (False, False, True)
ADD, DELETE = route.add_default("z", GW, persistent=True, why=""), route.delete_default("z", GW, why="")


@pytest.mark.parametrize(
    ("change", "status", "err", "expected"),
    [
        (ADD, 17, "", DONE),
        (ADD, 1, "add persistent net default: gateway 10.0.0.1: entry exists", DONE),
        (ADD, 3, "", AGAIN),
        (ADD, 128, "", AGAIN),
        (ADD, 127, "", AGAIN),
        (ADD, 127, "sh: route: not found", NEVER),
        (ADD, 1, "", NEVER),
        (ADD, 1, "route: failed to lock route file: Resource temporarily unavailable", BUSY),
        (ADD, 1, "zlogin: login allowed only to running zones (z is 'down').", BUSY),
        (DELETE, 3, "", DONE),
        (DELETE, 1, "delete persistent net default: gateway 10.0.0.1: not in file", DONE),
        (DELETE, 16, "", BUSY),
        (DELETE, 17, "", AGAIN),
    ],
)
def test_what_a_failure_means(change: Change, status: int, err: str, expected: tuple[bool, bool, bool]) -> None:
    said = change.judge(status, err)
    assert (said.again, said.busy, said.done) == expected


@pytest.mark.parametrize("where", [GLOBAL, "web1"])
@pytest.mark.parametrize("persistent", [False, True])
def test_the_lab_understands_our_words(world: World, admin: Admin, where: str, persistent: bool) -> None:
    admin.do("dladm", "create-etherstub", "stub0")
    admin.do("dladm", "create-vnic", "-l", "stub0", "v0")
    admin.zone("web1", *(["set physical=v0"] if where == "web1" else []))
    admin.do("zoneadm", "-z", "web1", "boot")

    def ask(query: Query[Any]) -> Any:
        done = run_text(world, list(query.argv))
        return query.parse(Reply(done.status, done.out, done.err))

    def change(step: Change) -> tuple[bool, bool]:
        done = run_text(world, list(step.argv))
        said = step.judge(done.status, done.err)
        return done.status == 0 or said.done, said.again

    assert change(route.add_default(where, GW, persistent=persistent, why="")) == (False, True), "unreachable as yet"
    assert change(ipadm.create_addr(where, "v0", "zh", ip_interface("10.0.0.2/24"), why=""))[0]
    for _ in range(2):
        assert change(route.add_default(where, GW, persistent=persistent, why=""))[0]
        assert change(route.add_static(where, NET, GW, persistent=persistent, why=""))[0]
    static = ask(route.static_routes(where))
    assert ([each.destination for each in static], static.defaults) == (([NET], (GW,)) if persistent else ([], ()))
    assert ask(route.default_routes(where)) == (DefaultRoute(ip_address("10.0.0.1"), "v0", 4),)
    for _ in range(2):
        assert change(route.delete_static(where, NET, GW, persistent=persistent, why=""))[0]
        assert change(route.delete_default(where, GW, persistent=persistent, why=""))[0]
    assert ask(route.default_routes(where)) == () and ask(route.static_routes(where)) == ()


def test_other_routes_are_known_by_what_is_printed_of_them() -> None:
    """IPv4 without a length, IPv6 with one; what is on the wire itself leads nowhere."""
    table = (
        "\nRouting Table: IPv4\n  Destination  Gateway  Flags  Ref  Use  Interface\n"
        "10.60.0.0            10.50.0.10           UG        1          0 \n"
        "10.50.0.0            10.50.0.1            U         3         55 x0   \n"
        "\nRouting Table: IPv6\n  Destination/Mask  Gateway  Flags  Ref  Use  If\n"
        "fd00:60:0::/64              fd00:50::10                 UG        1          0 x0   \n"
    )
    found = route.default_routes().parse(Reply(0, table, ""))
    assert not found
    assert found.leads(ip_network("10.60.0.0/24"), ip_address("10.50.0.10"))
    assert not found.leads(ip_network("10.60.0.0/24"), ip_address("10.50.0.11"))
    assert not found.leads(ip_network("10.50.0.0/24"), ip_address("10.50.0.1"))
    assert found.leads(ip_network("fd00:60::/64"), ip_address("fd00:50::10"))
