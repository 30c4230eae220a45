"""``python -m bench``: run the measures, print one table."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from pathlib import Path

from rich.console import Console

from bench import calls, first_packet, gate, isolation, look, many, one_zone, proxies, reservations, rules, storm, table
from bench.labhost import RunFailed
from bench.measure import Measure, Report, Samples

MEASURES = (
    one_zone.MEASURE,
    storm.MEASURE,
    many.START,
    many.IDLE,
    look.MEASURE,
    first_packet.MEASURE,
    reservations.MEASURE,
    rules.MEASURE,
    gate.MEASURE,
    proxies.MEASURE,
    calls.MEASURE,
    isolation.MEASURE,
)


def _options() -> argparse.Namespace:
    known = ", ".join(f"{measure.letter} or {measure.name}" for measure in MEASURES)
    parser = argparse.ArgumentParser(prog="bench", description="Measure zonehookd in the lab.")
    parser.add_argument("--only", metavar="a,b", default="", help=f"these measures only: {known}")
    parser.add_argument("--quick", action="store_true", help="fewer runs: a glance, no figures to quote")
    parser.add_argument("--json", metavar="FILE", type=Path, help="also write every sample there")
    options = parser.parse_args()
    wanted = {word for word in options.only.split(",") if word}
    unknown = wanted - {word for measure in MEASURES for word in (measure.letter, measure.name)}
    if unknown:
        parser.error(f"no measure {', '.join(sorted(unknown))}; known: {known}")
    options.measures = [each for each in MEASURES if not wanted or wanted & {each.letter, each.name}]
    return options


def _take(measure: Measure, quick: bool, console: Console) -> Samples:
    samples: dict[str, list[float]] = {}
    for number in range(1, (runs := measure.runs_quick if quick else measure.runs) + 1):
        console.print(f"({measure.letter}) {measure.title}: run {number} of {runs}", style="dim", highlight=False)
        for name, values in measure.run(quick).items():
            samples.setdefault(name, []).extend(values)
    return samples


def main() -> int:
    """Exit status 1 when a run failed; what was measured before it is shown all the same."""
    options = _options()
    progress = Console(stderr=True)
    if os.geteuid() != 0:
        progress.print("bench: needs root: the rivals' network namespaces are made without a user namespace")
        return 1
    began = time.monotonic()
    raw: dict[str, Samples] = {}
    done: list[tuple[Measure, Report]] = []
    failed = False
    for measure in options.measures:
        try:
            samples = _take(measure, options.quick, progress)
        except RunFailed as problem:
            progress.print(f"({measure.letter}) failed: {problem}", markup=False, highlight=False)
            failed = True
            continue
        raw[measure.name] = samples
        done.append((measure, measure.report(samples)))
    console = Console(width=None if sys.stdout.isatty() else 110)
    table.show(console, done)
    where = f"{os.cpu_count()} cores, Linux {platform.release()}, Python {platform.python_version()}"
    console.print(f"{where}; took {time.monotonic() - began:.0f} s", highlight=False)
    if options.json is not None:
        options.json.write_text(json.dumps({"where": where, "quick": options.quick, "samples": raw}, indent=1) + "\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
