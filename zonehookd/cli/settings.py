"""What every verb of zonehookctl shares: where the daemon is, how it is asked, how the answer is shown."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from zonehookd.bus.client import ask
from zonehookd.bus.messages import Verb
from zonehookd.cli import tables
from zonehookd.config import DEFAULT_FILE, EventsSection, PathsSection, events, paths
from zonehookd.errors import ZonehookError


class Settings:
    """What was said before the verb. `file` is read when the daemon is first asked: some verbs need neither."""

    def __init__(self, file: Path | None, run: Path | None, as_json: bool, timeout_s: float) -> None:
        self._file, self._run = file, run
        self.as_json, self.timeout_s = as_json, timeout_s

    @property
    def file(self) -> Path | None:
        """The configuration; None: no other was said, and the usual one is not there."""
        return self._file or (DEFAULT_FILE if DEFAULT_FILE.exists() else None)

    @functools.cached_property
    def _paths(self) -> PathsSection:
        """Of the configuration; where that cannot be read, the usual ones: the daemon may be well all the same."""
        chosen = self.file
        try:
            return paths(chosen) if chosen else PathsSection()
        except ZonehookError as problem:
            click.echo(f"zonehookctl: {problem}", err=True)
            click.echo(f"zonehookctl: looking for the daemon in {PathsSection().run}; --run says otherwise", err=True)
            return PathsSection()

    @property
    def run(self) -> Path:
        """The daemon's run folder."""
        return self._run if self._run is not None else self._paths.run

    @property
    def state(self) -> Path:
        """The folder of the daemon's books."""
        return self._paths.state

    @property
    def zones(self) -> Path:
        """The folder where zonecfg lists the zones."""
        return self._paths.zones

    @property
    def events(self) -> EventsSection:
        """The [events] of the configuration. Raises ConfigError: nothing is written into a folder that was guessed."""
        chosen = self._file or (DEFAULT_FILE if DEFAULT_FILE.exists() else None)
        return events(chosen) if chosen else EventsSection()

    def ask(self, verb: Verb, zone: str | None = None, **about: Any) -> Any:
        return ask(self.run, verb, zone=zone, timeout_s=self.timeout_s, **about)

    def show(self, answer: Any, shown: Callable[[Any, Any], None]) -> None:
        if self.as_json:
            click.echo(json.dumps(answer, indent=2))
        else:
            shown(tables.console(), answer)


json_option = click.option("--json", "as_json", is_flag=True, help="Print what the daemon said, as JSON.")


def settings_of(context: click.Context, as_json: bool) -> Settings:
    settings: Settings = context.obj
    settings.as_json = settings.as_json or as_json
    return settings
