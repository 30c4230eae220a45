"""``zonehookctl plugin``: make a plugin, check it, try it on what is there, take its new code into use."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from zonehookd import scaffold
from zonehookd.authoring import checking
from zonehookd.cli import tables
from zonehookd.cli.ending import EXIT_CHANGES, EXIT_TROUBLE
from zonehookd.cli.settings import Settings, json_option, settings_of
from zonehookd.config import Config, load
from zonehookd.errors import PluginRefused
from zonehookd.model.subject import Kind

_PATIENCE_S = 60.0  # a plugin may take its time to start, and to answer


@click.group()
def plugin() -> None:
    """Plugins of your own: begin one, check it, try it, take its new code into use."""


@plugin.command()
@click.argument("name")
@click.option("--shape", type=click.Choice(scaffold.SHAPES), default="folder", show_default=True,
              help="A Python folder, a Python package with an entry point, or a program in any language.")  # fmt: skip
@click.option("--kind", type=click.Choice(scaffold.KINDS), default="zone", show_default=True, help="What it works on.")
@click.option("--into", type=click.Path(file_okay=False, path_type=Path), default=Path(), metavar="DIR",
              help="Where its folder is made; here by default.")  # fmt: skip
def new(name: str, shape: scaffold.Shape, kind: Kind, into: Path) -> None:
    """Make a folder NAME: a plugin that works, and tests that pass. Overwrites nothing; needs no daemon."""
    for file in scaffold.write(name, shape, kind, into):
        click.echo(file)


@plugin.command()
@click.argument("name", required=False)
@click.option("--option", "-o", "options", metavar="KEY=VALUE", multiple=True, help="Over those of the configuration.")
@click.pass_context
def check(context: click.Context, name: str | None, options: tuple[str, ...]) -> None:
    """All that is wrong with plugin NAME, or with the one in a folder (such as ./mine): a line each, with its cure.

    Without NAME, with all that are enabled and not ours, also beside each other. Each is loaded in a process of its
    own; no daemon is needed. Exit 1: something is wrong. A remark is no more than that.
    """
    settings = settings_of(context, False)
    found = _checked(settings, name, _values(options))
    idle = checking.idle(_config(settings).plugins) if not found.sheets else []
    for line in found.remarks:
        click.echo(f"remark: {line}")
    for line in found.faults:
        click.echo(line)
    if not found.faults:
        click.echo(f"{', '.join(found.sheets) or 'no plugins that are not ours'}: good")
    if idle:
        click.echo(f"not enabled, and not looked at: {', '.join(idle)} (hint: name them in [plugins] also)")
    sys.exit(EXIT_TROUBLE if found.faults else 0)


@plugin.command()
@click.argument("name")
@json_option
@click.pass_context
def options(context: click.Context, name: str, as_json: bool) -> None:
    """What plugin NAME, or the one in a folder, can be told, with defaults and meaning. No daemon is needed."""
    settings = settings_of(context, as_json)
    found = _checked(settings, name, {})
    if found.faults:
        raise PluginRefused("\n".join(found.faults))
    settings.show(next(iter(found.sheets.values())).schema_of_options, _options)


@plugin.command(name="try")
@click.argument("name")
@click.option("--zone", metavar="NAME", help="Plan for this zone.")
@click.option("--network", metavar="NAME", help="Plan for this network.")
@click.option("--gateway", metavar="NAME", help="Plan for this gateway.")
@click.option(
    "--plan", "as_plan", is_flag=True, help="Exit as `zonehookctl plan` does: 2 if there is something to change."
)
@click.option("--trace", is_flag=True, help="What it asked the host for, too, and how long that took.")
@click.option("--option", "-o", "options", metavar="KEY=VALUE", multiple=True, help="Over those of the configuration.")
@json_option
@click.pass_context
def try_(
    context: click.Context,
    name: str,
    zone: str | None,
    network: str | None,
    gateway: str | None,
    as_plan: bool,
    trace: bool,
    options: tuple[str, ...],
    as_json: bool,
) -> None:
    """What plugin NAME, or the one in a folder (such as ./mine), would do for a zone, a network or a gateway now.

    The daemon starts a worker for it, asks once, and ends it; nothing is changed, and a plugin of that name that works
    goes on. Exit 1: it failed, is refused, or would never be done.
    """
    wanted = [(kind, each) for kind, each in (("zone", zone), ("network", network), ("gateway", gateway)) if each]
    if len(wanted) != 1:
        raise click.UsageError("give one of --zone, --network and --gateway")
    settings = settings_of(context, as_json)
    settings.timeout_s = max(settings.timeout_s, _PATIENCE_S)
    given = _values(options)
    path = str(Path(name).resolve()) if checking.is_folder(name) else ""
    kind, each = wanted[0]
    trial = {"path": path, "kind": kind, "name": each, "options": given}
    answer = settings.ask("plugin-try", plugin=None if path else name, trial=trial)
    settings.show(answer, lambda out, said: _tried(out, said, trace))
    if answer["blind"] or answer["failed"] or answer["remarks"]:
        sys.exit(EXIT_TROUBLE)
    sys.exit(EXIT_CHANGES if as_plan and answer["changes"] else 0)


@plugin.command()
@click.argument("name")
@json_option
@click.pass_context
def reload(context: click.Context, name: str, as_json: bool) -> None:
    """Take the code of plugin NAME as it is on disk now. Exit 1 if it is refused: the one before goes on."""
    settings = settings_of(context, as_json)
    settings.timeout_s = max(settings.timeout_s, _PATIENCE_S)
    settings.show(settings.ask("plugin-reload", plugin=name), lambda out, answer: _line(out, answer["text"]))


def _checked(settings: Settings, name: str | None, options: dict[str, Any]) -> checking.Verdict:
    config = _config(settings)
    return checking.check(config.plugins, config.commands.search_path, name, options)


def _config(settings: Settings) -> Config:
    return load(settings.file) if settings.file is not None else Config()


def _values(options: tuple[str, ...]) -> dict[str, Any]:
    """VALUE is JSON where it can be read as such, else the text itself."""
    found: dict[str, Any] = {}
    for each in options:
        key, equals, value = each.partition("=")
        if not equals:
            raise click.UsageError(f"--option {each!r}: expected KEY=VALUE")
        try:
            found[key] = json.loads(value)
        except ValueError:
            found[key] = value
    return found


def _tried(out: Console, said: dict[str, Any], trace: bool) -> None:
    kind, name = said["kind"], said["name"]
    row = {"kind": kind, "name": name, "result": "", "error": "", "steps": said["steps"], "notes": said["notes"]}
    tables.subjects(out, [row])
    for key, what in (("blind", "could not look"), ("failed", "failed")):
        if said[key]:
            _line(out, f"{what}: {said[key]}")
    for remark in said["remarks"]:
        _line(out, f"would never be done: {remark}")
    if trace:
        for row in said["asked"]:
            end = "" if row["status"] == 0 else f"  # {row['error'] or row['status']}"
            _line(out, f"  {row['seconds'] * 1000:8.1f} ms  {row['command']}{end}")
        _line(
            out,
            f"  {said['plan_s'] * 1000:8.1f} ms  the whole plan; its process was ready after {said['start_s']:.2f} s",
        )
    if not (said["steps"] or said["blind"] or said["failed"]):
        _line(out, f"plugin {said['plugin']} has nothing to do for {kind} {name}")
    _line(out, f"{said['changes']} changes, none of them made")


def _options(out: Console, schema: dict[str, Any]) -> None:
    fields = schema.get("properties", {})
    required = schema.get("required", [])
    rows = [
        (key, each.get("type", "-"), "must be given" if key in required else json.dumps(each.get("default")),
         each.get("description", ""))
        for key, each in fields.items()
    ]  # fmt: skip
    tables.table(out, ("OPTION", "TYPE", "DEFAULT", "MEANING"), rows, "it has no options")


def _line(out: Console, text: str) -> None:
    out.print(text, markup=False, highlight=False, soft_wrap=True)
