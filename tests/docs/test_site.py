"""The documentation site builds without a warning, its links lead somewhere, and nothing of the product is left out."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import get_args
from urllib.parse import unquote, urldefrag

import pytest
from pydantic import BaseModel

from docs._ext import command_line, configuration, readme, wire
from zonehookd.bus.messages import Verb
from zonehookd.cli.ending import EXIT_CODES
from zonehookd.cli.main import main
from zonehookd.engine import attach, offers
from zonehookd.model.zone import DEPENDS
from zonehookd.plugin import finding
from zonehookd.routes import rows

ROOT = Path(__file__).resolve().parents[2]


class Page(HTMLParser):
    """Where a page leads, and which places in it can be led to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.places: set[str] = {""}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = dict(attrs)
        self.places |= {each for each in (said.get("id"), said.get("name")) if each}
        if tag == "a" and said.get("href"):
            self.links.append(said["href"] or "")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built as `make docs` builds it, in a folder of its own."""
    folder = tmp_path_factory.mktemp("site")
    argv = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html", "-d", str(folder / "doctrees")]
    done = subprocess.run([*argv, "docs", str(folder / "html")], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "html"


def test_every_link_of_the_site_leads_somewhere(site: Path) -> None:
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in site.rglob("*.html")}
    assert site / "index.html" in pages
    lost = []
    for path, page in pages.items():
        for link in page.links:
            target, place = urldefrag(link)
            if re.match(r"[a-z]+:", target):
                continue
            there = (path.parent / unquote(target)).resolve() if target else path
            if not there.exists() or (there in pages and unquote(place) not in pages[there].places):
                lost.append(f"{path.relative_to(site)}: {link}")
    assert not lost


def test_the_site_has_every_section_and_command(site: Path) -> None:
    said = {
        name: (site / "reference" / f"{name}.html").read_text() for name in ("configuration", "commands", "plugins")
    }
    sections = Page(said["configuration"]).places
    assert {"network-name", "gateway-name-proxy-tls", "timing"} <= sections
    for name in main.commands:
        assert f"zonehookctl-{name}" in Page(said["commands"]).places
    for name in finding.bundled():
        assert name.replace("_", "-") in Page(said["plugins"]).places


def test_every_option_says_what_it_means() -> None:
    assert configuration.undescribed() == []


def test_the_table_of_options_in_the_plugins_readme_is_right() -> None:
    text = (ROOT / "plugins" / "README.md").read_text(encoding="utf-8")
    assert configuration.options_table() in text, (
        "docs/_ext/configuration.py options_table() says what is to stand there"
    )


def test_every_verb_says_the_shape_of_its_answer() -> None:
    answers = dict(wire.answers())
    assert set(answers) == set(get_args(Verb))
    assert [verb for verb, (shape, _) in answers.items() if shape is BaseModel] == []


def test_every_attribute_and_option_of_a_route_is_told() -> None:
    text = (ROOT / "docs" / "reference" / "attributes.md").read_text(encoding="utf-8")
    for name in (f"{attach.ATTRIBUTE}N", rows.ATTRIBUTE, attach.PROVISION, attach.PROVISIONED, DEPENDS):
        assert f"`{name}`" in text, name
    told = set(re.findall(r"^\| `([a-z]+)=", text, re.MULTILINE))
    assert told == set(offers._OPTIONS)


def test_exit_codes_that_a_command_names_are_known() -> None:
    named = {int(code) for code in re.findall(r"\b[Ee]xit (\d+)", command_line.commands())}
    assert named and named <= set(EXIT_CODES)


def test_a_section_ends_where_the_next_one_begins() -> None:
    limits = readme.section("README.md", "What is not there yet")
    assert limits.startswith("- ") and "## " not in limits and "](" not in limits
    assert "[plugins]" in readme.section("plugins/README.md", "Using one"), "a comment in TOML is no heading"
    with pytest.raises(KeyError, match="no section 'Nowhere'"):
        readme.section("README.md", "Nowhere")
