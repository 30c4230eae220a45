"""Boots that failed before what they lacked was there. Told by kernel events; without them nothing is ever missed.

A zone configured and booted in one breath reaches zoneadmd before we have made its link, and its boot fails (zones
sheet 6.1). The events tell: `initialized`, and then `uninitialized` without `running` (2.2). When we made something for
the zone after that boot began, the boot was *missed*: it would go well now.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class _Attempt:
    failed: bool = False
    mended: bool = False


class Boots:
    """Bounded by the zones that boot just now; a zone leaves when it runs, or when its second chance was given."""

    def __init__(self) -> None:
        self._attempts: dict[str, _Attempt] = {}

    def heard(self, zone: str, kind: str) -> None:
        """`kind` is the new state of a kernel event."""
        if kind == "initialized":
            self._attempts[zone] = _Attempt()
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

    @property
    def missed(self) -> frozenset[str]:
        return frozenset(name for name, attempt in self._attempts.items() if attempt.failed and attempt.mended)
