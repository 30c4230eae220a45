"""The truth for our supervisor, through sdnotify: READY, STATUS, WATCHDOG, RELOADING, STOPPING.

Without NOTIFY_SOCKET every call is silent. The watchdog is fed by the loop that does the work, at half its limit, so a
loop that hangs is noticed. A warden (zonehookd/warden) also gives us a pipe that its death closes.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable

import sdnotify


class Supervisor:
    def __init__(self) -> None:
        self._notifier = sdnotify.SystemdNotifier()
        channel = getattr(self._notifier, "socket", None)
        if channel is not None:
            channel.setblocking(False)  # a supervisor that does not read must not stop the loop that works
        self._said_s = 0.0
        limit_us = os.environ.get("WATCHDOG_USEC", "")
        self._every_s = int(limit_us) / 2e6 if limit_us.isdigit() and int(limit_us) else None
        self._fed_s = 0.0
        self._status = ""
        leash = os.environ.pop("ZONEHOOKD_LEASH", "")
        self._leash = int(leash) if leash.isdigit() else -1
        if self._leash >= 0:
            os.set_inheritable(self._leash, False)

    def when_lost(self, loop: asyncio.AbstractEventLoop, told: Callable[[], None]) -> None:
        """`told` is called once when our warden is gone: nobody restarts us then, and SMF believes that all is well."""

        def lost() -> None:
            loop.remove_reader(self._leash)
            told()

        if self._leash >= 0:
            loop.add_reader(self._leash, lost)

    @property
    def heartbeat_s(self) -> float:
        """So often the loop that works has to beat, whether it has work or not."""
        return min(5.0, self._every_s / 2) if self._every_s else 5.0

    def beat(self) -> None:
        """From the working loop, as often as it likes."""
        now = time.monotonic()
        if self._every_s is not None and now - self._fed_s >= self._every_s / 2:
            self._fed_s = now
            self._notifier.notify("WATCHDOG=1")

    def ready(self) -> None:
        self._notifier.notify("READY=1")

    def reloading(self) -> None:
        self._notifier.notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        self._notifier.notify("STOPPING=1")

    def status(self, text: str) -> None:
        """At most one a second."""
        now = time.monotonic()
        if text != self._status and now - self._said_s >= 1.0:
            self._status, self._said_s = text, now
            self._notifier.notify(f"STATUS={text}")
