"""A gateway zone on the paper floor whose haproxy is a real one: it reads the zone's files, and the engine tells and
asks it as it would the one in a zone. What haproxy itself needs to see are other paths, and is rewritten on the way.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fixtures import Admin
from lab.dispatch import paper_world
from lab.world import Dialect
from paper import Died, Engine

from plugins.haproxy.tests.running import Haproxy
from zonehookd.config import STANDARD
from zonehookd.engine.reconciler import PlannedStep
from zonehookd.host.process import Finished
from zonehookd.illumos import haproxy
from zonehookd.model.command import Reply, Verdict
from zonehookd.model.plan import describe
from zonehookd.model.subject import Subject

FMRI = "svc:/network/haproxy2:default"
MAIN = "etc/haproxy/haproxy.cfg"
OURS = "/var/zonehookd/haproxy"
DMZ = {"cidr": "10.1.0.0/24", "via": "edge"}
EDGE: dict[str, object] = {"nat": False, "dhcp": "none", "dns": "none"}
PROXY = {"program": "haproxy", "tcp_ports": ["5400-5499"]}
ADMINS = """global
    maxconn 500

defaults
    mode http
    timeout client 5s
    timeout server 5s
    timeout connect 5s
"""
ENABLED = [each for each in STANDARD if each not in ("nginx", "dnsmasq", "dhcpd")]


class Moved(Haproxy):
    """The zone's own: its file and folder are the zone's, under other names."""

    def __init__(self, zone: Path, folder: Path) -> None:
        super().__init__(zone / MAIN, folder)
        self.here = folder / "f"
        self.here.symlink_to(zone / OURS[1:])

    def there(self, text: str) -> str:
        return text.replace(OURS, str(self.here))

    def _prepared(self, text: str) -> str:
        return super()._prepared(self.there(text))

    def told(self, script: str, socket: str, stdin: str) -> Finished:
        argv = ["sh", "-c", script, "sh", self.there(socket)]
        done = subprocess.run(argv, input=self.there(stdin), capture_output=True, text=True, check=False, timeout=60)
        out, err = (each.replace(str(self.here), OURS) for each in (done.stdout, done.stderr))
        return Finished(Reply(done.returncode, out, err), 0.0)

    def tested(self, path: Path) -> Finished:
        candidate = self.folder / "candidate.cfg"
        candidate.write_text(self._prepared(path.read_text()))
        done = subprocess.run(["haproxy", "-c", "-f", str(candidate)], capture_output=True, text=True, check=False)
        said = done.stderr.replace(str(candidate), f"/{path.relative_to(self.config.parents[2])}")
        return Finished(Reply(done.returncode, done.stdout, said), 0.0)


class Story:
    """`done`: steps of the plugin so far. `starts`, `reloads`: of haproxy."""

    def __init__(self, root: Path) -> None:
        (root / "host").mkdir(parents=True)
        self.root = root
        self.admin = Admin(paper_world(str(root / "host"), Dialect.VANILLA))
        self.inside = Path(self.admin.world.path("/zones/edge/root"))
        self.templates = root / "templates"
        self.done: list[str] = []
        self.die_after = 0
        self.contract, self.starts, self.reloads = "-", 0, 0
        self.networks: dict[str, object] = {"dmz": DMZ}
        self.gateways: dict[str, object] = {"edge": {**EDGE, "proxy": PROXY}}
        self.short = Path(tempfile.mkdtemp(prefix="zh", dir="/tmp"))
        self.haproxy = Moved(self.inside, self.short)
        self.engine = self.start()
        self.admin.zone("edge")
        for number in (1, 2):
            route = f'add attr; set name=zh.route; set type=string; set value="w{number}.example.org check=no"; end'
            self.admin.by_address(f"web{number}", f"web{number}_0", f"10.1.0.{number + 4}/24", extra=route)
        self.engine.converge(12)
        self.admin.do("zoneadm", "-z", "edge", "boot")
        self.admin.do("zoneadm", "-z", "web1", "boot")
        (self.inside / MAIN).parent.mkdir(parents=True, exist_ok=True)
        (self.inside / MAIN).write_text(ADMINS)

    def close(self) -> None:
        self.haproxy.stop()
        shutil.rmtree(self.short)

    def start(self) -> Engine:
        """A new process: only the books and the host are left of the old one."""
        options = {"haproxy": {"pace_s": 0, "templates": str(self.templates)}}
        plugins = {"enabled": ENABLED, "options": options}
        engine = Engine(self.admin.world, self.root / "state.db", self.networks, gateway=self.gateways, plugins=plugins)
        carry_out, run = engine.applier._carry_out, engine.commands.run

        async def asked(command: Any, **why: Any) -> Finished:
            self.sample()
            words = shlex.split(command.argv[-1]) if command.argv[0] == "zlogin" else list(command.argv)
            if words[:2] == ["sh", "-c"] and words[2] in (haproxy._ASK, haproxy._TELL):
                return self.haproxy.told(words[2], words[4], command.stdin)
            if words[0].endswith("/haproxy") and "-c" in words:
                return self.haproxy.tested(self.inside / words[-1][1:])
            if words[0] == "pkill" and "-USR2" in words:
                self.haproxy.reload()
                self.reloads += 1
                return Finished(Reply(0, "", ""), 0.0)
            return await run(command, **why)

        async def dying(planned: PlannedStep, subject: Subject) -> tuple[Verdict | None, str]:
            if planned.plugin != "haproxy":
                return await carry_out(planned, subject)
            result = await carry_out(planned, subject)
            self.sample()
            self.done.append(describe(planned.step))
            if len(self.done) == self.die_after:
                raise Died
            return result

        engine.commands.run = asked  # type: ignore[method-assign,assignment]
        engine.applier._carry_out = dying  # type: ignore[method-assign]
        return engine

    def sample(self) -> None:
        """A service with another contract has another process."""
        if not self.inside.exists():
            return
        done = self.admin.sh("svcs", "-z", "edge", "-H", "-o", "ctid", FMRI)
        contract = done.out.strip() if done.status == 0 else "-"
        if contract != self.contract:
            self.contract = contract
            self.haproxy.stop()
            if contract != "-":
                self.haproxy.start()
                self.starts += 1
                self._heard()

    def _heard(self) -> None:
        if "stats socket" not in self.disk()["haproxy.cfg"]:
            return  # it has never heard of us
        deadline = time.monotonic() + 60
        while not any(self.haproxy.here.glob("*.sock")):
            assert time.monotonic() < deadline, self.haproxy.said()
            time.sleep(0.01)

    # -- what is there

    def disk(self) -> Mapping[str, str]:
        files = [self.inside / MAIN, *sorted((self.inside / OURS[1:]).glob("*"))]
        return {path.name: path.read_text() for path in files if path.is_file()}

    def runtime(self) -> haproxy.Runtime:
        maps = [Path(f"{OURS}/{name}.map") for name in ("http", "tcp", "checks")]
        query = haproxy.runtime("edge", Path(OURS) / f"zonehookd-{self.socket}.sock", maps)
        return query.parse(self.haproxy.told(haproxy._ASK, query.argv[-1].split()[-1], query.stdin).reply)

    @property
    def socket(self) -> str:
        found = [line.split()[2] for line in self.disk()["haproxy.cfg"].splitlines() if "stats socket" in line]
        return found[0].rpartition("-")[2].removesuffix(".sock")

    def running(self) -> tuple[set[str], dict[str, dict[str, str]]]:
        """Servers that take requests, as ``BACKEND/NAME``; and maps."""
        found = self.runtime()
        servers = {"/".join(name) for name, each in found.servers.items() if each.admin == "ready"}
        maps = {Path(path).name: {each.key: each.value for each in every} for path, every in found.maps.items()}
        return servers, maps

    def on_disk(self) -> tuple[set[str], dict[str, dict[str, str]]]:
        servers, backend = set(), ""
        disk = self.disk()
        for line in disk["haproxy.cfg"].splitlines():
            words = line.split()
            backend = words[1] if words[:1] == ["backend"] else backend
            servers |= {f"{backend}/{words[1]}"} if words[:1] == ["server"] else set()
        loaded = self.runtime().maps
        maps = {
            name: dict(line.split() for line in text.splitlines() if not line.startswith("#"))
            for name, text in disk.items()
            if f"{OURS}/{name}" in loaded
        }
        return servers, maps

    def settle(self) -> str:
        """Until nobody has anything to do or waits, started anew when killed. The state of the service then."""
        deadline = time.monotonic() + 60
        while True:
            try:
                looked = self.engine.look()
            except Died:
                self.engine.store._database.interrupt()
                self.engine = self.start()
                continue
            plans = self.engine.plan()
            busy = [describe(each.step) for plan in plans for each in plan.steps]
            busy += [note.text for plan in plans for note in plan.notes if note.kind == "waiting" or note.again_after_s]
            busy += [each.error for each in looked.values() if each.error]
            if not busy:
                break
            assert time.monotonic() < deadline, busy
            time.sleep(0.02)
        self.sample()
        return self.admin.do("svcs", "-z", "edge", "-H", "-o", "state", FMRI).strip()

    def redeclare(self, **edge: object) -> None:
        self.gateways = {"edge": {**EDGE, **edge}}
        self.engine.redeclare(self.networks, self.gateways)
