"""What the product can build: each function that makes a Query or a Change, called with a spread of arguments.

And who of the product uses each, read from the source: a plugin by its name, else the part of zonehookd.
"""

from __future__ import annotations

import ast
import asyncio
import sys
import tempfile
from collections.abc import Iterator, Mapping
from functools import cache
from ipaddress import ip_address, ip_interface, ip_network
from pathlib import Path
from typing import Any

import pytest

from zonehookd.errors import ZonehookError
from zonehookd.gate import program
from zonehookd.host.process import Finished
from zonehookd.illumos import (
    dladm,
    haproxy,
    ipadm,
    ipf,
    ipnat,
    kstat,
    nginx,
    omapi,
    probe,
    ps,
    put,
    route,
    smf,
    zlogin,
    zoneadm,
    zonecfg,
)
from zonehookd.illumos.zlogin import GLOBAL
from zonehookd.model.command import Change, Query, Reply
from zonehookd.model.record import Record
from zonehookd.model.subject import Subject, zone
from zonehookd.plugin.served import look as served_look
from zonehookd.plugin.served.server import Server

ROOT = Path(__file__).resolve().parents[1]
Command = Query[Any] | Change
FMRI = "svc:/network/service/dhcp:ipv4"
_PLACES = (GLOBAL, "web1")
_MINE = Record("vnic", "web1_0", zone("web1"), "vnic", {})
_TESTS = (("/usr/sbin/dhcpd", "-t", "-4", "-cf", "{path}"), ("/opt/ooce/sbin/dnsmasq", "--test", "-C", "{path}"),
          ("/opt/ooce/sbin/haproxy", "-c", "-f", "{path}"),
          ("/opt/tribblix/nginx/sbin/nginx", "-t", "-c", "{path}"))  # fmt: skip


def _server(where: str, test: tuple[str, ...]) -> Server:
    etc = Path("/etc")
    return Server("dhcpd", where, FMRI, etc / "dhcpd.conf", etc / "dhcpd.d" / "ours.conf", 'include "{path}";\n', test)


def _built() -> Iterator[tuple[str, Command]]:
    """(function, what it made); a function that sets one thing of many names it, as ``dladm.set_linkprop mtu``."""
    why = "to see"
    yield "dladm.probe_dialect", dladm.probe_dialect()
    yield "dladm.links", dladm.links()
    yield "dladm.link", dladm.link("web1_0")
    for dialect in (dladm.Dialect(), dladm.Dialect(vnic_zone_field=True)):
        yield "dladm.vnics", dladm.vnics(dialect)
        yield "dladm.vnic", dladm.vnic("web1_0", dialect)
    yield "dladm.protections", dladm.protections()
    yield "dladm.protection", dladm.protection("web1_0")
    yield "dladm.create_etherstub", dladm.create_etherstub("web0", why=why)
    yield "dladm.delete_etherstub", dladm.delete_etherstub("web0", ours=_MINE, why=why)
    for vlan in (0, 7):
        yield "dladm.create_vnic", dladm.create_vnic("web1_0", over="web0", mac="2:8:20:0:0:1", vlan=vlan, why=why)
    yield "dladm.delete_vnic", dladm.delete_vnic("web1_0", ours=_MINE, why=why)
    yield "dladm.set_linkprop mtu", dladm.set_linkprop("web1_0", "mtu", "1500", why=why)
    for prop, value in (("zone", "web1"), ("allowed-ips", "10.1.0.2,fd00::2"), ("protection", "ip-nospoof")):
        made = dladm.set_linkprop("web1_0", prop, value, temporary=True, why=why)
        yield f"dladm.set_linkprop {prop}", made
    yield "dladm.reset_linkprop zone", dladm.reset_linkprop("web1_0", "zone", why=why)
    for where in _PLACES:
        yield from _of_a_stack(where, why)
        yield from _of_services(where, why)
        yield from _of_haproxy(where, why)
        yield from _of_nginx(where, why)
    yield "kstat.traffic", kstat.traffic()
    yield "zoneadm.zones", zoneadm.zones()
    yield "zoneadm.boot", zoneadm.boot("web1", why=why)
    yield "zoneadm.attach_force", zoneadm.attach_force("web1", why=why)
    yield from _of_zonecfg(why)
    host = omapi.named("web1_0", "02:08:20:00:00:01", ip_address("10.1.0.2"), "")  # type: ignore[arg-type]
    yield "omapi.burst", omapi.burst([host], ["zonehookd-web2_0-0123456789ab"], port=7911, key="a2V5", why=why)
    yield "ps.resident", ps.resident({77, 78})
    theirs: dict[str, str] = {"user": "probe", "why": why, "cause": "", "lane": "plugin probe"}
    for mode in (None, 0o600):
        yield "put.write", put.write(Path("/etc/a"), "text\n", mode, **theirs)
    yield "put.remove", put.remove(Path("/etc/a"), **theirs)
    for body in ("line\n", ""):
        yield "put.block", put.block(Path("/etc/a"), "probe:zone:web1", body, **theirs)
    for paths in ([Path("/etc/a")], [Path("/etc/a"), Path("/etc/b c")]):
        yield "zlogin.read_files", zlogin.read_files("web1", paths)
    for mode in (None, 0o600):
        yield "zlogin.write_file", zlogin.write_file("web1", Path("/etc/a"), "text\n", mode, why=why)
    yield "zlogin.remove_file", zlogin.remove_file("web1", Path("/etc/a"), why=why)


def _of_a_stack(where: str, why: str) -> Iterator[tuple[str, Command]]:
    four, six = ip_interface("10.1.0.2/24"), ip_interface("fd00::2/64")
    yield "ipadm.addresses", ipadm.addresses(where)
    yield "ipadm.interfaces", ipadm.interfaces(where)
    yield "ipadm.forwarding", ipadm.forwarding(where)
    for temporary in (False, True):
        yield "ipadm.create_if", ipadm.create_if(where, "web1_0", temporary=temporary, why=why)
        for each in (four, six):
            yield "ipadm.create_addr", ipadm.create_addr(where, "web1_0", "zh4", each, temporary=temporary, why=why)
        yield "ipadm.addrconf", ipadm.addrconf(where, "web1_0", "zhll", temporary=temporary, why=why)
    yield "ipadm.delete_if", ipadm.delete_if(where, "web1_0", why=why)
    yield "ipadm.delete_addr", ipadm.delete_addr(where, "web1_0", "zh4", why=why)
    for family in ipadm.FAMILIES:
        for on in (True, False):
            yield "ipadm.set_forwarding", ipadm.set_forwarding(where, "web1_0", family, on, why=why)
    yield "route.static_routes", route.static_routes(where)
    yield "route.default_routes", route.default_routes(where)
    for persistent in (False, True):
        for hop, to in ((four.ip, ip_network("10.2.0.0/24")), (six.ip, ip_network("fd00:2::/64"))):
            yield "route.add_default", route.add_default(where, hop, persistent=persistent, why=why)
            yield "route.delete_default", route.delete_default(where, hop, persistent=persistent, why=why)
            yield "route.add_static", route.add_static(where, to, hop, persistent=persistent, why=why)
            yield "route.delete_static", route.delete_static(where, to, hop, persistent=persistent, why=why)
    yield "ipf.enabled", ipf.enabled(where)
    yield "ipf.enable", ipf.enable(where, why=why)
    yield "ipnat.loaded", ipnat.loaded(where)
    yield "ipnat.add", ipnat.add(where, ["map net0 10.1.0.0/24 -> 0.0.0.0/32"], why=why)
    yield "ipnat.remove", ipnat.remove(where, ["map net0 10.1.0.0/24 -> 0.0.0.0/32"], why=why)


def _of_services(where: str, why: str) -> Iterator[tuple[str, Command]]:
    for fmris in ([FMRI], [FMRI, "svc:/network/ipfilter:default"]):
        yield "smf.services", smf.services(where, fmris)
    for groups in (["config"], ["config", "restarter/contract"]):
        yield "smf.properties", smf.properties(where, FMRI, *groups)
    for temporary in (False, True):
        yield "smf.enable", smf.enable(where, FMRI, temporary=temporary, why=why)
        yield "smf.disable", smf.disable(where, FMRI, temporary=temporary, why=why)
    yield "smf.restart", smf.restart(where, FMRI, why=why)
    yield "smf.refresh", smf.refresh(where, FMRI, why=why)
    yield "smf.clear", smf.clear(where, FMRI, why=why)
    yield "smf.hangup", smf.hangup(where, 77, why=why)
    for signal in ("HUP", "USR2"):
        yield "smf.signal", smf.signal(where, 77, signal, oldest=True, why=why)
    for values in ([], ["one"], ["two words", "a;b"]):
        yield "smf.set_property", smf.set_property(where, FMRI, "config/x", "astring", values, why=why)
    for test in _TESTS:
        yield "served.test", served_look.test(_server(where, test))
    yield "served.last_words", served_look.last_words(_server(where, _TESTS[0]))


def _of_haproxy(where: str, why: str) -> Iterator[tuple[str, Command]]:
    socket, maps = Path("/var/zonehookd/haproxy/zonehookd-0.sock"), [Path("/var/zonehookd/haproxy/http.map")]
    yield "haproxy.runtime", haproxy.runtime(where, socket, maps)
    yield "haproxy.use", haproxy.use(where, socket, {"zh-web-1"})
    yield "haproxy.tell", haproxy.tell(where, socket, ["set server zh-web-1/web1 state maint"], why=why)


def _of_nginx(where: str, why: str) -> Iterator[tuple[str, Command]]:
    yield "nginx.generation", nginx.generation(where, 9632)
    yield "nginx.processes", nginx.processes(where, 77)
    yield "nginx.errors", nginx.errors(where, "/var/log/nginx/error.log")
    yield "nginx.give_logs", nginx.give_logs(where, "/var/log/nginx", "nginx", why=why)
    yield "probe.probes", probe.probes(where, [probe.Probe(ip_address("10.1.0.2"), 80)])


def _of_zonecfg(why: str) -> Iterator[tuple[str, Command]]:
    address, router = ip_interface("10.1.0.2/24"), ip_address("10.1.0.1")
    yield "zonecfg.export", zonecfg.export("web1")
    yield "zonecfg.create_from", zonecfg.create_from("web1", "create -b\n", why=why)
    yield "zonecfg.remove_net", zonecfg.remove_net("web1", "web1_0", why=why)
    yield "zonecfg.add_net", zonecfg.add_net("web1", "web1_0", why=why)
    for allowed, hop in ((address, None), (address, router)):
        yield "zonecfg.add_net", zonecfg.add_net("web1", "web1_0", allowed=allowed, defrouter=hop, why=why)
        yield "zonecfg.set_addresses", zonecfg.set_addresses("web1", "web1_0", allowed, hop, why=why)
    yield "zonecfg.set_addresses", zonecfg.set_addresses("web1", "web1_0", None, why=why)


class _Machine:
    """One with two compilers, which compile or do not. `asked`: by the function that asks, as in `elsewhere`."""

    def __init__(self, compiles: bool, asked: dict[str, list[Command]]) -> None:
        self._compiles, self._asked = compiles, asked

    async def run(self, asked: Any, *, why: str, subject: Subject | None) -> Finished:
        code = sys._getframe(1).f_code
        self._asked.setdefault(f"{Path(code.co_filename).relative_to(ROOT)} {code.co_name}", []).append(asked)
        if "-o" not in asked.argv:
            return Finished(Reply(program._USAGE, "", "usage"), 0.0)
        if self._compiles:
            Path(asked.argv[asked.argv.index("-o") + 1]).touch()
            return Finished(Reply(0, "", ""), 0.0)
        return Finished(Reply(1, "", "it does not compile"), 0.0)


@cache
def gate_program() -> Mapping[str, list[Command]]:
    """All that is tried to have a gate program: function that builds it -> what it built."""
    asked: dict[str, list[Command]] = {}
    with tempfile.TemporaryDirectory() as state, pytest.MonkeyPatch.context() as patch:
        patch.setattr(program, "COMPILED", Path(state) / "no package brought one")
        with pytest.raises(ZonehookError, match="it does not compile"):
            asyncio.run(program.Program(Path(state), _Machine(False, asked)).provide())
        for _ in range(2):  # the second finds what the first has put there
            asyncio.run(program.Program(Path(state), _Machine(True, asked)).provide())
    return asked


@cache
def built() -> Mapping[str, list[Command]]:
    found: dict[str, list[Command]] = {}
    for name, command in _built():
        found.setdefault(name, []).append(command)
    return found


# -- the source ------------------------------------------------------------------------------------------------------

_SHARED = ROOT / "zonehookd" / "plugin"  # what plugins have in common: whoever uses it runs what it builds


def sources() -> Iterator[Path]:
    for folder in ("zonehookd", "plugins"):
        yield from (file for file in sorted((ROOT / folder).rglob("*.py")) if "tests" not in file.parts)


def builders() -> set[str]:
    """Public functions of zonehookd that return a Query or a Change, as ``MODULE.FUNCTION``."""
    found = set()
    for file in sources():
        module = "served" if file.parent.name == "served" else file.stem
        if file.is_relative_to(ROOT / "plugins"):
            continue
        for node in ast.parse(file.read_text()).body:
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_") and node.returns is not None:
                returns = ast.unparse(node.returns)
                if returns == "Change" or returns.startswith("Query["):
                    found.add(f"{module}.{node.name}")
    return found


# What comes from plugins that are not ours: the words are theirs, and so they have no row.
_THEIRS = {"zonehookd/wire/steps.py _received", "zonehookd/foreign/asks.py _command"}


def elsewhere() -> set[str]:
    """Functions that make a Query or a Change and are neither builders nor a plugin's, as ``FILE FUNCTION``."""
    found = set()
    for file in sources():
        if file.is_relative_to(ROOT / "plugins") or file.is_relative_to(_SHARED) or file.parent.name == "illumos":
            continue
        for function in ast.walk(ast.parse(file.read_text())):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                called = {ast.unparse(node.func) for node in ast.walk(function) if isinstance(node, ast.Call)}
                if {name.rpartition(".")[2] for name in called} & {"Query", "Change"}:
                    found.add(f"{file.relative_to(ROOT)} {function.name}")
    assert found >= _THEIRS
    return found - _THEIRS


@cache
def users() -> Mapping[str, set[str]]:
    """Builder, named as in `built` -> who uses it, directly or by what plugins have in common."""
    found: dict[str, set[str]] = {name: set() for name in built()}
    shared = _shared()
    for file in sources():
        inside = file.relative_to(ROOT).parts
        if inside[:2] in (("zonehookd", "illumos"), ("zonehookd", "plugin")):
            continue
        tree = ast.parse(file.read_text())
        names = _names(tree)
        used = _references(tree)
        if _imports(tree, "zonehookd.plugin"):
            used |= {builder for name in names & set(shared) for builder in shared[name]}
        for builder in used:
            found[builder].add(inside[1].removesuffix(".py"))
    return found


def _shared() -> Mapping[str, set[str]]:
    """Functions that plugins have in common -> what they build; ``served.observe`` stands for all of served."""
    bodies: dict[str, list[ast.AST]] = {"served.observe": []}
    for file in _SHARED.rglob("*.py"):
        tree = ast.parse(file.read_text())
        if file.parent.name == "served":
            bodies["served.observe"].append(tree)
        else:
            bodies |= {
                node.name: [node] for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            }
    found = {name: {each for tree in trees for each in _references(tree)} for name, trees in bodies.items()}
    found["served.observe"] |= {name for name in built() if name.startswith("served.")}
    for _ in bodies:  # as far as one calls the other
        for name, trees in bodies.items():
            for called in {each for tree in trees for each in _names(tree)} & (set(bodies) - {name}):
                found[name] |= found[called]
    return found


def _references(tree: ast.AST) -> set[str]:
    """Builders named in there, each as ``MODULE.FUNCTION``, with the property where it is one for many."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("dladm.set_linkprop", "dladm.reset_linkprop"):
            assert isinstance(node.args[1], ast.Constant), f"which property? {ast.unparse(node)}"
            found.add(f"{ast.unparse(node.func)} {ast.literal_eval(node.args[1])}")
        elif isinstance(node, ast.Attribute) and ast.unparse(node) in built():
            found.add(ast.unparse(node))
    return found


def _names(tree: ast.AST) -> set[str]:
    named = [node for node in ast.walk(tree) if isinstance(node, ast.Name | ast.Attribute)]
    return {ast.unparse(node) for node in named} | {node.attr for node in named if isinstance(node, ast.Attribute)}


def _imports(tree: ast.AST, package: str) -> bool:
    modules = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    return any(module.startswith(package) for module in modules)


def literals() -> Iterator[tuple[Path, str]]:
    """(file, first word) of every list or tuple of words that becomes a command, as far as that can be read."""
    for file in sources():
        for node in ast.walk(ast.parse(file.read_text())):
            values: list[ast.expr] = []
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("Query", "Change", "inside", "_asked"):
                values = list(node.args)
            elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "argv":
                values = [node.value]
            for value in values:
                if isinstance(value, ast.Tuple | ast.List) and value.elts:
                    first = value.elts[0]
                    if isinstance(first, ast.Constant) and isinstance(first.value, str):
                        yield file, first.value
