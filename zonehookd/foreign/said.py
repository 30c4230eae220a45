"""What a plugin prints goes into the log, line by line and not too much of it."""

from __future__ import annotations

import time
from typing import Any

from zonehookd.errors import last_of

BYTES_S = 4 << 20  # read of one plugin; more waits in its pipe
_LINE_MAX = 2000
_BURST, _LINES_S = 200.0, 20.0
_TELL_S = 10.0  # between two lines on what was dropped


class Said:
    """`logger` is structlog's. `dropped`: bytes that were read and not logged."""

    def __init__(self, logger: Any, plugin: str) -> None:
        self.dropped = 0
        self._log = logger
        self._plugin = plugin
        self._rest = b""
        self._lines = _BURST
        self._at = time.monotonic()
        self._told_at = 0.0
        self._untold = 0

    def heard(self, data: bytes) -> None:
        """Cost is bounded by the bytes, whatever is in them."""
        now = time.monotonic()
        self._lines = min(_BURST, self._lines + (now - self._at) * _LINES_S)
        self._at = now
        may = int(self._lines)
        *lines, rest = (self._rest + data).split(b"\n", may)  # what is too much is not taken apart
        dropped = rest.rfind(b"\n") + 1
        self._rest = rest[dropped:]
        if len(self._rest) > _LINE_MAX:
            if len(lines) < may:
                lines.append(self._rest)
            else:
                dropped += len(self._rest)
            self._rest = b""
        if dropped:
            self._drop(dropped, now)
        for line in lines:
            self._lines -= 1.0
            if len(line) > _LINE_MAX:
                self._drop(len(line) - _LINE_MAX, now)
            if text := last_of(line[:_LINE_MAX].decode(errors="replace")):
                self._log.info("plugin said", plugin=self._plugin, text=text)

    def end(self) -> None:
        """What came without a newline is a line too."""
        if self._rest:
            self.heard(b"\n")

    def _drop(self, size: int, now: float) -> None:
        self.dropped += size
        self._untold += size
        if now - self._told_at >= _TELL_S:
            self._log.warning("plugin said more than is logged", plugin=self._plugin, dropped_bytes=self._untold)
            self._told_at, self._untold = now, 0
