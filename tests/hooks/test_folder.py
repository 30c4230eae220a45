"""Which files are hooks, what they say they want, and which are not called because somebody else may change them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from zonehookd.hooks.folder import HOOKS_MAX, find


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "hooks.d"
    made.mkdir(mode=0o755)
    return made


def put(folder: Path, name: str, text: str = "#!/bin/sh\n", mode: int = 0o755) -> Path:
    file = folder / name
    file.write_text(text)
    file.chmod(mode)
    return file


def test_programs_and_functions_in_the_order_of_their_names(folder: Path) -> None:
    put(folder, "20-second")
    put(folder, "10-first.sh")
    put(folder, "30-functions.py", "", mode=0o644)
    put(folder, "40-program.py")
    assert [(each.name, each.shape) for each in find(folder).values()] == [
        ("10-first.sh", "program"),
        ("20-second", "program"),
        ("30-functions.py", "functions"),
        ("40-program.py", "program"),
    ]


@pytest.mark.parametrize("name", ["dns~", ".dns", "dns.bak", "#dns#", "dns.orig", "README.md", "dns.swp", "a b"])
def test_what_editors_leave_is_no_hook(folder: Path, name: str) -> None:
    put(folder, name)
    assert find(folder) == {}


def test_neither_are_data_and_folders(folder: Path) -> None:
    put(folder, "table", mode=0o644)
    (folder / "lib").mkdir()
    (folder / "dangling").symlink_to(folder / "nothing")
    assert find(folder) == {}


def test_a_folder_that_is_not_there_has_none(folder: Path) -> None:
    assert find(folder / "other") == {}


def test_a_program_says_what_it_wants(folder: Path) -> None:
    put(folder, "some", "#!/bin/sh\n# zonehookd-moments: after-start, after-stop\n")
    put(folder, "all")
    put(folder, "wrong", "#!/bin/sh\n# zonehookd-moments: after-start after-boot\n")
    found = find(folder)
    assert found["some"].moments == {"after-start", "after-stop"} and not found["some"].refused
    assert found["all"].moments == frozenset() and not found["all"].refused
    assert "there is no moment 'after-boot'" in found["wrong"].refused


def test_root_runs_nothing_that_others_may_change(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the test: what is an ordinary user's is somebody else's to root."""
    root = os.geteuid() == 0
    put(folder, "mine")
    put(folder, "everybodys", mode=0o777)
    put(folder, "theirs")
    if root:
        os.chown(folder / "theirs", 12345, 12345)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    found = find(folder)
    assert bool(found["mine"].refused) == (not root)
    assert "could be changed by somebody else than root" in found["everybodys"].refused
    assert "chown root" in found["theirs"].refused
    folder.chmod(0o777)
    assert "hooks.d could be changed" in find(folder)["mine"].refused
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert not any(each.refused for each in find(folder).values()), "whoever is not root runs his own"


def test_a_link_is_as_safe_as_what_it_leads_to(folder: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    target = put(elsewhere, "program")
    (folder / "linked").symlink_to(target)
    assert find(folder)["linked"].shape == "program"


def test_there_is_an_end_to_it(folder: Path) -> None:
    for number in range(HOOKS_MAX + 5):
        put(folder, f"{number:03}")
    assert len(find(folder)) == HOOKS_MAX
