"""NAT with real packets [services 1.7, 1.12]."""

from __future__ import annotations

import pytest

from lab.tests.bench import Machine
from lab.tests.gateway_host import GATEWAY, MAP, WORDS

pytestmark = pytest.mark.namespaces


@pytest.fixture(params=["ours", "ordinary"])
def machine(request: pytest.FixtureRequest) -> Machine:
    made = request.getfixturevalue(request.param)
    assert isinstance(made, Machine)
    return made


def test_a_map_hides_every_protocol_and_nothing_leaks(machine: Machine) -> None:
    out = machine.script(
        GATEWAY
        + MAP
        + """
serve outside 7
zonelab outside capture start
ask box tcp 198.51.100.1 7
ask box udp 192.0.2.1 7
zlogin box ping -c1 -W9 198.51.100.1 | grep -o ttl=63
ipnat -l -z gw > /var/talk/listed
zonelab outside capture stop
zonelab outside capture show --count --src 10.99.0.0/24
cat /var/talk/listed | sed '1,/sessions/d' | tr -s ' ' | sed 's/ [0-9]\\{5\\}//g'
ipnat -lh -z gw | sed -n '2,3s/ .*//p'
"""
    )
    assert out.splitlines() == [
        "192.0.2.5 7 hi", "192.0.2.5 7 hi", "ttl=63", "0",
        "MAP 10.99.0.5 <- -> 192.0.2.5 [198.51.100.1]",
        "MAP 10.99.0.5 <- -> 192.0.2.5 [192.0.2.1 7]",
        "MAP 10.99.0.5 <- -> 192.0.2.5 [198.51.100.1 7]",
        "2", "1",
    ]  # fmt: skip


def test_ports_come_from_the_range_and_other_networks_are_left_alone(ours: Machine) -> None:
    out = ours.script(
        GATEWAY
        + """
echo 'map gwout0 10.99.0.0/24 -> 192.0.2.77/32 portmap udp 20000:20003;' | ipnat -z gw -f -
serve outside 7
in_vain ask box udp 192.0.2.1 7
ipnat -l -z gw | sed -n 's/.* \\(2000[0-3]\\) .*/in range/p'
ask gw udp 192.0.2.1 7
zonelab outside route add 10.99.0.0/24 via 192.0.2.5
ask box tcp 192.0.2.1 7
"""
    )
    assert out.splitlines() == ["silence", "in range", "192.0.2.5 7 hi", "10.99.0.5 7 hi"]  # nobody has 192.0.2.77


def test_the_longest_prefix_wins_whatever_the_order(ours: Machine) -> None:
    out = ours.script(
        GATEWAY
        + """
zlogin gw ipadm create-addr -T static -a 192.0.2.6/24 gwout0/v4b
printf 'map gwout0 10.0.0.0/8 -> 192.0.2.5/32;map gwout0 10.99.0.5/32 -> 192.0.2.6/32;' | ipnat -z gw -f -
serve outside 7
ask box tcp 192.0.2.1 7
printf 'map gwout0 from 10.99.0.5/32 to 198.51.100.0/24 -> 0/0;' | ipnat -z gw -f -
ask box tcp 192.0.2.1 7
ipnat -C -z gw
printf 'map gwout0 from 10.99.0.5/32 ! to 198.51.100.0/24 -> 192.0.2.6/32;map gwout0 10.99.0.5/32 -> 0/32;' |
    ipnat -z gw -f -
ask box tcp 192.0.2.1 7
ask box tcp 198.51.100.1 7
"""
    )
    first, second, _cleared, third, fourth = out.splitlines()
    assert (first, second) == ("192.0.2.6 7 hi", "192.0.2.6 7 hi")
    assert (third, fourth) == ("192.0.2.6 7 hi", "192.0.2.5 7 hi")


def test_a_bimap_works_in_both_directions(ours: Machine) -> None:
    out = ours.script(
        GATEWAY
        + """
zlogin gw ipadm create-addr -T static -a 192.0.2.7/24 gwout0/v4b
echo 'bimap gwout0 10.99.0.5/32 -> 192.0.2.7/32;' | ipnat -z gw -f -
serve outside 7
serve box 80
ask box tcp 192.0.2.1 7
ask outside tcp 192.0.2.7 80
zonelab outside run -- ping -c1 -W9 192.0.2.7 | grep -o ttl=63
ipnat -l -z gw | sed '1,/sessions/d' | grep -c BIMAP
"""
    )
    assert out.splitlines() == ["192.0.2.7 7 hi", "192.0.2.1 80 hi", "ttl=63", "3"]


def test_a_bimap_of_networks_keeps_the_host_part(ours: Machine) -> None:
    out = ours.script(
        GATEWAY
        + """
zonelab outside route add 203.0.113.0/24 via 192.0.2.5
echo 'bimap gwout0 10.99.0.0/24 -> 203.0.113.0/24;' | ipnat -z gw -f -
serve outside 7
serve box 80
ask box udp 192.0.2.1 7
ask outside tcp 203.0.113.5 80
"""
    )
    assert out.splitlines() == ["203.0.113.5 7 hi", "192.0.2.1 80 hi"]


RDR = r"""
serve box 80 8001 9000 9003
cat > /var/talk/nat <<'END'
rdr gwout0 192.0.2.5/32 port 8080 -> 10.99.0.5 port 80 tcp;
rdr gwout0 192.0.2.5/32 port 7000-7002 -> 10.99.0.5 port 8000 tcp/udp;
rdr gwout0 192.0.2.5/32 port 9000-9010 -> 10.99.0.5 port 9000 tcp;
rdr gwout0 192.0.2.5/32 port 30000-39999 -> 10.99.0.5 port 1000 tcp;
rdr gwout0 192.0.2.5/32 port 6000-6010 -> 10.99.0.5 port = 9000 udp;
rdr gwout0 from 192.0.2.1/32 to 192.0.2.5/32 port = 22 -> 10.99.0.5 port 80 tcp;
rdr gwout0 from 192.0.2.2/32 to 192.0.2.5/32 port = 23 -> 10.99.0.5 port 80 tcp;
END
ipnat -z gw -f /var/talk/nat
"""


def test_rdr_offsets_ranges_fixed_ports_and_filters_by_source(machine: Machine) -> None:
    out = machine.script(
        GATEWAY
        + RDR
        + """
for port in 8080 7001 9003 38000 22 23; do ask outside tcp 192.0.2.5 $port; done
for port in 7001 6007 8080; do ask outside udp 192.0.2.5 $port; done
ask gw tcp 192.0.2.5 8080
ask box tcp 192.0.2.5 8080
ipnat -l -z gw | sed '1,/sessions/d' | tr -s ' ' | cut -d' ' -f1-3,6-7 | sort | uniq
"""
    )
    assert out.splitlines() == [
        "192.0.2.1 80 hi", "192.0.2.1 8001 hi", "192.0.2.1 9003 hi", "192.0.2.1 9000 hi",
        "192.0.2.1 80 hi", "Connection refused",
        "192.0.2.1 8001 hi", "192.0.2.1 9000 hi", "Connection refused",
        "Connection refused", "Connection refused",
        "RDR 10.99.0.5 80 192.0.2.5 22", "RDR 10.99.0.5 80 192.0.2.5 8080", "RDR 10.99.0.5 8001 192.0.2.5 7001",
        "RDR 10.99.0.5 9000 192.0.2.5 38000", "RDR 10.99.0.5 9000 192.0.2.5 6007", "RDR 10.99.0.5 9003 192.0.2.5 9003",
    ]  # fmt: skip


def test_inside_clients_reach_the_outside_address_with_rdr_and_map_on_the_inside(ours: Machine) -> None:
    out = ours.script(
        GATEWAY
        + """
serve box 80
echo 'rdr gwin0 192.0.2.5/32 port 8080 -> 10.99.0.5 port 80 tcp; map gwin0 10.99.0.0/24 -> 0/32;' | ipnat -z gw -f -
ask box tcp 192.0.2.5 8080
ipnat -l -z gw | sed '1,/sessions/d' | cut -d' ' -f1
"""
    )
    assert out.splitlines() == ["10.99.0.1 80 hi", "MAP", "RDR"]


def test_servers_take_turns_or_stick(ours: Machine) -> None:
    out = ours.script(
        GATEWAY
        + r"""
zlogin box ipadm create-addr -T static -a 10.99.0.6/24 box0/v4b
zlogin box ipadm create-addr -T static -a 10.99.0.7/24 box0/v4c
serve box 81 82 83
printf 'rdr gwout0 192.0.2.5/32 port 80 -> 10.99.0.5 port 81 tcp round-robin;
rdr gwout0 192.0.2.5/32 port 80 -> 10.99.0.6 port 82 tcp round-robin;
rdr gwout0 192.0.2.5/32 port 80 -> 10.99.0.7 port 83 tcp round-robin;
rdr gwout0 192.0.2.5/32 port 90 -> 10.99.0.5,10.99.0.6 port 81 tcp;
rdr gwout0 192.0.2.5/32 port 91 -> 10.99.0.5,10.99.0.6 port 81 tcp round-robin sticky;
' | ipnat -z gw -f -
for i in 1 2 3 4 5 6; do ask outside tcp 192.0.2.5 80; done | sort | uniq -c | tr -s ' '
for port in 90 91; do
    for i in 1 2 3 4; do ask outside tcp 192.0.2.5 $port; done >/dev/null
    ipnat -l -z gw | grep "192.0.2.5  *$port " | awk '{print $2}' | sort | uniq -c | wc -l
done
"""
    )
    assert out.splitlines() == [" 2 192.0.2.1 81 hi", " 2 192.0.2.1 82 hi", " 2 192.0.2.1 83 hi", "2", "1"]


def test_a_session_outlives_its_rule_but_not_a_flush(machine: Machine) -> None:
    out = machine.script(
        GATEWAY
        + MAP
        + """
serve outside 7
converse box tcp 198.51.100.1 7
say one
ipnat -r -z gw -f /var/talk/nat
say two
ipnat -z gw -f /var/talk/nat
ipnat -C -z gw -f /var/talk/nat
say three
zonelab outside capture start
ipnat -F -z gw
in_vain say four
zonelab outside capture stop
zonelab outside capture show --count --src 10.99.0.0/24
ask box tcp 198.51.100.1 7
"""
    )
    assert out.splitlines() == [
        "192.0.2.5 7 one", "192.0.2.5 7 two", "4 entries flushed from NAT list", "192.0.2.5 7 three",
        "1 entries flushed from NAT table", "silence", "0", "192.0.2.5 7 hi",
    ]  # fmt: skip


def test_a_new_rule_is_for_every_packet_also_of_what_went_on_before(ours: Machine) -> None:
    out = ours.script(
        GATEWAY
        + """
zonelab outside route add 10.99.0.0/24 via 192.0.2.5
serve outside 7
echo 'pass in all keep state' | ipf -f - gw
converse box udp 192.0.2.1 7
say one
"""
        + MAP
        + """
say two
ipnat -C -z gw
say three
ipnat -F -z gw
say four
"""
    )
    assert out.splitlines() == [
        "10.99.0.5 7 one", "192.0.2.5 7 two", "4 entries flushed from NAT list", "192.0.2.5 7 three",
        "1 entries flushed from NAT table", "10.99.0.5 7 four",
    ]  # fmt: skip


def test_a_flush_ends_sessions_of_every_kind(ours: Machine) -> None:
    out = ours.script(
        GATEWAY
        + MAP
        + """
serve outside 7
ask box udp 192.0.2.1 7
ask box tcp 192.0.2.1 7
zlogin box ping -c1 -W9 192.0.2.1 | grep -o ttl=63
ipnat -F -z gw
ipnat -l -z gw | sed '1,/sessions/d'
"""
    )
    assert out.splitlines() == ["192.0.2.5 7 hi", "192.0.2.5 7 hi", "ttl=63", "3 entries flushed from NAT table"]


def test_the_stack_of_the_global_zone_over_its_own_link(ours: Machine) -> None:
    out = ours.script(
        WORDS
        + r"""
dladm create-etherstub inside0
for link in box0 gz0; do dladm create-vnic -l inside0 $link; done
ipadm create-addr -T static -a 192.0.2.5/24 net0/v4
ipadm create-addr -T static -a 10.99.0.1/24 gz0/v4
ipadm set-prop -p forwarding=on ipv4
zone box box0
zlogin box ipadm create-addr -T static -a 10.99.0.5/24 box0/v4
zlogin box route add default 10.99.0.1 >/dev/null
serve outside 7
serve box 80
ipf -E
printf 'map net0 10.99.0.0/24 -> 0/32 portmap tcp/udp auto;\nrdr net0 192.0.2.5/32 port 80 -> 10.99.0.5 port 80 tcp;' |
    ipnat -f -
ask box tcp 192.0.2.1 7
ask outside tcp 192.0.2.5 80
ipf -D
ask outside tcp 192.0.2.5 80
ipf -E
ipnat -l
"""
    )
    assert out.splitlines() == [
        "192.0.2.5 7 hi", "192.0.2.1 80 hi", "Connection refused",
        "List of active MAP/Redirect filters:", "", "List of active sessions:",
    ]  # fmt: skip


def test_ipv6(ours: Machine) -> None:
    out = ours.script(
        GATEWAY
        + r"""
for pair in gw/gwin0/fd00:99::1 gw/gwout0/2001:db8:0:1::5 box/box0/fd00:99::5; do
    zone=${pair%%/*}; rest=${pair#*/}; link=${rest%%/*}
    zlogin $zone ipadm create-addr -T addrconf $link/ll
    zlogin $zone ipadm create-addr -T static -a ${rest#*/}/64 $link/v6
done
zlogin gw ipadm set-prop -p forwarding=on ipv6
zlogin box route add -inet6 default fd00:99::1 >/dev/null
serve outside 7
serve box 80
cat > /var/talk/nat <<'END'
map gwout0 fd00:99::/64 -> 2001:db8:0:1::5/128 portmap tcp/udp 10000:60000;
map gwout0 fd00:99::/64 -> 2001:db8:0:1::5/128;
rdr gwout0 2001:db8:0:1::5/128 port 8080-8089 -> fd00:99::5 port = 80 tcp;
END
ipnat -z gw -f /var/talk/nat
ask box tcp 2001:db8:0:1::1 7
ask box udp 2001:db8:0:1::1 7
zlogin box ping -c1 -W9 2001:db8:0:1::1 | grep -o ttl=63
ask outside tcp 2001:db8:0:1::5 8083
ipnat -l -z gw | sed '1,/sessions/d' | tr -s ' ' | cut -d' ' -f1,2
"""
    )
    assert out.splitlines() == [
        "2001:db8:0:1::5 7 hi", "2001:db8:0:1::5 7 hi", "ttl=63", "2001:db8:0:1::1 80 hi",
        "RDR fd00:99::5", "MAP fd00:99::5", "MAP fd00:99::5", "MAP fd00:99::5",
    ]  # fmt: skip


def test_rules_of_links_with_long_names_and_of_links_to_come(ours: Machine) -> None:
    out = ours.script(
        GATEWAY
        + """
serve outside 7
echo 'map a_link_with_a_long_name0 10.99.0.0/24 -> 0/32; map later0 10.99.0.0/24 -> 0/32;' | ipnat -z gw -f -
dladm create-vnic -l net0 a_link_with_a_long_name0
dladm create-vnic -l net0 later0
for link in a_link_with_a_long_name0 later0; do
    zlogin gw ipadm delete-if gwout0 >/dev/null 2>&1 || :
    dladm set-linkprop -t -p zone=gw $link
    zlogin gw ipadm create-addr -T static -a 192.0.2.9/24 $link/v4
    ask box tcp 192.0.2.1 7
    zlogin gw ipadm delete-if $link
done
"""
    )
    assert out.splitlines() == ["192.0.2.9 7 hi", "192.0.2.9 7 hi"]


def test_a_thousand_rules_change_at_once_and_fast(ordinary: Machine) -> None:
    out = ordinary.script(
        GATEWAY
        + """
serve outside 7
seq 1000 | sed 's/.*/rdr gwout0 192.0.2.5 port &0 -> 10.99.0.5 port & tcp;/' > /var/talk/many
ipnat -z gw -f /var/talk/many
serve box 80
ask outside tcp 192.0.2.5 800
began=$(date +%s%N)
for i in 1 2 3; do
    sed -n 500p /var/talk/many | ipnat -r -z gw -f -
    sed -n 500p /var/talk/many | ipnat -z gw -f -
done
echo $((($(date +%s%N) - began) / 6000000))
ipnat -l -z gw | grep -c ^rdr
ask outside tcp 192.0.2.5 800
"""
    )
    first, milliseconds, count, last = out.splitlines()
    assert (first, count, last) == ("192.0.2.1 80 hi", "1000", "192.0.2.1 80 hi")
    assert int(milliseconds) < 1000


def test_a_zone_that_halts_takes_its_rules_along(ours: Machine) -> None:
    out = ours.script(
        GATEWAY
        + MAP
        + """
zoneadm -z gw halt
ipnat -l -z gw 2>&1 || echo $?
zoneadm -z gw boot
ipnat -l -z gw 2>&1 || echo $?
ipf -E gw
ipnat -l -z gw
"""
    )
    assert out.splitlines() == [
        "Could not find running zone: gw", "1", "ioctl(SIOCGNATS): I/O error", "1",
        "List of active MAP/Redirect filters:", "", "List of active sessions:",
    ]  # fmt: skip
