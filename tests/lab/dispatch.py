"""From an argument list to the function that plays it; the one door of both the server and in-process tests."""

from __future__ import annotations

import importlib
import io
from dataclasses import dataclass
from functools import cache
from types import ModuleType

from lab import packages
from lab.call import Call, Exit
from lab.channel import Channel
from lab.faults import Faults, Killed
from lab.paper import PaperFloor
from lab.world import Dialect, NotEmulated, World

COMMANDS = (
    "dhcpd", "dladm", "dnsmasq", "halt", "ipadm", "ipf", "ipfstat", "ipnat", "kstat", "nc", "netstat", "pfexec",
    "pgrep", "pkill", "poweroff", "reboot", "route", "routeadm", "svcadm", "svccfg", "svcprop", "svcs", "zlogin",
    "zoneadm", "zonecfg", "zonename",
)  # fmt: skip
PACKAGED = packages.COMMANDS  # further ones, not on PATH
SIGKILLED = 137
NOT_EMULATED = 125


@cache
def _module(name: str) -> ModuleType:
    return importlib.import_module(f"lab.commands.{name}")


def run(call: Call) -> int:
    """Exit status of `call`. Raises `Become` when the caller is to turn into another program."""
    call.faults = call.world.faults.arm(call.argv)
    kinds = {fault.kind for fault in call.faults}
    try:
        if "caller-before" in kinds:
            call.kill_parent()
        for fault in call.faults:
            if fault.kind == "slow" and call.linger(fault.seconds):
                raise Killed
        status = _module(call.argv[0]).main(call)
        assert isinstance(status, int)
        return status
    except Exit as leave:
        return leave.status
    except Killed:
        return SIGKILLED
    except NotEmulated as corner:
        call.err(f"zonelab: not emulated: {corner}\n")
        return NOT_EMULATED
    finally:
        if "caller-after" in kinds:
            call.kill_parent()


@dataclass(frozen=True)
class Completed:
    status: int
    out: str
    err: str


def run_text(world: World, argv: list[str], stdin: str = "", zone: str = "global") -> Completed:
    """In-process: run one command and hand back its text."""
    call = Call(world, argv, stdin=io.BytesIO(stdin.encode()), zone=zone, environ={"PATH": "/usr/sbin:/usr/bin"})
    status = run(call)
    assert isinstance(call.stdout, io.BytesIO) and isinstance(call.stderr, io.BytesIO)
    out, err = (stream.getvalue().decode(errors="replace") for stream in (call.stdout, call.stderr))
    return Completed(status, out, err)


def paper_world(root: str, dialect: Dialect = Dialect.VANILLA) -> World:
    """A data-only host whose files live below `root` (an existing empty folder)."""
    from pathlib import Path

    from lab.host import furnish

    world = World(Path(root), dialect, PaperFloor(), Channel(), Faults())
    furnish(world)
    return world
