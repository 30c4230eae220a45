"""Runs the gate program as zoneadmd and zoneadm do, against whatever plays the daemon."""

from __future__ import annotations

import contextlib
import shlex
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2] / "zonehookd" / "gate" / "gate.c"


def compiled(into: Path) -> Path:
    subprocess.run(
        ["cc", "-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror", "-Wshadow", "-O2", "-o", into, SOURCE],
        check=True,
    )
    return into


@dataclass(frozen=True)
class Done:
    status: int
    out: str
    err: str
    seconds: float


class Rig:
    def __init__(self, program: Path, folder: Path) -> None:
        self.state, self.run = folder / "state", folder / "run"
        for each in (self.state, self.run):
            each.mkdir(mode=0o700)
        self.gate = self.state / "gate"
        shutil.copy2(program, self.gate)
        self.socket = self.run / "gate.sock"

    def slack_s(self) -> float:
        """What a limit must leave for the machine, now: some starts of a process that does nothing."""
        began = time.monotonic()
        for _ in range(5):
            subprocess.run([sys.executable, "-I", "-S", "-c", ""], check=True)
        return time.monotonic() - began

    def hook(self, hook: str, *words: str, zone: str = "web1", original: str = "", streams: str = "") -> Done:
        """The hook's text, a shell before it as on illumos (zones sheet 5.1); `words` are appended to it."""
        head = [str(self.gate), str(self.run), hook, zone, *(["--", *shlex.split(original)] if original else ["-"])]
        text = "exec " + shlex.join([*head, *words]) + f" {streams}"
        began = time.monotonic()
        shell = ["env", "--default-signal", "sh", "-c", text]  # who runs the tests under nohup ignores SIGHUP
        done = subprocess.run(shell, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20)
        return Done(done.returncode, done.stdout, done.stderr, time.monotonic() - began)

    def ready(self, **how: str) -> Done:
        return self.hook("prestatechange", "2", "0", **how)

    def uninstall(self, *words: str, **how: str) -> Done:
        return self.hook("preuninstall", *words, **how)

    def guard(self, *lines: str) -> None:
        file = self.state / "guard"
        file.write_text("".join(f"{line}\n" for line in ("zonehookd 1", *lines)))
        file.chmod(0o600)

    def alone(self) -> list[list[str]]:
        """word, zone, answer and reason of each decision without the daemon."""
        try:
            return [line.split()[1:] for line in (self.state / "gate.alone").read_text().splitlines()]
        except FileNotFoundError:
            return []

    def script(self, name: str, text: str) -> str:
        file = self.state.parent / name
        file.write_text(f"#!/bin/sh\n{text}\n")
        file.chmod(0o755)
        return str(file)

    @contextlib.contextmanager
    def peer(self, behave: Callable[[socket.socket], None], *, backlog: int = 8) -> Iterator[list[bytes]]:
        """Something at the daemon's place; yields the requests it read."""
        requests: list[bytes] = []
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
            listening.bind(str(self.socket))
            listening.listen(backlog)
            over = threading.Event()

            def serve() -> None:
                while not over.is_set():
                    connection, _ = listening.accept()
                    with connection, contextlib.suppress(OSError):
                        if over.is_set():
                            return
                        requests.append(connection.recv(2048))
                        behave(connection)

            thread = threading.Thread(target=serve)
            thread.start()
            try:
                yield requests
            finally:
                over.set()
                with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as last:
                    last.connect(str(self.socket))
                thread.join(10)
                self.socket.unlink()

    def says(self, text: str) -> contextlib.AbstractContextManager[list[bytes]]:
        return self.peer(lambda connection: connection.sendall(text.encode()))
