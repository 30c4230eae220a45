"""How a zone is served: by turns, no more often than it must be, and whatever went wrong before."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from calling import put
from theatre import Theatre, running, until, zone

from zonehookd.hooks import hooks
from zonehookd.hooks import zone as serving
from zonehookd.hooks.calls import Answer


@pytest.fixture
def theatre(tmp_path: Path) -> Theatre:
    return Theatre(tmp_path)


def test_books_that_cannot_be_written_are_tried_again_without_news(
    theatre: Theatre, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(theatre.folder, "a", "exit 0")
    monkeypatch.setattr(serving, "_PAUSE_MAX_S", 0.05)
    tries = 0

    def full(statement: str, *values: str) -> None:
        nonlocal tries
        tries += 1
        raise sqlite3.OperationalError("database or disk is full")

    async def play() -> None:
        async with theatre.daemon() as daemon:
            daemon.look(zone("web1"))
            await daemon.quiet()
            with monkeypatch.context() as disk:
                disk.setattr(daemon.store, "_change", full)
                daemon.look(running("web1"))
                await until(lambda: tries > 2, "it tries again")
                assert daemon.moments() == ["reconnect"], "nobody is called for what is not written down"
            await daemon.quiet()
            assert daemon.moments() == ["reconnect", "after-start"]

    asyncio.run(play())


def test_nobody_waits_by_turning_round(theatre: Theatre, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pause of somebody who is owed nothing any more, or is not next, is no reason to look again."""
    put(theatre.folder, "a", "echo again-after: 3600; exit 75")
    turns = 0
    take = serving.Desk._take

    def counted(desk: serving.Desk, z: serving.OneZone) -> None:
        nonlocal turns
        turns += 1
        take(desk, z)

    monkeypatch.setattr(serving.Desk, "_take", counted)

    async def play() -> None:
        async with theatre.daemon() as daemon:
            daemon.look(running("web1"))
            z = daemon.hooks.zones["web1"]
            await until(lambda: len(daemon.told) == 1 and z.not_before, "it was told, and wants to be asked later")
            z.not_before["gone", "after-start", 0.0] = 0.0
            z.woken.set()
            before = turns
            for _ in range(1000):
                await asyncio.sleep(0)
            assert turns - before <= 2

    asyncio.run(play())


def test_who_went_before_there_was_a_hook_is_remembered_by_nobody(theatre: Theatre) -> None:
    async def play() -> None:
        async with theatre.daemon() as daemon:
            for number in range(10):
                daemon.look(zone("stays"), zone(f"job{number}"))
            daemon.look(zone("stays"))
            assert daemon.hooks._ended == {"stays"}

    asyncio.run(play())


@pytest.mark.parametrize("wish", [-5.0, 1e-9, float("nan")])
def test_no_hook_is_asked_again_at_once(theatre: Theatre, monkeypatch: pytest.MonkeyPatch, wish: float) -> None:
    put(theatre.folder, "a", "exit 0")

    async def play() -> None:
        async with theatre.daemon() as daemon:

            async def call(*words: Any, **how: Any) -> Answer:
                calls.append(words)
                return Answer("later", "not yet", wish)

            calls: list[Any] = []
            monkeypatch.setattr(daemon.hooks._calls, "call", call)
            daemon.look(running("web1"))
            z = daemon.hooks.zones["web1"]
            await until(lambda: z.not_before, "it wants to be asked again")
            for _ in range(100):
                await asyncio.sleep(0)
            assert len(calls) == 1

    asyncio.run(play())


def test_a_folder_that_cannot_be_looked_at_ends_nobody(theatre: Theatre, monkeypatch: pytest.MonkeyPatch) -> None:
    """The books are full when the last hook goes, and what it was owed is to be forgotten."""
    file = put(theatre.folder, "a", "exit 0").path
    monkeypatch.setattr(hooks, "_LOOK_S", 0.01)
    tries = 0

    def full(kind: str, name: str) -> None:
        nonlocal tries
        tries += 1
        raise sqlite3.OperationalError("database or disk is full")

    async def play() -> None:
        async with theatre.daemon() as daemon:
            daemon.look(zone("web1"))
            await daemon.quiet()
            looking = asyncio.ensure_future(daemon.hooks.run())
            with monkeypatch.context() as disk:
                disk.setattr(daemon.store, "forget", full)
                file.unlink()
                await until(lambda: tries, "the folder was looked at")
            put(theatre.folder, "b", "exit 0")
            await until(lambda: "b" in daemon.hooks.roll.files, "and is looked at again")
            assert not looking.done()
            looking.cancel()
            await asyncio.wait([looking])

    asyncio.run(play())
