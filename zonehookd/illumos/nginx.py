"""nginx: where its blocks end, what it says, and what it runs (services sheet 6.1, 6.2).

Its language is read only as far as it takes to put lines into somebody's `http { }` or `stream { }` and out again:
words, quotes, comments, braces, as nginx' own reader has them (a `}` ends a block only where a word could begin; a
quote or a `#` in the middle of a word is a letter).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from itertools import pairwise

from zonehookd.errors import CannotObserve, last_of
from zonehookd.illumos import marked
from zonehookd.illumos.zlogin import inside, judged, must_succeed
from zonehookd.model.command import Change, Query, Reply, Verdict

_BLANK = " \t\r\n"
_STREAM = "stream {"
_LISTEN = re.compile(r"(?P<alone>\d{1,5})|(?P<address>\*|[\d.]+|\[[0-9a-fA-F:.]+\])(?::(?P<port>\d{1,5}))?", re.ASCII)
_DIGEST = re.compile(r"[0-9a-f]{16}")
_LOG_LINES = 50
_RECENT_S = 15  # a line of the error log that is older is about something else
_LINE = re.compile(r"(\d{4}/\d\d/\d\d \d\d:\d\d:\d\d) \[(\w+)\] (?:\d+#\d+: )?(.*)")

# argument: the port. stdout: "refused", or the whole answer. Nothing waits for a name, and nothing is half-closed.
_STATUS = (
    '{ exec 3<>"/dev/tcp/127.0.0.1/$0"; } 2>/dev/null || { echo refused; exit 0; }; '
    "printf 'GET /zonehookd HTTP/1.0\\r\\n\\r\\n' >&3; "
    'while IFS= read -r -t 2 line <&3; do printf "%s\\n" "$line"; done; exit 0'
)
# argument: a contract. stdout: its oldest process, then that one's children, then all of them.
_PROCESSES = (
    'o=$(pgrep -o -c "$0") || exit 0; echo "$o"; echo children; pgrep -P "$o" -c "$0"; echo all; pgrep -c "$0"; exit 0'
)
# arguments: how many lines, and the file. The time first, in the zone's own clock, as the log has it.
_ERRORS = 'date \'+%Y/%m/%d %H:%M:%S\'; tail -n "$0" "$1"'


# -- the configuration of somebody else ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Block:
    """A block at the top. `end`: offset of its closing brace. `names`: directives right inside it."""

    name: str
    end: int
    names: frozenset[str]


def blocks(text: str) -> tuple[Block, ...]:
    """The blocks at the top of a configuration. Raises ValueError where braces or quotes do not pair."""
    found: list[Block] = []
    words: list[str] = []
    open_blocks: list[str] = []
    names: set[str] = set()
    for at, word in _tokens(text):
        if word not in (";", "{", "}"):
            words.append(word)
            continue
        if words and len(open_blocks) == 1:
            names.add(words[0])
        if word == "{":
            open_blocks.append(words[0] if words else "")
            if len(open_blocks) == 1:
                names = set()
        elif word == "}":
            if not open_blocks:
                raise ValueError(f"line {_line(text, at)}: this }} closes nothing")
            name = open_blocks.pop()
            if not open_blocks:
                found.append(Block(name, at, frozenset(names)))
        words = []
    if open_blocks:
        raise ValueError(f"the block {open_blocks[-1]!r} is not closed")
    return tuple(found)


def serves(text: str) -> bool:
    """A server is in it, or may be in a file it includes."""
    try:
        there = blocks(text)
        words = [word for _, word in _tokens(text)]
    except ValueError:
        return False
    included = (file for word, file in pairwise(words) if word == "include")
    others = any(not file.endswith(("mime.types", "_params")) for file in included)
    return others or any(each.name in ("http", "stream") and "server" in each.names for each in there)


def balanced(text: str) -> bool:
    """Whether a piece of a configuration leaves its surroundings as they are: no brace or quote too many, and no word
    that has no end."""
    try:
        words = [word for _, word in _tokens(text + "\n")]
        blocks(text + "\n")
    except ValueError:
        return False
    return not words or words[-1] in (";", "}")


def listens(text: str) -> frozenset[tuple[str, int]]:
    """(what stands before the port, port) of each `server { }` in `http { }`: ``""`` all of IPv4, ``[::]:`` all of
    IPv6, else such as ``192.0.2.1:`` or ``[2001:db8::1]:``. Of this text alone, not of what it includes; names,
    variables and Unix sockets are left out. Raises ValueError as `blocks`."""
    found: set[tuple[str, int]] = set()
    words: list[str] = []
    open_blocks: list[str] = []
    silent = False
    for _, word in _tokens(text):
        if word not in (";", "{", "}"):
            words.append(word)
            continue
        if word == ";" and open_blocks == ["http", "server"] and words[:1] == ["listen"]:
            silent = False
            if (at := _listen("".join(words[1:2]))) is not None:
                found.add(at)
        elif word == "{":
            open_blocks.append(words[0] if words else "")
            silent = silent or open_blocks == ["http", "server"]
        elif word == "}":
            if silent and open_blocks == ["http", "server"]:
                found.add(("", 80))  # a server that says nothing
            silent = silent and open_blocks != ["http", "server"]
            open_blocks = open_blocks[:-1]
        words = []
    return frozenset(found)


def _listen(text: str) -> tuple[str, int] | None:
    found = _LISTEN.fullmatch(text)
    if found is None:
        return None
    port = int(found["alone"] or found["port"] or 80)
    address = (found["address"] or "").strip("[]")
    if address in ("", "*"):
        return "", port
    try:
        ip = ip_address(address)
    except ValueError:
        return None
    if ip.version == 4 and ip.is_unspecified:
        return "", port
    return (f"[{ip}]:" if ip.version == 6 else f"{ip}:"), port


def _tokens(text: str) -> Iterator[tuple[int, str]]:
    """(offset, word); ``;``, ``{`` and ``}`` are words that stand for themselves, a quoted one carries its quote."""
    at, end = 0, len(text)
    while at < end:
        letter = text[at]
        if letter in _BLANK:
            at += 1
        elif letter == "#":
            newline = text.find("\n", at)
            at = end if newline < 0 else newline
        elif letter in ";{}":
            yield at, letter
            at += 1
        else:
            stop = _quoted_end(text, at) if letter in "'\"" else _word_end(text, at)
            yield at, text[at:stop]
            at = stop


def _quoted_end(text: str, at: int) -> int:
    end = at + 1
    while end < len(text) and text[end] != text[at]:
        end += 2 if text[end] == "\\" else 1
    if end >= len(text):
        raise ValueError(f"line {_line(text, at)}: this quote is not closed")
    return end + 1


def _word_end(text: str, at: int) -> int:
    while at < len(text):
        if text[at] == "\\" or text.startswith("${", at):
            at += 2
        elif text[at] in _BLANK or text[at] in ";{":
            break
        else:
            at += 1
    return min(at, len(text))


def _line(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1


def put(main: str | None, mark: str, body: str) -> str:
    """`main` with our lines right before the end of its `http { }`, so whatever is there comes first. Of our lines,
    those whose directive stands there already are left out: a second one would be fatal.

    `body`: lines for `http`, then perhaps ``stream {``, lines for it, and ``}``: these go into the `stream { }` that is
    there, or make one at the end. Raises ValueError: lines of ours do not pair, no `http { }` or two, or a text whose
    blocks cannot be told.
    """
    if main is None:
        raise ValueError("the file is not there, and nginx needs one with an http { } block")
    text = take(main, mark)
    there = {name: [each for each in blocks(text) if each.name == name] for name in ("http", "stream")}
    if len(there["http"]) != 1 or len(there["stream"]) > 1:
        name = "http" if len(there["http"]) != 1 else "stream"
        raise ValueError(f"expected one {name} {{ }} block in it, found {len(there[name]) or 'none'}")
    http, _, stream = body.partition(f"{_STREAM}\n")
    stream = stream.rstrip().removesuffix("}")
    block = there["http"][0]
    added = {block.end: (mark, _without(http, block.names))}
    if stream.strip() and there["stream"]:
        block = there["stream"][0]
        added[block.end] = (f"{mark}:stream", _without(stream, block.names - {"server", "upstream"}))
    elif stream.strip():
        text = marked.with_block(text, f"{mark}:tcp", f"{_STREAM}\n{stream}}}\n")
    for end in sorted(added, reverse=True):
        text = _inserted(text, end, *added[end])
    return text


def take(text: str, mark: str) -> str:
    """`text` as it is without our lines. Raises ValueError when they do not pair."""
    for each in (mark, f"{mark}:stream"):
        text = marked.without_block(text, each)
        found = marked.parts(text, f"{each}:joined")
        if found is not None:
            text = found[0].removesuffix("\n") + found[2]
    return marked.without_block(text, f"{mark}:tcp")


def _without(lines: str, names: frozenset[str]) -> str:
    """`lines` without those of a directive that may stand there once only, and does."""
    return "".join(line for line in lines.splitlines(keepends=True) if not (_once(line) and line.split()[0] in names))


def _once(line: str) -> bool:
    return line.strip().endswith(";") and line[0] not in _BLANK and line.split()[0] != "include"


def _inserted(text: str, brace: int, mark: str, body: str) -> str:
    """Before the line of a brace that has one for itself; else a new line is begun, and the mark says so."""
    start = text.rfind("\n", 0, brace) + 1
    alone = not text[start:brace].strip()
    at, new, mark = (start, "", mark) if alone else (brace, "\n", f"{mark}:joined")
    return f"{text[:at]}{new}{marked.block(mark, body)}{text[at:]}"


# -- what it says ----------------------------------------------------------------------------------------------------


def complaint(text: str) -> str:
    """Of what ``nginx -t`` or its error log says, the lines that stop it; all of it where there are none such."""
    lines = [line.strip() for line in text.splitlines() if "[emerg]" in line or "[alert]" in line]
    said = [found[3] if (found := _LINE.match(line)) else line for line in lines]
    said = [line.removeprefix("nginx: ").removeprefix("[emerg] ").removeprefix("[alert] ") for line in said]
    return "\n".join(dict.fromkeys(said)) or text


def errors(where: str, log: str) -> Query[str]:
    """Why it did not take what it was told to, as its error log has it: what the master meets at a reload is nowhere
    else (trap 44). A log that cannot be read is said to be so."""
    argv = inside(where, ("bash", "-c", _ERRORS, str(_LOG_LINES), log))

    def parse(reply: Reply) -> str:
        now, _, rest = reply.stdout.partition("\n")
        if reply.status != 0:
            if reply.stdout:  # the clock was read, so the zone is up
                return f"its error log {log} cannot be read: {last_of(reply.stderr) or f'exit status {reply.status}'}"
            must_succeed(where, argv, reply)
        lines = [line for line in rest.splitlines() if _is_recent(line, now)]
        return complaint("\n".join(lines)) if lines else ""

    return Query(argv, parse)


def _is_recent(line: str, now: str) -> bool:
    found = _LINE.match(line)
    if found is None or found[2] not in ("emerg", "alert"):
        return False
    return found[1][:10] == now[:10] and 0 <= _seconds(now) - _seconds(found[1]) <= _RECENT_S


def _seconds(stamp: str) -> int:
    hours, minutes, seconds = stamp[11:].split(":")
    return int(hours) * 3600 + int(minutes) * 60 + int(seconds)


def generation(where: str, port: int) -> Query[str]:
    """What a running nginx says it has read: 16 hex digits, "" where nobody listens on 127.0.0.1:`port`.

    By TCP, not by a Unix socket: one that was killed leaves its socket's file behind, and the next start fails with
    ``bind() to unix:… failed (98: Address already in use)`` (nginx 1.22). Raises CannotObserve: somebody else answers.
    """
    argv = inside(where, ("bash", "-c", _STATUS, str(port)))

    def parse(reply: Reply) -> str:
        must_succeed(where, argv, reply)
        if reply.stdout.strip() == "refused":
            return ""
        body = reply.stdout.replace("\r", "").partition("\n\n")[2].strip()
        if not _DIGEST.fullmatch(body):
            raise CannotObserve(f"127.0.0.1:{port} in zone {where}: no answer of ours, {reply.stdout[:60]!r}")
        return body

    return Query(argv, parse)


@dataclass(frozen=True, slots=True)
class Processes:
    """Of a contract. `oldest`: the master, where it lives. `children`: its workers, old ones among them."""

    oldest: int = 0
    children: frozenset[int] = frozenset()
    every: frozenset[int] = frozenset()

    @property
    def deaf(self) -> bool:
        """Its master died, and its workers go on: they serve, and nobody can tell them anything."""
        return bool(self.every) and not self.children


def processes(where: str, contract: int) -> Query[Processes]:
    argv = inside(where, ("bash", "-c", _PROCESSES, str(contract)))

    def parse(reply: Reply) -> Processes:
        must_succeed(where, argv, reply)
        oldest, _, rest = reply.stdout.partition("children\n")
        children, _, every = rest.partition("all\n")
        try:
            return Processes(
                int(oldest or 0), frozenset(map(int, children.split())), frozenset(map(int, every.split()))
            )
        except ValueError:
            raise CannotObserve(f'"{" ".join(argv)}" printed {reply.stdout[:80]!r}') from None

    return Query(argv, parse)


def give_logs(where: str, folder: str, user: str, *, why: str) -> Change:
    """Log files of root's in a folder become the service's own: ``nginx -t`` makes those that are missing, as root, and
    OmniOS' nginx, which begins as `user`, could not open them (services sheet 6.1, 6.2). What cannot be given is not
    our trouble: the start will say so.
    """
    argv = ("find", folder, "-type", "f", "-user", "root", "-exec", "chown", user, "{}", "+")
    return Change(inside(where, argv), why, judge=judged(where, lambda *_: Verdict(again=False, done=True)))


@dataclass(frozen=True, slots=True)
class Package:
    """Where a distribution has it (services sheet 6.1). `user`: as whom its service starts, where that is not root."""

    fmri: str
    binary: str
    main: str
    error_log: str
    user: str = ""


OMNIOS = Package(
    "svc:/network/http:nginx",
    "/opt/ooce/nginx/sbin/nginx",
    "/etc/opt/ooce/nginx/nginx.conf",
    "/var/log/opt/ooce/nginx/error.log",
    "nginx",
)
TRIBBLIX = Package(
    "svc:/network/nginx:default",
    "/opt/tribblix/nginx/sbin/nginx",
    "/opt/tribblix/nginx/conf/nginx.conf",
    "/opt/tribblix/nginx/logs/error.log",
)
