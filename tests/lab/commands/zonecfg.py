"""`zonecfg` [zones 4.1]: where the commands come from, and what their errors lead to."""

from __future__ import annotations

from pathlib import Path

from lab.call import Call, Exit
from lab.world import GLOBAL, NotEmulated
from lab.zonecfg_commands import perform
from lab.zonecfg_grammar import Reader, SyntaxTrouble
from lab.zonecfg_session import BAD_NAME, Session, valid_name
from lab.zonecfg_usage import USAGE

HELP = (
    "usage:\tzonecfg help\n"
    "\tzonecfg -z <zone>\t\t\t(interactive)\n"
    "\tzonecfg -z <zone> <command>\n"
    "\tzonecfg -z <zone> -f <command-file>\n"
)
SYNTAX = "\t<zone> begins with a letter or a digit, and holds letters, digits, and any of ._-\n"


def main(call: Call) -> int:
    if call.zone != GLOBAL:
        call.err("zonecfg can only be run from the global zone.\n")
        return 1
    words = call.argv[1:]
    if words == ["help"]:
        call.out(HELP + "".join(f"{usage}\n" for usage in USAGE.values()))
        return 0
    zone, file = "", ""
    while words and words[0].startswith("-") and len(words[0]) > 1:
        letter, value, rest = words[0][1], words[0][2:], words[1:]
        if letter == "?":
            call.out(HELP)
            return 2
        if letter == "R":
            raise NotEmulated("zonecfg -R")
        if letter not in "zf" or (not value and not rest):
            what = "option requires an argument" if letter in "zf" else "illegal option"
            call.err(f"zonecfg: {what} -- {letter}\n{HELP}")
            return 2
        if not value:
            value, rest = rest[0], rest[1:]
        zone, file = (value, file) if letter == "z" else (zone, value)
        words = rest
    if not zone or (file and words):
        call.err(HELP)
        return 2
    if zone == GLOBAL:
        raise NotEmulated("zonecfg -z global [zones 4.1]")
    if not valid_name(zone):
        call.err(f"{zone}: {BAD_NAME}\n{SYNTAX}")
        return 2
    session = Session(call, zone, file)
    try:
        if words:
            _run(session, " ".join(words) + "\n")
        elif file:
            _run(session, _read(call, file))
        elif call.stdin_tty:
            _converse(session)
        else:
            _run(session, call.stdin.read().decode())
        return session.finish()
    except Exit as leave:
        return leave.status


def _read(call: Call, file: str) -> str:
    if file == "-":
        return call.stdin.read().decode()
    inside = call.world.path(str(Path(call.cwd) / file))
    path = inside if inside.exists() else Path(call.cwd) / file
    if not path.is_file():
        call.err(f"{file}: {'not a regular file' if path.exists() else 'No such file or directory'}\n")
        raise Exit(1)
    return path.read_text()


def _run(session: Session, text: str) -> None:
    """Every command, even after an error; only -f stops at the first one."""
    reader = Reader(text, session.world.dialect)
    while not session.done and not (session.file and session.saw_error):
        try:
            command = reader.next()
        except SyntaxTrouble as trouble:
            session.line = trouble.line
            session.syntax_error(trouble.token)
            continue
        if command is None:
            return
        perform(session, command)


def _converse(session: Session) -> None:
    """At a terminal: a prompt before each line."""
    if session.initialize() is None:
        session.call.out("Use 'create' to begin configuring a new zone.\n")
        session.saw_error = False
    while not session.done:
        where = f":{session.scope.spec.name}" if session.scope else ""
        session.call.out(f"zonecfg:{session.zone}{where}> ")
        session.call.stdout.flush()
        line = session.call.stdin.readline().decode()
        if not line:
            return
        _run(session, line)
