"""``zonehookctl import``: the records of other tools as a declaration. Needs no daemon, and changes nothing."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from zonehookd.errors import ConfigError, ZonehookError
from zonehookd.importing.document import Document, Uplink, read
from zonehookd.importing.hoster import from_hoster
from zonehookd.importing.zap import from_zap

EXIT_LOST = 1
_PATH = click.Path(path_type=Path)


@click.group("import")
def imports() -> None:
    """Print the records of another tool as our declaration (TOML).

    Whatever is not expressed there is a comment in it and a line on stderr, each with its reason. Exit 1 if anything
    was not expressed, unless --partial says that this is as it should be.
    """


def _common(command: Callable[..., None]) -> Callable[..., None]:
    for option in (
        click.option("--uplink", metavar="LINK", help="The physical link that leads out, which no record names."),
        click.option("--uplink-cidr", metavar="CIDR", default="", help="The range of the network it is on."),
        click.option("--partial", is_flag=True, help="Exit 0 also when something is not expressed."),
        click.option("--into", type=_PATH, help="Write this file, which must not exist, instead of stdout."),
    ):
        command = option(command)
    return command


@imports.command()
@click.argument("file", type=_PATH)
@click.option("--zones", "machines", type=_PATH, multiple=True, help="A vm_config.json, or a folder of NAME/ with one.")
@click.option("--link", "links", metavar="OLD=NEW", multiple=True, help="What the link that Hoster calls OLD is here.")
@_common
def hoster(file: Path, machines: tuple[Path, ...], links: tuple[str, ...], **common: Any) -> None:
    """Hoster's network_config.json."""
    renamed = dict(_renamed(links))
    configs = [(each.parent.name, read(each)) for path in machines for each in _machine_files(path)]
    found = from_hoster(read(file), str(file), machines=configs, links=renamed, uplink=_uplink(common))
    _deliver(found, common["into"], common["partial"])


@imports.command()
@click.argument("folder", type=_PATH)
@_common
def zap(folder: Path, **common: Any) -> None:
    """The folder of Tribblix' zap: /var/zap/zones."""
    try:
        entries = sorted(folder.iterdir())
    except OSError as problem:
        raise ConfigError(f"{folder}: cannot read it: {problem}") from problem
    # A predestroy may be any program; that it is there is all there is to say.
    files = {each.name: "" if each.name.startswith("predestroy.") or each.is_dir() else read(each)
             for each in entries}  # fmt: skip
    _deliver(from_zap(files, str(folder), uplink=_uplink(common)), common["into"], common["partial"])


def _uplink(common: dict[str, Any]) -> Uplink | None:
    if common["uplink"] is None:
        if common["uplink_cidr"]:
            raise click.UsageError("--uplink-cidr is the range of --uplink")
        return None
    return Uplink(common["uplink"], common["uplink_cidr"])


def _renamed(links: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    for text in links:
        old, equals, new = text.partition("=")
        if not (old and equals and new):
            raise click.UsageError(f"--link {text}: expected OLD=NEW, such as em0=igb0")
        yield old, new


def _machine_files(path: Path) -> list[Path]:
    return sorted(path.glob("*/vm_config.json")) if path.is_dir() else [path]


def _deliver(document: Document, into: Path | None, partial: bool) -> None:
    text = document.text()
    for line in document.stays:
        click.echo(f"zonehookctl: stays: {line}", err=True)
    for line in document.lost:
        click.echo(f"zonehookctl: not expressed: {line}", err=True)
    lost = bool(document.lost) and not partial
    if into is None:
        click.echo(text, nl=False)
    elif lost:
        raise ZonehookError(f"{into} is not written; with --partial it would be")
    else:
        _write_new(into, text)
    sys.exit(EXIT_LOST if lost else 0)


def _write_new(path: Path, text: str) -> None:
    """The whole file under its name, or nothing; never over one that is there."""
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                os.fchmod(file.fileno(), 0o644)
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            path.hardlink_to(temporary)
        finally:
            Path(temporary).unlink()
    except FileExistsError as problem:
        raise ConfigError(f"{path} is there already, and is not overwritten") from problem
    except OSError as problem:
        raise ConfigError(f"{path}: cannot write it: {problem}") from problem
