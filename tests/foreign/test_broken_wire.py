"""What breaks the rules of the wire costs its sender the call and the process, and is said exactly."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from foreign.rig import alive, rig, said, spec, view

from zonehookd.foreign.spec import Spec

SPEAKER = Path(__file__).with_name("speaker.py")


def speaks(mode: str) -> Callable[[Spec], Sequence[str]]:
    return lambda spec: [sys.executable, str(SPEAKER), spec.name, mode]


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        ("garbage", "sent what the wire does not know"),
        ("two-frames", "a message of 2 frames"),
        ("unknown", "'marriage'"),
        ("wrong-id", "said result of call 8 when nobody waited for it"),
        ("others", "answers for 'zone:nobody', which was not asked"),
        ("asks", "asked more than 1010 questions"),
        ("asks-late", "asks for call 0, which nobody waits for"),
        ("many-steps", "steps"),
        ("bad-step", "explode"),
        ("big", "sent 6291456 bytes in one frame, and 4194304 are the most"),
        ("large", "no answer within 2 s"),  # its connection is cut before all of it is read
        ("child-keeps-pipes", "was ended by signal 6"),
    ],
)
def test_a_call(tmp_path: Path, mode: str, words: str) -> None:
    async def story() -> None:
        deadline_s = 2.0 if "no answer" in words else 60.0
        async with rig(spec(tmp_path, deadline_s=deadline_s), folder=tmp_path, told=speaks(mode)) as one:
            await one.ready()
            pid = one.one.pid
            assert pid is not None
            began = time.monotonic()
            text = said(await one.ask())
            assert words in text and len(text) < 600
            await one.until(lambda: one.one.pid not in (None, pid))
            assert time.monotonic() - began < 60.0
            assert not alive(pid) and sum(one.one.restarts.values()) == 1

    asyncio.run(story())


def test_an_answer_too_many_is_found_by_itself(tmp_path: Path) -> None:
    async def story() -> None:
        async with rig(spec(tmp_path), folder=tmp_path, told=speaks("twice")) as one:
            await one.ready()
            assert said(await one.ask()) == ""
            await one.until(lambda: one.one.restarts["protocol"] == 1)
            assert "when nobody waited for it" in one.log.said("plugin failed")[0]["error"]

    asyncio.run(story())


@pytest.mark.parametrize(
    ("mode", "state", "words"),
    [
        ("version", "restarting", "hello.v: Input should be 1, found '2'"),
        ("instance", "restarting", "is of another start"),
        ("leaves", "restarting", "ended by itself, with status 3, while it started"),
        ("unasked", "restarting", "said result of call 1 when nobody waited for it"),
        ("name", "refused", "says that its name is 'y'"),
        ("api", "refused", "made for contract 9, and this is 1"),
    ],
)
def test_a_start(tmp_path: Path, mode: str, state: str, words: str) -> None:
    async def story() -> None:
        async with rig(spec(tmp_path), folder=tmp_path, told=speaks(mode)) as one:
            await one.until(lambda: one.log.said("plugin failed") or one.one.state == "refused")
            lines = one.log.said("plugin failed") + one.log.said("plugin refused")
            assert words in lines[0]["error"] and (one.one.state == "refused") == (state == "refused")

    asyncio.run(story())


def test_who_says_nothing_at_its_start_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zonehookd.foreign.worker.START_S", 0.5)

    async def story() -> None:
        async with rig(spec(tmp_path), folder=tmp_path, told=speaks("unheard")) as one:
            await one.until(lambda: one.one.restarts["start"])
            assert "said nothing within 0.5 s of its start" in one.log.said("plugin failed")[0]["error"]
            assert "is started again" in said(await one.ask())

    asyncio.run(story())


def test_who_does_not_stop_is_ended(tmp_path: Path) -> None:
    async def story() -> None:
        async with rig(spec(tmp_path), folder=tmp_path, told=speaks("deaf")) as one:
            await one.ready()
            pid = one.one.pid
        assert pid is not None and not alive(pid)

    asyncio.run(story())


def test_a_flood_of_output_is_cut_and_counted(tmp_path: Path) -> None:
    async def story() -> None:
        async with rig(spec(tmp_path), folder=tmp_path, told=speaks("flood")) as one:
            await one.ready()
            assert said(await one.ask()) == ""
            await one.until(lambda: one.log.said("plugin said more than is logged"))
            assert len(one.log.said("plugin said")) < 500

    asyncio.run(story())


def test_questions_are_answered_and_a_call_that_nobody_wants_is_ended_well(tmp_path: Path) -> None:
    async def story() -> None:
        async with rig(spec(tmp_path), folder=tmp_path, told=speaks("good")) as one:
            await one.ready()
            views = [view(f"web{number}") for number in range(3)]
            first = asyncio.ensure_future(one.workers.plan("probe", views, one.make_look()))
            await asyncio.sleep(0)
            first.cancel()
            answers = await one.workers.plan("probe", views, one.make_look())
            assert len(answers) == 3 and not one.one.restarts and one.one.calls["call", "ok"] == 2

    asyncio.run(story())
