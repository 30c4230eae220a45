"""``zonehookctl keys``: who on other hosts may hear the event stream."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console

from zonehookd.bus import keys as certificates
from zonehookd.bus.client import NoDaemon, ask
from zonehookd.cli import tables
from zonehookd.cli.settings import Settings, json_option, settings_of
from zonehookd.errors import ZonehookError


@click.group()
def keys() -> None:
    """Who on other hosts may hear the event stream: CURVE keys in the folder of `[events] keys`."""


@keys.command()
@click.pass_context
def init(context: click.Context) -> None:
    """Make the folder and the daemon's own keys, once."""
    settings: Settings = context.obj
    folder = settings.events.keys
    certificates.init(folder)
    click.echo(f"{folder}: made. Next: zonehookctl keys new NAME, and [events] listen")


@keys.command()
@click.argument("name")
@click.option("--out", type=click.Path(path_type=Path), help="Into this new file (0600), instead of printing it.")
@click.pass_context
def new(context: click.Context, name: str, out: Path | None) -> None:
    """Let NAME subscribe. What is printed is the secret file of NAME, and is kept nowhere here."""
    settings: Settings = context.obj
    if out is not None and out.exists():
        raise ZonehookError(f"{out} is there already, and is not overwritten")
    folder = settings.events.keys
    text = certificates.new(folder, name)
    if out is None:
        click.echo(text, nl=False)
    else:
        _write(out, text, folder, name)
    try:
        _take(settings)
    except NoDaemon as problem:  # it need not run yet
        click.echo(f"zonehookctl: {problem}", err=True)


@keys.command()
@click.argument("name")
@click.pass_context
def revoke(context: click.Context, name: str) -> None:
    """Let NAME subscribe no more. All connections from other hosts are ended at once; those who still may come again by
    themselves. Exit 1: the daemon did not take it, 3: it did not answer; if it runs, NAME still hears."""
    settings: Settings = context.obj
    certificates.revoke(settings.events.keys, name)
    _take(settings)


@keys.command("list")
@json_option
@click.pass_context
def list_(context: click.Context, as_json: bool) -> None:
    """Who may subscribe, with the public keys; and the daemon's own."""
    settings = settings_of(context, as_json)
    section = settings.events
    known = certificates.load(section.keys)
    rows = [
        {"name": name, "key": key.decode()} for key, name in sorted(known.clients.items(), key=lambda each: each[1])
    ]
    server = {"listen": section.listen, "key": known.public.decode()}

    def shown(out: Console, answer: dict[str, object]) -> None:
        where = f"listens on {section.listen}" if section.listen else "listens nowhere: [events] listen is not set"
        out.print(f"zonehookd {where}; its public key is {known.public.decode()}", markup=False)
        tables.table(out, ("NAME", "PUBLIC KEY"), ((row["name"], row["key"]) for row in rows), "nobody may subscribe")

    settings.show({"server": server, "clients": rows}, shown)


def _write(out: Path, text: str, folder: Path, name: str) -> None:
    """A key that could not be delivered is no key."""
    try:
        certificates.write_new(out, text)
    except OSError as problem:
        certificates.revoke(folder, name)
        raise ZonehookError(f"{out}: cannot write it: {problem}") from problem


def _take(settings: Settings) -> None:
    """A daemon that runs takes the folder anew. Raises NoDaemon: nobody answered."""
    try:
        answer = ask(settings.run, "keys", timeout_s=settings.timeout_s)
    except NoDaemon as problem:
        text = f"the keys are taken when zonehookd starts, for now {problem.args[0]}"
        raise NoDaemon(text, hint=problem.hint) from problem
    except ZonehookError as problem:
        text = f"zonehookd does not take the keys, those before are in force: {problem.args[0]}"
        raise ZonehookError(text, hint=problem.hint, code=problem.code) from problem
    names = ", ".join(answer["clients"]) or "nobody"
    closed = "it does not listen for other hosts: [events] listen, and a start"
    where = f"{answer['listen']} is open to: {names}" if answer["listen"] else closed
    click.echo(f"zonehookctl: taken; {where}", err=True)
