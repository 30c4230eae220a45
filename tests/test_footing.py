"""The state folder, removed or taken under a running daemon."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from zonehookd import log
from zonehookd.errors import ConfigError
from zonehookd.footing import Footing
from zonehookd.model import subject
from zonehookd.model.record import Record
from zonehookd.store.store import Store

VNIC = Record("vnic", "web1_0", subject.zone("web1"), "vnic", {"mac": "02:08:20:01:02:03"})
LATER = Record("vnic", "web2_0", subject.zone("web2"), "vnic", {})


class Told:
    def __init__(self) -> None:
        self.besides = 0
        self.ousted = 0

    def count(self) -> None:
        self.besides += 1

    def out(self) -> None:
        self.ousted += 1


@pytest.fixture
def footing(tmp_path: Path) -> Iterator[Footing]:
    one = Footing(tmp_path / "state", log.get())
    one.store.remember(VNIC)
    one.store.reclaimed()
    yield one
    one.close()


def kept(folder: Path) -> tuple[list[Record], str]:
    """As the next start reads it."""
    copy = folder.with_name("copy")
    shutil.copytree(folder, copy)
    store = Store(copy / "state.db")
    try:
        return sorted(store.all(), key=lambda record: record.name), store.rebuilt
    finally:
        store.close()
        shutil.rmtree(copy)


def look(footing: Footing) -> Told:
    told = Told()
    footing.look(told.count, told.out)
    return told


def test_what_stands_is_left_alone(footing: Footing, tmp_path: Path) -> None:
    told = look(footing)
    assert (told.besides, told.ousted) == (0, 0) and kept(tmp_path / "state") == ([VNIC], "")


REMOVED: list[Callable[[Path], object]] = [
    shutil.rmtree,
    lambda folder: (folder / "lock").unlink(),
    lambda folder: [each.unlink() for each in folder.glob("state.db*")],
]


@pytest.mark.parametrize("remove", REMOVED, ids=["folder", "lock", "books"])
def test_what_is_gone_is_written_anew(footing: Footing, tmp_path: Path, remove: Callable[[Path], object]) -> None:
    folder = tmp_path / "state"
    remove(folder)
    with capture_logs() as lines:
        told = look(footing)
    assert (told.besides, told.ousted) == (1, 0)
    assert [line["event"] for line in lines] == ["state removed under us, and written anew"]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    footing.store.remember(LATER)
    footing.store.forget("vnic", "no such")
    with pytest.raises(ConfigError, match="running already"):
        held_by_another(folder)
    again = look(footing)
    assert again.besides == 0, "it stands"
    assert kept(folder) == ([VNIC, LATER], "")


def held_by_another(folder: Path) -> None:
    """Raises ConfigError with what another process sees."""
    text = f"import pathlib\nfrom zonehookd.host.sole import sole\nsole(pathlib.Path({str(folder / 'lock')!r}))\n"
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True)
    if done.returncode:
        raise ConfigError(done.stderr.splitlines()[-1])


def test_books_that_are_to_be_completed_still_are(tmp_path: Path) -> None:
    one = Footing(tmp_path / "state", log.get())
    shutil.rmtree(tmp_path / "state")
    assert look(one).besides == 1 and "was missing" in kept(tmp_path / "state")[1]
    one.close()


def test_books_of_somebody_else_are_kept_aside(footing: Footing, tmp_path: Path) -> None:
    folder = tmp_path / "state"
    for each in folder.glob("state.db*"):
        each.unlink()
    theirs = sqlite3.connect(folder / "state.db")
    theirs.execute("CREATE TABLE mine (a)")
    theirs.close()
    look(footing)
    (aside,) = folder.glob("state.db.replaced-*")
    assert b"mine" in aside.read_bytes() and kept(folder)[0] == [VNIC]


def test_another_daemon_has_it(footing: Footing, tmp_path: Path) -> None:
    """Who has it for a moment only, as `brand disable` does, sends nobody away."""
    folder = tmp_path / "state"
    shutil.rmtree(folder)
    folder.mkdir()
    text = f"import pathlib\nfrom zonehookd.host.sole import sole\nsole(pathlib.Path({str(folder / 'lock')!r}))\n"
    text += "print(1, flush=True)\ninput()\n"
    other = subprocess.Popen([sys.executable, "-c", text], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert other.stdin is not None and other.stdout is not None
    try:
        assert other.stdout.readline()
        assert look(footing).ousted == 0
        assert look(footing).ousted == 1
        assert not (folder / "state.db").exists(), "what is another's is not written to"
    finally:
        other.communicate(b"\n")
    assert look(footing).besides == 1, "he is gone"


def test_it_cannot_be_written(footing: Footing, tmp_path: Path) -> None:
    folder = tmp_path / "state"
    shutil.rmtree(folder)
    folder.write_text("a file in its place")
    with capture_logs() as lines:
        assert look(footing).besides == 0
        look(footing)
    assert [line["event"] for line in lines] == ["state removed under us, and not written anew"], "said once"
    folder.unlink()
    assert look(footing).besides == 1 and kept(folder)[0] == [VNIC]


def test_it_looks_by_itself(footing: Footing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zonehookd.footing._EVERY_S", 0.01)

    async def story() -> None:
        shutil.rmtree(tmp_path / "state")
        made = asyncio.Event()
        task = asyncio.create_task(footing.run(made.set, lambda: None))
        async with asyncio.timeout(60):
            await made.wait()
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(story())


def test_an_end_leaves_the_books_of_another_daemon_whole(tmp_path: Path) -> None:
    """SQLite must not take the log of the new file for that of the one that is gone, as it ends."""
    folder = tmp_path / "state"
    ours = Footing(folder, log.get())
    ours.store.remember(VNIC)
    shutil.rmtree(folder)
    theirs = Store(folder / "state.db")
    theirs.remember(LATER)
    assert (folder / "state.db-wal").stat().st_size
    ours.close()
    assert (folder / "state.db-wal").stat().st_size and kept(folder)[0] == [LATER]
    theirs.close()
