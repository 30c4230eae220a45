"""Files that are written as somebody else: by a process of ours that is theirs (`zonehookd.host.put`).

What is written does not go into the audit log.
"""

from __future__ import annotations

import sys
from pathlib import Path

from zonehookd.model.command import Change

_PUT = (sys.executable, "-P", "-m", "zonehookd.host.put")


def write(path: Path, content: str, mode: int | None, *, user: str, why: str, cause: str, lane: str) -> Change:
    """`mode` None: that of the file that is there."""
    words = ("write", str(path), "kept" if mode is None else f"{mode:o}")
    label = f"write {path} ({len(content)} characters) as {user}"
    return Change((*_PUT, *words), why, 60.0, content, True, cause, lane=lane, label=label, user=user)


def remove(path: Path, *, user: str, why: str, cause: str, lane: str) -> Change:
    label = f"remove {path} as {user}"
    return Change((*_PUT, "remove", str(path)), why, cause=cause, lane=lane, label=label, user=user)


def block(path: Path, mark: str, body: str, *, user: str, why: str, cause: str, lane: str) -> Change:
    """Lines of ours in a file that is somebody else's, see illumos/marked.py; `body` "": no lines."""
    words = ("block" if body else "unblock", str(path), mark)
    label = f"{'write our lines into' if body else 'take our lines out of'} {path} as {user}"
    return Change((*_PUT, *words), why, 60.0, body, True, cause, lane=lane, label=label, user=user)
