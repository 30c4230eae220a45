"""One daemon per state folder: two would take each other's sockets, and keep books that disagree."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from zonehookd.errors import ConfigError


def sole(path: Path) -> int:
    """An open descriptor that holds the lock `path` until it is closed. Raises ConfigError: somebody else has it."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as problem:
        owner = os.read(handle, 20).decode(errors="replace").strip() or "unknown"
        os.close(handle)
        raise ConfigError(f"zonehookd is running already, as process {owner}", hint=f"it holds {path}") from problem
    os.ftruncate(handle, 0)
    os.write(handle, f"{os.getpid()}\n".encode())
    return handle
