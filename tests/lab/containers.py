"""A zone as a container: its root below the zonepath, its namespaces, and the process that holds them.

Mounts are made in the global zone's view, as zoneadmd does, so `zonepath/root/etc/…` shows a running zone's files. What
the zone writes to /etc and /var lives below `zonepath/root` itself: it survives a halt and goes with an uninstall.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from lab import door, linux, packages
from lab.enter import ZONE_PATTERN, overlay
from lab.world import Dialect, Refused

_ANSWER_SECONDS = 60.0
_FOLDERS = ("usr", "etc", "tmp", "run", "dev", "proc", "sys", "root", "home", "mnt", "opt", "export")


@dataclass
class Container:
    """Process 1 of one zone incarnation, by its descriptors; all of them are closed by `destroy`."""

    name: str
    pid: int  # in the lab host's process namespace
    pidfd: int
    network_fd: int
    process_namespace: int  # the inode
    control: socket.socket
    mounts: list[str] = field(default_factory=list)

    def start_init(self) -> None:
        self.control.send(b"init")
        _hear(self.control, "started")

    def kill(self) -> None:
        """Every process of the zone is dead when this returns: the kernel ends them before process 1 is gone."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)
        watch = select.poll()
        watch.register(self.pidfd, select.POLLIN)
        watch.poll()

    def destroy(self) -> None:
        unmount(self.mounts)
        os.close(self.pidfd)
        os.close(self.network_fd)
        self.control.close()


def create(name: str, root: Path, own_network: bool, dialect: Dialect) -> Container:
    """Raises `Refused`; nothing is left then. No program of the zone runs yet [zones 2.3]."""
    undo: list[Callable[[], object]] = []
    mounts: list[str] = []
    try:
        _furnish(root, dialect)
        undo.append(lambda: unmount(mounts))
        _mount(root, mounts)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        undo.append(ours.close)
        ours.settimeout(_ANSWER_SECONDS)
        with theirs:
            fd = theirs.fileno()
            argv = ["zonelab-init", "zone", str(fd), str(root), name, "own" if own_network else "shared"]
            subprocess.run(
                argv,
                executable=f"{door.STATE}/zonelab-init",
                pass_fds=[fd],
                stdin=subprocess.DEVNULL,
                env={"PATH": "/usr/sbin:/usr/bin"},
                cwd="/",
                check=False,
            )
        pid = int(_hear(ours, "pid", "ready")["pid"])
        pidfd = os.pidfd_open(pid)
        undo.append(lambda: os.close(pidfd))
        network_fd = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        inode = Path(f"/proc/{pid}/ns/pid").stat().st_ino
        return Container(name, pid, pidfd, network_fd, inode, ours, mounts)
    except OSError as problem:
        for step in reversed(undo):
            step()
        raise Refused(f"cannot make a container for zone '{name}': {problem}") from problem


def unmount(mounts: list[str]) -> None:
    for target in reversed(mounts):
        with contextlib.suppress(OSError):
            linux.detach(target)
        work = Path(target).parent.parent / ".overlay"
        if target.endswith("/etc") and work.exists():
            shutil.rmtree(work, ignore_errors=True)
    mounts.clear()


def _hear(control: socket.socket, *words: str) -> dict[str, str]:
    """One message per word, in any order, and the rest of each: process 1 may be ready before its parent names it.

    Raises OSError when process 1 has trouble or is gone.
    """
    heard: dict[str, str] = {}
    while not all(word in heard for word in words):
        text = control.recv(1024).decode()
        first, _, rest = text.partition(" ")
        if first == "error" or not text:
            raise OSError(rest or "its process 1 is gone")
        heard[first] = rest
    return heard


def _furnish(root: Path, dialect: Dialect) -> None:
    """The persistent part: made at the first boot, found again at the next."""
    root.mkdir(parents=True, exist_ok=True)
    for name in _FOLDERS:
        (root / name).mkdir(exist_ok=True)
    for entry in os.scandir("/"):
        link = root / entry.name
        if entry.is_symlink() and not link.is_symlink() and not link.exists():
            link.symlink_to(Path(entry.path).readlink())
    if not (root / "var").exists():
        shutil.copytree(f"{ZONE_PATTERN}/var", root / "var", symlinks=True)
    if not packages.delivered(root, dialect):
        packages.deliver(root, dialect, "opt", "var")


def _mount(root: Path, done: list[str]) -> None:
    """Adds to `done` as it goes, so a failure half-way can be undone."""

    def add(name: str) -> str:
        done.append(str(root / name))
        return done[-1]

    usr = str(root / "usr")
    linux.bind("/usr", usr)
    add("usr")
    linux.make_read_only(usr)
    work = root.parent / ".overlay"
    work.mkdir(exist_ok=True)
    overlay(str(root / "etc"), f"{ZONE_PATTERN}/etc", str(root / "etc"), str(work))
    add("etc")
    for name, mode in (("tmp", "1777"), ("run", "755")):
        linux.mount("swap", str(root / name), "tmpfs", data=f"mode={mode}")
        add(name)
