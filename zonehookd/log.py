"""Logging: events with keys, one canonical line per look; readable on a terminal, JSON elsewhere."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import sys
from collections.abc import MutableMapping
from typing import Any, TextIO, cast

import structlog

from zonehookd.model.correlation import CURRENT


class _Forgiving(io.TextIOBase):
    """A full disk or a reader that has gone costs the line, never the daemon: nothing stays in a buffer that could fail
    later, when the interpreter ends."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError, ValueError):
            os.write(self._stream.fileno(), text.encode())
        return len(text)

    def flush(self) -> None:
        """There is nothing to flush."""


def set_up(level: str, form: str) -> None:
    """`form`: text, json, or auto (text on a terminal)."""
    text = form == "text" or (form == "auto" and sys.stderr.isatty())
    renderer: Any = (
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback)
        if text
        else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            _correlate,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.WriteLoggerFactory(cast(TextIO, _Forgiving(sys.stderr))),
        cache_logger_on_first_use=False,
    )


def _correlate(logger: Any, method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """What is said while a change is being made, or a look goes on, says which."""
    for key, value in CURRENT.get().fields().items():
        line.setdefault(key, value)
    return line


def get() -> Any:
    return structlog.get_logger()
