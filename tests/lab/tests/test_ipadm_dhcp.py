"""Address objects of type dhcp: a real client against a real server [network 4.3]."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lab.dispatch import NOT_EMULATED, paper_world, run_text
from lab.tests.bench import Machine

pytestmark = pytest.mark.namespaces


@pytest.fixture(params=["ours", "ordinary"])
def machine(request: pytest.FixtureRequest) -> Machine:
    made = request.getfixturevalue(request.param)
    assert isinstance(made, Machine)
    return made


READY = """
ready() { for i in $(seq 1500); do grep -q "$1" $2 && return; sleep 0.02; done; cat $2; exit 1; }  # WORDS LOG
"""
ZONES = (
    READY
    + """
dladm create-etherstub stub0
for z in srv web1; do
    dladm create-vnic -l stub0 -m 2:8:20:0:0:$(expr length $z) ${z}_0
    zonecfg -z $z "create; set zonepath=/zones/$z; set ip-type=exclusive; add net; set physical=${z}_0; end; commit"
    zoneadm -z $z install >/dev/null; zoneadm -z $z boot
done
zlogin srv ipadm create-addr -T static -a 10.0.0.1/24 srv_0/v4
log=/zones/srv/root/var/log/dnsmasq.log
: > $log
serve() {  # in debug mode: the other one changes its group, which an ordinary user's host cannot
    zlogin srv "setsid dnsmasq -d --port=0 --no-ping --dhcp-sequential-ip --dhcp-range=10.0.0.50,10.0.0.60,2m\
        --dhcp-leasefile=/var/leases --log-dhcp $* 2>>/var/log/dnsmasq.log >/dev/null &"
    ready 'IP range' $log
}
unserve() {
    zlogin srv 'pkill -x dnsmasq; while pgrep -x dnsmasq >/dev/null; do sleep 0.01; done; : > /var/leases'
    : > $log
}
shown() { zlogin web1 ipadm show-addr -p -o type,state,addr web1_0/; }
leases() { wc -c < /zones/srv/root/var/leases; }
heard() { grep -c "$1" $log || true; }
until_is() {  # WANTED COMMAND...: at most twenty seconds
    wanted=$1; shift
    for i in $(seq 400); do [ "$("$@")" = "$wanted" ] && return; sleep 0.05; done
    echo "still not $wanted: $("$@")"
}
"""
)


def test_a_lease_gives_address_route_and_everything_asked(machine: Machine) -> None:
    out = machine.script(
        ZONES
        + """
serve --dhcp-option=option:mtu,1400 --dhcp-option=119,a.example,b.a.example --dhcp-option=121,10.5.0.0/16,10.0.0.9\
    --dhcp-option-force=250,aa:bb --domain=zones.example --dhcp-option=6,10.0.0.7,10.0.0.8
before=$(zlogin web1 cat /etc/resolv.conf | sha256sum)
zlogin web1 ipadm create-addr -t -T dhcp -1 -w 40 -h webby web1_0/d
shown
zlogin web1 route -n get 198.51.100.1 | grep -E 'gateway|interface'
zlogin web1 ping -c1 -W9 10.0.0.1 | grep -o ttl=64
[ "$before" = "$(zlogin web1 cat /etc/resolv.conf | sha256sum)" ] && echo resolvers left alone
cut -d' ' -f2- /zones/srv/root/var/leases
zonelab lease web1 web1_0
"""
    )
    *lines, lease = out.splitlines()
    assert lines == [
        "dhcp:ok:10.0.0.50/24", "    gateway: 10.0.0.1", "  interface: web1_0", "ttl=64", "resolvers left alone",
        "02:08:20:00:00:04 10.0.0.50 webby 01:02:08:20:00:00:04",
    ]  # fmt: skip
    told = json.loads(lease)
    assert (told["zone"], told["object"], told["address"]) == ("web1", "web1_0/d", "10.0.0.50/24")
    options = told["options"]
    assert options["6"] == {"name": "domain-name-servers", "value": ["10.0.0.7", "10.0.0.8"], "hex": "0a0000070a000008"}
    assert options["26"] == {"name": "interface-mtu", "value": 1400, "hex": "0578"}
    assert options["51"] == {"name": "lease-time", "value": 120, "hex": "00000078"}
    assert options["15"]["value"] == "zones.example"
    assert options["119"]["value"] == ["a.example", "b.a.example"]
    assert options["121"]["value"] == ["10.5.0.0/16 via 10.0.0.9"]
    assert options["250"] == {"name": "option-250", "value": None, "hex": "aabb"}


def test_a_timeout_is_soft_and_the_client_goes_on(machine: Machine) -> None:
    out = machine.script(
        ZONES
        + """
zlogin web1 ipadm create-addr -T dhcp -w 1 web1_0/d 2>&1; echo $?
shown
zonelab lease web1 web1_0 2>&1 || echo $?
serve
until_is 'dhcp:ok:10.0.0.50/24' shown
zlogin web1 ipadm show-addr web1_0/d
"""
    )
    assert out.splitlines() == [
        "ipadm: warning: Could not create address: Communication with dhcpagent timed out",
        "0",
        "dhcp:ok:?",
        "zonelab: the DHCP client on web1_0 of zone web1 has no lease",
        "1",
        "ADDROBJ           TYPE     STATE        ADDR",
        "web1_0/d          dhcp     ok           10.0.0.50/24",
    ]


def test_waiting_ends_with_the_client(ours: Machine) -> None:
    """Others are not held up meanwhile, and who waits for ever is let go by the end of the object."""
    out = ours.script(
        ZONES
        + """
zlogin web1 ipadm create-addr -T dhcp -w forever web1_0/d 2>/dev/null &
until_is 'dhcp:ok:?' shown 2>/dev/null
zlogin web1 ipadm delete-addr web1_0/d
wait $!; echo $?
shown
"""
    )
    assert out.splitlines() == ["0"]


def test_refresh_delete_and_release(ours: Machine) -> None:
    out = ours.script(
        ZONES
        + """
serve
zlogin web1 ipadm create-addr -t -T dhcp -w 40 web1_0/d
zlogin web1 ipadm refresh-addr web1_0/d
until_is 2 heard 'DHCPREQUEST(srv_0) 10.0.0.50'
zlogin web1 ipadm delete-addr web1_0/d
zlogin web1 ip -4 -br address show web1_0 | grep -c 10.0 || true
zlogin web1 ip route | wc -l
pgrep -c udhcpc || true
heard DHCPRELEASE
zlogin web1 ipadm create-addr -t -T dhcp -w 40 web1_0/e
zlogin web1 ipadm delete-addr -r web1_0/e
until_is 1 heard DHCPRELEASE
until_is 0 leases  # written after it was logged
leases
zlogin web1 ipadm create-addr -t -T dhcp -w 40 web1_0/e
zlogin web1 ipadm delete-if web1_0
pgrep -c udhcpc || true
zonelab lease web1 web1_0 2>&1 || echo $?
"""
    )
    assert out.splitlines() == [
        "0", "0", "0", "0", "0", "0", "zonelab: no DHCP client on web1_0 of zone web1", "1",
    ]  # fmt: skip


def test_a_persistent_object_starts_again_at_boot(machine: Machine) -> None:
    out = machine.script(
        ZONES
        + """
serve
zlogin web1 ipadm create-addr -T dhcp -w 40 -h webby web1_0/d
zoneadm -z web1 halt
pgrep -c udhcpc || true
unserve
serve --dhcp-host=2:8:20:0:0:4,10.0.0.99
zoneadm -z web1 boot
until_is 'dhcp:ok:10.0.0.99/24' shown
cut -d' ' -f2-4 /zones/srv/root/var/leases
zoneadm -z web1 uninstall -F 2>/dev/null || zoneadm -z web1 halt
pgrep -c udhcpc || true
"""
    )
    assert out.splitlines() == ["0", "02:08:20:00:00:04 10.0.0.99 webby", "0"]


def test_a_lease_that_changes_and_one_that_ends(ours: Machine) -> None:
    """The client hears no from the server at its renewal: the old address goes, the new one comes."""
    out = ours.script(
        ZONES
        + """
serve --dhcp-authoritative
zlogin web1 ipadm create-addr -t -T dhcp -w 40 web1_0/d
zlogin web1 route add 10.7.0.0/16 10.0.0.9 >/dev/null
unserve
serve --dhcp-authoritative --dhcp-host=2:8:20:0:0:4,10.0.0.77 --dhcp-option=3,10.0.0.2
zlogin web1 ipadm refresh-addr web1_0/d
until_is 'dhcp:ok:10.0.0.77/24' shown
zlogin web1 ip route
"""
    )
    assert [line.split(" proto")[0] for line in out.splitlines()] == [
        "default via 10.0.0.2 dev web1_0", "10.0.0.0/24 dev web1_0",
    ]  # fmt: skip


OUTSIDE = (
    READY
    + """
: > /tmp/dnsmasq.log
zonelab outside run -- dnsmasq -d --port=0 --no-ping --dhcp-sequential-ip --dhcp-range=192.0.2.50,192.0.2.60,2m\
    --dhcp-leasefile=/tmp/leases --except-interface=lo 2>/tmp/dnsmasq.log &
ready 'IP range' /tmp/dnsmasq.log
"""
)


def test_the_uplink_of_the_global_zone(machine: Machine) -> None:
    out = machine.script(
        OUTSIDE
        + """
ipadm set-prop -t -p forwarding=on ipv4
ipadm create-addr -T dhcp -w 40 net0/v4
ipadm show-addr -p -o addr net0/v4
ipadm show-ifprop -c -o current -p forwarding -m ipv4 net0
ping -c1 -W9 198.51.100.1 | grep -o ttl=64
zonelab lease global net0 | grep -o '"address": "[^"]*"'
ipadm set-ifprop -t -p forwarding=on -m ipv4 net0
ipadm refresh-addr net0/v4; sleep 0.3
ipadm show-ifprop -c -o current -p forwarding -m ipv4 net0
"""
    )
    assert out.splitlines() == ["192.0.2.50/24", "off", "ttl=64", '"address": "192.0.2.50/24"', "on"]


def test_long_link_names(ours: Machine) -> None:
    out = ours.script(
        OUTSIDE
        + """
dladm create-vnic -t -l net0 a_very_long_link_name_1
ipadm create-addr -t -T dhcp -w 40 a_very_long_link_name_1/v4
ipadm show-addr -p -o addr a_very_long_link_name_1/v4
"""
    )
    assert out == "192.0.2.50/24\n"


@pytest.mark.parametrize("words", ["-T dhcp -w soon net0/d", "-T dhcp -a 10.0.0.1/8 net0/d", "-T dhcp -d net0/d",
                                   "-T static -a 10.0.0.1/8 -w 3 net0/d"])  # fmt: skip
def test_wrong_arguments(tmp_path: Path, words: str) -> None:
    done = run_text(paper_world(str(tmp_path)), ["ipadm", "create-addr", *words.split()])
    assert (done.status, done.out) == (1, "\n")
    assert done.err.startswith("ipadm: Invalid arguments\nusage: ")


def test_without_packets_there_is_no_client(tmp_path: Path) -> None:
    world = paper_world(str(tmp_path))
    done = run_text(world, ["ipadm", "create-addr", "-T", "dhcp", "net0/d"])
    assert (done.status, done.err) == (
        NOT_EMULATED, "zonelab: not emulated: ipadm create-addr -T dhcp on the data-only floor\n",
    )  # fmt: skip
    assert list(world.stacks["global"].interfaces) == ["lo0"]
