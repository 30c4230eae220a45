"""Every command of zonehookctl and of zonehookd with its options, and their exit codes; as Markdown."""

from __future__ import annotations

from collections.abc import Iterator

import click

from docs._ext import schema
from zonehookd import __main__ as daemon
from zonehookd.cli.ending import ERROR_CODES, EXIT_CODES
from zonehookd.cli.main import main


def commands() -> str:
    """A heading, the usage, what it does, and a table of its options, for each command."""
    return "\n".join(_told(context) for context in walk(click.Context(main, info_name="zonehookctl")))


def of_the_daemon() -> str:
    return _told(click.Context(daemon.main, info_name="zonehookd"))


def exit_codes() -> str:
    told = [("zonehookctl", code, meaning) for code, meaning in EXIT_CODES.items()]
    told += [("zonehookd", code, meaning) for code, meaning in daemon.EXIT_CODES.items()]
    return schema.table(("program", "exit", "meaning"), ((name, f"`{code}`", text) for name, code, text in told))


def error_codes() -> str:
    return schema.table(("code", "meaning"), ((f"`{code}`", meaning) for code, meaning in ERROR_CODES.items()))


def walk(context: click.Context) -> Iterator[click.Context]:
    """The command and all below it, each with the names before it."""
    yield context
    if isinstance(context.command, click.Group):
        for name in sorted(context.command.commands):
            yield from walk(click.Context(context.command.commands[name], info_name=name, parent=context))


def _told(context: click.Context) -> str:
    command = context.command
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    rows = [
        (f"`{record[0]}`", record[1])
        for each in command.get_params(context)
        if isinstance(each, click.Option) and "--help" not in each.opts and (record := each.get_help_record(context))
    ]
    options = schema.table(("option", "meaning"), rows) if rows else ""
    about = "\n\n".join(" ".join(part.split()) for part in (command.help or "").split("\n\n"))
    return f"## `{context.command_path}`\n\n{about}\n\n```text\n{usage}\n```\n\n{options}"
