"""A server that misbehaves, and the client as its users start it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from traffic.tests.misbehaving import Server

TESTS = Path(__file__).resolve().parents[2]


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        yield server


class Client:
    """`python -m traffic` and its files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.routes_file = folder / "routes"
        self.partial_file = folder / "partial.json"
        self._processes: list[subprocess.Popen[str]] = []

    def routes(self, *lines: str) -> None:
        fresh = self.folder / "routes.new"
        fresh.write_text("".join(f"{line}\n" for line in lines))
        fresh.replace(self.routes_file)

    def start(self, *words: object, before: tuple[str, ...] = ()) -> subprocess.Popen[str]:
        argv = [*before, sys.executable, "-m", "traffic", *map(str, words)]
        process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, cwd=TESTS)
        self._processes.append(process)
        return process

    def load(self, port: int, *words: object, before: tuple[str, ...] = ()) -> subprocess.Popen[str]:
        files = ("--routes", self.routes_file, "--partial", self.partial_file, "--partial-every", 0.1)
        return self.start("--at", f"127.0.0.1:{port}", *files, *words, before=before)

    @staticmethod
    def report(process: subprocess.Popen[str], status: int = 0) -> Any:
        out, _ = process.communicate(timeout=60)
        assert process.returncode == status, out
        return json.loads(out)

    def until(self, process: subprocess.Popen[str], *keys: str, at_least: float) -> Any:
        """The first partial report whose number at `keys` is so large."""
        deadline = time.monotonic() + 60
        while process.poll() is None:
            assert time.monotonic() < deadline, (keys, self.partial_file.read_text())
            if self.partial_file.exists():
                report = value = json.loads(self.partial_file.read_text())
                for key in keys:
                    value = value.get(key, 0)
                if value >= at_least:
                    return report
            time.sleep(0.02)
        raise AssertionError(f"ended with {process.returncode}")

    def close(self) -> None:
        for process in self._processes:
            process.kill()
            process.communicate()


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    client = Client(tmp_path)
    yield client
    client.close()
