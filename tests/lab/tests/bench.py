"""A lab server in this process, with real launchers to knock at its door; and real hosts as a child process."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab import native_build
from lab.dispatch import COMMANDS, paper_world
from lab.server import Journal, Server
from lab.world import World

REPOSITORY = Path(__file__).resolve().parents[3]
TIMEOUT_SECONDS = 100  # below pytest's own limit, so that what was said until then is seen


def until(condition: Callable[[], object]) -> None:
    """Looks again until it holds; for what another process or thread does in its own time."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while True:
        with contextlib.suppress(FileNotFoundError):
            if condition():
                return
        assert time.monotonic() < deadline
        time.sleep(0.01)


@dataclass(frozen=True)
class Bench:
    world: World
    server: Server
    folder: Path  # bin/ holds the launchers, lib/ the library

    def argv(self, command: Sequence[str]) -> list[str]:
        return [str(self.folder / "bin" / command[0]), *command[1:]]

    def run(self, *command: str, **options: object) -> subprocess.CompletedProcess[str]:
        defaults: dict[str, object] = {"capture_output": True, "text": True, "timeout": TIMEOUT_SECONDS, "check": False}
        return subprocess.run(self.argv(command), **{**defaults, **options})  # type: ignore[call-overload, no-any-return]

    def journal(self) -> str:
        return Path(self.server.journal.path).read_text()


@contextlib.contextmanager
def bench() -> Iterator[Bench]:
    """The folder's name is short because a socket's address is."""
    native = native_build.build()
    folder = Path(tempfile.mkdtemp(prefix="zl"))
    try:
        for name in ("bin", "lib/zonelab", "root"):
            (folder / name).mkdir(parents=True)
        for name in ("zonelab", *COMMANDS):
            shutil.copy(native / "launch", folder / "bin" / name)
        shutil.copy(native / "libzonecfg.so.1", folder / "lib")
        world = paper_world(str(folder / "root"))
        server = Server(
            world, str(folder / "lib/zonelab/door"), Journal(str(folder / "journal")), superuser=os.getuid()
        )
        thread = threading.Thread(target=server.serve)
        thread.start()
        try:
            yield Bench(world, server, folder)
        finally:
            server.stop()
            thread.join()
            server.drain()
    finally:
        shutil.rmtree(folder)


@dataclass(frozen=True)
class Machine:
    """Where `zonelab` is started: from which checkout, and by whom (None: by us)."""

    checkout: Path
    user: str | None = None

    def command(self, *arguments: str) -> list[str]:
        return [str(self.checkout / "tests/lab/zonelab"), *arguments]

    def identity(self) -> dict[str, object]:
        if self.user is None:
            return {}
        entry = pwd.getpwnam(self.user)
        environ = {"PATH": "/usr/bin:/bin", "HOME": entry.pw_dir, "TERM": "dumb"}
        return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": [], "env": environ}

    def zonelab(self, *arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
        defaults: dict[str, object] = {
            "capture_output": True, "text": True, "timeout": TIMEOUT_SECONDS, "check": False, "cwd": self.checkout,
            "stdin": subprocess.DEVNULL, **self.identity(),
        }  # fmt: skip
        return subprocess.run(self.command(*arguments), **{**defaults, **options})  # type: ignore[call-overload, no-any-return]

    def script(self, text: str, *options: str) -> str:
        """Output of a shell script on a throw-away host; it stops at the first command that fails."""
        done = self.zonelab("run", *options, "--", "sh", "-e", "-c", text)
        assert done.returncode == 0, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert done.stderr == "", done.stderr
        return done.stdout


def foreign_checkout(folder: Path, user: str) -> Machine:
    """A copy of the lab that belongs to `user`, with a Python that `user` may run."""
    shutil.copytree(
        REPOSITORY / "tests/lab", folder / "tests/lab", ignore=shutil.ignore_patterns("build", "__pycache__", "tests")
    )
    subprocess.run(["/usr/bin/python3", "-m", "venv", "--without-pip", folder / ".venv"], check=True)
    import pyroute2

    packages = next((folder / ".venv/lib").glob("python3*")) / "site-packages"
    shutil.copytree(Path(pyroute2.__file__).parent, packages / "pyroute2")
    entry = pwd.getpwnam(user)
    for place, _folders, files in os.walk(folder):
        for path in (place, *(os.path.join(place, name) for name in files)):  # noqa: PTH118
            os.chown(path, entry.pw_uid, entry.pw_gid, follow_symlinks=False)
    folder.chmod(0o755)
    return Machine(folder, user)
