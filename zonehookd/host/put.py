"""`python -m zonehookd.host.put`: writes one file, as whoever runs it. So a plugin with a user of its own changes only
what that user may change.

    put write PATH MODE     the file is what standard input holds; MODE octal, or kept: that of the file that is there
    put remove PATH
    put block PATH MARK     standard input between two lines that bear MARK (see illumos/marked.py)
    put unblock PATH MARK
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from zonehookd.host.files import read_bounded, write_atomically
from zonehookd.illumos import marked

FILE_MAX_BYTES = 16 << 20


def main(argv: Sequence[str], text: str) -> None:
    """Raises OSError, ValueError."""
    match argv:
        case ["write", path, mode]:
            write_atomically(Path(path), text, None if mode == "kept" else int(mode, 8))
        case ["remove", path]:
            Path(path).unlink(missing_ok=True)
        case ["block", path, mark]:
            _keep(Path(path), marked.with_block(_read(Path(path)), mark, text))
        case ["unblock", path, mark]:
            _keep(Path(path), marked.without_block(_read(Path(path)), mark))
        case _:
            raise ValueError("usage: put write PATH MODE | remove PATH | block PATH MARK | unblock PATH MARK")


def _read(path: Path) -> str:
    try:
        return read_bounded(path, FILE_MAX_BYTES).decode()
    except FileNotFoundError:
        return ""


def _keep(path: Path, text: str) -> None:
    if text != _read(path):
        write_atomically(path, text, None)


if __name__ == "__main__":
    reads = sys.argv[1:2] in (["write"], ["block"])
    try:
        main(sys.argv[1:], sys.stdin.buffer.read().decode() if reads else "")
    except (OSError, ValueError) as problem:
        sys.exit(f"put: {problem}")
