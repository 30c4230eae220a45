"""How svccfg reads a line: words, strings, and the few signs that stand for themselves [services 3.5]."""

from __future__ import annotations

_SIGNS = "=()"


class SyntaxTrouble(Exception):
    """The line is not a command of svccfg's."""


class Text(str):
    """A word that stood in quotes: never a sign or a type."""

    __slots__ = ()


def tokens(line: str) -> list[str]:
    """Raises `SyntaxTrouble` for an open quote. Inside quotes ``\\"`` and ``\\\\`` are the characters themselves."""
    found: list[str] = []
    at = 0
    while at < len(line):
        letter = line[at]
        if letter.isspace():
            at += 1
        elif letter == "#" and not found:
            break
        elif letter in _SIGNS:
            found.append(letter)
            at += 1
        elif letter == '"':
            text, at = _quoted(line, at + 1)
            found.append(Text(text))
        else:
            start = at
            while at < len(line) and not line[at].isspace() and line[at] not in f'{_SIGNS}"':
                at += 1
            found.append(line[start:at])
    return found


def _quoted(line: str, at: int) -> tuple[str, int]:
    text = ""
    while at < len(line):
        if line[at] == "\\" and at + 1 < len(line):
            text += line[at + 1]
            at += 2
        elif line[at] == '"':
            return text, at + 1
        else:
            text += line[at]
            at += 1
    raise SyntaxTrouble


def assignment(words: list[str]) -> tuple[str, str | None, list[str]]:
    """``pg/name = [TYPE:] VALUE|(VALUE ...)`` as (name, type or None, values). Raises `SyntaxTrouble`."""
    if len(words) < 3 or words[1] != "=" or isinstance(words[1], Text):
        raise SyntaxTrouble
    name, rest, kind = words[0], words[2:], None
    if not isinstance(rest[0], Text) and rest[0].endswith(":"):
        kind, rest = rest[0][:-1], rest[1:]
    if rest[:1] == ["("] and rest[-1:] == [")"] and len(rest) >= 2:
        values = rest[1:-1]
    elif len(rest) == 1:
        values = rest
    else:
        raise SyntaxTrouble
    if any(value in _SIGNS and not isinstance(value, Text) and value for value in values):
        raise SyntaxTrouble
    return name, kind, [str(value) for value in values]
