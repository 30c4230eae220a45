"""``zonehookctl routes``, ``drain``, ``undrain``: who is behind each route, and a zone taken out of all of them."""

from __future__ import annotations

import sys
from typing import Any

import click
from rich.console import Console

from zonehookd.cli import tables
from zonehookd.cli.guard import Duration
from zonehookd.cli.settings import EXIT_TROUBLE, json_option, settings_of

_WAIT_MAX_S = 3700.0  # longer than any proxy's drain_s; the daemon ends it sooner


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
    if wait:
        settings.timeout_s = max(settings.timeout_s, _WAIT_MAX_S)
    answer = settings.ask("drain", zone, for_s=for_s, reason=reason, wait=wait)
    settings.show(answer, _text)
    sys.exit(EXIT_TROUBLE if wait and answer["still"] else 0)


@click.command()
@click.argument("zone")
@json_option
@click.pass_context
def undrain(context: click.Context, zone: str, as_json: bool) -> None:
    """Put ZONE back behind its routes."""
    settings = settings_of(context, as_json)
    settings.show(settings.ask("undrain", zone), _text)


def _text(out: Console, answer: dict[str, Any]) -> None:
    out.print(answer["text"], markup=False)
