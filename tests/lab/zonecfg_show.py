"""`info`, `export` and `help` [zones 4.6, 4.7]."""

from __future__ import annotations

from lab.zonecfg_grammar import Command
from lab.zonecfg_model import ALIASES, NOT_EMULATED, TOP
from lab.zonecfg_print import export as export_lines
from lab.zonecfg_print import info_alias, info_all, info_resource, info_type, top_value
from lab.zonecfg_session import Session
from lab.zonecfg_usage import USAGE, qualifiers, show_usage


def info(session: Session, command: Command) -> None:
    if (config := session.initialize()) is None:
        return
    out = session.call.out
    if not command.arguments:
        lines = info_resource(session.scope.spec, session.scope.resource) if session.scope else None
        out("".join(line + "\n" for line in lines or info_all(config, session.world.dialect)))
        return
    if len(command.words) != 1 or not isinstance(command.arguments[0], str):
        show_usage(session, command)
        return
    topic = command.words[0]
    if topic in TOP:
        out(f"{topic}: {top_value(config, topic)}\n")
    elif topic in ALIASES:
        out("".join(line + "\n" for line in info_alias(config, topic)))
    elif topic in NOT_EMULATED:
        pass  # such a resource can not have been added: none is there
    else:
        spec = session.specs.get(topic)
        if spec is None or (wanted := qualifiers(session, command, spec)) is None:
            show_usage(session, command)
            return
        lines_found = list(info_type(config, spec, wanted))
        if not lines_found and wanted:
            lines_found = [f"No such {spec.name} resource."]
        out("".join(line + "\n" for line in lines_found))


def export(session: Session, command: Command) -> None:
    words = command.words
    if command.pairs or (words and (len(words) != 2 or words[0] != "-f")):
        show_usage(session, command)
        return
    if (config := session.initialize()) is None:
        return
    text = "".join(line + "\n" for line in export_lines(config, session.world.dialect))
    if words:
        session.world.path(words[1]).write_text(text)
    else:
        session.call.out(text)


def show_help(session: Session, command: Command) -> None:
    session.call.out("".join(f"{usage}\n" for usage in USAGE.values()))
