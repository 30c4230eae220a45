"""``zonehookctl plugin``: make a plugin, check it, try it on what is there, take its new code into use."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from zonehookd import scaffold
from zonehookd.cli.settings import EXIT_TROUBLE
from zonehookd.errors import ZonehookError
from zonehookd.model.subject import Kind


@click.group()
def plugin() -> None:
    """Plugins of your own: begin one, check it, try it, take its new code into use."""


@plugin.command()
@click.argument("name")
@click.option("--shape", type=click.Choice(scaffold.SHAPES), default="folder", show_default=True,
              help="A Python folder, a Python package with an entry point, or a program in any language.")  # fmt: skip
@click.option("--kind", type=click.Choice(scaffold.KINDS), default="zone", show_default=True, help="What it works on.")
@click.option("--into", type=click.Path(file_okay=False, path_type=Path), default=Path(), metavar="DIR",
              help="Where its folder is made; here by default.")  # fmt: skip
def new(name: str, shape: scaffold.Shape, kind: Kind, into: Path) -> None:
    """Make a folder NAME: a plugin that works, and tests that pass. Overwrites nothing; needs no daemon."""
    try:
        written = scaffold.write(name, shape, kind, into)
    except ZonehookError as problem:
        click.echo(f"zonehookctl: {problem}", err=True)
        sys.exit(EXIT_TROUBLE)
    for file in written:
        click.echo(file)
