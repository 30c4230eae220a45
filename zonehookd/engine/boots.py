"""What the kernel said of zones lately: which are in motion, and whose boot failed before what they lacked was there.

A zone configured and booted in one breath reaches zoneadmd before we have made its link, and its boot fails (zones
sheet 6.1). The events tell: `initialized`, and then `uninitialized` without `running` (2.2). When we made something for
the zone after that boot began, the boot was *missed*: it would go well now. Without events nothing is ever missed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from zonehookd.model.zone import Zone, ZoneState

_KERNEL = frozenset({"initialized", "ready", "running", "shutting_down", "uninitialized"})
_FORGOTTEN_AFTER_S = 20.0  # who tried to boot a zone longer ago than this may have changed his mind
_MOVING_S = 2.0  # a reboot is seen as `installed` for a moment (zones sheet 1.2)


@dataclass(slots=True)
class _Attempt:
    began_s: float
    failed: bool = False
    mended: bool = False


@dataclass(frozen=True, slots=True)
class Motion:
    """At one moment: zones that would boot now and whose admin wanted them to; zones between two states."""

    missed: frozenset[str] = frozenset()
    moving: frozenset[str] = frozenset()


class Boots:
    """Bounded by the zones that boot just now: a zone leaves when it runs, when its second chance was given, when it is
    no longer installed, or after some seconds. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._attempts: dict[str, _Attempt] = {}
        self._last_s: dict[str, float] = {}
        self._again: set[str] = set()  # zones that we ourselves boot just now

    def asked(self, zone: str) -> bool:
        """The zone boots now, and its gate waits for us: it has no other boot to wait for, and its links are at home.
        True: it is we who boot it, so nobody may wait for that here."""
        self._attempts.pop(zone, None)
        self._last_s.pop(zone, None)
        return zone in self._again

    @contextmanager
    def again(self, zone: str) -> Iterator[None]:
        """Within, it is we who boot it: its second chance, or a gateway that was lost."""
        self._attempts.pop(zone, None)
        self._again.add(zone)
        try:
            yield
        finally:
            self._again.discard(zone)

    def heard(self, zone: str, kind: str, now_s: float, *, at_rest: bool) -> None:
        """`kind` is the new state of a kernel event. `at_rest`: the last look found nothing to do for this zone, so
        whatever becomes of this boot, it lacks nothing of ours."""
        if kind not in _KERNEL:
            return
        self._last_s[zone] = now_s
        if kind == "initialized" and not at_rest:
            self._attempts[zone] = _Attempt(now_s)
        elif kind in ("initialized", "running"):
            self._attempts.pop(zone, None)
        elif kind == "uninitialized" and zone in self._attempts:
            self._attempts[zone].failed = True

    def made(self, zone: str, well: bool = True) -> None:
        """Its steps are over. `well`: something was made for this zone just now."""
        if well and zone in self._attempts:
            self._attempts[zone].mended = True

    def seen(self, zones: Mapping[str, Zone], looked_s: float) -> None:
        """What a look begun at `looked_s` found: who runs, or is not installed any more, waits for no boot, whoever
        will have its name later. An attempt younger than the look may be about what it did not see yet."""
        for name in [each for each, one in self._attempts.items() if one.began_s < looked_s]:
            zone = zones.get(name)
            if zone is None or zone.state in (
                ZoneState.ABSENT,
                ZoneState.CONFIGURED,
                ZoneState.INCOMPLETE,
                ZoneState.RUNNING,
            ):
                del self._attempts[name]

    def motion(self, now_s: float) -> Motion:
        for name in [each for each, one in self._attempts.items() if now_s - one.began_s > _FORGOTTEN_AFTER_S]:
            del self._attempts[name]
        for name in [each for each, last_s in self._last_s.items() if now_s - last_s > _MOVING_S]:
            del self._last_s[name]
        missed = frozenset(name for name, attempt in self._attempts.items() if attempt.failed and attempt.mended)
        return Motion(missed, frozenset(self._last_s))
