"""A package with an entry point, installed where Python looks for packages, in its own process; what checks print."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from worker.driven import GOOD, Driven, place, shown

NAME = "cards_of_zones"


def package(site: Path, value: str = f"{NAME}.card:Good", text: str = GOOD) -> dict[str, str]:
    """As pip leaves one behind, with nothing fetched. Returns the environment that finds it."""
    info = site / f"{NAME}-1.0.dist-info"
    (site / NAME).mkdir(parents=True)
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {NAME}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[zonehookd.plugins]\ngood = {value}\n")
    (info / "RECORD").write_text(f"{NAME}/__init__.py,,\n{NAME}/card.py,,\n")
    (site / NAME / "__init__.py").touch()
    (site / NAME / "card.py").write_text(text)
    for each in (site, *site.rglob("*")):
        each.chmod(0o755 if each.is_dir() else 0o644)  # whatever the umask
    return {"PYTHONPATH": str(site)}


def test_a_package_works_like_a_folder(tmp_path: Path) -> None:
    with Driven(tmp_path, shape="package", environ=package(tmp_path / "site")) as worker:
        assert worker.begin(colour="blue") == {"v": 1, "type": "ready"}
        (step,) = worker.result(shown())["zone:web1"]["steps"]
        assert (step["path"], step["content"]) == (f"{tmp_path}/site/{NAME}/web1.txt", "blue")


def refused(folder: Path, **package_of: str) -> str:
    with Driven(folder, shape="package", environ=package(folder / "site", **package_of)) as worker:
        frame = worker.begin()
        assert frame["type"] == "refused", frame
        (line,) = frame["lines"]
        return str(line)


def test_one_that_is_not_installed_for_this_python(tmp_path: Path) -> None:
    with Driven(tmp_path, shape="package") as worker:
        (line,) = worker.begin()["lines"]
        assert "plugin good: no installed package has an entry point of that name in group 'zonehookd.plugins'" in line
        assert line.endswith(f"(hint: install it for {sys.executable})")


def test_an_entry_point_that_leads_nowhere(tmp_path: Path) -> None:
    line = refused(tmp_path, value=f"{NAME}.crad:Good")
    assert f"entry point {NAME}.crad:Good cannot be imported: ModuleNotFoundError" in line


def test_an_entry_point_that_is_no_plugin(tmp_path: Path) -> None:
    line = refused(tmp_path, value=f"{NAME}.card:Path")
    assert f"entry point {NAME}.card:Path is no ZonePlugin, NetworkPlugin or GatewayPlugin" in line
    assert '[project.entry-points."zonehookd.plugins"] good = "MODULE:CLASS"' in line


def test_a_class_of_another_name(tmp_path: Path) -> None:
    line = refused(tmp_path, text=GOOD.replace('name = "good"', 'name = "best"'))
    assert line == "plugin good: its name is 'best' (hint: name it as its entry point)"


def checked(
    shape: str, path: Path, options: dict[str, Any], environ: dict[str, str] | None = None
) -> tuple[int, list[str]]:
    """Exit status and lines."""
    done = subprocess.run(
        [sys.executable, "-m", "zonehookd.worker", "--check", "--shape", shape, "--name", "good", "--path", str(path)],
        input=json.dumps(options),
        capture_output=True,
        text=True,
        env={"PATH": os.environ["PATH"], **(environ or {})},
        cwd="/",
        timeout=60,
    )
    return done.returncode, done.stdout.splitlines()


def test_a_check_prints_every_complaint_and_nothing_else(tmp_path: Path) -> None:
    folder = place(tmp_path, "print('loud')\n" + GOOD)
    assert checked("folder", folder, {"colour": "blue"}) == (0, [])
    assert checked("folder", folder, {"color": "blue"}) == (
        1,
        ["plugins.options.good.color: no such option, found 'blue' (did you mean 'colour'? there are: colour)"],
    )
    environ = package(tmp_path / "site", text=GOOD.replace("async def", "def"))
    status, (line,) = checked("package", tmp_path, {}, environ)
    assert status == 1 and line.startswith("plugin good: observe must be async, in card.py:")


def test_a_check_of_a_program_runs_it_to_describe_itself(tmp_path: Path) -> None:
    folder = tmp_path / "good"
    folder.mkdir()
    said = {"api": 1, "name": "good", "kind": "zone", "speaks": "zeromq", "options": {"colour": {}}}
    (folder / "plugin").write_text(f"#!/bin/sh\ntest $1 = describe && echo '{json.dumps(said)}'\n")
    (folder / "plugin").chmod(0o755)
    assert checked("executable", folder, {"colour": "red"}) == (0, [])
    assert checked("executable", folder, {}) == (1, ["plugins.options.good.colour: must be given"])


def test_a_check_of_hooks_names_the_nearest_moment(tmp_path: Path) -> None:
    file = tmp_path / "good.py"
    file.write_text('from zonehookd.plugin import on\n\n@on("after-strat")\ndef tell(zone): ...\n')
    file.chmod(0o644)
    status, (line,) = checked("hook", file, {})
    assert status == 1 and "after-start" in line
