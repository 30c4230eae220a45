"""A plugin in a process of its own: asked, ended when it is late or dies, started again, replaced."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import time
from dataclasses import replace
from pathlib import Path

import pytest
from foreign.rig import PLUGIN, alive, plugin, rig, said, spec, view

from zonehookd.errors import PluginRefused
from zonehookd.foreign.spec import Run, Spec
from zonehookd.foreign.worker import Worker
from zonehookd.model.zone import ZoneState


def test_it_is_asked_and_answers(tmp_path: Path) -> None:
    async def story() -> None:
        async with rig(spec(tmp_path, options={"text": "good day"}), folder=tmp_path) as one:
            assert one.workers.plugins()[0].starting
            await one.ready()
            assert one.up == ["probe"]
            answers = await one.ask("web1", "web2")
            assert [said(answers, name) for name in ("web1", "web2")] == ["good day", "good day"]
            one.mode("ask")
            assert said(await one.ask()) == pwd.getpwuid(os.geteuid()).pw_name
            row = one.workers.plugins()[0]
            assert (row.name, row.kind, row.down) == ("probe", "zone", "")
            pid = one.one.pid
            assert pid is not None and alive(pid)
        assert not alive(pid)

    asyncio.run(story())


def test_a_bug_of_ours_while_it_starts_is_a_failed_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(worker: Worker) -> None:
        raise KeyError("a bug")

    async def story() -> None:
        with monkeypatch.context() as bug:
            bug.setattr(Worker, "_agree", broken)
            async with rig(spec(tmp_path), folder=tmp_path) as one:
                await one.until(lambda: one.one.restarts["start"] == 1)
                assert "KeyError('a bug')" in one.one.error
                bug.undo()
                await one.ready()

    asyncio.run(story())


def test_one_subject_that_fails_costs_only_itself(tmp_path: Path) -> None:
    async def story() -> None:
        async with rig(spec(tmp_path), folder=tmp_path) as one:
            await one.ready()
            one.mode("raise web2")
            answers = await one.ask("web1", "web2")
            assert said(answers) == "hello" and "as told" in said(answers, "web2")
            one.mode("blind web2")
            assert "as told" in said(await one.ask("web2"), "web2")
            one.mode("ask-odd")
            assert "this could not be asked: ValueError" in said(await one.ask()), "it is told, and not left waiting"
            assert one.one.state == "ready" and not one.one.restarts

    asyncio.run(story())


@pytest.mark.parametrize(("mode", "word"), [("hang", "within 0.5 s"), ("abort", "signal 6"), ("fork", "within 0.5 s")])
def test_who_is_late_or_dies_is_ended_with_its_group_and_comes_again(tmp_path: Path, mode: str, word: str) -> None:
    async def story() -> None:
        short = spec(tmp_path, deadline_s=60.0 if mode == "abort" else 0.5)
        async with rig(short, folder=tmp_path) as one:
            await one.ready()
            pid = one.one.pid
            assert pid is not None
            one.mode(mode)
            began = time.monotonic()
            assert word in said(await one.ask())
            assert time.monotonic() - began < 50.0
            one.mode("")
            await one.until(lambda: one.one.pid not in (None, pid))
            await one.until(lambda: not any(alive(each) for each in _group(pid)))
            one.one.adjust(replace(short, run=Run(deadline_s=60.0)))
            assert said(await one.ask()) == "hello" and one.up == ["probe", "probe"]
            assert sum(one.one.restarts.values()) == 1

    asyncio.run(story())


def test_a_stop_while_one_that_did_not_start_is_ended_leaves_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    imported = tmp_path / "imported"
    stubborn = f"""{PLUGIN}
import ctypes
ctypes.CDLL(None).signal(15, ctypes.c_void_p(1))  # SIGTERM, SIG_IGN; Python's own does it in the main thread only
Path({str(imported)!r}).touch()
"""
    pids: list[int] = []

    async def broken(worker: Worker) -> None:
        while not imported.exists():
            await asyncio.sleep(0.02)
        assert worker.pid is not None
        pids.append(worker.pid)
        raise PluginRefused("as told")

    async def story() -> None:
        monkeypatch.setattr(Worker, "_agree", broken)
        async with rig(spec(tmp_path, stubborn), folder=tmp_path) as one:
            await one.until(lambda: pids)
            assert alive(pids[0]), "it minds no SIGTERM"
            assert one.one.state == "starting", "its end is not waited for yet"
        assert not alive(pids[0])

    asyncio.run(story())


def test_the_circuit_opens_and_closes_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zonehookd.foreign.circuit._REST_S", 0.5)

    async def story() -> None:
        async with rig(spec(tmp_path, required=True), folder=tmp_path) as one:
            await one.ready()
            one.mode("abort")
            for _ in range(3):
                await one.ready()
                await one.ask("web1")
            await one.until(lambda: one.one.state == "open")
            assert "rests" in one.workers.plugins()[0].down and one.workers.counts()[0].circuit_open
            assert "rests" in said(await one.ask()) and one.down == ["probe"]
            await one.until(lambda: one.one.restarts["exited"] >= 4)  # one small call, and it has failed again
            assert one.one.state == "open"
            one.mode("")
            await one.ready()
            assert said(await one.ask()) == "hello" and not one.one.circuit_open
            assert one.workers.trouble() == []

    asyncio.run(story())


def test_what_was_shown_is_not_sent_again_unless_the_worker_is_new(tmp_path: Path) -> None:
    async def story() -> None:
        async with rig(spec(tmp_path), folder=tmp_path) as one:
            await one.ready()
            plans = one.one._up.plans  # type: ignore[union-attr]
            look = one.make_look()
            assert plans._shown(view("web1"), look).view is not None
            await one.ask("web1")
            assert plans._shown(view("web1"), look).view is None
            assert plans._shown(view("web1", ZoneState.INSTALLED), look).view is not None
            assert said(await one.ask("web1")) == "hello"
            gone = [view("web1", ZoneState.ABSENT)]
            assert said(await one.workers.plan("probe", gone, one.make_look())) == "hello"
            assert plans._shown(gone[0], look).view is not None

    asyncio.run(story())


def test_a_refusal_is_said_and_the_last_good_one_goes_on(tmp_path: Path) -> None:
    async def story() -> None:
        async with rig(spec(tmp_path), folder=tmp_path) as one:
            await one.ready()
            pid = one.one.pid
            plugin(tmp_path, PLUGIN.replace("async def observe", "async def obseve"))
            with pytest.raises(PluginRefused, match="is 'obseve' it"):
                await one.workers.reload("probe")
            assert one.one.pid == pid and said(await one.ask()) == "hello"
            assert "the one before goes on" in one.workers.trouble()[0]
            plugin(tmp_path, PLUGIN.replace('text: str = "hello"', 'text: str = "good night"'))
            await one.workers.reload("probe")
            assert one.one.pid != pid and said(await one.ask()) == "good night"
            assert one.workers.trouble() == [] and one.up == ["probe", "probe"]
            assert pid is not None and not alive(pid)

    asyncio.run(story())


def test_what_was_wrong_with_a_configuration_is_forgotten_with_it(tmp_path: Path) -> None:
    async def story() -> None:
        good = spec(tmp_path)
        async with rig(good, folder=tmp_path) as one:
            await one.ready()
            pid = one.one.pid
            one.workers.take([replace(good, options={"txt": "x"})], [])
            await one.until(lambda: "txt" in one.one.error and not one.one._coming)
            one.workers.take([good], [])
            assert one.workers.trouble() == [] and one.one.pid == pid

    asyncio.run(story())


def test_one_that_is_on_its_way_does_not_outlive_its_configuration(tmp_path: Path) -> None:
    async def story() -> None:
        good = spec(tmp_path)
        async with rig(good, folder=tmp_path) as one:
            await one.ready()
            one.workers.take([replace(good, options={"text": "x"})], [])
            await asyncio.sleep(0)  # it has begun
            one.workers.take([good], [])
            await one.until(lambda: one.up == ["probe"] * 3)
            assert said(await one.ask()) == "hello" and one.one.spec == good

    asyncio.run(story())


def test_refused_at_its_start_it_waits_for_a_change(tmp_path: Path) -> None:
    async def story() -> None:
        async with rig(spec(tmp_path, options={"txt": "x"}), folder=tmp_path) as one:
            await one.until(lambda: one.one.state == "refused")
            (row,) = one.workers.plugins()
            assert "txt" in row.down and not row.starting
            one.workers.take([spec(tmp_path, options={"text": "x"})], [])
            await one.ready()
            assert said(await one.ask()) == "x"

    asyncio.run(story())


def test_a_reload_restarts_only_who_changed(tmp_path: Path) -> None:
    async def story() -> None:
        first = spec(tmp_path)
        async with rig(first, folder=tmp_path) as one:
            await one.ready()
            pid = one.one.pid
            assert pid is not None
            one.workers.take([replace(first, run=Run(required=True, deadline_s=3.0))], [])
            assert one.workers.plugins()[0].required
            assert said(await one.ask()) == "hello" and one.one.pid == pid
            one.workers.take([replace(first, options={"text": "other"})], [])
            await one.until(lambda: one.one.pid != pid)
            assert said(await one.ask()) == "other"
            plugin(tmp_path, PLUGIN.replace("hello", "hello again"))
            one.workers.take([first], [])
            await one.until(lambda: len(one.up) == 3)
            assert said(await one.ask()) == "hello again"
            one.workers.take([replace(first, options={"text": "too late"})], [])
            one.workers.take([], [])
            assert not one.workers.plugins() and await one.ask() == {}
        assert not _children() and len(one.up) == 3

    asyncio.run(story())


def test_a_ring_is_refused_with_the_ring(tmp_path: Path) -> None:
    first = PLUGIN.replace('name = "probe"', 'name = "probe"\n    after = ("other", "vnic")')
    second = PLUGIN.replace('name = "probe"', 'name = "other"\n    after = ("probe",)')

    async def story() -> None:
        specs = [spec(tmp_path, first), Spec(plugin(tmp_path, second, "other"), Run())]
        async with rig(*specs, folder=tmp_path, ours=["vnic"]) as one:
            await one.workers.decided(60.0)
            states = sorted(each.state for each in one.workers.supervised)
            assert states == ["ready", "refused"]
            (line,) = one.workers.trouble()
            assert "wait for each other" in line and "probe" in line and "other" in line

    asyncio.run(story())


def test_an_unknown_predecessor_is_refused(tmp_path: Path) -> None:
    text = PLUGIN.replace('name = "probe"', 'name = "probe"\n    after = ("vnci",)')

    async def story() -> None:
        async with rig(spec(tmp_path, text), folder=tmp_path, ours=["vnic"]) as one:
            await one.until(lambda: one.one.state == "refused")
            assert "did you mean 'vnic'?" in one.one.error

    asyncio.run(story())


def test_memory_is_watched(tmp_path: Path) -> None:
    async def story() -> None:
        async with rig(spec(tmp_path), folder=tmp_path) as one:
            await one.ready()
            await one.workers.look_at_memory()
            assert one.one.rss_bytes is not None and 1 << 20 < one.one.rss_bytes < 256 << 20
            pid = one.one.pid
            one.one.adjust(spec(tmp_path, memory_max_mb=1))
            await one.workers.look_at_memory()
            await one.until(lambda: one.one.pid not in (None, pid))
            assert one.one.restarts["memory"] == 1

    asyncio.run(story())


def test_a_trial_is_beside_all_others(tmp_path: Path) -> None:
    async def story() -> None:
        async with rig(folder=tmp_path) as one, one.workers.trial(spec(tmp_path, deadline_s=3.0)) as trial:
            assert trial.hello.about == "Says what it is told to say."
            assert said(await trial.plan("probe", [view("web1")], one.make_look())) == "hello"
            one.mode("hang")
            assert "within 3 s" in said(await trial.plan("probe", [view("web1")], one.make_look()))

    asyncio.run(story())


def _children() -> list[int]:
    """Workers of this process that still are."""
    found = []
    for place in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            words = place.read_text().rpartition(")")[2].split()
            if int(words[1]) == os.getpid() and "zonehookd.worker" in (place.parent / "cmdline").read_text():
                found.append(int(place.parent.name))
    return found


def _group(pid: int) -> list[int]:
    """Processes of that group that still are."""
    found = []
    for place in Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(place.read_text().rpartition(")")[2].split()[2]) == pid:
                found.append(int(place.parent.name))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


@pytest.mark.parametrize("user", ["nobody", "no-such-user"])
def test_a_user_who_cannot_run_it_is_refused_with_the_cure(tmp_path: Path, user: str) -> None:
    """Its folder is the test's alone, so nobody else can come up from it, whatever we may become."""

    async def story() -> None:
        async with rig(spec(tmp_path, user=user), folder=tmp_path) as one:
            await one.until(lambda: one.one.decided.is_set())
            assert one.one.state == "refused" and one.one.error and not one.up

    asyncio.run(story())
