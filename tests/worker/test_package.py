"""A package with an entry point, installed where Python looks for packages, in its own process."""

from __future__ import annotations

import sys
from pathlib import Path

from worker.driven import GOOD, PACKAGE, Driven, package, shown


def test_a_package_works_like_a_folder(tmp_path: Path) -> None:
    with Driven(tmp_path, shape="package", environ=package(tmp_path / "site")) as worker:
        assert worker.begin(colour="blue") == {"v": 1, "type": "ready"}
        (step,) = worker.result(shown())["zone:web1"]["steps"]
        assert (step["path"], step["content"]) == (f"{tmp_path}/site/{PACKAGE}/web1.txt", "blue")


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
    line = refused(tmp_path, value=f"{PACKAGE}.crad:Good")
    assert f"entry point {PACKAGE}.crad:Good cannot be imported: ModuleNotFoundError" in line


def test_an_entry_point_that_is_no_plugin(tmp_path: Path) -> None:
    line = refused(tmp_path, value=f"{PACKAGE}.card:Path")
    assert f"entry point {PACKAGE}.card:Path is no ZonePlugin, NetworkPlugin or GatewayPlugin" in line
    assert '[project.entry-points."zonehookd.plugins"] good = "MODULE:CLASS"' in line


def test_a_class_of_another_name(tmp_path: Path) -> None:
    line = refused(tmp_path, text=GOOD.replace('name = "good"', 'name = "best"'))
    assert line == "plugin good: its name is 'best' (hint: name it as its entry point)"
