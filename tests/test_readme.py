"""The README tells the truth: its plugin is the sample, its options are the real ones, its files are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from zonehookd.cli.main import main
from zonehookd.config import load
from zonehookd.declaration import declare
from zonehookd.plugin import finding, loader

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_plugin_in_25_lines_is_the_sample() -> None:
    (shown,) = blocks("python")
    assert shown in (ROOT / "plugins" / "hello" / "plugin.py").read_text()
    assert len([line for line in shown.splitlines() if line.strip()]) <= 25


def test_the_configuration_shown_is_good(tmp_path: Path) -> None:
    file = tmp_path / "z.toml"
    file.write_text("".join(blocks("toml")))
    assert {"dmz", "lan", "wan", "web"} <= set(declare(load(file)).networks)
    commented = [line.lstrip("# ").split("=")[0].strip() for line in README.splitlines() if line.startswith("# ")]
    fields = set(type(load(file).network["dmz"]).model_fields)
    assert {"etherstub", "mtu", "gateway", "isolated", "antispoof"} <= fields & set(commented)


def test_every_command_of_zonehookctl_is_shown() -> None:
    for name in main.commands:
        assert re.search(rf"`(zonehookctl )?{name}\b", README), name


@pytest.mark.parametrize("page", ["README.md", "plugins/README.md", "tests/lab/README.md"])
def test_links_lead_somewhere(page: str) -> None:
    text = (ROOT / page).read_text()
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        assert (ROOT / page).parent.joinpath(target).exists(), target


def test_every_option_of_every_plugin_is_in_the_plugins_readme() -> None:
    text = (ROOT / "plugins" / "README.md").read_text()
    for name, found in finding.bundled().items():
        fields = loader.plugin_class(found).Options.model_fields
        assert f"| {name} |" in text
        for field in fields:
            assert f"| {name} | {field} |" in text


def test_make_targets_that_are_named_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:`|    )make ([a-z]+)", README)) <= targets
