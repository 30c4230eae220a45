"""What our books say we made: only that is ever removed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from zonehookd.model.subject import Subject

ADDRESS = "address"  # name: NETWORK/ADDRESS; facts: zone, link, and freed (seconds, wall clock) once it was given back
PERMIT = "permit"  # name: ZONE or network/NETWORK; facts: until (seconds, wall clock), reason, cut
KEPT = "kept"  # name: ZONE, a gateway; facts: its last good configuration, see plugin keeper
HOOK = "hook"  # name: ZONE; what hooks were told of it, see hooks/book.py
RESTORE = "restore"  # name: ZONE; somebody wants it back, see plugin keeper


@dataclass(frozen=True, slots=True)
class Record:
    """(kind, name) is unique over the host. `facts` are enough to know the thing again: over, mac, …"""

    kind: str  # "etherstub", "vnic", …
    name: str
    owner: Subject
    plugin: str
    facts: Mapping[str, str] = field(default_factory=dict)
