"""Fixtures of the lab's own tests."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.tests.bench import REPOSITORY, Bench, Machine, bench, foreign_checkout


@pytest.fixture(name="bench")
def bench_fixture() -> Iterator[Bench]:
    with bench() as made:
        yield made


@pytest.fixture
def ours() -> Machine:
    """This checkout, as whoever runs the tests."""
    return Machine(REPOSITORY)


@pytest.fixture(scope="session")
def ordinary() -> Iterator[Machine]:
    """As an ordinary user: ourselves, or `nobody` with a checkout of its own when root runs the tests."""
    if os.geteuid() != 0:
        yield Machine(REPOSITORY)
        return
    folder = Path(tempfile.mkdtemp(prefix="zl-nobody"))
    try:
        yield foreign_checkout(folder, "nobody")
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def machine(request: pytest.FixtureRequest) -> Machine:
    """By its name: `ours` or `ordinary`."""
    made = request.getfixturevalue(request.param)
    assert isinstance(made, Machine)
    return made
