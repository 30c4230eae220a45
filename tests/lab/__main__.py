"""The `zonelab` command on the machine; on a lab host the launcher of that name answers (control.py)."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import NoReturn

from lab import control, door, enter, hosts, native_build
from lab.world import Dialect

_STEERING = ("answer", "fault", "lease", "log", "outside")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="zonelab", description="An illumos-like host, for a test or for a while.")
    commands = parser.add_subparsers(dest="action", required=True)

    run = commands.add_parser("run", help="run a command on a throw-away host, or on a lasting one")
    run.add_argument("--host", metavar="NAME", help="on the lasting host NAME")
    run.add_argument("command", nargs="+", metavar="-- COMMAND")
    up = commands.add_parser("up", help="start a lasting host")
    up.add_argument("name", nargs="?", default=hosts.DEFAULT)
    for each in (run, up):
        each.add_argument("--paper", action="store_true", help="no zones or links, only their data")
        each.add_argument("--omnios", action="store_true", help="OmniOS' commands instead of illumos-gate's")
        each.add_argument("--uplinks", type=int, default=1, metavar="N", help="physical links: net0, net1, ...")
        each.add_argument("--show", action="append", default=[], metavar="FOLDER", help="also visible there, writable")
    down = commands.add_parser("down", help="end a lasting host")
    down.add_argument("name", nargs="?", default=hosts.DEFAULT)
    shell = commands.add_parser("shell", help="a shell on a lasting host")
    shell.add_argument("name", nargs="?", default=hosts.DEFAULT)
    commands.add_parser("list", help="the lasting hosts that are up")
    commands.add_parser("build", help="compile the launcher, if it is out of date")
    for name in _STEERING:
        commands.add_parser(name, help=f"zonelab {name} on a lasting host (--host NAME)", add_help=False)
    return parser


def _pid(name: str) -> int:
    pid = hosts.running().get(name)
    if pid is None:
        sys.exit(f"zonelab: no host '{name}' is up (zonelab up {name})")
    return pid


def _enter(name: str, command: list[str]) -> NoReturn:
    native = native_build.build()
    argv = ["zonelab-enter", str(_pid(name)), str(Path.cwd()), *command]
    os.execve(native / "zonelab-enter", argv, enter.environment(dict(os.environ)))  # noqa: S606


def _steer(action: str, arguments: list[str]) -> NoReturn:
    """The host's own `zonelab` understands everything but --host."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--host", default=hosts.DEFAULT)
    ours = arguments.index("--") if "--" in arguments else len(arguments)  # what follows is somebody's command
    options, rest = parser.parse_known_args(arguments[:ours])
    _enter(options.host, [control.NAME, action, *rest, *arguments[ours:]])


def _plan(options: argparse.Namespace, name: str, command: list[str]) -> enter.Plan:
    dialect = Dialect.OMNIOS if options.omnios else Dialect.VANILLA
    shown = tuple(str(Path(folder).resolve()) for folder in options.show)
    return enter.Plan(name, command, not options.paper, dialect, options.uplinks, shown)


def main() -> int:
    """Exit status; 125 for the lab's own trouble."""
    if Path(door.DOOR).exists():
        os.execv(f"{enter.COMMANDS}/{control.NAME}", [control.NAME, *sys.argv[1:]])  # noqa: S606
    try:
        if sys.argv[1:2] and sys.argv[1] in _STEERING:
            _steer(sys.argv[1], sys.argv[2:])
        return _act(_parser().parse_args())
    except (enter.CannotEnter, native_build.CannotBuild) as problem:
        print(f"zonelab: {problem}", file=sys.stderr)
        return 125


def _act(options: argparse.Namespace) -> int:
    match options.action:
        case "run":
            if options.host is not None:
                _enter(options.host, options.command)
            return enter.run(_plan(options, f"run{os.getpid()}", options.command))
        case "up":
            if options.name in hosts.running():
                sys.exit(f"zonelab: host '{options.name}' is up already")
            enter.up(_plan(options, options.name, []))
        case "down":
            hosts.stop(_pid(options.name))
        case "shell":
            _enter(options.name, [os.environ.get("SHELL", "/bin/sh")])
        case "list":
            print("".join(f"{name}\n" for name in sorted(hosts.running())), end="")
        case "build":
            print(native_build.build())
    return 0


if __name__ == "__main__":
    sys.exit(main())
