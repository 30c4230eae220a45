"""Imports plugins, checks each against the contract, and puts them in order.

A plugin is one subclass of ZonePlugin, NetworkPlugin or GatewayPlugin, named as its folder or entry point. What does
not fit is refused with plugin, method and rule, all of it at once: a misspelled method is never silently ignored.
Ours are loaded in the daemon; others in their own process only, and by whoever tries or tests them.
"""

from __future__ import annotations

import difflib
import graphlib
import importlib.util
import inspect
import re
import sys
import traceback
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import BaseModel, ValidationError

import zonehookd.plugin
from zonehookd.errors import PluginRefused, raised
from zonehookd.plugin.contract import API, AnyPlugin, GatewayPlugin, NetworkPlugin, PluginOptions, ZonePlugin
from zonehookd.plugin.finding import GROUP, Found, entry_point, find, missing, nearest, unsafe

_BASES = (ZonePlugin, NetworkPlugin, GatewayPlugin)
_METHODS = {  # parameters, self included
    "observe": ("self", "{kind}", "host"),
    "plan": ("self", "{kind}", "seen"),
    "reclaim": ("self", "links", "host"),
    "concerns": ("self", "view", "host"),
}
_OPTIONAL, _PLAIN = ("reclaim", "concerns"), ("plan", "concerns")
_ATTRIBUTES = {"name", "after", "api", "kind", "Options", "options", "bundled", "asks_each", "beside", "apart"}
_NO_NAME = re.compile(r"cannot import name '(\w+)' from 'zonehookd\.plugin'")


def load(
    folders: Iterable[Path], enabled: Sequence[str], options: Mapping[str, Mapping[str, Any]]
) -> Sequence[AnyPlugin]:
    """The enabled plugins, in this process, built with their options, each after those it names. Only those written in
    Python can be had so. Raises PluginRefused."""
    folders = list(folders)
    found = find(folders)
    for name in enabled:
        if name not in found:
            raise missing(name, found, folders)
    for name in options:
        if name not in enabled:
            hint = f"add {name!r} to [plugins] enabled" if name in found else nearest(name, found)
            raise PluginRefused(f"options for plugin {name!r}, which is not enabled", hint=hint)
    plugins = {name: build(found[name], options.get(name, {})) for name in enabled}
    return [plugins[name] for name in order({name: plugin.after for name, plugin in plugins.items()})]


def build(found: Found, options: Mapping[str, Any]) -> AnyPlugin:
    """One plugin written in Python, in this process. Raises PluginRefused with every complaint, one a line."""
    return built(found, plugin_class(found), options)


def built(found: Found, cls: type[AnyPlugin], options: Mapping[str, Any]) -> AnyPlugin:
    """Of a class that keeps the contract. Raises PluginRefused."""
    try:
        plugin = cls(checked_options(found.name, cls.Options, options))
    except PluginRefused:
        raise
    except Exception as problem:
        raise PluginRefused(
            f"plugin {found.name}: {cls.__name__}(options) raised {problem!r}{_at(problem)}"
        ) from problem
    plugin.bundled = found.bundled
    return plugin


def complaints(found: Found, options: Mapping[str, Any]) -> Sequence[str]:
    """All that is wrong with a plugin written in Python, one line each with its cure: of its class and of its options.
    It is imported and built, in this process."""
    try:
        cls = plugin_class(found, verify=False)
    except PluginRefused as problem:
        return str(problem).splitlines()
    wrong = list(_faults(found, cls))
    if not wrong:
        try:
            built(found, cls, options)
        except PluginRefused as problem:
            return str(problem).splitlines()
    elif isinstance(cls.Options, type) and issubclass(cls.Options, PluginOptions):
        wrong += option_faults(found.name, cls.Options, options)
    return wrong


def order(after: Mapping[str, Collection[str]]) -> Sequence[str]:
    """`after`: of each plugin, those that come before it. Raises PluginRefused for a ring, and for one that is not
    there."""
    for name, befores in after.items():
        for before in befores:
            if before not in after:
                raise PluginRefused(
                    f"plugin {name}: comes after {before!r}, which is not enabled", hint=nearest(before, after)
                )
    try:
        return list(graphlib.TopologicalSorter(after).static_order())
    except graphlib.CycleError as ring:
        path = " after ".join(reversed(ring.args[1]))
        raise PluginRefused(f"plugins wait for each other: {path}", hint="take one of them out of `after`") from ring


def plugin_class(found: Found, *, verify: bool = True) -> type[AnyPlugin]:
    """Import it, and find the one class in it that keeps the contract. Raises PluginRefused."""
    if wrong := list(unsafe(found)):
        raise PluginRefused("\n".join(wrong))
    if found.shape == "package":
        cls = _named(found)
    elif found.shape == "folder":
        cls = _only(found, _import(found.name, found.code))
    else:
        raise PluginRefused(f"plugin {found.name}: {found.code} is no Python, and cannot be loaded as such")
    if verify and (wrong := list(_faults(found, cls))):
        raise PluginRefused("\n".join(wrong))
    return cls


def _only(found: Found, module: ModuleType) -> type[AnyPlugin]:
    candidates = [
        member
        for member in vars(module).values()
        if inspect.isclass(member) and issubclass(member, _BASES) and member.__module__ == module.__name__
    ]
    if len(candidates) != 1:
        names = f": {', '.join(each.__name__ for each in candidates)}" if candidates else ""
        raise PluginRefused(
            f"plugin {found.name}: expected one subclass of ZonePlugin, NetworkPlugin or GatewayPlugin in "
            f"{found.code}, found {len(candidates)}{names}"
        )
    return candidates[0]


def _named(found: Found) -> type[AnyPlugin]:
    point = entry_point(found.name)
    if point is None:
        raise PluginRefused(
            f"plugin {found.name}: no installed package has an entry point of that name in group {GROUP!r}",
            hint=f"install it for {sys.executable}",
        )
    try:
        named = point.load()
    except (Exception, SystemExit) as problem:
        raise PluginRefused(_not_imported(found.name, f"entry point {point.value}", problem)) from problem
    if not (inspect.isclass(named) and issubclass(named, _BASES)):
        raise PluginRefused(
            f"plugin {found.name}: entry point {point.value} is no ZonePlugin, NetworkPlugin or GatewayPlugin",
            hint=f'in pyproject.toml: [project.entry-points."{GROUP}"] {found.name} = "MODULE:CLASS"',
        )
    return named


def _import(name: str, file: Path) -> ModuleType:
    full_name = f"zonehookd_plugin_{name}"
    # A package of its own: `from .rules import …` finds the other files of the folder, and a reload reads them anew.
    spec = importlib.util.spec_from_file_location(full_name, file, submodule_search_locations=[str(file.parent)])
    assert spec is not None and spec.loader is not None
    for part in [each for each in sys.modules if each.startswith(f"{full_name}.")]:
        del sys.modules[part]
    module = importlib.util.module_from_spec(spec)
    sys.modules[full_name] = module  # dataclasses look their module up there
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as problem:
        del sys.modules[full_name]
        raise PluginRefused(_not_imported(name, str(file), problem)) from problem
    return module


def _not_imported(name: str, what: str, problem: BaseException) -> str:
    hint = ""
    if (asked := _NO_NAME.search(str(problem))) is not None:
        hint = nearest(asked[1], zonehookd.plugin.__all__)
    elif isinstance(problem, ModuleNotFoundError):
        hint = f"install it for {sys.executable}"
    said = f"plugin {name}: {what} cannot be imported: {raised(problem)}{_at(problem)}"
    return f"{said} (hint: {hint})" if hint else said


def _at(problem: BaseException) -> str:
    """Where it was raised, as far as that is the plugin's own code."""
    if isinstance(problem, SyntaxError):
        return f" ({problem.filename}:{problem.lineno})"
    frames = [each for each in traceback.extract_tb(problem.__traceback__) if not each.filename.startswith("<")]
    last = frames[-1] if frames else None
    return f" ({last.filename}:{last.lineno})" if last is not None and last.filename != __file__ else ""


def _faults(found: Found, cls: type[AnyPlugin]) -> Iterator[str]:
    """Each rule of the contract that is broken."""

    def fault(text: str, hint: str = "") -> str:
        return f"plugin {found.name}: {text}{f' (hint: {hint})' if hint else ''}"

    after = cls.after
    if not isinstance(after, tuple) or not all(isinstance(each, str) for each in after):
        yield fault("after must be a tuple of names", f"after = ({after!r},)" if isinstance(after, str) else "")
    if not (inspect.isclass(cls.Options) and issubclass(cls.Options, PluginOptions)):
        yield fault("its Options must be a subclass of PluginOptions", "class Options(PluginOptions): …")
    if cls.name != found.name:
        yield fault(
            f"its name is {cls.name!r}", f"name it as its {'entry point' if found.shape == 'package' else 'folder'}"
        )
    if cls.api != API:
        newer = isinstance(cls.api, int) and cls.api > API
        cure = "a newer zonehookd is needed" if newer else "bring it up to date: docs/plugins/reference.md"
        yield fault(f"made for contract {cls.api!r}, and this is {API}", cure)
    taken: set[str] = set()  # named already, as what was meant to be a method
    for method, parameters in _METHODS.items():
        own = getattr(cls, method)
        if own in [getattr(base, method) for base in _BASES]:
            if method not in _OPTIONAL:
                near = difflib.get_close_matches(method, [each for each in vars(cls) if each not in _METHODS], 1)
                taken.update(near)
                yield fault(
                    f"{method} is missing",
                    f"is {near[0]!r} it?" if near else f"see {Path(__file__).parent}/contract.py",
                )
        else:
            expected = f"{method}({', '.join(parameters)})".format(kind=cls.kind)
            yield from (fault(*each) for each in _of_method(method, expected, len(parameters), own))
    for member in vars(cls):
        if not member.startswith("_") and member not in _ATTRIBUTES and member not in _METHODS and member not in taken:
            near = difflib.get_close_matches(member, [*_METHODS, *_ATTRIBUTES], 1)
            yield fault(
                f"nobody would ever use {member!r}",
                f"did you mean {near[0]!r}?" if near else "a name of your own begins with _",
            )


def _of_method(method: str, expected: str, parameters: int, own: Any) -> Iterator[tuple[str, str]]:
    """What is wrong, and its cure."""
    asynchronous = method not in _PLAIN
    whole = f"{'async ' if asynchronous else ''}def {expected}"
    if not inspect.isroutine(own):
        yield f"{method} is no method, but {own!r}", whole
        return
    where = (
        f", in {Path(own.__code__.co_filename).name}:{own.__code__.co_firstlineno}" if hasattr(own, "__code__") else ""
    )
    try:
        inspect.signature(own).bind(*range(parameters))
    except TypeError:
        yield f"{method}{inspect.signature(own)} must take what {expected} takes{where}", whole
    if inspect.isgeneratorfunction(own) or inspect.isasyncgenfunction(own):
        yield f"{method} yields, and must return{where}", whole
    elif inspect.iscoroutinefunction(own) != asynchronous:
        yield f"{method} must {'' if asynchronous else 'not '}be async{where}", whole


def checked_options(name: str, model: type[PluginOptions], given: Mapping[str, Any]) -> PluginOptions:
    """Raises PluginRefused with every fault, one a line."""
    try:
        return model.model_validate(given)
    except ValidationError as problem:
        raise PluginRefused("\n".join(_told(name, model, problem))) from problem


def option_faults(name: str, model: type[PluginOptions], given: Mapping[str, Any]) -> Sequence[str]:
    """What is wrong with a plugin's options, one line each, beginning with its key in the configuration."""
    try:
        checked_options(name, model, given)
    except PluginRefused as problem:
        return str(problem).splitlines()
    return ()


def _told(name: str, model: type[BaseModel], problem: ValidationError) -> Iterator[str]:
    for fault in problem.errors(include_url=False):
        key = ".".join(map(str, fault["loc"]))
        found = "" if fault["type"] == "missing" else f", found {fault['input']!r}"
        guess, said = "", fault["msg"][:1].lower() + fault["msg"][1:].replace("\n", " ")
        if fault["type"] == "extra_forbidden":
            said = "no such option"
            guess = f" ({_known(key, model.model_fields)})" if len(fault["loc"]) == 1 else ""
        elif fault["type"] == "missing":
            said = "must be given"
        yield f"plugins.options.{name}.{key}: {said}{found}{guess}"


def _known(name: str, known: Collection[str]) -> str:
    """The nearest, and all there are."""
    there = f"there are: {', '.join(known)}" if known else "it has none"
    near = difflib.get_close_matches(name, known, 1)
    return f"did you mean {near[0]!r}? {there}" if near else there
