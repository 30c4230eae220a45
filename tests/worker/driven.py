"""A worker's process, driven by the test in the daemon's place: it says what it likes, and reads what comes back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import zmq

PATIENCE_S = 60.0
PACKAGE = "cards_of_zones"
GOOD = '''
"""Writes a card for each zone."""
from pathlib import Path

from zonehookd.plugin import Plan, PluginOptions, WriteFile, ZonePlugin, nothing

class Good(ZonePlugin):
    name = "good"

    class Options(PluginOptions):
        colour: str = "red"

    async def observe(self, zone, host):
        return host.read_file(Path(__file__).parent / f"{zone.zone.name}.txt")

    def plan(self, zone, seen):
        if seen == self.options.colour:
            return nothing("the card is right")
        path = Path(__file__).parent / f"{zone.zone.name}.txt"
        return Plan((WriteFile(path, self.options.colour, "the card is wrong"),))
'''


def place(folder: Path, text: str = GOOD, name: str = "good") -> Path:
    """A plugin's folder."""
    (folder / name).mkdir(exist_ok=True)
    (folder / name / "plugin.py").write_text(text)
    return folder / name


def package(site: Path, value: str = f"{PACKAGE}.card:Good", text: str = GOOD) -> dict[str, str]:
    """As pip leaves one behind, with nothing fetched. Returns the environment that finds it."""
    info = site / f"{PACKAGE}-1.0.dist-info"
    (site / PACKAGE).mkdir(parents=True)
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {PACKAGE}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[zonehookd.plugins]\ngood = {value}\n")
    (info / "RECORD").write_text(f"{PACKAGE}/__init__.py,,\n{PACKAGE}/card.py,,\n")
    (site / PACKAGE / "__init__.py").touch()
    (site / PACKAGE / "card.py").write_text(text)
    for each in (site, *site.rglob("*")):
        each.chmod(0o755 if each.is_dir() else 0o644)  # whatever the umask
    return {"PYTHONPATH": str(site)}


def zone_view(name: str = "web1", state: str = "running") -> dict[str, Any]:
    """As on the wire."""
    zone = {"name": name, "state": state, "config": {"brand": "sparse", "exclusive": True, "nics": [], "attrs": {}}}
    return {"zone": zone, "attachments": [], "refusals": [], "left_alone": [], "holders": {}}


def shown(name: str = "web1", state: str = "running", **more: Any) -> dict[str, Any]:
    return {"subject": f"zone:{name}", "view": zone_view(name, state)} | more


class Driven:
    """Started when made, and ended by `with`."""

    def __init__(
        self,
        folder: Path,
        *,
        shape: str = "folder",
        path: Path | None = None,
        name: str = "good",
        memory_mb: int = 256,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.ROUTER)
        self._socket.bind(f"ipc://{folder}/s")
        self._peer = b""
        self._calls = 0
        self._printed = folder / "printed"
        argv = [sys.executable, "-m", "zonehookd.worker", "--shape", shape, "--name", name]
        argv += ["--path", str(path)] if path is not None else []
        given = {"ZONEHOOKD_ENDPOINT": f"ipc://{folder}/s", "ZONEHOOKD_INSTANCE": "one", **(environ or {})}
        self.began_s = time.monotonic()
        with self._printed.open("wb") as printed:
            self.process = subprocess.Popen(
                [*argv, "--memory-mb", str(memory_mb)],
                stdin=subprocess.PIPE,
                stdout=printed,
                stderr=printed,
                env={"PATH": os.environ["PATH"], "LC_ALL": "C", **given},
                cwd="/",
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, at: TracebackType | None
    ) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.kill()
        self.process.wait()
        self._context.destroy(linger=0)

    def printed(self) -> str:
        return self._printed.read_text()

    def wait_printed(self, text: str) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while text not in self.printed():
            assert self.process.poll() is None, f"it ended: {self.process.returncode}\n{self.printed()}"
            assert time.monotonic() < deadline, f"it never printed {text!r}\n{self.printed()}"
            time.sleep(0.01)

    def read(self) -> dict[str, Any]:
        """The next frame; fails when none comes, or it is no longer there."""
        deadline = time.monotonic() + PATIENCE_S
        while not self._socket.poll(100):
            assert self.process.poll() is None, f"it ended: {self.process.returncode}\n{self.printed()}"
            assert time.monotonic() < deadline, f"it says nothing\n{self.printed()}"
        self._peer, text = self._socket.recv_multipart()
        frame: dict[str, Any] = json.loads(text)
        return frame

    def say(self, **frame: Any) -> None:
        self._socket.send_multipart([self._peer, json.dumps({"v": 1, **frame}).encode()])

    def begin(self, **options: Any) -> dict[str, Any]:
        """Hello and welcome; returns what it says to that."""
        hello = self.read()
        assert hello["type"] == "hello", hello
        self.say(type="welcome", options=options, site="here", dialect={"vnic_zone_field": False})
        return self.read()

    def call(self, *subjects: dict[str, Any], wide: bool = False, **more: Any) -> int:
        """Its number."""
        self._calls += 1
        self.say(type="call", id=self._calls, deadline_s=30.0, wide=wide, subjects=list(subjects), **more)
        return self._calls

    def result(self, *subjects: dict[str, Any], wide: bool = False) -> dict[str, dict[str, Any]]:
        """Of a call in which it asks nothing: by subject."""
        number = self.call(*subjects, wide=wide)
        frame = self.read()
        assert (frame["type"], frame["id"]) == ("result", number), frame
        return {each["subject"]: each for each in frame["plans"]}

    def ended(self) -> int:
        return self.process.wait(PATIENCE_S)
