"""`zlogin`: a command inside a zone [zones 7].

On the real floor the caller's process enters the zone's namespaces and runs the command there. On the data-only floor
there is no inside: a command of the lab is played with the zone as its place, anything else is refused.
"""

from __future__ import annotations

import io
import shlex
from dataclasses import dataclass, replace
from pathlib import PurePath

from lab import dispatch, paper_shell
from lab.call import Become, Call
from lab.getopt import getopt
from lab.world import GLOBAL, NotEmulated, Refused
from lab.zonefiles import ZonecfgError, index_entry, peek, state_of

USAGE = "usage: zlogin [ -dnQCES ] [ -e cmdchar ] [-l user] zonename [command [args ...] ]\n"
_PATH = "/usr/sbin:/usr/bin"
_ENTERABLE = ("running", "mounted")
_SHELL_SYNTAX = set('|&;<>()$`\\"*?[]#~{}!\n')


@dataclass(frozen=True)
class _User:
    name: str
    uid: int
    gid: int
    home: str
    shell: str


def main(call: Call) -> int:
    options, operands = getopt(call.argv[1:], "dnQCESe:l:")
    letters = {option.letter for option in options}
    if "?" in letters or not operands:
        call.err(USAGE)
        return 2
    problem = _refusal(call, operands[0])
    if problem:
        call.err(f"zlogin: {problem}\n")
        return 1
    for letter in sorted(letters & set("Cd")):
        raise NotEmulated(f"zlogin -{letter} (the zone's console)")
    logins = [option.value for option in options if option.letter == "l"]
    if logins and "S" in letters:
        raise NotEmulated("zlogin -S together with -l")
    try:
        call.operate()
    except Refused as fault:
        call.err(f"zlogin: {fault.status}\n")
        return 1
    call.half_way()
    return _run(call, operands[0], operands[1:], "S" in letters, "n" in letters, logins[-1] if logins else None)


def _refusal(call: Call, name: str) -> str:
    """What zlogin says instead of entering; "" when nothing speaks against it."""
    if call.closed:
        return "process lacks valid STDIN, STDOUT, STDERR"
    if call.zone != GLOBAL:
        return "'zlogin' may only be used from the global zone"
    if name == GLOBAL:
        return "'zlogin' not applicable to the global zone"
    try:
        state = state_of(call.world, name)
    except ZonecfgError:
        return f"zone '{name}' unknown"
    if state in ("configured", "incomplete"):
        return f"cannot login to a zone which is '{state}'"
    if not call.privileged:
        raise NotEmulated("zlogin without all privileges")
    if state not in _ENTERABLE:
        return f"login allowed only to running zones ({name} is '{state}')."
    try:
        peek(call.world, name)
    except ZonecfgError:  # the brand is in its file, running or not (gate usr/src/cmd/zlogin/zlogin.c main)
        return f"could not get brand for zone {name}"
    return ""


def _run(call: Call, zone: str, command: list[str], safe: bool, no_stdin: bool, login: str | None) -> int:
    """Arguments are joined with blanks, plus a trailing one, for a shell inside to take apart again."""
    text = "".join(f"{word} " for word in command)
    if not call.world.floor.real:
        return _play(call, zone, text, no_stdin)
    if safe:
        environ, shell, cwd = {"HOME": "/", "SHELL": "/sbin/sh", "PATH": _PATH}, "/sbin/sh", "/"
        user = None
    else:
        user = _user(call, zone, login or "root")
        environ, shell, cwd = _environment(user), user.shell, user.home
    if "TERM" in call.environ:
        environ["TERM"] = call.environ["TERM"]
    argv = [shell, "-c", text] if command else _interactive(call, shell)
    if user is not None and (user.uid, user.gid) != (0, 0):
        identity = [f"--reuid={user.uid}", f"--regid={user.gid}", "--init-groups"]
        argv = ["/usr/bin/setpriv", *identity, "--", *argv]
    raise Become(argv, zone, environ, cwd, no_stdin)


def _interactive(call: Call, shell: str) -> list[str]:
    """A login shell; with a terminal, on a pseudo-terminal of its own. The connection messages are not printed."""
    return ["/usr/bin/script", "-qec", shell, "/dev/null"] if call.stdin_tty else [shell]


def _environment(user: _User) -> dict[str, str]:
    return {
        "PATH": _PATH,
        "LOGNAME": user.name,
        "HOME": user.home,
        "MAIL": f"/var/mail/{user.name}",
        "SHELL": user.shell,
    }


def _user(call: Call, zone: str, name: str) -> _User:
    """From the zone's own passwd."""
    entry = index_entry(call.world, zone)
    zonepath = entry.zonepath if entry else call.world.kernel_zones[zone].zonepath
    for line in call.world.path(f"{zonepath}/root/etc/passwd").read_text().splitlines():
        fields = line.split(":")
        if fields[0] == name and len(fields) == 7:
            return _User(name, int(fields[2]), int(fields[3]), fields[5], fields[6] or "/sbin/sh")
    raise NotEmulated(f"zlogin -l {name}: no such user in the zone")


def _play(call: Call, zone: str, text: str, no_stdin: bool) -> int:
    words = _words(text)
    name = PurePath(words[0]).name if words else ""
    if paper_shell.plays(words):
        return paper_shell.play(call, zone, words, b"" if no_stdin else call.stdin.read())
    if name not in (*dispatch.COMMANDS, *dispatch.PACKAGED):
        raise NotEmulated(f"zlogin to run {text.strip()!r} on the data-only floor")
    stdin = io.BytesIO() if no_stdin else call.stdin
    inner = replace(call, argv=[name, *words[1:]], zone=zone, environ={"PATH": _PATH}, cwd="/", stdin=stdin)
    return dispatch.run(inner)


def _words(text: str) -> list[str]:
    """What a shell makes of `text`, if it only has to split and unquote it; else nothing.

    A character that means something to a shell is fine between single quotes, as `shlex.join` puts it.
    """
    outside = "".join(text.split("'")[::2])
    if _SHELL_SYNTAX & set(outside) or text.count("'") % 2:
        return []
    return shlex.split(text)
