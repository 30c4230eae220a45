"""Reading the file an ipf command is given."""

from __future__ import annotations

import os
from pathlib import Path

from lab import ipadm_conf
from lab.call import Call
from lab.world import GLOBAL

_LINKS_MAX = 40


def read(call: Call, name: str) -> str:
    """The text of the file `name` as the caller sees it; ``-`` is standard input. Raises OSError."""
    if name in ("-", "/dev/stdin", "/dev/fd/0"):
        return call.stdin.read().decode(errors="replace")
    absolute = os.path.normpath(str(Path(call.cwd) / name))
    return _find(call, absolute).read_text(errors="replace")


def _find(call: Call, absolute: str) -> Path:
    """Inside a zone links lead to files of the zone, not to those of the host."""
    root = ipadm_conf.root_of(call.world, call.zone)
    if call.zone == GLOBAL:
        inside = call.world.path(absolute)
        return inside if inside.exists() or call.world.floor.real else Path(absolute)
    parts = [part for part in absolute.split("/") if part]
    at = root
    followed = 0
    while parts:
        part = parts.pop(0)
        if part == "..":
            at = at.parent if at != root else root
            continue
        step = at / part
        if step.is_symlink() and followed < _LINKS_MAX:
            followed += 1
            target = str(step.readlink())
            at = root if target.startswith("/") else at
            parts[:0] = [each for each in target.split("/") if each not in ("", ".")]
        else:
            at = step
    return at
