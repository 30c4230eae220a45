"""A host to measure proxies on: gateway zone edge, N routes to a few servers, zones that come and go, a client outside.

The N routes are declared in the configuration, each for a host of its own and to an address of its own; one zone, the
*farm*, has all these addresses, behind its own one (edge has a route there: Linux' ARP table ends at 1024 neighbours),
and eight servers with eight names. N booted zones would be too much for a machine, and
to a proxy there is no difference. The zones that come and go are real: booted, given their address, halted.
"""

from __future__ import annotations

import json
import os
import select
import shlex
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import gateways, zones
from bench.daemon import Daemon, DaemonFailed
from bench.gateways import EDGE
from bench.records import Audited

PUBLIC = "192.0.2.10"
FARM = "farm"
_FARM_ADDRESS = "10.64.0.9"
SERVERS = 8
_FIRST_PORT, _PORT = 8000, 8080
_WAIT_MAX_S = 60.0
_ROUTED_MAX_S = 240.0
PROGRAMS = ("haproxy", "nginx")  # ours
SCRIPTED = ("nginx", "debounced", "haproxy", "caddy")
_PROCESSES = ("haproxy", "nginx", "caddy")
_CADDY = Path("/usr/bin/caddy")
_ANSWERD = "/usr/lib/zonelab/answerd"
_FARM_SCRIPT = "#!/bin/sh\nip route add local 10.80.0.0/16 dev lo\n" + "".join(
    f"{_ANSWERD} --name s{number} --http {_FIRST_PORT + number} --daemon yes\n" for number in range(SERVERS)
)
# A zone tells itself when it is healthy: its server takes a connection at the address that the proxy will use.
_MEMBER_SCRIPT = """#!/bin/bash
{answerd} --name {name} --http {port} --daemon yes
until (exec 3<>/dev/tcp/{address}/{port}) 2>/dev/null; do sleep 0.002; done
echo $EPOCHREALTIME > /var/healthy.new
mv /var/healthy.new /var/healthy
"""


def host_of(number: int) -> str:
    return f"r{number}.example.org"


def address_of(number: int) -> str:
    return f"10.80.{number // 250}.{1 + number % 250}"


def server_of(number: int) -> int:
    return number % SERVERS


class Member:
    """A zone that comes and goes, with a route of its own."""

    def __init__(self, number: int) -> None:
        self.name = f"come{number}"
        self.host = f"{self.name}.example.net"
        self.address = f"10.64.0.{100 + number}"
        self.root = Path("/zones") / self.name / "root"

    @property
    def route(self) -> str:
        return f"{self.host} {self.address} {_PORT}"

    def configure(self) -> None:
        script = (
            f"create -b; set zonepath=/zones/{self.name}; set brand=sparse; set ip-type=exclusive; "
            f"add net; set physical={self.name}_0; end; "
            f'add attr; set name=zh.net0; set type=string; set value="{zones.NETWORK} {self.address}"; end; '
            f'add attr; set name=zh.route; set type=string; set value="{self.host} port={_PORT}"; end'
        )
        gateways.run("zonecfg", "-z", self.name, script)
        gateways.run("zoneadm", "-z", self.name, "install")
        text = _MEMBER_SCRIPT.format(answerd=_ANSWERD, name=self.name, port=_PORT, address=self.address)
        _script(self.root, text)

    def boot(self) -> None:
        (self.root / "var/healthy").unlink(missing_ok=True)
        gateways.run("zoneadm", "-z", self.name, "boot")

    def halt(self) -> None:
        gateways.run("zoneadm", "-z", self.name, "halt")

    def healthy_s(self) -> float:
        """When it was, wall clock; waits for it. Raises TimeoutError."""
        file = self.root / "var/healthy"
        deadline = time.monotonic() + _WAIT_MAX_S
        while not file.exists():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.name} is not healthy after {_WAIT_MAX_S} s")
            time.sleep(0.002)
        return float(file.read_text())


def _script(root: Path, text: str) -> None:
    (root / "etc").mkdir(parents=True, exist_ok=True)
    (root / "etc/rc.local").write_text(text)
    (root / "etc/rc.local").chmod(0o755)


def declared(size: int, program: str = "") -> str:
    """Of a configuration file; without `program` no proxy."""
    text = (
        '[network.wan]\ncidr = "192.0.2.0/24"\nuplink = "net0"\ngateway = "192.0.2.1"\n'
        f'[network.{zones.NETWORK}]\ncidr = "{zones.CIDR}"\nvia = "{EDGE}"\nantispoof = false\n'  # for the farm
        f'[gateway.{EDGE}]\ndhcp = "none"\ndns = "none"\noutside = "wan"\naddress = "{PUBLIC}"\n'
    )
    if not program:
        return text
    text += f'[gateway.{EDGE}.proxy]\nprogram = "{program}"\n'
    return text + "".join(
        f'[[gateway.{EDGE}.route]]\nhost = "{host_of(each)}"\nto = "{address_of(each)}"\n'
        f"port = {_FIRST_PORT + server_of(each)}\n"
        for each in range(size)
    )


class Lines:
    """What a process prints, line by line, and with a limit to the waiting."""

    def __init__(self, *argv: str) -> None:
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
        assert self.process.stdin is not None and self.process.stdout is not None
        self._in, self._out = self.process.stdin, self.process.stdout
        self._text = b""

    def say(self, line: str) -> None:
        self._in.write(f"{line}\n".encode())

    def read(self, limit_s: float = _WAIT_MAX_S) -> str:
        """Raises TimeoutError, and RuntimeError when it has ended."""
        deadline = time.monotonic() + limit_s
        while b"\n" not in self._text:
            if not select.select([self._out], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise TimeoutError(f"{self.process.args!r} has said nothing for {limit_s:.0f} s")
            read = os.read(self._out.fileno(), 65536)
            if not read:
                raise RuntimeError(f"{self.process.args!r} has ended")
            self._text += read
        line, _, self._text = self._text.partition(b"\n")
        return line.decode()

    def end(self) -> str:
        """What else it said after the end of its stdin."""
        self._in.close()
        with self._out:
            rest = self._text + self._out.read()
        self.process.wait(_WAIT_MAX_S)
        return rest.decode()


class Witness:
    """Outside; see witness.py."""

    def __init__(self) -> None:
        self._lines = Lines("zonelab", "outside", "run", "--", sys.executable, "-m", "bench.witness", f"{PUBLIC}:80")

    def ask_for(self, member: Member) -> None:
        self._lines.say(f"{member.host} {member.name}")

    def rest(self) -> None:
        self._lines.say("-")

    def wait(self, member: Member, said: str, since_s: float = 0.0) -> tuple[float, float]:
        """When the question was put, and when it was answered so for the first time; put after `since_s`."""
        while True:
            news = json.loads(self._lines.read())
            if news["host"] == member.host and news["said"] == said and news["asked"] >= since_s:
                return news["asked"], news["at"]

    def close(self) -> None:
        self._lines.end()


class Way:
    """How the proxy hears of a zone. A way of ours needs to be told nothing."""

    def come(self, member: Member) -> None:
        """It is healthy."""

    def go(self, member: Member) -> None:
        """It is about to be halted."""


class Scripted(Way):
    """See scripted.py."""

    def __init__(self, name: str, size: int) -> None:
        etc = Path("/zones") / EDGE / "root/etc"
        (etc / "scripted.py").write_text(Path(__file__).with_name("scripted.py").read_text())
        routes = (f"{host_of(each)} {address_of(each)} {_FIRST_PORT + server_of(each)}\n" for each in range(size))
        (etc / "scripted.routes").write_text("".join(routes))
        argv = ["/usr/bin/python3", "/etc/scripted.py", name, "/etc/scripted.routes"]
        self._lines = Lines("zlogin", EDGE, shlex.join(argv))
        self._lines.read()

    def come(self, member: Member) -> None:
        self._lines.say(f"add {member.route}")

    def go(self, member: Member) -> None:
        self._lines.say(f"del {member.host}")

    def close(self) -> int:
        """How often it was reloaded."""
        return int(self._lines.end())


class Untold(Scripted):
    """A proxy that stays as it is, whoever comes: what the machine itself does to the load."""

    def come(self, member: Member) -> None:
        pass

    def go(self, member: Member) -> None:
        pass


@dataclass(frozen=True)
class Processes:
    """Of all proxies. Memory is the proportional set size: what processes share is counted once."""

    count: int
    memory_mib: float

    @staticmethod
    def now() -> Processes:
        count, kib = 0, 0
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if (folder / "comm").read_text().strip() not in _PROCESSES:
                    continue
                lines = (folder / "smaps_rollup").read_text().splitlines()
            except (OSError, ProcessLookupError):
                continue  # it has ended
            count += 1
            kib += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
        return Processes(count, kib / 1024)


def counted(audited: list[Audited]) -> Counter[str]:
    """Commands of the daemon: looks, changes, and of these reloads, and runtime batches, which are connections."""
    found: Counter[str] = Counter(looks=0, changes=0, reloads=0, batches=0)
    for each in audited:
        text = " ".join(each.argv)
        found["looks"] += each.kind == "look"
        found["changes"] += each.kind == "change"
        found["reloads"] += each.kind == "change" and "pkill -" in text
        found["batches"] += each.kind == "change" and " -U " in text
    return found


def has_caddy() -> bool:
    return _CADDY.exists()


@contextmanager
def scene(members: int) -> Iterator[tuple[Daemon, list[Member]]]:
    """Edge and the farm run; the members are installed. No proxy yet."""
    with gateways.gateway(declared(0)) as daemon:
        gateways.member(FARM, f"{zones.NETWORK} {_FARM_ADDRESS}")
        gateways.run("zoneadm", "-z", FARM, "install")
        _script(Path("/zones") / FARM / "root", _FARM_SCRIPT)
        gateways.until_linked(f"{FARM}_0")
        gateways.run("zoneadm", "-z", FARM, "boot")
        gateways.run("zlogin", EDGE, "route", "add", "-net", "10.80.0.0/16", _FARM_ADDRESS)
        made = [Member(number) for number in range(members)]
        for each in made:
            each.configure()
        gateways.until_linked(*(f"{each.name}_0" for each in made))
        yield daemon, made


# What fails in the next two is left as it is: the host goes.


@contextmanager
def ours(daemon: Daemon, program: str, size: int) -> Iterator[float]:
    """Seconds from SIGHUP until the last command by which all `size` routes serve."""
    daemon.places.declare(declared(size, program))
    daemon.journal.read()
    daemon.journal.entries.clear()
    began = time.time()
    daemon.reload()
    _until_routed(daemon, size)
    taken = max(entry.ended_s for entry in daemon.journal.of(daemon.pid) if _tells(entry.argv)) - began
    daemon.wait_until_quiet()
    yield taken
    daemon.places.declare(declared(0))
    daemon.reload()
    _until_none()


def _tells(argv: tuple[str, ...]) -> bool:
    """Whether it starts the program, or tells it something."""
    return any(word in " ".join(argv) for word in ("pkill -", " -U ", "svcadm"))


def _until_routed(daemon: Daemon, size: int) -> None:
    """Does not ask often: to tell of thousands of routes costs the daemon something. Raises DaemonFailed."""
    deadline = time.monotonic() + _ROUTED_MAX_S
    ctl = str(Path(sys.executable).with_name("zonehookctl"))
    argv = [ctl, "--config", str(daemon.places.config), "--json", "routes"]
    while True:
        said = subprocess.run(argv, check=False, capture_output=True, text=True)
        found = json.loads(said.stdout or "{}").get("routes", [])
        if sum(backend["state"] == "in" for route in found for backend in route["backends"]) == size:
            break
        if time.monotonic() > deadline:
            raise DaemonFailed(f"not {size} routes after {_ROUTED_MAX_S} s: {said.stdout[:2000]} {said.stderr[:500]}")
        time.sleep(max(0.2, size / 500))
    daemon.wait_until_quiet()


def _until_none() -> None:
    deadline = time.monotonic() + _WAIT_MAX_S
    while Processes.now().count:
        if time.monotonic() > deadline:
            raise TimeoutError(f"there are still processes of proxies after {_WAIT_MAX_S} s")
        time.sleep(0.05)


@contextmanager
def scripted(name: str, size: int, kind: type[Scripted] = Scripted) -> Iterator[Scripted]:
    way = kind(name, size)
    yield way
    way.close()
    _until_none()
