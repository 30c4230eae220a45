"""A block of ours in a text that is somebody else's, between two comment lines. The rest is kept byte for byte.

    # BEGIN zonehookd MARK
    …
    # END zonehookd MARK

A text that had no newline at its end has none after our block either, so that taking the block out restores it.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

_LINE = re.compile(r"[^\n]*\n|[^\n]+")  # not splitlines, which knows other ends of a line
_MARK = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class _Found:
    before: str
    body: str
    end: str  # the last line, with its newline if it has one
    after: str


def with_block(text: str | None, mark: str, body: str) -> str:
    """`text` with the block `mark` holding `body`: in its place if there is one, else at the end. None: no text yet.

    Raises ValueError for a text whose lines of ours do not pair, and for a body that holds such a line.
    """
    begin, end = _lines(mark)
    if body and not body.endswith("\n"):
        body += "\n"
    if any(line.rstrip() in (begin, end) for line in body.splitlines()):
        raise ValueError(f"the body of block {mark} holds a line that marks a block")
    found = _find(text or "", mark)
    if found is not None:
        return f"{found.before}{begin}\n{body}{found.end}{found.after}"
    if text and not text.endswith("\n"):
        return f"{text}\n{begin}\n{body}{end}"
    return f"{text or ''}{begin}\n{body}{end}\n"


def without_block(text: str, mark: str) -> str:
    """`text` as it is without the block `mark`; itself, if it has none. Raises ValueError as `with_block`."""
    found = _find(text, mark)
    if found is None:
        return text
    if not found.end.endswith("\n"):
        return found.before.removesuffix("\n")
    return found.before + found.after


def block_of(text: str | None, mark: str) -> str | None:
    """The body of the block `mark`, "" if it is empty; None if there is none. Raises ValueError as `with_block`."""
    found = _find(text or "", mark)
    return None if found is None else found.body


def blocks(text: str) -> Mapping[str, str]:
    """Every block of ours: mark -> body. What does not pair is left out: whoever writes there is told."""
    lines = _LINE.findall(text)
    begins: dict[str, list[int]] = defaultdict(list)
    ends: dict[str, list[int]] = defaultdict(list)
    for number, line in enumerate(lines):
        for how, found in (("# BEGIN zonehookd ", begins), ("# END zonehookd ", ends)):
            if line.startswith(how):
                found[line.removeprefix(how).rstrip()].append(number)
    pairs = ((mark, begin, ends[mark]) for mark, begin in begins.items())
    return {
        mark: "".join(lines[begin[0] + 1 : end[0]])
        for mark, begin, end in pairs
        if len(begin) == len(end) == 1 and begin[0] < end[0]
    }


def block(mark: str, body: str) -> str:
    """The lines of the block `mark`, by themselves. Raises ValueError as `with_block`."""
    return with_block(None, mark, body)


def parts(text: str, mark: str) -> tuple[str, str, str] | None:
    """What is before the block `mark`, its body, and what comes after it. Raises ValueError as `with_block`."""
    found = _find(text, mark)
    return None if found is None else (found.before, found.body, found.after)


def _lines(mark: str) -> tuple[str, str]:
    if not _MARK.fullmatch(mark):
        raise ValueError(f"{mark!r} is no name for a block: letters, digits, and . _ : - after the first")
    return f"# BEGIN zonehookd {mark}", f"# END zonehookd {mark}"


def _find(text: str, mark: str) -> _Found | None:
    begin, end = _lines(mark)
    lines = _LINE.findall(text)
    begins = [number for number, line in enumerate(lines) if line.rstrip() == begin]
    ends = [number for number, line in enumerate(lines) if line.rstrip() == end]
    if not begins and not ends:
        return None
    if len(begins) != 1 or len(ends) != 1 or begins[0] > ends[0]:
        raise ValueError(f'"{begin}" and "{end}" do not pair: {len(begins)} and {len(ends)} of them')
    first, last = begins[0], ends[0]
    return _Found("".join(lines[:first]), "".join(lines[first + 1 : last]), lines[last], "".join(lines[last + 1 :]))
