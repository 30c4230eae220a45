"""The daemon's answers as tables for people: colour on a terminal, plain text elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

STATES = {"running": "green", "installed": "cyan", "configured": "dim", "absent": "dim", "unknown": "red"}
_RESULTS = {"noop": "green", "changed": "green", "busy": "yellow", "failed": "red", "stuck": "red", "blind": "red"}
_NOTES = {"nothing": "dim", "waiting": "yellow", "refused": "red", "failed": "red"}


_SEATS = {"in": "green", "drain": "yellow", "out": "red"}
_PIPED_COLUMNS = 1000  # nobody looks: lines are for programs, and stay whole


def console() -> Console:
    width = None if sys.stdout.isatty() else _PIPED_COLUMNS
    return Console(highlight=False, emoji=False, soft_wrap=True, width=width)


def table(out: Console, columns: Sequence[str], rows: Iterable[Sequence[Text | str]], empty: str) -> None:
    """`empty` is printed when there is no row."""
    listed = list(rows)
    if not listed:
        out.print(Text(empty, "dim"))
        return
    shown = Table(box=None, pad_edge=False, header_style="bold", show_edge=False)
    for number, column in enumerate(columns[:-1]):  # names are never cut
        widest = max(len(column), *(len(row[number]) for row in listed))
        shown.add_column(column, no_wrap=True, min_width=widest)
    shown.add_column(columns[-1], overflow="fold")  # what there is to say goes on below
    for row in listed:
        shown.add_row(*(cell if isinstance(cell, Text) else Text(cell) for cell in row))
    out.print(shown, soft_wrap=False)


def clock(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).astimezone().isoformat(sep=" ", timespec="seconds")


def of_then(recorded: float) -> str:
    return f"by the record of {clock(recorded)}; what has happened since is not known"


def without_daemon(out: Console, policy: dict[str, str], recorded: float | None) -> None:
    """What hooks with the gate do until it answers, and since when it has told nobody."""
    goes = {"allow": "goes on", "record": "is refused if zones depended on it by that record"}
    uninstall = f"the uninstall of a gateway {goes.get(policy['uninstall'], 'is refused')} ([guard] without_daemon)"
    boot = "is refused" if policy["boot"] == "deny" else "goes on, its links there or not"
    out.print(of_then(recorded) if recorded is not None else "there is no record of zonehookd's that can be read")
    out.print("until zonehookd answers, where the gate is in the brand:")
    out.print(Text(f"  {uninstall if recorded is not None else 'every uninstall is refused'}"))
    out.print(Text(f"  a boot {boot} ([guard] boot); a halt goes on"))


def zones(out: Console, rows: list[dict[str, Any]]) -> None:
    def cells(row: dict[str, Any]) -> Iterable[Sequence[Text | str]]:
        places = row["attachments"] or [None]
        for number, place in enumerate(places):
            head = (
                (row["name"], Text(row["state"], STATES.get(row["state"], "")), row["brand"])
                if not number
                else ("",) * 3
            )
            wired = (
                (place["link"], place["network"], ", ".join(place["addresses"]) or "-") if place else ("-", "-", "-")
            )
            yield (*head, *wired, _trouble(row["trouble"]) if not number else "")

    columns = ("ZONE", "STATE", "BRAND", "LINK", "NETWORK", "ADDRESSES", "TROUBLE")
    table(out, columns, (each for row in rows for each in cells(row)), "no zones")


def networks(out: Console, rows: list[dict[str, Any]]) -> None:
    columns = ("NETWORK", "CIDR", "LINK", "KIND", "MTU", "ZONES", "TROUBLE")
    shown = (
        (
            row["name"],
            ", ".join(row["cidr"]),
            row["link"],
            row["kind"],
            str(row["mtu"] or "-"),
            str(row["zones"]),
            _trouble(row["trouble"]),
        )
        for row in rows
    )
    table(out, columns, shown, "no networks declared")


def links(out: Console, rows: list[dict[str, Any]]) -> None:
    colours = {"us": "green", "missing": "red", "somebody else": "yellow"}
    columns = ("LINK", "KIND", "OVER", "MAC", "MTU", "OWNER", "MADE BY")
    shown = (
        (
            row["name"],
            row["kind"],
            row["over"] or "-",
            row["mac"] or "-",
            str(row["mtu"] or "-"),
            row["owner"] or "-",
            Text(row["made_by"], colours[row["made_by"]]),
        )
        for row in rows
    )
    table(out, columns, shown, "no links")


def gateways(out: Console, rows: list[dict[str, Any]]) -> None:
    shown = (
        (
            row["name"],
            row["kind"],
            Text("open", "green") if row["open"] else Text(f"shut: {row['text']}", "yellow"),
            f"{row['outside'] or '-'} {' '.join(row['addresses'])}",
            ", ".join(row["networks"]) or "-",
            str(row["zones"]),
            "\n".join(row["forwards"]) or "-",
        )
        for row in rows
    )
    heads = ("GATEWAY", "KIND", "STATE", "OUTSIDE", "NETWORKS", "ZONES", "FORWARDS")
    table(out, heads, shown, "no gateway is declared")


def addresses(out: Console, rows: list[dict[str, Any]]) -> None:
    shown = ((row["network"], row["address"], row["zone"], row["link"], row["state"]) for row in rows)
    table(out, ("NETWORK", "ADDRESS", "ZONE", "LINK", "STATE"), shown, "no address was given out of a pool")


def routes(out: Console, answer: dict[str, Any]) -> None:
    if answer["text"]:
        out.print(Text(answer["text"], "yellow"))
    _proxies(out, answer)
    columns = ("GATEWAY", "ROUTE", "OWNER", "BACKEND", "AT", "STATE", "SINCE", "")
    rows = (cells for row in answer["routes"] for cells in _route_cells(row))
    if answer["routes"] or not answer["text"]:
        table(out, columns, rows, "no routes")
    not_routed(out, answer)


def _proxies(out: Console, answer: dict[str, Any]) -> None:
    """Only those that something is wrong with."""
    for proxy in answer["proxies"]:
        for note in proxy["trouble"]:
            hint = f" (hint: {note['hint']})" if note["hint"] else ""
            out.print(Text(f"{proxy['program']} of gateway {proxy['gateway']}: {note['text']}{hint}", "red"))


def not_routed(out: Console, answer: dict[str, Any]) -> None:
    for row in answer["refused"]:
        line = Text(f"refused: zone {row['zone']}: {row['text']}", "red")
        line.append(f" (hint: {row['hint']})" if row["hint"] else "")
        out.print(line)
    for row in answer["drained"]:
        out.print(f"drained: zone {row['zone']}, for another {_ago(time.time() - row['until'])}: {row['reason']}")


def _route_cells(row: dict[str, Any]) -> Iterable[Sequence[Text | str]]:
    head = (row["gateway"], row["match"], row["owner"])
    if not row["backends"]:
        yield (*head, "-", "-", Text("out", "red"), "-", "nobody is behind it")
    for number, each in enumerate(row["backends"]):
        address = f"[{each['address']}]" if ":" in each["address"] else each["address"]
        yield (
            *(head if not number else ("",) * 3),
            each["zone"] or "-",
            f"{address}:{each['port']}" if address else "-",
            Text(f"{each['state']}{', held' if each['held'] else ''}", _SEATS[each["state"]]),
            _ago(time.time() - each["since"]) if each["since"] else "-",
            each["why"],
        )


def _ago(seconds: float) -> str:
    seconds = abs(seconds)
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f}{unit}"
    return f"{seconds:.0f}s"


def plugins(out: Console, rows: list[dict[str, Any]]) -> None:
    shown = (
        (row["name"], row["kind"] or "-", ", ".join(row["after"]) or "-", _runs(row), row["error"] or row["about"])
        for row in rows
    )
    table(out, ("PLUGIN", "FOR EACH", "AFTER", "RUNS", "WHAT IT DOES"), shown, "no plugins")


def _runs(row: dict[str, Any]) -> Text:
    """In the daemon, or how its worker is."""
    if row["where"] == "daemon":
        return Text("in the daemon")
    words = [row["state"], *(["required"] if row["required"] else []), *([f"as {row['user']}"] if row["user"] else [])]
    words += [f"process {row['pid']}"] if row["pid"] is not None else []
    words += [f"{row['restarts']} restarts"] if row["restarts"] else []
    return Text(", ".join(words), "green" if row["state"] == "ready" else "red")


def subjects(out: Console, rows: list[dict[str, Any]], *, all_notes: bool = False) -> None:
    """Steps with their whys; notes other than "nothing to do" always, the others on demand."""
    for row in rows:
        notes = [note for note in row["notes"] if all_notes or note["kind"] != "nothing"]
        if not (row["steps"] or notes or row["error"]):
            continue
        head = Text(f"{row['kind']} {row['name']}", "bold")
        if row["result"]:
            head.append(f"  {row['result']}", _RESULTS.get(row["result"], "red"))
        out.print(head)
        for step in row["steps"]:
            mark = {True: "✓", False: "✗", None: "→"}[step["ok"]]
            line = Text(f"  {mark} {step['step']}", "red" if step["ok"] is False else "")
            line.append(f"   # {step['why']}", "dim")
            for shown in step.get("shows", ()):
                line.append(f"\n      {shown}", "bold" if shown.startswith("opens ") else "dim")
            out.print(line)
        for note in notes:
            kind = "" if note["text"].startswith(note["kind"]) else f"{note['kind']}: "  # waiting for gateway edge
            line = Text(f"  {kind}{note['text']}", _NOTES.get(note["kind"], ""))
            if note["hint"]:
                line.append(f" (hint: {note['hint']})")
            out.print(line)
        if row["error"]:
            out.print(Text(f"  {row['error']}", "red"))


def status(out: Console, answer: dict[str, Any]) -> None:
    ready = Text("ready", "green") if answer["ready"] else Text("not ready yet", "yellow")
    out.print(Text.assemble("zonehookd ", answer["version"], ": ", ready, f", up {answer['uptime_s']:.0f} s"))
    out.print(
        f"{answer['zones']} zones, {answer['networks']} networks, {answer['attachments']} links placed; "
        f"{answer['waiting']} waiting, {answer['working']} at work"
    )
    if answer["routes"]:
        out.print(f"{answer['routes']} routes, {answer['unserved']} with nobody behind them")
    for source in answer["sources"]:
        state = Text("up", "green") if source["up"] else Text(f"down: {source['text']}", "yellow")
        by = f", by {source['text']}" if source["up"] and source["text"] else ""
        out.print(Text.assemble(f"source {source['name']}: ", state, by))
    for key, label in (("blind", "cannot look"), ("config_error", "configuration refused"), ("rebuilt", "records")):
        if answer[key]:
            out.print(Text(f"{label}: {answer[key]}", "yellow" if key == "rebuilt" else "red"))
    for text in answer["without_gate"]:
        out.print(Text(f"without its gate: {text}", "red"))
    for text in answer["plugins"]:
        out.print(Text(text, "red"))
    subjects(out, answer["trouble"])


def reloaded(out: Console, answer: dict[str, Any]) -> None:
    plugins = ", ".join(answer["plugins"])
    out.print(f"{answer['config']}: {answer['networks']} networks, {answer['gateways']} gateways, plugins {plugins}")
    if answer["at_next_start"]:
        out.print(Text(f"at the next start: {', '.join(answer['at_next_start'])}", "yellow"))
    for line in answer["not_well"]:
        out.print(Text(line, "red"))


def _trouble(notes: list[dict[str, Any]]) -> Text:
    if not notes:
        return Text("-", "dim")
    worst = next((note for note in notes if note["kind"] != "waiting"), notes[0])
    return Text(worst["text"], _NOTES.get(worst["kind"], ""))
