"""dhcpd and dnsmasq as services, in the global zone and in a zone, with packets [services 4.1, 5.1, 5.2]."""

from __future__ import annotations

import pytest

from lab.tests.bench import Machine

pytestmark = pytest.mark.namespaces

# z1 with 10.99.0.1 on stub0, where the global zone's client0 waits; z0's place is gw0 in the global zone on stub1.
PRELUDE = r"""
settled() { # [-z ZONE] FMRI WORD
    for word in "$@"; do :; done
    for try in $(seq 600); do
        now=$(svcs -H -o state,nstate $1 $2 $3 2>/dev/null | tr -s ' ')
        [ "$now" = "$word -" ] && return
        sleep 0.02
    done
    echo "not $word but $now"
}
gone() { # CONTRACT [-z ZONE] FMRI
    was=$1; shift
    for try in $(seq 600); do [ "$(svcs -Ho ctid "$@")" = $was ] || return 0; sleep 0.02; done
    echo "still $was"
}
cleared() { # FMRI, which fails again: svcadm clear only asks
    was=$(svcprop -p restarter/state_timestamp $1)
    svcadm clear $1
    for try in $(seq 600); do [ "$(svcprop -p restarter/state_timestamp $1)" = $was ] || break; sleep 0.02; done
    settled $1 maintenance
}
zone() {
    dladm create-etherstub stub0
    dladm create-vnic -l stub0 z1net0
    dladm create-vnic -l stub0 client0
    ipadm create-if client0
    zonecfg -z z1 "create -b; set zonepath=/zones/z1; set brand=sparse; set ip-type=exclusive; \
        add net; set physical=z1net0; end"
    zoneadm -z z1 install
    zoneadm -z z1 boot
    zlogin z1 ipadm create-if z1net0
    zlogin z1 ipadm create-addr -T static -a 10.99.0.1/24 z1net0/v4
}
host() {
    dladm create-etherstub stub1
    dladm create-vnic -l stub1 gw0
    ipadm create-if gw0
    ipadm create-addr -T static -a 10.98.0.1/24 gw0/v4
}
leased() { # what a client on LINK is given, within so many tries, a second each
    udhcpc -i $1 -n -q -f -t ${2:-30} -T 1 -s /bin/true 2>&1 | sed -n 's/.*lease of \([0-9.]*\) obtained.*/\1/p'
}
asked() { # NAME SERVER
    python3 - "$@" <<'PYTHON'
import socket, struct, sys
name, server = sys.argv[1:]
query = struct.pack(">6H", 7, 0x100, 1, 0, 0, 0)
query += b"".join(bytes([len(part)]) + part.encode() for part in name.split(".")) + b"\0" + struct.pack(">2H", 1, 1)
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
    asking.settimeout(30)
    asking.sendto(query, (server, 53))
    answer = asking.recv(512)
print(socket.inet_ntoa(answer[-4:]) if answer[7] else "nothing")
PYTHON
}
dhcp=svc:/network/service/dhcp:ipv4
"""


@pytest.fixture(params=["ours", "ordinary"])
def machine(request: pytest.FixtureRequest) -> Machine:
    made = request.getfixturevalue(request.param)
    assert isinstance(made, Machine)
    return made


def script(machine: Machine, text: str, *options: str) -> list[str]:
    return machine.script(PRELUDE + text, *options).splitlines()


DHCPD = "subnet {0}.0 netmask 255.255.255.0 {{ range {0}.100 {0}.199; }}\n"


def test_dhcpd_in_a_zone(machine: Machine) -> None:
    lines = script(
        machine,
        """
        zone
        root=/zones/z1/root
        printf '%s' '"""
        + DHCPD.format("10.99.0")
        + """' >$root/etc/dhcpd.conf
        svcadm -z z1 enable -s $dhcp
        leased client0
        zlogin z1 svcs -p $dhcp | tail -1 | awk '{print $3}'
        was=$(svcprop -z z1 -p restarter/contract $dhcp)
        zlogin z1 pgrep -c $was | wc -l
        zlogin z1 pkill -KILL -c $was
        gone $was -z z1 $dhcp
        settled -z z1 $dhcp online
        leased client0
        echo nonsense >$root/etc/dhcpd.conf
        svcadm -z z1 restart $dhcp
        settled -z z1 $dhcp maintenance
        svcs -z z1 -x $dhcp | sed -n 's/^Reason: //p'
        leased client0 2
        printf '%s' '"""
        + DHCPD.format("10.99.0")
        + """' >$root/etc/dhcpd.conf
        svcadm -z z1 clear $dhcp
        settled -z z1 $dhcp online
        leased client0
        grep -c '^lease' $root/var/db/dhcpd.leases
        """,
    )
    address = lines[0]
    assert address.startswith("10.99.0.1")
    assert lines[1:] == ["dhcpd", "1", address, "Start method exited with $SMF_EXIT_ERR_FATAL.", address, lines[-1]]
    assert int(lines[-1]) >= 1


def test_dhcpd_in_the_global_zone(machine: Machine) -> None:
    lines = script(
        machine,
        """
        host
        dladm create-vnic -l stub1 client1
        ipadm create-if client1
        svcadm enable -s $dhcp 2>/dev/null || echo $?
        tail -2 /var/svc/log/network-service-dhcp:ipv4.log | head -1
        printf '%s' '"""
        + DHCPD.format("10.98.0")
        + """' >/etc/dhcpd.conf
        chmod 600 /etc/dhcpd.conf
        cleared $dhcp
        tail -2 /var/svc/log/network-service-dhcp:ipv4.log | head -1
        chmod 644 /etc/dhcpd.conf
        svccfg -s $dhcp setprop config/listen_ifnames = astring: nosuch0
        svcadm refresh $dhcp
        cleared $dhcp
        svccfg -s $dhcp setprop config/listen_ifnames = gw0
        svcadm refresh $dhcp
        svcadm clear $dhcp
        settled $dhcp online
        tr '\\0' ' ' </proc/$(pgrep -c $(svcprop -p restarter/contract $dhcp))/cmdline; echo
        leased client1
        was=$(svcprop -p restarter/contract $dhcp)
        svcadm refresh $dhcp
        [ $(svcprop -p restarter/contract $dhcp) = $was ] && pkill -HUP -c $was
        gone $was $dhcp
        settled $dhcp online
        svcadm disable -s $dhcp
        pgrep dhcpd || echo none
        """,
    )
    assert lines[0] == "3"
    assert lines[1:3] == ["/etc/dhcpd.conf does not exist", "/etc/dhcpd.conf cannot be read by dhcpserv"]
    assert lines[3].rstrip().endswith("dhcpd -4 --no-pid -q -cf /etc/dhcpd.conf -lf /var/db/dhcpd.leases gw0")
    assert lines[4].startswith("10.98.0.1")
    assert lines[5:] == ["none"]


def test_dnsmasq_in_a_zone(machine: Machine) -> None:
    """HUP reaches the process and reads the host files again; a halt ends it, a boot brings it back."""
    lines = script(
        machine,
        """
        zone
        root=/zones/z1/root
        it=svc:/network/dnsmasq:default
        mkdir -p $root/etc/hosts.d
        printf '%s\\n' interface=z1net0 bind-interfaces no-resolv no-hosts user=dnsmasq addn-hosts=/etc/hosts.d \
            dhcp-range=10.99.0.0,static,5m dhcp-hostsfile=/etc/hosts.dhcp >$root/etc/dnsmasq.conf
        echo "10.99.0.7 one.test" >$root/etc/hosts.d/one
        : >$root/etc/hosts.dhcp
        svcadm -z z1 enable -s $it
        ipadm create-addr -T static -a 10.99.0.9/24 client0/v4
        asked one.test 10.99.0.1
        pid=$(zlogin z1 pgrep -c $(svcprop -z z1 -p restarter/contract $it))
        echo "10.99.0.8 two.test" >$root/etc/hosts.d/two
        echo "$(cat /sys/class/net/client0/address),10.99.0.55" >$root/etc/hosts.dhcp
        zlogin z1 pkill -HUP -c $(svcprop -z z1 -p restarter/contract $it)
        until [ $(asked two.test 10.99.0.1) = 10.99.0.8 ]; do sleep 0.05; done  # a signal has no answer
        leased client0
        [ "$(zlogin z1 pgrep -c $(svcprop -z z1 -p restarter/contract $it))" = "$pid" ] && echo same
        zoneadm -z z1 halt
        pgrep -x dnsmasq || echo none
        svcs -z z1 $it 2>&1 || echo $?
        zoneadm -z z1 boot
        settled -z z1 $it online
        asked two.test 10.99.0.1 2>/dev/null || echo silence
        """,
    )
    halted = "svcs: Could not bind to repository server: repository server unavailable.  Exiting."
    assert lines == ["10.99.0.7", "10.99.0.55", "same", "none", halted, "1", "10.99.0.8"]


def test_dnsmasq_in_the_global_zone(machine: Machine) -> None:
    """As illumos builds it: without inotify; what the file says beyond that is dnsmasq's own affair."""
    lines = script(
        machine,
        """
        host
        it=svc:/network/dnsmasq:default
        svcadm enable -s $it 2>/dev/null || echo $?
        printf '%s\\n' interface=gw0 bind-interfaces no-resolv no-hosts address=/a.test/10.9.9.9 >/etc/dnsmasq.conf
        svcadm enable -s $it
        asked a.test 10.98.0.1
        mkdir /etc/dnsmasq.d
        echo conf-dir=/etc/dnsmasq.d >>/etc/dnsmasq.conf
        echo 'hostsdir = /x' >/etc/dnsmasq.d/more
        dnsmasq --test
        dnsmasq -C /etc/dnsmasq.conf -k || echo $?
        svcadm restart $it
        settled $it maintenance
        svcs -x $it | sed -n 's/^Reason: //p'
        rm /etc/dnsmasq.d/more
        svcadm clear $it
        settled $it online
        asked a.test 10.98.0.1
        was=$(svcprop -p restarter/contract $it)
        pkill -9 -x dnsmasq
        gone $was $it
        settled $it online
        asked a.test 10.98.0.1
        """.replace("--test", "--test 2>&1").replace("-k ||", "-k 2>&1 ||"),
    )
    assert lines == [
        "4",
        "10.9.9.9",
        "dnsmasq: syntax check OK.",
        "",
        "dnsmasq: dhcp-hostsdir, dhcp-optsdir and hostsdir are not supported on this platform",
        "1",
        "Start method failed repeatedly, last exited with status 1.",
        "10.9.9.9",
        "10.9.9.9",
    ]


def test_omnios_keeps_dnsmasq_elsewhere(machine: Machine) -> None:
    lines = script(
        machine,
        """
        host
        zone
        it=svc:/network/dns/dnsmasq:default
        for root in '' /zones/z1/root; do
            file=$root/etc/opt/ooce/dnsmasq/dnsmasq.conf
            printf '%s\\n' bind-interfaces no-resolv no-hosts address=/a.test/10.9.9.9 listen-address=127.0.0.1 >$file
        done
        echo interface=gw0 >>/etc/opt/ooce/dnsmasq/dnsmasq.conf
        echo interface=z1net0 >>/zones/z1/root/etc/opt/ooce/dnsmasq/dnsmasq.conf
        svcadm enable -s $it
        svcadm -z z1 enable -s $it
        asked a.test 10.98.0.1
        ipadm create-addr -T static -a 10.99.0.9/24 client0/v4
        asked a.test 10.99.0.1
        was=$(svcprop -p restarter/contract $it)
        svcadm refresh $it
        echo dhcp-range=10.98.0.0,static,5m >>/etc/opt/ooce/dnsmasq/dnsmasq.conf
        svcadm restart $it
        settled $it maintenance
        grep -c 'not emulated: DHCP from' /var/svc/log/network-dns-dnsmasq:default.log
        """,
        "--omnios",
    )
    assert lines == ["10.9.9.9", "10.9.9.9", "3"]


def test_a_daemon_that_fails_by_script(ours: Machine) -> None:
    lines = script(
        ours,
        """
        host
        : >/etc/dnsmasq.conf
        zonelab fault add fail 'dnsmasq*' --times 3 --status 'out of memory'
        svcadm enable -s dnsmasq 2>/dev/null || echo $?
        grep -c '^dnsmasq: out of memory' /var/svc/log/network-dnsmasq:default.log
        echo port=0 >/etc/dnsmasq.conf
        svcadm clear dnsmasq
        settled dnsmasq online
        """,
    )
    assert lines == ["3", "3"]
