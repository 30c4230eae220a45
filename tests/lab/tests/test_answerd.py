"""`zonelab answer`: a server in a zone that says the zone's name, and behaves as it is told."""

from __future__ import annotations

import pytest

from lab.tests.bench import Machine

pytestmark = pytest.mark.namespaces

PRELUDE = r"""
zones() { # NUMBER: z1, z2, ... at 10.99.1.N on stub0, configured and installed; the global zone is 10.99.0.1
    dladm create-etherstub stub0
    dladm create-vnic -l stub0 c0
    ipadm create-if c0
    ipadm create-addr -T static -a 10.99.0.1/16 c0/v4
    for i in $(seq $1); do
        dladm create-vnic -l stub0 z${i}_0
        zonecfg -z z$i "create -b; set zonepath=/zones/z$i; set brand=sparse; set ip-type=exclusive; \
            add net; set physical=z${i}_0; set allowed-address=10.99.1.$i/16; end"
        zoneadm -z z$i install
    done
}
cat > /tmp/get.py <<'END'
import http.client, sys, time
host, path = sys.argv[1:3]
connection = http.client.HTTPConnection(host, 80, timeout=1 if "--vain" in sys.argv else 30)
begun = time.monotonic()
try:
    for _ in range(500):
        try:
            connection.connect()  # a reset may come as soon as it is made
            break
        except ConnectionRefusedError:
            if "--once" in sys.argv:
                break
            time.sleep(0.02)
    connection.request("GET", path)
    answer = connection.getresponse()
    print(answer.status, answer.getheader("X-Zone"), answer.read().decode().split("\n")[0][:20])
except ConnectionRefusedError:
    print("refused")
except ConnectionResetError:
    print("reset")
except http.client.RemoteDisconnected:
    print("reset")
except TimeoutError:
    print("silence")
if "--took" in sys.argv:
    print(time.monotonic() - begun > 0.9)
END
get() { python3 /tmp/get.py "$@"; } # HOST PATH [--once] [--took] [--vain: a second of silence will do]
mode() { zonelab answer z1 --mode $1; }
refused() { # HOST: within a while; it looks at its mode four times a second, and when somebody comes
    for try in $(seq 100); do [ "$(get $1 / --once)" = refused ] && break; sleep 0.1; done
    get $1 / --once
}
"""


def script(machine: Machine, text: str) -> list[str]:
    return machine.script(PRELUDE + text).splitlines()


def test_each_zone_says_its_own_name(ours: Machine) -> None:
    """Twenty of them, from their boot on, by a process of less than two megabytes each."""
    lines = script(
        ours,
        """
        zones 20
        for i in $(seq 20); do zonelab answer z$i; done
        seq 20 | xargs -P 4 -I N zoneadm -z zN boot
        for i in $(seq 20); do get 10.99.1.$i /; done
        ps -C answerd -o rss= | awk '{ if ($1 > 2048) print "big" }'
        pgrep -c answerd
        """,
    )
    assert lines == [*(f"200 z{number} z{number}" for number in range(1, 21)), "20"]


def test_in_a_running_zone_and_after_a_boot(ordinary: Machine) -> None:
    lines = script(
        ordinary,
        """
        zones 2
        zoneadm -z z1 boot
        zonelab answer z1 --http 80 --tcp 7000 --name another
        get 10.99.1.1 / --once
        (sleep 0.2; echo hello; sleep 0.2) | nc 10.99.1.1 7000
        zoneadm -z z1 halt
        zoneadm -z z1 boot
        get 10.99.1.1 /
        zonelab answer z2 --slow-start 4
        zoneadm -z z2 boot
        sleep 0.2
        get 10.99.1.2 / --once
        get 10.99.1.2 / --took | head -1
        zonelab answer nosuch 2>&1 || echo $?
        echo '#!/bin/sh' >/zones/z2/root/etc/rc.local
        zonelab answer z2 2>&1 || echo $?
        """,
    )
    assert lines == [
        "200 another another", "another", "hello", "200 another another", "refused", "200 z2 z2",
        "zonelab: no zone nosuch with a zonepath", "1", "zonelab: zone z2 has an etc/rc.local of its own", "1",
    ]  # fmt: skip


def test_how_it_behaves(ours: Machine) -> None:
    lines = script(
        ours,
        """
        zones 1
        zonelab answer z1
        zoneadm -z z1 boot
        get 10.99.1.1 /health
        get 10.99.1.1 /slow?500
        get 10.99.1.1 /slow?3000 --vain
        get 10.99.1.1 /size?100000
        get 10.99.1.1 /headers
        mode sick; get 10.99.1.1 /health; get 10.99.1.1 /
        mode error; get 10.99.1.1 /
        mode reset; get 10.99.1.1 /
        mode hang; get 10.99.1.1 / --vain
        mode refuse; refused 10.99.1.1
        mode well; get 10.99.1.1 /
        get 10.99.1.1 /stats
        """,
    )
    assert lines == [
        "200 z1 ok", "200 z1 z1", "silence", "200 z1 xxxxxxxxxxxxxxxxxxxx", "200 z1 GET /headers HTTP/1.",
        "503 z1 no", "200 z1 z1", "500 z1 z1", "reset", "silence", "refused", "200 z1 z1", "200 z1 requests 10",
    ]  # fmt: skip
