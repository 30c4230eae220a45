"""Processes: clean environment, limits on time and output, nothing left behind."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import stat
import time
from pathlib import Path

import pytest

from zonehookd.errors import CommandError, CommandNotFound, CommandTimedOut
from zonehookd.host.audit import Audit
from zonehookd.host.local import LocalHost
from zonehookd.host.process import Finished, Limits, Processes
from zonehookd.model.command import Change, Lane, Query


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def script(folder: Path, name: str, body: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def run(folder: Path, *argv: str, stdin: str = "", timeout_s: float = 60.0, most: int = 1 << 20) -> Finished:
    async def go() -> Finished:
        processes = Processes(f"{folder}:/usr/bin:/bin", Limits(output_max_bytes=most))
        return await processes.run(argv, lane="change", stdin=stdin, timeout_s=timeout_s)

    return asyncio.run(go())


def test_any_exit_status_is_an_answer(folder: Path) -> None:
    script(folder, "no", "echo out; echo err >&2; exit 7")
    reply = run(folder, "no").reply
    assert (reply.status, reply.stdout, reply.stderr) == (7, "out\n", "err\n")


def test_the_environment_is_ours_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LD_PRELOAD_TRICK", "1")
    script(folder, "show", "env | sort | cut -d= -f1 | tr '\\n' ' '")
    names = set(run(folder, "show").reply.stdout.split())
    assert names - {"PWD", "SHLVL", "_", "OLDPWD"} == {"PATH", "LC_ALL", "LANG", "TZ"}


def test_what_a_command_makes_is_readable_whatever_our_umask(folder: Path) -> None:
    script(folder, "make", f"umask; echo nameserver >{folder}/resolv.conf")
    before = os.umask(0o077)
    try:
        assert run(folder, "make").reply.stdout == "0022\n"
    finally:
        os.umask(before)
    assert stat.S_IMODE((folder / "resolv.conf").stat().st_mode) == 0o644


def test_arguments_are_never_seen_by_a_shell(folder: Path) -> None:
    script(folder, "show", 'printf "%s|" "$@"')
    assert run(folder, "show", "a b", "$(id)", ";", "'").reply.stdout == "a b|$(id)|;|'|"


def test_stdin_is_empty_or_what_was_given(folder: Path) -> None:
    script(folder, "echo-in", "cat")
    assert run(folder, "echo-in").reply.stdout == ""
    assert run(folder, "echo-in", stdin="text\n").reply.stdout == "text\n"


def test_stdin_that_nobody_reads_is_no_failure(folder: Path) -> None:
    script(folder, "deaf", "exit 0")
    assert run(folder, "deaf", stdin="x" * 1_000_000).reply.status == 0


def test_a_command_that_is_not_there(folder: Path) -> None:
    with pytest.raises(CommandNotFound, match="search_path"):
        run(folder, "dladm-that-is-not-there")


def test_a_hang_is_ended_with_its_children(folder: Path) -> None:
    script(folder, "hang", f"sleep 1000 & echo $! > {folder}/child; wait")
    began = time.monotonic()
    with pytest.raises(CommandTimedOut, match=r"did not finish within 2 s"):
        run(folder, "hang", timeout_s=2.0)  # by then it has its child
    assert time.monotonic() - began < 60
    child = int((folder / "child").read_text())
    deadline = time.monotonic() + 60
    while _alive(child):
        assert time.monotonic() < deadline, "the child lives on"
        time.sleep(0.01)


def _alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False


def test_too_much_output_is_a_failure_and_not_a_full_memory(folder: Path) -> None:
    script(folder, "flood", "yes")
    with pytest.raises(CommandError, match="printed more than 100000 bytes"):
        run(folder, "flood", most=100_000)


def test_a_zone_may_say_less_than_the_host(folder: Path) -> None:
    script(folder, "loud", "head -c 17000000 /dev/zero")

    async def go(lane: Lane) -> int:
        done = await Processes("/usr/bin:/bin", Limits()).run([str(folder / "loud")], lane=lane, timeout_s=60)
        return len(done.reply.stdout)

    assert asyncio.run(go("look")) == 17_000_000
    with pytest.raises(CommandError, match="printed more than 16777216 bytes"):
        asyncio.run(go("inside"))
    with pytest.raises(CommandError, match="printed more than 16777216 bytes"):
        asyncio.run(go("plugin other"))


def test_no_descriptor_stays_open_with_us(folder: Path) -> None:
    script(folder, "flood", "yes")
    script(folder, "hang", "sleep 1000")

    async def go() -> tuple[int, int]:
        processes = Processes(f"{folder}:/usr/bin:/bin", Limits(output_max_bytes=10_000))
        counts = []
        for _ in range(2):
            for argv in (["flood"], ["hang"], ["true"]):
                with contextlib.suppress(CommandError):
                    await processes.run(argv, lane="look", timeout_s=0.2)
            await asyncio.sleep(0.1)
            counts.append(len(list(Path("/proc/self/fd").iterdir())))
        return counts[0], counts[1]

    gc.collect()  # what tests before this one left open is closed now, and not between the two
    first, second = asyncio.run(go())
    assert second <= first


def test_no_descriptor_leaks_into_a_child(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    os.set_inheritable(handle, True)
    script(folder, "fds", "ls /proc/self/fd | wc -l")
    assert int(run(folder, "fds").reply.stdout) <= 4
    os.close(handle)


def test_zones_that_hang_hold_up_no_command_outside(folder: Path) -> None:
    """Twenty questions and changes in five zones that never answer, and the host is asked and changed as ever."""
    script(folder, "zlogin", f"echo $2 >> {folder}/began; exec sleep 300")
    script(folder, "dladm", "echo here")

    async def go() -> None:
        processes = Processes(f"{folder}:/usr/bin:/bin", Limits(parallel=2))
        host = LocalHost(processes, Audit(folder / "audit"), lambda name, result, seconds: None)
        asks = [Query(("zlogin", "-n", f"z{number % 5}", f"q{number}"), lambda reply: None) for number in range(10)]
        both: list[Query[None] | Change] = [*asks, *(Change(each.argv, "a test") for each in asks)]
        tasks = [asyncio.create_task(host.run(each, why="", subject=None)) for each in both]
        async with asyncio.timeout(60):
            while not (folder / "began").exists():
                await asyncio.sleep(0.02)
            outside: list[Query[None] | Change] = [Query(("dladm",), lambda reply: None), Change(("dladm",), "a test")]
            for each in outside:
                assert (await host.run(each, why="", subject=None)).reply.stdout == "here\n"
        await asyncio.sleep(0.3)
        began = (folder / "began").read_text().split()
        assert max(began.count(f"z{number}") for number in range(5)) <= 2, "one zone has two turns at most"
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(go())


def test_who_is_told_twice_to_give_up_kills_at_once_and_leaves_nobody(folder: Path) -> None:
    """As at the end of a loop, which cancels whatever is still being cancelled."""
    script(folder, "stubborn", f"trap '' TERM; echo $$ > {folder}/pid; while :; do sleep 0.1; done")

    async def go() -> None:
        processes = Processes(f"{folder}:/usr/bin:/bin", Limits())
        task = asyncio.create_task(processes.run(["stubborn"], lane="look", timeout_s=60.0))
        async with asyncio.timeout(60):
            while not (folder / "pid").exists() or not (folder / "pid").read_text().strip():
                await asyncio.sleep(0.02)
            task.cancel()
            await asyncio.sleep(0.05)
            assert not task.done(), "it ignores SIGTERM"
            task.cancel()
            await asyncio.wait([task])
        assert task.cancelled() and not _alive(int((folder / "pid").read_text()))

    asyncio.run(go())


def test_who_is_not_ours_holds_up_nobody_in_a_zone(folder: Path) -> None:
    """Commands of a plugin elsewhere that hang in a zone use up turns of that plugin only."""
    script(folder, "zlogin", f"case $2 in *slow*) echo $2 >> {folder}/began; exec sleep 300 ;; *) echo here ;; esac")

    async def go() -> None:
        processes = Processes(f"{folder}:/usr/bin:/bin", Limits(parallel=2))
        host = LocalHost(processes, Audit(folder / "audit"), lambda name, result, seconds: None)
        hangs = [Change(("zlogin", "web1", f"slow{each}"), "a test", lane="plugin other") for each in range(20)]
        tasks = [asyncio.create_task(host.run(each, why="", subject=None)) for each in hangs]
        async with asyncio.timeout(60):
            while not (folder / "began").exists():
                await asyncio.sleep(0.02)
            for each in (Query(("zlogin", "web1", "x"), lambda reply: None), Change(("zlogin", "web1", "x"), "a test")):
                assert (await host.run(each, why="", subject=None)).reply.stdout == "here\n"
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(go())
