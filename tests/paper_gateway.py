"""Gateways on the paper floor: networks to declare, zones to put behind them, and the questions an admin would ask.

Shared by the tests of the plugins on the gateway's side and by those of a daemon that dies among them.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fixtures import Admin, Build
from lab.world import World
from paper import Engine

from zonehookd.model.command import Change
from zonehookd.model.outcome import Result
from zonehookd.model.plan import Note, Step, WriteFile

WAN = {"cidr": "192.0.2.0/24", "uplink": "net0", "gateway": "192.0.2.1"}
WEB = {"cidr": "10.99.0.0/24", "via": "edge"}
DB = {"cidr": "10.98.0.0/24", "via": "edge"}
EDGE = {"outside": "wan", "address": "192.0.2.10", "dhcp": "none", "dns": "none"}
Tables = dict[str, Any]
_IDLE_S, _IDLE_LOOKS, _SETTLE_S, _ERRORS_MAX = 0.4, 3, 60.0, 30


def wish(number: int, text: str) -> str:
    return f'add attr; set name=zh.net{number}; set type=string; set value="{text}"; end; '


def member(admin: Admin, name: str, *wishes: str, brand: str = "sparse", state: str = "installed") -> None:
    """A zone with the NICs NAME_0, NAME_1 …, one for each wish such as ``web`` or ``web 10.99.0.7``."""
    nets = "".join(f"add net; set physical={name}_{number}; end; " for number, _ in enumerate(wishes))
    attrs = "".join(wish(number, text) for number, text in enumerate(wishes))
    admin.do("zonecfg", "-z", name, f"create -b; set zonepath=/zones/{name}; set brand={brand}; "
             f"set ip-type=exclusive; {nets}{attrs}")  # fmt: skip
    if state != "configured":
        admin.do("zoneadm", "-z", name, "install")
    if state == "running":
        admin.do("zoneadm", "-z", name, "boot")


def settle(ours: Engine) -> None:
    """Looks until one has nothing to do and nobody waits for something that is under way, such as a service."""
    deadline = time.monotonic() + _SETTLE_S
    idle_since: float | None = None
    idle_looks = 0  # a machine that stood still has given nobody his time
    errors: list[str] = []
    while time.monotonic() < deadline:
        applied = ours.look()
        if any(each.result is not Result.NOOP for each in applied.values()):
            idle_since, idle_looks = None, 0
            errors += [each.error for each in applied.values() if each.error]
            if len(errors) > _ERRORS_MAX:
                break
            continue
        now = time.monotonic()
        idle_since = now if idle_since is None else idle_since
        idle_looks += 1
        long = now - idle_since > _IDLE_S and idle_looks > _IDLE_LOOKS
        if long or not [n for n in ours.notes("waiting") if n.again_after_s is not None]:
            return
        time.sleep(0.02)
    raise AssertionError(f"not settled: {ours.steps()} {ours.notes('waiting')} {dict.fromkeys(errors[-3:])}")


# -- what there is ---------------------------------------------------------------------------------------------------


def conf(world: World, zone: str = "edge") -> Path:
    """Where ipnat.conf of a stack lies."""
    return world.path("/etc/ipf/ipnat.conf" if zone == "global" else f"/zones/{zone}/root/etc/ipf/ipnat.conf")


def rules(admin: Admin, zone: str = "edge") -> list[str]:
    """NAT rules in the kernel, in their order; none where nothing filters."""
    done = admin.sh("ipnat", "-lR", *(() if zone == "global" else ("-z", zone)))
    if done.status != 0:
        return []
    return done.out.partition("List of active sessions")[0].splitlines()[1:-1]


def inside(admin: Admin, zone: str, *argv: str) -> str:
    return admin.do(*(argv if zone == "global" else ("zlogin", zone, *argv)))


def addresses(admin: Admin, zone: str) -> dict[str, str]:
    """Object -> address, without the loopback's and link-local ones."""
    rows = inside(admin, zone, "ipadm", "show-addr", "-p", "-o", "addrobj,addr").replace("\\:", ":").splitlines()
    pairs = dict(row.split(":", 1) for row in rows)
    return {name: text for name, text in pairs.items() if not name.startswith("lo0/") and not text.startswith("fe80")}


def defaults(admin: Admin, zone: str) -> list[str]:
    """Gateways of the default routes, of both families."""
    table = inside(admin, zone, "netstat", "-rn")
    return [line.split()[1] for line in table.splitlines() if line.startswith("default ")]


def persistent(admin: Admin, zone: str) -> list[str]:
    """Persistent routes, as ``DESTINATION GATEWAY``."""
    text = inside(admin, zone, "route", "-p", "show")
    return sorted(
        line.partition("route add ")[2].removeprefix("-inet6 ") for line in text.splitlines() if "add" in line
    )


def forwarding(admin: Admin, zone: str) -> set[str]:
    """INTERFACE/FAMILY of those that forward, such as ``edge_web0/4``."""
    text = inside(admin, zone, "ipadm", "show-ifprop", "-c", "-o", "ifname,proto,current", "-p", "forwarding")
    rows = [line.split(":") for line in text.splitlines()]
    return {f"{name}/{proto[-1]}" for name, proto, value in rows if value == "on"}


def nets(admin: Admin, zone: str) -> list[str]:
    """Links that the zone's configuration names."""
    return re.findall(r"set physical=\"?([^\"\n]+)\"?\n", admin.do("zonecfg", "-z", zone, "export"))


# -- what would be done, and what is said ------------------------------------------------------------------------------


def planned(ours: Engine, plugin: str) -> list[Step]:
    return [each.step for plan in ours.plan() for each in plan.steps if each.plugin == plugin]


def repairs(ours: Engine) -> dict[str, list[str]]:
    """Cause -> the plugins whose steps have it, of a look now."""
    found: dict[str, list[str]] = {}
    for plan in ours.plan():
        for each in plan.steps:
            if isinstance(each.step, Change | WriteFile) and each.step.cause:
                found.setdefault(each.step.cause, []).append(each.plugin)
    return found


def shown(ours: Engine) -> list[str]:
    """What the steps of a look now show beside themselves: rules, and the ways in they open."""
    return [line for plan in ours.plan() for e in plan.steps if isinstance(e.step, Change) for line in e.step.shows]


def opened(ours: Engine) -> list[str]:
    return [line for line in shown(ours) if line.startswith("opens ")]


def said(ours: Engine, code: str) -> list[Note]:
    """Notes with this code, whatever their kind."""
    return [note for plan in ours.plan() for note in plan.notes if note.code == code]


# -- one site --------------------------------------------------------------------------------------------------------


@dataclass
class Site:
    """An engine over an admin's host, with the gateway zone `edge` on it unless its gateway is another."""

    admin: Admin
    build: Build
    networks: Tables = field(default_factory=lambda: {"wan": WAN, "web": WEB, "db": DB})
    gateways: Mapping[str, Tables] = field(default_factory=lambda: {"edge": EDGE})
    options: Tables = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.ours = self.build({"gateway": self.gateways, **self.options}, **self.networks)

    def up(self, *zones: str) -> None:
        """Everybody is wired, then booted, then set up."""
        settle(self.ours)
        for zone in zones:
            self.admin.do("zoneadm", "-z", zone, "boot")
        settle(self.ours)

    def declare(self, networks: Tables | None = None, gateways: Mapping[str, Tables] | None = None) -> None:
        """Another configuration from now on; what is None stays."""
        self.networks = self.networks if networks is None else networks
        self.gateways = self.gateways if gateways is None else gateways
        self.ours.redeclare(self.networks, dict(self.gateways))

    def edge(self, **changed: Any) -> None:
        """The gateway `edge` with these keys changed, the other keys as in EDGE."""
        self.declare(gateways={**self.gateways, "edge": {**EDGE, **changed}})

    def changed(self, run: Sequence[str]) -> list[tuple[str, ...]]:
        """Changing commands so far that hold all these words."""
        return [argv for argv in self.ours.commands.changes if set(run) <= set(" ".join(argv).split())]


def edge_site(admin: Admin, build: Build, *members: str, **gateway: Any) -> Site:
    """`edge` with networks web and db behind it, up; each of `members` is ``NAME WISH``, as ``web1 web 10.99.0.7``."""
    made = Site(admin, build, gateways={"edge": {**EDGE, **gateway}})
    member(admin, "edge")
    for each in members:
        name, _, text = each.partition(" ")
        member(admin, name, text)
    made.up("edge", *(each.partition(" ")[0] for each in members))
    return made
