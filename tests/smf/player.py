"""In the daemon's place under a warden: speaks sd_notify, does what its second argument says, writes it down."""

from __future__ import annotations

import contextlib
import faulthandler
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

diary = Path(sys.argv[1])
how: dict[str, Any] = {"ready_after": 0.0, "feeds": 0, "stop_takes": 0.0, "ends": None, "leash": False, "child": False}
how |= {"connected": False} | json.loads(sys.argv[2])  # connected: its words take the way of the first, as on Linux
told: list[int] = []


def write(line: str) -> None:
    with diary.open("a") as file:
        file.write(line + "\n")


channel = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
if how["connected"]:
    channel.connect(os.environ["NOTIFY_SOCKET"])


def notify(text: str) -> None:
    with contextlib.suppress(OSError):
        if how["connected"]:
            channel.send(text.encode())
        else:  # as each word goes on illumos
            channel.sendto(text.encode(), os.environ["NOTIFY_SOCKET"])


def wait(seconds: float) -> None:
    """A while; ends early when a signal or the end of the warden asks for something."""
    deadline = time.monotonic() + seconds
    leash = [int(os.environ["ZONEHOOKD_LEASH"])] if how["leash"] else []
    while time.monotonic() < deadline and signal.SIGTERM not in told:
        if signal.SIGHUP in told:
            told.remove(signal.SIGHUP)
            write("hangup")
        if signal.SIGUSR1 in told:
            told.remove(signal.SIGUSR1)
            write("reopen")
        if select.select(leash, [], [], 0.02)[0]:
            write("lost")
            sys.exit(0)


faulthandler.enable()
signal.signal(signal.SIGTERM, lambda number, _: told.append(number))
signal.signal(signal.SIGUSR1, lambda number, _: told.append(number))
signal.signal(signal.SIGHUP, lambda number, _: told.append(number))
write(f"born {os.getpid()} {os.getppid()}")
write(f"watchdog {os.environ.get('WATCHDOG_USEC', 'none')}")
notify("STATUS=thinking")
if how["ends"] is not None:
    if how["ends"] < 0:
        os.kill(os.getpid(), -how["ends"])
    sys.exit(how["ends"])
if how["child"]:
    subprocess.Popen(
        ["/bin/sh", "-c", f"trap 'echo child terminated >>{diary}; exit' TERM; sleep 1"], start_new_session=True
    )
wait(how["ready_after"])
if signal.SIGTERM not in told:
    write("ready")
    notify("READY=1")
    for _ in range(how["feeds"]):
        if signal.SIGTERM in told:
            break
        notify("WATCHDOG=1")
        wait(0.2)
    wait(3600)
write("terminated")
notify("STOPPING=1")
time.sleep(how["stop_takes"])
write("finished")
