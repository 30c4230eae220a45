"""`zonehookctl plugin check` and `options`: every complaint at once, each line with its cure; no daemon."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from zonehookd import __main__ as daemon
from zonehookd import scaffold
from zonehookd.authoring import checking, purity
from zonehookd.cli.main import main
from zonehookd.plugin import finding

BAD = """
import time
from pathlib import Path
from zonehookd.plugin import HostReader, Plan, PluginOptions, WriteFile, ZonePlugin, ZoneView

class Bad(ZonePlugin[None]):
    name = "bad"
    class Options(PluginOptions):
        colour: str = "red"
    async def observ(self, zone: ZoneView, host: HostReader) -> None: ...
    async def plan(self, zone: ZoneView) -> Plan:
        return Plan((WriteFile(Path("/x"), str(time.time()), "now"),))
"""
CARDS = """
from pathlib import Path
from zonehookd.plugin import HostReader, Plan, WriteFile, ZonePlugin, ZoneView, nothing

class Cards(ZonePlugin[str | None]):
    name = "{name}"
    after = {after}
    async def observe(self, zone: ZoneView, host: HostReader) -> str | None:
        return host.read_file(Path("/var/card"))
    def plan(self, zone: ZoneView, seen: str | None) -> Plan:
        return nothing("as it is") if seen == "card" else Plan((WriteFile(Path("/var/card"), "card", "a card"),))
"""


def check(*words: str, config: Path | None = None) -> Result:
    return CliRunner().invoke(main, [*(("--config", str(config)) if config else ()), "plugin", *words])


def folder(at: Path, name: str, code: str) -> Path:
    """Others may not write to it, whatever our umask."""
    (at / name).mkdir(mode=0o755)
    (at / name / "plugin.py").write_text(code)
    (at / name / "plugin.py").chmod(0o644)
    return at / name


@pytest.fixture
def site(tmp_path: Path) -> Path:
    config = tmp_path / "zonehookd.toml"
    (tmp_path / "plugins").mkdir(mode=0o755)
    config.write_text(f'[plugins]\nfolders = ["{tmp_path}/plugins"]\nalso = []\n')
    return config


def enable(config: Path, *names: str, more: str = "") -> None:
    config.write_text(config.read_text().replace("also = []", f"also = {json.dumps(list(names))}\n{more}"))


def test_everything_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    done = check("check", str(folder(tmp_path, "bad", BAD)), "-o", "color=blue")
    assert done.exit_code == 1
    said = done.output.splitlines()
    assert [line for line in said if "observe is missing" in line and "is 'observ' it?" in line]
    assert [line for line in said if "plan(self" in line and "must take" in line]
    assert [line for line in said if "plan must not be async" in line]
    assert [line for line in said if "color: no such option" in line and "did you mean 'colour'?" in line]
    assert [line for line in said if line.startswith("remark: ") and "plan calls time.time" in line]


@pytest.mark.parametrize(
    ("code", "smells"),
    [
        ("time.monotonic()", True),
        ("datetime.now()", True),
        ("Path('/etc/hosts').read_text()", True),
        ("open('/etc/hosts')", True),
        ("os.listdir('/')", True),
        ("subprocess.run(['id'])", True),
        ("os.path.join('/a', 'b')", False),
        ("datetime.fromtimestamp(0)", False),
        ("sorted(zone.attachments)", False),
    ],
)
def test_what_smells(code: str, smells: bool, tmp_path: Path) -> None:
    plan = f"class A(ZonePlugin[None]):\n    def plan(self, zone, seen):\n        x = {code}\n        return Plan(())\n"
    found = finding.of_path(folder(tmp_path, "one", plan))
    assert bool(list(purity.smells(found))) == smells


@pytest.mark.parametrize(
    ("line", "inner"),
    [
        ("from zonehookd.engine import dispatcher", True),
        ("from zonehookd import engine", True),
        ("import zonehookd.engine.look", True),
        ("from zonehookd.plugin import Plan", False),
        ("from zonehookd import testing", False),
        ("from .engine import look", False),
        ("import zonehookd_engine", False),
    ],
)
def test_an_import_that_does_not_stay_as_it_is(line: str, inner: bool, tmp_path: Path) -> None:
    remarks = list(purity.smells(finding.of_path(folder(tmp_path, "one", f"{line}\n"))))
    assert bool(remarks) == inner
    assert all("imports zonehookd.engine" in each and "plugin.py:1" in each for each in remarks)


def test_a_good_one_is_good_in_any_shape(tmp_path: Path) -> None:
    for shape in ("folder", "executable"):
        scaffold.write(f"my-{shape}", shape, "zone", tmp_path)  # type: ignore[arg-type]
        done = check("check", f"{tmp_path}/my-{shape}")
        assert (done.exit_code, done.output) == (0, f"my-{shape}: good\n")


def test_its_options_are_documented_from_themselves(tmp_path: Path) -> None:
    for shape in ("folder", "executable"):
        scaffold.write(f"my-{shape}", shape, "zone", tmp_path)  # type: ignore[arg-type]
        done = check("options", f"{tmp_path}/my-{shape}")
        assert done.exit_code == 0, done.output
        row = done.output.splitlines()[1].split(maxsplit=3)
        assert row == ["file", "string", f'"/var/run/zonehookd/my-{shape}.txt"', "where its lines are written"]
    done = check("options", "dnsmasq")
    assert "pause between two restarts" in done.output


def test_all_that_are_enabled_and_all_of_them_together(site: Path) -> None:
    assert check("check", config=site).output == "no plugins that are not ours: good\n"
    plugins = site.parent / "plugins"
    for name, after in (("one", '("two",)'), ("two", '("one", "vnic")'), ("three", '("for",)'), ("four", "()")):
        folder(plugins, name, CARDS.format(name=name, after=after))
    folder(plugins, "bad", BAD)
    enable(site, "one", "two", "three", "four", "bad")
    done = check("check", config=site)
    said = done.output.splitlines()
    assert done.exit_code == 1
    assert [line for line in said if line.startswith("plugin bad: observe is missing")]
    assert [line for line in said if "comes after 'for', which is not enabled (hint: did you mean 'four'?)" in line]
    assert [line for line in said if "plugins wait for each other: one after two after one" in line] or [
        line for line in said if "plugins wait for each other: two after one after two" in line
    ]
    assert [line for line in said if line.startswith("plugins one and two: both write /var/card (hint: ")]
    done = CliRunner().invoke(daemon.main, ["--check", "--config", str(site)])
    assert done.exit_code == daemon.EXIT_CONFIG
    assert f"{site}: plugin bad: observe is missing" in done.output


def test_names_that_are_not_there(site: Path) -> None:
    folder(site.parent / "plugins", "cards", CARDS.format(name="cards", after="()"))
    assert check("check", "cards", config=site).output == "cards: good\n"
    done = check("check", "card", config=site)
    assert (done.exit_code, "did you mean 'cards'?" in done.output) == (1, True)
    enable(site, "card")
    done = check("check", config=site)
    assert (done.exit_code, "did you mean 'cards'?" in done.output) == (1, True)


def test_folders_that_are_no_plugin(tmp_path: Path) -> None:
    done = check("check", str(tmp_path / "none"))
    assert (done.exit_code, done.output) == (1, f"zonehookctl: {tmp_path}/none is not there\n")
    scaffold.write("mine", "package", "zone", tmp_path)
    done = check("check", str(tmp_path / "mine"))
    assert done.exit_code == 1
    assert f"(hint: pip install {tmp_path}/mine, and give its name, not its folder)" in done.output


def test_one_that_is_not_enabled_is_not_passed_over(site: Path) -> None:
    folder(site.parent / "plugins", "cards", CARDS.format(name="cards", after="()"))
    done = check("check", config=site)
    assert done.exit_code == 0
    assert done.output.splitlines() == [
        "no plugins that are not ours: good",
        "not enabled, and not looked at: cards (hint: name them in [plugins] also)",
    ]


def test_one_that_comes_after_itself(tmp_path: Path) -> None:
    done = check("check", str(folder(tmp_path, "cards", CARDS.format(name="cards", after='("cards",)'))))
    assert (done.exit_code, done.output) == (1, "plugin cards: comes after itself (hint: take it out of `after`)\n")


def test_a_syntax_error_is_said_with_its_place_once(tmp_path: Path) -> None:
    (said,) = check("check", str(folder(tmp_path, "cards", "x = 1\ndef broken(:\n"))).output.splitlines()
    assert said.endswith(f"cannot be imported: SyntaxError('invalid syntax') ({tmp_path}/cards/plugin.py:2)")


def test_a_user_that_is_not_there_is_said_without_our_own_command_line(site: Path) -> None:
    folder(site.parent / "plugins", "cards", CARDS.format(name="cards", after="()"))
    enable(site, "cards", more='[plugins.run.cards]\nuser = "nobody-of-that-name"\n')
    done = check("check", config=site)
    assert (done.exit_code, done.output) == (
        1, "plugin cards: its process was not begun: there is no user 'nobody-of-that-name'\n"
    )  # fmt: skip


def test_one_that_waits_while_it_is_imported_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checking, "_LOADS_S", 0.2)
    (said,) = check("check", str(folder(tmp_path, "cards", "import time\ntime.sleep(600)\n"))).output.splitlines()
    assert said.startswith("plugin cards: it was not loaded within 0.2 s, and was stopped (hint: ")


def test_one_that_does_not_come_to_an_end_of_its_own(tmp_path: Path) -> None:
    done = check("check", str(folder(tmp_path, "ends", "import os\nos._exit(3)\n")))
    assert (done.exit_code, done.output) == (1, "plugin ends: it ended while it was loaded, with 3: without a word\n")
