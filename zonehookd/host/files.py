"""Files: bounded reads, atomic writes. Never used below a zone's root: what lies there is hostile."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Stamp:
    """Enough to tell whether a file was replaced or written since; None times mean it is not there."""

    inode: int
    size: int
    mtime_ns: int


def stamp(path: Path) -> Stamp | None:
    """None when there is no such file; other trouble raises OSError."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return Stamp(found.st_ino, found.st_size, found.st_mtime_ns)


def read_bounded(path: Path, max_bytes: int) -> bytes:
    """The whole file; raises OSError, or ValueError when it is larger than `max_bytes`, or no plain file: a pipe would
    keep us until somebody writes."""
    with open(path, "rb", opener=_at_once) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ValueError(f"{path} is no plain file")
        content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise ValueError(f"{path} is larger than {max_bytes} bytes")
    return content


def _at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)


def write_atomically(path: Path, content: str, mode: int | None) -> None:
    """The old file or the new one, never half of one, also after a power cut; missing folders are made (0755).

    `mode` None: mode, owner and group of the file that is there, also behind a symlink (/etc/hosts is one on illumos);
    0644 and ours if there is none.
    """
    if mode is None:
        path = path.resolve()
    try:
        kept = path.stat() if mode is None else None
    except FileNotFoundError:
        kept = None
    for folder_path in reversed([each for each in path.parents if not each.exists()]):
        folder_path.mkdir(exist_ok=True)
        folder_path.chmod(0o755)  # the file's own mode says who may read it, whatever our umask
    mode = stat.S_IMODE(kept.st_mode) if kept else 0o644 if mode is None else mode
    _swap(path, content.encode(), mode, (kept.st_uid, kept.st_gid) if kept else None, None)


def put_like(path: Path, content: bytes, like: os.stat_result, *, times: bool) -> None:
    """Atomically, with the mode and owner of `like`, and with `times` its time of change too. Raises OSError."""
    _swap(path, content, stat.S_IMODE(like.st_mode), (like.st_uid, like.st_gid), like.st_mtime_ns if times else None)


def _swap(path: Path, content: bytes, mode: int, owner: tuple[int, int] | None, mtime_ns: int | None) -> None:
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            if owner is not None:
                os.fchown(file.fileno(), *owner)
            os.fchmod(file.fileno(), mode)
            file.write(content)
            file.flush()
            if mtime_ns is not None:
                os.utime(file.fileno(), ns=(mtime_ns, mtime_ns))
            os.fsync(file.fileno())
        Path(temporary).rename(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(temporary).unlink()
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
