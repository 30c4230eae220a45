"""``zonehookctl provisioning``: the network that zones are set up on, with one command."""

from __future__ import annotations

import sys
from typing import Any

import click
from rich.console import Console
from rich.text import Text

from zonehookd.cli import tables
from zonehookd.cli.ending import EXIT_TROUBLE
from zonehookd.cli.settings import Settings, json_option, settings_of

_SETUP_MAX_S = 90.0  # services start while we wait
_name = click.argument("name", required=False)


@click.group()
def provisioning() -> None:
    """An etherstub behind the host, with NAT, DHCP and names: to set zones up on. Several are tenants."""


@provisioning.command()
@_name
@click.option("--uplink", metavar="LINK", help="The link that leads out; that of the default route unless told.")
@click.option("--cidr", metavar="CIDR", help="Its range; 10.190.190.0/24 unless told.")
@click.option("--upstream", metavar="ADDRESS", multiple=True, help="Resolvers to ask; the host's own unless told.")
@json_option
@click.pass_context
def setup(
    context: click.Context,
    name: str | None,
    uplink: str | None,
    cidr: str | None,
    upstream: tuple[str, ...],
    as_json: bool,
) -> None:
    """Declare NAME (`provision` unless told) in a file of its own, build it, and wait until it works.

    Again is as good as once. Exit 1 unless all of it works; what was refused is not declared.
    """
    settings = settings_of(context, as_json)
    settings.timeout_s = max(settings.timeout_s, _SETUP_MAX_S)
    wish = {"uplink": uplink, "cidr": cidr, "upstream": list(upstream)}
    _show(settings, settings.ask("provisioning-setup", network=name, wish=wish))


@provisioning.command()
@_name
@json_option
@click.pass_context
def status(context: click.Context, name: str | None, as_json: bool) -> None:
    """Each component: does it exist, is it as declared, does it work. Exit 1 unless all do."""
    settings = settings_of(context, as_json)
    _show(settings, settings.ask("provisioning-status", network=name))


@provisioning.command()
@_name
@json_option
@click.pass_context
def teardown(context: click.Context, name: str | None, as_json: bool) -> None:
    """Take it down: only what was made for it. Refused while zones are attached."""
    settings = settings_of(context, as_json)
    settings.timeout_s = max(settings.timeout_s, _SETUP_MAX_S)
    settings.show(settings.ask("provisioning-teardown", network=name), _printed)


def _show(settings: Settings, answer: dict[str, Any]) -> None:
    settings.show(answer, _printed)
    sys.exit(0 if all(each["ready"] for each in answer["networks"]) else EXIT_TROUBLE)


def _printed(out: Console, answer: dict[str, Any]) -> None:
    if answer["text"]:
        out.print(answer["text"])
    for each in answer["networks"]:
        state = Text("ready", "green") if each["ready"] else Text("not ready", "red")
        pools = f"pool {', '.join(each['pool']) or '-'}, dynamic {', '.join(each['dynamic']) or '-'}"
        out.print(Text.assemble((each["name"], "bold"), f": {each['cidr']}, host {each['host']}: ", state))
        out.print(f"  {pools}, resolvers {', '.join(each['resolvers']) or '-'}, out by {each['uplink'] or '-'}")
        out.print(f"  zones: {', '.join(each['zones']) or 'none'}")
        columns = ("COMPONENT", "OBJECT", "EXISTS", "AS DECLARED", "WORKS", "")
        tables.table(out, columns, (_cells(row) for row in each["components"]), "no components")


def _cells(row: dict[str, Any]) -> tuple[Text | str, ...]:
    marks = {True: Text("yes", "green"), False: Text("no", "red"), None: Text("?", "yellow")}
    return (row["name"], row["object"], *(marks[row[key]] for key in ("exists", "as_declared", "works")), row["text"])
