"""A gateway with a reverse proxy on a lab host: zones that say their names, clients outside, and what is to be seen."""

from __future__ import annotations

import json
import shlex
import signal
import sys
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any

from machine import ROOT, Daemon, Machine, until

OUTER = {"edge": "192.0.2.10", "global": "192.0.2.2"}
FMRIS = {
    ("haproxy", "vanilla"): "svc:/network/haproxy2:default",
    ("haproxy", "omnios"): "svc:/ooce/network/haproxy:default",
    ("nginx", "vanilla"): "svc:/network/nginx:default",
    ("nginx", "omnios"): "svc:/network/http:nginx",
}
MAINS = {
    ("haproxy", "vanilla"): "/etc/haproxy/haproxy.cfg",
    ("haproxy", "omnios"): "/etc/opt/ooce/haproxy/haproxy.cfg",
    ("nginx", "vanilla"): "/opt/tribblix/nginx/conf/nginx.conf",
    ("nginx", "omnios"): "/etc/opt/ooce/nginx/nginx.conf",
}
PATIENCE_S = 90.0  # of what a slow and busy machine may take
NETWORKS = """
[network.wan]
cidr = "192.0.2.0/24"
uplink = "net0"
gateway = "192.0.2.1"
[network.web]
cidr = "10.99.0.0/24"
via = "{where}"
[gateway.{where}]
outside = "wan"
dhcp = "none"
dns = "none"
"""
PROXY = """
[gateway.{where}.proxy]
program = "{program}"
tcp_ports = ["5400-5499"]
drain_s = 5
"""
# STATUS and the body, or the reason why there is none; over TCP the first line, or nothing.
FETCH = r"""
import http.client, socket, sys
at, port, host, path = sys.argv[1:]
try:
    if host == "tcp":
        with socket.create_connection((at, int(port)), timeout=5) as peer:
            print(peer.makefile().readline().strip())
    else:
        connection = http.client.HTTPConnection(at, int(port), timeout=5)
        connection.request("GET", path, headers={"Host": host})
        answer = connection.getresponse()
        print(answer.status, answer.read().decode().strip())
except OSError as problem:
    print(type(problem).__name__)
except http.client.HTTPException as problem:
    print(type(problem).__name__)
"""


@dataclass(frozen=True)
class Case:
    """What is put where. `dialect`: vanilla or omnios; `where`: edge or global."""

    program: str
    dialect: str
    where: str

    def __str__(self) -> str:
        return f"{self.program}-{self.dialect}-{self.where}"


class Proxied:
    """The host, its daemon, and a proxy that is not declared before `begin`."""

    def __init__(self, host: Machine, case: Case, extra: str = "") -> None:
        self.host, self.case, self.extra = host, case, extra
        self.where, self.at = case.where, OUTER[case.where]
        key = (case.program, case.dialect)
        self.fmri, self.main = FMRIS[key], MAINS[key]
        self.daemon = Daemon(host, self.config(proxy=""))

    def config(self, more: str = "", proxy: str = PROXY) -> str:
        """The whole declaration. `more` belongs to the gateway's proxy, or follows it."""
        text = NETWORKS + ('address = "192.0.2.10"\n' if self.where == "edge" else "") + proxy
        return text.format(where=self.where, program=self.case.program) + more + self.extra

    def begin(self) -> None:
        """The gateway runs, and is well; no proxy yet."""
        if self.where == "global":
            self.host.do("ipadm", "create-addr", "-T", "static", "-a", f"{self.at}/24", "net0/v4")
            self.host.do("route", "-p", "add", "default", "192.0.2.1")
        else:
            self.bare("edge")
        self.daemon.start()
        if self.where != "global":
            self.until(lambda: "edge_web0" in self.host.do("zonecfg", "-z", "edge", "export"), "the gateway's NICs")
            self.host.do("zoneadm", "-z", "edge", "boot")
        self.until(self.quiet, "the gateway is well")

    def declare(self, more: str = "") -> None:
        """The proxy is declared, and runs."""
        self.reconfigure(self.config(more))
        self.until(lambda: self.state() == "online", f"{self.fmri} runs")
        self.until(self.quiet, "all is well")

    def reconfigure(self, text: str) -> None:
        self.daemon.configure(text)
        done = self.daemon.ask("reload")
        assert done.status == 0, done

    def until(self, check: Callable[[], object], what: str, seconds: float = PATIENCE_S) -> None:
        """As `until`, with what is known when it does not happen."""
        try:
            until(check, what, seconds)
        except AssertionError as problem:
            seats = [f"{row['match']} {seat['zone']} {seat['state']} {seat['code']}: {seat['why']}"
                     for row in self.routes().get("routes", ()) for seat in row["backends"]]  # fmt: skip
            told = "\n".join([str(problem), self.trouble(), *seats, self.daemon.tail()])
            raise AssertionError(told) from problem

    # -- zones

    def bare(self, name: str, resources: str = "") -> None:
        self.host.do("zonecfg", "-z", name, f"create -b; set zonepath=/zones/{name}; set brand=sparse; "
                     f"set ip-type=exclusive; {resources}")  # fmt: skip
        self.host.do("zoneadm", "-z", name, "install")

    def zone(self, name: str, *routes: str, answers: str = "--http 80", boot: bool = True) -> None:
        """On network web, with a server that says its name; `routes`: values of zh.route0, zh.route1…"""
        texts = {"zh.net0": "web"} | {f"zh.route{number}": text for number, text in enumerate(routes)}
        self.bare(name, f"add net; set physical={name}_0; end; " + "".join(map(attribute, texts, texts.values())))
        self.host.do("zonelab", "answer", name, *answers.split())
        if boot:
            self.until(lambda: f"{name}_0" in self.host.links(), f"the link of {name}")
            self.host.do("zoneadm", "-z", name, "boot")

    def change(self, zone: str, source: str, text: str) -> None:
        """Another value of an attribute; "" takes it out."""
        select = f"select attr name={source}; set value={quoted(text)}; end" if text else f"remove attr name={source}"
        self.host.do("zonecfg", "-z", zone, select)

    def halt(self, *zones: str) -> None:
        for zone in zones:
            self.host.do("zoneadm", "-z", zone, "halt")

    # -- clients outside

    def fetch(self, host: str, path: str = "/", port: int = 80) -> str:
        """``200 web1``; host ``tcp``: the first line, or the name of what kept it away."""
        return self.host.do("zonelab", "outside", "run", "--", "/usr/bin/python3", "-SE", "-c", FETCH, self.at,
                            str(port), host, path).strip()  # fmt: skip

    def until_answers(self, host: str, wanted: str | Collection[str], path: str = "/", port: int = 80) -> None:
        answers = {wanted} if isinstance(wanted, str) else set(wanted)
        self.until(lambda: self.fetch(host, path, port) in answers, f"{host}{path}: {answers}")

    def all_answer(self, host: str, *wanted: str) -> None:
        """Each of these in the end, and nobody else meanwhile. A number of questions would not do: each of nginx'
        workers begins with the first, and a reload brings new workers."""
        heard: set[str] = set()

        def each() -> bool:
            heard.add(self.fetch(host))
            return heard >= set(wanted)

        self.until(each, f"{host}: {wanted}, heard {heard}")
        assert heard == set(wanted)

    def first_answer(self, host: str, zone: str, since: float | None = None, path: str = "/") -> dict[str, Any]:
        """How the first right answer came: `first_ms` since `since` (unix seconds; None: now), and how often not."""
        words = ["--timeout", "10", *(["--since", str(since)] if since is not None else [])]
        done = self.host.run("zonelab", "outside", "run", "--", "env", f"PYTHONPATH={ROOT}/tests", sys.executable, "-m",
                             "traffic", "first-answer", "--at", f"{self.at}:80", *words, host, path, zone)  # fmt: skip
        assert done.status == 0, done
        found: dict[str, Any] = json.loads(done.out)
        return found

    # -- what is to be seen

    def in_zone(self, *argv: str) -> str:
        """Run where the proxy is; must succeed."""
        return self.host.do(*argv) if self.where == "global" else self.host.do("zlogin", self.where, shlex.join(argv))

    def write(self, path: str, text: str) -> None:
        """A file where the proxy is, with what was there overwritten in place."""
        here = [] if self.where == "global" else ["zlogin", self.where]
        argv = ["sh", "-c", 'cat > "$1"', "sh", path]
        self.host.do(*(argv if not here else [*here, shlex.join(argv)]), stdin=text)

    def service(self) -> tuple[str, str]:
        """State and contract."""
        zone = () if self.where == "global" else ("-z", self.where)
        done = self.host.run("svcs", *zone, "-H", "-o", "state,ctid", self.fmri)
        state, contract = done.out.split() if done.status == 0 else ("", "")
        return state, contract

    def state(self) -> str:
        return self.service()[0]

    def pids(self) -> list[int]:
        """Processes of the program on the whole host, by its own numbers."""
        found = self.host.run("grep", "-lsx", self.case.program, "-r", "/proc", "--include=comm").out
        return sorted(int(each.split("/")[2]) for each in found.split() if each.count("/") == 3)

    def routes(self, **about: str) -> dict[str, Any]:
        found: dict[str, Any] = self.host.control("routes", **about) or {}
        return found

    def seats(self, match: str) -> dict[str, str]:
        """Zone -> state of its seat, or ``held``."""
        rows = [each for each in self.routes().get("routes", ()) if each["match"] == match]
        return {seat["zone"]: "held" if seat["held"] else seat["state"] for row in rows for seat in row["backends"]}

    def refused(self, zone: str) -> dict[str, str]:
        """Attribute -> code of its refusal."""
        return {each["source"]: each["code"] for each in self.routes(zone=zone).get("refused", ())}

    def trouble(self) -> str:
        return self.daemon.ask("status").out

    def quiet(self) -> bool:
        status = self.host.control("status")
        return bool(status and status["ready"] and not status["trouble"])

    def told(self) -> Counter[str]:
        """How often the daemon has told the program something: ``reloads``, and batches at ``runtime``."""
        script = ("import urllib.request as u; "
                  "print(u.urlopen('http://127.0.0.1:9631/metrics', timeout=30).read().decode())")  # fmt: skip
        text = self.host.do("python3", "-c", script)
        return counted(text.splitlines())


def counted(lines: Iterable[str]) -> Counter[str]:
    found: Counter[str] = Counter()
    for line in lines:
        for way, method in (("reloads", "reload"), ("runtime", "runtime")):
            if line.startswith("zonehookd_proxy_changes_total{") and f'method="{method}"' in line:
                found[way] += int(float(line.rsplit(" ", 1)[1]))
    return +found  # without zeros


def quoted(text: str) -> str:
    return f'"{text}"'


def attribute(name: str, text: str) -> str:
    return f"add attr; set name={name}; set type=string; set value={quoted(text)}; end; "


class Traffic:
    """Clients outside that ask all the time (tests/traffic). One at a time on a host."""

    ROUTES, REPORT = "/var/traffic.routes", "/var/traffic.report"

    def __init__(self, here: Proxied, lines: Iterable[str], *, rate: int = 500, long: int = 200) -> None:
        """`lines` as in tests/traffic/routes.py."""
        self.here = here
        self.expect(lines)
        argv = [sys.executable, "-m", "traffic", "--at", f"{here.at}:80", "--routes", self.ROUTES, "--seconds", "0",
                "--rate", str(rate), "--long", str(long), "--partial", self.REPORT]  # fmt: skip
        self._pid = here.host.start("zonelab", "outside", "run", "--", *argv, log="/var/log/traffic",
                                    environ={"PYTHONPATH": f"{ROOT}/tests"})  # fmt: skip

    def expect(self, lines: Iterable[str]) -> None:
        text = "".join(f"{line}\n" for line in lines)
        self.here.host.do("sh", "-c", 'cat > "$1.new" && mv "$1.new" "$1"', "sh", self.ROUTES, stdin=text)

    def so_far(self) -> dict[str, Any]:
        done = self.here.host.run("cat", self.REPORT)
        found: dict[str, Any] = json.loads(done.out) if done.status == 0 else {}
        return found

    def until_up(self, connections: int) -> None:
        self.here.until(lambda: (now := self.so_far()) and now["ok"] > 100 and now["long"]["up"] == connections,
                        f"{connections} long connections are up")  # fmt: skip

    def end(self) -> dict[str, Any]:
        self.here.host.signal(self._pid, signal.SIGTERM)
        assert self.here.host.wait(self._pid) == 0, self.here.host.read("/var/log/traffic")
        return self.so_far()
