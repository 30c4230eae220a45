"""Does a backend answer? Asked from inside the proxy's zone, which is who will ask it for others.

bash opens the connection (``/dev/tcp``), for it is in every distribution and neither half-closes nor waits for names:
illumos' nc half-closes at the end of its stdin, which servers that proxy further take for a client that left (gate
usr/src/cmd/cmd-inet/usr.bin/nc/netcat.c, readwrite). All targets of one call are asked at once, and those that have not
answered in time are not waited for: a connection into the void would be tried for minutes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from zonehookd.illumos.zlogin import inside, must_succeed
from zonehookd.model.command import Query, Reply
from zonehookd.model.network import Ip
from zonehookd.model.route import CheckKind

AT_ONCE_MAX = 128
TIMEOUT_S = 2
_STATUS_MAX = 399

# stdin: NUMBER KIND ADDRESS PORT PATH HOST, a line each. stdout: NUMBER WORD, as they answer; words: up, refused, or
# the first line of what was said. What is data is never read as shell syntax, and reaches printf as an argument.
_SCRIPT = (
    "one() { "
    '{ exec 3<>"/dev/tcp/$3/$4"; } 2>/dev/null || { echo "$1 refused"; return; }; '
    'if test "$2" = tcp; then echo "$1 up"; return; fi; '
    "printf 'GET %s HTTP/1.1\\r\\nHost: %s\\r\\nUser-Agent: zonehookd\\r\\nConnection: close\\r\\n\\r\\n' "
    '"$5" "$6" >&3; '
    'IFS= read -r -t "$7" said <&3; echo "$1 said ${said:0:60}"; }; '
    "all=; "
    'while read -r n kind address port path host; do one "$n" "$kind" "$address" "$port" "$path" "$host" "$0" & '
    'all="$all $!"; done; '
    '{ sleep "$0"; kill $all; } >/dev/null 2>&1 & timer=$!; '
    "wait $all 2>/dev/null; kill $timer 2>/dev/null; exit 0"
)


@dataclass(frozen=True, slots=True)
class Probe:
    """`kind`: ``tcp`` or ``http``; then `path` is asked for at `host`."""

    address: Ip
    port: int
    kind: CheckKind = "tcp"
    path: str = "/"
    host: str = "localhost"


@dataclass(frozen=True, slots=True)
class Answer:
    """`text`: what was said, or why nothing was."""

    well: bool
    text: str


def probes(where: str, targets: Sequence[Probe], timeout_s: int = TIMEOUT_S) -> Query[Mapping[Probe, Answer]]:
    """Every target -> its answer. Raises ValueError for too many, CannotObserve when nobody could be asked at all."""
    if not 0 < len(targets) <= AT_ONCE_MAX:
        raise ValueError(f"{len(targets)} targets: 1 to {AT_ONCE_MAX} at once")
    lines = [
        f"{number} {each.kind} {each.address} {each.port} {each.path} {each.host}\n"
        for number, each in enumerate(targets)
    ]
    argv = inside(where, ("bash", "-c", _SCRIPT, str(timeout_s)), stdin=True)

    def parse(reply: Reply) -> Mapping[Probe, Answer]:
        must_succeed(where, argv, reply)
        said: dict[str, str] = {}
        # Not splitlines(): what a backend says may hold other ends of a line, and would speak for another backend.
        for line in reply.stdout.split("\n"):
            number, _, word = line.partition(" ")
            said[number] = "".join(each if each.isprintable() else "?" for each in word.rstrip("\r"))
        return {each: _answer(said.get(str(number))) for number, each in enumerate(targets)}

    return Query(argv, parse, timeout_s=timeout_s + 10.0, stdin="".join(lines))


def _answer(said: str | None) -> Answer:
    if said is None:
        return Answer(False, "no answer in time")
    if said == "up":
        return Answer(True, "takes connections")
    if said == "refused":
        return Answer(False, "refuses connections")
    line = said.removeprefix("said").strip()
    words = line.split()
    if len(words) < 2 or not words[0].startswith("HTTP/") or not words[1].isdecimal():
        return Answer(False, f"no HTTP answer: {line!r}" if line else "no answer in time")
    return Answer(100 < int(words[1]) <= _STATUS_MAX, " ".join(words[1:]))
