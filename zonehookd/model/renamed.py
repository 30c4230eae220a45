"""A gateway that is missed, and whose files are another zone's: by all that is known it was renamed."""

from __future__ import annotations

from collections.abc import Iterable

from zonehookd.model.record import Record
from zonehookd.model.zone import Zone, ZoneState


def with_files(kept: Record | None, zones: Iterable[Zone]) -> Zone | None:
    """The first zone that has the zonepath or the uuid of what is kept of the gateway."""
    path, uuid = (kept.facts.get("zonepath", ""), kept.facts.get("uuid", "")) if kept is not None else ("", "")
    found = (zone for zone in zones if (path and zone.zonepath == path) or (uuid and zone.uuid == uuid))
    return next((zone for zone in sorted(found, key=lambda zone: zone.name)), None)


def named_back(gateway: str, other: str, state: ZoneState) -> str:
    """What to type. zonecfg renames no zone that is up (zones sheet 4.3)."""
    down = f"zoneadm -z {other} halt, then " if state.in_kernel and state is not ZoneState.UNKNOWN else ""
    return f"{down}zonecfg -z {other} set zonename={gateway}"
