"""`zonehookd --config FILE`: the daemon in the foreground. Exit 0 told to stop, 78 the configuration is wrong."""

from __future__ import annotations

import asyncio
import faulthandler
import sys
from pathlib import Path

import click

from zonehookd import __version__
from zonehookd.authoring import checking
from zonehookd.checked import check
from zonehookd.config import DEFAULT_FILE
from zonehookd.daemon import Daemon
from zonehookd.errors import PluginRefused, ZonehookError

EXIT_CONFIG = 78  # EX_CONFIG of sysexits(3)
EXIT_CODES = {0: "told to stop", EXIT_CONFIG: "the configuration or a plugin is wrong"}


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--config", "file", type=click.Path(path_type=Path), default=DEFAULT_FILE, show_default=True)
@click.option("--check", is_flag=True, help="Check the configuration and the plugins, then leave.")
@click.version_option(__version__)
def main(file: Path, check: bool) -> None:
    """The network of illumos zones follows the zones."""
    try:
        if check:
            _check(file)
            return
        faulthandler.enable()  # a warden aborts a daemon that hangs: the log shows where
        asyncio.run(_run(file))
    except ZonehookError as problem:
        click.echo(f"zonehookd: {problem}", err=True)
        sys.exit(EXIT_CONFIG)


async def _run(file: Path) -> None:
    await Daemon(file).run()


def _check(file: Path) -> None:
    """Plugins that are not ours are loaded too, each in a process of its own."""
    checked = check(file)
    config = checked.config
    verdict = checking.check(config.plugins, config.commands.search_path, None, {})
    if verdict.faults:
        raise PluginRefused("\n".join(config.origins.located(fault) for fault in verdict.faults))
    networks = checked.declared.networks
    click.echo(f"{file}: {len(networks)} networks, plugins {', '.join(checked.names)}: good")


if __name__ == "__main__":
    main()
