"""zonehookctl. Exit codes: 0 good, 1 the daemon refused or something is in trouble, 2 `plan` found changes to make,
3 nobody answered, 64 wrong usage."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from zonehookd import __version__
from zonehookd.bus.messages import Verb
from zonehookd.cli import tables
from zonehookd.cli.brand import brand
from zonehookd.cli.ending import EXIT_CHANGES, EXIT_TROUBLE, Program
from zonehookd.cli.events import events
from zonehookd.cli.explain import explain
from zonehookd.cli.guard import guard
from zonehookd.cli.hooks import hooks
from zonehookd.cli.imports import imports
from zonehookd.cli.keys import keys
from zonehookd.cli.plugin import plugin
from zonehookd.cli.provisioning import provisioning
from zonehookd.cli.routes import drain, routes, undrain
from zonehookd.cli.settings import SHOWS_S, TIMEOUT_S, Settings, json_option, settings_of
from zonehookd.cli.timeline import timeline
from zonehookd.cli.trace import check, trace


@click.group(cls=Program, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.option(
    "--config", "file", type=click.Path(path_type=Path), default=None, help="Where the daemon's sockets are said."
)
@click.option(
    "--run", type=click.Path(path_type=Path), default=None, help="The daemon's run folder, instead of --config."
)
@click.option("--json", "as_json", is_flag=True, help="Print what the daemon said, as JSON.")
@click.option(
    "--timeout",
    "timeout_s",
    type=float,
    default=None,
    help=f"Seconds to wait for an answer: {TIMEOUT_S:g}, of status, guard status and brand status {SHOWS_S:g}.",
)
@click.version_option(__version__)
@click.pass_context
def main(context: click.Context, file: Path | None, run: Path | None, as_json: bool, timeout_s: float | None) -> None:
    """Ask zonehookd what it sees, what it would do, and why."""
    context.obj = Settings(file, run, as_json, timeout_s)


main.add_command(brand)
main.add_command(check)
main.add_command(events)
main.add_command(explain)
main.add_command(guard)
main.add_command(hooks)
main.add_command(imports)
main.add_command(keys)
main.add_command(plugin)
main.add_command(provisioning)
main.add_command(routes)
main.add_command(drain)
main.add_command(undrain)
main.add_command(timeline)
main.add_command(trace)


def _listing(name: Verb, shown: Callable[[Any, Any], None], about: str) -> None:
    """The verbs that ask one question and show one table."""

    @main.command(name, help=about)
    @json_option
    @click.pass_context
    def command(context: click.Context, as_json: bool) -> None:
        settings = settings_of(context, as_json)
        settings.show(settings.look(name), shown)


_listing("zones", tables.zones, "Every zone, its state, and where its links are placed.")
_listing("networks", tables.networks, "Every declared network.")
_listing("gateways", tables.gateways, "Every declared gateway, what is behind it, and whether it is open.")
_listing("addresses", tables.addresses, "Every address out of a pool: who has it, and which rest.")
_listing("links", tables.links, "Every link of ours, on our networks, or named by a zone.")
_listing("plugins", tables.plugins, "Which plugins work, and in which order.")


@main.command()
@json_option
@click.pass_context
def status(context: click.Context, as_json: bool) -> None:
    """How the daemon is, and who is in trouble. Exit 1 if anybody is.

    A source of events that is down is no trouble: the poll hears the same, seconds later, and some hosts have no more.
    """
    settings = settings_of(context, as_json)
    answer = settings.look("status", SHOWS_S)
    settings.show(answer, tables.status)
    troubles = ("blind", "config_error", "trouble", "without_gate", "plugins")
    sys.exit(EXIT_TROUBLE if any(answer[each] for each in troubles) or not answer["ready"] else 0)


@main.command()
@click.option("--edited", is_flag=True, help="With the configuration file as it is now, before `reload` takes it.")
@json_option
@click.pass_context
def plan(context: click.Context, edited: bool, as_json: bool) -> None:
    """What a full look would change now. Changes nothing. Exit 0: nothing to do, 2: changes."""
    settings = settings_of(context, as_json)
    answer = settings.ask("plan", edited=edited)

    def shown(out: Any, answer: Any) -> None:
        tables.subjects(out, answer["subjects"])
        out.print("nothing to do" if not answer["changes"] else f"{answer['changes']} changes")

    settings.show(answer, shown)
    if any(row["error"] for row in answer["subjects"]):
        sys.exit(EXIT_TROUBLE)
    sys.exit(EXIT_CHANGES if answer["changes"] else 0)


@main.command()
@json_option
@click.pass_context
def apply(context: click.Context, as_json: bool) -> None:
    """Look at everything now, do what is to be done, and wait for it. Exit 1 if something failed."""
    settings = settings_of(context, as_json)
    if sys.stderr.isatty() and not settings.as_json:
        with tables.console().status("looking at everything…"):
            answer = settings.ask("apply")
    else:
        answer = settings.ask("apply")
    settings.show(answer, lambda out, answer: _applied(out, answer["subjects"]))
    failed = [row for row in answer["subjects"] if row["result"] not in ("noop", "changed")]
    sys.exit(EXIT_TROUBLE if failed else 0)


def _applied(out: Any, rows: list[dict[str, Any]]) -> None:
    tables.subjects(out, rows)
    good = sum(row["result"] in ("noop", "changed") for row in rows)
    held = sum(any(note["kind"] != "nothing" for note in row["notes"]) for row in rows)
    rest = f"; {held} wait or were refused, as said above" if held else ""
    out.print(f"{good} of {len(rows)} subjects are as planned{rest}")


@main.command()
@json_option
@click.pass_context
def reload(context: click.Context, as_json: bool) -> None:
    """Read the configuration and its drop-ins anew, as SIGHUP does. Exit 1 if it is refused: the old one stays; or if a
    plugin in a worker does not come up like this: all else is taken."""
    settings = settings_of(context, as_json)
    answer = settings.ask("reload")
    settings.show(answer, tables.reloaded)
    sys.exit(EXIT_TROUBLE if answer["not_well"] else 0)


if __name__ == "__main__":
    main()
