"""What every verb of zonehookctl shares: where the daemon is, how it is asked, how the answer is shown."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from zonehookd.bus.client import NoDaemon, ask
from zonehookd.bus.messages import Verb
from zonehookd.cli import tables
from zonehookd.config import DEFAULT_FILE, EventsSection, PathsSection, events, paths
from zonehookd.errors import ZonehookError

TIMEOUT_S = 30.0
SHOWS_S = 10.0  # of what shows how things are: who asks may be in trouble


class Settings:
    """What was said before the verb. `file` is read when the daemon is first asked: some verbs need neither."""

    def __init__(self, file: Path | None, run: Path | None, as_json: bool, timeout_s: float | None) -> None:
        self._file, self._run, self._said_s = file, run, timeout_s
        self.as_json, self.timeout_s = as_json, TIMEOUT_S if timeout_s is None else timeout_s

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

    def look(self, verb: Verb, at_most_s: float = TIMEOUT_S, **about: Any) -> Any:
        """What a daemon that is well answers at once. Who waits at a terminal is told so; at most `at_most_s`, unless
        --timeout says otherwise."""
        limit_s = at_most_s if self._said_s is None else self._said_s

        def slow() -> None:
            waits = f"it is waited for {limit_s:g} s (--timeout); svcs -xv zonehookd says how it is"
            click.echo(f"zonehookctl: zonehookd has not answered yet: {waits}", err=True)

        looks_on = sys.stderr.isatty() and not self.as_json
        return ask(self.run, verb, timeout_s=limit_s, slow=slow if looks_on else None, **about)

    def nobody(self, problem: NoDaemon) -> None:
        """An answer is shown all the same: for people, who did not answer, and the way out."""
        if not self.as_json:
            click.echo(f"zonehookctl: {problem}", err=True)

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
