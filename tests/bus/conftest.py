"""Publishers and subscribers for one test; all are ended with it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # importlib mode adds no folder by itself

from subscribing import EXAMPLES, Program, Running

from zonehookd.bus import keys


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """Starts publishers in this test's folder; all are ended with it."""
    made: list[Running] = []

    def start(**settings: Any) -> Running:
        made.append(Running(tmp_path, **settings))
        return made[-1]

    yield start
    for each in made:
        each.close()


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    program = tmp_path_factory.mktemp("follow") / "follow"
    argv = ["cc", "-Wall", "-Wextra", "-Werror", "-o", str(program), str(EXAMPLES / "follow.c"), "-lzmq"]
    subprocess.run(argv, check=True)
    return program


@pytest.fixture(params=["python", "c"])
def example(request: pytest.FixtureRequest) -> Iterator[Callable[..., Program]]:
    """Starts one of the two examples with these arguments."""
    made: list[Program] = []
    python = [sys.executable, str(EXAMPLES / "follow.py")]
    argv = python if request.param == "python" else [str(request.getfixturevalue("compiled"))]

    def start(*arguments: str) -> Program:
        made.append(Program([*argv, *arguments]))
        return made[-1]

    yield start
    for each in made:
        each.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of keys, made."""
    keys.init(tmp_path / "keys")
    return tmp_path / "keys"
