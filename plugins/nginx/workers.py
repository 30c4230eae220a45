"""How many generations of workers still serve, and so how fast the next reload may come. Pure.

A reload leaves the old workers until their last connection ends, which with one that never ends is never. The more
generations there are, the longer the next change is gathered: so a storm cannot pile them up, and a single change after
a quiet time waits for nobody. No connection is ever cut for it; `worker_shutdown_timeout` is the admin's to set.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from zonehookd.illumos.nginx import Processes
from zonehookd.plugin import Record, Remember
from zonehookd.plugin.contract import GatewayView

KIND = "nginx-workers"  # record; name: GATEWAY; facts: groups, the workers before each reload, oldest reload first


@dataclass(frozen=True, slots=True)
class Workers:
    """`older`: groups of workers that were told to end, those that still live, oldest first. `current`: the others."""

    older: tuple[frozenset[int], ...] = ()
    current: frozenset[int] = frozenset()

    @staticmethod
    def of(records: Sequence[Record], processes: Processes | None) -> Workers:
        if processes is None:
            return Workers()
        groups: list[list[int]] = next((json.loads(e.facts["groups"]) for e in records if e.kind == KIND), [])
        older = tuple(alive for each in groups if (alive := frozenset(each) & processes.children))
        return Workers(older, processes.children - frozenset().union(*older))

    def pace_s(self, calm_s: float, most_s: float) -> float:
        """Twice as long for each generation more than one; seconds."""
        return min(max(most_s, calm_s), calm_s * 2.0 ** max(0, min(len(self.older), 32) - 1))

    def told(self, gateway: GatewayView, plugin: str) -> Remember:
        """Before a reload: whoever works now is an old one after it."""
        groups = [sorted(each) for each in (*self.older, self.current) if each]
        facts = {"groups": json.dumps(groups, separators=(",", ":"))}
        why = f"{len(groups)} generations of workers will have been told to end"
        return Remember(Record(KIND, gateway.name, gateway.subject, plugin, facts), why)
