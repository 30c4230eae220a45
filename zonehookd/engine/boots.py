"""Boots that failed before what they lacked was there. Told by kernel events; without them nothing is ever missed.

A zone configured and booted in one breath reaches zoneadmd before we have made its link, and its boot fails (zones
sheet 6.1). The events tell: `initialized`, and then `uninitialized` without `running` (2.2). When we made something for
the zone after that boot began, the boot was *missed*: it would go well now.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from zonehookd.model.zone import Zone, ZoneState

_FORGOTTEN_AFTER_S = 60.0  # who tried to boot a zone longer ago than this may have changed his mind


@dataclass(slots=True)
class _Attempt:
    began_s: float
    failed: bool = False
    mended: bool = False


class Boots:
    """Bounded by the zones that boot just now: a zone leaves when it runs, when its second chance was given, when it is
    no longer installed, or after a minute. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._attempts: dict[str, _Attempt] = {}

    def heard(self, zone: str, kind: str, now_s: float) -> None:
        """`kind` is the new state of a kernel event."""
        if kind == "initialized":
            self._attempts[zone] = _Attempt(now_s)
        elif kind == "running":
            self._attempts.pop(zone, None)
        elif kind == "uninitialized" and zone in self._attempts:
            self._attempts[zone].failed = True

    def made(self, zone: str) -> None:
        """Something was made for this zone just now."""
        if zone in self._attempts:
            self._attempts[zone].mended = True

    def forget(self, zone: str) -> None:
        self._attempts.pop(zone, None)

    def seen(self, zones: Mapping[str, Zone], looked_s: float) -> None:
        """What a look begun at `looked_s` found: who is not installed any more waits for no boot, whoever will have
        its name later. An attempt younger than the look may be about an installation it did not see yet."""
        for name in [each for each, one in self._attempts.items() if one.began_s < looked_s]:
            zone = zones.get(name)
            if zone is None or zone.state in (ZoneState.ABSENT, ZoneState.CONFIGURED, ZoneState.INCOMPLETE):
                del self._attempts[name]

    def missed(self, now_s: float) -> frozenset[str]:
        """Zones that would boot now, and whose admin wanted them to."""
        for name in [each for each, one in self._attempts.items() if now_s - one.began_s > _FORGOTTEN_AFTER_S]:
            del self._attempts[name]
        return frozenset(name for name, attempt in self._attempts.items() if attempt.failed and attempt.mended)
