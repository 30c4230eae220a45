"""All complaints about one plugin, whatever its shape."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from worker.driven import GOOD, package, place

from zonehookd.plugin import finding
from zonehookd.plugin.finding import Found
from zonehookd.worker.check import complaints


def checked(found: Found, **options: Any) -> list[str]:
    return list(asyncio.run(complaints(found, options)))


def test_of_a_folder(tmp_path: Path) -> None:
    found = finding.of_path(place(tmp_path))
    assert checked(found, colour="blue") == []
    assert checked(found, color="blue") == [
        "plugins.options.good.color: no such option, found 'blue' (did you mean 'colour'? there are: colour)"
    ]


def test_of_a_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package(tmp_path / "site", text=GOOD.replace("async def", "def"))
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    (line,) = checked(finding.find([])["good"])
    assert line.startswith("plugin good: observe must be async, in card.py:")


def test_of_a_program_that_is_run_to_describe_itself(tmp_path: Path) -> None:
    said = {"api": 1, "name": "good", "kind": "zone", "speaks": "zeromq", "options": {"colour": {}}}
    program = tmp_path / "good" / "plugin"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\ntest $1 = describe && echo '{json.dumps(said)}'\n")
    program.chmod(0o755)
    found = finding.of_path(program)
    assert checked(found, colour="red") == []
    assert checked(found) == ["plugins.options.good.colour: must be given"]
    program.write_text("#!/bin/sh\nexit 1\n")
    assert checked(found) == ["plugin good: describe exited 1: without a word"]


def test_of_hooks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.dont_write_bytecode", True)  # both versions are of one size, and of one second
    file = tmp_path / "good.py"
    file.write_text('from zonehookd.plugin import on\n\n@on("after-strat")\ndef tell(zone): ...\n')
    (line,) = checked(Found("good", "hook", file))
    assert "after-start" in line
    file.write_text('from zonehookd.plugin import on\n\n@on("after-start")\ndef tell(zone): ...\n')
    assert checked(Found("good", "hook", file)) == []
