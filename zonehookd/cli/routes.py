"""``zonehookctl routes``, ``drain``, ``undrain``: who is behind each route, and a zone taken out of all of them."""

from __future__ import annotations

import sys
import time
from typing import Any

import click
from rich.console import Console

from zonehookd.cli import tables
from zonehookd.cli.ending import EXIT_TROUBLE
from zonehookd.cli.guard import Duration
from zonehookd.cli.settings import json_option, settings_of

_LOOK_S = 1.0  # until the next look at who still sends to it


@click.command()
@click.option("--zone", metavar="ZONE", help="Only what this zone serves, offers, or is refused.")
@click.option("--gateway", metavar="NAME", help="Only what goes through the proxy of this gateway.")
@json_option
@click.pass_context
def routes(context: click.Context, zone: str | None, gateway: str | None, as_json: bool) -> None:
    """Every route through a reverse proxy: who is behind it, since when, and why not."""
    settings = settings_of(context, as_json)
    settings.show(settings.ask("routes", zone, gateway=gateway), tables.routes)


@click.command()
@click.argument("zone")
@click.option("--for", "for_s", type=Duration(), default="10m", show_default=True, metavar="TIME", help="At most 24h.")
@click.option("--reason", default="", help="Goes into the audit log.")
@click.option("--wait/--no-wait", default=True, show_default=True, help="Until nobody sends to it any more.")
@json_option
@click.pass_context
def drain(context: click.Context, zone: str, for_s: float, reason: str, wait: bool, as_json: bool) -> None:
    """Take ZONE out of its routes: nothing new is sent to it, and it finishes what it has.

    For this run of the zone: after its next boot it is back. Exit 1: somebody still sends to it.
    """
    settings = settings_of(context, as_json)
    began = time.monotonic()
    answer = settings.ask("drain", zone, for_s=for_s, reason=reason, wait=wait)
    while wait and answer["still"] and time.monotonic() - began < answer["limit_s"]:
        time.sleep(_LOOK_S)
        answer["still"] = _still(settings.ask("routes", zone), zone)
    settings.show(answer, _drained)
    sys.exit(EXIT_TROUBLE if wait and answer["still"] else 0)


@click.command()
@click.argument("zone")
@json_option
@click.pass_context
def undrain(context: click.Context, zone: str, as_json: bool) -> None:
    """Put ZONE back behind its routes."""
    settings = settings_of(context, as_json)
    settings.show(settings.ask("undrain", zone), lambda out, answer: out.print(answer["text"], markup=False))


def _still(answer: dict[str, Any], zone: str) -> list[str]:
    seats = ((row["match"], seat) for row in answer["routes"] for seat in row["backends"] if seat["zone"] == zone)
    return [f"{match} ({seat['state']})" for match, seat in seats if seat["state"] != "out"]


def _drained(out: Console, answer: dict[str, Any]) -> None:
    how = f"still behind {', '.join(answer['still'])}" if answer["still"] else "it is behind no route any more"
    out.print(f"{answer['text']}: {how}", markup=False)
