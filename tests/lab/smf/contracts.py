"""Process contracts: which processes a service's method has left behind, and when the last of them has ended.

On the real floor a contract is held by native/contract.c; on paper there are no processes.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lab import door

_ANSWER_SECONDS = 60.0


@dataclass
class Contract:
    """`control` None: a contract without processes, known by its number only."""

    ctid: int
    zone: str
    holder: int = 0  # process that holds it, as the lab's server sees it
    method_pid: int = 0  # as the zone sees it
    method_status: int | None = None  # wait status, once the method has ended
    empty: bool = False
    killed: bool = False  # a process of it died by a signal
    dumped: bool = False  # ... or dumped core
    control: socket.socket | None = field(default=None, repr=False)

    def hear(self) -> None:
        """Take in what the holder says now; blocks until it says something."""
        assert self.control is not None
        try:
            words = self.control.recv(256).decode().split()
        except OSError:
            words = []
        if not words or words[0] == "empty":
            self.empty = True
        elif words[0] == "pid":
            self.holder = int(words[1])
        elif words[0] == "method":
            self.method_pid = int(words[1])
        elif words[0] == "exit":
            self._ended(int(words[1]), int(words[2]))

    def _ended(self, pid: int, status: int) -> None:
        if pid == self.method_pid and self.method_status is None:
            self.method_status = status
        elif os.WIFSIGNALED(status):
            self.killed = True
            self.dumped = self.dumped or os.WCOREDUMP(status)

    def members(self) -> list[int]:
        """Process ids, as the lab's server sees them, parents first."""
        return [] if self.control is None or self.empty else list(_descendants(self.holder))

    def signal(self, number: int) -> None:
        for pid in self.members():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def abandon(self) -> None:
        """Its processes live on and nobody watches them."""
        if self.control is not None:
            self.control.close()
            self.control = None


def start(
    ctid: int, zone: str, pidfd: int, argv: Sequence[str], environ: Mapping[str, str], cwd: str, log: Path
) -> Contract:
    """Run a method in a new contract, inside the zone of `pidfd` (-1: here). Raises OSError when the zone is gone."""
    log.parent.mkdir(parents=True, exist_ok=True)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.settimeout(_ANSWER_SECONDS)
    contract = Contract(ctid, zone, control=ours)
    try:
        with theirs, log.open("ab") as text:
            descriptors = [descriptor for descriptor in (pidfd, theirs.fileno(), text.fileno()) if descriptor >= 0]
            words = ["contract", str(pidfd), str(theirs.fileno()), str(text.fileno()), cwd]
            subprocess.run(
                ["zonelab-init", *words, *argv],
                executable=f"{door.STATE}/zonelab-init",
                pass_fds=descriptors,
                stdin=subprocess.DEVNULL,
                env=dict(environ),
                cwd="/",
                check=False,
            )
        while not (contract.holder and contract.method_pid) and not contract.empty:
            contract.hear()
        if not contract.holder:
            raise OSError("the contract's holder did not start")
    except BaseException:
        ours.close()
        raise
    ours.settimeout(None)
    return contract


def _descendants(pid: int) -> Iterator[int]:
    for task in _tasks(pid):
        with contextlib.suppress(OSError):
            for child in Path(f"/proc/{pid}/task/{task}/children").read_text().split():
                yield int(child)
                yield from _descendants(int(child))


def _tasks(pid: int) -> list[str]:
    try:
        return os.listdir(f"/proc/{pid}/task")  # noqa: PTH208 - names are all that is wanted
    except OSError:
        return []


def command_of(pid: int) -> str:
    """The program's base name; "" when the process is gone."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().rstrip("\n")
    except OSError:
        return ""


def pid_inside(pid: int) -> int:
    """How the process' own zone numbers it; 0 when it is gone."""
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("NSpid:"):
                return int(line.split()[-1])
    except OSError:
        pass
    return 0
