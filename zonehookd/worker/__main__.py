"""`python -m zonehookd.worker --shape SHAPE --name NAME --path PATH --memory-mb N`: a plugin's own process.

Started by the daemon, which says in the environment where it is heard, and holds our standard input: when that ends,
there is no daemon any more. What the plugin prints, on either stream, goes to standard error.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from zonehookd.worker.limits import limit

if TYPE_CHECKING:
    from zonehookd.plugin.finding import Found
    from zonehookd.worker.work import Work

_SHAPES = ("folder", "executable", "package", "hook")


def main() -> None:
    given = _arguments()
    limit(given.memory_mb)
    # From here on: what is imported is imported within the limits, and a plugin pays for no more than it uses.
    from zonehookd.plugin.finding import Found
    from zonehookd.wire.messages import ENDPOINT, INSTANCE
    from zonehookd.worker.serve import serve

    found = Found(given.name, given.shape, given.path)
    work = _work(found)
    status = serve(work, given.name, os.environ[ENDPOINT], os.environ[INSTANCE], _streams())
    sys.stdout.flush()
    _end_children()
    os._exit(status)  # no thread of the plugin's holds us up, and none of its handlers


def _end_children() -> None:
    """What the plugin has left running in our group. The daemon would end it, if it lives: and whoever starts the next
    one waits until nothing of this one is left (warden/watch.py)."""
    if os.getpgrp() == os.getpid():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.killpg(0, signal.SIGTERM)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m zonehookd.worker", description="A plugin's own process.")
    parser.add_argument("--shape", choices=_SHAPES, required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--path", type=Path, default=Path("/"))
    parser.add_argument("--memory-mb", type=int, default=256)
    return parser.parse_args()


def _work(found: Found) -> Work:
    if found.shape == "executable":
        from zonehookd.worker import executable

        return executable.work(found)
    if found.shape == "hook":
        from zonehookd.worker.moments import Moments

        return Moments(found)
    from zonehookd.worker.python import Python

    return Python(found)


def _streams() -> int:
    """The leash, out of the plugin's way: whoever reads standard input reads nothing, and no child inherits it."""
    leash = os.dup(0)
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.close(empty)
    sys.stdout.flush()
    os.dup2(2, 1)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True, errors="backslashreplace")  # type: ignore[union-attr]
    return leash


if __name__ == "__main__":
    main()
