"""What the gate decided while nobody answered: STATE/gate.alone, one line each, for us to count."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from zonehookd.host.files import read_bounded

_NAME, _SIZE_MAX_BYTES = "gate.alone", 1 << 20


@dataclass(frozen=True, slots=True)
class Alone:
    """`when`: unix seconds; `why` the daemon did not answer: no-socket, refused, time-out, hung, closed, garbage, …"""

    when: int
    word: str
    zone: str
    allowed: bool
    why: str


def taken(state: Path) -> list[Alone]:
    """What was decided since the last call, oldest first. Raises OSError."""
    path, aside = state / _NAME, state / f"{_NAME}.read"
    try:
        if not aside.exists():  # else we were killed while we counted: those first
            path.rename(aside)
        text = read_bounded(aside, _SIZE_MAX_BYTES).decode(errors="replace")
    except FileNotFoundError:
        return []
    except ValueError:
        text = ""  # not written by the gate, which keeps it small
    aside.unlink()
    return list(_lines(text))


def _lines(text: str) -> Iterator[Alone]:
    for line in text.splitlines():
        words = line.split(" ")
        if len(words) == 5 and words[0].isdigit() and words[3] in ("allow", "deny"):
            yield Alone(int(words[0]), words[1], words[2], words[3] == "allow", words[4])
