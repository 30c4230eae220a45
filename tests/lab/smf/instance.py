"""One instance as its restarter sees it: its state, its contract, and the thread that moves it [services 3.7]."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from lab.smf import repository as repo
from lab.smf.contracts import Contract
from lab.smf.repository import Entity, Group
from lab.smf.values import Property

if TYPE_CHECKING:
    from lab.smf.restarter import Restarter


class State(StrEnum):
    NONE = "none"
    UNINITIALIZED = "uninitialized"
    OFFLINE = "offline"
    ONLINE = "online"
    DEGRADED = "degraded"
    MAINTENANCE = "maintenance"
    DISABLED = "disabled"


UP = (State.ONLINE, State.DEGRADED)


@dataclass(frozen=True)
class Reason:
    """Why an instance is not what it should be: the text of `svcs -x` and the message code [services 3.2]."""

    text: str
    code: str


TOO_QUICKLY = Reason("Restarting too quickly.", "L5")
BY_ADMINISTRATOR = Reason("Maintenance requested by an administrator.", "63")
METHOD_FAILED = Reason("Method failed.", "8Q")
METHOD_FAILED_REPEATEDLY = Reason("Method failed repeatedly.", "8Q")


@dataclass
class Instance:
    """Fields are read and written under the restarter's lock; the thread lets go of it while a method runs."""

    restarter: Restarter
    entity: Entity
    state: State = State.UNINITIALIZED
    next_state: State = State.NONE
    since: float = field(default_factory=time.time)  # seconds since 1970
    contract: Contract | None = None
    reason: Reason | None = None  # of maintenance
    start_pid: int = 0
    start_status: int = 0  # wait status of the last start method
    starts: deque[float] = field(default_factory=deque)  # monotonic
    events: deque[str] = field(default_factory=deque)
    working: bool = False  # its thread lives
    wake: int = -1  # an eventfd while the thread lives
    stopping: bool = False

    @property
    def fmri(self) -> str:
        return self.entity.fmri

    def running(self, group: str, name: str) -> tuple[str, ...]:
        """Values of a property in the running snapshot; () when absent."""
        found = self.entity.running.get(group)
        value = found.properties.get(name) if found else None
        return value.values if value else ()

    def has(self, group: str, name: str) -> bool:
        """Whether the running snapshot has the property, be it without a value."""
        found = self.entity.running.get(group)
        return found is not None and name in found.properties

    def word(self, group: str, name: str, default: str = "") -> str:
        return next(iter(self.running(group, name)), default)

    @property
    def model(self) -> str:
        """contract | child | transient"""
        word = self.word("startd", "duration", "contract")
        return {"wait": "child"}.get(word, word)

    @property
    def log(self) -> Path:
        return self.restarter.log_of(self.fmri)

    def stays_up(self) -> bool:
        """It runs, and is not on its way down."""
        return self.state in UP and self.next_state in (State.NONE, *UP)

    def enabled(self) -> bool:
        """The temporary setting first [services 3.4]."""
        for group in (repo.GENERAL_OVR, repo.GENERAL):
            found = self.entity.groups.get(group)
            value = found.properties.get("enabled") if found else None
            if value is not None and value.values:
                return value.values[0] in ("true", "1")
        return False

    def note(self, text: str) -> None:
        """A line of the restarter's in the service's log [services 3.8]."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("a") as file:
            file.write(f"[ {time.strftime('%b %e %T')} {text} ]\n")

    def put(self, state: State | None = None, next_state: State = State.NONE) -> None:
        """A new state (None: the same), as the restarter publishes it."""
        changed = state is not None and state is not self.state
        if state is not None and changed:
            self.state = state
            self.since = time.time()
        self.next_state = next_state
        self.published()
        if changed and self.state in (State.MAINTENANCE, State.DISABLED):
            self.restarter.settled(self)

    def published(self) -> None:
        """Whoever watches the restarter's property group is woken."""
        self.restarter.repository.changed(self.entity, repo.RESTARTER)
        self.restarter.changed.notify_all()

    def group(self) -> Group:
        """The restarter's property group as it is now."""
        seconds, rest = divmod(int(self.since * 1e9), 10**9)
        values = {
            "auxiliary_state": Property("astring", (self._auxiliary(),)),
            "logfile": Property("astring", (f"/var/svc/log/{self.log.name}",)),
            "next_state": Property("astring", (self.next_state.value,)),
            "state": Property("astring", (self.state.value,)),
            "state_timestamp": Property("time", (f"{seconds}.{rest:09d}",)),
        }
        if self.contract is not None:
            values["contract"] = Property("count", (str(self.contract.ctid),))
        if self.start_pid:
            values["start_pid"] = Property("count", (str(self.start_pid),))
            values["start_method_waitstatus"] = Property("integer", (str(self.start_status),))
        return Group("framework", values)

    def _auxiliary(self) -> str:
        if self.state in UP:
            return "dependencies_satisfied"
        return "fault_threshold_reached" if self.state is State.MAINTENANCE else "none"
