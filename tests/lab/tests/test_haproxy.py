"""haproxy as a service, with packets from outside through it to another zone [services 6.1, 6.3, traps 46-48]."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.tests.bench import Machine
from lab.tests.proxy_host import EVERYWHERE, OMNIOS, PLACES, TRIBBLIX, Place
from lab.tests.zone_host import Host
from lab.world import Dialect

WRITE = """
write() { # PORT [LINE OF global]
    cat > $root$cfg <<END
global
    stats socket $sock mode 600 level admin
    ${2:-maxconn 200}
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    timeout tunnel 60s
frontend front
    bind :$1
    default_backend box
backend box
    balance roundrobin
    server box 10.99.0.5:8080
END
}
ask() { zlogin gw "echo '$*' | nc -U $sock"; }
"""


def test_without_a_file_on_tribblix(ours: Machine) -> None:
    lines = TRIBBLIX.script(
        ours,
        """
        svcs -z gw -Ho state $ha
        svcs -Ho state $ha
        svcadm -z gw enable -s $ha 2>/dev/null || echo $?
        svcs -z gw -x $ha | sed -n 's/^Reason: //p'
        """,
    )
    assert lines == ["disabled", "disabled", "3", "Start method exited with $SMF_EXIT_ERR_CONFIG."]


def test_without_a_file_on_omnios(ours: Machine) -> None:
    lines = OMNIOS.script(
        ours,
        """
        svcs -z gw -Ho state $ha
        svcs -Ho state $ha
        svcadm -z gw enable -s $ha 2>/dev/null || echo $?
        svcs -z gw -x $ha | sed -n 's/^Reason: //p'
        """,
    )
    assert lines == ["disabled", "disabled", "3", "Start method failed repeatedly, last exited with status 1."]


@EVERYWHERE
@PLACES
def test_from_outside_to_another_zone(machine: Machine, place: Place) -> None:
    lines = place.script(
        machine,
        WRITE
        + """
        write 8000
        zlogin gw $haproxy -c -f $cfg
        svcadm -z gw enable -s $ha
        fetch 8000
        ask show servers state box | sed -n 's/.* box 10.99.0.5 2 .*/up/p'
        ask disable server box/box
        ask add server box/more 10.99.0.5:8080 | head -1
        ask enable server box/more
        fetch 8000
        ask del server box/more | head -1
        zoneadm -z gw halt
        zoneadm -z gw boot
        settled $ha online
        until_fetched 8000 box
        echo nonsense >> $root$cfg
        zlogin gw $haproxy -c -f $cfg >/dev/null 2>&1 || echo $?
        : > $root$cfg
        zlogin gw $haproxy -c -f $cfg >/dev/null 2>&1 || echo $?
        """,
    )
    # `ask` ends each answer with an empty line
    said = [line for line in lines if line]
    assert said == [
        "Configuration file is valid", "box", "up", "New server registered.", "box",
        "Only servers in maintenance mode can be deleted.", "1", "2",
    ]  # fmt: skip


@PLACES
def test_a_master_takes_a_new_configuration(ours: Machine, place: Place) -> None:
    """The contract and the master stay; a long connection stays with the old worker; no request fails."""
    lines = place.script(
        ours,
        WRITE
        + """
        write 8000 master-worker
        svcadm -z gw enable -s $ha
        was=$(contract $ha) master=$(zlogin gw pgrep -o -c $(contract $ha))
        [ "$(zlogin gw cat $pidfile)" = $master ] && echo master
        open_upgraded 8000
        tell hello
        load 8000
        for time in 1 2 3; do
            worker=$(zlogin gw pgrep -n -c $was)
            zlogin gw pkill -USR2 -o -c $was
            for try in $(seq 200); do [ "$(zlogin gw pgrep -n -c $was)" = $worker ] || break; sleep 0.05; done
            sleep 0.3
        done
        loaded
        tell again
        [ "$(contract $ha)" = $was ] && [ "$(zlogin gw pgrep -o -c $was)" = $master ] && echo same
        workers() { zlogin gw pgrep -P $master -c $was | wc -l; }
        for try in $(seq 500); do [ $(workers) = 2 ] && break; sleep 0.02; done  # those between the two have nobody
        workers
        """,
    )
    assert lines == ["master", "hello", "all", "again", "same", "2"]


def test_a_refresh_on_tribblix(ours: Machine) -> None:
    """It starts another one outside the contract: the service counts as ended and is restarted [services 3.7].

    A wrong file is maintenance, with the old one still serving.
    """
    lines = TRIBBLIX.script(
        ours,
        WRITE
        + """
        write 8000
        svcadm -z gw enable -s $ha
        was=$(contract $ha)
        write 8001
        svcadm -z gw refresh $ha
        gone $ha $was
        settled $ha online
        until_fetched 8001 box
        log=$root/var/svc/log/network-haproxy2:default.log
        grep -c 'Stopping because all processes in service exited' $log
        echo nonsense >> $root$cfg
        svcadm -z gw refresh $ha
        settled $ha maintenance
        svcs -z gw -x $ha | sed -n 's/^Reason: //p'
        tail -2 $log | head -1
        fetch 8001
        """,
    )
    assert lines == ["1", "Method failed.", "Verifying HAProxy configuration: FAILED", "box"]


def test_a_refresh_on_omnios(ours: Machine) -> None:
    lines = OMNIOS.script(
        ours,
        WRITE
        + """
        write 8000
        svcadm -z gw enable -s $ha
        was=$(contract $ha)
        write 8001
        svcadm -z gw refresh $ha
        sleep 0.3
        settled $ha online
        [ "$(contract $ha)" = $was ] && fetch 8000
        fetch 8001
        """,
    )
    assert lines == ["box", "Connection refused"]


@PLACES
def test_killed(ours: Machine, place: Place) -> None:
    lines = place.script(
        ours,
        WRITE
        + """
        write 8000
        svcadm -z gw enable -s $ha
        was=$(contract $ha)
        zlogin gw pkill -KILL -x -c $was haproxy
        gone $ha $was
        settled $ha online
        until_fetched 8000 box
        svcadm -z gw disable -s $ha
        pgrep -x haproxy || echo none
        """,
    )
    assert lines == ["none"]


@pytest.mark.parametrize("dialect", [Dialect.VANILLA, Dialect.OMNIOS])
def test_on_paper_a_check_is_a_check(tmp_path: Path, dialect: Dialect) -> None:
    host = Host(tmp_path, dialect)
    haproxy = "/opt/ooce/sbin/haproxy" if dialect is Dialect.OMNIOS else "/opt/tribblix/haproxy/sbin/haproxy"
    host.install("z")
    host.good("zoneadm", "-z", "z", "boot")
    file = host.file("/zones/z/root/etc/my.cfg")
    file.parent.mkdir(exist_ok=True)
    statuses = []
    for text in ("listen x\n bind 10.3.4.5:80\n mode tcp\n", "nonsense\n", "\n"):
        file.write_text(text)
        statuses.append(host.run("zlogin", "z", haproxy, "-c", "-f", "/etc/my.cfg").status)
    assert statuses == [0, 1, 2]
    assert host.run("zlogin", "z", haproxy, "-D", "-f", "/etc/my.cfg").status == 125
