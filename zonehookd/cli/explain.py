"""``zonehookctl explain``: the broken link of the chain first, then all there is to know about one zone."""

from __future__ import annotations

from typing import Any

import click
from rich.console import Console
from rich.text import Text

from zonehookd.cli import tables
from zonehookd.cli.settings import json_option, settings_of


@click.command()
@click.argument("zone")
@json_option
@click.pass_context
def explain(context: click.Context, zone: str, as_json: bool) -> None:
    """Why ZONE is as it is: first the broken link of its chain, if there is one, and the cure.

    Then its links, our records, its routes, the last look, and what a look now would find. `check` shows every link.
    """
    settings = settings_of(context, as_json)
    settings.show(settings.ask("explain", zone), _shown)


def in_one_line(out: Console, answer: dict[str, Any], good: bool) -> None:
    """The answer, and the cure where there is one."""
    out.print(Text(answer["text"], "green" if good else "red"))
    if answer["cure"]:
        out.print(Text(f"  cure: {answer['cure']}", "bold"))


def _shown(out: Console, answer: dict[str, Any]) -> None:
    in_one_line(out, answer, not answer["cure"])
    state = answer["state"]
    out.print(Text.assemble((answer["zone"], "bold"), " is ", (state, tables.STATES.get(state, ""))))
    for nic in answer["nics"]:
        where = (
            f"on network {nic['network']} over {nic['over']} (by {nic['found_by']})" if nic["network"] else "not placed"
        )
        out.print(f"  {nic['link']}: {where}{', ' + ', '.join(nic['addresses']) if nic['addresses'] else ''}")
    for record in answer["records"]:
        facts = ", ".join(f"{key} {value}" for key, value in record.items() if key not in ("kind", "name", "plugin"))
        out.print(f"  we made {record['kind']} {record['name']}: {facts}", markup=False)
    if answer["routes"]["routes"]:
        tables.routes(out, answer["routes"])
    elif answer["routes"]["refused"] or answer["routes"]["drained"]:
        tables.not_routed(out, answer["routes"])
    for key, head in (("last", "last look:"), ("now", "a look now would find:")):
        if answer[key]:
            out.print(head)
            tables.subjects(out, [answer[key]], all_notes=True)
