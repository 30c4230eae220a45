"""A reverse proxy kept up to date by a script, the usual way; run by python3 in the proxy's zone: WAY FILE.

FILE holds the routes of the beginning, ``HOST ADDRESS PORT`` a line. stdin: ``add HOST ADDRESS PORT`` or ``del HOST``,
a line for each change. stdout: ``ready``, and at the end of stdin, when the proxy has been stopped, how often it was
reloaded. Ways:

    nginx      all of nginx.conf written anew, nginx -s reload, for each change
    debounced  the same 0.5 s after the last change, at most 2 s after the first: docker-gen's -wait 500ms:2s
    haproxy    all of haproxy.cfg and its map written anew, haproxy -c, SIGUSR2 to the master, for each change
    caddy      PUT and DELETE of the one route by the admin API

Each is told at the moment when the zone answers, so noticing costs it nothing, and nobody checks health.
"""

from __future__ import annotations

import http.client
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

_REAL = "/usr/lib/zonelab/real"  # the machine's programs as they are: without what the lab's commands cost
_WAIT_MIN_S, _WAIT_MAX_S = 0.5, 2.0
_START_MAX_S = 60.0
_HEADERS = (
    "proxy_http_version 1.1; proxy_set_header Host $host; proxy_set_header Upgrade $http_upgrade; "
    "proxy_set_header Connection $connection_upgrade; proxy_read_timeout 3600s;"
)


class Proxy:
    def __init__(self, routes: dict[str, tuple[str, str]]) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="scripted-"))
        self.folder.chmod(0o755)
        self.routes = routes
        self.reloads = 0
        self.process = self.start()

    def start(self) -> subprocess.Popen[bytes]:
        raise NotImplementedError

    def add(self, host: str, address: str, port: str) -> None:
        self.routes[host] = (address, port)

    def remove(self, host: str) -> None:
        self.routes.pop(host, None)

    def apply(self) -> None:
        """What was added and removed takes effect."""
        self.reloads += 1

    def popen(self, *argv: str) -> subprocess.Popen[bytes]:
        log = (self.folder / "log").open("ab")
        environ = {"PATH": "/usr/sbin:/usr/bin", "HOME": str(self.folder)}
        return subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environ)

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)  # with open connections nobody waits
        self.process.wait(_START_MAX_S)


class Nginx(Proxy):
    def start(self) -> subprocess.Popen[bytes]:
        self.config = self.folder / "nginx.conf"
        self.write()
        return self.popen(f"{_REAL}/nginx", "-c", str(self.config), "-g", "daemon off;")

    def write(self) -> None:
        servers = "".join(
            f"upstream u{number} {{ server {address}:{port}; }}\n"
            f"server {{ listen 80; server_name {host}; location / {{ proxy_pass http://u{number}; {_HEADERS} }} }}\n"
            for number, (host, (address, port)) in enumerate(self.routes.items())
        )
        fresh = self.config.with_suffix(".new")
        fresh.write_text(
            f"user nginx; worker_processes 4; pid {self.folder}/pid; error_log {self.folder}/error.log;\n"
            "events { worker_connections 1024; }\n"
            "http { access_log off; server_names_hash_max_size 16384; server_names_hash_bucket_size 128;\n"
            "map $http_upgrade $connection_upgrade { default upgrade; '' ''; }\n"
            f"server {{ listen 80 default_server; return 503; }}\n{servers}}}\n"
        )
        fresh.replace(self.config)

    def apply(self) -> None:
        super().apply()
        self.write()
        subprocess.run([f"{_REAL}/nginx", "-c", str(self.config), "-s", "reload"], check=True, capture_output=True)


class Haproxy(Proxy):
    def start(self) -> subprocess.Popen[bytes]:
        self.config = self.folder / "haproxy.cfg"
        self.write()
        return self.popen(f"{_REAL}/haproxy", "-W", "-db", "-f", str(self.config))

    def write(self) -> None:
        backends, lines = [], []
        for number, (host, (address, port)) in enumerate(self.routes.items()):
            backends.append(f"backend b{number}\n server s {address}:{port}\n")
            lines.append(f"{host} b{number}\n")
        (self.folder / "hosts.map").write_text("".join(lines))
        self.config.write_text(
            "global\n maxconn 4000\n"
            "defaults\n mode http\n timeout connect 5s\n timeout client 60s\n timeout server 60s\n timeout tunnel 1h\n"
            f"frontend f\n bind :80\n use_backend %[req.hdr(host),lower,map_str({self.folder}/hosts.map,none)]\n"
            f"backend none\n http-request return status 503\n{''.join(backends)}"
        )

    def apply(self) -> None:
        super().apply()
        self.write()
        subprocess.run([f"{_REAL}/haproxy", "-c", "-q", "-f", str(self.config)], check=True, capture_output=True)
        self.process.send_signal(signal.SIGUSR2)


class Caddy(Proxy):
    _ROUTES = "/config/apps/http/servers/s/routes/0"

    def start(self) -> subprocess.Popen[bytes]:
        none = {"handle": [{"handler": "static_response", "status_code": 503}]}
        routes = [*(self.route(host, *where) for host, where in self.routes.items()), none]
        server = {"listen": [":80"], "automatic_https": {"disable": True}, "routes": routes}
        config = self.folder / "caddy.json"
        config.write_text(json.dumps({"apps": {"http": {"servers": {"s": server}}}}))
        return self.popen("/usr/bin/caddy", "run", "--config", str(config))

    def route(self, host: str, address: str, port: str) -> dict[str, object]:
        handle = {"handler": "reverse_proxy", "upstreams": [{"dial": f"{address}:{port}"}]}
        return {"@id": host, "match": [{"host": [host]}], "handle": [handle]}

    def add(self, host: str, address: str, port: str) -> None:
        self.ask("PUT", self._ROUTES, json.dumps(self.route(host, address, port)))

    def remove(self, host: str) -> None:
        self.ask("DELETE", f"/id/{host}")

    def apply(self) -> None:
        pass  # each change was one already

    def ask(self, method: str, path: str, body: str = "") -> None:
        self.reloads += 1  # which is what caddy makes of it
        connection = http.client.HTTPConnection("127.0.0.1", 2019, timeout=30)
        connection.request(method, path, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        if answer.status != 200:
            raise RuntimeError(f"{method} {path}: {answer.status} {text!r}")


_WAYS = {"nginx": Nginx, "debounced": Nginx, "haproxy": Haproxy, "caddy": Caddy}


def listens(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


def obey(proxy: Proxy, debounced: bool) -> None:
    """Until stdin ends."""
    text, first_s, last_s = b"", 0.0, 0.0
    while True:
        wait_s = min(last_s + _WAIT_MIN_S, first_s + _WAIT_MAX_S) - time.monotonic() if first_s else None
        if wait_s is not None and wait_s <= 0:
            proxy.apply()
            first_s = 0.0
            continue
        if not select.select([0], [], [], wait_s)[0]:
            continue
        read = os.read(0, 65536)
        if not read:
            return
        *lines, text = (text + read).split(b"\n")
        for line in lines:
            verb, *words = line.decode().split()
            proxy.add(*words) if verb == "add" else proxy.remove(*words)
            if debounced:
                last_s = time.monotonic()
                first_s = first_s or last_s
            else:
                proxy.apply()


def main(way: str, file: str) -> None:
    lines = (line.split() for line in Path(file).read_text().splitlines())
    proxy = _WAYS[way]({host: (address, port) for host, address, port in lines})
    try:
        deadline = time.monotonic() + _START_MAX_S
        while not listens(80):
            if proxy.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{way} does not listen: {(proxy.folder / 'log').read_text()[-1000:]}")
            time.sleep(0.02)
        print("ready", flush=True)
        obey(proxy, way == "debounced")
    finally:
        proxy.stop()
    print(proxy.reloads, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
