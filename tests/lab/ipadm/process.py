"""How ipadm reads its arguments and how it fails [network 4.1]."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NoReturn

from lab.call import Call, Exit
from lab.getopt import NO_VALUE, UNKNOWN, Option, getopt
from lab.ofmt import Field, Table, Unusable
from lab.world import GLOBAL, Refused, Status

USAGE = {
    "create-if": "[-t] <interface>",
    "create-ip": "[-t] <interface>",
    "delete-if": "<interface>",
    "delete-ip": "<interface>",
    "show-if": "[[-p] -o <field>,...] [<interface>]",
    "set-ifprop": "[-t] -p <prop>=<value[,...]> -m <protocol> <interface>",
    "reset-ifprop": "[-t] -p <prop> -m <protocol> <interface>",
    "show-ifprop": "[[-c] -o <field>,...] [-p <prop>,...] [-m <protocol>] [interface]",
    "create-addr": (
        "[-t] -T static [-d] -a {local|remote=}addr[/prefixlen] <addrobj>\n"
        "\tcreate-addr     [-t] -T dhcp [-w <seconds> | forever] [-1] [-h <hostname>] <addrobj>\n"
        "\tcreate-addr     [-t] -T addrconf [-i interface-id] [-p {stateful|stateless}={yes|no}] <addrobj>"
    ),
    "down-addr": "[-t] <addrobj>",
    "up-addr": "[-t] <addrobj>",
    "delete-addr": "[-r] <addrobj>",
    "refresh-addr": "[-i] <addrobj>",
    "show-addr": "[[-p] -o <field>,...] [<addrobj>]",
    "set-prop": "[-t] -p <prop>[+|-]=<value[,...]> <protocol>",
    "reset-prop": "[-t] -p <prop> <protocol>",
    "show-prop": "[[-c] -o <field>,...] [-p <prop>,...] [protocol]",
}
# What the lab's faults, worded for libdladm, mean to libipadm.
STATUS = {"link busy": "Interface already in use", "try again later": "Could not communicate with ipmgmtd"}


class Ipadm:
    """One run of one subcommand. All text is kept until `flush`: the world's lock is held meanwhile."""

    def __init__(self, call: Call, subcommand: str, arguments: list[str]) -> None:
        self.call = call
        self.world = call.world
        self.zone = call.zone
        self.subcommand = subcommand
        self.arguments = arguments
        self.program = call.argv[0]
        self.later: Callable[[], None] | None = None  # what is left to do when the world's lock is free again
        self._text: list[str] = []
        self._complaints: list[str] = []

    def print(self, text: str) -> None:
        self._text.append(text)

    def complain(self, text: str) -> None:
        self._complaints.append(text)

    def flush(self) -> None:
        self.call.out("".join(self._text))
        self.call.err("".join(self._complaints))

    def warn(self, message: str) -> None:
        self.complain(f"{self.program}: warning: {message}\n")

    def die(self, message: str) -> NoReturn:
        """The final newline goes to STDOUT: that is how the real one behaves."""
        self.complain(f"{self.program}: {message}")
        self.print("\n")
        raise Exit(1)

    def die_with_usage(self, message: str) -> NoReturn:
        self.die(f"{message}\nusage: {usage_line(self.subcommand)}")

    def options(self, optstring: str, longs: Mapping[str, str]) -> tuple[list[Option], list[str]]:
        """Dies at the first wrong option."""
        options, operands = getopt(self.arguments, optstring, "POSIXLY_CORRECT" not in self.call.environ, longs)
        for option in options:
            if option.letter == UNKNOWN:
                self.die_with_usage(f"unrecognized option '{option.text}'")
            if option.letter == NO_VALUE:
                self.die_with_usage(f"option '{option.text}' requires a value")
        return options, operands

    def operand(self, operands: list[str]) -> str:
        if len(operands) != 1:
            self.die_with_usage("Invalid arguments")
        return operands[0]

    def ready(self) -> None:
        """Raises `Refused` when the caller may not, or nobody answers the door."""
        if not self.call.privileged:
            raise Refused("Insufficient user authorizations")
        self.daemon_answers()

    def daemon_answers(self) -> None:
        if self.zone != GLOBAL and self.world.kernel_zones[self.zone].status < Status.BOOTING:
            raise Refused("Could not communicate with ipmgmtd")

    def operate(self) -> None:
        try:
            self.call.operate()
        except Refused as refused:
            raise Refused(STATUS.get(refused.status, refused.status)) from None

    def table(self, fields: list[Field], wanted: str | None, parsable: bool, default: str, wrap: bool = False) -> Table:
        try:
            table = Table(self.print, fields, wanted, parsable, default, wrap)
        except Unusable as unusable:
            self.die(str(unusable))
        for warning in table.warnings():
            self.warn(warning)
        return table


def usage_line(subcommand: str) -> str:
    return f"\t{subcommand:<15s} {USAGE[subcommand]}"


def full_usage() -> str:
    return "usage:  ipadm <subcommand> <args> ...\n" + "".join(f"{usage_line(name)}\n" for name in USAGE)
