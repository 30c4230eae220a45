"""Workers as the daemon keeps them, without the daemon: real processes, a real store, commands of this machine."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import zmq.asyncio

from zonehookd.engine.abroad import Answer
from zonehookd.engine.look import Look
from zonehookd.foreign.spec import Run, Spec, command
from zonehookd.foreign.supervised import Supervised
from zonehookd.foreign.tools import Tools
from zonehookd.foreign.workers import ForeignWorkers
from zonehookd.host.audit import Audit
from zonehookd.host.local import LocalFiles, LocalHost
from zonehookd.host.process import Limits, Processes
from zonehookd.illumos.dladm import Dialect
from zonehookd.model.subject import Subject
from zonehookd.model.zone import Zone, ZoneConfig, ZoneState
from zonehookd.plugin.contract import ZoneView
from zonehookd.plugin.finding import Found
from zonehookd.store.store import Store

PATIENCE_S = 60.0
PLUGIN = '''
"""Says what it is told to say."""

import os
import time
from pathlib import Path

from zonehookd.plugin import CannotObserve, Note, Plan, PluginOptions, Query, WriteFile, ZonePlugin

MODE = Path(__file__).parent.parent / "mode"


class Probe(ZonePlugin):
    name = "probe"

    class Options(PluginOptions):
        text: str = "hello"

    async def observe(self, zone, host):
        mode = MODE.read_text().strip() if MODE.exists() else ""
        word, _, who = mode.partition(" ")
        if who and who != zone.zone.name:
            word = ""
        if word == "hang":
            time.sleep(600)
        if word == "abort":
            os.abort()
        if word == "raise":
            raise RuntimeError("as told")
        if word == "blind":
            raise CannotObserve("as told")
        if word == "fork":
            if os.fork() == 0:
                time.sleep(600)
            time.sleep(600)
        if word == "ask":
            return await host.ask(Query(("id", "-un"), lambda reply: reply.stdout.strip()))
        if word == "ask-odd":
            return await host.ask(Query(("id", "\\0"), lambda reply: reply.stdout))
        if word == "pid":
            return str(os.getpid())
        return self.options.text

    def plan(self, zone, seen):
        return Plan(notes=(Note("waiting", seen, "said"),))
'''


class Lines:
    """What would be logged."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, dict[str, Any]]] = []

    def __getattr__(self, level: str) -> Callable[..., None]:
        return lambda event, **fields: self.lines.append((level, event, fields))

    def said(self, event: str) -> list[dict[str, Any]]:
        return [fields for _, each, fields in self.lines if each == event]


def view(name: str, state: ZoneState = ZoneState.RUNNING, brand: str = "sparse") -> ZoneView:
    return ZoneView(Zone(name, state, config=ZoneConfig(brand, True, ())), (), (), (), {})


def said(answers: Mapping[Subject, Answer], name: str = "web1") -> str:
    """The only note, or what went wrong."""
    answer = answers[Subject("zone", name)]
    return answer.failed or answer.blind or " ".join(note.text for note in answer.plan.notes)


@dataclass
class Rig:
    folder: Path
    workers: ForeignWorkers
    log: Lines
    make_look: Callable[[], Look]
    store: Store
    up: list[str] = field(default_factory=list)
    down: list[str] = field(default_factory=list)

    @property
    def one(self) -> Supervised:
        return next(iter(self.workers.supervised))

    def mode(self, word: str) -> None:
        (self.folder / "mode").write_text(word)

    async def ask(self, *names: str, plugin: str = "probe") -> Mapping[Subject, Answer]:
        return await self.workers.plan(plugin, [view(name) for name in names or ("web1",)], self.make_look())

    async def until(self, what: Callable[[], object]) -> None:
        ends = time.monotonic() + PATIENCE_S
        while not what():
            assert time.monotonic() < ends, f"{self.one.state}: {self.one.error}; {self.log.lines}"
            await asyncio.sleep(0.02)

    async def ready(self) -> None:
        await self.until(lambda: self.one.state == "ready")


def plugin(folder: Path, text: str = PLUGIN, name: str = "probe") -> Found:
    place = folder / name
    place.mkdir(exist_ok=True)
    (place / "plugin.py").write_text(text)
    return Found(name, "folder", place)


@contextlib.asynccontextmanager
async def rig(
    *specs: Spec, folder: Path, ours: Sequence[str] = (), told: Callable[[Spec], Sequence[str]] = command
) -> AsyncIterator[Rig]:
    """Ends all it has started. Sockets lie in a folder with a short name."""
    run = Path(tempfile.mkdtemp(prefix="zh"))
    context = zmq.asyncio.Context()
    log, up, down = Lines(), list[str](), list[str]()
    processes = Processes(os.environ["PATH"], Limits())
    audit = Audit(folder / "audit")
    host = LocalHost(processes, audit, lambda name, result, seconds: None)
    store = Store(folder / "state.db")

    def make_look() -> Look:
        return Look(host, LocalFiles(), store, Dialect(), "here")

    tools = Tools(context, processes, run / "plugins", make_look, log, up.append, down.append, command=told)
    workers = ForeignWorkers(tools, specs, ours)
    workers.begin()
    try:
        yield Rig(folder, workers, log, make_look, store, up, down)
    finally:
        await workers.stop()
        context.term()
        store.close()
        audit.close()
        shutil.rmtree(run)


def spec(folder: Path, text: str = PLUGIN, *, options: Mapping[str, Any] | None = None, **run: Any) -> Spec:
    return Spec(plugin(folder, text), Run(**run), options or {})


def speaker(script: Path) -> Callable[[Spec], Sequence[str]]:
    """Starts a script that speaks the wire itself, in place of our worker."""
    return lambda spec: [sys.executable, str(script), spec.name]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
