"""Plugins that are not ours, checked: each in a process of its own, then all of them against each other."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from zonehookd.authoring.purity import smells
from zonehookd.authoring.sheet import Sheet
from zonehookd.config import PluginsSection
from zonehookd.errors import CommandError, CommandTimedOut, PluginRefused, last_of
from zonehookd.foreign.spec import Run, Spec, refuse_unsafe
from zonehookd.host.process import Limits, Processes
from zonehookd.plugin import finding, loader

_LOADS_S = 30.0


def specs(section: PluginsSection, wanted: str | None) -> Sequence[Spec]:
    """`wanted`: a folder (with a slash, or ``.``), the name of one that is installed, or None for all that are enabled
    and not ours. Raises PluginRefused."""
    if wanted is not None and is_folder(wanted):
        return [spec_of(section, finding.of_path(Path(wanted)))]
    found = finding.find(section.folders)
    for name in section.working if wanted is None else [wanted]:
        if name not in found:
            raise finding.missing(name, found, section.folders)
    if wanted is not None:
        return [spec_of(section, found[wanted])]
    return [spec_of(section, found[name]) for name in section.working if not found[name].bundled]


def spec_of(section: PluginsSection, found: finding.Found) -> Spec:
    run = section.run.get(found.name)
    return Spec(found, Run(**run.model_dump()) if run else Run(), section.options.get(found.name, {}))


async def sheets(of: Sequence[Spec], search_path: str) -> Mapping[str, Sheet]:
    """By name. Each is looked at in a process of its own, as the user it is to work as; together no longer than one."""
    processes = Processes(search_path, Limits(parallel=os.cpu_count() or 1))
    found = await asyncio.gather(*(_sheet(each, processes) for each in of))
    return {spec.name: sheet for spec, sheet in zip(of, found, strict=True)}


async def _sheet(spec: Spec, processes: Processes) -> Sheet:
    found = spec.found
    path = [] if found.shape == "package" else ["--path", str(found.path)]
    argv = [
        sys.executable,
        "-P",
        "-B",
        "-m",
        "zonehookd.authoring",
        "--shape",
        found.shape,
        "--name",
        found.name,
        *path,
    ]
    argv += ["--memory-mb", str(spec.run.memory_max_mb)]
    try:
        refuse_unsafe(found)
        options = json.dumps(dict(spec.options), default=str)
        ended = await processes.run(argv, lane="look", stdin=options, timeout_s=_LOADS_S, user=spec.run.user)
        if ended.reply.status == 0:
            return Sheet.model_validate_json(ended.reply.stdout)
        return _one(f"plugin {found.name}: it ended while it was loaded, with {ended.reply.status}", ended.reply.stderr)
    except PluginRefused as problem:
        return Sheet(faults=str(problem).splitlines())
    except CommandTimedOut:
        late = f"plugin {found.name}: it was not loaded within {_LOADS_S:g} s, and was stopped"
        return Sheet(faults=[f"{late} (hint: nothing that waits belongs where it is imported)"])
    except CommandError as problem:
        return Sheet(faults=[f"plugin {found.name}: its process {problem.what}"])
    except ValidationError:
        return _one(f"plugin {found.name}: it ended while it was loaded", ended.reply.stderr)


def _one(fault: str, said: str) -> Sheet:
    return Sheet(faults=[f"{fault}: {' '.join(last_of(said).split()) or 'without a word'}"])


def together(known: Mapping[str, Sheet], ours: Sequence[str]) -> Iterator[str]:
    """What is wrong with them beside each other. `ours`: enabled plugins that run in the daemon."""
    good = {name: sheet for name, sheet in known.items() if not sheet.faults}
    after: dict[str, Sequence[str]] = dict.fromkeys((*ours, *(known.keys() - good.keys())), ())
    for name, sheet in good.items():
        try:
            loader.order({**after, **dict.fromkeys(good, ()), name: sheet.after})
        except PluginRefused as problem:
            yield str(problem)
    try:
        inner = {name: [each for each in sheet.after if each in good and each != name] for name, sheet in good.items()}
        loader.order(inner)
    except PluginRefused as problem:
        yield str(problem)
    wanted: dict[str, str] = {}
    for name, sheet in good.items():
        for path in sheet.wants:
            other = wanted.setdefault(path, name)
            if other != name:
                yield (
                    f"plugins {other} and {name}: both write {path} (hint: tell one of them another, see zonehookctl "
                    f"plugin options {name}; or lines of their own in it, by WriteBlock)"
                )


@dataclass(frozen=True, slots=True)
class Verdict:
    """`sheets` by name. `faults` and `remarks`: one line each, with its cure; only the first are wrong for sure."""

    sheets: Mapping[str, Sheet]
    faults: Sequence[str]
    remarks: Sequence[str]


def check(section: PluginsSection, search_path: str, wanted: str | None, options: Mapping[str, Any]) -> Verdict:
    """`wanted` as of `specs`; `options` over those of the configuration. One that is looked at alone is not judged by
    who else is enabled. Raises PluginRefused."""
    found = [replace(each, options={**each.options, **options}) for each in specs(section, wanted)]
    known = asyncio.run(sheets(found, search_path))
    faults = [fault for sheet in known.values() for fault in sheet.faults]
    if wanted is None:
        ours = finding.bundled()
        faults += together(known, [name for name in section.working if name in ours])
    else:
        faults += [f"plugin {name}: comes after itself (hint: take it out of `after`)"
                   for name, sheet in known.items() if name in sheet.after]  # fmt: skip
    return Verdict(known, faults, [line for each in found for line in smells(each.found)])


def idle(section: PluginsSection) -> Sequence[str]:
    """Names of those that are there, not ours, and not enabled. Raises PluginRefused."""
    there = finding.find(section.folders)
    return [name for name, each in there.items() if not each.bundled and name not in section.working]


def is_folder(wanted: str) -> bool:
    """Not a name, but where it lies."""
    return os.sep in wanted or wanted.startswith(".")
