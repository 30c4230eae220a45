"""What `zonehookctl plugin new` makes works as it is: its own tests pass, with nothing but zonehookd and pytest."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from zonehookd import scaffold
from zonehookd.cli.main import main
from zonehookd.errors import ZonehookError

ROOT = Path(__file__).resolve().parents[2]


def its_tests(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """As its author runs them, in its folder."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environ = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", *options]
    return subprocess.run(argv, cwd=folder, env=environ, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize("shape", scaffold.SHAPES)
def test_its_tests_pass(shape: scaffold.Shape, tmp_path: Path) -> None:
    scaffold.write("my-plugin", shape, "zone", tmp_path)
    done = its_tests(tmp_path / "my-plugin")
    assert (done.returncode, done.stdout.splitlines()[-1][:8]) == (0, "3 passed"), done.stdout + done.stderr
    assert all(file.stat().st_mode & 0o022 == 0 for file in (tmp_path / "my-plugin").rglob("*"))


def test_its_tests_pass_for_networks_and_gateways_too(tmp_path: Path) -> None:
    for shape in ("folder", "executable"):
        for kind in ("network", "gateway"):
            scaffold.write(f"of-{kind}-{shape}", shape, kind, tmp_path)  # type: ignore[arg-type]
    done = its_tests(tmp_path, "--import-mode=importlib")
    assert (done.returncode, done.stdout.splitlines()[-1][:8]) == (0, "8 passed"), done.stdout + done.stderr


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    written = scaffold.write("mine", "folder", "zone", tmp_path)
    assert [str(file.relative_to(tmp_path / "mine")) for file in written] == [
        "README.md",
        "plugin.py",
        "tests/test_plugin.py",
    ]
    written[1].write_text("mine")
    with pytest.raises(ZonehookError, match=r"mine is there already \(hint: choose another name, or --into"):
        scaffold.write("mine", "package", "zone", tmp_path)
    assert written[1].read_text() == "mine"


@pytest.mark.parametrize(("name", "why"), [("My", "'My' is no name"), ("a/b", "no name"), ("vnic", "a plugin of ours")])
def test_names(name: str, why: str, tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["plugin", "new", name, "--into", str(tmp_path)])
    assert (done.exit_code, list(tmp_path.iterdir())) == (1, [])
    assert why in done.output


def test_the_command(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["plugin", "new", "mine", "--shape", "package", "--into", str(tmp_path)])
    assert done.exit_code == 0
    assert done.output.splitlines()[-1] == f"{tmp_path}/mine/zonehookd_mine/__init__.py"
