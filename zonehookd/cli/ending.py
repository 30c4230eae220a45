"""How a command ends that could not be carried out: the one place where errors become words and exit codes.

With `--json` the last line of stderr is one object, ``{"error": {"code": …, "message": …, "hint": …, "exit": N}}``.
stdout has an answer or nothing, as ever: no pipe takes a refusal for an answer.
"""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Sequence
from typing import Any

import click

from zonehookd.bus.client import NoDaemon
from zonehookd.errors import ZonehookError, raised

EXIT_TROUBLE, EXIT_CHANGES, EXIT_NO_DAEMON, EXIT_USAGE = 1, 2, 3, 64
EXIT_CODES = {
    0: "good",
    EXIT_TROUBLE: "the daemon refused, or something is in trouble",
    EXIT_CHANGES: "`plan` found changes to make",
    EXIT_NO_DAEMON: "nobody answered",
    EXIT_USAGE: "wrong usage",
}
ERROR_CODES = {
    "usage": "wrong usage",
    "no-daemon": "nobody answered: zonehookd does not run, hangs, or may not be reached by this user",
    "not-found": "there is no zone, network, gateway, brand, hook or key of that name; the hint says which there are",
    "refused": "it is not done; the message says why",
    "configuration": "the configuration is wrong, or cannot be read",
    "brand-refused": "the hooks of this brand are left as they are",
    "plugin-refused": "a plugin does not keep the contract, and is not loaded",
    "plugin-failed": "a plugin failed",
    "cannot-look": "the host could not be looked at, so nothing is concluded",
    "cannot-apply": "a step could not be done",
    "command-failed": "a command of the host failed, hung, or is not there",
    "bad-request": "the daemon does not know the question: it is of another version",
    "internal": "a bug, or zonehookctl and the daemon are of different versions",
    "interrupted": "by Ctrl-C",
}
_NAME = "zonehookctl"  # however it was started
_USAGE = "usage"


class Ends(Exception):
    """Where the exit code is another than usual for this problem."""

    def __init__(self, problem: ZonehookError, status: int) -> None:
        super().__init__(str(problem))
        self.problem, self.status = problem, status


class Program(click.Group):
    """A command raises ZonehookError, or one of click's own; nobody else prints them, or exits for them."""

    def main(self, args: Sequence[str] | None = None, *rest: Any, **about: Any) -> Any:
        words = [*(sys.argv[1:] if args is None else args)]
        try:
            sys.exit(super().main(words, *rest, **{"prog_name": _NAME} | about | {"standalone_mode": False}) or 0)
        except click.Abort:
            if _as_json(words):
                _object("interrupted", "Aborted!", "", EXIT_TROUBLE)
            else:
                click.echo("Aborted!", err=True)
            sys.exit(EXIT_TROUBLE)
        except Ends as end:
            _leave(words, end.problem, end.status)
        except ZonehookError as problem:
            _leave(words, problem, EXIT_NO_DAEMON if isinstance(problem, NoDaemon) else EXIT_TROUBLE)
        except click.ClickException as problem:
            _misused(words, problem)
        except Exception as problem:
            if not _as_json(words):
                raise
            traceback.print_exc()
            _object("internal", raised(problem), "", EXIT_TROUBLE)
            sys.exit(EXIT_TROUBLE)


def _leave(words: Sequence[str], problem: ZonehookError, status: int) -> None:
    if _as_json(words):
        _object(problem.code, problem.args[0], problem.hint, status)
    else:
        click.echo(f"{_NAME}: {problem}", err=True)
    sys.exit(status)


def _misused(words: Sequence[str], problem: click.ClickException) -> None:
    status = EXIT_USAGE if isinstance(problem, click.UsageError) else problem.exit_code
    if _as_json(words):
        context = problem.ctx if isinstance(problem, click.UsageError) else None
        _object(_USAGE, problem.format_message(), f"{context.command_path} --help" if context else "", status)
    else:
        problem.show()
    sys.exit(status)


def _as_json(words: Sequence[str]) -> bool:
    """By the words themselves: click may not have come as far as the option."""
    return "--json" in (words[: words.index("--")] if "--" in words else words)


def _object(code: str, message: str, hint: str, status: int) -> None:
    error = {"code": code, "message": message, "hint": hint, "exit": status}
    click.echo(json.dumps({"error": error}), err=True)
