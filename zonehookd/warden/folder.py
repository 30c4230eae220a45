"""Where a warden is found: a lock that it holds as long as it lives, and a socket to speak to it."""

from __future__ import annotations

import contextlib
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


class Taken(OSError):
    """By another warden."""


class Folder:
    """The run folder: a lock that is held as long as a warden lives, and the socket it listens on."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file = path / "warden.lock"
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

    def lock(self, patience_s: float = 0.0, make: bool = True) -> int | None:
        """A descriptor that holds the lock; None while a warden has it. Raises OSError, of which FileNotFoundError is
        one: without `make`, nobody can say whether a warden is here."""
        until = time.monotonic() + patience_s
        flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | (os.O_CREAT if make else 0)
        handle = os.open(self.file, flags, 0o600)
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


class Seat:
    """What one warden has in the folder: the lock and the socket. Raises OSError, of which Taken is one."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._lock = self._take(patience_s=2.0)  # who only wants to know whether we are here has it for a moment
        self.sockets: list[socket.socket] = []
        self._bind()

    def look(self) -> bool:
        """What somebody has removed is made anew; whether anything was. Raises as above."""
        if _same(self._folder.file, os.fstat(self._lock)) and _same(self._folder.socket, self._bound):
            return False
        self._folder.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not _same(self._folder.file, os.fstat(self._lock)):
            held, self._lock = self._lock, self._take()
            os.close(held)
        self._bind()
        return True

    def heard(self) -> Iterator[dict[str, str]]:
        for channel in self.sockets:
            for _ in range(64):  # bounded: whoever floods the socket must not keep us from looking at the clock
                try:
                    text = channel.recv(_WORD_MAX).decode(errors="replace")
                except BlockingIOError:
                    break
                yield {key: value for key, _, value in (line.partition("=") for line in text.split("\n"))}

    def close(self) -> None:
        """What is another warden's by now stays."""
        with contextlib.suppress(OSError):  # what cannot be seen stays, too: how the daemon ended is what counts
            if _same(self._folder.socket, self._bound):
                self._folder.socket.unlink(missing_ok=True)
        for each in self.sockets:
            each.close()
        os.close(self._lock)

    def _take(self, patience_s: float = 0.0) -> int:
        lock = self._folder.lock(patience_s)
        if lock is None:
            raise Taken("another warden is here")
        return lock

    def _bind(self) -> None:
        """Who has the lock owns the socket's name. The first socket stays: the daemon is connected to it. illumos looks
        the name up for each word all the same (illumos-gate usr/src/uts/common/fs/sockfs/socktpi.c, sosend_dgram), so
        without the file there the daemon would be killed as one that hangs."""
        channel = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        channel.setblocking(False)
        for each in self.sockets[1:]:
            each.close()
        self.sockets[1:] = [channel]
        self._folder.socket.unlink(missing_ok=True)
        channel.bind(str(self._folder.socket))
        self._folder.socket.chmod(0o600)
        self._bound = self._folder.socket.lstat()


def _same(path: Path, found: os.stat_result) -> bool:
    try:
        return os.path.samestat(path.lstat(), found)
    except FileNotFoundError:
        return False
