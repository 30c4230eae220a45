"""``zonehookctl hooks``: the programs and functions in hooks.d, and what came of them."""

from __future__ import annotations

import sys
import time
from typing import Any

import click
from rich.console import Console

from zonehookd.cli import tables
from zonehookd.cli.ending import EXIT_TROUBLE
from zonehookd.cli.settings import json_option, settings_of


@click.command()
@click.option("--zone", metavar="ZONE", help="Only what hooks are still to be told of this zone.")
@json_option
@click.pass_context
def hooks(context: click.Context, zone: str | None, as_json: bool) -> None:
    """Every hook: what it asks for, what came of its last call, and what it is still to be told.

    Exit 1: a hook cannot be called, or holds up the links of a zone.
    """
    settings = settings_of(context, as_json)
    answer = settings.ask("hooks", zone)
    settings.show(answer, _shown)
    bad = answer["fault"] or answer["held"] or any(row["trouble"] for row in answer["hooks"])
    sys.exit(EXIT_TROUBLE if bad else 0)


def _shown(out: Console, answer: dict[str, Any]) -> None:
    if not answer["enabled"]:
        out.print("hooks are off: [hooks] enabled = false", markup=False)
    elif answer["fault"]:
        out.print(answer["fault"], markup=False)
    elif not answer["hooks"]:
        out.print(f"there is no hook in {answer['folder']}", markup=False)
    table = []
    for row in answer["hooks"]:
        calls = ", ".join(f"{times} {result}" for result, times in row["calls"].items())
        owed = str(row["owed"] or "-")
        table.append((row["name"], _moments(row), calls or "-", owed, row["trouble"] or _last(row)))
    if table:
        tables.table(out, ("HOOK", "MOMENTS", "CALLS", "OWED", "LAST CALL"), table, "")
    for zone, why in answer["held"].items():
        out.print(f"zone {zone} is held: {why}", markup=False)
    for each in answer["owed"]:
        if each["tries"]:
            again = f"{each['hook']}: {each['moment']} of zone {each['zone']}: tried {each['tries']} times"
            out.print(f"{again}: {each['text']}" if each["text"] else again, markup=False)


def _moments(row: dict[str, Any]) -> str:
    if row["moments"] is None:
        return "?"
    return ", ".join(row["moments"]) or "all"


def _last(row: dict[str, Any]) -> str:
    last = row["last"]
    if last is None:
        return "-"
    ago = max(0.0, time.time() - last["ended"])
    text = f": {last['text'].splitlines()[0]}" if last["text"] else ""
    return f"{last['moment']} {last['zone']}: {last['result']}{text} ({last['seconds']:.3g} s, {ago:.0f} s ago)"
