"""getopt(3C) and getopt_long(3C) as illumos has them; messages are the caller's [network 2.1]."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

UNKNOWN = "?"
NO_VALUE = ":"


@dataclass(frozen=True)
class Option:
    """`letter` is the option, UNKNOWN, or NO_VALUE (its value is missing, only if the option string begins with ``:``).

    `text` is the option as messages quote it: ``-X`` or ``--word``.
    """

    letter: str
    value: str
    text: str


def getopt(
    argv: Sequence[str], optstring: str, permute: bool = False, longs: Mapping[str, str] | None = None
) -> tuple[list[Option], list[str]]:
    """Options in order, and operands. `argv` is without the program name; `longs` maps a long option to its letter.

    With `permute` options may follow operands; ``--`` ends them either way. Errors are entries of the list, so that
    the caller meets them where they stand.
    """
    quiet = optstring.startswith(":")
    wants_value = {
        letter: optstring[at + 1 : at + 2] == ":"
        for at, letter in enumerate(optstring)
        if letter not in ":()" and letter.isascii()
    }
    rest = list(argv)
    options: list[Option] = []
    operands: list[str] = []
    while rest:
        word = rest.pop(0)
        if word == "--":
            return options, operands + rest
        if longs is not None and word.startswith("--"):
            options.append(_long(word, rest, longs, wants_value, quiet))
        elif len(word) > 1 and word.startswith("-"):
            _cluster(word, rest, wants_value, quiet, options)
        elif permute:
            operands.append(word)
        else:
            return options, [word, *rest]
    return options, operands


def _cluster(word: str, rest: list[str], wants_value: Mapping[str, bool], quiet: bool, options: list[Option]) -> None:
    for at, letter in enumerate(word[1:], start=2):
        text = f"-{letter}"
        if letter not in wants_value:
            options.append(Option(UNKNOWN, "", text))
        elif not wants_value[letter]:
            options.append(Option(letter, "", text))
        elif word[at:]:
            options.append(Option(letter, word[at:], text))
            return
        elif rest:
            options.append(Option(letter, rest.pop(0), text))
        else:
            options.append(Option(NO_VALUE if quiet else UNKNOWN, "", text))


def _long(word: str, rest: list[str], longs: Mapping[str, str], wants_value: Mapping[str, bool], quiet: bool) -> Option:
    name, equals, value = word[2:].partition("=")
    letters = {longs[name]} if name in longs else {letter for each, letter in longs.items() if each.startswith(name)}
    if len(letters) != 1:
        return Option(UNKNOWN, "", f"--{name}")
    letter = letters.pop()
    if not wants_value.get(letter, False):
        return Option(UNKNOWN if equals else letter, "", f"--{name}")
    if equals:
        return Option(letter, value, f"--{name}")
    if rest:
        return Option(letter, rest.pop(0), f"--{name}")
    return Option(NO_VALUE if quiet else UNKNOWN, "", f"--{name}")
