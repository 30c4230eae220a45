"""What happened, from two witnesses: the lab's journal (when commands took effect) and the daemon's audit log."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lab import door

_POLL_S = 0.005
_WAIT_MAX_S = 120.0


@dataclass(frozen=True)
class Entry:
    """One command. Wall-clock seconds; `parent` is the pid of who started it; `status` None: it was killed."""

    argv: tuple[str, ...]
    parent: int
    status: int | None
    began_s: float
    ended_s: float

    @property
    def created_vnic(self) -> bool:
        return self.argv[:2] == ("dladm", "create-vnic") and self.status == 0

    @property
    def deleted_vnic(self) -> bool:
        return self.argv[:2] == ("dladm", "delete-vnic") and self.status == 0


class Tail:
    """The whole lines that were added to a file since the last time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._at = path.stat().st_size if path.exists() else 0

    def lines(self) -> list[bytes]:
        if not self._path.exists() or self._path.stat().st_size == self._at:
            return []
        with self._path.open("rb") as file:
            file.seek(self._at)
            whole, newline, _ = file.read().rpartition(b"\n")
        self._at += len(whole) + len(newline)
        return whole.splitlines()


class Journal:
    """Commands since it was made, in the order of their end."""

    def __init__(self) -> None:
        self._tail = Tail(Path(door.JOURNAL))
        self.entries: list[Entry] = []

    def read(self) -> int:
        """How many are new."""
        lines = self._tail.lines()
        for line in lines:
            found = json.loads(line)
            ended = found["time"]
            began = ended - found["ms"] / 1000
            self.entries.append(Entry(tuple(found["argv"]), found["ppid"], found["status"], began, ended))
        return len(lines)

    def of(self, parent: int) -> list[Entry]:
        return [entry for entry in self.entries if entry.parent == parent]

    def wait_for(self, count: int, which: Callable[[Entry], bool]) -> list[Entry]:
        """The first `count` entries that are of interest. Raises TimeoutError."""
        deadline = time.monotonic() + _WAIT_MAX_S
        while True:
            self.read()
            found = [entry for entry in self.entries if which(entry)]
            if len(found) >= count:
                return found[:count]
            if time.monotonic() > deadline:
                raise TimeoutError(f"{len(found)} of {count} commands after {_WAIT_MAX_S} s")
            time.sleep(_POLL_S)

    def wait_for_quiet(self, parent: int, quiet_s: float = 0.4) -> None:
        """Until `parent` has started nothing for that long."""
        deadline = time.monotonic() + _WAIT_MAX_S
        since, known = time.monotonic(), len(self.of(parent))
        while time.monotonic() - since < quiet_s:
            time.sleep(0.02)
            if self.read() and (now := len(self.of(parent))) != known:
                since, known = time.monotonic(), now
            if time.monotonic() > deadline:
                raise TimeoutError("the daemon does not come to rest")


@dataclass(frozen=True)
class Audited:
    """One line of the audit log. `seconds` from start to exit of the command, as the daemon saw it."""

    kind: str  # look | change
    argv: tuple[str, ...]
    seconds: float


class Audit:
    """The daemon's commands since it was made."""

    def __init__(self, path: Path) -> None:
        self._tail = Tail(path)

    def read(self) -> list[Audited]:
        """What is new."""
        found = [json.loads(line) for line in self._tail.lines()]
        return [Audited(each["kind"], tuple(each["argv"]), each["seconds"]) for each in found]
