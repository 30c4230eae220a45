"""The two doors to the machine, as protocols: a reader that has no way to change anything, and the host itself."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from zonehookd.host.files import Stamp
from zonehookd.host.process import Finished
from zonehookd.illumos.dladm import Dialect
from zonehookd.illumos.probe import Answer, Probe
from zonehookd.model.command import Change, Query, Reply
from zonehookd.model.record import Record
from zonehookd.model.subject import Subject

T = TypeVar("T")


class HostReader(Protocol):
    """What `observe` is given. Every question raises CannotObserve when it could not be answered."""

    @property
    def dialect(self) -> Dialect: ...

    @property
    def site(self) -> str:
        """Goes into derived MACs, so that two hosts never derive the same."""
        ...

    async def ask(self, query: Query[T]) -> T: ...

    def read_file(self, path: Path) -> str | None:
        """None when there is no such file."""
        ...

    def stamp(self, path: Path) -> Stamp | None:
        """None when nothing is there. For a folder, which cannot be read, and for what is only asked whether it is."""
        ...

    def recall(self, subject: Subject) -> Sequence[Record]:
        """What our records say this plugin made for `subject`."""
        ...

    def recall_all(self, subject: Subject, kind: str) -> Sequence[Record]:
        """Everything of that kind that any plugin made for `subject`."""
        ...

    def recall_one(self, kind: str, name: str) -> Record | None: ...

    def answers(self, where: str, wanted: Collection[Probe]) -> Mapping[Probe, Answer]:
        """Which of these answer, asked from inside zone `where`: never waited for, and missing while it is not known.
        What changes later brings a look at that gateway. Each call says all that is still to be asked there."""
        ...

    def unasked(self, where: str) -> str:
        """Why nobody in that zone can be asked; "" while that is no trouble."""
        ...


class Health(Protocol):
    def answers(self, where: str, wanted: Collection[Probe]) -> Mapping[Probe, Answer]: ...
    def trouble(self, where: str) -> str: ...


class Commands(Protocol):
    """Runs commands. The real one is `LocalHost`; tests run the lab's in their own process."""

    async def run(self, query_or_change: Query[T] | Change, *, why: str, subject: Subject | None) -> Finished:
        """Any exit status is an answer; raises CommandError when there is none."""
        ...


class Files(Protocol):
    def read(self, path: Path, max_bytes: int) -> bytes: ...
    def stamp(self, path: Path) -> Stamp | None: ...
    def write(self, path: Path, content: str, mode: int | None) -> None: ...
    def remove(self, path: Path) -> None: ...


__all__ = ["Commands", "Files", "Finished", "Health", "HostReader", "Reply"]
