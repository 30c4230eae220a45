"""The table of commands, zonehookd/illumos/COMMANDS.md, against the code: what is built, and what runs in stories."""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path, PurePath
from xml.etree import ElementTree

import pytest
from command_builders import Command, builders, built, elsewhere, gate_program, literals, users
from command_proxies import served_by_nginx
from command_stories import Account, Ran, gateways_come_and_go, served_by_haproxy, served_by_the_host
from command_table import ROOT, Row, Said, cells_under, fits, matches, programs_of, rows, said
from lab.world import Dialect

from zonehookd.gate import brands
from zonehookd.illumos import zlogin
from zonehookd.model.command import Change

TABLE = rows()
NOBODY = {"nobody"}
PLUGINS = {file.parent.name for file in (ROOT / "plugins").glob("*/plugin.py")}
REFERENCE = re.compile(
    r"(?:(?:zones|network|services) sheet \d(?:\.\d+)?(?:, \d(?:\.\d+)?)*|POSIX)"
    r"(?:; (?:(?:zones|network|services) sheet \d(?:\.\d+)?(?:, \d(?:\.\d+)?)*|POSIX))*"
)
BRAND = b"""<?xml version="1.0"?>
<!DOCTYPE brand PUBLIC "-//Sun Microsystems Inc//DTD Brands//EN" "file:///usr/share/lib/xml/dtd/brand.dtd.1">
<brand name="sparse">
  <initname>/sbin/init</initname><login_cmd>/bin/login</login_cmd><forcedlogin_cmd>/bin/login</forcedlogin_cmd>
  <user_cmd>/bin/getent</user_cmd><install>/bin/true</install>
  <prestatechange>/usr/lib/brand/sparse/prestate %z %R</prestatechange>
  <poststatechange></poststatechange>
  <privilege set="default" name="all" />
</brand>
"""


def row_of(command: Said) -> Row:
    """The one row that it fits."""
    found = [row for row in TABLE if fits(row, command)]
    assert len(found) == 1, f"{command} fits {[row.form for row in found] or 'no row'}"
    return found[0]


def kind(command: Command) -> str:
    return "change" if isinstance(command, Change) else "look"


def everything_built() -> dict[str, list[Command]]:
    return {**built(), **gate_program()}


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[set[Ran]]:
    with pytest.MonkeyPatch.context() as patch:
        account = Account(patch)
        for dialect in Dialect:
            gateways_come_and_go(tmp_path_factory.mktemp("story"), dialect)
            served_by_nginx(tmp_path_factory.mktemp("nginx"), dialect)
        served_by_the_host(tmp_path_factory.mktemp("host"))
        served_by_haproxy(tmp_path_factory.mktemp("haproxy"))
        yield account.ran


# -- the table itself ------------------------------------------------------------------------------------------------


def test_a_form_matches_its_commands_and_no_others() -> None:
    def like(form: str, *words: str) -> bool:
        return matches(form, words)

    vnic = "dladm create-vnic -l OVER [-v VID] NAME"
    assert like(vnic, "dladm", "create-vnic", "-l", "a0", "b0")
    assert like(vnic, "dladm", "create-vnic", "-l", "a0", "-v", "7", "b0")
    assert not like(vnic, "dladm", "create-vnic", "-l", "a0"), "a word is missing"
    assert not like(vnic, "dladm", "create-vnic", "-l", "a0", "-t"), "an option is no name"
    assert not like(vnic, "dladm", "create-vnic", "-l", "a0", "b0", "c0")
    assert like("x [-p GROUP]… FMRI…", "x", "f") and like("x [-p GROUP]… FMRI…", "x", "-p", "a", "-p", "b", "f", "g")
    assert like("x -o a[,b] IF/NAME", "x", "-o", "a,b", "p/q")
    assert not like("x -o a[,b] IF/NAME", "x", "-o", "a,c", "p/q")
    edit = "zonecfg 'add net; set physical=LINK; [set a=VALUE; ]end'"
    assert like(edit, "zonecfg", "add net; set physical=l0; set a=1; end")
    assert not like(edit, "zonecfg", "add net; set physical=l0; end; delete -F; end"), "one value, not more commands"
    assert not like(edit, "zonecfg", "add", "net; set physical=l0; end")


def test_each_row_says_what_it_needs_and_what_it_rests_on() -> None:
    legend = {cells[0] for cells in cells_under(("needs", "is"))}
    others = list(cells_under(("form", "run by", "needs", "rests on")))
    needed = {need for row in TABLE for need in row.needs} | {cells[2] for cells in others}
    assert needed == legend
    for text in [row.rests_on for row in TABLE] + [cells[3] for cells in others]:
        assert REFERENCE.fullmatch(text), text
    assert len({row.form for row in TABLE}) == len(TABLE)


# -- what can be built -----------------------------------------------------------------------------------------------


def test_every_builder_is_called() -> None:
    assert {name.partition(" ")[0] for name in built()} == builders()


def test_what_is_built_elsewhere_is_tried_too() -> None:
    """A command made beside its use, of words that no reader of the source knows, has its row all the same."""
    assert elsewhere() == gate_program().keys()


@pytest.mark.parametrize("name", sorted(everything_built()))
def test_what_is_built_fits_one_row(name: str) -> None:
    for command in everything_built()[name]:
        row = row_of(said(command.argv))
        assert kind(command) in row.does, f"{row.form} {sorted(row.does)}"


def test_no_command_is_spelled_out_that_has_no_row() -> None:
    known = {row.command for row in TABLE} | {shlex.split(cells[0])[0].strip("`") for cells in outside()}
    found = list(literals())
    assert found and not [f"{file.relative_to(ROOT)}: {word}" for file, word in found if word not in known]


def test_every_row_names_those_who_run_it() -> None:
    """Read from the source. A server's own test is run by the plugin of that server."""
    who: dict[str, set[str]] = {row.form: set() for row in TABLE}
    for name, commands in built().items():
        for command in commands:
            row = row_of(said(command.argv))
            who[row.form] |= {row.command} if name == "served.test" else users()[name]
    for name, commands in gate_program().items():
        for command in commands:
            who[row_of(said(command.argv)).form].add(PurePath(name).parts[1])
    for file, word in literals():
        part = file.relative_to(ROOT).parts[1]
        if part not in ("illumos", "plugin", "warden"):
            for row in TABLE:
                who[row.form] |= {part} if row.command == word else set()
    for row in TABLE:
        expected = who[row.form] or NOBODY
        assert row.who == expected, f"{row.form}: {', '.join(sorted(expected))}"


# -- what runs -------------------------------------------------------------------------------------------------------


def test_what_runs_fits_one_row_that_names_who_ran_it(ran: set[Ran]) -> None:
    for each in ran:
        row = row_of(each.command)
        assert each.kind in row.does, f"{each} {row.form}"
        assert row.who != NOBODY and each.who in {"", *row.who}, f"{each} {row.form}"


def test_every_row_of_a_plugin_runs_in_some_story(ran: set[Ran]) -> None:
    run_by: dict[str, set[str]] = {}
    for each in ran:
        run_by.setdefault(row_of(each.command).form, set()).add(each.who)
    idle = [row.form for row in TABLE if row.who & PLUGINS and not run_by.get(row.form, set()) & row.who]
    assert idle == []


def test_no_row_and_no_part_of_one_is_dead(ran: set[Ran]) -> None:
    """Each row has its commands, in each place it says; with each bracket filled, and with it empty."""
    commands = {said(command.argv) for every in everything_built().values() for command in every}
    commands |= {each.command for each in ran}
    for row in TABLE:
        mine = [command for command in commands if fits(row, command)]
        assert {command.place for command in mine} == row.places, row.form
        for bracket in re.finditer(r"(?:\s?\[[^\]]*[^\] ]\]|\[[^\]]* \])…?", row.form):
            before, after = row.form[: bracket.start()], row.form[bracket.end() :]
            filled = before + bracket[0].replace("[", "").replace("]", "").replace("…", "") + after
            for form in (before + after, filled):
                assert any(matches(form, command.words) for command in mine), f"nothing is like {form}"


def test_the_scripts_run_the_programs_that_are_listed() -> None:
    scripts = {"_READ": programs_of(zlogin._READ), "_WRITE": programs_of(zlogin._WRITE)}
    listed = {
        cells[0].strip("`"): set(re.findall(r"`(\w+)`", cells[1])) for cells in cells_under(("program", "script"))
    }
    assert listed == {
        program: {name for name, every in scripts.items() if program in every}
        for program in scripts["_READ"] | scripts["_WRITE"]
    }


# -- what others run -------------------------------------------------------------------------------------------------


def outside() -> list[list[str]]:
    return list(cells_under(("form", "run by", "needs", "rests on")))


def run_by_a_gated_brand(folder: Path) -> Iterator[tuple[str, ...]]:
    """What becomes of the texts of its hooks when illumos' shell runs them (zones sheet 5.1)."""
    gate = folder / "gate"
    gate.write_text('#!/bin/sh\nprintf "%s\\n" "$0" "$@"\n')
    gate.chmod(0o755)
    gated = ElementTree.fromstring(brands.gated(BRAND, str(gate), "/var/run/zonehookd"))  # noqa: S314 - it is ours
    for hook in brands.HOOKS:
        argv = ["sh", "-c", f"exec {gated.findtext(hook)} 2 0"]
        yield tuple(subprocess.run(argv, capture_output=True, text=True, check=True).stdout.splitlines())


def run_by_others(folder: Path) -> Iterator[tuple[str, ...]]:
    """The hooks of a gated brand, the lines of the manifest, the method and logadm, and what the warden asks."""
    yield from run_by_a_gated_brand(folder)
    smf = ROOT / "smf"
    for line in re.findall(r"exec='([^']*)'", (smf / "zonehookd.xml").read_text()):
        yield tuple(line.split())
    method = (smf / "svc-zonehookd").read_text()
    warden = re.search(r"^warden\(\) \{.*?\n(.*?)^\}", method, re.DOTALL | re.MULTILINE)
    assert warden is not None, method
    for text in (warden[1].replace("\\\n", " "), *re.findall(r"\$\((svc.*?)\)", method)):
        plain = re.sub(r'"\$\([^)]*\)"|\$\w+(?=["/])', "x", text)
        yield tuple(word for word in shlex.split(plain) if not word.startswith(("2>", ">")))
    rotated = re.search(r"-a '([^']*)'", (smf / "logadm.conf").read_text())
    assert rotated is not None
    yield tuple(rotated[1].split())
    for node in ast.walk(ast.parse((ROOT / "zonehookd" / "warden" / "watch.py").read_text())):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "_asked":
            words = node.args[0]
            assert isinstance(words, ast.List)
            yield tuple(str(each.value) if isinstance(each, ast.Constant) else "x" for each in words.elts)


def test_what_others_run_has_its_row_too(tmp_path: Path) -> None:
    forms = [cells[0].strip("`") for cells in outside()]
    used = set()
    for argv in run_by_others(tmp_path):
        words = (PurePath(argv[0]).name, *argv[1:])
        found = [form for form in forms if matches(form, words)]
        assert len(found) == 1, f"{words} fits {found}"
        used.update(found)
        if "--" in words and words[0] == "zonehookd-warden":
            used.add("zonehookd --config FILE")
            assert len(words[words.index("--") + 1 :]) == 3
    assert used == set(forms)
