"""What an expression of Prometheus asks for, as far as our table can judge it. `promtool` judges its grammar."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from zonehookd.metrics.table import TABLE

_OURS = {"instance", "job"}  # Prometheus puts them on every sample
_SELECTOR = re.compile(r"\b(zonehookd[_:][a-z0-9_]*(?::[a-zA-Z0-9_]+)*)(?:\{([^}]*)\})?")
_MATCHER = re.compile(r'(\w+)\s*(?:=~|!~|!=|=)\s*"([^"]*)"')
_GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")
_SUFFIXES = ("_bucket", "_count", "_sum")


def labels_of(name: str) -> Collection[str] | None:
    """Labels that a series of this name has; None: nobody exports it."""
    plain = name.removeprefix("zonehookd_")
    row = TABLE.get(plain)
    if row is not None and row.type != "histogram":
        return row.label_names
    for suffix in _SUFFIXES:
        row = TABLE.get(plain.removesuffix(suffix))
        if plain.endswith(suffix) and row is not None and row.type == "histogram":
            return (*row.label_names, *(("le",) if suffix == "_bucket" else ()))
    return None


def unknown(expression: str, recorded: Collection[str]) -> list[str]:
    """What it asks for and is not exported: names, labels, and values of labels whose values are all known."""
    return list(_unknown(expression, recorded))


def _unknown(expression: str, recorded: Collection[str]) -> Iterator[str]:
    labels = set(_OURS)
    for name, matchers in _SELECTOR.findall(expression):
        if ":" in name:
            if name not in recorded:
                yield f"{name} is not recorded"
            labels |= {"plugin", "command", "source", "result", "pool"}  # as recording.yml groups them
            continue
        own = labels_of(name)
        if own is None:
            yield f"{name} is not exported"
            continue
        labels |= set(own)
        for label, value in _MATCHER.findall(matchers):
            if label not in {*own, *_OURS}:
                yield f"{name} has no label {label}"
            elif not value.startswith("$") and "$" not in value:
                yield from _values(name, label, value)
    for names in _GROUPING.findall(expression):
        for label in filter(None, re.split(r"[\s,]+", names)):
            if label not in labels:
                yield f"nothing here has a label {label}"


def _values(name: str, label: str, value: str) -> Iterator[str]:
    plain = name.removeprefix("zonehookd_")
    row = next((TABLE[each] for each in (plain, *(plain.removesuffix(s) for s in _SUFFIXES)) if each in TABLE), None)
    for each in row.labels if row else ():
        if each.name == label and each.values:
            for one in value.split("|"):
                if one not in each.values:
                    yield f"{name}: {label} is never {one!r}"
