"""(h) Rules of a gateway: from SIGHUP until ipnat has loaded what changed, with few and with many forwards declared.

*One moved*: one of N forwards gets another port, the others stay. *All new*: there were none, and N are declared.
"""

from __future__ import annotations

import time

from bench import gateways, labhost
from bench.daemon import Daemon
from bench.gateways import EDGE
from bench.measure import Measure, Report, Row, Samples, median
from bench.records import Entry

SIZES = (10, 300, 1000)
_TRIES, _TRIES_QUICK = 7, 3
_FIRST_PORT, _LAST_PORT = 20000, 40000


def on_host(forwards: int, tries: int) -> Samples:
    """Seconds, and commands until the daemon rests. One value per try."""
    samples: dict[str, list[float]] = {}

    def keep(name: str, taken: dict[str, float]) -> None:
        for key, value in taken.items():
            samples.setdefault(f"{name}_{key}", []).append(value)

    with gateways.gateway(gateways.declared()) as daemon:
        for number in range(tries):
            keep("all", _change(daemon, forwards, _LAST_PORT))
            keep("one", _change(daemon, forwards, _LAST_PORT + 1 + number))
            _change(daemon, 0, 0)
    return samples


def _forwards(number: int, last: int) -> str:
    ports = [*range(_FIRST_PORT, _FIRST_PORT + number - 1), last] if number else []
    return "".join(
        f'[[gateway.{EDGE}.forward]]\nport = {port}\nto = "10.64.0.{2 + at % 200}"\n' for at, port in enumerate(ports)
    )


def _change(daemon: Daemon, number: int, last: int) -> dict[str, float]:
    gateways.until_well(daemon)
    daemon.audit.read()
    daemon.journal.entries.clear()
    daemon.places.declare(gateways.declared(more=_forwards(number, last)))
    told_s = time.time()
    daemon.reload()
    (loaded,) = daemon.journal.wait_for(1, lambda entry: _loads(entry, number == 0))
    daemon.wait_until_quiet()
    audited = daemon.audit.read()
    if number:
        assert f"port {last} " in gateways.run("ipnat", "-l", "-z", EDGE)
    return {
        "loaded_s": loaded.ended_s - told_s,
        "ipnat_s": loaded.ended_s - loaded.began_s,
        "commands_count": len(audited),
        "changes_count": sum(each.kind == "change" for each in audited),
    }


def _loads(entry: Entry, removal: bool) -> bool:
    return entry.argv[0] == "ipnat" and "-f" in entry.argv and ("-r" in entry.argv) is removal and entry.status == 0


def run(quick: bool) -> Samples:
    samples: dict[str, list[float]] = {}
    for size in SIZES:
        taken = labhost.run("bench.rules", "on_host", forwards=size, tries=_TRIES_QUICK if quick else _TRIES)
        samples |= {f"{name}{size}": list(values) for name, values in taken.items()}
    return samples


def report(samples: Samples) -> Report:
    rows: list[Row] = []
    for way, text in (("one", "one moved"), ("all", "all new")):
        for size in SIZES:
            rows += [
                Row(f"{text}, {size} forwards: SIGHUP -> loaded", samples[f"{way}_loaded_s{size}"], "s"),
                Row("  of it ipnat itself, in the lab", samples[f"{way}_ipnat_s{size}"], "s"),
                Row("  commands, until it rests", samples[f"{way}_commands_count{size}"], digits=0),
                Row("  changing ones", samples[f"{way}_changes_count{size}"], digits=0),
            ]
        small, large = SIZES[0], SIZES[-1]
        for what, name, goal in (("commands", "commands_count", "<= 1.25"), ("time", "loaded_s", "")):
            growth = median(samples[f"{way}_{name}{large}"]) / median(samples[f"{way}_{name}{small}"])
            rows.append(Row(f"  growth of {what}: {large} / {small} forwards", [growth], "x", goal))
    return Report(rows, ["a forward is two rdr rules and, the first time a zone gets one, two map rules"])


MEASURE = Measure("h", "rules", "Forwards of a gateway: SIGHUP -> loaded", run, report, runs=1)
