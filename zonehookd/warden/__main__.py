"""`python -m zonehookd.warden`: what the method script of our service runs (smf/svc-zonehookd), and logadm."""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from zonehookd.warden.folder import RELOAD, REOPEN, STOP, Folder
from zonehookd.warden.watch import ABORT_S, EXIT_AGAIN, EXIT_CONFIG, EXIT_OK, Limits, Warden, say

RUN = Path("/var/run/zonehookd")
_ANEW_S = 3.0  # a warden has made anew by then what was removed under it


def start(folder: Folder, command: Sequence[str], limits: Limits) -> int:
    """Returns when the daemon is ready, with a status for SMF. A warden that SMF lost sight of (`svcadm clear` abandons
    a contract, services sheet 3.7) is stopped first, or its daemon would keep ours from starting."""
    try:
        folder.prepare()
        if not _gone(folder):
            say("a warden of an earlier start is still here: stopping it")
            if stop(folder, limits) != EXIT_OK:
                return EXIT_AGAIN
    except OSError as problem:
        say(str(problem))
        return EXIT_CONFIG
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.close(reader)
        os.setsid()
        try:
            os._exit(Warden(folder, command, limits, writer).run())
        except BaseException as problem:
            say(f"failed: {problem!r}")
            os._exit(EXIT_AGAIN)
    os.close(writer)
    answer = os.read(reader, 1)
    return {b"R": EXIT_OK, b"C": EXIT_CONFIG}.get(answer, EXIT_AGAIN)


def stop(folder: Folder, limits: Limits) -> int:
    """Returns when no warden is there any more; 1 when one is still there well after its own limit."""
    until, anew = time.monotonic() + limits.grace + 2 * ABORT_S, time.monotonic() + _ANEW_S
    told = False
    while not _gone(folder, anew):
        if time.monotonic() >= until:
            say("the warden does not stop")
            return EXIT_AGAIN
        told = told or folder.tell(**{STOP: "1"})
        time.sleep(0.05)
    return EXIT_OK


def reload(folder: Folder, command: Sequence[str]) -> int:
    """The daemon reads its configuration anew. Always 0: a failed refresh method would be maintenance, with the daemon
    still running (services sheet 3.7, trap 19)."""
    if not _told(folder, **{RELOAD: json.dumps(list(command))}):
        say("no warden is here to be told")
    return EXIT_OK


def reopen(folder: Folder) -> int:
    """The daemon opens its audit log anew, and reads no configuration. Nothing to do where no daemon is."""
    _told(folder, **{REOPEN: "1"})
    return EXIT_OK


def _told(folder: Folder, **words: str) -> bool:
    """Whether a warden was there to be told."""
    anew = time.monotonic() + _ANEW_S
    while not folder.tell(**words):
        if _gone(folder, anew) or time.monotonic() >= anew:
            return False
        time.sleep(0.05)
    return True


def _gone(folder: Folder, anew_s: float = 0.0) -> bool:
    """Until `anew_s`, of the monotonic clock, a lock or folder that is not there may have been removed under a warden
    that is."""
    try:
        lock = folder.lock(make=False)
    except FileNotFoundError:
        return time.monotonic() >= anew_s
    if lock is None:
        return False
    os.close(lock)
    return True


def _limits(said: Mapping[str, str]) -> Limits | None:
    """None for what cannot be, and then it is said. SMF takes any number for a property, or any text."""
    good: dict[str, float] = {}
    for name, text in said.items():
        try:
            seconds = float(text)
        except ValueError:
            seconds = math.nan
        if 0 < seconds < math.inf or (name == "watchdog" and seconds == 0):
            good[name] = seconds
        else:
            least = "0, for none, or more" if name == "watchdog" else "more than 0"
            say(f"config/{name}_s is refused: it is to be a number of seconds, {least}, and is {text!r}")
    return Limits(**good) if good.keys() == said.keys() else None


def main(argv: Sequence[str]) -> int:
    """`VERB [OPTION ...] -- DAEMON [ARGUMENT ...]`; stop and reopen need no daemon."""
    at = argv.index("--") if "--" in argv else len(argv)
    words, command = argv[:at], argv[at + 1 :]
    parser = argparse.ArgumentParser(
        prog="zonehookd-warden", usage="%(prog)s start|stop|reload|reopen [options] -- DAEMON ...", description=__doc__
    )
    parser.add_argument("verb", choices=("start", "stop", "reload", "reopen"))
    parser.add_argument("--run", type=Path, default=RUN, help="the run folder")
    for name, default in vars(Limits()).items():
        parser.add_argument(f"--{name}", default=str(default), metavar="SECONDS")
    said = parser.parse_args(words)
    folder, limits = Folder(said.run), _limits({name: getattr(said, name) for name in vars(Limits())})
    if limits is None and said.verb == "start":
        return EXIT_CONFIG
    limits = limits or Limits()  # a stop has to go on, and a reload is for the limits of the last start
    if said.verb == "stop":
        return stop(folder, limits)
    if said.verb == "reopen":
        return reopen(folder)
    if not command:
        parser.error("which daemon?")
    return reload(folder, command) if said.verb == "reload" else start(folder, command, limits)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
