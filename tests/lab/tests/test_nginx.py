"""nginx as a service, with packets from outside through it to another zone [services 6.1, 6.2, traps 44-46]."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lab import nginx_conf
from lab.tests.bench import Machine
from lab.tests.proxy_host import EVERYWHERE, OMNIOS, PLACES, TRIBBLIX, Place
from lab.tests.zone_host import Host
from lab.world import Dialect

SITE = """
site <<'END'
server {
    listen 8000;
    location / {
        proxy_pass http://10.99.0.5:8080;
        proxy_http_version 1.1;
        proxy_set_header Host $host;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection $http_connection;
        proxy_set_header X-Forwarded-For $remote_addr;
    }
    location = /generation { return 200 "first\\n"; }
}
END
"""
SECOND = "sed -i s/first/second/ $root/opt/tribblix/nginx/conf.d/*.conf $root$main 2>/dev/null || true\n"


def test_the_top_of_a_configuration(tmp_path: Path) -> None:
    for name, text in (("conf/more.conf", 'pid "/a b";'), ("else/x.conf", "load_module y;"), ("else/y", "nothing;")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    text = r"""
    # pid /no;
    user a b; events { worker_connections 1; }
    http { pid in a block; server { listen 80; } }
    error_log "a;b{" ; include more.conf; include /else/*.conf; include nosuch*; env A=\;B;
    """
    found = list(nginx_conf.top(text, "/conf", tmp_path))
    assert found == [
        "user", "events", "http", "error_log", "include", "pid", "include", "load_module", "include", "env",
    ]  # fmt: skip


@EVERYWHERE
@PLACES
def test_from_outside_to_another_zone(machine: Machine, place: Place) -> None:
    lines = place.script(
        machine,
        """
        svcs -z gw -Ho state $it
        svcs -Ho state $it
        """
        + SITE
        + """
        svcadm -z gw enable -s $it
        zlogin gw $nginx -t 2>/dev/null
        fetch 8000
        fetch 8000 /headers | tr -d '\\r' | grep -c -e '^X-Forwarded-For: 192.0.2.1$' -e '^Host: box.test$'
        zoneadm -z gw halt
        zoneadm -z gw boot
        settled $it online
        zlogin gw pgrep -c $(contract $it) | wc -l
        """,
    )
    assert lines[:4] == ["disabled", "disabled", "box", "2"]
    assert int(lines[4]) >= 2  # a master and its workers


@EVERYWHERE
def test_in_the_global_zone(machine: Machine) -> None:
    out = machine.script(
        """
        it=svc:/network/nginx:default
        svcadm enable -s $it
        printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc 127.0.0.1 80 | grep -c 'Welcome to nginx!'
        [ "$(cat /opt/tribblix/nginx/logs/nginx.pid)" = "$(pgrep -o -c $(svcs -Ho ctid $it))" ] && echo master
        grep -c 'GET / HTTP' /opt/tribblix/nginx/logs/default.access.log
        svcadm disable -s $it
        pgrep nginx || echo none
        which nginx haproxy || echo nowhere
        """
    )
    assert out.split() == ["1", "master", "1", "none", "nowhere"]


@PLACES
def test_a_reload_under_load(ours: Machine, place: Place) -> None:
    """The contract and the master stay, no request fails, and a long connection goes on with the old worker."""
    lines = place.script(
        ours,
        SITE
        + """
        svcadm -z gw enable -s $it
        was=$(contract $it) master=$(zlogin gw pgrep -o -c $(contract $it))
        open_upgraded 8000
        tell hello
        load 8000
        """
        + SECOND
        + """
        for time in 1 2 3 4; do zlogin gw $nginx -s reload 2>/dev/null; sleep 0.3; done
        loaded
        tell again
        until_fetched 8000 second /generation
        [ "$(contract $it)" = $was ] && [ "$(zlogin gw pgrep -o -c $was)" = $master ] && echo same
        svcs -z gw -p $it | grep -c nginx: || true
        """,
    )
    assert lines[:4] == ["hello", "all", "again", "same"]


def test_what_a_refresh_does_on_tribblix(ours: Machine) -> None:
    """Nothing: there is no such method [trap 45]. And a reload by hand does."""
    lines = TRIBBLIX.script(
        ours,
        SITE
        + """
        svcadm -z gw enable -s $it
        """
        + SECOND
        + """
        svcadm -z gw refresh $it
        settled $it online
        sleep 0.3
        fetch 8000 /generation
        tail -1 $root/var/svc/log/network-nginx:default.log | sed 's/.*[0-9] //; s/ ]//'
        zlogin gw pkill -HUP -o -c $(contract $it)
        until_fetched 8000 second /generation
        """,
    )
    assert lines == ["first", "No 'refresh' method defined.  Treating as :true."]


def test_what_a_refresh_does_on_omnios(ours: Machine) -> None:
    """It reloads; a configuration that is wrong ends in maintenance, with nginx still serving [services 3.7]."""
    lines = OMNIOS.script(
        ours,
        SITE
        + """
        svcadm -z gw enable -s $it
        """
        + SECOND
        + """
        svcadm -z gw refresh $it
        until_fetched 8000 second /generation
        settled $it online
        echo nonsense >> $root$main
        svcadm -z gw refresh $it
        settled $it maintenance
        svcs -z gw -x $it | sed -n 's/^Reason: //p'
        fetch 8000
        """,
    )
    assert lines == ["Method failed repeatedly.", "box"]


KILLED = """
svcadm -z gw enable -s $it
was=$(contract $it)
zlogin gw pkill -KILL -o -c $was
sleep 0.5
[ "$(contract $it)" = $was ] && echo same
fetch 8000
zlogin gw pkill -KILL -c $was
gone $it $was
"""


def test_killed_on_tribblix(ours: Machine) -> None:
    """The master alone, and the workers serve on: the manifest ignores signals. All of it, and it is restarted."""
    lines = TRIBBLIX.script(ours, SITE + KILLED + "settled $it online\nuntil_fetched 8000 box\n")
    assert lines == ["same", "box"]


def test_killed_on_omnios(ours: Machine) -> None:
    """Likewise, but its stop method asks nginx to quit, which fails when there is none; then SMF gives up [3.7]."""
    lines = OMNIOS.script(
        ours,
        SITE
        + KILLED
        + """
        settled $it maintenance
        grep -c 'nginx -s quit' $root/var/svc/log/network-http:nginx.log
        svcadm -z gw clear $it
        settled $it online
        until_fetched 8000 box
        """,
    )
    assert lines == ["same", "box", "3"]


def test_no_stream_on_tribblix(ours: Machine) -> None:
    lines = TRIBBLIX.script(
        ours,
        """
        echo 'stream { }' >> $root$main
        zlogin gw $nginx -t 2>&1 | head -1
        svcadm -z gw enable -s $it 2>/dev/null || echo $?
        zlogin gw $nginx -V 2>&1 | grep -c -e --with-stream || true
        """,
    )
    assert lines[0].startswith('nginx: [emerg] unknown directive "stream" in /opt/tribblix/nginx/conf/nginx.conf:')
    assert lines[1:] == ["3", "0"]


@EVERYWHERE
def test_stream_on_omnios(machine: Machine) -> None:
    lines = OMNIOS.script(
        machine,
        """
        echo 'events {} stream { server { listen 7777; proxy_pass 10.99.0.5:7000; } }' > $root$main
        svcadm -z gw enable -s $it
        zlogin gw $nginx -t -g '"worker_processes 2;"' 2>&1 | tail -1
        sleep 0.3 | zonelab outside run -- nc 192.0.2.5 7777
        zlogin gw $nginx -V 2>&1 | grep -c -e --with-stream
        """,
    )
    test = "nginx: configuration file /etc/opt/ooce/nginx/nginx.conf test is successful"
    assert lines == [test, "box", "1"]


@EVERYWHERE
def test_omnios_starts_it_as_a_user_of_its_own(machine: Machine) -> None:
    """A key that only root can read is tested well by root, and the service does not start [trap 46]."""
    lines = OMNIOS.script(
        machine,
        """
        openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=box.test \
            -keyout $root/etc/key.pem -out $root/etc/cert.pem 2>/dev/null
        chmod 600 $root/etc/key.pem
        site <<'END'
        server { listen 443 ssl; ssl_certificate /etc/cert.pem; ssl_certificate_key /etc/key.pem; }
END
        touch $root/var/log/opt/ooce/nginx/error.log $root/var/log/opt/ooce/nginx/access.log
        chown nginx $root/var/log/opt/ooce/nginx/* 2>/dev/null || true
        zlogin gw $nginx -t 2>/dev/null && echo well
        svcadm -z gw enable -s $it 2>/dev/null || echo $?
        grep -m 1 -c 'cannot load certificate key "/etc/key.pem"' $root/var/svc/log/network-http:nginx.log || true
        """,
    )
    several_ids = os.geteuid() == 0 and machine.user is None
    assert lines == (["well", "3", "1"] if several_ids else ["well", "0"])  # one id: nothing can be kept from it


def test_what_root_has_opened_first_is_closed_to_the_service(ours: Machine) -> None:
    """OmniOS: a test by root before the first start makes the logs, and they are root's [services 6.2]."""
    lines = OMNIOS.script(
        ours,
        """
        zlogin gw $nginx -t 2>/dev/null
        svcadm -z gw enable -s $it 2>/dev/null || echo $?
        rm $root/var/log/opt/ooce/nginx/*
        svcadm -z gw clear $it 2>/dev/null || true
        settled $it online
        """,
    )
    assert lines == (["3"] if os.geteuid() == 0 else [])


def test_what_the_caller_says_goes_first(ours: Machine) -> None:
    lines = TRIBBLIX.script(
        ours,
        """
        sed -i -e '/^pid/d' -e '/^user/d' $root$main
        svcadm -z gw enable -s $it
        test -s $root/opt/tribblix/nginx/logs/nginx.pid && echo usual
        zlogin gw $nginx -s quit 2>/dev/null
        svcadm -z gw disable -s $it
        zlogin gw $nginx -g '"pid /tmp/mine.pid; user root;"' -e /tmp/mine.log
        zlogin gw 'cat /tmp/mine.pid >/dev/null && pgrep -x nginx | wc -l'
        zlogin gw $nginx -s stop 2>&1 | sed 's/.*\\[error\\] //'
        zlogin gw $nginx -g '"pid /tmp/mine.pid;"' -s stop 2>/dev/null
        zlogin gw $nginx -Z 2>&1 | head -1
        """,
    )
    gone = 'open() "/opt/tribblix/nginx/logs/nginx.pid" failed (2: No such file or directory)'
    assert lines == ["usual", "5", gone, 'nginx: invalid option: "Z"']


@pytest.mark.parametrize("dialect", [Dialect.VANILLA, Dialect.OMNIOS])
def test_on_paper_a_test_is_a_test(tmp_path: Path, dialect: Dialect) -> None:
    host = Host(tmp_path, dialect)
    host.install("z")
    host.good("zoneadm", "-z", "z", "boot")
    omnios = dialect is Dialect.OMNIOS
    nginx, fmri, main = (
        ("/opt/ooce/sbin/nginx", "svc:/network/http:nginx", "/etc/opt/ooce/nginx/nginx.conf")
        if omnios
        else ("/opt/tribblix/nginx/sbin/nginx", "svc:/network/nginx:default", "/opt/tribblix/nginx/conf/nginx.conf")
    )
    tested = host.run("zlogin", "z", nginx, "-t")
    assert (tested.status, tested.out) == (0, "")
    assert tested.err.endswith(f"nginx: configuration file {main} test is successful\n")
    assert host.run("zlogin", "z", nginx, "-s", "reload").status == 1
    host.good("svcadm", "-z", "z", "enable", "-s", fmri)
    host.good("zlogin", "z", nginx, "-s", "reload")
    file = host.file(f"/zones/z/root{main}")
    file.write_text(file.read_text() + "stream { server { listen 10.3.4.5:9; proxy_pass 10.3.4.6:9; } }\n")
    reloaded = host.run("zlogin", "z", nginx, "-s", "reload")
    assert reloaded.status == (0 if omnios else 1)
    assert omnios or reloaded.err.startswith('nginx: [emerg] unknown directive "stream"')
    assert host.run("zlogin", "z", nginx).status == 125
