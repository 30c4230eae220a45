"""Who depends on a gateway by a link alone, for plugins: they are shown configurations, which say nothing of it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from zonehookd.engine.dependents import dependents
from zonehookd.engine.site import Site
from zonehookd.model import subject
from zonehookd.model.gateway import GLOBAL
from zonehookd.model.record import LINKED, Record
from zonehookd.store.store import Store


def noted(store: Store, site: Site, on_link: Mapping[str, Collection[str]]) -> Iterator[str]:
    """Puts it into the books; gateways of which that is news. `on_link`: lower link -> zones, as it is now."""
    before = {record.name: record for record in store.of_kind(LINKED)}
    for gateway in sorted({*site.gateways, *before} - {GLOBAL}):
        found = {each.zone for each in dependents(site, gateway, on_link) if each.how == "link" and not each.through}
        facts = {"zones": " ".join(sorted(found))}
        if found and (gateway not in before or before[gateway].facts != facts):
            store.remember(Record(LINKED, gateway, subject.gateway(gateway), "guard", facts))
            yield gateway
        elif not found and gateway in before:
            store.forget(LINKED, gateway)
            yield gateway
