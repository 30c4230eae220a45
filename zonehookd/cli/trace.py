"""``zonehookctl check`` and ``trace``: the links of a zone's chain; the way of a packet, and what decides where."""

from __future__ import annotations

import sys
from typing import Any

import click
from rich.console import Console
from rich.text import Text

from zonehookd.cli import tables
from zonehookd.cli.ending import EXIT_TROUBLE
from zonehookd.cli.explain import in_one_line
from zonehookd.cli.settings import json_option, settings_of

_STATES = {"ok": "green", "broken": "red", "unknown": "yellow", "not applicable": "dim"}


@click.command()
@click.argument("zone")
@json_option
@click.pass_context
def check(context: click.Context, zone: str, as_json: bool) -> None:
    """Every link of ZONE's chain: from its configuration to the names it asks for. Changes nothing.

    Exit 1: a link is broken; the first one is named, with the cure. What could not be looked at is unknown, never
    broken.
    """
    settings = settings_of(context, as_json)
    answer = settings.ask("check", zone)
    settings.show(answer, _checked)
    sys.exit(EXIT_TROUBLE if answer["broken"] else 0)


@click.command()
@click.argument("a")
@click.argument("b")
@click.argument("port", required=False, type=click.IntRange(1, 65535))
@click.option("--udp", is_flag=True, help="The port is one of UDP.")
@json_option
@click.pass_context
def trace(context: click.Context, a: str, b: str, port: int | None, udp: bool, as_json: bool) -> None:
    """The way of a packet from A to B and back, and the rule that decides at each hop. Sends nothing, changes nothing.

    A is a zone, or an address outside; B a zone, an address, a network (its gateway), or a host name that zones serve.
    Without PORT it is a ping. Exit 0: it arrives, as far as can be seen; 1: it ends at the hop that is named.
    """
    settings = settings_of(context, as_json)
    if udp and port is None:
        raise click.UsageError("--udp needs a PORT")
    answer = settings.ask("trace", a, target=b, port=port or 0, udp=udp)
    settings.show(answer, _traced)
    sys.exit(0 if answer["reachable"] else EXIT_TROUBLE)


def _checked(out: Console, answer: dict[str, Any]) -> None:
    in_one_line(out, answer, not answer["broken"])
    rows = (
        (Text(row["state"], _STATES[row["state"]]), row["name"], row["object"], row["text"]) for row in answer["links"]
    )
    tables.table(out, ("STATE", "LINK", "OF", ""), rows, "there is nothing to check")


def _traced(out: Console, answer: dict[str, Any]) -> None:
    in_one_line(out, answer, answer["reachable"])
    rows = []
    for row in answer["hops"]:
        way = "→" if row["way"] == "there" else "←"
        rule = f"\n{row['rule']}" if row["rule"] and row["rule"] not in row["text"] else ""
        rows.append((way, row["at"], Text(row["what"], _STATES[row["state"]]), f"{row['text']}{rule}"))
    tables.table(out, ("", "AT", "DECIDES", ""), rows, "it goes nowhere")
