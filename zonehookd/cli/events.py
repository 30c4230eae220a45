"""``zonehookctl events``: the event stream, of this host or of another."""

from __future__ import annotations

import json
from pathlib import Path

import click

from zonehookd.bus import keys
from zonehookd.bus.announcements import Announcement
from zonehookd.bus.follow import follow
from zonehookd.cli.settings import json_option, settings_of

_SILENCE_S = 1.0


@click.command()
@click.option("--follow", "-f", "ever", is_flag=True, help="Go on for ever; else stop at the first second of silence.")
@click.option("--connect", metavar="tcp://HOST:PORT", help="Of the daemon there, where its [events] listen is set.")
@click.option(
    "--key", "key_file", type=click.Path(path_type=Path), help="With --connect: what `keys new` has made there."
)
@json_option
@click.pass_context
def events(context: click.Context, ever: bool, connect: str | None, key_file: Path | None, as_json: bool) -> None:
    """What the daemon hears and does, as it happens, and how much of it was missed."""
    settings = settings_of(context, as_json)
    if (connect is None) is not (key_file is None):
        raise click.UsageError("--connect and --key belong together")
    try:
        key = keys.client(key_file) if key_file is not None else None
        if connect is None:
            settings.ask("status")  # says plainly when there is no daemon
        where = connect or f"ipc://{settings.run / 'events.sock'}"
        silence_s = None if ever else _SILENCE_S
        for each in follow(where, key, silence_s=silence_s, answer_s=settings.timeout_s):
            click.echo(each.model_dump_json() if settings.as_json else _line(each))
    except KeyboardInterrupt:
        pass


def _line(each: Announcement) -> str:
    data = each.data
    words = " ".join(f"{key}={_word(value)}" for key, value in data.items() if value not in ("", None, [], 0))
    if each.topic == "outcome":
        steps = "; ".join(step["step"] for step in data["steps"])
        words = f"{data['kind']} {data['name']}: {data['result']}: {steps or data['error']}"
    elif each.topic == "lost":
        words = (
            f"{data['count']} of {data['of']}" if data["of"] else "the daemon has started again: what was said before"
        )
    return f"{each.time} {each.topic:8} {words}"


def _word(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
