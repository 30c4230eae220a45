"""A daemon that hangs is waited for once, and not by each boot and halt of the next seconds."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rig import Done, Rig

from zonehookd.gate.server import GateServer, Word
from zonehookd.model.guard import Operation

MANY = 20


@pytest.fixture
def hanging(rig: Rig) -> Iterator[list[bytes]]:
    """What it was asked before it was left alone; nobody is answered."""
    over = time.monotonic() + 60

    def behave(connection: socket.socket) -> None:
        connection.settimeout(over - time.monotonic())
        with contextlib.suppress(TimeoutError):
            connection.recv(1)  # until who asked gives up

    with rig.peer(behave) as requests:
        yield requests


def halt(rig: Rig, zone: str = "web1") -> Done:
    return rig.hook("prestatechange", "4", "4", zone=zone)


def mark(rig: Rig, *, age_s: float = 0.0) -> Path:
    file = rig.run / "gate.hung"
    file.touch(0o600)
    os.utime(file, (time.time() - age_s,) * 2)
    return file


def test_a_reboot_waits_once(rig: Rig, hanging: list[bytes]) -> None:
    """Whatever is said of its second half."""
    rig.guard("policy boot deny")
    first = halt(rig)
    assert first.status == 0 and hanging == [b"1 halt web1 prestatechange 4 4\n"]
    assert [each[3] for each in rig.alone()] == ["time-out"]
    assert (rig.run / "gate.hung").stat().st_mode & 0o777 == 0o600
    for _ in range(10):
        before = len(hanging)
        second = rig.hook("prestatechange", "4", "0")
        if second.seconds < 3:
            break
        mark(rig)  # too late for what the first has left: so slow is the machine
    assert second.status == 1 and "is refused" in second.out
    assert len(hanging) == before and rig.alone()[-1] == ["ready", "web1", "deny", "hung"], "it has asked nobody"


def test_many_zones_do_not_wait_one_after_the_other(rig: Rig, hanging: list[bytes]) -> None:
    began = time.monotonic()
    for number in range(MANY):
        assert halt(rig, f"z{number}").status == 0
    took_s = time.monotonic() - began
    print(f"{MANY} halts, one after the other, and a daemon that hangs: {took_s:.1f} s")
    waits = [each for each in rig.alone() if each[3] == "time-out"]
    assert len(waits) == len(hanging) and len(waits) <= 1 + took_s / 5, "one each five seconds and more"


@pytest.mark.parametrize("age_s", [6, 3600, -60])
def test_what_is_no_mark_of_now_counts_for_nothing(rig: Rig, age_s: float) -> None:
    """Also one of a clock that went wrong."""
    mark(rig, age_s=age_s)
    with rig.says("deny no\n") as requests:
        assert rig.ready().status == 1 and len(requests) == 1


def others(file: Path) -> None:
    file.chmod(0o666)


def link(file: Path) -> None:
    file.rename(file.with_name("elsewhere"))
    file.symlink_to("elsewhere")


def folder(file: Path) -> None:
    file.unlink()
    file.mkdir(0o700)


def pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file, 0o600)


@pytest.mark.parametrize("plant", [others, link, folder, pipe])
def test_what_others_may_have_put_there_is_no_mark(rig: Rig, plant: Callable[[Path], None]) -> None:
    plant(mark(rig))
    with rig.says("deny no\n") as requests:
        assert rig.ready().status == 1 and len(requests) == 1


def test_an_uninstall_always_asks(rig: Rig) -> None:
    """What is deleted does not come back, and its waiting holds up nobody else's halt."""
    mark(rig)
    with rig.says("allow no-dependents\n") as requests:
        assert rig.uninstall("-F", zone="edge").status == 0 and len(requests) == 1
    assert not rig.alone()


class Keeper:
    async def before_ready(self, zone: str) -> Word:
        return Word(True, "fine")

    async def may(self, zone: str, operation: Operation) -> Word:
        return Word(True, "fine")

    def heard(self, zone: str, hook: str, state: int | None, command: int | None) -> None:
        pass


def test_a_daemon_that_hears_anybody_is_asked_again_by_all(rig: Rig) -> None:
    async def scene() -> None:
        file = mark(rig)
        gate = GateServer(rig.socket, Keeper(), lambda *told: None)
        assert not file.exists(), "that was another daemon's"
        serving = asyncio.create_task(gate.run())
        for words in (("preuninstall", "-F"), ("poststatechange", "2", "0")):
            mark(rig)
            await asyncio.to_thread(rig.hook, *words)
            async with asyncio.timeout(60):
                while file.exists():
                    await asyncio.sleep(0.01)
        asked = await asyncio.to_thread(rig.ready)
        assert asked.status == 0 and not rig.alone()
        gate.close()
        serving.cancel()
        await asyncio.wait([serving])

    asyncio.run(scene())


def test_who_gave_up_is_heard_by_a_daemon_that_goes_on(rig: Rig) -> None:
    """Stopped, and then not any more: its queue has whoever waited in vain."""

    async def scene() -> None:
        gate = GateServer(rig.socket, Keeper(), lambda *told: None)
        serving = asyncio.create_task(gate.run())
        await asyncio.sleep(0)
        rig.ready()  # in the loop's way, so that it hangs
        assert (rig.run / "gate.hung").exists()
        async with asyncio.timeout(60):
            while (rig.run / "gate.hung").exists():
                await asyncio.sleep(0.01)
        gate.close()
        serving.cancel()
        await asyncio.wait([serving])

    asyncio.run(scene())
    assert [each[3] for each in rig.alone()] == ["time-out"]
