"""zonehookd installed on a machine as a service, by the script that `make install` runs."""

from __future__ import annotations

import json
import signal
import sys
from typing import Any

from machine import NETWORKS, ROOT, Done, Machine, until

FMRI = "svc:/site/zonehookd:default"
OF_ALL_INSTANCES = "svc:/site/zonehookd"  # what has the manifest's property groups
LOG = "/var/svc/log/site-zonehookd:default.log"
CONFIG = "/etc/zonehookd/zonehookd.toml"


class Service:
    """Installed and disabled, with two networks declared."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.script("install")
        self.configure(NETWORKS)

    def script(self, verb: str, status: int = 0) -> str:
        """What it says, on stderr too when it is to fail."""
        argv = ("env", "DEPS=no", f"PYTHON={sys.executable}", "sh", f"{ROOT}/smf/install.sh", verb)
        done = self.machine.run(*argv, timeout_s=240)
        assert done.status == status, done
        return done.out + (done.err if status else "")

    def configure(self, text: str, file: str = CONFIG) -> None:
        self.machine.write(file, text)

    def set(self, **properties: object) -> None:
        """Properties of the group `config`, taken over at the next start."""
        for name, value in properties.items():
            self.machine.do("svccfg", "-s", OF_ALL_INSTANCES, "setprop", f"config/{name}", "=", str(value))
        self.machine.do("svcadm", "refresh", FMRI)

    def enable(self) -> Done:
        return self.machine.run("svcadm", "enable", "-s", FMRI, timeout_s=90)

    def disable(self) -> Done:
        return self.machine.run("svcadm", "disable", "-s", FMRI, timeout_s=90)

    def state(self) -> str:
        """``online -``; the second word is where it is going."""
        return " ".join(self.machine.do("svcs", "-H", "-o", "state,nstate", FMRI).split())

    def until(self, state: str, seconds: float = 60.0) -> None:
        until(lambda: self.state() == state, f"{state}: {self.state()}\n{self.log()}", seconds)

    def pids(self) -> tuple[int, int]:
        """Of the warden and the daemon."""
        return self._pid("lib/zonehookd-warden"), self._pid("bin/zonehookd")

    def _pid(self, words: str) -> int:
        """The oldest of those: between fork and exec a child looks like its parent."""
        found = self.machine.run("pgrep", "-o", "-f", f"^[^ ]*python[^ ]* -I [^ ]*{words} ").out.split()
        return int(found[0]) if found else 0

    def kill(self, pid: int, number: signal.Signals = signal.SIGKILL) -> None:
        self.machine.do("kill", f"-{int(number)}", str(pid))

    def until_restarted(self, before: tuple[int, int], seconds: float = 60.0) -> None:
        def done() -> bool:
            return self.state() == "online -" and 0 not in self.pids() and not set(before) & set(self.pids())

        until(done, f"another warden and daemon than {before}: {self.pids()}\n{self.log()}", seconds)

    def ask(self, *words: str) -> Done:
        return self.machine.run("/opt/zonehookd/bin/zonehookctl", *words)

    def status(self) -> dict[str, Any]:
        """Needs no readable configuration."""
        done = self.ask("--run", "/var/run/zonehookd", "--timeout", "60", "--json", "status")
        assert done.out, done
        answer: dict[str, Any] = json.loads(done.out)
        return answer

    def log(self) -> str:
        return self.machine.read(LOG)

    def reason(self) -> str:
        lines = self.machine.do("svcs", "-x", FMRI).splitlines()
        return next(line.removeprefix("Reason: ") for line in lines if line.startswith("Reason: "))
