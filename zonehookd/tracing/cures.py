"""The way out for a zone that does not run. Pure."""

from __future__ import annotations

from zonehookd.engine.survey import UNDECIDED
from zonehookd.model.zone import Zone, ZoneState


def of_zone(name: str, zone: Zone | None) -> str:
    """What to type. `zone` None: there is none of this name. What is not there is not booted."""
    if zone is None or zone.absent:
        return f"there is no zone {name}: zonecfg -z {name} configures it"
    if zone.vanished:
        return f"zonehookctl guard restore {name}"
    if zone.trouble:
        return "ask again in a moment" if zone.trouble == UNDECIDED else f"zonecfg -z {name} verify"
    return f"zoneadm -z {name} {'install, then boot' if zone.state is ZoneState.CONFIGURED else 'boot'}"


def trouble(zone_trouble: str) -> str:
    """Without the hint in it: a cure stands beside it."""
    return zone_trouble.partition(" (hint: ")[0]
