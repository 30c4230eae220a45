"""zlogin: commands and files inside a running zone (zones sheet 7).

zlogin joins its arguments with blanks and gives them to the shell of the zone's root: there is no way round that shell.
So every argument is quoted for it, and the scripts below are constants whose data come as arguments or on stdin: what a
name or a file holds is never read as shell syntax.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from zonehookd.errors import CannotObserve, last_of
from zonehookd.model.command import Change, Query, Reply, Verdict

GLOBAL = "global"
_OURS = "zlogin: "
_NOT_UP_YET = ("Could not communicate with ipmgmtd", "repository server unavailable", "Could not find running zone")
_COMMAND_NOT_FOUND = 127
_SMF = ("svcs", "svcprop", "svcadm")  # they talk to the repository server of the zone (services sheet 3.3)

# The size comes first, so that no content can be taken for the end of one. A file that changes meanwhile does not fit.
_READ = (
    'for f do if test -f "$f"; then n=$(wc -c < "$f") || exit 3; echo file $((n)); cat "$f" || exit 3; echo; echo end; '
    'elif test -e "$f"; then echo other; else echo absent; fi; done'
)
# -C: the new file must not exist, whoever put it there. The count: a stdin that was cut short is not installed. To keep
# mode, owner and access list of the file that is there, a copy of it gets the content.
_IS_A_FOLDER = 3
_WRITE = (
    "f=$1; t=$f.zonehookd-new; k=$f.zonehookd-kept; "
    'if test -d "$f"; then echo "$f is a folder" >&2; exit 3; fi; '
    'umask 022; mkdir -p "${f%/*}/" && rm -f "$t" "$k" && umask 077 && set -C && cat > "$t" && n=$(wc -c < "$t") && '
    'if test $((n)) -ne "$3"; then echo "cut short" >&2; false; '
    'elif test "$2" != keep; then chmod "$2" "$t" && mv -f "$t" "$f"; '
    'elif test -f "$f"; then cp -p "$f" "$k" && cat "$t" >| "$k" && mv -f "$k" "$f" && rm -f "$t"; '
    'else chmod 0644 "$t" && mv -f "$t" "$f"; fi || '
    '{ rm -f "$t" "$k"; exit 1; }'
)


def inside(where: str, argv: Sequence[str], stdin: bool = False) -> tuple[str, ...]:
    """`argv` as it is run from the global zone: itself, or through zlogin. `stdin`: the command is fed something.

    Without -n zlogin would read our standard input (zones sheet 7).
    """
    if where == GLOBAL:
        return tuple(argv)
    return ("zlogin", *(() if stdin else ("-n",)), where, shlex.join(argv))


def zone_of(argv: Sequence[str]) -> str:
    """In which zone this command needs somebody to answer; "" for none: what asks the kernel about a zone does not."""
    if argv[0] == "zlogin":
        return argv[-2]
    if argv[0] in _SMF and "-z" in argv:
        return argv[argv.index("-z") + 1]
    return ""


def not_up(where: str, stderr: str) -> str:
    """Why nobody in there answers, if that is what `stderr` says; else nothing.

    A zone is `running` seconds before its ipmgmtd and its repository are (network sheet 4.6, zones sheet 1.2).
    """
    text = stderr.strip()
    if where != GLOBAL and (text.startswith(_OURS) or any(sign in text for sign in _NOT_UP_YET)):
        return f"zone {where} is not up: {last_of(text)}"
    return ""


def must_succeed(where: str, argv: Sequence[str], reply: Reply) -> None:
    """Raises CannotObserve unless the status is 0."""
    if reply.status != 0:
        why = not_up(where, reply.stderr) or f"exited {reply.status}: {last_of(reply.stderr)}"
        raise CannotObserve(f'"{shlex.join(argv)}": {why}')


def judged(where: str, judge: Callable[[int, str], Verdict]) -> Callable[[int, str], Verdict]:
    """`judge` for a command that runs in `where`: a zone that is not up, or lacks the command, comes first."""

    def verdict(status: int, stderr: str) -> Verdict:
        if not_up(where, stderr):
            return Verdict(again=True, busy=True)
        if where != GLOBAL and status == _COMMAND_NOT_FOUND and "not found" in stderr:
            return Verdict(again=False)
        return judge(status, stderr)

    return verdict


# -- files -----------------------------------------------------------------------------------------------------------


def read_files(where: str, paths: Sequence[Path]) -> Query[Mapping[Path, str | None]]:
    """What these files of a zone hold, in one command; None: not there.

    A folder, a device or bytes that are not UTF-8 raise CannotObserve. Raises ValueError for the global zone, whose
    files need no command, and for a path that is not absolute.
    """
    names = [_checked(where, path) for path in paths]
    argv = inside(where, ("sh", "-c", _READ, "sh", *names))

    def parse(reply: Reply) -> Mapping[Path, str | None]:
        must_succeed(where, argv, reply)
        if "\ufffd" in reply.stdout:
            raise CannotObserve(f"zone {where}: one of {', '.join(names)} holds bytes that are not UTF-8")
        rest = reply.stdout.encode()
        found: dict[Path, str | None] = {}
        for path in paths:
            found[path], rest = _next_file(where, path, rest)
        if rest:
            raise CannotObserve(f"zone {where}: more came than the files asked for: {rest[:80]!r}")
        return found

    return Query(argv, parse)


def _next_file(where: str, path: Path, answer: bytes) -> tuple[str | None, bytes]:
    """One file's content, and what comes after it."""
    head, _, rest = answer.partition(b"\n")
    kind, _, size = head.partition(b" ")
    if kind == b"absent":
        return None, rest
    if kind == b"other":
        raise CannotObserve(f"zone {where}: {path} is not a regular file")
    if kind != b"file" or not size.isdigit():
        raise CannotObserve(f"zone {where}: expected {path}, found {head[:80]!r}")
    content, rest = rest[: int(size)], rest[int(size) :]
    if not rest.startswith(b"\nend\n"):
        raise CannotObserve(f"zone {where}: {path} changed while it was read")
    return content.decode(), rest[len(b"\nend\n") :]


def write_file(where: str, path: Path, content: str, mode: int | None = 0o644, *, why: str) -> Change:
    """A file inside a zone, root's: made beside its place, then renamed. Missing folders above it are made (0755).
    `mode` None: mode and owner of the file that is there, 0644 for a new one.

    Done from inside, because a zone's root may put symbolic links anywhere below its root (network sheet 4.6).
    Raises ValueError as `read_files`.
    """
    name = _checked(where, path)
    size = str(len(content.encode()))
    argv = inside(where, ("sh", "-c", _WRITE, "sh", name, "keep" if mode is None else f"{mode:04o}", size), stdin=True)
    return Change(argv, why, stdin=content, judge=judged(where, _judge_file))


def remove_file(where: str, path: Path, *, why: str) -> Change:
    """Removing the missing has succeeded. Raises ValueError as `read_files`."""
    return Change(inside(where, ("rm", "-f", _checked(where, path))), why, judge=judged(where, _judge_file))


def _judge_file(status: int, stderr: str) -> Verdict:
    return Verdict(again=status != _IS_A_FOLDER)


def _checked(where: str, path: Path) -> str:
    text = str(path)
    if where == GLOBAL:
        raise ValueError(f"{text}: files of the global zone are read and written without zlogin")
    if not path.is_absolute() or "\0" in text:
        raise ValueError(f"{text!r} is not an absolute path")
    return text
