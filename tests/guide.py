"""The pages of docs/plugins as they are followed: files that are written, commands that are run, what they print."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

PAGES = Path(__file__).resolve().parents[1] / "docs" / "plugins"
_BLOCK = re.compile(r"^```(?P<head>[^\n]*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"\{code-block\} (\w+)")
_CAPTION = re.compile(r":caption: (\S+)\n\n?")


@dataclass(frozen=True)
class File:
    """`language` toml: it is added to what is there."""

    path: str
    language: str
    text: str


@dataclass(frozen=True)
class Command:
    """`prints`: lines that come in this order, among others; ``…`` is anything, and so is the width of a gap."""

    line: str
    prints: tuple[str, ...]

    def missing(self, out: str) -> str | None:
        """The first line that it should have printed and did not."""
        rest = (" ".join(each.split()) for each in out.splitlines())
        for line in self.prints:
            pattern = re.compile(".*".join(re.escape(part) for part in " ".join(line.split()).split("…")))
            if not any(pattern.fullmatch(each) for each in rest):
                return line
        return None


def steps(page: str) -> Sequence[File | Command]:
    """Everything that a reader does, in order."""
    return list(_steps((PAGES / page).read_text()))


def _steps(text: str) -> Iterator[File | Command]:
    for block in _BLOCK.finditer(text):
        head, body = block["head"], block["body"]
        if code := _CODE.match(head):
            caption = _CAPTION.match(body)
            if caption:
                yield File(caption[1], code[1], body[caption.end() :])
        elif head == "console":
            for part in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]:
                line, *prints = part.rstrip("\n").split("\n")
                yield Command(line, tuple(each for each in prints if each.strip()))
