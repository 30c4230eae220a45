"""The usage of each `zonecfg` command, and the readings of its arguments that several share [zones 4.3]."""

from __future__ import annotations

from lab.world import NotEmulated
from lab.zonecfg_grammar import Command
from lab.zonecfg_model import NOT_EMULATED, Spec
from lab.zonecfg_session import Session

USAGE = {
    "add": "add <resource-type>\n\tadd <property-name> <property-value>",
    "cancel": "cancel",
    "clear": "clear <property-name>",
    "commit": "commit",
    "create": "create [-F] [ -a <path> | -b | -t <template> ]",
    "delete": "delete [-F]",
    "end": "end",
    "exit": "exit [-F]",
    "export": "export [-f output-file]",
    "help": "help [commands] [syntax] [usage] [<command-name>]",
    "info": "info [<resource-type> [property-name=property-value]*]",
    "remove": "remove [-F] <resource-type> [ <property-name>=<property-value> ]*",
    "revert": "revert [-F]",
    "select": "select <resource-type> { <property-name>=<property-value> }",
    "set": "set <property-name>=<property-value>",
    "verify": "verify",
}


def show_usage(session: Session, command: Command) -> None:
    session.usage(USAGE[command.verb])


def force_given(session: Session, command: Command) -> bool | None:
    """Whether -F was given; None, and the usage, for anything else."""
    if command.arguments not in ([], ["-F"]):
        show_usage(session, command)
        return None
    return command.arguments == ["-F"]


def resource_type(session: Session, command: Command, name: str) -> Spec | None:
    if name in NOT_EMULATED:
        raise NotEmulated(f"zonecfg resource {name} [zones 4.5]")
    spec = session.specs.get(name)
    if spec is None:
        show_usage(session, command)
    return spec


def qualifiers(session: Session, command: Command, spec: Spec) -> dict[str, str] | None:
    wanted: dict[str, str] = {}
    for pair in command.pairs:
        if pair.name not in spec.properties or not isinstance(pair.value, str):
            show_usage(session, command)
            return None
        wanted[pair.name] = pair.value
    return wanted
