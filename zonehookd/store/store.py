"""The store: one short method per question. Small enough to be kept in memory whole; SQLite makes it durable.

A file that is unreadable is moved aside, never deleted, and a new one begun: `rebuilt` says so, and the engine then
asks every plugin what on this system bears its mark.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from zonehookd.errors import ConfigError
from zonehookd.model.record import Record
from zonehookd.model.subject import Subject

_SCHEMA = Path(__file__).with_name("schema")
_INSERT = "INSERT INTO record (kind, name, owner_kind, owner_name, plugin, facts) VALUES (?, ?, ?, ?, ?, ?)"
_BESIDE = ("-wal", "-shm")  # what SQLite keeps beside a database, by its name
_OR_UPDATE = (
    "ON CONFLICT (kind, name) DO UPDATE SET owner_kind = excluded.owner_kind, owner_name = excluded.owner_name, "
    "plugin = excluded.plugin, facts = excluded.facts"
)


class Store:
    """`rebuilt` is empty, or says why the books had to be begun anew and are not complete yet."""

    def __init__(self, path: Path) -> None:
        """Opens or creates; raises ConfigError when the folder cannot be used or the schema is newer than we are."""
        self.path = path
        self.took: Callable[[float], None] = lambda seconds: None  # told how long each change took until it was on disk
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            existed = path.exists()
            self._records: dict[tuple[str, str], Record] = {}
            try:
                self._database = self._open()
                if not existed:
                    self._begun_anew(f"{path} was missing")
            except sqlite3.DatabaseError as problem:
                if isinstance(problem, sqlite3.OperationalError) and "disk image" not in str(problem):
                    raise
                aside = path.with_name(f"{path.name}.unreadable-{time.time_ns()}")
                path.rename(aside)
                _remove(path)
                self._database = self._open()
                self._begun_anew(f"{path} was unreadable ({problem}); kept as {aside}")
        except (OSError, sqlite3.OperationalError) as problem:
            raise ConfigError(f"cannot use the store {path}: {problem}", hint="see [paths] state") from problem
        pending = self._database.execute("SELECT why FROM reclaim").fetchone()
        self.rebuilt = self._due = pending[0] if pending else ""
        self._of: dict[Subject, dict[tuple[str, str], Record]] = {}
        self._of_kind: dict[str, dict[str, Record]] = {}
        for record in self._records.values():
            self._file(record)

    def _connect(self) -> sqlite3.Connection:
        database = sqlite3.connect(self.path, isolation_level=None)
        try:
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = FULL")  # a record must outlive a power cut, or its link is an orphan
            self._made = self._seen()
        except BaseException:
            database.close()
            raise
        return database

    def _open(self) -> sqlite3.Connection:
        database = self._connect()
        try:
            verdict = database.execute("PRAGMA quick_check").fetchone()[0]
            if verdict != "ok":
                raise sqlite3.DatabaseError(verdict)
            self._migrate(database)
            for kind, name, owner_kind, owner_name, plugin, facts in database.execute(
                "SELECT kind, name, owner_kind, owner_name, plugin, facts FROM record"
            ):
                self._records[(kind, name)] = Record(
                    kind, name, Subject(owner_kind, owner_name), plugin, json.loads(facts)
                )
        except BaseException:
            database.close()
            raise
        return database

    @staticmethod
    def _migrate(database: sqlite3.Connection) -> None:
        """Numbered files, each applied once; `user_version` holds the last."""
        done = database.execute("PRAGMA user_version").fetchone()[0]
        scripts = sorted(_SCHEMA.glob("[0-9]*.sql"))
        if done > len(scripts):
            raise ConfigError(f"the store was written by a newer zonehookd (schema {done})", hint="upgrade, or move it")
        for number, script in enumerate(scripts[done:], start=done + 1):
            database.executescript(f"BEGIN; {script.read_text()} PRAGMA user_version = {number}; COMMIT;")

    def _begun_anew(self, why: str) -> None:
        """In the books themselves: killed before the reclaim is over, the next start still knows that it is due."""
        self._database.execute("INSERT INTO reclaim (why) VALUES (?)", (why,))

    def reclaimed(self) -> None:
        """Every plugin has been asked, and all it said is remembered."""
        self._database.execute("DELETE FROM reclaim")
        self._due = ""

    def stands(self) -> bool:
        """The file is the one that is written to. Raises OSError: that cannot be seen."""
        seen = self._seen()
        return seen is not None and self._made is not None and os.path.samestat(seen, self._made)

    def _seen(self) -> os.stat_result | None:
        """Without a file: it is gone already, or there never was one (`:memory:`, in the tests of plugins)."""
        try:
            return self.path.lstat()
        except FileNotFoundError:
            return None

    def again(self) -> None:
        """For a file that somebody has removed or replaced under us: all of it is written there anew, for what we
        remember is what is so. A file that is there is kept aside. Raises OSError, sqlite3.Error; then try again."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = self.path.with_name(f"{self.path.name}.fresh")
        _remove(fresh)
        with contextlib.closing(sqlite3.connect(fresh, isolation_level=None)) as database:
            self._migrate(database)
            database.execute("BEGIN")
            database.executemany(_INSERT, (_row(record) for record in self._records.values()))
            if self._due:
                database.execute("INSERT INTO reclaim (why) VALUES (?)", (self._due,))
            database.execute("COMMIT")
        self._database.close()
        if self.path.exists():  # it has two names until the rename: killed in between, there are books all the same
            self.path.with_name(f"{self.path.name}.replaced-{time.time_ns()}").hardlink_to(self.path)
        for end in _BESIDE:  # else SQLite would take another's log for that of the new file
            self.path.with_name(f"{self.path.name}{end}").unlink(missing_ok=True)
        fresh.rename(self.path)
        self._database = self._connect()

    def close(self) -> None:
        self._database.close()

    @property
    def size_bytes(self) -> int:
        """On disk, with the write-ahead log."""
        size = 0
        for each in (self.path, self.path.with_name(f"{self.path.name}-wal")):
            with contextlib.suppress(OSError):  # the log is not there until something was written
                size += each.stat().st_size
        return size

    # -- questions

    def of(self, owner: Subject) -> Sequence[Record]:
        """Everything made for `owner`, by name."""
        return sorted(self._of.get(owner, {}).values(), key=lambda record: (record.kind, record.name))

    def one(self, kind: str, name: str) -> Record | None:
        return self._records.get((kind, name))

    def all(self) -> Iterable[Record]:
        return list(self._records.values())

    def of_kind(self, kind: str) -> Iterable[Record]:
        return list(self._of_kind.get(kind, {}).values())

    def owners(self) -> set[Subject]:
        return {owner for owner, records in self._of.items() if records}

    # -- changes; durable when the call returns

    def remember(self, record: Record) -> None:
        self._change(f"{_INSERT} {_OR_UPDATE}", *_row(record))
        self._drop(record.kind, record.name)
        self._records[(record.kind, record.name)] = record
        self._file(record)

    def forget(self, kind: str, name: str) -> None:
        """Forgetting what is not there is no error."""
        self._change("DELETE FROM record WHERE kind = ? AND name = ?", kind, name)
        self._drop(kind, name)

    def _change(self, statement: str, *values: str) -> None:
        began = time.monotonic()
        self._database.execute(statement, values)
        self.took(time.monotonic() - began)

    def _file(self, record: Record) -> None:
        self._of.setdefault(record.owner, {})[(record.kind, record.name)] = record
        self._of_kind.setdefault(record.kind, {})[record.name] = record

    def _drop(self, kind: str, name: str) -> None:
        old = self._records.pop((kind, name), None)
        if old is not None:
            del self._of_kind[kind][name]
            owned = self._of[old.owner]
            owned.pop((kind, name), None)
            if not owned:
                del self._of[old.owner]


def _row(record: Record) -> tuple[str, ...]:
    facts = json.dumps(dict(record.facts), sort_keys=True)
    return (record.kind, record.name, *record.owner, record.plugin, facts)


def _remove(path: Path) -> None:
    """A database, if it is there, and what belongs to it."""
    for end in ("", *_BESIDE):
        path.with_name(path.name + end).unlink(missing_ok=True)
