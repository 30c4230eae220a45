"""Sockets that somebody removes under a running daemon: made anew, and who is connected goes on."""

from __future__ import annotations

import asyncio
import shutil
import socket
import stat
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import zmq
import zmq.asyncio
from structlog.testing import capture_logs

from zonehookd import log
from zonehookd.bus.announcements import DaemonData
from zonehookd.bus.client import NoDaemon, ask
from zonehookd.bus.control import ControlServer
from zonehookd.bus.doorstep import Doorstep
from zonehookd.bus.messages import Request
from zonehookd.bus.publisher import Publisher

PATIENCE_S = 60.0


@dataclass
class House:
    run: Path
    control: ControlServer
    publisher: Publisher
    doorstep: Doorstep
    subscriber: zmq.asyncio.Socket
    made: list[str]
    others: set[str]  # files that somebody else has put there

    async def asked(self) -> Any:
        return await asyncio.to_thread(ask, self.run, "keys", timeout_s=PATIENCE_S)

    async def heard(self) -> None:
        self.publisher.say(DaemonData(ready=True))
        while (await self.subscriber.recv_multipart())[0] != b"daemon":
            pass


@asynccontextmanager
async def house(run: Path) -> AsyncIterator[House]:
    async def keys(request: Request) -> list[Any]:
        return []

    run.mkdir(mode=0o700)
    context = zmq.asyncio.Context()
    control = ControlServer(context, run / "control.sock", {"keys": keys})
    publisher = Publisher(context, run / "events.sock")
    made: list[str] = []
    others: set[str] = set()
    doorstep = Doorstep((control, publisher), (lambda: made.append("what else"),), log.get())
    subscriber = context.socket(zmq.SUB)
    subscriber.setsockopt(zmq.SUBSCRIBE, b"")
    subscriber.connect(f"ipc://{run / 'events.sock'}")
    tasks = [asyncio.create_task(each.run()) for each in (control, publisher, doorstep)]
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not publisher.numbers()["event_subscribers"][("ipc",)]:
                await asyncio.sleep(0.01)
            yield House(run, control, publisher, doorstep, subscriber, made, others)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        for each in (subscriber, control, publisher):
            each.close()
        context.term()
        doorstep.close()
        assert {each.name for each in run.iterdir()} == others, "ours are gone, and nobody else's"


def in_a_house(folder: Path, scene: Callable[[House], Any]) -> list[Any]:
    """What is logged meanwhile."""

    async def play() -> None:
        async with house(folder / "run") as there:
            await scene(there)

    with capture_logs() as logged:
        asyncio.run(play())
    return [(each["log_level"], each["event"], Path(each["path"]).name) for each in logged]


def files(run: Path) -> dict[str, int]:
    return {each.name: stat.S_IMODE(each.stat().st_mode) for each in run.iterdir()}


@pytest.mark.parametrize("what", ["control.sock", "events.sock", "run"])
def test_what_is_gone_is_made_anew(tmp_path: Path, what: str) -> None:
    async def scene(there: House) -> None:
        there.doorstep.look()
        for times in range(1, 4):
            shutil.rmtree(there.run) if what == "run" else (there.run / what).unlink()
            if what != "events.sock":
                with pytest.raises(NoDaemon):
                    await there.asked()
            there.doorstep.look()
            assert files(there.run) == {"control.sock": 0o600, "events.sock": 0o600}
            assert stat.S_IMODE(there.run.stat().st_mode) == 0o700
            assert await there.asked() == []
            await there.heard()  # also who subscribed before
            assert len(there.made) == times * len(gone), "and what else is in the folder is seen to"

    gone = ["run", "control.sock", "events.sock"] if what == "run" else [what]
    said = in_a_house(tmp_path, scene)
    assert said == [("warning", "removed under us, and made anew", each) for each in gone] * 3


def test_what_somebody_else_has_put_there_is_left_alone(tmp_path: Path) -> None:
    async def scene(there: House) -> None:
        path = there.run / "control.sock"
        path.unlink()
        path.write_text("mine")
        there.others.add(path.name)
        there.doorstep.look()
        assert path.read_text() == "mine"

    assert in_a_house(tmp_path, scene) == []


@pytest.mark.parametrize("lives", [True, False])
def test_a_socket_of_another_daemon_is_left_alone_while_it_lives(tmp_path: Path, lives: bool) -> None:
    async def scene(there: House) -> None:
        path = there.run / "control.sock"
        path.unlink()
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as other:
            other.bind(str(path))
            other.listen()
            if lives:
                there.others.add(path.name)
                before = path.stat()
                for _ in range(3):
                    there.doorstep.look()
                assert path.stat().st_ino == before.st_ino
        if not lives:
            there.doorstep.look()
            assert await there.asked() == []

    made = [] if lives else [("warning", "removed under us, and made anew", "control.sock")]
    assert in_a_house(tmp_path, scene) == made


def test_at_the_end_only_our_own_files_go(tmp_path: Path) -> None:
    async def scene() -> None:
        context = zmq.asyncio.Context()
        control = ControlServer(context, tmp_path / "control.sock", {})
        publisher = Publisher(context, tmp_path / "events.sock")
        doorstep = Doorstep((control, publisher), (), log.get())
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as other:
            (tmp_path / "control.sock").unlink()
            other.bind(str(tmp_path / "control.sock"))
            control.close()
            publisher.close()
            context.term()
            doorstep.close()
        assert [each.name for each in tmp_path.iterdir()] == ["control.sock"]

    asyncio.run(scene())


def test_what_cannot_be_made_is_said_once_and_tried_again(tmp_path: Path) -> None:
    async def scene(there: House) -> None:
        aside = there.run.with_name("aside")
        there.run.rename(aside)
        there.run.write_text("in the way")
        for _ in range(3):
            there.doorstep.look()
        there.run.unlink()
        aside.rename(there.run)
        (there.run / "control.sock").unlink()
        there.doorstep.look()
        assert await there.asked() == []

    assert in_a_house(tmp_path, scene) == [
        ("error", "nobody can ask there", "control.sock"),
        ("error", "nobody can ask there", "events.sock"),
        ("warning", "removed under us, and made anew", "control.sock"),
    ]
