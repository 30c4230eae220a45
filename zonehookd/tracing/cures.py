"""The way out for a zone that does not run. Pure."""

from __future__ import annotations

from zonehookd.engine.survey import UNDECIDED
from zonehookd.model.renamed import named_back
from zonehookd.model.zone import Zone, ZoneState


def of_zone(name: str, zone: Zone | None, kept: bool = False, renamed: Zone | None = None) -> str:
    """What to type. `zone` None: there is none of this name. What is not there is not booted. `kept`: its configuration
    is, to have it back by. `renamed`: who has its files now, if it is gone. Nothing mends a damaged file in its
    place; it is put back, or, which goes only while the zone is down, deleted (zones sheet 3.1, 4.3)."""
    if zone is not None and zone.trouble == UNDECIDED:
        return "ask again in a moment"
    if (zone is not None and zone.vanished) or (kept and (zone is None or zone.absent or zone.damaged)):
        back = named_back(name, renamed.name, renamed.state) if renamed is not None else ""
        return back or f"zonehookctl guard restore {name}"
    if zone is None or zone.absent:
        return f"there is no zone {name}: zonecfg -z {name} configures it"
    if zone.damaged:
        anew = f"zonecfg -z {name} delete -F, and make it anew"
        return f"put /etc/zones/{name}.xml back from a backup; or, while the zone is down, {anew}"
    if zone.trouble:
        return f"zonecfg -z {name} verify"
    return f"zoneadm -z {name} {'install, then boot' if zone.state is ZoneState.CONFIGURED else 'boot'}"


def trouble(zone_trouble: str) -> str:
    """Without the hint in it: a cure stands beside it."""
    return zone_trouble.partition(" (hint: ")[0]
