"""Plugins are found in three shapes; a name found twice is refused, and so is code that others may write."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from zonehookd.errors import PluginRefused
from zonehookd.plugin import finding, loader
from zonehookd.plugin.finding import Found


def folder(where: Path, name: str, file: str = "plugin.py", mode: int = 0o644) -> Path:
    place = where / name
    place.mkdir(parents=True, exist_ok=True)
    place.chmod(0o755)  # whatever the umask
    (place / file).write_text("#!/bin/sh\n")
    (place / file).chmod(mode)
    return place


def package(
    site: Path, name: str = "cards", value: str = "cards_of_zones:Cards", distribution: str = "zone-cards"
) -> Path:
    """As pip leaves one behind, without pip: a module, and what is known of its distribution."""
    site.mkdir(exist_ok=True)
    info = site / f"{distribution.replace('-', '_')}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[zonehookd.plugins]\n{name} = {value}\n")
    (info / "RECORD").write_text(f"cards_of_zones.py,,\n{info.name}/METADATA,,\n{info.name}/entry_points.txt,,\n")
    (site / "cards_of_zones.py").write_text("raise SystemExit('nobody may import this here')\n")
    for each in (site, *site.rglob("*")):
        each.chmod(0o755 if each.is_dir() else 0o644)  # whatever the umask
    return info


def test_ours_are_found_first_and_known_as_ours(tmp_path: Path) -> None:
    folder(tmp_path, "cards")
    found = finding.find([tmp_path])
    assert found["cards"] == Found("cards", "folder", tmp_path / "cards")
    assert found["vnic"].bundled and found["vnic"].shape == "folder"
    assert {name for name, each in found.items() if each.bundled} == finding.bundled().keys()


def test_a_program_is_one_if_it_is_executable(tmp_path: Path) -> None:
    folder(tmp_path, "cards", "plugin", 0o755)
    folder(tmp_path, "stale", "plugin", 0o644)
    folder(tmp_path, "both")
    folder(tmp_path, "both", "plugin", 0o755)
    folder(tmp_path, "notes", "README")
    found = finding.find([tmp_path])
    assert found["cards"] == Found("cards", "executable", tmp_path / "cards")
    assert found["cards"].code == tmp_path / "cards" / "plugin"
    assert found["both"].shape == "folder"
    assert not {"stale", "notes"} & found.keys()


def test_a_package_is_found_without_importing_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package(tmp_path / "site")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    assert finding.find([])["cards"] == Found("cards", "package", tmp_path / "site")
    assert str(finding.find([])["cards"]) == f"the package in {tmp_path / 'site'}"
    point = finding.entry_point("cards")
    assert point is not None and point.value == "cards_of_zones:Cards"


def test_one_name_twice_is_refused_with_both_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder(tmp_path / "a", "cards")
    folder(tmp_path / "b", "cards", "plugin", 0o755)
    with pytest.raises(PluginRefused) as refusal:
        finding.find([tmp_path / "a", tmp_path / "b"])
    assert f"plugin cards: both {tmp_path}/a/cards and {tmp_path}/b/cards are it" in str(refusal.value)
    package(tmp_path / "site")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    with pytest.raises(PluginRefused, match=f"both {tmp_path}/a/cards and the package in {tmp_path}/site are it"):
        finding.find([tmp_path / "a"])


def test_a_copy_that_an_editor_leaves_is_no_plugin(tmp_path: Path) -> None:
    for name in ("cards", "cards.orig", "Cards", "c" * 41):
        folder(tmp_path, name)
    assert [name for name, each in finding.find([tmp_path]).items() if not each.bundled] == ["cards"]


@pytest.mark.parametrize(
    ("name", "file", "said"),
    [
        ("vnci", "", "plugin 'vnci' is not there (hint: did you mean 'vnic'?)"),
        ("cards", "plugin", "/cards/plugin is not executable (hint: chmod +x "),
        ("cards", "README", "it has neither a plugin.py nor an executable file plugin"),
        ("Cards", "plugin.py", "a name is at most 40 lower-case letters, digits, _ and -, and begins with a letter"),
    ],
)
def test_what_is_not_there_is_said_with_why(tmp_path: Path, name: str, file: str, said: str) -> None:
    if file:
        folder(tmp_path, name, file)
    assert said in str(finding.missing(name, finding.find([tmp_path]), [tmp_path]))
    with pytest.raises(PluginRefused) as refusal:
        loader.load([tmp_path], [name], {})
    assert said in str(refusal.value)


def test_a_path_is_a_plugin_wherever_it_lies(tmp_path: Path) -> None:
    place = folder(tmp_path, "cards")
    assert finding.of_path(place) == finding.of_path(place / "plugin.py") == Found("cards", "folder", place)
    assert finding.of_path(finding.bundled_folder() / "vnic").bundled
    with pytest.raises(PluginRefused, match="is no plugin: it has neither"):
        finding.of_path(tmp_path)
    with pytest.raises(PluginRefused, match="hint: rename the folder"):
        finding.of_path(folder(tmp_path, "Cards"))


def test_its_stamps_differ_when_any_file_of_it_was_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = folder(tmp_path, "cards")
    found = finding.of_path(place)
    before = finding.stamps(found)
    folder(place, "__pycache__", "x.pyc")
    assert finding.stamps(found) == before
    (place / "rules.py").write_text("A = 1\n")
    assert finding.stamps(found) != before

    info = package(tmp_path / "site")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    installed = finding.find([])["cards"]
    before = finding.stamps(installed)
    assert {file.name for file in before} == {"cards_of_zones.py", "METADATA", "entry_points.txt"}
    (info / "entry_points.txt").write_text("[zonehookd.plugins]\ncards = cards_of_zones:More\n")
    assert finding.stamps(installed) != before


def test_root_runs_nothing_that_others_may_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = folder(tmp_path, "cards")
    folder(place, "__pycache__", "x.pyc")
    found = finding.of_path(place)
    (place / "__pycache__").chmod(0o777)
    (place / "plugin.py").chmod(0o666)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(finding, "__file__", str(tmp_path))  # as if we were whose files these are
    assert list(finding.unsafe(found)) == [
        f"plugin cards: {each} could be changed by somebody else than root (hint: chown root {each}; chmod go-w {each})"
        for each in (place / "__pycache__", place / "plugin.py")
    ]
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert not list(finding.unsafe(found))


def test_root_imports_no_package_that_others_may_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package(tmp_path / "site")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    found = finding.find([])["cards"]
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(finding, "__file__", str(tmp_path))  # as if we were whose files these are
    assert not list(finding.unsafe(found))
    (tmp_path / "site" / "cards_of_zones.py").chmod(0o664)
    (complaint,) = finding.unsafe(found)
    assert "cards_of_zones.py could be changed" in complaint
    assert loader.complaints(found, {}) == [complaint]


def test_root_follows_no_link_to_where_others_may_put_something_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = folder(tmp_path, "cards")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o755)
    (place / "plugin.py").rename(elsewhere / "cards.py")
    (place / "plugin.py").symlink_to(elsewhere / "cards.py")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(finding, "__file__", str(tmp_path))  # as if we were whose files these are
    assert not list(finding.unsafe(finding.of_path(place)))
    elsewhere.chmod(0o777)
    (complaint,) = finding.unsafe(finding.of_path(place))
    assert f"{elsewhere} could be changed by somebody else" in complaint
