"""libofmt: the tables of dladm, ipadm and flowadm, for people and for programs [network 2.3]."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

TERMINAL_ROWS = 24  # when stdout is no terminal
FAILED = "?"
EMPTY = "--"


@dataclass(frozen=True)
class Field:
    """`width` includes the blank between columns."""

    name: str
    width: int


class Unusable(Exception):
    """The field list cannot be used; the text goes after ``dladm: ``."""


class Table:
    """One listing. A value is a string ("" = empty) or None (its callback failed)."""

    def __init__(
        self,
        write: Callable[[str], None],
        fields: Sequence[Field],
        wanted: str | None,
        parsable: bool,
        default: str | None = None,
        wrap: bool = False,
    ) -> None:
        """`wanted` is the text of ``-o``; `default` what human output shows without it (None: everything).

        Raises `Unusable`. `ignored` is then what people asked for in vain: the caller warns of each.
        """
        self._write = write
        self._parsable = parsable
        self._wrap = wrap
        self._rows = 0
        self.ignored: list[str] = []
        self.chosen = self._choose(fields, wanted, default)

    def _choose(self, fields: Sequence[Field], wanted: str | None, default: str | None) -> list[Field]:
        if wanted is None or wanted == "all":
            if self._parsable:
                raise Unusable(
                    "output fields must be specified in parsable mode"
                    if wanted is None
                    else "output field `all' invalid in parsable mode"
                )
            if wanted == "all" or default is None:
                return list(fields)
            wanted = default
        known = {field.name.lower(): field for field in fields}
        names = wanted.split(",")
        if len(names) > len(fields):
            raise Unusable("Not enough space")
        unknown = [name for name in names if name.lower() not in known]
        if len(unknown) == len(names):
            raise Unusable("no valid output fields")
        if unknown and self._parsable:
            plural = "s" if len(unknown) > 1 else ""
            raise Unusable(f"unknown output field{plural}: " + " ".join(f"`{name}'" for name in unknown))
        self.ignored = unknown
        return [known[name.lower()] for name in names if name.lower() in known]

    def warnings(self) -> list[str]:
        """What goes after ``dladm: warning: `` before the first row."""
        return [f"ignoring unknown output field: `{name}'" for name in self.ignored]

    def row(self, values: Mapping[str, str | None]) -> None:
        """Print one record; `values` maps lower-case field names."""
        cells = [values[field.name.lower()] for field in self.chosen]
        if self._parsable:
            self._write(_parsable(cells) + "\n")
            return
        if self._rows % TERMINAL_ROWS == 0:
            self._write(self._line([field.name for field in self.chosen]))
            self._rows += 1
        self._rows += 1
        shown = [FAILED if cell is None else cell or EMPTY for cell in cells]
        if not self._wrap:
            self._write(self._line(shown))
            return
        pieces = [_folded(cell, field.width) for cell, field in zip(shown, self.chosen, strict=True)]
        for at in range(max(len(piece) for piece in pieces)):
            self._write(self._line([piece[at] if at < len(piece) else "" for piece in pieces]))

    def _line(self, cells: Sequence[str]) -> str:
        """Columns padded; a value too wide is printed whole plus one blank, and the next columns shrink."""
        text: list[str] = []
        overflow = 0
        last = len(cells) - 1
        for at, (cell, field) in enumerate(zip(cells, self.chosen, strict=True)):
            if at == last:
                text.append(cell)
            elif len(cell) + overflow >= field.width:
                overflow += len(cell) - field.width + 1
                text.append(cell + " ")
            else:
                text.append(cell.ljust(field.width - overflow))
                overflow = 0
        return "".join(text) + "\n"


def _parsable(cells: Sequence[str | None]) -> str:
    shown = [FAILED if cell is None else cell for cell in cells]
    if len(shown) == 1:
        return shown[0]
    return ":".join(cell.replace("\\", "\\\\").replace(":", "\\:") for cell in shown)


def _folded(cell: str, width: int) -> list[str]:
    """A comma list too wide for its column, cut behind commas."""
    if len(cell) < width or "," not in cell:
        return [cell]
    words = cell.split(",")
    lines: list[str] = []
    line = ""
    for at, word in enumerate(words):
        piece = word if at == len(words) - 1 else word + ","
        if line and len(line) + len(piece) >= width:
            lines.append(line)
            line = ""
        line += piece
    return [*lines, line]
