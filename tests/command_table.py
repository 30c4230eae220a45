"""zonehookd/illumos/COMMANDS.md as data: its rows, what their forms match, and an argument list as those see it."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePath
from typing import Literal

from zonehookd.illumos import haproxy, nginx, omapi, probe, zlogin

ROOT = Path(__file__).resolve().parents[1]
TABLE = ROOT / "zonehookd" / "illumos" / "COMMANDS.md"
COLUMNS = ("form", "does", "run by", "in", "needs", "rests on")
Place = Literal["global", "zlogin"]
_SCRIPTS = {
    zlogin._READ: "_READ",
    zlogin._WRITE: "_WRITE",
    omapi._BEGIN: "_BEGIN",
    haproxy._ASK: "_ASK",
    haproxy._TELL: "_TELL",
    nginx._STATUS: "_STATUS",
    nginx._PROCESSES: "_PROCESSES",
    nginx._ERRORS: "_ERRORS",
    probe._SCRIPT: "_SCRIPT",
}
_FED = {zlogin._WRITE, haproxy._ASK, haproxy._TELL, probe._SCRIPT}
_PLACES: dict[str, frozenset[Place]] = {
    "global": frozenset({"global"}),
    "zlogin": frozenset({"zlogin"}),
    "both": frozenset({"global", "zlogin"}),
}
_DOES = {"looks": frozenset({"look"}), "changes": frozenset({"change"}), "looks, also as a step": {"look", "change"}}
# Of a form: the end of a word, a bracket, one that repeats, a quote, anything's name, a piece to be taken as it is.
_TOKEN = re.compile(r"(\s+)|(\[)|(\]…?)|(')|([A-Z]{2,}(?:_[A-Z]+)*)(…)?|([^\s\[\]'A-Z]+|[A-Z])")
_WORD = re.compile(r"[-_][^\s=]*")  # an option, or the name of a script: no placeholder, though there be capitals in it
_MARK = "\0"


@dataclass(frozen=True)
class Row:
    """`who`: parts of the product, a plugin by its name; ``nobody`` alone for a command that is only built."""

    form: str
    does: frozenset[str]
    who: frozenset[str]
    places: frozenset[Place]
    needs: tuple[str, ...]
    rests_on: str

    @property
    def command(self) -> str:
        return self.form.split()[0]


@dataclass(frozen=True)
class Said:
    """A command as the table speaks of it: without the path to the program, and out of its zlogin."""

    words: tuple[str, ...]
    place: Place

    def __str__(self) -> str:
        return f"{shlex.join(self.words)} ({self.place})"


def said(argv: Sequence[str]) -> Said:
    words, place = tuple(argv), "global"
    if words[0] == "zlogin":
        options = words[1:-2]
        assert options in ((), ("-n",)), argv
        inner = tuple(shlex.split(words[-1]))
        assert (options == ()) == bool(_FED & set(inner)), "only what is fed something may read our standard input"
        words, place = inner, "zlogin"
    first = "python" if words[0] == sys.executable else PurePath(words[0]).name
    return Said((first, *(_SCRIPTS.get(word, word) for word in words[1:])), "zlogin" if place == "zlogin" else "global")


def rows(text: str | None = None) -> list[Row]:
    """The rows of all tables with these columns."""
    return [
        Row(
            form=cells[0].strip("`"),
            does=frozenset(_DOES[cells[1]]),
            who=frozenset(word for word in cells[2].split(", ") if word),
            places=_PLACES[cells[3]],
            needs=tuple(cells[4].split(", ")),
            rests_on=cells[5],
        )
        for cells in cells_under(COLUMNS, text)
    ]


def cells_under(header: Sequence[str], text: str | None = None) -> Iterator[list[str]]:
    """The rows of every table whose first line is `header`."""
    inside = False
    for line in (TABLE.read_text() if text is None else text).splitlines():
        if not line.startswith("|"):
            inside = False
            continue
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if tuple(cells) == tuple(header):
            inside = True
        elif inside and set(cells[0]) != {"-"}:
            yield cells


def fits(row: Row, command: Said) -> bool:
    return command.place in row.places and matches(row.form, command.words)


def matches(form: str, words: Sequence[str]) -> bool:
    return _pattern(form).fullmatch(_encoded(words)) is not None


def _encoded(words: Sequence[str]) -> str:
    assert not any(_MARK in word for word in words)
    return "".join(f"{_MARK}{word}" for word in words)


@cache
def _pattern(form: str) -> re.Pattern[str]:
    """A word is ``\\0`` and its text, so that a bracket takes the beginning of its first word with it."""
    found: list[str] = []
    starts, quoted = True, False  # `starts`: the next piece begins a word
    place = 0

    def begin() -> None:
        nonlocal starts
        if starts:
            found.append(_MARK)
        starts = False

    while place < len(form):
        if starts and not quoted and (word := _WORD.match(form, place)) and not set(word[0]) & set("[]'…"):
            begin()
            found.append(re.escape(word[0]))
            place = word.end()
            continue
        token = _TOKEN.match(form, place)
        assert token is not None, f"{form!r} from {form[place:]!r} on"
        blank, opens, closes, quote, anything, more, text = token.groups()
        place = token.end()
        if blank and quoted:
            found.append(re.escape(blank))
        elif blank:
            starts = True
        elif quote:
            begin()
            quoted = not quoted
        elif opens:
            found.append("(?:")  # a word that begins in here takes its mark in with it
        elif closes:
            found.append(")*" if closes.endswith("…") else ")?")
        elif anything and more:
            begin()
            found[-1] = f"(?:{_MARK}(?!-)[^{_MARK}]+)+"
        elif anything and quoted:
            found.append(f"[^{_MARK}; ]+")
        elif anything:
            found.append(f"{_MARK}(?!-)[^{_MARK}]+" if starts else f"[^{_MARK}]+")
            starts = False
        else:
            begin()
            found.append(re.escape(text))
    return re.compile("".join(found), re.DOTALL)


# -- the scripts that run inside a zone --------------------------------------------------------------------------------

_OF_THE_SHELL = {"exit", "echo", "test", "false", "set", "umask", "for", "done"}
_COMMAND = re.compile(r"(?:^|&&|\|\||;|\{\s|\$\((?!\()|\b(?:then|do|else|elif|if)\b)\s*([a-z]+)\b(?!=)")


def programs_of(script: str) -> set[str]:
    """Words in the place of a command, without those that the shell is itself."""
    spread = re.sub(r"\b(then|do|else|elif|if)\b", r"\1 ;", script)
    return set(_COMMAND.findall(spread)) - _OF_THE_SHELL - {"then", "do", "else", "elif", "if", "fi"}
