"""Where plugins are found, in three shapes, and who may change them. Nothing here runs a plugin's code.

A folder with `plugin.py`, a folder with an executable file `plugin`, or a Python package with an entry point in group
``zonehookd.plugins``. What is not our own runs in a process of its own, and is imported there only.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import os
import re
import sysconfig
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Literal

from zonehookd.errors import PluginRefused
from zonehookd.host.files import Stamp, stamp

Shape = Literal["folder", "executable", "package", "hook"]
GROUP = "zonehookd.plugins"  # of entry points
_CODE, _PROGRAM = "plugin.py", "plugin"
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}")  # it becomes part of a socket's name, which may have some hundred bytes
NAME_RULE = "a name is at most 40 lower-case letters, digits, _ and -, and begins with a letter"


@dataclass(frozen=True, slots=True)
class Found:
    """`path`: the folder; of a package, where it is installed, for people. `bundled`: our own, runs in the daemon.
    A file of hooks has the shape ``hook``, and is found by who keeps hooks."""

    name: str
    shape: Shape
    path: Path
    bundled: bool = False

    @property
    def code(self) -> Path:
        """The file that is loaded or run; of a package, where it is installed."""
        files = {"folder": self.path / _CODE, "executable": self.path / _PROGRAM}
        return files.get(self.shape, self.path)

    def __str__(self) -> str:
        return f"the package in {self.path}" if self.shape == "package" else str(self.path)


def is_name(name: str) -> bool:
    """As NAME_RULE says."""
    return _NAME.fullmatch(name) is not None


def bundled_folder() -> Path:
    """Our own plugins: beside the package in a checkout, below share/ when installed."""
    checkout = Path(__file__).resolve().parents[2] / "plugins"
    if (checkout / "vnic" / _CODE).exists():
        return checkout
    return Path(sysconfig.get_path("data")) / "share" / "zonehookd" / "plugins"


def bundled() -> Mapping[str, Found]:
    """Our own, by name."""
    return {each.name: each for each in _in(bundled_folder(), bundled=True)}


def find(folders: Iterable[Path]) -> Mapping[str, Found]:
    """By name; the bundled ones first. What bears no name that a plugin may have is none. Raises PluginRefused for a
    folder that is not there, and for a name found twice."""
    found: dict[str, Found] = {}
    for each in (
        *_in(bundled_folder(), bundled=True),
        *(one for folder in folders for one in _in(folder)),
        *_packages(),
    ):
        if each.name in found:
            raise PluginRefused(
                f"plugin {each.name}: both {found[each.name]} and {each} are it", hint="rename or remove one of the two"
            )
        found[each.name] = each
    return found


def of_path(path: Path) -> Found:
    """The plugin in this folder, or of this file in it, wherever it lies. Raises PluginRefused."""
    folder = path.resolve()
    if not folder.exists():
        raise PluginRefused(f"{folder} is not there")
    folder = folder if folder.is_dir() else folder.parent
    shape = _shape(folder)
    if shape is None:
        raise PluginRefused(f"{folder} is no plugin: {_why_none(folder)}")
    if not _NAME.fullmatch(folder.name):
        raise PluginRefused(f"{folder} is no plugin: {NAME_RULE}", hint="rename the folder")
    return Found(folder.name, shape, folder, bundled=folder.parent == bundled_folder())


def entry_point(name: str) -> EntryPoint | None:
    """Of the package that is plugin `name`."""
    return next(iter(entry_points(group=GROUP, name=name)), None)


def missing(name: str, found: Mapping[str, Found], folders: Iterable[Path]) -> PluginRefused:
    """Why there is no plugin of that name, as an error to raise."""
    for folder in folders:
        if (folder / name).is_dir():
            return PluginRefused(f"plugin {name!r} is not there: {folder / name}: {_why_none(folder / name)}")
    return PluginRefused(f"plugin {name!r} is not there", hint=nearest(name, found))


def nearest(name: str, known: Iterable[str]) -> str:
    """For a hint."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, 1)
    return f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(names) or 'none'}"


def stamps(found: Found) -> Mapping[Path, Stamp]:
    """Of all files that make up its code: they differ when it was changed. Raises OSError."""
    files = sorted(file for file in _files(found) if "__pycache__" not in file.parts)
    return {file: there for file in files if (there := stamp(file)) is not None}


def unsafe(found: Found) -> Iterator[str]:
    """What somebody else could change, when we are root: one complaint each, with its cure. An ordinary user answers
    for what it runs itself."""
    if os.geteuid() != 0:
        return
    ours = {0, Path(__file__).stat().st_uid}
    files = {*_files(found)}
    roots = {root.parent for root in _roots(found)}  # whoever may write there may put another in its place
    above = {folder for file in files for folder in file.parents}
    places = files | {folder for folder in above if not roots.isdisjoint((folder, *folder.parents))}
    places |= {place.resolve().parent for place in places if place.is_symlink()}  # likewise, behind the link
    for place in sorted(places):
        there = place.stat()
        if there.st_mode & 0o022 or there.st_uid not in ours:
            yield (
                f"plugin {found.name}: {place} could be changed by somebody else than root "
                f"(hint: chown root {place}; chmod go-w {place})"
            )


def _in(folder: Path, *, bundled: bool = False) -> Iterator[Found]:
    if not folder.is_dir():
        raise PluginRefused(
            f"plugin folder {folder} is not there", hint=f"mkdir -p {folder}, or take it out of folders"
        )
    for candidate in sorted(folder.iterdir()):
        shape = _shape(candidate) if _NAME.fullmatch(candidate.name) else None
        if shape is not None:
            yield Found(candidate.name, shape, candidate, bundled)


def _shape(folder: Path) -> Shape | None:
    program = folder / _PROGRAM
    if (folder / _CODE).is_file():
        return "folder"
    return "executable" if program.is_file() and os.access(program, os.X_OK) else None


def _why_none(folder: Path) -> str:
    if not _NAME.fullmatch(folder.name):
        return NAME_RULE
    program = folder / _PROGRAM
    if program.is_file():
        return f"{program} is not executable (hint: chmod +x {program})"
    if (folder / "pyproject.toml").is_file():
        return f"a package is found by its entry point (hint: pip install {folder}, and give its name, not its folder)"
    return f"it has neither a {_CODE} nor an executable file {_PROGRAM}"


def _packages() -> Iterator[Found]:
    """Read from what is installed beside us, not imported."""
    for point in entry_points(group=GROUP):
        if point.dist is not None:
            yield Found(point.name, "package", Path(str(point.dist.locate_file(""))))


def _files(found: Found) -> Iterator[Path]:
    for root in _roots(found):
        yield from (each for each in (root.rglob("*") if root.is_dir() else (root,)) if each.is_file())


def _roots(found: Found) -> Iterator[Path]:
    """Files and folders that it is made of; of a package, its own top level, and what says that it is installed."""
    if found.shape != "package":
        yield found.path
        return
    point = entry_point(found.name)
    if point is None or point.dist is None:
        return
    for file in point.dist.files or ():
        if (place := Path(str(file.locate()))).is_file():
            yield place
    importlib.invalidate_caches()
    spec = importlib.util.find_spec(point.module.partition(".")[0])  # of a top-level name, it imports nothing
    if spec is not None:
        yield from map(
            Path, spec.submodule_search_locations or ([spec.origin] if spec.has_location and spec.origin else [])
        )
