"""The restarter of one running zone: its instances, who depends on whom, and where they run [services 3]."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from lab.ipadm_conf import root_of
from lab.smf import contracts
from lab.smf import fmri as names
from lab.smf.delivered import MANIFEST_IMPORT, RBAC, ZONES, is_scenery, services
from lab.smf.instance import UP, Instance, State
from lab.smf.repository import Entity, Repository
from lab.smf.worker import Worker
from lab.world import GLOBAL, KernelZone, World

_FILE = "etc/svc/repository.db"
_MANIFESTS = ("/lib/svc/manifest", "/var/svc/manifest")
_RANK = {"error": 0, "restart": 1, "refresh": 2}
_REACHES = {"error": 0, "stop": 1, "refresh": 2}  # what happened -> the least restart_on that answers to it


class Restarter:
    """Whatever is read or changed here, in the repository, or in an instance: hold `changed`, which is also notified
    at every change of a state. Never take `World.lock` while holding it; the other way round is fine.
    """

    def __init__(self, world: World, zone: KernelZone | None, ctids: Iterator[int], since: float) -> None:
        """`since`: when the zone booted, in seconds since 1970."""
        self.world = world
        self.zone = GLOBAL if zone is None else zone.name
        self.changed = threading.Condition(threading.Lock())
        self._root = root_of(world, self.zone)
        self._ctids = ctids
        self._waiting: list[Instance] = []  # on paper: instances that have something to do
        self._pumping = False
        self.stopped = False  # the zone is going down
        delivered = services(world.dialect, zone is None)
        self.repository = Repository(self._root / _FILE, delivered)
        self.instances = {entity.fmri: Instance(self, entity, since=since) for entity in self.repository.instances()}
        self._dependents: dict[str, list[Instance]] | None = None

    # life ---------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Everything that is enabled; in the background, dependencies first (on paper: by `pump`)."""
        with self.changed:
            for instance in self.instances.values():
                if not instance.enabled():
                    instance.state = State.DISABLED
                elif is_scenery(instance.entity.running) or self._did_its_work(instance):
                    instance.state = State.ONLINE
                else:
                    self.post(instance, "check")

    def _did_its_work(self, instance: Instance) -> bool:
        """Before anybody asked: a fresh host had no zones to boot, nothing to merge and perhaps nothing to import."""
        nothing_to_import = not self.repository.manifests and not any(self.manifests())
        return instance.fmri in (ZONES, RBAC) or (instance.fmri == MANIFEST_IMPORT and nothing_to_import)

    def manifests(self) -> Iterator[tuple[str, Path]]:
        """(path in the zone, file), in the order they are imported."""
        return _manifests(self.world, self._root)

    def stop(self) -> None:
        """The zone's processes are about to die: nobody restarts them."""
        with self.changed:
            self.stopped = True
            for instance in self.instances.values():
                instance.stopping = True
                if instance.contract is not None and not instance.working:
                    instance.contract.abandon()
                self._wake(instance)
            self.changed.notify_all()

    def post(self, instance: Instance, event: str) -> None:
        """Tell an instance's thread, which is made when there is none; on paper `pump` does its work."""
        instance.events.append(event)
        if instance.stopping:
            return
        if instance.working:
            self._wake(instance)
            return
        instance.working = True
        if not self.world.floor.real:
            self._waiting.append(instance)
            return
        instance.wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        name = f"{self.zone}-{instance.fmri}"
        threading.Thread(target=Worker(instance).run, name=name, daemon=True).start()

    def pump(self) -> None:
        """On paper: do what has been posted. To be called without any lock."""
        with self.changed:
            if self._pumping:
                return
            self._pumping = True
        try:
            while True:
                with self.changed:
                    if not self._waiting:
                        return
                    instance = self._waiting.pop(0)
                Worker(instance).run()
        finally:
            with self.changed:
                self._pumping = False

    def _wake(self, instance: Instance) -> None:
        if instance.wake >= 0:
            os.eventfd_write(instance.wake, 1)

    # places -------------------------------------------------------------------------------------------------------

    def path(self, absolute: str) -> Path:
        """A file of the zone, seen from the lab."""
        return self._root / absolute.lstrip("/")

    def log_of(self, fmri: str) -> Path:
        return self.path(f"/var/svc/log/{names.log_name(fmri)}")

    def log_lines(self, fmri: str, lines: Sequence[str]) -> None:
        """What a method says on its standard output and error."""
        if lines:
            self.log_of(fmri).parent.mkdir(parents=True, exist_ok=True)
            with self.log_of(fmri).open("a") as file:
                file.writelines(f"{line}\n" for line in lines)

    # contracts ----------------------------------------------------------------------------------------------------

    def new_ctid(self) -> int:
        return next(self._ctids)

    def start_contract(
        self, ctid: int, argv: Sequence[str], environ: dict[str, str], cwd: str, log: Path
    ) -> contracts.Contract:
        """Raises OSError when the zone has no inside any more."""
        pidfd = -1
        if self.zone != GLOBAL:
            pidfd = self.world.floor.pidfd_of(self.zone)
            if pidfd < 0:
                raise OSError(f"zone '{self.zone}' is not there")
        try:
            return contracts.start(ctid, self.zone, pidfd, argv, environ, cwd, log)
        finally:
            if pidfd >= 0:
                os.close(pidfd)

    def contract(self, ctid: int) -> contracts.Contract | None:
        with self.changed:
            for instance in self.instances.values():
                if instance.contract is not None and instance.contract.ctid == ctid:
                    return instance.contract
        return None

    # instances ----------------------------------------------------------------------------------------------------

    def find(self, operand: str) -> list[Instance]:
        return [instance for name, instance in self.instances.items() if names.matches(operand, name)]

    def add(self, entity: Entity) -> Instance:
        """A new instance, just imported."""
        self.repository.add(entity)
        self._dependents = None
        instance = self.instances[entity.fmri] = Instance(self, entity)
        return instance

    def forget(self, fmri: str) -> None:
        self.instances.pop(fmri, None)
        self.repository.remove(fmri)
        self._dependents = None

    def refreshed(self, instance: Instance) -> None:
        """The current values become the running ones."""
        self.repository.take_snapshot(instance.entity)
        self._dependents = None

    # dependencies -------------------------------------------------------------------------------------------------

    def dependencies(self, instance: Instance) -> Iterator[tuple[str, str, str, tuple[str, ...]]]:
        """(grouping, restart_on, service|path, what is cited)"""
        for group in instance.entity.running.values():
            if group.type == "dependency":
                word = {name: " ".join(group.properties[name].values) for name in group.properties}
                cited = group.properties["entities"].values if "entities" in group.properties else ()
                yield word["grouping"], word["restart_on"], word.get("type", "service"), cited

    def satisfied(self, instance: Instance) -> bool:
        return all(self.unmet(*each) is None for each in self.dependencies(instance))

    def unmet(self, grouping: str, restart_on: str, kind: str, cited: tuple[str, ...]) -> str | None:
        """The entity that keeps this dependency from being satisfied; None when it is."""
        good = {entity: self.fulfilled(kind, entity) for entity in cited}
        if grouping == "require_any":
            return None if any(good.values()) or not cited else cited[0]
        if grouping == "exclude_all":
            return next((entity for entity in cited if good[entity]), None)
        if grouping == "optional_all":
            return next((entity for entity in cited if not good[entity] and self.may_still_run(kind, entity)), None)
        return next((entity for entity in cited if not good[entity]), None)

    def fulfilled(self, kind: str, entity: str) -> bool:
        if kind == "path":
            return self.path(urlsplit(entity).path).exists()
        return any(instance.stays_up() for instance in self.find(entity))

    def may_still_run(self, kind: str, entity: str, asked: frozenset[str] = frozenset()) -> bool:
        """It needs no administrator to come up, nor does what it depends on [services 3.6]."""
        if kind == "path" or entity in asked:
            return False
        return any(
            each.enabled()
            and each.state not in (State.MAINTENANCE, State.DISABLED)
            and (each.state is not State.OFFLINE or not self.hopeless(each, asked | {entity}))
            for each in self.find(entity)
        )

    def hopeless(self, instance: Instance, asked: frozenset[str] = frozenset()) -> bool:
        """A dependency is unmet, and nothing that is on its way will change that."""
        for grouping, restart_on, kind, cited in self.dependencies(instance):
            unmet = None if grouping == "optional_all" else self.unmet(grouping, restart_on, kind, cited)
            if unmet is None:
                continue
            awaited = cited if grouping == "require_any" else (unmet,)
            if grouping == "exclude_all" or not any(self.may_still_run(kind, entity, asked) for entity in awaited):
                return True
        return False

    def settled(self, instance: Instance, told: frozenset[str] = frozenset()) -> None:
        """It will not come up without an administrator: who waits for it, or for one that does, looks again."""
        for dependent in self.dependents_of(instance):
            if dependent.state is State.OFFLINE and dependent.fmri not in told:
                self.post(dependent, "check")
                self.settled(dependent, told | {instance.fmri, dependent.fmri})

    def tell_dependents(self, instance: Instance, what: str) -> None:
        """`what`: up | stop | error | refresh [services 3.6]; of every grouping but exclude_all (startd graph.c
        propagate_stop).
        """
        for dependent in self.dependents_of(instance):
            if what == "up":
                if dependent.state is State.OFFLINE:
                    self.post(dependent, "check")
                continue
            for grouping, restart_on, _, cited in self.dependencies(dependent):
                hit = any(names.matches(entity, instance.fmri) for entity in cited)
                answers = _RANK.get(restart_on, -1) >= _REACHES[what]
                if hit and answers and grouping != "exclude_all" and dependent.state in UP:
                    self.post(dependent, "dependency")

    def dependents_of(self, instance: Instance) -> list[Instance]:
        if self._dependents is None:
            self._dependents = {}
            for each in self.instances.values():
                for _, _, kind, cited in self.dependencies(each):
                    for entity in cited if kind == "service" else ():
                        for target in self.find(entity):
                            self._dependents.setdefault(target.fmri, []).append(each)
        return self._dependents.get(instance.fmri, [])


def _manifests(world: World, root: Path) -> Iterator[tuple[str, Path]]:
    """A zone shares /lib with the global one."""
    for folder in _MANIFESTS:
        place = world.path(folder) if folder.startswith("/lib/") else root / folder.lstrip("/")
        for file in sorted(place.rglob("*.xml")):
            yield f"{folder}/{file.relative_to(place)}", file


def has_something_of_its_own(world: World, zone: KernelZone) -> bool:
    """Whether anything differs from a fresh zone, so that booting it could start a service."""
    root = root_of(world, zone.name)
    return (root / _FILE).exists() or any(_manifests(world, root))


def numbers() -> Iterator[int]:
    """Contract ids of one host; the first ones belong to what started before."""
    return itertools.count(60)
