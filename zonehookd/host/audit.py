"""The audit log: one JSON object a line for every external command, with what it was run for."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from zonehookd.model.correlation import CURRENT
from zonehookd.model.subject import Subject

_TEXT_MAX = 4096


class Audit:
    """Appends to `path` (mode 0600). `reopen` after rotation. `lost` counts lines that could not be written: a full
    disk under the log must not make us blind."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd = -1
        self.lost = 0
        self.reopen()

    def reopen(self) -> None:
        """Raises OSError, and then goes on with the file it has."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        opened = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        self.close()
        self._fd = opened

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def write(
        self,
        argv: Sequence[str],
        *,
        kind: str,
        why: str,
        subject: Subject | None,
        stdin: str,
        status: int | None,
        seconds: float,
        error: str,
    ) -> None:
        """`kind` is look, change, hook, or guard (leave that was given); `status` None: it did not run to its end. The
        line says to which change it belongs, or to which look, by what the running task works on."""
        if self._fd < 0:
            return
        entry: dict[str, Any] = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "kind": kind,
            "argv": list(argv),
            "stdin": stdin[:_TEXT_MAX],
            "status": status,
            "seconds": round(seconds, 6),
            "why": why,
            "zone": subject.name if subject and subject.kind == "zone" else None,
            "network": subject.name if subject and subject.kind == "network" else None,
            "gateway": subject.name if subject and subject.kind == "gateway" else None,
            **CURRENT.get().fields(),
        }
        if error:
            entry["error"] = error[:_TEXT_MAX]
        try:
            os.write(self._fd, (json.dumps(entry) + "\n").encode())
        except OSError:
            self.lost += 1
