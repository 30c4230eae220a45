"""The configuration repository of one zone: services, instances, property groups, the running snapshot.

What differs from the delivered services is kept as JSON in the zone's /etc/svc/repository.db (the real one is a
database there) and so survives a halt. Everything is changed and read under the restarter's lock.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lab.smf import fmri as names
from lab.smf.values import Property

GENERAL, GENERAL_OVR, RESTARTER = "general", "general_ovr", "restarter"
_PARTS = ("groups", "running", "imported")
VOLATILE = (GENERAL_OVR, RESTARTER)  # gone at the next boot, and never part of a snapshot


@dataclass
class Group:
    """A property group: application, framework, method, dependency, template, ..."""

    type: str
    properties: dict[str, Property] = field(default_factory=dict)

    def copy(self) -> Group:
        return Group(self.type, dict(self.properties))


Groups = dict[str, Group]


@dataclass
class Entity:
    """A service (`instance` "") or an instance."""

    service: str
    instance: str = ""
    groups: Groups = field(default_factory=dict)
    running: Groups = field(default_factory=dict)  # the composed snapshot; instances only
    imported: Groups = field(default_factory=dict)  # as its manifest had it last
    delivered: bool = True  # False: differs from what the lab delivers, so it is kept in the file
    changes: dict[str, int] = field(default_factory=dict)  # group -> how often it has changed

    @property
    def fmri(self) -> str:
        return names.join(self.service, self.instance)


def copied(groups: Mapping[str, Group]) -> Groups:
    return {name: group.copy() for name, group in groups.items()}


class Repository:
    def __init__(self, file: Path, delivered: Mapping[str, Mapping[str, Group]]) -> None:
        """`delivered` maps an FMRI (service or instance) to its groups; they are shared until somebody changes them.

        Most delivered services have no groups of their own, so what an instance has is what it runs with.
        """
        self._file = file
        self.entities: dict[str, Entity] = {}
        self._deleted: list[str] = []
        self.manifests: dict[str, tuple[str, list[str]]] = {}  # file -> (digest, services it brought)
        for name, groups in delivered.items():
            self.entities[name] = Entity(*names.split(name), dict(groups), dict(groups), dict(groups))
        self._load()
        for entity in self.instances():
            if entity.delivered and delivered.get(names.join(entity.service)):
                entity.running = self.compose(entity)

    # finding ------------------------------------------------------------------------------------------------------

    def instances(self) -> Iterator[Entity]:
        return (entity for entity in list(self.entities.values()) if entity.instance)

    def service_of(self, entity: Entity) -> Entity | None:
        return self.entities.get(names.join(entity.service))

    def compose(self, entity: Entity) -> Groups:
        """The groups of an instance laid over those of its service, property by property."""
        service = self.service_of(entity) if entity.instance else None
        groups: Groups = {}
        for source in (service, entity):
            for name, group in source.groups.items() if source else ():
                if name in VOLATILE:
                    continue
                known = groups.get(name)
                groups[name] = Group(group.type, {**(known.properties if known else {}), **group.properties})
        return groups

    # changing -----------------------------------------------------------------------------------------------------

    def add(self, entity: Entity) -> None:
        entity.delivered = False
        self.entities[entity.fmri] = entity
        if entity.fmri in self._deleted:
            self._deleted.remove(entity.fmri)

    def remove(self, name: str) -> None:
        self.entities.pop(name, None)
        self._deleted.append(name)
        self.save()

    def group(self, entity: Entity, name: str, kind: str | None = None) -> Group | None:
        """The entity's own group for changing it; with `kind` it is made when absent."""
        group = entity.groups.get(name)
        if group is None and kind is None:
            return None
        entity.groups[name] = group.copy() if group else Group(kind or "application")
        return entity.groups[name]

    def put(self, entity: Entity, group: str, name: str, value: Property | None, kind: str = "framework") -> None:
        """Set a property (None: delete it), making the group when absent."""
        target = self.group(entity, group, kind)
        assert target is not None
        if value is None:
            target.properties.pop(name, None)
        else:
            target.properties[name] = value
        self.changed(entity, group)

    def changed(self, entity: Entity, group: str) -> None:
        entity.changes[group] = entity.changes.get(group, 0) + 1
        if group not in VOLATILE:
            entity.delivered = False
            self.save()

    def take_snapshot(self, entity: Entity) -> None:
        entity.running = self.compose(entity)
        if not entity.delivered:
            self.save()

    # the file -----------------------------------------------------------------------------------------------------

    def save(self) -> None:
        kept = {
            name: {part: _as_json(getattr(entity, part)) for part in _PARTS}
            for name, entity in self.entities.items()
            if not entity.delivered
        }
        document = {"entities": kept, "deleted": self._deleted, "manifests": self.manifests}
        self._file.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._file.with_name(f"{self._file.name}.new")
        fresh.write_text(json.dumps(document, indent=1) + "\n")
        fresh.chmod(0o600)
        fresh.replace(self._file)

    def _load(self) -> None:
        if not self._file.exists():
            return
        document = json.loads(self._file.read_text())
        self._deleted = document["deleted"]
        self.manifests = {file: (digest, brought) for file, (digest, brought) in document["manifests"].items()}
        for name in self._deleted:
            self.entities.pop(name, None)
        for name, parts in document["entities"].items():
            groups, running, imported = (_from_json(parts[part]) for part in _PARTS)
            self.entities[name] = Entity(*names.split(name), groups, running, imported, delivered=False)


def _as_json(groups: Groups) -> object:
    return {
        name: [group.type, {key: [value.type, *value.values] for key, value in group.properties.items()}]
        for name, group in groups.items()
        if name not in VOLATILE
    }


def _from_json(document: Mapping[str, tuple[str, Mapping[str, list[str]]]]) -> Groups:
    return {
        name: Group(kind, {key: Property(value[0], tuple(value[1:])) for key, value in properties.items()})
        for name, (kind, properties) in document.items()
    }
