"""``zonehookctl timeline``: what was heard about a zone and done for it, with durations."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click
from rich.console import Console
from rich.text import Text

from zonehookd.cli import tables
from zonehookd.cli.settings import json_option, settings_of

_RESULTS = {"failed": "red", "refused": "red", "waiting": "yellow", "begun": "yellow", "heard": "dim"}


@click.command()
@click.argument("zone")
@click.option("--change", metavar="ID", help="Only what belongs to this change, or was set off by it.")
@json_option
@click.pass_context
def timeline(context: click.Context, zone: str, change: str | None, as_json: bool) -> None:
    """What was heard about ZONE, looked at and done for it: each step and hook, with seconds and its end.

    Also what happened to its networks and gateways in the same changes. The last entries since the daemon's start;
    the audit log has every command, by the same ids.
    """
    settings = settings_of(context, as_json)
    answer = settings.ask("timeline", zone)
    if change:
        answer["entries"] = [row for row in answer["entries"] if change in (row["change"], row["cause"])]
    settings.show(answer, _shown)


def _shown(out: Console, answer: dict[str, Any]) -> None:
    gone = f"; {answer['forgotten']} earlier entries are gone" if answer["forgotten"] else ""
    out.print(Text(f"since {_clock(answer['since'], '%Y-%m-%d %H:%M:%S')}, when the daemon started{gone}", "dim"))
    rows = (
        (
            _clock(row["at"]),
            "-" if row["seconds"] is None else f"{row['seconds']:.3f}",
            row["change"] or "-",
            _whose(answer["zone"], row),
            row["what"],
            Text(row["result"], _RESULTS.get(row["result"], "green")),
            row["text"],
        )
        for row in answer["entries"]
    )
    tables.table(out, ("TIME", "SECONDS", "CHANGE", "OF", "WHAT", "RESULT", ""), rows, "nothing has happened to it")


def _whose(zone: str, row: dict[str, Any]) -> str:
    return "-" if (row["kind"], row["name"]) == ("zone", zone) else f"{row['kind']} {row['name']}"


def _clock(at: float, form: str = "%H:%M:%S.%f") -> str:
    """Local time, to milliseconds."""
    text = datetime.fromtimestamp(at).astimezone().strftime(form)
    return text[:-3] if form.endswith("%f") else text
