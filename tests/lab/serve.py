"""The server's process on a lab host: makes the world, opens the door, serves until it is told to stop."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from pathlib import Path
from typing import NoReturn

from lab import door
from lab.channel import Channel
from lab.faults import Faults
from lab.host import furnish
from lab.paper import PaperFloor
from lab.server import Journal, Server
from lab.world import Dialect, World


def become_server(real: bool, dialect: Dialect, uplinks: int, ready: int) -> NoReturn:
    """For a freshly forked child whose root is the host's. Writes one byte to `ready` once commands can come."""
    try:
        os.setsid()
        signal.pthread_sigmask(signal.SIG_SETMASK, [])  # `run` blocks some, and hooks would inherit that
        os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
        os.umask(0o022)
        sys.setswitchinterval(0.001)  # a short command need not wait long behind a busy one
        server = _make(real, dialect, uplinks)
        log = os.open(f"{door.STATE}/server.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.write(ready, b"!")
        os.close(ready)
        server.serve()
    except BaseException:
        traceback.print_exc(file=sys.stderr)
        sys.stderr.flush()
        os._exit(1)
    os._exit(0)


def _make(real: bool, dialect: Dialect, uplinks: int) -> Server:
    journal = Journal(door.JOURNAL)
    if not real:
        world = World(Path("/"), dialect, PaperFloor(), Channel(), Faults())
        furnish(world, uplinks)
        return Server(world, door.DOOR, journal)
    from lab.namespaces import NamespaceFloor  # pyroute2 takes its time; the data-only floor does without

    floor = NamespaceFloor()
    world = World(Path("/"), dialect, floor, Channel(), Faults())
    furnish(world, uplinks)
    floor.furnish(world)
    return Server(world, door.DOOR, journal, floor.zone_of, floor.pidfd_of)
