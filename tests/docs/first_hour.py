"""A page of docs/first_hour read as what it is: files to write and commands to type, with what they say.

What may stand before a block is explained at the top of each page. Commands follow a prompt, ``#`` on the host, ``$``
on another machine on its wire; the lines after one are what it prints, each of them on standard output or error, in
this order, with ``…`` for anything and blanks as they come. Marked ``any order`` are those that list what the daemon
makes side by side: dladm shows datalinks as they were made.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_BLOCK = re.compile(r"^((?:%[^\n]*\n)*)```(console|toml|yaml)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_MARK = re.compile(r"^% ?(file|append|wait|fails|any order|not run)(?:: (.*))?$", re.MULTILINE)


@dataclass(frozen=True)
class Command:
    """`where`: ``host`` or ``outside``. `shown`: what the page says that it prints; nothing: whatever it prints."""

    where: str
    text: str
    shown: list[str] = field(default_factory=list)

    def says(self, said: str, *, any_order: bool = False) -> bool:
        """Every line that is shown is there, in this order or any; others may stand between."""
        lines = [_plain(line) for line in said.splitlines()]
        rest = iter(lines)
        return all(
            any(re.fullmatch(_pattern(shown), line) for line in (lines if any_order else rest)) for shown in self.shown
        )


@dataclass(frozen=True)
class Block:
    """`language` is console, toml or yaml; `marks` what stands before it, such as ``file``."""

    language: str
    text: str
    marks: dict[str, str]

    @property
    def commands(self) -> list[Command]:
        return list(_commands(self.text)) if self.language == "console" else []


def blocks(page: str) -> list[Block]:
    """All blocks of a page, such as ``omnios``, in their order."""
    text = (ROOT / "docs" / "first_hour" / f"{page}.md").read_text(encoding="utf-8")
    return [
        Block(language, body, {mark[1]: mark[2] or "" for mark in _MARK.finditer(before)})
        for before, language, body in _BLOCK.findall(text)
    ]


def _commands(text: str) -> Iterator[Command]:
    current: Command | None = None
    for line in text.splitlines():
        if line[:2] in ("# ", "$ "):
            if current is not None:
                yield current
            current = Command("host" if line[0] == "#" else "outside", line[2:])
        else:
            assert current is not None, f"what prints {line!r}?"
            current.shown.append(line)
    if current is not None:
        yield current


def _plain(line: str) -> str:
    return " ".join(line.split())


def _pattern(shown: str) -> str:
    return re.escape(_plain(shown)).replace("…", ".*")
