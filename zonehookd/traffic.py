"""Traffic of the links of zones, for /metrics: read now and then in the background, never by whoever scrapes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from zonehookd.engine.site import Site
from zonehookd.errors import CannotObserve, CommandError
from zonehookd.host.doors import Commands
from zonehookd.illumos import kstat

NAMES = (
    "link_receive_bytes_total", "link_transmit_bytes_total", "link_receive_packets_total",
    "link_transmit_packets_total", "link_receive_errors_total", "link_transmit_errors_total",
)  # fmt: skip
METRICS = (*NAMES, "link_up", "links_uncounted", "traffic_last_read_timestamp_seconds")
_STALE = 3  # so many readings missed, and what is known is no news any more
Samples = Mapping[tuple[str, ...], float]


class Traffic:
    """`site`: the last one seen; None: none yet. One command every `every_s`, however many links there are."""

    def __init__(
        self, commands: Commands, site: Callable[[], Site | None], every_s: float, links_max: int, logger: Any
    ) -> None:
        self._commands = commands
        self._site = site
        self._every_s = every_s
        self._links_max = links_max
        self._log = logger
        self._found: Mapping[str, kstat.Traffic] = {}
        self._read_s = 0.0  # monotonic
        self._read_at = time.time()  # wall clock; until the first reading, when we began to try
        self._trouble = ""

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self.read()
            await asyncio.sleep(self._every_s)

    async def read(self) -> None:
        """Once. What cannot be read is said once; the last counters stay for a while."""
        query = kstat.traffic()
        try:
            finished = await self._commands.run(query, why="traffic of links", subject=None)
            self._found = query.parse(finished.reply)
        except (CannotObserve, CommandError, OSError) as problem:
            if str(problem) != self._trouble:
                self._log.warning("traffic of links not read", error=str(problem))
            self._trouble = str(problem)
            return
        self._trouble = ""
        self._read_s, self._read_at = time.monotonic(), time.time()

    def answers(self) -> Mapping[str, Samples]:
        """Metric -> (link, zone, network) -> number; on the thread of the scrape."""
        found = self._found if time.monotonic() - self._read_s <= _STALE * self._every_s else {}
        site = self._site()
        placed = [(labels, found[name]) for labels, name in sorted(_links(site) if site else ()) if name in found]
        counted = placed[: self._links_max]
        answers: dict[str, dict[tuple[str, ...], float]] = {name: {} for name in (*NAMES, "link_up")}
        for labels, one in counted:
            numbers = (one.rbytes, one.obytes, one.ipackets, one.opackets, one.ierrors, one.oerrors)
            for name, number in zip(NAMES, numbers, strict=True):
                answers[name][labels] = float(number)
            if one.up is not None:
                answers["link_up"][labels] = float(one.up)
        answers["links_uncounted"] = {(): float(len(placed) - len(counted))}
        answers["traffic_last_read_timestamp_seconds"] = {(): self._read_at}
        return answers


def _links(site: Site) -> Iterator[tuple[tuple[str, str, str], str]]:
    """(link, zone, network) of every NIC on a declared network, and the name by which kstat knows it.

    SmartOS puts ``z<zoneid>_`` before it (network sheet 6.3); we do not run there, so that is left out.
    """
    for network, attachments in site.on_network.items():
        for each in attachments:
            yield (each.link, each.zone, network), each.link[: kstat.NAME_MAX]
