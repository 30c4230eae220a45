"""Which hooks there are: executable files, and files of small Python functions. Nobody but the admin may write them."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from zonehookd.hooks.moments import MOMENTS
from zonehookd.host.files import Stamp, stamp

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*")
_LEFT_OVERS = ("~", ".bak", ".orig", ".old", ".new", ".tmp", ".swp", ".rej", ".pyc", ".md", ".txt", ".disabled")
_SAYS = re.compile(rb"zonehookd-moments:([ \t,a-z-]*)")
_HEAD_BYTES = 4096
HOOKS_MAX = 64


@dataclass(frozen=True, slots=True)
class HookFile:
    """`shape`: a ``program``, or a file of ``functions``. `moments`: those that a program's head asks for; empty: all
    of them. `refused`: why it is not called."""

    name: str
    path: Path
    shape: Literal["program", "functions"]
    stamp: Stamp | None
    moments: frozenset[str] = frozenset()
    refused: str = ""


def find(folder: Path) -> Mapping[str, HookFile]:
    """By name, in order. A folder that is not there has none. Raises OSError when it cannot be read."""
    try:
        names = sorted(each.name for each in folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return {}
    unsafe = _unsafe(folder)
    found: dict[str, HookFile] = {}
    for name in names:
        if _NAME.fullmatch(name) and not name.endswith(_LEFT_OVERS):
            hook = _look_at(folder / name, unsafe)
            if hook is not None and len(found) < HOOKS_MAX:
                found[name] = hook
    return found


def _look_at(path: Path, unsafe: str) -> HookFile | None:
    """None: it is no hook, such as a folder or a data file."""
    try:
        if not path.is_file():
            return None
        program = os.access(path, os.X_OK)
        if not program and path.suffix != ".py":
            return None
        mark = stamp(path)
        unsafe = unsafe or _unsafe(path) or (_unsafe(path.resolve().parent) if path.is_symlink() else "")
        if not program:
            return HookFile(path.name, path, "functions", mark, refused=unsafe)
        with path.open("rb") as file:
            said = _SAYS.search(file.read(_HEAD_BYTES))
    except OSError as problem:
        return HookFile(path.name, path, "program", None, refused=f"cannot be read: {problem}")
    asked = frozenset(said.group(1).decode().replace(",", " ").split()) if said else frozenset()
    unknown = sorted(asked - set(MOMENTS))
    if unknown:
        unsafe = unsafe or f"there is no moment {unknown[0]!r} (hint: there are {', '.join(MOMENTS)})"
    return HookFile(path.name, path, "program", mark, asked, unsafe)


def _unsafe(place: Path) -> str:
    """Why what is there must not be run by root."""
    if os.geteuid() != 0:
        return ""
    found = place.stat()
    if found.st_mode & 0o022 or found.st_uid != 0:
        return f"{place} could be changed by somebody else than root (hint: chown root {place}; chmod go-w {place})"
    return ""
