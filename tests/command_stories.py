"""Stories on the paper floor in which the plugins run what they can, and an account of every command that was run."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from command_proxies import Running
from command_table import Said, said
from fixtures import Admin
from lab.dispatch import paper_world
from lab.world import Dialect
from paper import Engine, PaperCommands
from paper_gateway import Tables, member

from plugins.haproxy.tests.paper_haproxy import Story
from plugins.haproxy.tests.test_killed import run
from zonehookd.config import STANDARD
from zonehookd.engine.applier import Applier
from zonehookd.engine.boots import Motion
from zonehookd.engine.look import PluginReader
from zonehookd.engine.reconciler import PlannedStep
from zonehookd.host.process import Finished
from zonehookd.model import subject
from zonehookd.model.command import Change, Query, Reply
from zonehookd.model.record import RESTORE, Record

DNSMASQ = {Dialect.VANILLA: "svc:/network/dnsmasq:default", Dialect.OMNIOS: "svc:/network/dns/dnsmasq:default"}
WAN = {"cidr": ["192.0.2.0/24", "2001:db8:0:1::/64"], "uplink": "net0", "gateway": ["192.0.2.1", "2001:db8:0:1::1"]}
WEB = {
    "cidr": ["10.99.0.0/24", "fd00:99::/64"],
    "via": "edge",
    "pool": ["10.99.0.10-10.99.0.99", "fd00:99::10-fd00:99::99"],
}


# In a world that is only data these have no files to work on, and nobody to talk to.
_ANSWERED = {"dhcpd": "", "python": "", "ls": "-rw-r--r-- 1 root root 9 Nov 21 2026 x\n", "chmod": "", "chgrp": ""}


@dataclass(frozen=True)
class Ran:
    """`who`: the plugin, or "" for the engine itself."""

    command: Said
    kind: str
    who: str


class Account:
    """Every command that a paper engine asks for, or runs, from here on."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.ran: set[Ran] = set()
        run, ask, carry_out = PaperCommands.run, PluginReader.ask, Applier._carry_out
        nginx = Running()

        async def on_paper(commands: PaperCommands, asked: Any, **why: Any) -> Finished:
            kind = "change" if isinstance(asked, Change) else "look"
            command = said(asked.argv)
            self.ran.add(Ran(command, kind, ""))
            if command.place == "global" and command.words[0] in _ANSWERED:
                return Finished(Reply(0, _ANSWERED[command.words[0]], ""), 0.0)
            answer = nginx.answer(command, commands.world.root)
            if answer is not None or command.words[0] == "find":
                return Finished(Reply(0, answer or "", ""), 0.0)
            return await run(commands, asked, **why)

        async def for_plugin(reader: PluginReader, query: Query[Any]) -> Any:
            self.ran.add(Ran(said(query.argv), "look", reader._plugin))
            return await ask(reader, query)

        async def step(applier: Applier, planned: PlannedStep, subject: Any) -> Any:
            if isinstance(planned.step, Change):
                self.ran.add(Ran(said(planned.step.argv), "change", planned.plugin))
            return await carry_out(applier, planned, subject)

        patch.setattr(PaperCommands, "run", on_paper)
        patch.setattr(PluginReader, "ask", for_plugin)
        patch.setattr(Applier, "_carry_out", step)


def gateways_come_and_go(root: Path, dialect: Dialect) -> None:
    """A gateway zone with another behind it: built, served, changed, broken, deleted, restored, taken down."""
    (root / "host").mkdir(parents=True)
    admin = Admin(paper_world(str(root / "host"), dialect))
    for name, *wishes in (("edge",), ("inner",), ("web1", "web"), ("web2", "web"), ("db1", "db"), ("set1", "set")):
        member(admin, name, *wishes)
    networks: Tables = {
        "wan": WAN, "web": WEB, "db": {"cidr": "10.98.0.0/24", "via": "inner"},
        "set": {"cidr": "10.97.0.0/24", "via": "edge", "address_by": "zonecfg"},
    }  # fmt: skip
    edge: Tables = {
        "outside": "wan", "address": ["192.0.2.10", "2001:db8:0:1::10"], "dhcp": "dnsmasq", "dns": "dnsmasq",
        "forward": [{"port": 8080, "to": "web1", "to_port": 80}],
    }  # fmt: skip
    inner = {"outside": "web", "nat": False, "dhcp": "none", "dns": "none"}
    gateways: Tables = {"edge": edge, "inner": inner}
    options = {"dnsmasq": {"pace_s": 0, "dhcp_on_omnios": True}}
    plugins = {"enabled": list(STANDARD), "options": options}
    ours = Engine(admin.world, root / "state.db", networks, gateway=gateways, plugins=plugins)
    looks(ours)
    for name in ("edge", "inner", "web1", "db1", "set1"):
        admin.do("zoneadm", "-z", name, "boot")
    looks(ours)

    admin.do("zoneadm", "-z", "web2", "boot")
    looks(ours)
    networks["late"] = {"cidr": "10.96.0.0/24", "via": "edge"}
    networks["web"] = {**WEB, "mtu": 8000, "names": [{"name": "www", "cname": "web1"}]}
    moved = {"address": ["192.0.2.11", "2001:db8:0:1::10"], "forward": [{"port": 8081, "to": "web1", "to_port": 80}]}
    ours.redeclare(networks, {"edge": {**edge, **moved}, "inner": inner})
    looks(ours)

    admin.do("ipf", "-D", "edge")
    looks(ours)
    served = DNSMASQ[dialect]
    for fmri in ("svc:/network/ipfilter:default", served):
        admin.do("svcadm", "-z", "edge", "mark", "maintenance", fmri)
    admin.do("ipf", "-D", "edge")
    networks["web"] = WEB
    ours.redeclare(networks, {"edge": {**edge, **moved}, "inner": inner})
    looks(ours)

    admin.do("zoneadm", "-z", "edge", "halt")
    admin.do("zonecfg", "-z", "edge", "delete", "-F")
    looks(ours, 2)
    ours.store.remember(Record(RESTORE, "edge", subject.gateway("edge"), "keeper", {"why": "the test"}))
    looks(ours)
    admin.do("zoneadm", "-z", "web2", "halt")
    ours.motion = Motion(missed=frozenset({"web2"}))
    looks(ours, 2)
    ours.motion = Motion()

    ours.redeclare({}, {})
    looks(ours)
    for name in ("web1", "web2", "db1", "set1"):
        admin.delete(name)
    looks(ours)


def served_by_haproxy(root: Path) -> None:
    """A real one: zones come, one goes, a port is added."""
    story = Story(root)
    try:
        run(story)
    finally:
        story.close()


def served_by_the_host(root: Path) -> None:
    """A network behind the global zone: dhcpd on OmniOS, told through OMAPI."""
    (root / "host").mkdir(parents=True)
    admin = Admin(paper_world(str(root / "host"), Dialect.OMNIOS))
    networks: Tables = {"dmz": {"cidr": "10.1.0.0/24", "via": "global"}}
    plugins = {"enabled": list(STANDARD), "options": {"dhcpd": {"pace_s": 0}}}
    gateways: Tables = {"global": {"dhcp": "dhcpd", "dns": "none"}}
    ours = Engine(admin.world, root / "state.db", networks, gateway=gateways, plugins=plugins)
    member(admin, "web1", "dmz")
    looks(ours)
    leases = admin.world.path("/var/db/dhcpd.leases")
    leases.parent.mkdir(parents=True, exist_ok=True)
    leases.write_text("# none\n")
    group = admin.world.path("/etc/group")
    group.write_text("root::0:\nnetadm::65:\n")
    member(admin, "web2", "dmz")
    looks(ours)
    admin.do("svcadm", "mark", "maintenance", "svc:/network/service/dhcp:ipv4")
    looks(ours)
    ours.redeclare({"dmz": {"cidr": "10.1.0.0/24"}}, {})
    looks(ours)


def looks(ours: Engine, number: int = 8) -> None:
    """Some, and no more: not all that happens in here is meant to come to rest."""
    for _ in range(number):
        ours.look()
        time.sleep(0.02)  # for services, whose manager takes its time
