"""Which plugins a configuration wants: ours, built here; others, as they were found. No code of others is run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from zonehookd.config import PluginsSection
from zonehookd.errors import PluginRefused
from zonehookd.foreign.spec import Run, Spec
from zonehookd.plugin import finding, loader
from zonehookd.plugin.contract import AnyPlugin


@dataclass(frozen=True, slots=True)
class Chosen:
    """`ours` in their order; `foreign` in that of the configuration: their own is known once they have started."""

    ours: Sequence[AnyPlugin]
    foreign: Sequence[Spec]


def choose(section: PluginsSection) -> Chosen:
    """Raises PluginRefused for what can be seen without running anything of a plugin that is not ours."""
    found = finding.find(section.folders)
    for name in section.working:
        if name not in found:
            raise finding.missing(name, found, section.folders)
    ours = [name for name in section.working if found[name].bundled]
    others = [name for name in section.working if not found[name].bundled]
    for name in section.options:
        if name not in section.working:
            hint = f"add {name!r} to [plugins] also" if name in found else finding.nearest(name, found)
            raise PluginRefused(f"plugins.options.{name}: this plugin is not enabled", hint=hint)
    for name in section.run:
        if name not in others:
            hint = "it runs in the daemon" if name in ours else finding.nearest(name, others)
            raise PluginRefused(f"plugins.run.{name}: no plugin that is not ours and is enabled", hint=hint)
    options = {name: section.options[name] for name in ours if name in section.options}
    built = loader.load([], ours, options)
    specs = []
    for name in others:
        run = section.run.get(name)
        specs.append(Spec(found[name], Run(**run.model_dump()) if run else Run(), section.options.get(name, {})))
    return Chosen(built, specs)
