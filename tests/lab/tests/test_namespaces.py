"""The real floor: packets flow between zones, and zones are as separate as they should be."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lab.tests.bench import Machine

pytestmark = pytest.mark.namespaces

ZONE = """
zone() {  # NAME LINK: an installed exclusive zone with one link
    zonecfg -z $1 "create; set zonepath=/zones/$1; set ip-type=exclusive; add net; set physical=$2; end; commit" &&
    zoneadm -z $1 install >/dev/null
}
"""
PAIR = (
    ZONE
    + """
dladm create-etherstub stub0
for z in web1 web2; do
    dladm create-vnic -l stub0 ${z}_0
    zone $z ${z}_0
    zoneadm -z $z boot
done
zlogin web1 ipadm create-addr -T static -a 10.0.0.1/24 web1_0/v4
zlogin web2 ipadm create-addr -T static -a 10.0.0.2/24 web2_0/v4
"""
)


@pytest.fixture(params=["ours", "ordinary"])
def machine(request: pytest.FixtureRequest) -> Machine:
    made = request.getfixturevalue(request.param)
    assert isinstance(made, Machine)
    return made


def test_two_zones_reach_each_other_through_an_etherstub(machine: Machine) -> None:
    out = machine.script(
        PAIR
        + """
zlogin web1 ping -c1 -W9 10.0.0.2 | grep -c 'ttl=64'
zlogin web2 ping -c1 -W9 10.0.0.1 | grep -c 'ttl=64'
if ping -c1 -W1 10.0.0.1 >/dev/null 2>&1; then echo leak; fi
"""
    )
    assert out.split() == ["1", "1"]


def test_nothing_of_it_is_left_on_the_machine(machine: Machine) -> None:
    def seen() -> tuple[str, list[str]]:
        links = sorted(path.name for path in Path("/sys/class/net").iterdir())
        return Path("/proc/self/mounts").read_text(), links

    before = seen()
    machine.script(PAIR)
    assert seen() == before


def test_a_zone_is_a_place_of_its_own(machine: Machine) -> None:
    out = machine.script(
        PAIR
        + """
zlogin web1 'hostname; zonename; zonename -t; id -u; pwd; ls -d /zones 2>/dev/null || echo no /zones; cat /proc/1/comm'
zlogin web1 ip -o link | cut -d: -f2 | cut -d@ -f1
zlogin web1 'zoneadm list; touch /usr/x 2>/dev/null || echo read-only'
"""
    )
    assert out.split("\n") == [
        "web1", "web1", "exclusive", "0", "/root", "no /zones", "zonelab-init", " lo", " web1_0", "web1",
        "read-only", "",
    ]  # fmt: skip


def test_zlogin_hands_over_streams_and_status(machine: Machine) -> None:
    out = machine.script(
        PAIR
        + """
echo in | zlogin web1 cat
zlogin -n web1 cat
zlogin web1 'echo err >&2' 2>&1
zlogin web1 exit 7 || echo $?
zlogin web1 no-such-command 2>/dev/null || echo $?
zlogin web1 'kill -9 $$'; echo $?
zlogin -S web1 'echo $HOME $SHELL $PATH; pwd'
SECRET=x zlogin web1 'echo ${SECRET:-unset}'
zlogin web1 echo 'a   b' '$HOME'
printf 'echo from stdin\\n' | zlogin web1
"""
    )
    assert out.splitlines() == [
        "in", "err", "7", "127", "0", "/ /sbin/sh /usr/sbin:/usr/bin", "/", "unset", "a b /root", "from stdin",
    ]  # fmt: skip


def test_signals_pass_through_zlogin(machine: Machine) -> None:
    out = machine.script(
        PAIR
        + """
: > /tmp/out
zlogin web1 'trap "echo caught; exit 3" TERM; echo ready; while :; do sleep 0.01; done' > /tmp/out &
until grep -q ready /tmp/out; do sleep 0.01; done
kill -TERM $!
wait $! || echo $?
cat /tmp/out
"""
    )
    assert out.split() == ["3", "ready", "caught"]


def test_the_journal_knows_where_a_command_ran_and_how_it_ended(machine: Machine) -> None:
    out = machine.script(PAIR + "zlogin web1 zonename >/dev/null; zlogin web1 exit 4 || true; zonelab log -n 3")
    inner, outer, failed = (json.loads(line) for line in out.splitlines())
    assert (inner["zone"], inner["argv"], inner["status"]) == ("web1", ["zonename"], 0)
    assert (outer["zone"], outer["argv"], outer["status"]) == ("global", ["zlogin", "web1", "zonename"], 0)
    assert failed["status"] == 4


def test_a_halt_kills_every_process_and_sends_the_link_home(machine: Machine) -> None:
    out = machine.script(
        PAIR
        + """
mac=$(zlogin web1 cat /sys/class/net/web1_0/address)
: > /tmp/out  # it must be there before the first look
zlogin web1 'echo up; sleep 1000' > /tmp/out &
until grep -q up /tmp/out; do sleep 0.01; done
zoneadm -z web1 halt
wait $!; echo "zlogin $?"
ps -e | grep -c sleep || true
[ "$mac" = "$(cat /sys/class/net/web1_0/address)" ] && echo same MAC
zlogin web1 true 2>&1 || true
"""
    )
    assert out.splitlines() == [
        "zlogin 0", "0", "same MAC", "zlogin: login allowed only to running zones (web1 is 'installed').",
    ]  # fmt: skip


def test_a_zones_files_survive_a_reboot_but_not_an_uninstall(machine: Machine) -> None:
    out = machine.script(
        PAIR
        + """
zlogin web1 'echo kept > /etc/kept; echo kept > /var/kept; echo lost > /tmp/lost'
cat /zones/web1/root/etc/kept /zones/web1/root/etc/passwd | head -1
zoneadm -z web1 halt
cat /zones/web1/root/etc/kept
echo 'from outside' > /zones/web1/root/etc/outside
zoneadm -z web1 boot
zlogin web1 cat /etc/kept /var/kept /etc/outside
echo 'while it runs' > /zones/web1/root/etc/live
zlogin web1 cat /etc/live
zlogin web1 ls /tmp
zoneadm -z web1 halt
zoneadm -z web1 uninstall -F
ls /zones
"""
    )
    assert out.splitlines() == ["kept", "kept", "kept", "kept", "from outside", "while it runs", "web2"]


def test_rc_local_runs_at_boot_as_a_real_program(machine: Machine) -> None:
    out = machine.script(
        ZONE
        + """
dladm create-vnic -l net0 web1_0
zone web1 web1_0
mkdir -p /zones/web1/root/etc
printf '#!/bin/sh\\necho $(hostname) $$ > /var/booted\\n' > /zones/web1/root/etc/rc.local
chmod +x /zones/web1/root/etc/rc.local
zoneadm -z web1 boot
until [ -s /zones/web1/root/var/booted ]; do sleep 0.01; done
cat /zones/web1/root/var/booted
"""
    )
    assert out == "web1 2\n"


def test_long_names_vlans_and_the_outside(machine: Machine) -> None:
    out = machine.script(
        ZONE
        + """
for vnic in a_very_long_link_name_1 short1; do dladm create-vnic -l net0 -v 7 $vnic; done
dladm create-vnic -l net0 other1
zone z1 a_very_long_link_name_1; zone z2 short1; zone z3 other1
for z in z1 z2 z3; do zoneadm -z $z boot; done
zlogin z1 ipadm create-addr -T static -a 10.0.0.1/24 a_very_long_link_name_1/v4
zlogin z2 ipadm create-addr -T static -a 10.0.0.2/24 short1/v4
zlogin z3 ipadm create-addr -T static -a 10.0.0.3/24 other1/v4
zlogin z1 ping -c1 -W9 10.0.0.2 >/dev/null && echo same vlan
zlogin z1 ping -c1 -W1 10.0.0.3 >/dev/null || echo other vlan
zlogin z1 ip link show a_very_long_link_name_1 >/dev/null && echo found by its name
zlogin z1 dladm show-link -p -o link
for z in z1 z2 z3; do zoneadm -z $z halt; done
dladm rename-link a_very_long_link_name_1 brief1
ip -o link show brief1 | grep -c 'brief1@'
for vnic in brief1 short1 other1; do dladm delete-vnic $vnic; done
ls /sys/class/net
"""
    )
    assert out.split("\n") == [
        "same vlan", "other vlan", "found by its name", "a_very_long_link_name_1", "1", "lo", "net0", "",
    ]  # fmt: skip


def test_a_gateway_forwards_when_it_is_told_to(machine: Machine) -> None:
    out = machine.script(
        """
for n in 1 2; do
    dladm create-etherstub s$n
    dladm create-vnic -l s$n gw_$n
    dladm create-vnic -l s$n z${n}_0
    zonecfg -z z$n "create; set zonepath=/zones/z$n; set ip-type=exclusive; add net; set physical=z${n}_0; end; commit"
done
zonecfg -z gw "create; set zonepath=/zones/gw; set ip-type=exclusive; add net; set physical=gw_1; end;\
    add net; set physical=gw_2; end; commit"
for z in z1 z2 gw; do zoneadm -z $z install; zoneadm -z $z boot; done >/dev/null
for n in 1 2; do
    zlogin z$n ipadm create-addr -T static -a 10.$n.0.2/24 z${n}_0/v4
    zlogin gw ipadm create-addr -T static -a 10.$n.0.1/24 gw_$n/v4
    zlogin z$n route add default 10.$n.0.1 >/dev/null
done
zlogin z1 ping -c1 -W1 10.2.0.2 >/dev/null || echo closed
zlogin gw ipadm set-prop -p forwarding=on ipv4
zlogin z1 ping -c1 -W9 10.2.0.2 | grep -o ttl=63
zlogin z1 route delete default 10.1.0.1 >/dev/null
zlogin z1 ping -c1 -W1 10.2.0.2 >/dev/null 2>&1 || echo no route
"""
    )
    assert out.splitlines() == ["closed", "ttl=63", "no route"]


def test_tcp_with_large_packets_over_the_stub(machine: Machine) -> None:
    """MTU 9000 on both ends, and no checksum trouble."""
    out = machine.script(
        PAIR
        + """
cat > /zones/web1/root/var/server.py <<END
import socket
connection = socket.create_server(("10.0.0.1", 80)).accept()[0]
print(sum(map(len, iter(lambda: connection.recv(65536), b""))))
END
cat > /zones/web2/root/var/client.py <<END
import socket
socket.create_connection(("10.0.0.1", 80)).sendall(b"x" * 3000000)
END
zlogin web1 /usr/bin/python3 /var/server.py > /tmp/out &
until zlogin web1 'grep -q ":0050 .* 0A " /proc/net/tcp'; do sleep 0.01; done
zlogin web2 /usr/bin/python3 /var/client.py
wait $!
cat /tmp/out
"""
    )
    assert out == "3000000\n"


def test_counters_are_those_of_the_zones_end(machine: Machine) -> None:
    out = machine.script(
        PAIR
        + """
zlogin web1 ping -c3 -i0.01 -s 1000 10.0.0.2 >/dev/null
kstat -p link:0:web1_0:rbytes64 | cut -f2
"""
    )
    assert int(out) > 3 * 1000


def test_thirty_zones(ours: Machine) -> None:
    out = ours.script(
        ZONE
        + """
dladm create-etherstub stub0
for i in $(seq 30); do dladm create-vnic -l stub0 z${i}_0; zone z$i z${i}_0; done
for i in $(seq 30); do zoneadm -z z$i boot & done
wait
zoneadm list | wc -l
for i in $(seq 30); do zlogin z$i zonename & done | sort -u | wc -l
for i in $(seq 30); do zoneadm -z z$i halt & done
wait
zoneadm list | wc -l
ls /sys/class/net | wc -l
mount | grep -c /zones || true
"""
    )
    assert out.split() == ["31", "30", "1", "32", "0"]
