"""A new way in is a line of its own in the plan, at the step that opens it, and only then."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from zonehookd.illumos import smf
from zonehookd.model.command import Change
from zonehookd.model.plan import Plan
from zonehookd.model.subject import gateway
from zonehookd.plugin import served
from zonehookd.plugin.routing import with_ways_in
from zonehookd.plugin.served import Book, Seen, Server, Wanted

FMRI = "svc:/network/haproxy2:default"
SERVER = Server("haproxy", "edge", FMRI, Path("/etc/h.cfg"), Path("/var/h.cfg"), served.CONTENT, ("true", "{path}"))
FIRST = Change(("true",), "the files come first")


def shown(before: str | None, wanted: Wanted, tell: Change) -> tuple[tuple[str, ...], ...]:
    good = None if before is None else Wanted(before).generation(SERVER)
    seen = Seen(gateway("edge"), "haproxy", replace(Book(), good=good))
    made = with_ways_in(Plan((FIRST, tell)), SERVER, wanted, seen)
    return tuple(step.shows for step in made.steps if isinstance(step, Change))


@pytest.mark.parametrize(
    ("config", "ways"),
    [
        ("    bind :80\n    bind 192.0.2.10:443 ssl crt /x\n", ["*:80", "192.0.2.10:443"]),
        ("    listen 80;\n    listen [::]:80;\n    listen 127.0.0.1:9632;\n", ["*:80", "[::]:80"]),
        ("    bind /var/zonehookd/idle.sock mode 600\n", []),
    ],
)
def test_what_opens_is_shown_where_it_is_told(config: str, ways: list[str]) -> None:
    enable = smf.enable("edge", FMRI, why="it is disabled")
    lines = tuple(f"opens {each}/tcp for everybody, to the proxy" for each in ways)
    assert shown(None, Wanted(config), enable) == ((), lines)


def test_what_is_open_is_not_said_again() -> None:
    reload = replace(smf.signal("edge", 7, "USR2", oldest=True, why="it changed"), tally="haproxy-reload")
    assert shown("bind :80\n", Wanted("bind :80\nbind :5432 name 5432\n"), reload) == (
        (), ("opens *:5432/tcp for everybody, to the proxy",),
    )  # fmt: skip
    assert shown("bind :80\n", Wanted("bind :80\n# another text\n"), reload) == ((), ())


def test_nginx_streams_count_too() -> None:
    restart = smf.restart("edge", FMRI, why="it changed")
    wanted = Wanted("listen 80;\n", top="stream {\n    listen 5432 so_keepalive=on;\n}\n")
    assert shown("listen 80;\n", wanted, restart) == ((), ("opens *:5432/tcp for everybody, to the proxy",))
