"""docs/plugins/hooks.md says what is so: its tables against the code, and its examples are run."""

from __future__ import annotations

import asyncio
import re
import shutil
import tomllib
from pathlib import Path

import pytest
from calling import Phone

from zonehookd.config import HooksSection
from zonehookd.engine.attach import Attached
from zonehookd.hooks import telling
from zonehookd.hooks.calls import Answer
from zonehookd.hooks.folder import find
from zonehookd.hooks.moments import GATED, MOMENTS, REFUSING
from zonehookd.model.zone import Zone, ZoneConfig, ZoneState
from zonehookd.plugin.finding import Found
from zonehookd.plugin.hooking import ARGUMENTS
from zonehookd.worker.moments import Moments

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "plugins" / "hooks.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def rows(section: str) -> dict[str, str]:
    """First cell, without marks -> the rest of the row."""
    text = PAGE.split(f"\n## {section}\n")[1].split("\n## ")[0]
    found = re.findall(r"^\| (.+?) \| (.+) \|$", text, re.MULTILINE)
    return {key.replace("`", ""): rest for key, rest in found}


def test_arguments_of_functions() -> None:
    told = {name: text.replace("`", "") for name, text in rows("A function").items() if name != "argument"}
    assert told == ARGUMENTS


def test_every_moment_and_which_may_refuse() -> None:
    told = rows("Which moments there are, and which may refuse")
    assert tuple(name for name in told if name in MOMENTS) == (
        "before-create", "after-create", "before-start", "after-start", "before-stop", "after-stop", "before-delete",
        "after-delete", "reconnect",
    )  # fmt: skip
    may = [name for name in MOMENTS if not told[name].endswith("| no")]
    assert set(may) == set(REFUSING)
    assert [name for name in may if "| **yes**" in told[name]] == list(GATED)


def test_every_key_of_the_object() -> None:
    shown = telling.about(Zone("web1", ZoneState.RUNNING), Attached())
    told = telling.message("a", "before-start", shown, 0.0, "look", 1, 10.0)
    keys = {word for row in rows("A program") for word in row.split(", ")}
    assert told.keys() <= keys
    assert told.keys() & keys == told.keys()


def test_the_configuration_is_one() -> None:
    (text,) = blocks("toml")
    section = HooksSection.model_validate(tomllib.loads(text)["hooks"])
    assert section.on_failure.before_start == "refuse" and section.on_failure.before_stop == "allow"
    (said,) = re.findall(r"^# (enabled = .*)$", text, re.MULTILINE)
    assert HooksSection.model_validate(tomllib.loads(said.replace("; ", "\n"))) == HooksSection(), "the defaults"


@pytest.mark.parametrize(
    ("attrs", "answer"),
    [({"owner": "ann"}, Answer("ok")), ({}, Answer("never", "say who owns it: add attr; set name=owner; …"))],
)
def test_the_program_does_what_it_says(tmp_path: Path, attrs: dict[str, str], answer: Answer) -> None:
    assert shutil.which("jq"), "tests/setup.sh says which packages the tests need"
    folder = tmp_path / "hooks.d"
    folder.mkdir(mode=0o755)
    (folder / "10-owner").write_text(blocks("sh")[0])
    (folder / "10-owner").chmod(0o755)
    hook = find(folder)["10-owner"]
    assert hook.moments == {"before-create"}
    zone = Zone("web1", ZoneState.CONFIGURED, config=ZoneConfig("sparse", True, (), attrs))
    shown = telling.about(zone, Attached())
    assert asyncio.run(Phone(tmp_path).call(hook, "before-create", **shown)) == answer


def test_the_function_is_loaded(tmp_path: Path) -> None:
    file = tmp_path / "20-monitoring.py"
    file.write_text(blocks("python")[0])
    said = asyncio.run(Moments(Found("hook-20-monitoring", "hook", file)).load())
    assert said.moments == ("after-start", "after-stop") and said.about == "Tells the monitoring what runs."
