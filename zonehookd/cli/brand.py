"""``zonehookctl brand``: which brands' hooks ask zonehookd."""

from __future__ import annotations

import contextlib
import sys
from typing import Any

import click
from rich.console import Console
from rich.text import Text

from zonehookd.bus.client import NoDaemon, ask
from zonehookd.bus.messages import BrandReply
from zonehookd.cli import tables
from zonehookd.cli.ending import EXIT_TROUBLE
from zonehookd.cli.settings import SHOWS_S, Settings, json_option, settings_of
from zonehookd.errors import ZonehookError
from zonehookd.gate import offline
from zonehookd.guard import standing
from zonehookd.guard.replies import without_daemon

_ENABLE_MAX_S = 60.0  # it may be compiled first
_COLOURS = {"in place": "green", "remade": "green", "edited": "yellow", "missing": "red", "none": "dim"}


@click.group()
def brand() -> None:
    """The gate in a brand's hooks: boots wait for their links, gateways are not uninstalled."""


@brand.command()
@click.argument("name", metavar="BRAND")
@json_option
@click.pass_context
def enable(context: click.Context, name: str, as_json: bool) -> None:
    """Put the gate into the hooks of BRAND. Zones that are up have it from their next boot on."""
    settings = settings_of(context, as_json)
    settings.timeout_s = max(settings.timeout_s, _ENABLE_MAX_S)
    settings.show(settings.ask("brand-enable", brand=name), _printed)


@brand.command()
@click.argument("name", metavar="BRAND")
@json_option
@click.pass_context
def disable(context: click.Context, name: str, as_json: bool) -> None:
    """Take the gate out of BRAND: its config.xml is again as it was before. Needs no daemon."""
    settings = settings_of(context, as_json)
    try:
        answer = ask(settings.run, "brand-disable", timeout_s=settings.timeout_s, brand=name)
    except NoDaemon:
        answer = _alone(settings, name)
    settings.show(answer, _printed)


@brand.command()
@click.argument("name", metavar="[BRAND]", required=False)
@json_option
@click.pass_context
def status(context: click.Context, name: str | None, as_json: bool) -> None:
    """Every brand of this host, or one. Exit 1 if one that should have the gate has not. Without a daemon, or when it
    does not answer, by the brands' files, and with what their hooks do until it does."""
    settings = settings_of(context, as_json)
    try:
        answer = settings.look("brand-status", SHOWS_S, brand=name)
    except NoDaemon as problem:
        answer = _seen(settings, name, problem)
    settings.show(answer, _printed)
    sys.exit(EXIT_TROUBLE if any(each["gate"] == "missing" for each in answer["brands"]) else 0)


def _alone(settings: Settings, name: str) -> dict[str, Any]:
    try:
        text = offline.disable(settings.state, settings.run, name)
    except OSError as problem:
        raise ZonehookError(str(problem)) from problem
    up = f"; zones of it that are up ask until they are halted, so {settings.state / 'gate'} stays"
    return BrandReply(brands=[], text=f"brand {name}: {text}{up}").model_dump(mode="json")


def _seen(settings: Settings, name: str | None, problem: NoDaemon) -> dict[str, Any]:
    """Raises NoDaemon: what is kept of the brands is not ours to read."""
    try:
        rows = offline.status(settings.state, settings.run, name)
    except OSError as why:
        text = f"{problem.args[0]}; nor can its books be read: {why.filename}: {why.strerror}"
        raise NoDaemon(text, hint=problem.hint) from why
    settings.nobody(problem)
    path = settings.state / standing.NAME
    record, at = standing.Known("block", "allow", {}), None  # as hooks do where there is none
    with contextlib.suppress(OSError, ValueError):
        record, at = standing.read(path), path.stat().st_mtime
    return BrandReply(brands=rows, recorded=at, without_daemon=without_daemon(record)).model_dump(mode="json")


def _printed(out: Console, answer: dict[str, Any]) -> None:
    if answer["text"]:
        out.print(answer["text"])
    if answer["brands"]:
        columns = ("BRAND", "GATE", "ZONES", "WITH THE HOOKS OF BEFORE", "")
        tables.table(out, columns, map(_cells, answer["brands"]), "no brands")
    if answer["without_daemon"] is not None:
        tables.without_daemon(out, answer["without_daemon"], answer["recorded"])


def _cells(row: dict[str, Any]) -> tuple[Text | str, ...]:
    gate = Text(row["gate"] if row["enabled"] or row["gate"] != "none" else "-", _COLOURS.get(row["gate"], ""))
    zones = "-" if row["zones"] is None else str(row["zones"])
    return (row["name"], gate, zones, ", ".join(row["old_hooks"]) or "-", row["text"])
