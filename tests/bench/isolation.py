"""(l) Isolation: how soon other zones are wired while a plugin in a process of its own misbehaves.

Zones are configured while the daemon is stopped by SIGSTOP, then it goes on: from its first command until the last
VNIC. One daemon per kind of misbehaviour, all on one host in one run, and without any such plugin again and again in
between: how much those differ among themselves is the noise.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from bench import labhost, zones
from bench.daemon import new_places, started
from bench.measure import Measure, Report, Row, Samples, median, scaled

_PLUGINS = Path(__file__).resolve().parents[1] / "foreign_plugins"
_NUMBER, _NUMBER_QUICK = 20, 10
_CONTROL_EVERY = 4
_LIMIT_S = 900.0
WELL = ("good",)
ILL = (
    "hang", "deaf", "spin", "holds-the-lock", "abort", "segfault", "exit", "child", "children", "flood", "leak", "asks",
    "slow-command", "slow-step", "many", "big", "for-ever", "theft", "raises", "no-plan", "slow-start", "dies-at-start",
)  # fmt: skip
ILL_ON_THE_WIRE = ("garbage", "version", "wrong-id", "bad-step", "huge", "silent", "floods", "never-says-hello")
_DECLARED = f'[network.{zones.NETWORK}]\ncidr = "{zones.CIDR}"\n'
_ALONE = "none"


def _plugin(mode: str) -> str:
    return "mongrel" if mode in ILL_ON_THE_WIRE else "chameleon"


def on_host(modes: str, number: int) -> Samples:
    """Seconds from the first command to the last VNIC; of `_ALONE` several. `modes`: their names, with blanks."""
    samples: dict[str, list[float]] = {}
    for place, mode in enumerate(modes.split()):
        if place % _CONTROL_EVERY == 0:
            samples.setdefault(f"{_ALONE}_s", []).append(_wired(_ALONE, number))
        samples.setdefault(f"{mode}_s", []).append(_wired(mode, number))
    samples[f"{_ALONE}_s"].append(_wired(_ALONE, number))
    return samples


def _wired(mode: str, number: int) -> float:
    declared = _DECLARED
    if mode != _ALONE:
        name = _plugin(mode)
        said = Path(f"/var/{name}/mode")
        said.parent.mkdir(parents=True, exist_ok=True)
        said.write_text("good\n" if mode in WELL else f"{mode}\n")
        declared += f'[plugins]\nfolders = ["{_PLUGINS}"]\nalso = ["{name}"]\n[plugins.run.{name}]\ndeadline_s = 2\n'
    places = new_places(declared)
    try:
        with started(places) as daemon:
            daemon.wait_until_ready()
            daemon.wait_until_quiet()
            daemon.pause()
            for each in range(number):
                zones.configure(each)
            daemon.journal.read()
            daemon.journal.entries.clear()
            daemon.resume()
            made = daemon.journal.wait_for(number, lambda entry: entry.parent == daemon.pid and entry.created_vnic)
            began = min(entry.began_s for entry in daemon.journal.of(daemon.pid))
            for each in range(number):
                zones.delete(each)
            daemon.journal.wait_for(number, lambda entry: entry.parent == daemon.pid and entry.deleted_vnic)
            return max(entry.ended_s for entry in made) - began
    finally:
        shutil.rmtree(places.folder, ignore_errors=True)


def run(quick: bool) -> Samples:
    modes = " ".join((*WELL, *ILL, *ILL_ON_THE_WIRE))
    number = _NUMBER_QUICK if quick else _NUMBER
    return labhost.run("bench.isolation", "on_host", limit_s=_LIMIT_S, modes=modes, number=number)


def report(samples: Samples) -> Report:
    alone = samples[f"{_ALONE}_s"]
    usual = median(alone)
    rows = [
        Row("no plugin elsewhere: first command -> last VNIC", scaled(alone, 1000), "ms", digits=0),
        Row("  each of these / their median: the noise", scaled(alone, 1 / usual), "x"),
    ]
    for mode in (*WELL, *ILL, *ILL_ON_THE_WIRE):
        how = "a plugin that is well" if mode in WELL else f"{_plugin(mode)}: {mode}"
        goal = "" if mode in WELL else "noise"
        rows.append(Row(f"{how} / none", scaled(samples[f"{mode}_s"], 1 / usual), "x", goal))
    worst = max((*ILL, *ILL_ON_THE_WIRE), key=lambda mode: median(samples[f"{mode}_s"]))
    ratio = median(samples[f"{worst}_s"]) / usual
    noise = f"{min(alone) / usual:.2f} to {max(alone) / usual:.2f}"
    return Report(rows, [f"the worst is {worst} with {ratio:.2f} times as long; without any plugin it is {noise}"])


MEASURE = Measure("l", "isolation", "Other zones while a plugin misbehaves", run, report, runs=3)
