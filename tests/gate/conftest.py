"""The gate program, compiled once, and a host of its own for each test: two folders and nothing else, or brands."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # importlib mode adds no folder by itself

from brand_host import Host
from rig import Rig, compiled


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compiled(tmp_path_factory.mktemp("gate") / "gate")


@pytest.fixture
def rig(program: Path, tmp_path: Path) -> Rig:
    return Rig(program, tmp_path)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path.resolve())
