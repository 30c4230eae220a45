"""Books that were lost are begun anew: each plugin is asked what on this system bears its mark."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from zonehookd.engine.look import Look, PluginReader
from zonehookd.engine.site import Site
from zonehookd.plugin.contract import NOBODY, AnyPlugin
from zonehookd.store.store import Store


async def reclaim(look: Look, site: Site, plugins: Sequence[AnyPlugin], store: Store, logger: Any) -> int:
    """How many things are ours again; `logger` is structlog's. Raises CannotObserve."""
    found = 0
    unread = [zone.name for zone in site.zones.values() if zone.trouble]
    for plugin in plugins:
        for record in await plugin.reclaim(site.holders, PluginReader(look, plugin.name)):
            if record.owner == NOBODY and unread:  # it may be a link of the zone that cannot be read
                logger.warning("not reclaimed yet", kind=record.kind, name=record.name, unread=unread)
                continue
            store.remember(record)
            logger.warning("reclaimed", kind=record.kind, name=record.name, owner=str(record.owner))
            found += 1
    if not unread:  # else the next start asks again
        store.reclaimed()
    return found
