"""nc as illumos has it, and what else a zone's script finds there; processes of a contract by age and parent."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.dispatch import NOT_EMULATED
from lab.tests.bench import Machine
from lab.tests.proxy_host import EVERYWHERE
from lab.tests.zone_host import Host

USAGE = "usage: nc [-46DdhklnrtUuvz] [-i interval] [-P proxy_username] [-p port]"


def test_what_is_not_illumos(tmp_path: Path) -> None:
    host = Host(tmp_path)
    for words in (["-N", "h", "1"], ["-q", "1", "h", "1"], ["-b", "h", "1"]):
        done = host.run("nc", *words)
        assert (done.status, done.err.splitlines()[:2]) == (1, [f"nc: illegal option -- {words[0][1]}", USAGE])
    for words in ([], ["h"], ["-h"], ["-w"]):
        assert USAGE in host.run("nc", *words).err
    for words in (["-x", "proxy", "h", "1"], ["-T", "lowdelay", "h", "1"]):
        assert host.run("nc", *words).status == NOT_EMULATED


@EVERYWHERE
def test_in_a_zone(machine: Machine) -> None:
    """It closes its half and reads on; -w bounds the waiting for data; a socket of the zone is reached by its path."""
    out = machine.script(
        """
        zonecfg -z z1 "create; set zonepath=/zones/z1; set ip-type=exclusive"
        zoneadm -z z1 install >/dev/null
        zoneadm -z z1 boot
        zonelab answer z1 --http 80 --tcp 7000
        cat > /zones/z1/root/var/serve.py <<'END'
import socket, sys, time
listener = socket.socket(socket.AF_UNIX)
listener.bind("/var/run/words")
listener.listen()
while True:
    peer, _ = listener.accept()
    said = b""
    while data := peer.recv(100):
        said += data
    time.sleep(0.2)
    peer.sendall(b"got " + said)
    peer.close()
END
        zlogin z1 'python3 /var/serve.py >/dev/null 2>&1 &'
        for try in $(seq 1000); do [ -S /zones/z1/root/run/words ] && break; sleep 0.02; done
        zlogin z1 'echo hello | nc -U /var/run/words'
        zlogin z1 'sleep 5 | timeout 4 nc -w 1 127.0.0.1 7000; echo $?' | tr '\\n' ' '; echo
        zlogin z1 'nc -z 127.0.0.1 80; echo $?; nc -z 127.0.0.1 81; echo $?'
        zlogin z1 'nc -U /var/run/nosuch; echo $?'
        zlogin z1 'nc -v 127.0.0.1 81 2>&1; echo $?'
        zlogin z1 'bash -c "exec 3<>/dev/tcp/127.0.0.1/7000; head -1 <&3"'
        dladm create-etherstub stub0
        dladm create-vnic -l stub0 c0
        ipadm create-if c0
        ipadm create-addr -T static -a 10.99.0.1/24 c0/v4
        timeout 2 nc -w 1 10.99.0.200 80 </dev/null || echo $?
        """
    ).splitlines()
    assert out == [
        "got hello", "z1 0 ", "Connection to 127.0.0.1 80 port [tcp/http] succeeded!", "0", "1", "1",
        "nc: connect to 127.0.0.1 port 81 (tcp) failed: Connection refused", "1", "z1", "124",
    ]  # fmt: skip


@pytest.mark.namespaces
def test_processes_of_a_contract(ours: Machine) -> None:
    """A service of three processes, the second and third children of the first."""
    out = ours.script(
        r"""
        zonecfg -z z1 "create; set zonepath=/zones/z1; set ip-type=exclusive"
        zoneadm -z z1 install >/dev/null
        zoneadm -z z1 boot
        cat >/zones/z1/root/var/family <<'END'
#!/bin/sh
cat /dev/zero >/dev/null & sleep 0.1; sleep 1000 & wait
END
        chmod 755 /zones/z1/root/var/family
        mkdir -p /zones/z1/root/var/svc/manifest/site
        cat >/zones/z1/root/var/svc/manifest/site/family.xml <<'XML'
<?xml version='1.0'?>
<!DOCTYPE service_bundle SYSTEM '/usr/share/lib/xml/dtd/service_bundle.dtd.1'>
<service_bundle type='manifest' name='family'><service name='site/family' type='service' version='1'>
<create_default_instance enabled='false'/><method_context working_directory='/'/>
<exec_method type='method' name='start' exec='/var/family &amp;' timeout_seconds='20'/>
<exec_method type='method' name='stop' exec=':kill' timeout_seconds='20'/>
<property_group name='startd' type='framework'><propval name='ignore_error' type='astring' value='core,signal'/>
</property_group></service></service_bundle>
XML
        zlogin z1 svccfg import /var/svc/manifest/site/family.xml
        svcadm -z z1 enable -s family
        c=$(svcs -z z1 -Ho ctid family)
        at() { zlogin z1 "$@"; }
        for try in $(seq 200); do [ "$(at pgrep -f -c $c 1000)" ] && break; sleep 0.02; done
        set -- $(at pgrep -c $c)
        [ "$(at pgrep -o -c $c)" = $1 ] && [ "$(at pgrep -n -c $c)" = $3 ] && echo age
        [ "$(at pgrep -P 1 -c $c)" = $1 ] && [ "$(echo $(at pgrep -P $1 -c $c))" = "$2 $3" ] && echo parent
        [ "$(at pgrep -x -c $c sleep)" = $3 ] && [ "$(at pgrep -o -c $c 's.*e')" = $3 ] && echo name
        at pgrep -l -x -c $c cat | sed "s/ *$2 //"
        at pgrep -fl -n -c $c | sed 's/ *[0-9]* //'
        at pgrep -x -c $c nosuch || echo $?
        at pgrep -o -n -c $c 2>&1 | head -1
        at pgrep -u root -c $c 2>&1 | sed "s/ $c:/ N:/"
        at pkill -n -c $c
        left() { for try in $(seq 200); do [ $(at pgrep -c $c | wc -l) = $1 ] && break; sleep 0.02; done; }
        left 2
        pgrep -x -c $c sleep || echo two
        at pkill -USR2 -o -c $c
        left 1
        at pgrep -l -c $c | sed "s/ *$2 //"
        """
    ).splitlines()
    assert out == [
        "age", "parent", "name", "cat", "sleep 1000", "1", "pgrep: -n and -o are mutually exclusive",
        "zonelab: not emulated: pgrep -u root -c N: -c together with -u",
        "two", "cat",
    ]  # fmt: skip
