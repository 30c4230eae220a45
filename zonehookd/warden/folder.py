"""Where a warden is found: a lock that it holds as long as it lives, and a socket to speak to it."""

from __future__ import annotations

import fcntl
import os
import socket
import stat
import time
from collections.abc import Iterator
from pathlib import Path

STOP, RELOAD, REOPEN = (
    "ZONEHOOKD_STOP",
    "ZONEHOOKD_RELOAD",
    "ZONEHOOKD_REOPEN",
)  # words of ours, beside those of sd_notify
_WORD_MAX = 8192


class Folder:
    """The run folder: a lock that is held as long as a warden lives, and the socket it listens on."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.socket = path / "warden.sock"

    def prepare(self) -> None:
        """Raises OSError when it cannot be made, or could be another's. A daemon whose plugins have users of their own
        opens it (0711, foreign/workers.py), and leaves it like that: it is closed again."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = self.path.lstat()
        ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()
        if ours and found.st_mode & 0o777 == 0o711:
            self.path.chmod(0o700)
        elif not ours or found.st_mode & 0o077:
            raise PermissionError(f"{self.path} is not a folder that is ours alone (mode 0700)")

    def lock(self, patience_s: float = 0.0) -> int | None:
        """A descriptor that holds the lock; None while a warden has it. Raises OSError."""
        until = time.monotonic() + patience_s
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        handle = os.open(self.path / "warden.lock", flags, 0o600)
        while True:
            try:
                fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return handle
            except OSError:
                if time.monotonic() >= until:
                    os.close(handle)
                    return None
                time.sleep(0.05)

    def tell(self, **words: str) -> bool:
        """Whether a warden was there to be told."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
            channel.settimeout(1.0)
            try:
                channel.sendto("\n".join(f"{key}={value}" for key, value in words.items()).encode(), str(self.socket))
            except OSError:
                return False
        return True


def heard(channel: socket.socket) -> Iterator[dict[str, str]]:
    for _ in range(64):  # bounded: whoever floods the socket must not keep us from looking at the clock
        try:
            text = channel.recv(_WORD_MAX).decode(errors="replace")
        except BlockingIOError:
            return
        yield {key: value for key, _, value in (line.partition("=") for line in text.split("\n"))}
