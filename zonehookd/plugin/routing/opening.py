"""Which ways in a new configuration opens: each a line of its own in the plan, as for a forward (contract A6). Pure."""

from __future__ import annotations

import re
from dataclasses import replace

from zonehookd.model.command import Change
from zonehookd.model.plan import Plan
from zonehookd.plugin import served
from zonehookd.plugin.served.server import Generation

_LISTENS = re.compile(r"^[ \t]*(?:bind|listen)[ \t]+([^\s;]+)", re.MULTILINE)  # of haproxy, and of nginx
_TELLS = ("enable", "restart", "clear")


def with_ways_in(base: Plan, server: served.Server, wanted: served.Wanted, found: served.Seen) -> Plan:
    """`base` with what the server is about to listen on, and does not yet, at the step that tells it so."""
    opened = sorted(_ways_in(wanted.generation(server)) - _ways_in(found.book.loaded))
    if not opened:
        return base
    shows = tuple(f"opens {way}/tcp for everybody, to the proxy" for way in opened)
    steps = list(base.steps)
    for number, step in enumerate(steps):
        if isinstance(step, Change) and (step.tally or (step.argv[0] == "svcadm" and set(_TELLS) & set(step.argv))):
            steps[number] = replace(step, shows=(*step.shows, *shows))
            break
    return Plan(tuple(steps), base.notes)


def _ways_in(generation: Generation) -> set[str]:
    """Such as ``*:80`` or ``192.0.2.10:443``; what listens for the host alone is none."""
    every = _LISTENS.findall(f"{generation.config or ''}\n{generation.top}")
    ways = {f"*:{each.removeprefix('*').removeprefix(':')}" if each.strip("*:").isdigit() else each for each in every}
    return {each for each in ways if not each.startswith(("127.", "/", "unix@", "{"))}
