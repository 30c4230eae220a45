"""kstat(8), as far as link counters need it: `kstat -p` on module `link` [network 6.3]."""

from __future__ import annotations

import fnmatch
import operator
import re
import time
from collections.abc import Callable
from dataclasses import dataclass

from lab import datalinks
from lab.call import Call
from lab.getopt import NO_VALUE, UNKNOWN, getopt
from lab.world import Link, LinkClass, NotEmulated

NAME_MAX = 30  # KSTAT_STRLEN less its NUL
MATCHED, NOTHING, USAGE = 0, 1, 2
USAGE_TEXT = (
    "Usage:\n"
    "kstat [ -Cjlpq ] [ -T d|u ] [ -c class ] [ -m module ]\n"
    "      [ -i instance ] [ -n name ] [ -s statistic ] [ interval [ count ] ]\n"
    "kstat [ -Cjlpq ] [ -T d|u ] [ -c class ] [ module[:instance[:name[:statistic]]] ... ] [ interval [ count ] ]\n"
)
ELSEWHERE = {"unix": "flow"}  # module -> class of which the lab truly has nothing
WORD = 0xFFFFFFFF

Matches = Callable[[str], bool]


class Misused(Exception):
    """Exit status 2."""


@dataclass
class Selector:
    """One pattern per part; "" matches everything."""

    module: str = ""
    instance: str = ""
    name: str = ""
    statistic: str = ""


def _matcher(pattern: str) -> Matches:
    """A shell glob, or a regular expression between slashes."""
    if pattern == "":
        return lambda _: True
    if len(pattern) > 1 and pattern.startswith("/") and pattern.endswith("/"):
        try:
            found = re.compile(pattern[1:-1])
        except re.error:
            raise Misused from None
        return lambda text: found.search(text) is not None
    if not any(letter in pattern for letter in "*?[\\"):
        return lambda text: text == pattern
    glob = re.compile(fnmatch.translate(pattern))
    return lambda text: glob.fullmatch(text) is not None


@dataclass
class _Asked:
    selectors: list[Selector]
    klass: str
    separator: str | None  # before the value; None: names only
    quiet: bool


def main(call: Call) -> int:
    try:
        asked = _read(call)
        lines = _lines(call, asked)
    except Misused:
        call.err(USAGE_TEXT)
        return USAGE
    if not asked.quiet:
        call.out("".join(lines))
    return MATCHED if lines else NOTHING


def _read(call: Call) -> _Asked:
    options, words = getopt(call.argv[1:], "CjlpqT:c:m:i:n:s:")
    given: dict[str, str] = {}
    for option in options:
        if option.letter in (UNKNOWN, NO_VALUE):
            raise Misused
        given[option.letter] = option.value
    if words and all(word.isdigit() for word in words[-1:]):
        raise NotEmulated("kstat at an interval [network 6.3]")
    for letter in "jT":
        if letter in given:
            raise NotEmulated(f"kstat -{letter} [network 6.3]")
    parts = [given.get(letter, "") for letter in "mins"]
    if words and any(parts):
        raise Misused
    selectors = [Selector(*(word.split(":", 3) + [""] * 4)[:4]) for word in words] or [Selector(*parts)]
    if "l" not in given and "p" not in given and "C" not in given and "q" not in given:
        raise NotEmulated("kstat's output for people: use -p [network 6.3]")
    separator = None if "l" in given else ":" if "C" in given else "\t"
    return _Asked(selectors, given.get("c", ""), separator, "q" in given)


def _lines(call: Call, asked: _Asked) -> list[str]:
    for selector in asked.selectors:
        nothing_there = ELSEWHERE.get(selector.module)
        if selector.module != "link" and (nothing_there is None or asked.klass != nothing_there):
            raise NotEmulated(f"kstats of module {selector.module or '(any)'!r}: give -m link [network 6.3]")
    if not _matcher(asked.klass)("net"):
        return []
    wanted = [
        (_matcher(each.name), _matcher(each.statistic))
        for each in asked.selectors
        if each.module == "link" and _matcher(each.instance)("0")
    ]
    with call.world.lock:
        links = [
            link
            for link in datalinks.visible(call.world, call.zone)
            if link.active and any(name(link.name[:NAME_MAX]) for name, _ in wanted)
        ]
        counters = call.world.floor.counters(links)
        speeds = {link.name: _speed(call, link) for link in links}
    links.sort(key=lambda link: link.name.lower())
    readers = [(statistic, read, [fits(statistic) for _, fits in wanted]) for statistic, read in STATISTICS]
    readers = [each for each in readers if any(each[2])]
    lines: list[str] = []
    for link in links:
        counted = counters.get(link.name)
        if counted is None:
            continue  # just deleted: left out silently
        short = link.name[:NAME_MAX]
        named = [name(short) for name, _ in wanted]
        for statistic, read, fits in readers:
            if any(map(operator.and_, named, fits)):
                tail = "" if asked.separator is None else f"{asked.separator}{read(counted, speeds[link.name], link)}"
                lines.append(f"link:0:{short}:{statistic}{tail}\n")
    return lines


def _speed(call: Call, link: Link) -> int:
    """bit/s; 0 on an etherstub and what lies over it."""
    base = call.world.links.get(link.over, link) if link.over else link
    return 0 if base.klass is LinkClass.ETHERSTUB else 1_000_000_000


Reader = Callable[[dict[str, int], int, Link], str]


def _counter(name: str) -> Reader:
    return lambda counted, speed, link: str(counted[name])


def _wrapping(name: str) -> Reader:
    """A 32-bit statistic."""
    return lambda counted, speed, link: str(counted[name] & WORD)


def _fixed(value: str) -> Reader:
    return lambda counted, speed, link: value


STATISTICS: list[tuple[str, Reader]] = [
    ("brdcstrcv", _fixed("0")),
    ("brdcstxmt", _fixed("0")),
    ("class", _fixed("net")),
    ("collisions", _fixed("0")),
    ("crtime", lambda counted, speed, link: f"{link.created_ns / 1e9:.9f}"),
    ("ierrors", _wrapping("ierrors")),
    ("ifspeed", lambda counted, speed, link: str(speed)),
    ("ipackets", _wrapping("ipackets64")),
    ("ipackets64", _counter("ipackets64")),
    ("link_duplex", _fixed("2")),
    ("link_state", _fixed("1")),
    ("multircv", _fixed("0")),
    ("multixmt", _fixed("0")),
    ("norcvbuf", _fixed("0")),
    ("noxmtbuf", _fixed("0")),
    ("obytes", _wrapping("obytes64")),
    ("obytes64", _counter("obytes64")),
    ("oerrors", _wrapping("oerrors")),
    ("opackets", _wrapping("opackets64")),
    ("opackets64", _counter("opackets64")),
    ("rbytes", _wrapping("rbytes64")),
    ("rbytes64", _counter("rbytes64")),
    ("snaptime", lambda counted, speed, link: f"{time.monotonic_ns() / 1e9:.9f}"),
    ("unknowns", _fixed("0")),
]
