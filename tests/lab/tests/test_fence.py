"""protection=ip-nospoof on packets [network 2.10, zones 6.1, services 2]."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab import fence
from lab.dispatch import paper_world, run_text
from lab.tests.bench import Machine


@pytest.fixture(params=["ours", "ordinary"])
def machine(request: pytest.FixtureRequest) -> Machine:
    made = request.getfixturevalue(request.param)
    assert isinstance(made, Machine)
    return made


ZONE = """
ready() { for i in $(seq 1500); do grep -q "$1" $2 && return; sleep 0.02; done; cat $2; exit 1; }  # WORDS LOG
dladm create-vnic -l net0 -m 2:8:20:0:0:5 web1_0
web1() {
    zonecfg -z web1 "create; set zonepath=/zones/web1; set ip-type=exclusive;\\
        add net; set physical=web1_0; $1 end; commit"
    zoneadm -z web1 install >/dev/null; zoneadm -z web1 boot
}
heard() { zonelab outside capture show --count --src $1; }
patience=9
in_vain() { patience=1; "$@"; patience=9; }  # pings ADDRESS | asks, where no answer is expected: a second of it will do
pings() { zlogin web1 ping -c1 -W$patience -I $1 192.0.2.1 >/dev/null 2>&1 && echo yes || echo no; }
"""


@pytest.mark.namespaces
def test_an_allowed_address_lets_nothing_else_out(machine: Machine) -> None:
    out = machine.script(
        ZONE
        + """
web1 'set allowed-address=192.0.2.20/24; set defrouter=192.0.2.1;'
zonelab outside capture start
zlogin web1 ip address add 192.0.2.21/24 dev web1_0
zlogin web1 ip address add 10.9.0.1/24 dev web1_0
pings 192.0.2.20; in_vain pings 192.0.2.21; in_vain pings 10.9.0.1
heard 192.0.2.20/32 | grep -vc '^0$' || true
heard 192.0.2.21/32; heard 10.9.0.1/32
zoneadm -z web1 halt
"""
    )
    assert out.split() == ["yes", "no", "no", "1", "0", "0"]


@pytest.mark.namespaces
def test_a_fenced_router_forwards_nothing(ours: Machine) -> None:
    out = ours.script(
        ZONE
        + """
web1
zlogin web1 ipadm create-addr -t -T static -a 192.0.2.20/24 web1_0/v4
dladm create-etherstub stub0
dladm create-vnic -l stub0 gw_0
dladm set-linkprop -t -p zone=web1 gw_0
zlogin web1 ipadm create-addr -t -T static -a 10.1.0.1/24 gw_0/v4
zlogin web1 ipadm set-prop -t -p forwarding=on ipv4
zlogin web1 route add default 192.0.2.1 >/dev/null
zonelab outside route add 10.1.0.0/24 via 192.0.2.20
dladm create-vnic -l stub0 inner0
ipadm create-addr -T static -a 10.1.0.2/24 inner0/v4
route add default 10.1.0.1 >/dev/null
asks() { ping -c1 -W$patience 198.51.100.1 >/dev/null 2>&1 && echo yes || echo no; }
asks
dladm set-linkprop -t -p protection=ip-nospoof,allowed-ips=192.0.2.20 web1_0
in_vain asks
pings 192.0.2.20
dladm set-linkprop -t -p allowed-ips=192.0.2.20,10.1.0.0/24 web1_0
asks
dladm set-linkprop -t -p allowed-ips=192.0.2.20 web1_0
in_vain asks
dladm reset-linkprop -t -p protection web1_0
asks
"""
    )
    assert out.split() == ["yes", "no", "yes", "yes", "no", "yes"]


@pytest.mark.namespaces
def test_the_fence_goes_with_the_halt_and_comes_with_the_boot(ours: Machine) -> None:
    out = ours.script(
        ZONE
        + """
web1 'set allowed-address=192.0.2.20/24;'
zlogin web1 ip address add 192.0.2.21/24 dev web1_0
in_vain pings 192.0.2.21
zoneadm -z web1 halt
ipadm create-addr -t -T static -a 192.0.2.21/24 web1_0/v4
ping -c1 -W9 192.0.2.1 | grep -o ttl=64
ipadm delete-if web1_0
zoneadm -z web1 boot
zlogin web1 ip address add 192.0.2.21/24 dev web1_0
pings 192.0.2.20; in_vain pings 192.0.2.21
zoneadm -z web1 halt
dladm delete-vnic web1_0
"""
    )
    assert out.split() == ["no", "ttl=64", "yes", "no"]


@pytest.mark.namespaces
def test_ipv6_and_the_address_a_server_gave(ours: Machine) -> None:
    out = ours.script(
        ZONE
        + """
: > /tmp/dnsmasq.log
zonelab outside run -- dnsmasq -d --port=0 --no-ping --dhcp-sequential-ip --dhcp-range=192.0.2.50,192.0.2.60,2m\\
    --dhcp-leasefile=/tmp/leases --except-interface=lo 2>/tmp/dnsmasq.log &
ready 'IP range' /tmp/dnsmasq.log
web1
dladm set-linkprop -t -p protection=ip-nospoof,allowed-ips=2001:db8:0:1::20 web1_0
zlogin web1 ipadm create-addr -t -T dhcp -w 40 web1_0/v4
pings 192.0.2.50
zlogin web1 ipadm delete-addr web1_0/v4
zlogin web1 ip address add 192.0.2.50/24 dev web1_0
in_vain pings 192.0.2.50
zlogin web1 ipadm create-addr -t -T addrconf web1_0/ll
zlogin web1 ipadm create-addr -t -T static -a 2001:db8:0:1::20/64 web1_0/a
zlogin web1 ping -c1 -W9 2001:db8:0:1::1 | grep -o ttl=64
zlogin web1 ipadm create-addr -t -T static -a 2001:db8:0:1::21/64 web1_0/b
zlogin web1 ping -c1 -W1 -I 2001:db8:0:1::21 2001:db8:0:1::1 >/dev/null || echo no
"""
    )
    assert out.split() == ["yes", "no", "ttl=64", "no"]


def test_sources_as_data(tmp_path: Path) -> None:
    world = paper_world(str(tmp_path))
    for line in ("dladm create-vnic -l net0 -m 2:8:20:0:0:5 v0", "dladm set-linkprop -t -p allowed-ips=10.0.0.2 v0"):
        assert run_text(world, line.split()).status == 0
    link = world.links["v0"]
    assert fence.sources(world, link) is None
    assert run_text(world, ["dladm", "set-linkprop", "-t", "-p", "protection=restricted", "v0"]).status == 0
    assert fence.sources(world, link) is None
    assert run_text(world, ["dladm", "set-linkprop", "-t", "-p", "protection=restricted,ip-nospoof", "v0"]).status == 0
    assert fence.sources(world, link) == ("0.0.0.0", "10.0.0.2/32", "::", "fe80::8:20ff:fe00:5")  # noqa: S104
