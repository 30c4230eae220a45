"""Files in the global zone and in others, by the same words: the engine's own steps here, zlogin there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from zonehookd.host.doors import HostReader
from zonehookd.illumos import zlogin
from zonehookd.model.command import Change
from zonehookd.model.plan import RemoveFile, WriteFile


async def read_files(where: str, paths: Sequence[Path], host: HostReader) -> Mapping[Path, str | None]:
    """What the files hold; None: not there. One command for a zone, none for the global zone. Raises CannotObserve."""
    if where == zlogin.GLOBAL:
        return {path: host.read_file(path) for path in paths}
    return await host.ask(zlogin.read_files(where, paths))


def write_file(where: str, path: Path, content: str, mode: int | None = 0o644, *, why: str) -> WriteFile | Change:
    """Atomically, in either place. `mode` None: mode and owner of the file that is there."""
    if where == zlogin.GLOBAL:
        return WriteFile(path, content, why, mode)
    label = f"write {path} in zone {where} ({len(content)} characters)"
    return replace(zlogin.write_file(where, path, content, mode, why=why), label=label)


def remove_file(where: str, path: Path, *, why: str) -> RemoveFile | Change:
    if where == zlogin.GLOBAL:
        return RemoveFile(path, why)
    return zlogin.remove_file(where, path, why=why)
