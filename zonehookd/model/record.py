"""What our books say we made: only that is ever removed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from zonehookd.model.subject import Subject

ADDRESS = "address"  # name: NETWORK/ADDRESS; facts: zone, link, and freed (seconds, wall clock) once it was given back
PERMIT = "permit"  # name: ZONE or network/NETWORK; facts: until (seconds, wall clock), reason, cut
KEPT = "kept"  # name: ZONE, a gateway; facts: its last good configuration, see plugin keeper
LET_GO = "let-go"  # name: ZONE, a gateway that was deleted and is not missed; facts: those of KEPT, to have it back by
HOOK = "hook"  # name: ZONE; what hooks were told of it, see hooks/book.py
LINKED = "linked"  # name: ZONE, a gateway; facts: zones that depend on it by a link alone, see guard/linked.py
BY_ITSELF = "by-itself"  # name: ZONE, a gateway; facts: at, when it was restored by itself (unix seconds), see `often`
RESTORE = "restore"  # name: ZONE; somebody wants it back, see plugin keeper
PERMIT_MAX_S = 86_400.0  # a permit is for a day at most
_ROUNDED_S = 1.0  # its end is a whole second
_OFTEN, _OFTEN_WITHIN_S = 3, 3600.0  # so often within so long by itself; then somebody must ask


@dataclass(frozen=True, slots=True)
class Record:
    """(kind, name) is unique over the host. `facts` are enough to know the thing again: over, mac, …"""

    kind: str  # "etherstub", "vnic", …
    name: str
    owner: Subject
    plugin: str
    facts: Mapping[str, str] = field(default_factory=dict)


def permitted(permit: Record | None, now_s: float) -> bool:
    """`permit`: a record of kind PERMIT; `now_s` on the wall clock, as its `until` is."""
    return permit is not None and valid(float(permit.facts["until"]), now_s)


def valid(until_s: float, now_s: float) -> bool:
    """What has longer to go than any permit is given for was given by a clock that went wrong, and is none."""
    return 0.0 < until_s - now_s <= PERMIT_MAX_S + _ROUNDED_S


def lately(by_itself: Record | None, now_s: float) -> list[float]:
    """When it was restored by itself, as far as that still counts; unix seconds. `by_itself`: a record BY_ITSELF."""
    at = [float(each) for each in by_itself.facts["at"].split()] if by_itself is not None else []
    return [each for each in at if abs(now_s - each) < _OFTEN_WITHIN_S]


def often(by_itself: Record | None, now_s: float) -> bool:
    """It was restored by itself so often lately that somebody must ask now."""
    return len(lately(by_itself, now_s)) >= _OFTEN
