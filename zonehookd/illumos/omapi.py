"""Reservations of a running ISC dhcpd, through OMAPI: added and removed without a restart (services sheet 4.4).

`burst` makes the one Change that brings a server from what it has to what it should have; the rest of this file is the
small program that carries it out: one process however many hosts. It reads a JSON object on stdin, so that the key is
in no argument list:

    {"port": 7911, "key": "BASE64", "remove": ["NAME", …],
     "add": [{"name": …, "mac": …, "address": …, "statements": …}, …]}

and prints ``{"added": N, "removed": N}``. Exit 0: all is so; 1: some were refused, one line each on stderr; 2: the
request is none; 3: nobody answers. What it could do is done in every case.

Hosts of ours are known by their names: prefix, link, and a digest of all that the server was told. OMAPI does not hand
out the statements of a host, so without the digest nobody could tell whether they are right; and a host declared
in a configuration file has no such name, so it is never deleted (its tombstone would suppress it for ever, 4.4).
"""

from __future__ import annotations

import hashlib
import json
import re
import struct
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pypureomapi

from zonehookd.model.command import Change, Verdict

KEY_NAME = "zonehookd"
PREFIX = "zonehookd-"
_NAME = re.compile(r"zonehookd-[A-Za-z0-9_.]+-[0-9a-f]{12}", re.ASCII)
_REFUSED, _USAGE, _SILENT = 1, 2, 3
# An interpreter of its own knows neither where an installed service keeps its modules nor what a package manager calls
# its folders: it is told where ours come from.
_BEGIN = "import runpy, sys; sys.path[:0] = sys.argv[2:]; runpy.run_module(sys.argv[1], run_name='__main__')"
_ANSWER_S = 5.0  # per answer of the server, which sits on the same host


@dataclass(frozen=True, slots=True)
class Host:
    """A reservation: `mac` padded, `statements` as dhcpd.conf has them. `name` is made by `named`."""

    name: str
    mac: str
    address: str
    statements: str = ""


def named(link: str, mac: str, address: IPv4Address, statements: str) -> Host:
    """A host of ours for the NIC `link`: any change of it is another name."""
    digest = hashlib.sha256("\n".join((mac, str(address), statements)).encode()).hexdigest()[:12]
    return Host(f"{PREFIX}{link}-{digest}", mac, str(address), statements)


def ours(name: str) -> bool:
    """Whether a host of that name was made by `burst`."""
    return _NAME.fullmatch(name) is not None


def burst(add: Sequence[Host], remove: Iterable[str], *, port: int, key: str, why: str) -> Change:
    """Removes these names, then adds these hosts; what is so already is well. `key`: base64; `port`: TCP, this host."""
    names = sorted(remove)
    request = {
        "port": port,
        "key": key,
        "remove": names,
        "add": [asdict(host) for host in add],
    }
    shows = (
        *(f"- host {name}" for name in names),
        *(f"+ host {each.name} {each.mac} {each.address}" for each in add),
    )
    folders = (Path(__file__).parents[2], Path(pypureomapi.__file__).parent)
    argv = (sys.executable, "-I", "-c", _BEGIN, "zonehookd.illumos.omapi", *map(str, folders))
    label = "tell dhcpd through OMAPI"
    return Change(argv, why, stdin=json.dumps(request), secret=True, label=label, shows=shows, judge=_judge)


def _judge(status: int, stderr: str) -> Verdict:
    return Verdict(again=status != _USAGE, busy=status == _SILENT)


# -- the program -----------------------------------------------------------------------------------------------------


class _Refused(Exception):
    """The server understood, and said no."""


class _Server:
    """A connection to dhcpd on this host. Its methods raise _Refused; OSError or OmapiError when it is not to be had:
    nobody listens, it says nothing, or the key is wrong."""

    def __init__(self, port: int, key: str) -> None:
        self._omapi = pypureomapi.Omapi("127.0.0.1", port, KEY_NAME.encode(), key.encode(), timeout=_ANSWER_S)

    def remove(self, name: str) -> bool:
        """False: there was none."""
        message = pypureomapi.OmapiMessage.open(b"host")
        message.obj.append((b"name", name.encode()))
        found = self._omapi.query_server(message)
        if found.opcode != pypureomapi.OMAPI_OP_UPDATE or found.handle == 0:
            return False
        done = self._omapi.query_server(pypureomapi.OmapiMessage.delete(found.handle))
        if _result(done) != 0:
            raise _Refused(f"{name}: cannot be deleted: {_said(done)}")
        return True

    def add(self, host: Host) -> None:
        """Whatever host of ours has the MAC gives way; the refusal names any other that has it."""
        self.remove(host.name)  # it may be there, and its entry in the lease file lost
        message = pypureomapi.OmapiMessage.open(b"host")
        message.message += [(b"create", struct.pack("!I", 1)), (b"exclusive", struct.pack("!I", 1))]
        message.obj += [
            (b"name", host.name.encode()),
            (b"hardware-address", pypureomapi.pack_mac(host.mac)),
            (b"hardware-type", struct.pack("!I", 1)),
            (b"ip-address", IPv4Address(host.address).packed),
        ]
        if host.statements:
            message.obj.append((b"statements", host.statements.encode()))
        done = self._omapi.query_server(message)
        if done.opcode == pypureomapi.OMAPI_OP_UPDATE:
            return
        holder = self._holder(host.mac)
        if holder and holder != host.name and ours(holder) and self.remove(holder):
            return self.add(host)
        whose = f"; {host.mac} belongs to host {holder}, which is not ours" if holder and not ours(holder) else ""
        raise _Refused(f"{host.name}: {_said(done)}{whose}")

    def _holder(self, mac: str) -> str:
        """The host that has this MAC, or nothing."""
        try:
            name: bytes = self._omapi.lookup_by_host(raw=True, mac=mac).get(b"name", b"")
        except pypureomapi.OmapiErrorNotFound:
            return ""
        return name.rstrip(b"\0").decode(errors="replace")


def _result(answer: pypureomapi.OmapiMessage) -> int:
    """The code of a status message; 0 is success."""
    code: bytes = dict(answer.message).get(b"result", b"\0\0\0\1")
    return int.from_bytes(code, "big")


def _said(answer: pypureomapi.OmapiMessage) -> str:
    text: bytes = dict(answer.message).get(b"message", b"no reason given")
    return text.decode(errors="replace")


def carry_out(request: Mapping[str, Any]) -> int:
    """Talks to the server; the exit status. Raises KeyError, TypeError or ValueError: not a request."""
    hosts = [Host(**each) for each in request["add"]]
    names = [str(name) for name in request["remove"]]
    for name in (*names, *(host.name for host in hosts)):
        if not ours(name):
            raise ValueError(f"{name!r} is not a host of ours")
    counts = {"added": 0, "removed": 0}
    refused: list[str] = []
    try:
        server = _Server(int(request["port"]), str(request["key"]))
        for name in names:
            try:
                counts["removed"] += server.remove(name)
            except _Refused as problem:
                refused.append(str(problem))
        for host in hosts:
            try:
                server.add(host)
                counts["added"] += 1
            except _Refused as problem:
                refused.append(str(problem))
    except (OSError, pypureomapi.OmapiError) as problem:
        print(f"dhcpd does not answer on OMAPI port {request['port']}: {problem}", file=sys.stderr)
        return _SILENT
    print(json.dumps(counts))
    print(*refused, sep="\n", end="\n" if refused else "", file=sys.stderr)
    return _REFUSED if refused else 0


def main() -> int:
    try:
        return carry_out(json.load(sys.stdin))
    except (KeyError, TypeError, ValueError) as problem:
        print(f"not a request: {problem!r}", file=sys.stderr)
        return _USAGE


if __name__ == "__main__":
    sys.exit(main())
