"""`zonelab answer …`, `fault …`, `lease …`, `log`, `outside …`, `stop`: the lab's own command on a lab host.

No illumos here.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from lab import answer_command, brands, dhcp, dhcp_client, lease_command, outside_command
from lab.call import Call, Exit
from lab.dispatch import NOT_EMULATED
from lab.faults import KINDS, Fault
from lab.world import NotEmulated

NAME = "zonelab"
OWN = (NAME, dhcp_client.REPORTER, brands.INTERPRETER)  # what the lab's server answers itself


class _Parser(argparse.ArgumentParser):
    """Writes to the caller instead of to the server's own streams."""

    call: Call

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        if message:
            self.call.err(message)
        raise Exit(status)

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\n")

    def print_help(self, file: object = None) -> None:
        self.call.out(self.format_help())


def _parser(call: Call) -> _Parser:
    class Parser(_Parser):
        pass

    Parser.call = call
    parser = Parser(prog=NAME, description="Steer the lab you are in.")
    commands = parser.add_subparsers(dest="command", required=True, parser_class=Parser)
    fault = commands.add_parser("fault", help="script what goes wrong").add_subparsers(dest="action", required=True)
    add = fault.add_parser("add", help="a fault for commands whose line matches PATTERN, e.g. 'dladm create-vnic *'")
    add.add_argument("kind", choices=KINDS)
    add.add_argument("pattern")
    add.add_argument("--skip", type=int, default=0, help="matching commands to let pass first")
    add.add_argument("--times", type=int, default=1, help="matching commands to spoil")
    add.add_argument("--seconds", type=float, default=0.0, help="for slow")
    add.add_argument("--status", default="operation failed", help="for fail: the status text of the kernel operation")
    fault.add_parser("list", help="what will still strike")
    fault.add_parser("clear", help="forget all of them, and deliver events again")
    fault.add_parser("lose-events", help="from now on every zone event is lost")
    log = commands.add_parser("log", help="the journal: one JSON line per command executed")
    log.add_argument("-n", type=int, default=0, metavar="N", help="the last N only")
    log.add_argument("--clear", action="store_true", help="empty it afterwards")
    outside = commands.add_parser("outside", help="the far side of the physical links")
    outside_command.add_parsers(outside.add_subparsers(dest="action", required=True, parser_class=Parser))
    lease_command.add_arguments(commands.add_parser("lease", help="what a DHCP client was given, as JSON"))
    answer_command.add_arguments(commands.add_parser("answer", help="a server in a zone that says the zone's name"))
    commands.add_parser("stop", help="end this host with everything in it")
    return parser


def main(call: Call, journal: Path, stop: Callable[[], None]) -> int:
    """`stop` ends the server."""
    if call.argv[0] == dhcp_client.REPORTER:
        dhcp.report(call.world, call.environ.get(dhcp_client.TICKET, ""), "".join(call.argv[1:2]), call.environ)
        return 0
    if call.argv[0] == brands.INTERPRETER:
        return _loudly(call, brands.interpret)
    words = call.argv[1:]
    ours = words.index("--") if "--" in words else len(words)  # argparse's own "--" differs between Pythons
    try:
        options = _parser(call).parse_args([*words[:ours], *(["command"] if ours < len(words) else [])])
    except Exit as leave:
        return leave.status
    if ours < len(words):
        options.words = words[ours + 1 :]
    if options.command == "stop":
        stop()
    elif options.command == "log":
        _log(call, journal, options.n, options.clear)
    elif options.command == "lease":
        return lease_command.main(call, options)
    elif options.command == "answer":
        return _loudly(call, lambda call: answer_command.main(call, options))
    elif options.command == "outside":
        return _loudly(call, lambda call: outside_command.main(call, options))
    else:
        _fault(call, options)
    return 0


def _loudly(call: Call, play: Callable[[Call], int]) -> int:
    try:
        return play(call)
    except NotEmulated as corner:
        call.err(f"zonelab: not emulated: {corner}\n")
        return NOT_EMULATED


def _log(call: Call, journal: Path, last: int, clear: bool) -> None:
    lines = journal.read_text().splitlines(keepends=True) if journal.exists() else []
    call.out("".join(lines[-last:]))
    if clear:
        journal.write_text("")


def _fault(call: Call, options: argparse.Namespace) -> None:
    faults, channel = call.world.faults, call.world.channel
    if options.action == "add":
        faults.add(Fault(options.kind, options.pattern, options.skip, options.times, options.seconds, options.status))
    elif options.action == "lose-events":
        channel.drop_all = True
    elif options.action == "clear":
        faults.clear()
        channel.drop_all = False
    else:
        for fault in faults.waiting():
            call.out(json.dumps(vars(fault)) + "\n")
        if channel.drop_all:
            call.out(json.dumps({"kind": "lose-events"}) + "\n")
