"""The commands of `zonecfg` in the global scope [zones 4.3]."""

from __future__ import annotations

from collections.abc import Callable

from lab import zonefiles
from lab.world import NotEmulated, Refused
from lab.zonecfg_grammar import Command, Pair
from lab.zonecfg_model import ALIASES, TOP, matches
from lab.zonecfg_resource import (
    add_property,
    cancel,
    clear_in_scope,
    end,
    open_existing,
    open_new,
    remove_property,
    set_in_scope,
)
from lab.zonecfg_session import BAD_NAME, Session, valid_name
from lab.zonecfg_show import export, info, show_help
from lab.zonecfg_top import clear_top, set_top
from lab.zonecfg_usage import USAGE, force_given, qualifiers, resource_type, show_usage
from lab.zonefiles import ZonecfgError, index_entry, kernel_zone


def create(session: Session, command: Command) -> None:
    words = [each for each in command.arguments if isinstance(each, str)]
    force, template = False, "SUNWdefault"
    while words:
        word = words.pop(0)
        if word == "-F":
            force = True
        elif word == "-b":
            template = "SUNWblank"
        elif word == "-t" and words:
            template = words.pop(0)
        elif word == "-a":
            raise NotEmulated("zonecfg create -a [zones 4.3]")
        else:
            show_usage(session, command)
            return
    if session.read_only("create"):
        return
    entry = index_entry(session.world, session.zone)
    if entry is not None and session.config is None:
        if session.installed():
            session.say(f"Zone {session.zone} already installed; create not allowed.")
            return
        if not force:
            answer = session.ask(f"Zone {session.zone} already exists; create anyway")
            if answer is None:
                raise session.ignored("create", "Zone exists, input not from terminal and -F not specified:")
            if not answer:
                return
        else:
            session.call.out(f"Zone {session.zone} already exists; overwriting.\n")
        session.saved_name, session.fresh = session.zone, True
    try:
        config = zonefiles.load(session.world, template)
    except ZonecfgError as trouble:
        session.error(f"{template}: {trouble.text}")
        return
    config.attributes["name"] = session.zone
    config.attributes.pop("debugid", None)
    session.config = config
    session.need_to_commit = True


def delete(session: Session, command: Command) -> None:
    force = force_given(session, command)
    if force is None or session.read_only("delete"):
        return
    name = session.zone
    if not force:
        if session.initialize() is None:
            return
        answer = session.ask(f"Are you sure you want to delete zone {name}")
        if answer is None:
            raise session.ignored("delete")
        if not answer:
            return
    entry = index_entry(session.world, name)
    active = kernel_zone(session.world, name) is not None
    if entry is None:
        session.error(f"{name}: {zonefiles.NO_ZONE}")
        session.error(f"{name}: {zonefiles.NO_ZONE}")
    elif not force and (active or entry.state != "configured"):
        session.say(f"Zone {name} not in configured state; delete not allowed.  Use -F to force delete.")
        return
    elif active:
        session.error(f"{name}: Zone state is invalid for the requested operation")
        return
    else:
        try:
            session.call.operate()
        except Refused as refused:
            session.error(f"{name}: {refused.status}")
            return
        zonefiles.delete(session.world, name, session.call.half_way)
    session.config, session.saved_name, session.need_to_commit = None, None, False


def revert(session: Session, command: Command) -> None:
    force = force_given(session, command)
    if force is None or session.read_only("revert") or session.initialize() is None:
        return
    if session.need_to_commit and not force:
        answer = session.ask("Are you sure you want to revert")
        if answer is None:
            raise session.ignored("revert")
        if not answer:
            return
    session.zone = session.saved_name or session.zone
    session.config, session.need_to_commit, session.fresh = None, False, False


def commit(session: Session, command: Command) -> None:
    if command.arguments:
        show_usage(session, command)
    elif not session.read_only("commit") and session.initialize() is not None:
        session.commit()


def verify(session: Session, command: Command) -> None:
    if command.arguments:
        show_usage(session, command)
    elif session.initialize() is not None:
        session.verified()


def add(session: Session, command: Command) -> None:
    if session.scope is not None:
        add_property(session, command, USAGE["add"])
        return
    if len(command.arguments) != 1 or not command.words:
        show_usage(session, command)
        return
    spec = resource_type(session, command, command.words[0])
    if spec is None or session.read_only("add") or (config := session.initialize()) is None:
        return
    if spec.single and any(config.of(spec.tag)):
        session.error(f"A {spec.name} resource already exists.")
        return
    open_new(session, spec)


def select(session: Session, command: Command) -> None:
    only_one = command.words == ["capped-memory"]  # at most one of these: no qualifier needed
    if len(command.words) != 1 or not (only_one or 1 <= len(command.pairs) <= 3):
        show_usage(session, command)
        return
    spec = resource_type(session, command, command.words[0])
    if spec is None or (wanted := qualifiers(session, command, spec)) is None:
        return
    if session.read_only("select") or (config := session.initialize()) is None:
        return
    found = [each for each in config.of(spec.tag) if matches(spec, each, wanted)]
    if len(found) == 1:
        open_existing(session, spec, found[0])
    else:
        why = "Insufficient specification" if found else "No such resource with that id"
        session.error(f"select {spec.name}: {why}")


def remove(session: Session, command: Command) -> None:
    if session.scope is not None:
        remove_property(session, command, USAGE["remove"])
        return
    words = command.words
    force = words[:1] == ["-F"]
    words = words[1:] if force else words
    if len(words) != 1 or len(command.pairs) > 3:
        show_usage(session, command)
        return
    spec = resource_type(session, command, words[0])
    if spec is None or (wanted := qualifiers(session, command, spec)) is None:
        return
    if session.read_only("remove") or (config := session.initialize()) is None:
        return
    found = [each for each in config.of(spec.tag) if matches(spec, each, wanted)]
    if not found:
        why = "No such resource with that id" if wanted else "No such entry"
        session.error(f"remove {spec.name}: {why}")
        return
    if len(found) > 1 and wanted:
        session.error(f"remove {spec.name}: Insufficient specification")
        return
    if len(found) > 1 and not force:
        session.error(
            "There are multiple instances of this resource.  Either qualify the resource to\n"
            "remove a single instance or use the -F option to remove all instances."
        )
        return
    config.resources = [each for each in config.resources if not any(each is one for one in found)]
    session.need_to_commit = True


def set_property(session: Session, command: Command) -> None:
    if len(command.arguments) != 1 or not isinstance(pair := command.arguments[0], Pair):
        show_usage(session, command)
        return
    if session.read_only("set"):
        return
    if session.scope is not None:
        if not set_in_scope(session, pair):
            show_usage(session, command)
        return
    if (config := session.initialize()) is None:
        return
    if not isinstance(pair.value, str) or (pair.name not in TOP and pair.name not in ALIASES):
        show_usage(session, command)
        return
    if pair.name == "zonename":
        _rename(session, pair.value)
        return
    set_top(session, config, pair.name, pair.value)


def _rename(session: Session, new: str) -> None:
    """Until commit only the handle has the new name."""
    config = session.config
    assert config is not None
    if new == config.name:
        return
    if not valid_name(new) or new.startswith("SUNW"):
        session.error(f"{new}: {BAD_NAME}")
    elif kernel_zone(session.world, config.name) is not None:
        session.error(f"{new}: Zone state is invalid for the requested operation")
    elif index_entry(session.world, new) is not None:
        session.error(f"{new}: Zone name already in use")
    else:
        config.attributes["name"] = new
        session.zone = new
        session.need_to_commit = True


def clear(session: Session, command: Command) -> None:
    if len(command.arguments) != 1 or not command.words:
        show_usage(session, command)
        return
    if session.read_only("clear"):
        return
    name = command.words[0]
    if session.scope is not None:
        if not clear_in_scope(session, name):
            show_usage(session, command)
    elif (config := session.initialize()) is not None and not clear_top(session, config, name):
        show_usage(session, command)


def leave(session: Session, command: Command) -> None:
    force = force_given(session, command)
    if force is None:
        return
    if session.scope is not None and not force:
        answer = session.ask("Resource incomplete; really quit")
        if answer is None:
            raise session.ignored("exit", "Resource incomplete, input not from terminal and -F not specified:")
        if not answer:
            return
    session.scope = None
    session.done = True


COMMANDS: dict[str, Callable[[Session, Command], None]] = {
    "add": add, "clear": clear, "commit": commit, "create": create, "delete": delete, "exit": leave,
    "export": export, "help": show_help, "info": info, "remove": remove, "revert": revert, "select": select,
    "set": set_property, "verify": verify,
}  # fmt: skip
ANY_SCOPE = ("add", "clear", "exit", "help", "info", "remove", "set")
INCOMPLETE_IN_SCOPE = ("commit", "verify")


def perform(session: Session, command: Command) -> None:
    """One command, in the scope it was given in."""
    session.line = command.line
    verb = command.verb
    if verb in ("end", "cancel"):
        if session.scope is None:
            session.error(f"The {verb} command only makes sense in the resource scope.")
        elif command.arguments:
            show_usage(session, command)
        else:
            (end if verb == "end" else cancel)(session)
        return
    if session.scope is not None and verb in INCOMPLETE_IN_SCOPE:
        session.error("resource specification incomplete")
        return
    if session.scope is not None and verb not in ANY_SCOPE:
        session.error(f"The {verb} command only makes sense in the global scope.")
        return
    COMMANDS[verb](session, command)
