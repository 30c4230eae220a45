"""The real daemon as a process on the lab host, with the defaults of its configuration and one network."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import zones
from bench.records import Audit, Journal

_START_MAX_S = 60.0
_TICKS = os.sysconf("SC_CLK_TCK")


class DaemonFailed(Exception):
    """It ended, or never got ready; the text has the end of its log."""


@dataclass(frozen=True)
class Cpu:
    """Seconds of CPU so far: of the daemon, of its commands that ended, and of the lab's server that plays them."""

    daemon_s: float
    commands_s: float
    lab_s: float

    def since(self, before: Cpu) -> Cpu:
        return Cpu(self.daemon_s - before.daemon_s, self.commands_s - before.commands_s, self.lab_s - before.lab_s)


@dataclass(frozen=True)
class Places:
    """Where one daemon keeps its things, below a folder of the lab host."""

    folder: Path

    @property
    def config(self) -> Path:
        return self.folder / "zonehookd.toml"

    @property
    def audit(self) -> Path:
        return self.folder / "audit.jsonl"

    @property
    def store(self) -> Path:
        return self.folder / "state" / "state.db"

    @property
    def log(self) -> Path:
        return self.folder / "log"

    def declare(self, declared: str) -> None:
        """What a daemon reads at its start, or at `Daemon.reload`."""
        self.config.write_text(
            f'site = "bench"\n[paths]\nstate = "{self.folder}/state"\nrun = "{self.folder}/run"\n'
            f'audit = "{self.audit}"\n{declared}'
        )


def new_places(declared: str = f'[network.{zones.NETWORK}]\ncidr = "{zones.CIDR}"\n') -> Places:
    """A folder that goes with the lab host, and the configuration in it: paths, and what is `declared`."""
    places = Places(Path(tempfile.mkdtemp(prefix="bench-")))
    places.declare(declared)
    return places


class _Notified:
    """The supervisor's end of NOTIFY_SOCKET. It reads everything: a full socket would stop the daemon."""

    def __init__(self, address: Path) -> None:
        self.ready = threading.Event()
        self.ready_s = 0.0  # when it first said so
        address.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(address))
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        while message := self._socket.recv(4096):
            if b"READY=1" in message.split(b"\n") and not self.ready.is_set():
                self.ready_s = time.time()
                self.ready.set()

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)  # which ends the reader
        self._socket.close()


class Daemon:
    """One process of it, from `start` on."""

    def __init__(self, places: Places) -> None:
        self.places = places
        self.journal = Journal()
        self.audit = Audit(places.audit)
        address = places.folder / "notify"
        self._notified = _Notified(address)
        environ = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        environ["NOTIFY_SOCKET"] = str(address)
        program = Path(sys.executable).with_name("zonehookd")
        with places.log.open("ab") as log:
            self.began_s = time.time()
            self._process = subprocess.Popen(
                [program, "--config", str(places.config)], stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=environ
            )
        self.pid = self._process.pid

    def wait_until_ready(self) -> float:
        """Seconds from its start until it said READY=1."""
        if not self._notified.ready.wait(_START_MAX_S):
            raise DaemonFailed(f"not ready after {_START_MAX_S} s\n{self.places.log.read_text()[-2000:]}")
        return self._notified.ready_s - self.began_s

    def wait_until_quiet(self) -> None:
        self.journal.wait_for_quiet(self.pid)

    def pause(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def reload(self) -> None:
        self._process.send_signal(signal.SIGHUP)

    def cpu(self) -> Cpu:
        own, children = _cpu_of(self.pid)
        lab = int(Path("/proc/1/cmdline").read_bytes().split(b"\0")[3])  # process 1 names the server, see lab/enter.py
        return Cpu(own, children, _cpu_of(lab)[0])

    def resident_mib(self) -> float:
        """VmRSS, MiB."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) / 1024

    def kill(self) -> None:
        self._process.kill()
        self._process.wait(_START_MAX_S)
        self._notified.close()

    def stop(self) -> None:
        self._process.send_signal(signal.SIGCONT)
        self._process.terminate()
        status = self._process.wait(_START_MAX_S)
        self._notified.close()
        if status != 0:
            raise DaemonFailed(f"exit status {status}\n{self.places.log.read_text()[-2000:]}")


def _cpu_of(pid: int) -> tuple[float, float]:
    """Seconds of CPU of a process and of its children that were waited for, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS, (int(fields[13]) + int(fields[14])) / _TICKS


@contextmanager
def started(places: Places) -> Iterator[Daemon]:
    """Stopped at the end, whatever happens."""
    daemon = Daemon(places)
    try:
        yield daemon
    finally:
        daemon.stop()


def commits_in_log(store: Path) -> int:
    """Transactions in SQLite's write-ahead log: a frame that ends one bears the size of the database.

    https://www.sqlite.org/fileformat2.html#walformat
    """
    log = store.with_name(store.name + "-wal")
    content = log.read_bytes() if log.exists() else b""
    if len(content) < 32:
        return 0
    page_bytes, salts = int.from_bytes(content[8:12]), content[16:24]
    frames = range(32, len(content), 24 + page_bytes)
    return sum(content[at + 8 : at + 16] == salts and int.from_bytes(content[at + 4 : at + 8]) > 0 for at in frames)
