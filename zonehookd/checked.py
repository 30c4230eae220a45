"""What one configuration file decides, checked together: the settings, what is declared, the plugins.

Whoever starts, reloads or checks comes through here, so the three agree, and every refusal names its file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from zonehookd.bus import keys
from zonehookd.config import Config, load
from zonehookd.declaration import declare
from zonehookd.errors import ConfigError, PluginRefused
from zonehookd.foreign.chosen import choose
from zonehookd.foreign.spec import Spec
from zonehookd.model.gateway import Declaration
from zonehookd.plugin.contract import AnyPlugin


@dataclass(frozen=True, slots=True)
class Checked:
    config: Config
    declared: Declaration
    plugins: Sequence[AnyPlugin]
    foreign: Sequence[Spec]

    @property
    def names(self) -> list[str]:
        """Of all plugins, ours first."""
        return [*(each.name for each in self.plugins), *(each.name for each in self.foreign)]


def check(file: Path) -> Checked:
    """Raises ConfigError or PluginRefused; each line of it begins with the file it is about."""
    config = load(file)
    declared = declare(config)
    _check_keys(config)
    try:
        chosen = choose(config.plugins)
    except PluginRefused as problem:
        lines = (config.origins.located(line) for line in str(problem.args[0]).splitlines())
        raise PluginRefused("\n".join(lines), hint=problem.hint) from problem
    return Checked(config, declared, chosen.ours, chosen.foreign)


def _check_keys(config: Config) -> None:
    """The event stream never goes to other hosts without keys that are in order."""
    if not config.events.listen:
        return
    try:
        keys.load(config.events.keys)
    except ConfigError as problem:
        raise ConfigError(config.origins.located(f"events.keys: {problem.args[0]}"), hint=problem.hint) from problem
