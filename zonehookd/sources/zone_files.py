"""/etc/zones: what zonecfg, zoneadm install and their friends leave there, which no kernel event tells.

Every commit and every change of state renames a file over another, so the folder's own mtime moves (zones sheet 2.7).
One `stat` ten times a second costs nothing to speak of and needs no private interface; the sheet holds it equal to
event ports. A file written in place, by hand, is found by the full look.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

from zonehookd.host.files import stamp
from zonehookd.model.event import Event


class ZoneFiles:
    name = "zone-files"

    def __init__(self, folder: Path, every_s: float) -> None:
        self._folder = folder
        self._every_s = every_s

    async def events(self) -> AsyncGenerator[Event, None]:
        before = stamp(self._folder)
        yield Event(self.name, "subscribed")
        while True:
            await asyncio.sleep(self._every_s)
            now = stamp(self._folder)
            if now != before:
                before = now
                yield Event(self.name, "files")
