"""(a) One zone: from its configuration committed by zonecfg until its VNIC is there.

The zone may boot from then on: the daemon wires before the boot. The time includes noticing: no event
tells of a new configuration, the daemon asks for the folder's time now and then; so each try begins at a random moment.
"""

from __future__ import annotations

import random
import time

from bench import labhost, zones
from bench.daemon import Daemon, new_places, started
from bench.measure import Measure, Report, Row, Samples, median, ratios, scaled

_OTHERS = (0, 300)
_TRIES, _TRIES_QUICK = 7, 3


def on_host(others: int, tries: int) -> Samples:
    """Seconds, one value per try."""
    for number in range(others):
        zones.configure(number)
    samples: dict[str, list[float]] = {"wired_s": [], "noticed_s": [], "commands_s": [], "commands_count": []}
    with started(new_places()) as daemon:
        daemon.wait_until_ready()
        for number in range(others, others + tries):
            for name, value in _one(daemon, number).items():
                samples[name].append(value)
    return samples


def _one(daemon: Daemon, number: int) -> dict[str, float]:
    daemon.wait_until_quiet()
    time.sleep(random.uniform(0.0, 0.1))  # noqa: S311 - no secret
    daemon.audit.read()
    daemon.journal.entries.clear()
    zones.configure(number)
    (made,) = daemon.journal.wait_for(1, lambda entry: entry.created_vnic and entry.argv[-1] == zones.link(number))
    (committed,) = [entry for entry in daemon.journal.entries if entry.argv[0] == "zonecfg"]
    first = next(entry for entry in daemon.journal.of(daemon.pid) if entry.began_s >= committed.began_s)
    daemon.wait_until_quiet()
    seconds: list[float] = []
    for audited in daemon.audit.read():
        seconds.append(audited.seconds)
        if audited.argv == made.argv:
            break
    zones.delete(number)  # so that the next try finds as many others as this one
    daemon.journal.wait_for(1, lambda entry: entry.deleted_vnic and entry.argv[-1] == zones.link(number))
    return {
        "wired_s": made.ended_s - committed.ended_s,
        "noticed_s": max(0.0, first.began_s - committed.ended_s),
        "commands_s": sum(seconds),
        "commands_count": len(seconds),
    }


def run(quick: bool) -> Samples:
    samples: dict[str, list[float]] = {}
    for others in _OTHERS:
        tries = _TRIES_QUICK if quick else _TRIES
        taken = labhost.run("bench.one_zone", "on_host", others=others, tries=tries)
        samples |= {f"others{others}_{name}": list(values) for name, values in taken.items()}
    return samples


def report(samples: Samples) -> Report:
    rows: list[Row] = []
    for others in _OTHERS:
        wired, noticed, commands, count = (
            samples[f"others{others}_{name}"] for name in ("wired_s", "noticed_s", "commands_s", "commands_count")
        )
        after = [whole - before for whole, before in zip(wired, noticed, strict=True)]
        at = f"{others} other zones"
        rows += [
            Row(f"{at}: zonecfg's commit -> VNIC", scaled(wired, 1000), "ms", digits=0),
            Row("  of it until the daemon's first command", scaled(noticed, 1000), "ms", digits=0),
            Row("  commands run until the VNIC was there", count, digits=0),
            Row("  their seconds, summed", scaled(commands, 1000), "ms", digits=1),
            Row("  whole time / summed commands", ratios(wired, commands), "x"),
            Row("  time after noticing / summed commands", ratios(after, commands), "x"),
        ]
    growth = median(samples[f"others{_OTHERS[1]}_wired_s"]) / median(samples[f"others{_OTHERS[0]}_wired_s"])
    return Report(
        rows, [f"with {_OTHERS[1]} others it takes {growth:.2f} times as long as with {_OTHERS[0]} (of the medians)"]
    )


MEASURE = Measure("a", "one-zone", "One zone, configured -> wired", run, report, runs=1)
