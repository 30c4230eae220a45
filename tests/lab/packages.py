"""What the packages of nginx and haproxy put on an illumos system: paths per dialect, and the files [services 6.1].

The files are as the sources that the sheet names have them, Tribblix' patches/nginx.conf and nginx' own default.

The programs themselves are the machine's; the links here lead to the lab's commands, which start them.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lab import door
from lab.world import Dialect

COMMANDS = ("haproxy", "nginx")  # only at the paths of their packages, on nobody's PATH
FOLDER = f"{door.STATE}/packaged"
USERS = {"nginx": 80, "haproxy": 72}  # the numbers are the lab's own
STREAM = "/usr/lib/nginx/modules/ngx_stream_module.so"


@dataclass(frozen=True)
class Package:
    fmri: str
    program: str
    config: str
    pid: str
    prefix: str = ""  # of nginx
    error_log: str = ""


def nginx(dialect: Dialect) -> Package:
    if dialect is Dialect.OMNIOS:
        return Package(
            "svc:/network/http:nginx",
            "/opt/ooce/nginx/sbin/nginx",
            "/etc/opt/ooce/nginx/nginx.conf",
            "/var/opt/ooce/nginx/run/nginx.pid",
            "/opt/ooce/nginx",
            "/var/log/opt/ooce/nginx/error.log",
        )
    return Package(
        "svc:/network/nginx:default",
        "/opt/tribblix/nginx/sbin/nginx",
        "/opt/tribblix/nginx/conf/nginx.conf",
        "/opt/tribblix/nginx/logs/nginx.pid",
        "/opt/tribblix/nginx",
        "/opt/tribblix/nginx/logs/error.log",
    )


def haproxy(dialect: Dialect) -> Package:
    if dialect is Dialect.OMNIOS:
        return Package(
            "svc:/ooce/network/haproxy:default",
            "/opt/ooce/sbin/haproxy",
            "/etc/opt/ooce/haproxy/haproxy.cfg",
            "/var/opt/ooce/haproxy/run/haproxy.pid",
        )
    return Package(
        "svc:/network/haproxy2:default",
        "/opt/tribblix/haproxy/sbin/haproxy",
        "/etc/haproxy/haproxy.cfg",
        "/var/run/haproxy.pid",
    )


_TYPES = """types {
    text/html html htm shtml;
    text/css css;
    text/plain txt;
    image/gif gif;
    image/jpeg jpeg jpg;
    image/png png;
    application/javascript js;
    application/json json;
}
"""
_TRIBBLIX = """
user  nginx;
worker_processes  4;

error_log  /opt/tribblix/nginx/logs/error.log;

pid        /opt/tribblix/nginx/logs/nginx.pid;

events {
    worker_connections  1024;
}

http {
    include       /opt/tribblix/nginx/conf/mime.types;
    default_type  application/octet-stream;

    log_format  main  '$remote_addr - $remote_user [$time_local] "$request" '
                      '$status $body_bytes_sent "$http_referer" '
                      '"$http_user_agent" "$http_x_forwarded_for"';

    sendfile        on;
    keepalive_timeout  65;
    gzip  on;

    include /opt/tribblix/nginx/conf.d/*.conf;
    include /opt/tribblix/nginx/sites-enabled/*;
}
"""
_SERVER = """server {{
    listen       80;
    server_name  localhost;
{0}
    location / {{
        root   html;
        index  index.html index.htm;
    }}
    error_page   500 502 503 504  /50x.html;
    location = /50x.html {{
        root   html;
    }}
}}
"""
_OMNIOS = (
    """
worker_processes  1;

events {
    worker_connections  1024;
}

http {
    include       mime.types;
    default_type  application/octet-stream;
    sendfile        on;
    keepalive_timeout  65;

"""
    + "".join(f"    {line}\n" for line in _SERVER.format("").splitlines())
    + "}\n"
)
_WELCOME = "<!DOCTYPE html>\n<html><head><title>Welcome to nginx!</title></head></html>\n"
# The script as it is shipped gives `-sf` whatever the pid file says, and haproxy 2.6 refuses an empty word; its stop is
# a start with `-st`. The sheet has neither: here a start without a pid file is one without `-sf`, a stop is `:kill`.
_SVC_HAPROXY = """#!/sbin/sh
# Method of svc:/network/haproxy2:default [services 6.1]: whatever it is asked to start is checked first.
. /lib/svc/share/smf_include.sh

program=/opt/tribblix/haproxy/sbin/haproxy config=/etc/haproxy/haproxy.cfg pid=/var/run/haproxy.pid

[ -f $config ] || exit $SMF_EXIT_ERR_CONFIG
printf 'Verifying HAProxy configuration: '
if ! $program -c -f $config >/dev/null 2>&1; then
	echo FAILED
	exit $SMF_EXIT_ERR_CONFIG
fi
echo OK
[ -s $pid ] && set -- "$1" -sf $(cat $pid)
shift
exec $program -D -f $config -p $pid "$@"
"""


@dataclass(frozen=True)
class _Entry:
    """A folder unless it has a text or a target."""

    path: str
    text: str | None = None
    target: str = ""  # of a link
    owner: str = ""
    mode: int = 0o755


def _entries(dialect: Dialect) -> Iterator[_Entry]:
    yield _Entry("var/lib/nginx", owner="nginx")  # where the machine's build keeps what it is sent
    if dialect is Dialect.OMNIOS:
        for path in ("var/opt/ooce/nginx", "var/opt/ooce/nginx/run", "var/log/opt/ooce/nginx"):
            yield _Entry(path, owner="nginx")
        for path in ("var/opt/ooce/haproxy", "var/opt/ooce/haproxy/run"):
            yield _Entry(path, owner="haproxy", mode=0o750)
        yield _Entry("var/log/nginx", target="/var/log/opt/ooce/nginx")
        yield _Entry("etc/opt/ooce/haproxy")
        yield _Entry("etc/opt/ooce/nginx/mime.types", _TYPES, mode=0o644)
        yield _Entry("etc/opt/ooce/nginx/nginx.conf", _OMNIOS, mode=0o644)
        yield _Entry("opt/ooce/nginx/html/index.html", _WELCOME, mode=0o644)
        yield _Entry("opt/ooce/nginx/sbin/nginx", target=f"{FOLDER}/nginx")
        yield _Entry("opt/ooce/sbin/nginx", target="../nginx/sbin/nginx")
        yield _Entry("opt/ooce/sbin/haproxy", target=f"{FOLDER}/haproxy")
        yield _Entry("opt/ooce/sbin/dnsmasq", target=f"{door.STATE}/bin/dnsmasq")
        return
    own = "opt/tribblix/nginx"
    for name in ("conf.d", "logs", "sites-enabled"):
        yield _Entry(f"{own}/{name}")
    yield _Entry("var/log/nginx", target=f"/{own}/logs")
    yield _Entry(f"{own}/conf/mime.types", _TYPES, mode=0o644)
    yield _Entry(f"{own}/conf/nginx.conf", _TRIBBLIX, mode=0o644)
    log = f"    access_log  /{own}/logs/default.access.log  main;"
    yield _Entry(f"{own}/sites-enabled/nginx-default.conf", _SERVER.format(log), mode=0o644)
    yield _Entry(f"{own}/html/index.html", _WELCOME, mode=0o644)
    yield _Entry(f"{own}/sbin/nginx", target=f"{FOLDER}/nginx")
    yield _Entry("etc/haproxy")
    yield _Entry("opt/tribblix/haproxy/sbin/haproxy", target=f"{FOLDER}/haproxy")
    yield _Entry("opt/tribblix/haproxy/sbin/svc-haproxy", _SVC_HAPROXY)


def deliver(root: Path, dialect: Dialect, *tops: str) -> None:
    """What is missing below `root`, in its folders `tops` (etc, opt, var); owners as far as this host has them."""
    for entry in _entries(dialect):
        if not entry.path.startswith(tops):
            continue
        place = root / entry.path
        if entry.target:
            if not place.is_symlink():
                place.parent.mkdir(parents=True, exist_ok=True)
                place.symlink_to(entry.target)
            continue
        if entry.text is None:
            place.mkdir(parents=True, exist_ok=True)
        elif not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(entry.text)
        place.chmod(entry.mode)
        if entry.owner:
            with contextlib.suppress(OSError):  # a host of one id has nobody else
                os.chown(place, USERS[entry.owner], USERS[entry.owner])


def delivered(root: Path, dialect: Dialect) -> bool:
    """Whether a zone's root has had them: what its root user deletes stays deleted."""
    return (root / nginx(dialect).program.lstrip("/")).is_symlink()


def add_users(etc: Path) -> None:
    """Their users and groups in the files of `etc`, in the place of any that are there."""
    for name, text in (("passwd", "{0}:x:{1}:{1}:{0}:/:/usr/bin/false\n"), ("group", "{0}:x:{1}:\n")):
        file = etc / name
        lines = file.read_text().splitlines(keepends=True) if file.exists() else []
        kept = [line for line in lines if line.partition(":")[0] not in USERS]
        file.write_text("".join([*kept, *(text.format(user, number) for user, number in USERS.items())]))
