"""Sources say where to look; they may die, and live again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

from zonehookd.model.event import Event
from zonehookd.sources.libsysevent import Libsysevent
from zonehookd.sources.libzonecfg import Libzonecfg
from zonehookd.sources.source import Unavailable, supervise
from zonehookd.sources.zone_channel import ZoneChannel
from zonehookd.sources.zone_files import ZoneFiles


class Notes:
    def __init__(self) -> None:
        self.said: list[tuple[str, bool]] = []

    def source_up(self, name: str, text: str) -> None:
        self.said.append(("up", False))

    def source_down(self, name: str, reason: str, final: bool) -> None:
        self.said.append((reason, final))


class Frail:
    """Breaks after its first event, the first two times."""

    name = "frail"

    def __init__(self) -> None:
        self.lives = 0

    async def events(self) -> AsyncGenerator[Event, None]:
        self.lives += 1
        yield Event(self.name, "subscribed")
        if self.lives < 2:
            raise OSError("broken")
        if self.lives == 2:
            raise Unavailable("gone for good")


def test_a_source_that_breaks_is_started_again_until_it_says_never() -> None:
    notes, heard = Notes(), list[Event]()
    asyncio.run(supervise(Frail(), heard.append, notes))
    assert notes.said == [("up", False), ("OSError('broken')", False), ("up", False), ("gone for good", True)]
    assert len(heard) == 2, "whatever happened while it was down is looked for"


def test_a_rename_in_the_folder_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "index").write_text("global:installed:/\n")

    async def play() -> list[str]:
        events = ZoneFiles(tmp_path, 0.005).events()
        kinds = [(await anext(events)).kind]
        (tmp_path / "zonecfg.tmp").write_text("global:installed:/\nweb1:configured:/z:\n")
        (tmp_path / "zonecfg.tmp").rename(tmp_path / "index")
        async with asyncio.timeout(60):
            kinds.append((await anext(events)).kind)
        await events.aclose()
        return kinds

    assert asyncio.run(play()) == ["subscribed", "files"]


def test_without_the_library_the_channel_says_so_once() -> None:
    notes = Notes()
    ways = (Libzonecfg("libzonecfg-that-is-not-there.so.1"), Libsysevent("libsysevent-that-is-not-there.so.1"))
    asyncio.run(supervise(ZoneChannel(ways), lambda event: None, notes))
    ((reason, final),) = notes.said
    assert final and reason.startswith("polling only (libzonecfg: libzonecfg-that-is-not-there.so.1")
    assert "libsysevent: libsysevent-that-is-not-there.so.1" in reason
