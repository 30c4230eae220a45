"""Libraries for tests of the sources: compiled once, loaded anew for each test."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # importlib mode adds no folder by itself

from foreign_library import ForeignLibrary, build, load


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("native"))


@pytest.fixture
def zonecfg(built: Path, tmp_path: Path) -> ForeignLibrary:
    return load(built, "libzonecfg", tmp_path)


@pytest.fixture
def sysevent(built: Path, tmp_path: Path) -> ForeignLibrary:
    """libsysevent and libnvpair in one."""
    return load(built, "libsysevent", tmp_path)
