"""Lab hosts seen from outside. A host leaves no file behind, so the process table is where they are looked up."""

from __future__ import annotations

import os
import select
import signal
from pathlib import Path

DEFAULT = "lab"
_STOP_SECONDS = 60


def running() -> dict[str, int]:
    """Name -> pid of the host's process 1, of the hosts that belong to us. Hosts inside hosts are not ours."""
    found: dict[str, int] = {}
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        try:
            argv = (process / "cmdline").read_bytes().split(b"\0")
            if argv[:2] != [b"zonelab-init", b"host"] or process.stat().st_uid != os.geteuid():
                continue
            status = (process / "status").read_text()
        except OSError:
            continue  # it ended meanwhile
        levels = next(line.split()[1:] for line in status.splitlines() if line.startswith("NSpid:"))
        if len(levels) == 2:
            found[argv[2].decode()] = int(process.name)
    return found


def stop(pid: int) -> None:
    """Everything of that host is gone when this returns: its process 1 takes the rest along."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        watch = select.poll()
        watch.register(descriptor, select.POLLIN)
        for number in (signal.SIGTERM, signal.SIGKILL):
            signal.pidfd_send_signal(descriptor, number)
            if watch.poll(_STOP_SECONDS * 1000):
                return
    finally:
        os.close(descriptor)
