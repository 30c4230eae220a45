"""Sees a plugin that changes the machine while it only plans: Python tells of every file that is opened for writing,
every process and every connection."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

_ACTS = frozenset({
    "subprocess.Popen", "os.system", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.kill",
    "os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.chmod", "os.chown", "os.link", "os.symlink", "os.truncate",
    "os.putenv", "os.unsetenv", "os.chdir", "socket.connect", "socket.bind", "socket.sendto",
})  # fmt: skip
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_seen: ContextVar[list[str] | None] = ContextVar("seen", default=None)  # None: nobody watches
_planning: ContextVar[bool] = ContextVar("planning", default=False)
_installed = False


def _hook(event: str, args: tuple[Any, ...]) -> None:
    if not _planning.get():
        return
    seen = _seen.get()
    if seen is None:
        return
    if event in _ACTS:
        seen.append(f"{event} {args[0]!r}" if args else event)
    elif event == "open" and isinstance(args[2], int) and args[2] & _WRITES and "__pycache__" not in str(args[0]):
        seen.append(f"opened {args[0]!r} for writing")


@contextlib.contextmanager
def planning() -> Iterator[None]:
    """Around the plugin's own code."""
    before = _planning.set(True)
    try:
        yield
    finally:
        _planning.reset(before)


@contextlib.contextmanager
def acts() -> Iterator[list[str]]:
    """What plugins do while they plan, within."""
    global _installed
    if not _installed:  # it cannot be taken away again, so once
        sys.addaudithook(_hook)
        _installed = True
    seen: list[str] = []
    before = _seen.set(seen)
    try:
        yield seen
    finally:
        _seen.reset(before)
