"""Which zones have a VNIC over a link, whoever made it: from what is so now, not from old books."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping

from zonehookd.engine.look import NARROW_MAX, Look
from zonehookd.illumos import dladm
from zonehookd.model.zone import Zone


async def on_links(
    look: Look,
    zones: Mapping[str, Zone],
    holders: Mapping[str, str],
    lower: Collection[str],
    *,
    thorough: bool = False,
) -> Mapping[str, Collection[str]]:
    """Link of `lower` -> zones that have a VNIC over it: named by their configuration, or lent to them.

    Our books and `holders` (link -> zone) are asked of zones that cannot be read only: what they say of others is old,
    and may be a ghost. `thorough`: also whether somebody lent another zone what a halted zone names, where only the
    links themselves know; for whoever is about to say that nobody is there. Raises CannotObserve.
    """
    vnics = await look.ask(dladm.vnics(look.dialect))
    named: dict[str, set[str]] = {}
    for each in zones.values():
        for nic in each.config.nics if each.config else ():
            named.setdefault(nic.link, set()).add(each.name)
    lent: Mapping[str, dladm.Protection] | None = None
    found: dict[str, set[str]] = {}
    idle: dict[str, str] = {}  # VNIC that no zone has by its configuration now, and nobody says where it is -> over
    for name, vnic in vnics.items():
        if vnic.over not in lower:
            continue
        having = {*named.get(name, ()), *([vnic.zone] if vnic.zone else ())}
        if not having:
            record = look.store.one("vnic", name)
            owner = zones.get(record.owner.name if record else holders.get(name, ""))
            if owner is not None and owner.config is None and not owner.absent:
                having.add(owner.name)
            elif vnic.zone is None and (record is None or (owner is not None and owner.state.in_kernel)):
                # Only the link itself knows (network sheet 2.6); that walk is long, so asked when it must be.
                lent = lent if lent is not None else await look.ask(dladm.protections())
                having.update([lent[name].zone] if name in lent and lent[name].zone else [])
        found.setdefault(vnic.over, set()).update(having)
        if vnic.zone is None and not any(name in zones and zones[name].state.in_kernel for name in having):
            idle[name] = vnic.over
    if thorough:
        there = await _lent(look, idle) if lent is None else {name: lent[name].zone for name in idle if name in lent}
        for name, zone in there.items():
            found[idle[name]].update([zone] if zone else [])
    return found


async def _lent(look: Look, links: Collection[str]) -> Mapping[str, str]:
    """Link -> the zone that it is lent to now, if any. The walk over all is for many of them."""
    wide, look.wide = look.wide, len(links) > NARROW_MAX
    try:
        found = await asyncio.gather(*(look.ask(dladm.protection(name)) for name in links))
    finally:
        look.wide = wide
    return {name: its.zone for name, its in zip(links, found, strict=True) if its is not None}
