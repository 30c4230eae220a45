"""A real haproxy for tests: it starts with our part of a configuration, and answers at its socket as in a zone.

What differs: addresses it listens on are this machine's loopback, at ports that are free.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Collection, Mapping, Sequence
from ipaddress import ip_address
from pathlib import Path

from plugins.haproxy import live, rendering
from plugins.haproxy.live import Maps, Target
from plugins.haproxy.slots import capacity, placed
from zonehookd.illumos import haproxy
from zonehookd.illumos.haproxy import Runtime
from zonehookd.illumos.zlogin import GLOBAL
from zonehookd.model.command import Change, Query, Reply
from zonehookd.model.route import Backend, Check, Match, Proxy
from zonehookd.plugin.routing import RouteBook, Seat
from zonehookd.plugin.routing.book import State
from zonehookd.plugin.served import GENERATION

_OURS = os.getpid() % 60000 + 256  # so two runs of the tests do not meet
PORT = 23000
_BIND = re.compile(r"^    bind (\S+):(\d+)( v6only)?", re.MULTILINE)


def free_port(besides: Collection[int]) -> int:
    """`besides`: those that are given away, and perhaps not bound yet; haproxy would share one without a word."""
    while True:
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            port: int = one.getsockname()[1]
        if port not in besides:
            return port


def run(asked: Query | Change) -> Reply:  # type: ignore[type-arg]
    done = subprocess.run(asked.argv, input=asked.stdin, capture_output=True, text=True, check=False, timeout=60)
    return Reply(done.returncode, done.stdout, done.stderr)


class Haproxy:
    """`folder` is short, for a socket's path is. `ports`: the port as configured -> the port it really has."""

    def __init__(self, config: Path, folder: Path) -> None:
        self.config, self.folder = config, folder
        self.ports: dict[int, int] = {}
        self._process: subprocess.Popen[bytes] | None = None

    def _prepared(self, text: str) -> str:
        def moved(found: re.Match[str]) -> str:
            if found[3]:
                return "    #"
            if int(found[2]) not in self.ports:
                self.ports[int(found[2])] = free_port(self.ports.values())
            return f"    bind 127.0.0.1:{self.ports[int(found[2])]}"

        return _BIND.sub(moved, text)

    def read(self) -> None:
        """What is in its file now is what it begins with at a start or a reload."""
        mine = self.folder / "running.cfg"
        mine.write_text(self._prepared(self.config.read_text()))

    def start(self) -> None:
        self.read()
        argv = ["haproxy", "-W", "-f", str(self.folder / "running.cfg")]
        with (self.folder / "log").open("wb") as log:
            self._process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log)

    def reload(self) -> None:
        assert self._process is not None
        self.read()
        self._process.send_signal(12)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(60)
            self._process = None

    def said(self) -> str:
        return (self.folder / "log").read_text()


def address(number: int) -> str:
    return f"127.{_OURS >> 8}.{_OURS & 255}.{number}"


def backend(zone: str, number: int, check: str = "none", weight: int = 1) -> Backend:
    kind = Check("http", check) if check.startswith("/") else Check("tcp" if check == "tcp" else "none")
    return Backend(ip_address(address(number)), PORT + number, zone, weight, kind, "web", "zh.route")


def book(match: Match, states: Mapping[Backend, State], place: str = "") -> RouteBook:
    seats = {each.key: Seat(each, state) for each, state in states.items()}
    return RouteBook(match, "somebody", "web", place, seats)


class Alone:
    """haproxy with a configuration of ours and nothing else; books are given to it as the plugin would."""

    def __init__(self, proxy: Proxy, books: Sequence[RouteBook] = ()) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="zh", dir="/tmp"))
        self.socket = self.folder / "zonehookd-0.sock"
        self.maps = Maps(self.folder / "http.map", self.folder / "tcp.map", self.folder / "checks.map")
        self.proxy = proxy
        self.capacity: Mapping[str, int] = {}
        self.haproxy = Haproxy(self.folder / "haproxy.cfg", self.folder)
        self.write(placed(books, (), ()))
        self.haproxy.start()
        deadline = time.monotonic() + 60
        while self.runtime().silent:
            assert time.monotonic() < deadline, self.haproxy.said()
            time.sleep(0.02)

    def write(self, books: Sequence[RouteBook], listens: rendering.Listens | None = None) -> str:
        """The files as they are to be; the digest is a fixed one."""
        self.capacity = capacity(books, self.capacity, ())
        ports = sorted({each.match.port for each in books if each.match.port} | {5432, 5433})
        listens = listens or rendering.Listens(("*:80",), (), {port: (f"*:{port}",) for port in ports})
        made = rendering.text(books, self.proxy, listens, self.socket, self.maps, self.capacity, Path("/nowhere"))
        for path, entries in self.target(books).maps.items():
            path.write_text(live.map_text(entries))
        self.haproxy.config.write_text(made.config.replace(GENERATION, "0123456789abcdef"))
        return made.config

    def target(self, books: Sequence[RouteBook]) -> Target:
        return live.target(books, self.maps)

    def runtime(self) -> Runtime:
        query = haproxy.runtime(GLOBAL, self.socket, self.maps.all)
        return query.parse(run(query))

    def tell(self, *lines: str) -> str:
        """What is left of its replies as trouble."""
        return run(haproxy.tell(GLOBAL, self.socket, lines, why="to see")).stderr

    def close(self) -> None:
        self.haproxy.stop()
        shutil.rmtree(self.folder)
