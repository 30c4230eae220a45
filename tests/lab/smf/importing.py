"""Manifests become services: by `svccfg import`, and by manifest-import's look at its folders [services 3.5, 3.6].

The lock of the restarter is held by whoever calls these.
"""

from __future__ import annotations

import hashlib

from lab.smf import fmri as names
from lab.smf.instance import UP
from lab.smf.manifest import Bundle, Invalid, merge, parse
from lab.smf.repository import Entity, copied
from lab.smf.restarter import Restarter
from lab.world import NotEmulated


def bring_in(known: Restarter, bundle: Bundle) -> None:
    """New services appear, and start when they are enabled; known ones get what has changed, and are refreshed."""
    repository = known.repository
    fresh: list[str] = []
    for name, groups in bundle.entities.items():
        if name in repository.entities:
            merge(repository, name, groups)
            continue
        entity = Entity(*names.split(name), copied(groups), imported=copied(groups))
        if entity.instance:
            known.add(entity)
            fresh.append(name)
        else:
            repository.add(entity)
    touched = {name for service in bundle.services() for name in known.instances if names.matches(service, name)}
    for target, group_name, group in bundle.dependents:
        if target in repository.entities:
            cited = repository.entities[target]
            cited.groups[group_name] = group
            repository.changed(cited, group_name)
            touched |= {name for name in known.instances if names.matches(target, name)}
    for name in touched:
        known.refreshed(known.instances[name])
    for name in touched:
        known.post(known.instances[name], "check" if name in fresh else "refresh")
    repository.save()


def take_away(known: Restarter, fmri: str, by_force: bool) -> None:
    """A service with all its instances, or one instance. Raises `NotEmulated` for a running one."""
    doomed = [name for name in known.instances if names.matches(fmri, name)]
    for name in doomed:
        if known.instances[name].state in UP:
            raise NotEmulated(f"svccfg delete {'-f ' if by_force else ''}of {name}, which is running: disable it first")
    for name in doomed:
        known.forget(name)
    _take_back_dependents(known, fmri)
    if not names.split(fmri)[1]:
        known.repository.remove(fmri)


def _take_back_dependents(known: Restarter, fmri: str) -> None:
    """What its manifest has put on others as `dependent` goes with it; their own manifests' words stay."""
    for entity in list(known.repository.entities.values()):
        for name, group in list(entity.groups.items()):
            cited = group.properties.get("entities") if group.type == "dependency" else None
            if cited is not None and cited.values == (fmri,) and name not in entity.imported:
                del entity.groups[name]
                known.repository.changed(entity, name)
                for each in known.find(entity.fmri):
                    known.refreshed(each)


def look(known: Restarter) -> list[str]:
    """Import what is new or changed, delete the services whose manifest has gone; lines for the log."""
    said: list[str] = []
    seen: set[str] = set()
    record = known.repository.manifests
    for path, file in known.manifests():
        seen.add(path)
        text = file.read_bytes()
        digest = hashlib.sha256(text).hexdigest()
        if record.get(path, ("", []))[0] == digest:
            continue
        try:
            bundle = parse(text)
        except Invalid as problem:
            said.append(f"svccfg: {path}: {problem}")
            continue
        record[path] = digest, bundle.services()
        bring_in(known, bundle)
    for path in record.keys() - seen:
        for service in record.pop(path)[1]:
            take_away(known, service, by_force=True)
    if said or seen:
        known.repository.save()
    return said
