"""(k) One call of a plugin, in four ways: in the process, in its worker, by a program that the worker runs, and by a
Python program started for each event, as hooks usually are.

The plugin is the sample `hello`: one file is read for each zone, and all are found right. No lab: nothing is changed.
"""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import structlog
import zmq.asyncio

from bench.measure import Measure, Report, Row, Samples, ratios, scaled
from zonehookd.engine.look import Look, PluginReader
from zonehookd.foreign.spec import Spec
from zonehookd.foreign.tools import Tools
from zonehookd.foreign.workers import ForeignWorkers
from zonehookd.host.local import LocalFiles
from zonehookd.host.process import Limits, Processes
from zonehookd.plugin import ZonePlugin, loader
from zonehookd.plugin.contract import ZoneView
from zonehookd.plugin.finding import Found
from zonehookd.testing import Host, zone
from zonehookd.wire.views import sent

_ROOT = Path(__file__).resolve().parents[2]
_HELLO = Found("hello", "folder", _ROOT / "plugins" / "hello")
_SHELL = Found("jqcards", "executable", _ROOT / "tests" / "foreign_plugins" / "jqcards")
SIZES = (1, 100, 1000)
_CALLS, _CALLS_QUICK = 15, 5
_EVENTS = 7
_START_S = 60.0
_BARE = "import json, sys; event = json.load(sys.stdin); print(event['zone']['name'])"
_CONTRACT = "import json, sys, zonehookd.plugin; event = json.load(sys.stdin); print(event['zone']['name'])"


def run(quick: bool) -> Samples:
    return asyncio.run(_measured(_CALLS_QUICK if quick else _CALLS))


async def _measured(calls: int) -> Samples:
    samples: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        views = [_view(number, folder) for number in range(max(SIZES))]
        for size in SIZES:
            samples[f"here{size}_s"] = [await _here(views[:size], folder) for _ in range(calls)]
        for found, way in ((_HELLO, "worker"), (_SHELL, "program")):
            samples |= await _elsewhere(found, way, views, folder, calls)
    event = json.dumps(sent(views[0]))
    for way, text in (("bare", _BARE), ("contract", _CONTRACT)):
        samples[f"{way}1_s"] = [_timed(lambda text=text: _program(text, event)) for _ in range(_EVENTS)]  # type: ignore[misc]
    return samples


def _view(number: int, folder: Path) -> ZoneView:
    """A running zone whose card is right already."""
    view = zone(f"web{number}", "running", "dmz", f"10.1.{number // 250}.{number % 250 + 2}/16")
    address = view.attachments[0].addresses[0]
    card = f"Hello, web{number}!\n{view.attachments[0].link} is on dmz as {address}\n"
    (folder / f"web{number}.txt").write_text(card)
    return view


async def _here(views: Sequence[ZoneView], folder: Path) -> float:
    plugin = loader.build(_HELLO, {"folder": str(folder)})
    assert isinstance(plugin, ZonePlugin)
    played = Host()
    host = PluginReader(Look(played, LocalFiles(), played.store, played.dialect, played.site), "hello")
    began = time.perf_counter()
    for view in views:
        assert plugin.plan(view, await plugin.observe(view, host)).empty
    return time.perf_counter() - began


async def _elsewhere(
    found: Found, way: str, views: Sequence[ZoneView], folder: Path, calls: int
) -> dict[str, list[float]]:
    """`first`: each view is sent; after that what has not changed is not."""
    host = Host()
    up = asyncio.Event()
    quiet = structlog.make_filtering_bound_logger(logging.ERROR)
    log = structlog.wrap_logger(structlog.PrintLogger(sys.stderr), wrapper_class=quiet)
    processes = Processes("/usr/bin:/bin", Limits())
    tools = Tools(zmq.asyncio.Context(), processes, folder / way, host.look, log, lambda _: up.set(), lambda _: None)
    options = {"folder": str(folder)} if way == "worker" else {}
    workers = ForeignWorkers(tools, [Spec(found, options=options)], ours=["vnic"])
    samples: dict[str, list[float]] = {}
    workers.begin()
    try:
        await workers.decided(_START_S)
        assert up.is_set(), workers.trouble()
        for size in SIZES:
            for number in range(calls + 1):
                began = time.perf_counter()
                answers = await workers.plan(found.name, views[:size], host.look())
                seconds = time.perf_counter() - began
                assert len(answers) == size and not any(each.failed or each.blind for each in answers.values()), answers
                samples.setdefault(f"{way}{size}_{'first_' if number == 0 else ''}s", []).append(seconds)
    finally:
        await workers.stop()
        tools.context.term()
    return samples


def _program(text: str, event: str) -> None:
    subprocess.run([sys.executable, "-c", text], input=event, text=True, check=True, stdout=subprocess.DEVNULL)


def _timed(what: Callable[[], None]) -> float:
    began = time.perf_counter()
    what()
    return time.perf_counter() - began


def report(samples: Samples) -> Report:
    rows: list[Row] = []
    for size in SIZES:
        here, worker, program = (samples[f"{way}{size}_s"] for way in ("here", "worker", "program"))
        rows += [
            Row(f"{size} zones: in the process", scaled(here, 1000), "ms"),
            Row("  in its worker", scaled(worker, 1000), "ms"),
            Row("  in its worker, shown them for the first time", scaled(samples[f"worker{size}_first_s"], 1000), "ms"),
            Row("  a shell script with jq, by its worker", scaled(program, 1000), "ms"),
            Row("  worker / in the process", ratios(worker, here), "x"),
        ]
    for way, text in (("bare", "a Python program for one event"), ("contract", "  one that imports the contract")):
        rows.append(Row(text, scaled(samples[f"{way}1_s"], 1000), "ms"))
    few = min(len(samples["bare1_s"]), len(samples["worker1_s"]))
    rows.append(
        Row("  a program / a call to a worker", ratios(samples["bare1_s"][:few], samples["worker1_s"][:few]), "x")
    )
    return Report(rows, [])


MEASURE = Measure("k", "calls", "One call of a plugin, in four ways", run, report, runs=1)
