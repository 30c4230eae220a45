"""netstat -rn, and what the routing table of a zone is made of at boot [network 5.3, 5.4]."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.dispatch import NOT_EMULATED, Completed, paper_world, run_text
from lab.tests.bench import Machine
from lab.world import World

EMPTY = """
Routing Table: IPv4
  Destination           Gateway           Flags  Ref     Use     Interface 
-------------------- -------------------- ----- ----- ---------- --------- 
127.0.0.1            127.0.0.1            UH        1          0 lo0       
"""  # noqa: W291 - the blanks at the end are real


@pytest.fixture
def world(tmp_path: Path) -> World:
    return paper_world(str(tmp_path))


def good(world: World, *lines: str) -> None:
    for line in lines:
        assert run_text(world, line.split()).status == 0, line


def rows(world: World, line: str) -> list[list[str]]:
    """The table's rows, split at blanks; the headers are three lines behind an empty one."""
    done = run_text(world, line.split())
    assert (done.status, done.err) == (0, "")
    return [row.split() for row in done.out.splitlines()[4:]]


def test_a_stack_with_nothing_in_it(world: World) -> None:
    assert run_text(world, ["netstat", "-rn", "-f", "inet"]) == Completed(0, EMPTY, "")


def test_routes_and_subnets(world: World) -> None:
    good(
        world,
        "ipadm create-addr -T static -a 10.0.0.5/24 net0/v4",
        "ipadm create-addr -d -T static -a 10.5.0.5/24 net0/down",
        "route add 10.9.0.0/24 10.0.0.1",
        "route add 10.8.0.1 10.0.0.2",
        "route add -interface 10.7.0.0/16 10.0.0.5",
        "route add default 10.0.0.1",
    )
    assert rows(world, "netstat -rn -f inet") == [
        ["default", "10.0.0.1", "UG", "1", "0", "net0"],
        ["10.9.0.0", "10.0.0.1", "UG", "1", "0", "net0"],
        ["10.8.0.1", "10.0.0.2", "UGH", "1", "0", "net0"],
        ["10.7.0.0", "10.0.0.5", "U", "1", "0", "net0"],
        ["10.0.0.0", "10.0.0.5", "U", "1", "0", "net0"],
        ["127.0.0.1", "127.0.0.1", "UH", "1", "0", "lo0"],
    ]


def test_both_families(world: World) -> None:
    good(
        world,
        "ipadm create-addr -T addrconf net0/ll",
        "ipadm create-addr -T static -a 2001:db8::5/64 net0/v6",
        "route add -inet6 default 2001:db8::1",
    )
    out = run_text(world, ["netstat", "-r", "-n"]).out
    assert out.startswith(EMPTY + "\nRouting Table: IPv6\n")
    assert rows(world, "netstat -n -r -f inet6") == [
        ["default", "2001:db8::1", "UG", "1", "0", "net0"],
        ["fe80::/10", "fe80::8:20ff:fe00:1", "U", "1", "0", "net0"],
        ["2001:db8::/64", "2001:db8::5", "U", "1", "0", "net0"],
        ["::1", "::1", "UH", "1", "0", "lo0"],
    ]


@pytest.mark.parametrize(
    "line", ["netstat", "netstat -r", "netstat -rna", "netstat -i", "netstat -rn -f", "netstat -rn -f unix"]
)
def test_what_else_netstat_can_do_is_refused(world: World, line: str) -> None:
    assert run_text(world, line.split()).status == NOT_EMULATED


def test_route_get_default(world: World) -> None:
    assert run_text(world, ["route", "-n", "get", "default"]) == Completed(3, " default: not in table\n", "")
    good(world, "ipadm create-addr -T static -a 10.0.0.5/24 net0/v4", "route add default 10.0.0.1")
    assert run_text(world, ["route", "-n", "get", "default"]).out.splitlines()[:6] == [
        "   route to: default",
        "destination: default",
        "       mask: default",
        "    gateway: 10.0.0.1",
        "  interface: net0",
        "      flags: <UP,GATEWAY,DONE,STATIC>",
    ]
    assert run_text(world, ["route", "-n", "get", "-inet6", "default"]).status == 3


# packets --------------------------------------------------------------------------------------------------------------


WEB1 = """
zonelab outside route add 10.6.0.0/24 via 192.0.2.20
dladm create-vnic -l net0 web1_0
web1() {
    zonecfg -z web1 "create; set zonepath=/zones/web1; set ip-type=exclusive;\
        add net; set physical=web1_0; $1 end; commit"
    zoneadm -z web1 install >/dev/null
}
"""


@pytest.mark.namespaces
def test_a_zone_gets_its_routes_from_its_files_at_boot(ours: Machine) -> None:
    out = ours.script(
        WEB1
        + """
web1
zoneadm -z web1 boot
zlogin web1 ipadm create-addr -T static -a 192.0.2.20/24 web1_0/v4
zlogin web1 route -p add 10.6.0.0/16 192.0.2.1 >/dev/null
zoneadm -z web1 halt
echo '192.0.2.1   # the provider' > /zones/web1/root/etc/defaultrouter
zoneadm -z web1 boot
zlogin web1 ping -c1 -W9 198.51.100.1 | grep -o ttl=64
zlogin web1 netstat -rn -f inet | tail -n +5
zlogin web1 route -n get default | grep gateway
"""
    )
    ping, *table, gateway = out.splitlines()
    assert ping == "ttl=64"
    assert [row.split() for row in table] == [
        ["default", "192.0.2.1", "UG", "1", "0", "web1_0"],
        ["10.6.0.0", "192.0.2.1", "UG", "1", "0", "web1_0"],
        ["192.0.2.0", "192.0.2.20", "U", "1", "0", "web1_0"],
        ["127.0.0.1", "127.0.0.1", "UH", "1", "0", "lo0"],
    ]
    assert gateway == "    gateway: 192.0.2.1"


@pytest.mark.namespaces
def test_allowed_address_and_defrouter_carry_packets(ours: Machine) -> None:
    """[zones 6.1]; also after a reboot."""
    out = ours.script(
        WEB1
        + """
web1 'set allowed-address=192.0.2.20/24; set defrouter=192.0.2.1;'
zoneadm -z web1 boot
zlogin web1 ipadm show-addr -p -o type,addr web1_0/
zlogin web1 ping -c1 -W9 198.51.100.1 | grep -o ttl=64
zoneadm -z web1 reboot
zlogin web1 ping -c1 -W9 198.51.100.1 | grep -o ttl=64
zoneadm -z web1 halt
dladm show-linkprop -c -o value -p protection web1_0
"""
    )
    assert out.splitlines() == ["from-gz:192.0.2.20/24", "ttl=64", "ttl=64", ""]


@pytest.mark.namespaces
def test_several_default_routes(ours: Machine) -> None:
    out = ours.script(
        """
ipadm create-addr -T static -a 192.0.2.10/24 net0/v4
route add default 192.0.2.1
route add default 192.0.2.2
ping -c1 -W9 198.51.100.1 | grep -o ttl=64
route delete default 192.0.2.2
ping -c1 -W9 198.51.100.1 | grep -o ttl=64
route delete default 192.0.2.1
route delete default 192.0.2.1 || echo $?
"""
    )
    assert out.splitlines() == [
        "add net default: gateway 192.0.2.1", "add net default: gateway 192.0.2.2", "ttl=64",
        "delete net default: gateway 192.0.2.2", "ttl=64", "delete net default: gateway 192.0.2.1",
        "delete net default: gateway 192.0.2.1: not in table", "3",
    ]  # fmt: skip
