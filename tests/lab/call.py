"""One invocation of an illumos command: what it was given, and how it answers."""

from __future__ import annotations

import io
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO

from lab.faults import STATUS, Fault, Killed
from lab.world import GLOBAL, Refused, World


class Become(Exception):
    """The calling process is to become `argv`, inside `zone`: how zlogin and pfexec hand over (stdio untouched).

    `environ` None keeps the caller's; `cwd` and `no_stdin` (standard input is /dev/null) count only inside a zone.
    `network` is a descriptor of a network namespace: where the caller is, but on that network.
    """

    def __init__(
        self,
        argv: Sequence[str],
        zone: str = GLOBAL,
        environ: Mapping[str, str] | None = None,
        cwd: str = "/",
        no_stdin: bool = False,
        network: int = -1,
    ) -> None:
        super().__init__(" ".join(argv))
        self.argv = list(argv)
        self.zone = zone
        self.environ = environ
        self.cwd = cwd
        self.no_stdin = no_stdin
        self.network = network


class Exit(Exception):
    """Leave the command at once with this exit status."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def _sleep(seconds: float) -> bool:
    time.sleep(seconds)
    return False


@dataclass
class Call:
    """`argv[0]` is the command's base name. Text goes out through `out` and `err`, in order, as it is written."""

    world: World
    argv: list[str]
    stdin: IO[bytes] = field(default_factory=io.BytesIO)
    stdout: IO[bytes] = field(default_factory=io.BytesIO)
    stderr: IO[bytes] = field(default_factory=io.BytesIO)
    environ: Mapping[str, str] = field(default_factory=dict)
    cwd: str = "/"
    zone: str = GLOBAL  # where the caller runs
    privileged: bool = True
    stdin_tty: bool = False
    stdout_tty: bool = False
    closed: str = ""  # which of the descriptors 0, 1, 2 the caller had closed, as digits
    faults: list[Fault] = field(default_factory=list)
    linger: Callable[[float], bool] = _sleep  # wait some seconds; True as soon as the caller is gone
    ignore_signals: Callable[[bool], None] = lambda on: None  # SIGINT and friends pass the command by; or no more
    kill_parent: Callable[[], None] = lambda: None  # whoever started the command dies by SIGKILL

    def out(self, text: str) -> None:
        self.stdout.write(text.encode())

    def err(self, text: str) -> None:
        self.stderr.write(text.encode())

    def operate(self) -> None:
        """To be called right before the kernel operation. Raises `Refused` if a scripted fault says so."""
        for fault in self.faults:
            if fault.kind in STATUS:
                raise Refused(STATUS[fault.kind])
            if fault.kind == "fail":
                raise Refused(fault.status)

    def half_way(self) -> None:
        """To be called at the point where a killed command leaves its worst traces."""
        if any(fault.kind == "kill" for fault in self.faults):
            raise Killed

    def spawn(
        self, argv: Sequence[str], environ: Mapping[str, str] | None = None, stdin: bytes = b""
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a real process (a brand hook), its output captured. Never call it with `world.lock` held."""
        return subprocess.run(
            list(argv),
            input=stdin,
            capture_output=True,
            env=dict(environ or self.environ),
            cwd="/",
            check=False,
        )

    def spawn_through(self, argv: Sequence[str], environ: Mapping[str, str]) -> int:
        """Run a real process on the caller's own streams; its return code, negative for a signal. No lock held.

        It is waited for, not what it leaves behind. In one process, where there are no descriptors, its output is
        captured.
        """
        self.stdout.flush()
        self.stderr.flush()
        try:
            stdin, stdout, stderr = (stream.fileno() for stream in (self.stdin, self.stdout, self.stderr))
        except io.UnsupportedOperation:
            done = self.spawn(argv, environ)
            self.stdout.write(done.stdout)
            self.stderr.write(done.stderr)
            return done.returncode
        return subprocess.run(
            list(argv), stdin=stdin, stdout=stdout, stderr=stderr, env=dict(environ), cwd="/", check=False
        ).returncode
