"""Address objects of type addrconf: the link-local address, and what IPv6 routers advertise [network 4.3]."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.dispatch import NOT_EMULATED, paper_world, run_text
from lab.tests.bench import Machine

ROUTER = """
ready() { for i in $(seq 1500); do grep -q "$1" $2 && return; sleep 0.02; done; cat $2; exit 1; }  # WORDS LOG
: > /tmp/dnsmasq.log
zonelab outside run -- dnsmasq -d --port=0 --enable-ra --dhcp-range=2001:db8:0:1::,ra-only --except-interface=lo\
    2>/tmp/dnsmasq.log &
ready 'router advertisement' /tmp/dnsmasq.log
dladm create-vnic -l net0 -m 2:8:20:0:0:5 web1_0
zonecfg -z web1 "create; set zonepath=/zones/web1; set ip-type=exclusive; add net; set physical=web1_0; end; commit"
zoneadm -z web1 install >/dev/null; zoneadm -z web1 boot
shown() { zlogin web1 ipadm show-addr -p -o addrobj,type,addr web1_0/; }
lines() { shown | wc -l; }
until_is() {  # WANTED COMMAND...: at most thirty seconds
    wanted=$1; shift
    for i in $(seq 300); do [ "$("$@")" = "$wanted" ] && return; sleep 0.1; done
    echo "still not $wanted: $("$@")"
}
"""
OWN = r"web1_0/ll:addrconf:fe80\:\:8\:20ff\:fe00\:5%web1_0/10"
GIVEN = r"web1_0/ll:addrconf:2001\:db8\:0\:1\:8\:20ff\:fe00\:5/64"


@pytest.fixture(params=["ours", "ordinary"])
def machine(request: pytest.FixtureRequest) -> Machine:
    made = request.getfixturevalue(request.param)
    assert isinstance(made, Machine)
    return made


@pytest.mark.namespaces
def test_a_router_gives_prefix_and_default_route(machine: Machine) -> None:
    out = machine.script(
        ROUTER
        + """
zlogin web1 ipadm create-addr -T addrconf web1_0/ll
until_is 2 lines
shown
zlogin web1 route -n get -inet6 default | grep -E 'gateway|interface'
zlogin web1 netstat -rn -f inet6 | tail -n +5 | cut -c1-60
zlogin web1 ping -c1 -W9 2001:db8:ffff::1 | grep -o ttl=64
zoneadm -z web1 reboot
until_is 2 lines
zlogin web1 ipadm delete-addr web1_0/ll
shown
zlogin web1 ip -6 -o address show dev web1_0
zlogin web1 ip -6 route show dev web1_0
zlogin web1 route -n get -inet6 default || echo $?
"""
    )
    lines = out.splitlines()
    assert lines[:2] == [OWN, GIVEN]
    assert lines[2:4] == ["    gateway: fe80::8:20ff:feff:1", "  interface: web1_0"]
    assert [row.split() for row in lines[4:8]] == [
        ["default", "fe80::8:20ff:feff:1", "UG"],
        ["fe80::/10", "fe80::8:20ff:fe00:5", "U"],
        ["2001:db8:0:1::/64", "2001:db8:0:1:8:20ff:fe00:5", "U"],
        ["::1", "::1", "UH"],
    ]
    assert lines[8:] == ["ttl=64", " default: not in table", "3"]


@pytest.mark.namespaces
def test_one_that_does_not_listen(ours: Machine) -> None:
    out = ours.script(
        ROUTER
        + """
zlogin web1 ipadm create-addr -T addrconf -p stateful=no,stateless=no web1_0/ll
dladm create-vnic -t -l net0 v0
ipadm create-addr -t -T addrconf v0/ll
until_is 1 sh -c "ipadm show-addr -p -o addr v0/ | grep -c ^2001"
shown
zlogin web1 ipadm create-addr -T static -a 2001:db8:0:1::5/64 web1_0/v6
zlogin web1 ping -c1 -W9 2001:db8:0:1::1 | grep -o ttl=64
zlogin web1 ipadm delete-if web1_0
zlogin web1 ip -6 -o address show dev web1_0
zoneadm -z web1 halt
ipadm delete-if v0
ip -6 -o address show dev v0
"""
    )
    assert out.splitlines() == [OWN, "ttl=64"]


@pytest.mark.parametrize(("option", "status"), [("stateful=yes", NOT_EMULATED), ("stateless=maybe", 1), ("x=no", 1)])
def test_properties_of_addrconf(tmp_path: Path, option: str, status: int) -> None:
    world = paper_world(str(tmp_path))
    done = run_text(world, ["ipadm", "create-addr", "-T", "addrconf", "-p", option, "net0/ll"])
    assert done.status == status
    assert list(world.stacks["global"].interfaces) == ["lo0"]
