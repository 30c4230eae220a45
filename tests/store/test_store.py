"""The books: durable, small, and rebuilt rather than trusted when they cannot be read."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from zonehookd.errors import ConfigError
from zonehookd.model import subject
from zonehookd.model.record import Record
from zonehookd.store.store import Store

WEB1 = Record("vnic", "web1_0", subject.zone("web1"), "vnic", {"over": "dmz0", "mac": "02:08:20:00:00:01"})


def test_what_is_remembered_is_there_after_a_crash(tmp_path: Path) -> None:
    store = Store(tmp_path / "state.db")
    store.remember(WEB1)
    store.reclaimed()
    again = Store(tmp_path / "state.db")  # the first was never closed
    assert again.of(subject.zone("web1")) == [WEB1] and not again.rebuilt
    assert again.owners() == {subject.zone("web1")}


def test_a_new_owner_takes_the_record_along(tmp_path: Path) -> None:
    store = Store(tmp_path / "state.db")
    store.remember(WEB1)
    store.remember(Record("vnic", "web1_0", subject.zone("renamed"), "vnic", WEB1.facts))
    for each in (store, Store(tmp_path / "state.db")):
        assert each.of(subject.zone("web1")) == []
        assert [record.name for record in each.of(subject.zone("renamed"))] == ["web1_0"]


def test_forgetting_twice_is_no_error(tmp_path: Path) -> None:
    store = Store(tmp_path / "state.db")
    store.remember(WEB1)
    store.forget("vnic", "web1_0")
    store.forget("vnic", "web1_0")
    assert list(store.all()) == list(Store(tmp_path / "state.db").all()) == []


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    assert "was missing" in Store(tmp_path / "deep" / "state.db").rebuilt
    assert (tmp_path / "deep").stat().st_mode & 0o777 == 0o700


def test_killed_before_all_were_asked_the_next_start_knows_it(tmp_path: Path) -> None:
    Store(tmp_path / "state.db").close()
    again = Store(tmp_path / "state.db")
    assert "was missing" in again.rebuilt
    again.reclaimed()
    assert Store(tmp_path / "state.db").rebuilt == ""


def test_an_unreadable_file_is_kept_aside_and_said(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    store = Store(path)
    store.remember(WEB1)
    store.close()
    path.write_bytes(b"this is no database, and is long enough to look like one " * 100)
    again = Store(path)
    assert "unreadable" in again.rebuilt and list(again.all()) == []
    (aside,) = tmp_path.glob("state.db.unreadable-*")
    assert aside.read_bytes().startswith(b"this is no database")


def test_books_of_a_newer_version_are_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    Store(path).close()
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(ConfigError, match="newer zonehookd"):
        Store(path)


def test_a_folder_that_cannot_be_used_is_an_error_with_a_way_out(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"\[paths\] state"):
        Store(tmp_path / "file" / "state.db")
