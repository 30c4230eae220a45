"""Colon-separated output with backslash escapes, as dladm, ipadm and zoneadm print it (network sheet 2.3)."""

from __future__ import annotations


def split(line: str) -> list[str]:
    r"""Fields of one line; ``\x`` stands for ``x``. Not for one-field output, which is raw."""
    if "\\" not in line:
        return line.split(":")
    fields: list[str] = []
    current: list[str] = []
    characters = iter(line)
    for character in characters:
        if character == "\\":
            current.append(next(characters, ""))
        elif character == ":":
            fields.append("".join(current))
            current = []
        else:
            current.append(character)
    fields.append("".join(current))
    return fields


def rows(text: str, at_least: int) -> list[list[str]]:
    """Every line split; raises ValueError on a line with fewer than `at_least` fields (more are tolerated)."""
    table = [split(line) for line in text.splitlines() if line]
    for fields in table:
        if len(fields) < at_least:
            raise ValueError(f"expected {at_least} fields, found {len(fields)}: {':'.join(fields)!r}")
    return table


def last_reason(stderr: str) -> str:
    """The status text after the last colon of the last line: what dladm's failures are told apart by (sheet 2.2)."""
    lines = stderr.strip().splitlines()
    return lines[-1].rsplit(": ", 1)[-1].strip() if lines else ""
