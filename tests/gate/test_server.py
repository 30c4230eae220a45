"""The gate program and the daemon's side of it together, and what the daemon's side makes of those who misbehave."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import stat
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from rig import Done, Rig

from zonehookd.gate import alone, server
from zonehookd.gate.server import GateServer, Word
from zonehookd.model.guard import Operation

Scene = Callable[["Served"], Awaitable[None]]


class Keeper:
    """Says what it was told to say, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[object, ...]] = []
        self.word = Word(True, "fine")
        self.seconds = 0.0
        self.fault: Exception | None = None

    async def before_ready(self, zone: str) -> Word:
        return await self._said("ready", zone)

    async def may(self, zone: str, operation: Operation) -> Word:
        return await self._said(operation, zone)

    def heard(self, zone: str, hook: str, state: int | None, command: int | None) -> None:
        self.asked.append(("heard", zone, hook, state, command))

    async def _said(self, *about: object) -> Word:
        self.asked.append(about)
        await asyncio.sleep(self.seconds)
        if self.fault is not None:
            raise self.fault
        return self.word


class Served:
    def __init__(self, rig: Rig) -> None:
        self.rig, self.keeper = rig, Keeper()
        self.answered: list[tuple[str, str, str]] = []

    def play(self, scene: Scene) -> None:
        async def run() -> None:
            heard = lambda word, answer, code, seconds: self.answered.append((word, answer, code))  # noqa: E731
            gate = self.gate = GateServer(self.rig.socket, self.keeper, heard)
            serving = asyncio.create_task(gate.run())
            await asyncio.sleep(0)
            async with asyncio.timeout(30):
                await scene(self)
            gate.close()
            serving.cancel()
            await asyncio.wait([serving])
            assert serving.cancelled()

        asyncio.run(run())

    async def hook(self, hook: str, *words: str, **how: str) -> Done:
        return await asyncio.to_thread(self.rig.hook, hook, *words, **how)

    async def ready(self, **how: str) -> Done:
        return await self.hook("prestatechange", "2", "0", **how)


@pytest.fixture
def served(rig: Rig) -> Served:
    return Served(rig)


def test_every_word_reaches_who_decides(served: Served) -> None:
    async def scene(served: Served) -> None:
        assert (await served.ready()).status == 0
        assert (await served.hook("prestatechange", "4", "4")).status == 0
        assert (await served.hook("preuninstall", "-F")).status == 0
        assert (await served.hook("poststatechange", "4", "4")).status == 0
        while len(served.keeper.asked) < 4:
            await asyncio.sleep(0.01)

    served.play(scene)
    assert served.keeper.asked == [
        ("ready", "web1"),
        ("halt", "web1"),
        ("uninstall", "web1"),
        ("heard", "web1", "poststatechange", 4, 4),
    ]
    assert served.answered == [(word, "allow", "fine") for word in ("ready", "halt", "uninstall")]
    assert not served.rig.alone()


def test_a_denial_with_its_lines(served: Served) -> None:
    served.keeper.word = Word(False, "dependents", ("zonehookd: no", "  because"))

    async def scene(served: Served) -> None:
        done = await served.hook("preuninstall", "-F")
        assert (done.status, done.out, done.err) == (1, "", "zonehookd: no\n  because\n")

    served.play(scene)
    assert served.answered == [("uninstall", "deny", "dependents")]


def test_a_word_too_long_is_cut_and_counts(served: Served) -> None:
    served.keeper.word = Word(False, "dependents", ("zonehookd: no", *("x" * 100 for _ in range(2000))))

    async def scene(served: Served) -> None:
        done = await served.hook("preuninstall", "-F")
        assert done.status == 1 and done.err.startswith("zonehookd: no\nxxx")

    served.play(scene)
    assert not served.rig.alone()


@pytest.mark.parametrize("trouble", ["slow", "fault"])
def test_without_an_answer_the_gate_decides(served: Served, trouble: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if trouble == "slow":
        assert server._ANSWER_MAX_S < 2.0, "the gate hears of it before it gives up"
        monkeypatch.setattr(server, "_ANSWER_MAX_S", 0.5)  # and here it does so surely
        served.keeper.seconds = 10.0
    else:
        served.keeper.fault = RuntimeError("a bug")

    async def scene(served: Served) -> None:
        done = await served.ready()
        assert done.status == 0 and done.seconds < 3.0 + served.rig.slack_s()

    served.play(scene)
    assert served.answered == [("ready", "none", "")]
    assert [each[3] for each in served.rig.alone()] == ["closed"]


@pytest.mark.parametrize(
    "request_text",
    [
        b"",
        b"\n",
        b"1 ready web1\n",
        b"2 ready web1 p 2 0\n",
        b"1 delete web1 p 2 0\n",
        b"x" * 5000,
        b"\xff\xfe\n",
        b"1 ",
    ],
)
def test_whoever_misbehaves_gets_nothing_and_harms_nobody(served: Served, request_text: bytes) -> None:
    async def scene(served: Served) -> None:
        reader, writer = await asyncio.open_unix_connection(str(served.rig.socket))
        writer.write(request_text)
        writer.write_eof()
        with contextlib.suppress(ConnectionResetError):  # it was not even read to its end
            assert await reader.read() == b""
        writer.close()
        assert (await served.ready()).status == 0

    served.play(scene)
    assert served.keeper.asked == [("ready", "web1")]


def test_whoever_says_nothing_is_not_waited_for(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also not by others, when such fill every place."""
    monkeypatch.setattr(server, "_TOGETHER_MAX", 4)

    async def scene(served: Served) -> None:
        silent = []
        for _ in range(4):
            silent.append(await asyncio.open_unix_connection(str(served.rig.socket)))
        assert (await served.ready()).status == 0
        for _, writer in silent:
            writer.close()

    served.play(scene)
    assert not served.rig.alone(), "it was answered before it gave up"


def test_who_has_given_up_is_not_looked_after(served: Served) -> None:
    """A daemon that was stopped for a while finds questions that nobody waits for."""

    async def scene(served: Served) -> None:
        for word in ("ready", "uninstall", "note"):
            _, writer = await asyncio.open_unix_connection(str(served.rig.socket))
            writer.write(f"1 {word} gone poststatechange 4 4\n".encode())
            writer.close()
        assert (await served.ready()).status == 0

    served.play(scene)
    assert served.keeper.asked == [("heard", "gone", "poststatechange", 4, 4), ("ready", "web1")]


def test_many_at_once(served: Served) -> None:
    served.keeper.seconds = 0.2

    async def scene(served: Served) -> None:
        done = await asyncio.gather(*(served.ready(zone=f"z{number}") for number in range(60)))
        assert [each.status for each in done] == [0] * 60

    served.play(scene)
    assert len(served.answered) == 60 and not served.rig.alone()


def test_its_socket_is_its_owners_alone_and_goes_with_it(served: Served) -> None:
    async def scene(served: Served) -> None:
        assert stat.S_IMODE(served.rig.socket.stat().st_mode) == 0o600

    served.play(scene)
    assert not served.rig.socket.exists()
    assert served.rig.ready().seconds < 1.5 + served.rig.slack_s()
    assert [each[3] for each in served.rig.alone()] == ["no-socket"]


def test_a_socket_that_a_killed_daemon_left_is_replaced(served: Served) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as dead:
        dead.bind(str(served.rig.socket))

    async def scene(served: Served) -> None:
        assert (await served.ready()).status == 0

    served.play(scene)
    assert served.answered


@pytest.mark.parametrize("what", ["file", "folder"])
def test_a_socket_that_somebody_removed_is_made_anew(served: Served, what: str) -> None:
    async def scene(served: Served) -> None:
        for _ in range(3):
            with pytest.raises(OSError, match="in use"):
                served.gate.bind()
            shutil.rmtree(served.rig.run) if what == "folder" else served.rig.socket.unlink()
            assert (await served.ready()).status == 0
            served.rig.run.mkdir(mode=0o700, exist_ok=True)
            served.gate.bind()
            assert (await served.ready()).status == 0
            assert stat.S_IMODE(served.rig.socket.stat().st_mode) == 0o600

    served.play(scene)
    assert served.answered == [("ready", "allow", "fine")] * 3
    assert [each[3] for each in served.rig.alone()] == ["no-socket"] * 3


def test_before_it_listens_the_gate_is_told_so_at_once(rig: Rig) -> None:
    """The daemon starts: it has not looked yet, and nobody shall wait for that."""
    made = GateServer(rig.socket, Keeper(), lambda *about: None)
    done = rig.ready()
    assert done.status == 0 and done.seconds < 1.5 + rig.slack_s()
    assert [each[3] for each in rig.alone()] == ["refused"]
    made.close()


def test_what_was_decided_alone_is_counted_once(rig: Rig) -> None:
    assert alone.taken(rig.state) == []
    rig.ready()
    rig.uninstall(zone="edge")
    first, second = alone.taken(rig.state)
    assert (first.word, first.zone, first.allowed, first.why) == ("ready", "web1", True, "no-socket")
    assert (second.word, second.zone, second.allowed) == ("uninstall", "edge", False)
    assert abs(first.when - time.time()) < 60
    assert alone.taken(rig.state) == []
    rig.ready(zone="web2")
    assert [each.zone for each in alone.taken(rig.state)] == ["web2"]


def test_counting_that_was_killed_goes_on_later(rig: Rig) -> None:
    rig.ready(zone="web1")
    Path(rig.state / "gate.alone").rename(rig.state / "gate.alone.read")
    rig.ready(zone="web2")
    (rig.state / "gate.alone").open("a").close()
    assert [each.zone for each in alone.taken(rig.state)] == ["web1"]
    assert [each.zone for each in alone.taken(rig.state)] == ["web2"]


def test_a_log_that_is_none_is_dropped(rig: Rig) -> None:
    (rig.state / "gate.alone").write_bytes(
        b"\xff rubbish\n1 2\n5 ready web1 perhaps no\n7 ready web1 allow x\n" + b"y" * 99
    )
    assert [each.when for each in alone.taken(rig.state)] == [7]
    (rig.state / "gate.alone").write_bytes(b"z" * (2 << 20))
    assert alone.taken(rig.state) == [] and not (rig.state / "gate.alone.read").exists()
