"""One lab host seen from the test: run a command there, start the daemon there, read its files."""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
ZONELAB = ROOT / "tests" / "lab" / "zonelab"
CONFIG = "/etc/zonehookd.toml"
SET_UP_S = 120.0  # until a host with gateways and servers is well for the first time, on a slow machine
NETWORKS = '[network.dmz]\ncidr = "10.1.0.0/24"\n[network.back]\ncidr = "10.2.0.0/24"\n'


@dataclass(frozen=True)
class Done:
    status: int | None
    out: str
    err: str


class Machine:
    """A throw-away host: everything in it ends with `close`."""

    def __init__(self, *options: str) -> None:
        agent = Path(__file__).with_name("agent.py")
        self._process = subprocess.Popen(
            [str(ZONELAB), "run", *options, "--", sys.executable, "-u", str(agent)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._answer()

    def close(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(120)
        self._process.stdout.close()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, f"the lab host ended with status {self._process.wait(10)}"
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _ask(self, verb: str, **request: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"verb": verb, **request}) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def run(self, *argv: str, stdin: str = "", timeout_s: float = 90.0) -> Done:
        return Done(**self._ask("run", argv=list(argv), stdin=stdin, timeout_s=timeout_s))

    def do(self, *argv: str, stdin: str = "") -> str:
        """Must succeed."""
        done = self.run(*argv, stdin=stdin)
        assert done.status == 0, f"{argv}: {done}"
        return done.out

    def start(self, *argv: str, log: str, environ: dict[str, str] | None = None) -> int:
        pid: int = self._ask("start", argv=list(argv), log=log, environ=environ or {})["pid"]
        return pid

    def signal(self, pid: int, number: signal.Signals) -> None:
        self._ask("signal", pid=pid, signal=int(number))

    def wait(self, pid: int, timeout_s: float = 60.0) -> int | None:
        """Exit status, negative for a signal; None when it still runs."""
        status: int | None = self._ask("wait", pid=pid, timeout_s=timeout_s)["status"]
        return status

    def control(self, question: str, **about: Any) -> Any:
        """The daemon's answer to a verb of its control socket; None when there is none. Cheaper than zonehookctl."""
        return self._ask("control", root=str(ROOT), question=question, about=about)["data"]

    def read(self, path: str) -> str:
        return self.do("cat", path)

    def write(self, path: str, text: str) -> None:
        self.do("sh", "-c", 'cat > "$1"', "write", path, stdin=text)

    # -- zones

    def inside(self, zone: str, *argv: str, timeout_s: float = 90.0) -> Done:
        return self.run("zlogin", zone, shlex.join(argv), timeout_s=timeout_s)

    def wire(self, where: str, *words: str, timeout_s: float = 90.0) -> Done:
        """wire.py in a zone, in the global zone (``global``), or ``outside``."""
        return self.run(*self.wire_argv(where, words), timeout_s=timeout_s)

    def serve(self, where: str, *words: str) -> int:
        """wire.py that stays; its pid."""
        return self.start(*self.wire_argv(where, words), log="/var/log/wire.log")

    @staticmethod
    def wire_argv(where: str, words: tuple[str, ...]) -> list[str]:
        argv = ["/usr/bin/python3", "-c", Path(__file__).with_name("wire.py").read_text(), *words]
        if where == "outside":
            return ["zonelab", "outside", "run", "--", *argv]
        return argv if where == "global" else ["zlogin", where, shlex.join(argv)]

    def zone(self, name: str, link: str, address: str) -> None:
        net = f"add net; set physical={link}; set allowed-address={address}; end"
        self.do("zonecfg", "-z", name, f"create -b; set zonepath=/zones/{name}; set brand=sparse; "
                f"set ip-type=exclusive; {net}")  # fmt: skip

    def delete(self, name: str) -> None:
        self.run("zoneadm", "-z", name, "halt")
        self.run("zoneadm", "-z", name, "uninstall", "-F")
        self.do("zonecfg", "-z", name, "delete", "-F")

    def links(self) -> list[str]:
        return sorted(self.do("dladm", "show-link", "-p", "-o", "link").split())

    def fault(self, *argv: str) -> None:
        self.do("zonelab", "fault", *argv)

    def journal(self) -> list[dict[str, Any]]:
        """Every illumos command run on this host so far, oldest first."""
        return [json.loads(line) for line in self.do("zonelab", "log").splitlines()]


def until(check: Callable[[], object], what: str, seconds: float = 40.0) -> None:
    """Wait for something real to happen; says what did not. The limit is for slow machines, and below a full look."""
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, f"did not happen within {seconds:g} s: {what}"
        time.sleep(0.03)


class Daemon:
    """zonehookd on a machine. `start` returns when it is ready, or at once with `wait=False`."""

    def __init__(self, machine: Machine, networks: str = NETWORKS, extra: str = "") -> None:
        self.machine = machine
        self.pid = 0
        self.log = "/var/log/zonehookd.log"
        self.configure(networks, extra)

    def configure(self, networks: str, extra: str = "") -> None:
        self.machine.write(CONFIG, networks + extra)

    def start(self, *, wait: bool = True, environ: dict[str, str] | None = None) -> None:
        argv = [sys.executable, "-m", "zonehookd", "--config", CONFIG]
        self.pid = self.machine.start(*argv, log=self.log, environ={"PYTHONPATH": str(ROOT), **(environ or {})})
        if wait:
            self.until_ready()

    def until_ready(self) -> None:
        until(lambda: (answer := self.ctl("status")) and answer["ready"], f"ready: {self.tail()}")

    def ask(self, *words: str) -> Done:
        """On a machine that may be slow, so it is waited for longer than an admin would."""
        argv = [sys.executable, "-m", "zonehookd.cli.main", "--config", CONFIG, "--timeout", "60", *words]
        return self.machine.run("env", f"PYTHONPATH={ROOT}", *argv)

    def ctl(self, *words: str) -> Any:
        """The JSON answer, or None when nobody answered."""
        done = self.ask("--json", *words)
        return json.loads(done.out) if done.out else None

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int | None:
        self.machine.signal(self.pid, number)
        return self.machine.wait(self.pid)

    def tail(self) -> str:
        return self.machine.run("tail", "-n", "20", self.log).out

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.machine.read(self.log).splitlines() if line.startswith("{")]

    def audit(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.machine.read("/var/log/zonehookd/audit.jsonl").splitlines()]

    def may_lose(self, *networks: str) -> None:
        """Leave to take these networks away from the zones that are on them."""
        named = [word for network in networks for word in ("--network", network)]
        done = self.ask("guard", "permit", *named, "--for", "10m", "--reason", "the test takes them away")
        assert done.status == 0, done

    def settle(self) -> None:
        done = self.ask("apply")
        assert done.status in (0, 1), done
