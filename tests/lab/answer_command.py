"""`zonelab answer ZONE …`: a server in that zone that says the zone's name (native/answerd.c). No illumos here."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from lab import door
from lab.call import Become, Call
from lab.world import NotEmulated, Status
from lab.zonefiles import ZonecfgError, index_entry

PROGRAM = f"{door.STATE}/answerd"
MODES = ("well", "refuse", "hang", "sick", "error", "reset")
_MODE_FILE = "var/answerd.mode"
_SCRIPT = "etc/rc.local"
_HEAD = "#!/bin/sh\n# zonelab answer\n"
_NORMAL_HTTP = 80


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("zone", metavar="ZONE")
    parser.add_argument("--http", type=int, action="append", default=[], metavar="PORT", help="80 if none is named")
    parser.add_argument("--tcp", type=int, action="append", default=[], metavar="PORT", help="the name, then an echo")
    parser.add_argument("--name", help="what it says instead of the zone's name")
    parser.add_argument("--slow-start", type=float, metavar="SECONDS", help="no port is open before that")
    parser.add_argument("--mode", choices=MODES, help="only change how a zone's server behaves, now and after a boot")


def main(call: Call, options: argparse.Namespace) -> int:
    """Exit status 1: no such zone, or it has an rc.local of its own. Raises `Become` when the zone runs.

    The zone's /etc/rc.local starts the server at each boot; in a running zone it is started at once, too.
    """
    try:
        entry = index_entry(call.world, options.zone)
    except ZonecfgError:
        entry = None
    if entry is None or not entry.zonepath:
        call.err(f"zonelab: no zone {options.zone} with a zonepath\n")
        return 1
    root = call.world.path(f"{entry.zonepath}/root")
    if options.mode is not None:
        _write(root / _MODE_FILE, "" if options.mode == "well" else f"{options.mode}\n", 0o644)
        return 0
    script = root / _SCRIPT
    if script.exists() and not script.read_text().startswith(_HEAD):
        call.err(f"zonelab: zone {options.zone} has an {_SCRIPT} of its own\n")
        return 1
    if not call.world.floor.real:
        raise NotEmulated("zonelab answer on the data-only floor")
    ports = options.http if options.http or options.tcp else [_NORMAL_HTTP]
    words = [PROGRAM, *(word for port in ports for word in ("--http", str(port)))]
    words += [word for port in options.tcp for word in ("--tcp", str(port))]
    words += ["--name", options.name] if options.name else []
    words += ["--slow-start", str(options.slow_start)] if options.slow_start else []
    _write(script, f"{_HEAD}exec {shlex.join(words)}\n", 0o755)
    zone = call.world.kernel_zones.get(options.zone)
    if zone is None or zone.status is not Status.RUNNING:
        return 0
    raise Become([*words, "--daemon", "yes"], options.zone, {"PATH": "/usr/sbin:/usr/bin"}, no_stdin=True)


def _write(file: Path, text: str, mode: int) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    file.chmod(mode)
