"""Finds plugin folders, imports them, checks each against the contract, and puts them in order.

A plugin is a folder with a `plugin.py` that defines one subclass of ZonePlugin, NetworkPlugin or
GatewayPlugin, named as the folder.
What does not fit is refused with plugin, method and rule: a misspelled method is never silently ignored.
"""

from __future__ import annotations

import difflib
import graphlib
import importlib.util
import inspect
import os
import sys
import sysconfig
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import ValidationError

from zonehookd.errors import PluginRefused
from zonehookd.plugin.contract import API, AnyPlugin, GatewayPlugin, NetworkPlugin, PluginOptions, ZonePlugin

_BASES = (ZonePlugin, NetworkPlugin, GatewayPlugin)
_METHODS = {"observe": 3, "plan": 3, "reclaim": 3, "concerns": 3}  # parameters, self included
_OPTIONAL, _PLAIN = ("reclaim", "concerns"), ("plan", "concerns")
_ATTRIBUTES = {"name", "after", "api", "kind", "Options", "options", "bundled", "asks_each", "beside", "apart"}


def bundled_folder() -> Path:
    """Our own plugins: beside the package in a checkout, below share/ when installed."""
    checkout = Path(__file__).resolve().parents[2] / "plugins"
    if (checkout / "vnic" / "plugin.py").exists():
        return checkout
    return Path(sysconfig.get_path("data")) / "share" / "zonehookd" / "plugins"


def find(folders: Iterable[Path]) -> Mapping[str, Path]:
    """name -> folder; the bundled ones first, and a name found twice is refused."""
    found: dict[str, Path] = {}
    for folder in (bundled_folder(), *folders):
        if not folder.is_dir():
            raise PluginRefused(f"plugin folder {folder} is not there", hint="see [plugins] folders")
        for candidate in sorted(folder.iterdir()):
            if (candidate / "plugin.py").is_file():
                if candidate.name in found:
                    raise PluginRefused(f"plugin {candidate.name}: both {found[candidate.name]} and {candidate} are it")
                found[candidate.name] = candidate
    return found


def load(
    folders: Iterable[Path], enabled: Sequence[str], options: Mapping[str, Mapping[str, Any]]
) -> Sequence[AnyPlugin]:
    """The enabled plugins, built with their options, each after those it names. Raises PluginRefused."""
    found = find(folders)
    classes: dict[str, type[AnyPlugin]] = {}
    for name in enabled:
        if name not in found:
            raise PluginRefused(f"plugin {name!r} is not there", hint=_nearest(name, found))
        classes[name] = plugin_class(name, found[name])
    for name in options:
        if name not in classes:
            hint = f"add {name!r} to [plugins] enabled" if name in found else _nearest(name, found)
            raise PluginRefused(f"options for plugin {name!r}, which is not enabled", hint=hint)
    plugins = [classes[name](_options(name, classes[name], options.get(name, {}))) for name in _order(classes)]
    for plugin in plugins:
        plugin.bundled = found[plugin.name].parent == bundled_folder()
    return plugins


def plugin_class(name: str, folder: Path) -> type[AnyPlugin]:
    """Import `folder`/plugin.py and find the one class in it that keeps the contract."""
    module = _import(name, folder / "plugin.py")
    candidates = [
        member
        for member in vars(module).values()
        if inspect.isclass(member) and issubclass(member, _BASES) and member.__module__ == module.__name__
    ]
    if len(candidates) != 1:
        raise PluginRefused(
            f"plugin {name}: expected one subclass of ZonePlugin, NetworkPlugin or GatewayPlugin in "
            f"{folder / 'plugin.py'}, found {len(candidates)}"
        )
    _verify(name, candidates[0])
    return candidates[0]


def _import(name: str, file: Path) -> ModuleType:
    full_name = f"zonehookd_plugin_{name}"
    # A package of its own: `from .rules import …` finds the other files of the folder, and a reload reads them anew.
    spec = importlib.util.spec_from_file_location(full_name, file, submodule_search_locations=[str(file.parent)])
    assert spec is not None and spec.loader is not None
    if os.geteuid() == 0:
        ours = {0, Path(__file__).stat().st_uid}
        for place in (file.parent.parent, file.parent, *file.parent.rglob("*")):
            found = place.stat()
            if found.st_mode & 0o022 or found.st_uid not in ours:
                raise PluginRefused(
                    f"plugin {name}: {place} could be changed by somebody else than root",
                    hint=f"chown root {place}; chmod go-w {place}",
                )
    for part in [each for each in sys.modules if each.startswith(f"{full_name}.")]:
        del sys.modules[part]
    module = importlib.util.module_from_spec(spec)
    sys.modules[full_name] = module  # dataclasses look their module up there
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as problem:
        del sys.modules[full_name]
        raise PluginRefused(f"plugin {name}: {file} cannot be imported: {problem!r}") from problem
    return module


def _verify(name: str, cls: type[AnyPlugin]) -> None:
    if not isinstance(cls.after, tuple):
        raise PluginRefused(f"plugin {name}: after must be a tuple", hint=f"after = ({cls.after!r},)")
    if not issubclass(cls.Options, PluginOptions):
        raise PluginRefused(f"plugin {name}: its Options must be a subclass of PluginOptions")
    if cls.name != name:
        raise PluginRefused(f"plugin {name}: its name is {cls.name!r}", hint="name it as its folder")
    if cls.api != API:
        raise PluginRefused(f"plugin {name}: made for contract {cls.api}, and this is {API}")
    for method, parameters in _METHODS.items():
        own = getattr(cls, method)
        if method not in _OPTIONAL and own in [getattr(base, method) for base in _BASES]:
            near = difflib.get_close_matches(method, [each for each in vars(cls) if each not in _METHODS], 1)
            raise PluginRefused(f"plugin {name}: {method} is missing", hint=f"is {near[0]!r} it?" if near else "")
        if len(inspect.signature(own).parameters) != parameters:
            raise PluginRefused(f"plugin {name}: {method}{inspect.signature(own)} must take two arguments")
        if inspect.iscoroutinefunction(own) != (method not in _PLAIN):
            raise PluginRefused(f"plugin {name}: {method} must {'not ' if method in _PLAIN else ''}be async")
    for member in vars(cls):
        if not member.startswith("_") and member not in _ATTRIBUTES and member not in _METHODS:
            near = difflib.get_close_matches(member, [*_METHODS, *_ATTRIBUTES], 1)
            hint = f"did you mean {near[0]!r}?" if near else "a name of your own begins with _"
            raise PluginRefused(f"plugin {name}: nobody would ever use {member!r}", hint=hint)


def _options(name: str, cls: type[AnyPlugin], given: Mapping[str, Any]) -> PluginOptions:
    try:
        return cls.Options.model_validate(given)
    except ValidationError as problem:
        lines = []
        for fault in problem.errors(include_url=False):
            key = ".".join(map(str, fault["loc"]))
            near = difflib.get_close_matches(key, cls.Options.model_fields, 1)
            guess = f" (did you mean {near[0]!r}?)" if near and near[0] != key else ""
            said = fault["msg"][:1].lower() + fault["msg"][1:]
            lines.append(f"plugins.options.{name}.{key}: {said}, found {fault['input']!r}{guess}")
        raise PluginRefused("\n".join(lines)) from problem


def _order(classes: Mapping[str, type[AnyPlugin]]) -> Sequence[str]:
    for name, cls in classes.items():
        for before in cls.after:
            if before not in classes:
                raise PluginRefused(f"plugin {name}: comes after {before!r}, which is not enabled",
                                    hint=_nearest(before, classes))  # fmt: skip
    try:
        return list(graphlib.TopologicalSorter({name: cls.after for name, cls in classes.items()}).static_order())
    except graphlib.CycleError as ring:
        raise PluginRefused(f"plugins wait for each other: {' after '.join(ring.args[1])}") from ring


def _nearest(name: str, known: Iterable[str]) -> str:
    names = sorted(known)
    near = difflib.get_close_matches(name, names, 1)
    return f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(names)}"
