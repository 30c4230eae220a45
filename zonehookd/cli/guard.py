"""``zonehookctl guard``: may this be done to that zone; leave to do it; a gateway brought back."""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.text import Text

from zonehookd.bus.client import NoDaemon, ask
from zonehookd.cli import tables
from zonehookd.cli.ending import EXIT_TROUBLE, EXIT_USAGE, Ends
from zonehookd.cli.settings import SHOWS_S, Settings, json_option, settings_of
from zonehookd.errors import ZonehookError
from zonehookd.guard import standing
from zonehookd.guard.replies import recorded_reply, verdict_reply
from zonehookd.model.few import few
from zonehookd.model.guard import OPERATIONS

_RESTORE_MAX_S = 120.0
_CHECK_MAX_S = 2.0  # scripts wait for it, as the gate does
_NAMES_MAX, _CUT_OFF_MAX = 8, 100  # zones that are named for people; --json has them all
_UNITS = {"s": 1, "m": 60, "h": 3600}


class Duration(click.ParamType[float]):
    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", str(value))
        if found is None:
            self.fail(f"{value!r} is no duration: 90s, 10m, 1h; at most 24h", param, ctx)
        return float(found[1]) * _UNITS[found[2]]


@click.group()
def guard() -> None:
    """Gateways that zones depend on: they are not deleted, and if they are, they come back."""


@guard.command()
@click.argument("zone")
@click.argument("operation", type=click.Choice(OPERATIONS))
@json_option
@click.pass_context
def check(context: click.Context, zone: str, operation: str, as_json: bool) -> None:
    """May OPERATION be done to ZONE now? Exit 0: yes, 1: no, 64: there is no such zone. Without a daemon, by
    what it last knew."""
    settings = settings_of(context, as_json)
    try:
        try:
            answer = ask(settings.run, "guard-check", timeout_s=_CHECK_MAX_S, zone=zone, operation=operation)
        except NoDaemon:
            answer = _alone(settings, zone, operation)
    except ZonehookError as problem:  # such as a name that no zone has: neither yes nor no
        raise Ends(problem, EXIT_USAGE) from problem
    settings.show(answer, _verdict)
    sys.exit(0 if answer["allowed"] else EXIT_TROUBLE)


def _alone(settings: Settings, zone: str, operation: str) -> dict[str, Any]:
    """Raises NotFound: there is no such zone."""
    record = settings.state / standing.NAME
    standing.refuse_unknown(record, zone, settings.zones / "index")
    return verdict_reply(standing.alone(record, zone, operation, time.time())).model_dump(mode="json")


@guard.command()
@click.argument("zones", metavar="[ZONE]...", nargs=-1)
@click.option("--network", "networks", metavar="NAME", multiple=True, help="Leave to remove or shrink it; repeatable.")
@click.option("--for", "for_s", type=Duration(), required=True, metavar="TIME", help="Such as 10m; at most a day.")
@click.option("--reason", required=True, help="Goes into the audit log, with the zones that are cut off.")
@json_option
@click.pass_context
def permit(
    context: click.Context, zones: tuple[str, ...], networks: tuple[str, ...], for_s: float, reason: str, as_json: bool
) -> None:
    """Leave to delete or halt gateway ZONE, dependents or not, for a time. To all that are named, or to none."""
    names = [*zones, *(f"network/{network}" for network in networks)]
    if not names:
        raise click.UsageError("give a ZONE, or --network NAME")
    settings = settings_of(context, as_json)
    settings.show(settings.ask("guard-permit", names=names, for_s=for_s, reason=reason), _permits)


@guard.command()
@click.argument("zone")
@json_option
@click.pass_context
def restore(context: click.Context, zone: str, as_json: bool) -> None:
    """Bring back gateway ZONE, whose configuration was deleted while zones depend on it."""
    settings = settings_of(context, as_json)
    settings.timeout_s = max(settings.timeout_s, _RESTORE_MAX_S)
    settings.show(settings.ask("guard-restore", zone), lambda out, row: _gateways(out, [row]))


@guard.command()
@json_option
@click.pass_context
def status(context: click.Context, as_json: bool) -> None:
    """Every gateway: who depends on it, is its configuration kept, is there a permit. Exit 1 if one is lost. Without a
    daemon, or when it does not answer, by what it last knew."""
    settings = settings_of(context, as_json)
    try:
        answer = settings.look("guard-status", SHOWS_S)
    except NoDaemon as problem:
        answer = _recorded(settings, problem)
    settings.show(answer, _status)
    sys.exit(EXIT_TROUBLE if any(row["state"] == "lost" or row["text"] for row in answer["gateways"]) else 0)


def _recorded(settings: Settings, problem: NoDaemon) -> dict[str, Any]:
    """Raises NoDaemon: there is no record either, or it is not ours to read."""
    path = settings.state / standing.NAME
    try:
        record, at = standing.read(path), path.stat().st_mtime
    except (OSError, ValueError) as why:
        text = why.strerror if isinstance(why, OSError) else why
        raise NoDaemon(f"{problem.args[0]}; nor can its record be read: {path}: {text}", hint=problem.hint) from why
    settings.nobody(problem)
    index = Path(record.index) if record.index else settings.zones / "index"
    return recorded_reply(record, at, index, time.time()).model_dump(mode="json")


def _verdict(out: Console, answer: dict[str, Any]) -> None:
    lines = [*answer["lines"]]
    if answer["recorded"] is not None:
        lines.append(f"  {tables.of_then(answer['recorded'])}")
    for line in lines:
        out.print(line, markup=False, highlight=False, soft_wrap=True)


def _permits(out: Console, answer: dict[str, Any]) -> None:
    for permit in answer["permits"]:
        _permitted(out, permit)


def _permitted(out: Console, answer: dict[str, Any]) -> None:
    out.print(f"{answer['name']}: permitted until {tables.clock(answer['until'])}")
    out.print(f"cut off then: {few(answer['cuts_off'], _CUT_OFF_MAX) or 'nobody'}")
    if answer["text"]:
        out.print(Text(answer["text"], "yellow"))


def _status(out: Console, answer: dict[str, Any]) -> None:
    _gateways(out, answer["gateways"])
    for permit in answer["networks"]:
        _permitted(out, permit)
    if answer["recorded"] is not None:
        out.print("STATE is that of the zone index: which zones run was not asked")
        tables.without_daemon(out, answer["without_daemon"], answer["recorded"])


def _gateways(out: Console, rows: list[dict[str, Any]]) -> None:
    columns = ("GATEWAY", "STATE", "KEPT", "GATE", "DEPENDENTS", "PERMIT", "")
    tables.table(out, columns, (_cells(row) for row in rows), "no gateway zones are declared")
    if any(row["gate"] is False for row in rows):
        out.print("GATE no: the guard is not asked before such a zone is uninstalled; see zonehookctl brand status")


def _cells(row: dict[str, Any]) -> tuple[Text | str, ...]:
    state = Text(row["state"], "red" if row["state"] == "lost" else "")
    networks: dict[str, list[str]] = {}
    for each in row["dependents"]:
        networks.setdefault(each["network"], []).append(each["zone"])
    shown = [f"{network}: {few(zones, _NAMES_MAX)}" for network, zones in networks.items()]
    shown += [f"{row['left_out']} more" if shown else f"{row['left_out']} that may"] if row["left_out"] else []
    reason = f": {row['permit_reason']}" if row["permit_reason"] else ""
    until = f"until {tables.clock(row['permit_until'])}{reason}" if row["permit_until"] else "-"
    marks = {True: Text("yes"), False: Text("no", "yellow"), None: Text("-")}
    return row["name"], state, marks[row["kept"]], marks[row["gate"]], "; ".join(shown) or "-", until, row["text"]
