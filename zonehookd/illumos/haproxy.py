"""haproxy's runtime API: what a running haproxy has, and telling it otherwise without a reload (services sheet 6.3).

It is spoken to by `nc` over a UNIX socket, from inside its zone, in its interactive mode: one command a line, the
replies in the same order, each after a prompt. A connection takes any number of commands so, in every version, and
`quit` ends it. Without that mode only the first line of a connection is sure to be heard, and only to 16 KiB.

What a running haproxy was told is lost with it: the file it starts with must say the same (services sheet 6.3).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from zonehookd.errors import CannotObserve, last_of
from zonehookd.illumos.zlogin import inside, judged, must_succeed
from zonehookd.model.command import Change, Query, Reply, Verdict
from zonehookd.model.network import Ip

T = TypeVar("T")
GENERATION = "ZONEHOOKD_GENERATION"  # set by our part of its configuration, and so known to who has read it
_SILENT = 4  # status of the scripts below: nobody answers; nc itself says so by a bare 1
_TIMEOUT_S = 15.0
_PROMPT = "> "
_MAINT, _DRAIN = 1, 8  # bits of srv_admin_state set by a command (services sheet 6.3)
_ENABLED = 4  # bit of srv_check_state
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]*", re.ASCII)
_KEY = re.compile(r"[A-Za-z0-9*][A-Za-z0-9._~:/*-]*", re.ASCII)
_VALUE = re.compile(r"[A-Za-z0-9._~:/?=&-]+", re.ASCII)
_STILL_USED = "still has connections"

# How a checked server is checked, in the file as in the runtime API, which knows nothing of `default-server` lines.
CHECKED = "check inter 2s fastinter 500ms fall 2 rise 1"

_HEARD = 'test -S "$1" || { echo "there is no socket $1" >&2; exit 4; }; '
# From 126 on it is the shell that speaks: nc is not there, or was killed, and nobody was asked.
_ASK = _HEARD + 'nc -U "$1" || { s=$?; test $s -lt 126 || exit $s; echo "nobody answers at $1" >&2; exit 4; }'
# What is left of the replies is trouble: successes say nothing, or one of the sentences that are taken out here.
_TELL = (
    _HEARD + '{ nc -U "$1" || echo "nobody answers at $1"; } | sed -e "s/^> //" -e "/^ *$/d" '
    '-e "/^New server registered\\.$/d" -e "/^Server deleted\\.$/d" -e "/^No such server\\.$/d" '
    '-e "/^Already exists a server with the same name in backend\\.$/d" -e "/^Key not found\\.$/d" >&2'
)


@dataclass(frozen=True, slots=True)
class Running:
    """A server of a running haproxy. `admin`: ready, drain or maint, as it was told. `up`: its checks say so, or it
    has none. `weight`: as it is now. `checked`: checks are set up, and on (`watched`). `since_s`: whole seconds
    since it took requests, or since it does."""

    address: str
    port: int
    up: bool
    admin: str
    weight: int
    checked: bool
    watched: bool
    since_s: int = 0


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a map. `ref`: by which this very one can be deleted, when its key is there twice."""

    ref: str
    key: str
    value: str


@dataclass(frozen=True, slots=True)
class Runtime:
    """`generation` None: it has not heard of us. `silent`: why it could not be asked; then all else is empty.

    `servers`: by backend and name. `maps`: those it has loaded. `version`: as far as it is numbers, such as (2, 6, 12).
    """

    generation: str | None = None
    version: tuple[int, ...] = ()
    backends: frozenset[str] = frozenset()
    servers: Mapping[tuple[str, str], Running] = field(default_factory=dict)
    maps: Mapping[str, tuple[Entry, ...]] = field(default_factory=dict)
    silent: str = ""


@dataclass(frozen=True, slots=True)
class Use:
    """How much of a server is in use. `kept`: connections to it that are kept for the next request."""

    sessions: int
    kept: int = 0


# -- looking ---------------------------------------------------------------------------------------------------------


def runtime(where: str, socket: Path, maps: Sequence[Path]) -> Query[Runtime]:
    """All that can differ from what is wanted, over one connection. Who does not answer is `silent`."""
    asked = (f"show env {GENERATION}", "show info", "show backend", "show servers state")
    lines = (*asked, *(f"show map {_path(each)}" for each in maps))

    def parse(said: Sequence[str]) -> Runtime:
        env, info, backends, servers, *listed = said
        loaded = {str(path): _entries(text) for path, text in zip(maps, listed, strict=True)}
        return Runtime(
            _generation(env),
            _version(info),
            frozenset(_rows(backends)),
            dict(_servers(servers)),
            {path: entries for path, entries in loaded.items() if entries is not None},
        )

    return _query(where, socket, lines, parse, lambda why: Runtime(silent=why))


def use(where: str, socket: Path, backends: Collection[str]) -> Query[Mapping[tuple[str, str], Use]]:
    """(backend, server) -> how much it is in use, for every server of these backends."""
    names = sorted(_word(each) for each in backends)
    lines = [line for each in names for line in (f"show stat {each} 4 -1", f"show servers conn {each}")]

    def parse(said: Sequence[str]) -> Mapping[tuple[str, str], Use]:
        found: dict[tuple[str, str], Use] = {}
        for stat, conn in zip(said[::2], said[1::2], strict=True):
            kept = dict(_kept(conn))
            for name, sessions in _sessions(stat):
                found[name] = Use(sessions, kept.get(name, 0))
        return found

    return _query(where, socket, lines, parse, lambda why: {})


def _query(
    where: str,
    socket: Path,
    lines: Sequence[str],
    parse: Callable[[Sequence[str]], T],
    silent: Callable[[str], T],
) -> Query[T]:
    argv = inside(where, ("sh", "-c", _ASK, "sh", _path(socket)), stdin=True)

    def read(reply: Reply) -> T:
        if reply.status == _SILENT:
            return silent(last_of(reply.stderr))
        must_succeed(where, argv, reply)
        said = _replies(reply.stdout)
        if len(said) != len(lines):
            raise CannotObserve(f"haproxy of zone {where} answered {len(said)} of {len(lines)} questions")
        try:
            return parse(said)
        except (KeyError, TypeError) as problem:  # whoever is root in that zone may answer in its place
            raise CannotObserve(f"haproxy of zone {where} answered nonsense: {problem!r}") from problem

    return Query(argv, read, timeout_s=_TIMEOUT_S, stdin=_spoken(lines))


def _spoken(lines: Sequence[str]) -> str:
    return "".join(f"{line}\n" for line in ("prompt", *lines, "quit"))


def _replies(text: str) -> list[str]:
    """What came after each prompt; the one before the first is the answer to ``prompt`` itself."""
    parts = text.replace("\r", "").split(f"\n{_PROMPT}")
    return [each.strip("\n") for each in parts[1:-1]] if len(parts) > 1 and not parts[-1].strip() else []


def _generation(text: str) -> str | None:
    name, equals, value = text.strip().partition("=")
    return value if equals and name == GENERATION else None


def _version(text: str) -> tuple[int, ...]:
    found = re.search(r"^Version: *([0-9]+(?:\.[0-9]+)*)", text, re.MULTILINE)
    return tuple(int(each) for each in found[1].split(".")) if found else ()


def _rows(text: str) -> Iterator[str]:
    return (line for line in text.splitlines() if line and not line.startswith("#"))


def _table(text: str, separator: str | None = None) -> Iterator[Mapping[str, str]]:
    """Rows by the names in the line that begins with ``#``: further columns come with newer versions."""
    names: list[str] = []
    for line in text.splitlines():
        if line.startswith("# "):
            names = line[2:].split(separator)
        elif line and names:
            yield dict(zip(names, line.split(separator), strict=False))


def _servers(text: str) -> Iterator[tuple[tuple[str, str], Running]]:
    for row in _table(text):
        if not (_WORD.fullmatch(row["be_name"]) and _WORD.fullmatch(row["srv_name"])):
            continue  # none of ours, and it cannot be part of a command
        admin, checks = int(row["srv_admin_state"]), int(row["srv_check_state"])
        yield (
            (row["be_name"], row["srv_name"]),
            Running(
                row["srv_addr"],
                int(row["srv_port"]),
                int(row["srv_op_state"]) > 0,
                "maint" if admin & ~_DRAIN else "drain" if admin else "ready",
                int(row["srv_uweight"]),
                checks != 0,
                bool(checks & _ENABLED),
                int(row["srv_time_since_last_change"]),
            ),
        )


def _entries(text: str) -> tuple[Entry, ...] | None:
    """None: no such map is loaded."""
    if text and not text.startswith("0x"):
        return None
    words = (line.split() for line in text.splitlines())
    return tuple(Entry(each[0], each[1], each[2]) for each in words if len(each) >= 3 and _WORD.fullmatch(each[0]))


def _sessions(text: str) -> Iterator[tuple[tuple[str, str], int]]:
    for row in _table(text, ","):
        waiting = int(row["qcur"] or 0)
        yield (row["pxname"], row["svname"]), int(row["scur"] or 0) + waiting


def _kept(text: str) -> Iterator[tuple[tuple[str, str], int]]:
    for row in _table(text):
        backend, _, name = row["bkname/svname"].partition("/")
        yield (backend, name), int(row.get("idle_cur", "0"))


# -- telling ---------------------------------------------------------------------------------------------------------


def tell(where: str, socket: Path, lines: Sequence[str], *, why: str) -> Change:
    """Commands to the running haproxy, in this order, over one connection. It fails with what haproxy said of those
    that did not go; the others have gone, and the next look sees which. What is so already is no failure."""
    argv = inside(where, ("sh", "-c", _TELL, "sh", _path(socket)), stdin=True)
    return Change(
        argv,
        why,
        timeout_s=60.0,
        stdin=_spoken(lines),
        silent=True,
        tally="haproxy-runtime",
        judge=judged(where, _judge),
        label=f"tell haproxy {'' if where == 'global' else f'of zone {where} '}({len(lines)} commands)",
        shows=tuple(lines[:8]),
    )


def _judge(status: int, stderr: str) -> Verdict:
    return Verdict(again=True, busy=_STILL_USED in stderr)


def add_server(
    backend: str, name: str, address: Ip, port: int, weight: int, checked: bool, version: Sequence[int]
) -> Iterator[str]:
    """A server that takes requests as soon as this is done: a new one is in maintenance, with its checks off."""
    if tuple(version[:2]) < (2, 6):
        yield "experimental-mode on"  # needed up to 2.5 (services sheet 6.3)
    one = f"{_word(backend)}/{_word(name)}"
    yield f"add server {one} {at(address, port)} weight {weight}{f' {CHECKED}' if checked else ''}"
    if checked:
        yield f"enable health {one}"
    yield f"set server {one} state ready"


def at(address: Ip, port: int) -> str:
    """An address with a port, as haproxy writes it."""
    return f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"


def enable_health(backend: str, name: str) -> str:
    return f"enable health {_word(backend)}/{_word(name)}"


def set_state(backend: str, name: str, state: str) -> str:
    """``ready``, ``drain`` (nothing new) or ``maint``."""
    return f"set server {_word(backend)}/{_word(name)} state {_word(state)}"


def set_weight(backend: str, name: str, weight: int) -> str:
    return f"set server {_word(backend)}/{_word(name)} weight {weight}"


def cut(backend: str, name: str) -> str:
    """Whoever still talks to it does so no longer."""
    return f"shutdown sessions server {_word(backend)}/{_word(name)}"


def del_server(backend: str, name: str) -> str:
    """It must be in maintenance and not in use."""
    return f"del server {_word(backend)}/{_word(name)}"


def add_map(path: Path, key: str, value: str) -> str:
    """The key must not be there: there would be two (services sheet 6.3)."""
    return f"add map {_path(path)} {_key(key)} {_value(value)}"


def set_map(path: Path, key: str, value: str) -> str:
    return f"set map {_path(path)} {_key(key)} {_value(value)}"


def del_map(path: Path, key: str) -> str:
    return f"del map {_path(path)} {_key(key)}"


def del_entry(path: Path, ref: str) -> str:
    """One entry of several with the same key."""
    return f"del map {_path(path)} #{_word(ref)}"


def _checked(rule: re.Pattern[str], text: str) -> str:
    """What ends a command or a line, or begins a payload, must not be in a word of one."""
    if not rule.fullmatch(text):
        raise ValueError(f"{text!r} cannot be part of a command to haproxy")
    return text


def _word(text: str) -> str:
    return _checked(_WORD, text)


def _key(text: str) -> str:
    return _checked(_KEY, text)


def _value(text: str) -> str:
    return _checked(_VALUE, text)


def _path(path: Path) -> str:
    text = str(path)
    if not path.is_absolute() or not re.fullmatch(r"[A-Za-z0-9._/@+-]+", text, re.ASCII):
        raise ValueError(f"expected an absolute path of letters, digits, and . _ @ + -, found {text!r}")
    return text
