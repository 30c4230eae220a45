"""The linters are tests: they run wherever the tests run, and nothing is skipped."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PYTHON = ["zonehookd", "plugins", "smf", "docs", "tests"]


@pytest.mark.parametrize(
    "argv",
    [
        ["ruff", "check", *PYTHON],
        ["ruff", "format", "--check", *PYTHON],
        ["mypy", "-p", "zonehookd"],
        ["mypy", "-p", "lab"],
        ["mypy", "-p", "bench"],
        ["mypy", "smf/packaging/lists.py", "docs/conf.py", *map(str, sorted((ROOT / "docs" / "_ext").glob("*.py")))],
        ["mypy", *(str(each) for each in sorted((ROOT / "plugins").glob("*/plugin.py")))],
    ],
    ids=lambda argv: " ".join(argv[:3]),
)
@pytest.mark.timeout(900)
def test_tool_has_nothing_to_say(argv: list[str]) -> None:
    done = subprocess.run([sys.executable, "-m", *argv], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
