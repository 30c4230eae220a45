"""What one configuration file decides, checked together: the settings, what is declared, the plugins.

Whoever starts, reloads or checks comes through here, so the three agree, and every refusal names its file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from zonehookd.config import Config, load
from zonehookd.declaration import declare
from zonehookd.errors import PluginRefused
from zonehookd.model.gateway import Declaration
from zonehookd.plugin import loader
from zonehookd.plugin.contract import AnyPlugin


@dataclass(frozen=True, slots=True)
class Checked:
    config: Config
    declared: Declaration
    plugins: Sequence[AnyPlugin]


def check(file: Path) -> Checked:
    """Raises ConfigError or PluginRefused; each line of it begins with the file it is about."""
    config = load(file)
    declared = declare(config)
    try:
        plugins = loader.load(config.plugins.folders, config.plugins.enabled, config.plugins.options)
    except PluginRefused as problem:
        lines = (config.origins.located(line) for line in str(problem.args[0]).splitlines())
        raise PluginRefused("\n".join(lines), hint=problem.hint) from problem
    return Checked(config, declared, plugins)
