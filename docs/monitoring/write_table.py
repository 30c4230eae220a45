"""Writes the table of metrics.md anew from zonehookd/metrics/table.py: ``python docs/monitoring/write_table.py``."""

from __future__ import annotations

from pathlib import Path

from zonehookd.metrics.table import GROUPS, Row

PAGE = Path(__file__).with_name("metrics.md")
BEGIN = "<!-- from here to the end mark: written by write_table.py -->\n"
END = "<!-- end of the table -->\n"


def table() -> str:
    """All groups, each with a heading and a table of its rows."""
    parts = []
    for group, rows in GROUPS.items():
        lines = [f"### {group}", "", "| metric | type | labels | |", "|---|---|---|---|"]
        parts.append("\n".join([*lines, *map(_line, rows)]) + "\n")
    return "\n".join(parts)


def _line(row: Row) -> str:
    labels = "; ".join(f"`{each.name}`: {each.limit}" for each in row.labels) or "none"
    text = f"{row.help}. There {row.where}." if row.where else f"{row.help}."
    return f"| `{row.full_name}` | {row.type} | {labels} | {text} |"


def page(before: str) -> str:
    """The page with its table as it should be."""
    head, rest = before.split(BEGIN)
    return f"{head}{BEGIN}\n{table()}\n{END}{rest.split(END)[1]}"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
