"""Lab hosts for the end-to-end tests: one per module and dialect, ended with everything in it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # importlib mode adds no folder by itself

from machine import Daemon, Machine


@pytest.fixture(scope="module", params=["vanilla", "omnios"])
def either(request: pytest.FixtureRequest) -> Iterator[Machine]:
    """A host of each dialect."""
    machine = Machine(*(["--omnios"] if request.param == "omnios" else []))
    yield machine
    machine.close()


@pytest.fixture(params=["vanilla", "omnios"])
def host(request: pytest.FixtureRequest) -> Iterator[Machine]:
    """A fresh host of each dialect for one test."""
    machine = Machine(*(["--omnios"] if request.param == "omnios" else []))
    yield machine
    machine.close()


@pytest.fixture
def machine() -> Iterator[Machine]:
    """A fresh host for one test."""
    machine = Machine()
    yield machine
    machine.close()


@pytest.fixture
def daemon(machine: Machine) -> Daemon:
    """Configured, not started."""
    return Daemon(machine)
