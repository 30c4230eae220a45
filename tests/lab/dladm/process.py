"""How dladm reads its arguments and how it fails [network 2.1]."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NoReturn

from lab import datalinks
from lab.call import Call, Exit
from lab.getopt import NO_VALUE, UNKNOWN, Option, getopt
from lab.ofmt import Field, Table, Unusable
from lab.world import GLOBAL, Dialect, Link, NotEmulated, Refused

USAGE = {
    "rename-link": "[-R <root-dir>] <oldlink> <newlink>",
    "create-etherstub": "[-t] [-R <root-dir>] <link>",
    "delete-etherstub": "[-t] [-R <root-dir>] <link>",
    "show-etherstub": "[-p] [-o <field>,...] [-P] [<link>]",
    "create-vnic": (
        "[-t] [-R <root-dir>] -l <link> [-m <value> | auto | {factory [-n <slot-id>]} | {random [-r <prefix>]} | "
        "{vrrp -V <vrid> -A {inet | inet6}}] [-v <vid> [-f]] [-p <prop>=<value>[,...]] <vnic-link>"
    ),
    "delete-vnic": "[-t] [-R <root-dir>] <vnic-link>",
    "show-vnic": "[-pP] [-l <link>] [-o <field>,...] [-s [-i <interval>]] [<link>]",
    "up-vnic": "[<vnic-link>]",
    "show-link": "[-pP] [-o <field>,...] [-s [-i <interval>]] [<link>]",
    "show-phys": "[-m | -H | -P] [[-p] [-o <field>,...]] [<link>]",
    "show-linkmap": "",
    "set-linkprop": "[-t] [-R <root-dir>] -p <prop>=<value>[,...] <name>",
    "reset-linkprop": "[-t] [-R <root-dir>] [-p <prop>,...] <name>",
    "show-linkprop": "[-cP] [-o <field>,...] [-p <prop>,...] <name>",
}
HIDDEN = {"up-vnic", "show-linkmap"}
ZONED = {"rename-link", "delete-vnic", "show-vnic", "set-linkprop", "reset-linkprop", "show-linkprop"}

PARSABLE = {"parsable": "p", "parseable": "p"}
ROOT = {"temporary": "t", "root-dir": "R"}


class Dladm:
    """One run of one subcommand. All text is kept until `flush`: the world's lock is held meanwhile."""

    def __init__(self, call: Call, subcommand: str, arguments: list[str]) -> None:
        self.call = call
        self.world = call.world
        self.subcommand = subcommand
        self.arguments = arguments
        self.program = call.argv[0]
        self.omnios = call.world.dialect is Dialect.OMNIOS
        self.inside = call.zone != GLOBAL
        self._text: list[str] = []
        self._complaints: list[str] = []

    # output -------------------------------------------------------------------------------------------------------

    def print(self, text: str) -> None:
        self._text.append(text)

    def complain(self, text: str) -> None:
        self._complaints.append(text)

    def flush(self) -> None:
        self.call.out("".join(self._text))
        self.call.err("".join(self._complaints))

    def warn(self, message: str, status: str | None = None) -> None:
        self.complain(f"{self.program}: warning: {message}{_tail(status)}\n")

    def die(self, message: str, status: str | None = None) -> NoReturn:
        self.complain(f"{self.program}: {message}{_tail(status)}\n")
        raise Exit(1)

    def usage(self) -> NoReturn:
        self.complain(full_usage(self.call))
        raise Exit(1)

    def table(
        self, fields: list[Field], wanted: str | None, parsable: bool, default: str | None = None, wrap: bool = False
    ) -> Table:
        try:
            table = Table(self.print, fields, wanted, parsable, default, wrap)
        except Unusable as unusable:
            self.die(str(unusable))
        for warning in table.warnings():
            self.warn(warning)
        return table

    # arguments ----------------------------------------------------------------------------------------------------

    def options(self, optstring: str, longs: Mapping[str, str]) -> tuple[list[Option], list[str]]:
        """Options up to the first wrong one, at which this dies; `-z` exists only where [network 2.6] says."""
        if self.omnios and self.subcommand in ZONED:
            optstring += "z:"
        options, operands = getopt(self.arguments, optstring, "POSIXLY_CORRECT" not in self.call.environ, longs)
        return options, operands

    def refuse_option(self, option: Option) -> None:
        """Dies when `option` is an error entry."""
        if option.letter in (UNKNOWN, NO_VALUE):
            complaint = (
                f"unrecognized option '{option.text}'"
                if option.letter == UNKNOWN
                else f"option '{option.text}' requires a value"
            )
            self.complain(f"{self.program}: {complaint}\nusage: {usage_line(self.call, self.subcommand)}\n")
            raise Exit(1)

    def once(self, seen: str | bool | None, option: Option) -> None:
        if seen:
            self.die(f"the option -{option.letter} cannot be specified more than once")

    def link_name(self, name: str) -> str:
        """The operand of a create: its length, then its form [network 2.5]."""
        if len(name) > datalinks.NAME_MAX:
            self.die(f"link name too long '{name}'")
        if not datalinks.valid_name(name):
            self.die(f"invalid link name '{name}'")
        return name

    def find(self, name: str, zone: str | None = None) -> Link | None:
        """The link `name`: of the caller's name space, or (``-z``) of those lent to `zone`."""
        return datalinks.find(self.world, name, self.call.zone if zone is None else zone)

    def only_in_global_zone(self) -> None:
        if self.inside:
            raise NotEmulated(f"dladm {self.subcommand} inside a zone [network 1.4]")

    def need_privilege(self) -> None:
        if not self.call.privileged:
            raise Refused("permission denied")

    def for_another_root(self, root: str) -> NoReturn:
        """`-R`: only a line in a profile file, carried out when that root boots [network 1.3]."""
        words: list[str] = []
        rest = [self.program, self.subcommand, *self.arguments]
        while rest:
            word = rest.pop(0)
            if word in ("-R", "--root-dir"):
                rest.pop(0)
            elif not word.startswith(("-R", "--root-dir=")):
                words.append(word)
        base = self.world.path(root)
        queue = "upgrade_datalink" if (base / "etc/dladm/datalink.conf").exists() else "upgrade"
        try:
            with (base / "var/svc/profile" / queue).open("a") as file:
                file.write(" ".join(words) + " # added by dladm(8)\n")
        except OSError:
            self.die(f"operation not supported on {root}")
        raise Exit(0)


def _tail(status: str | None) -> str:
    return "" if status is None else f": {status}"


def usage_line(call: Call, subcommand: str) -> str:
    text = USAGE[subcommand]
    if subcommand in ZONED and call.world.dialect is Dialect.OMNIOS:
        text = "[-z <zone>] " + text
    return f"\t{subcommand:<16s} {text}".rstrip()


def full_usage(call: Call) -> str:
    lines = [usage_line(call, name) for name in USAGE if name not in HIDDEN]
    return "usage:  dladm <subcommand> <args> ...\n" + "\n".join(lines) + "\n"
