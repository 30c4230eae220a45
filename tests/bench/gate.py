"""(i) What a boot pays for the gate: the four state hooks of one boot, run as zoneadmd runs them, by a shell.

The zone is wired already, so nothing is to be made for it: what is measured is the asking. The daemon does nothing, or
wires three hundred other zones, or is stopped, killed, or hangs (SIGSTOP).
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from lab.brands import expand, parse_brand

from bench import labhost, zones
from bench.daemon import Daemon, Places, new_places
from bench.measure import Measure, Report, Row, Samples, scaled

_BRAND = Path("/usr/lib/brand/sparse/config.xml")
_HOOKS = (("prestatechange", "2 0"), ("poststatechange", "2 0"), ("prestatechange", "2 1"), ("poststatechange", "2 1"))
_WAYS = ("without", "idle", "storm", "stopped", "killed", "hung", "hung_on")
_SHOWN = {
    "without": "without the gate",
    "idle": "with it, the daemon has nothing else to do",
    "storm": "with it, the daemon wires {storm} other zones",
    "stopped": "with it, the daemon is stopped",
    "killed": "with it, the daemon was killed",
    "hung": "with it, the daemon hangs",
    "hung_on": "with it, the next zones while it hangs",
}
_STORM = 300
_RUNS, _RUNS_QUICK, _HUNG_ON_RUNS = 30, 10, 3


def on_host(runs: int) -> Samples:
    """Seconds: all four hooks of one boot; and one boot by zoneadm."""
    samples: dict[str, list[float]] = {f"{way}_s": [] for way in (*_WAYS, "boot_without", "boot_idle")}
    places = new_places()
    zones.configure(0)
    subprocess.run(["zoneadm", "-z", zones.name(0), "install"], check=True)
    daemon = Daemon(places)
    try:
        daemon.wait_until_ready()
        daemon.wait_until_quiet()
        packaged = _texts()
        samples["boot_without_s"] = _boots(runs)
        _enable(places)
        samples["boot_idle_s"] = _boots(runs)
        daemon.wait_until_quiet()
        for _ in range(runs):  # in turn, so that whatever else the machine does falls on both
            samples["without_s"].append(_hooks(packaged))
            samples["idle_s"].append(_hooks())
        daemon.pause()
        for number in range(1, _STORM + 1):
            zones.configure(number)
        daemon.resume()
        samples["storm_s"] = [_hooks() for _ in range(runs)]
        daemon.wait_until_quiet()
        daemon.pause()
        samples["hung_s"] = [_hooks()]
        samples["hung_on_s"] = [_hooks() for _ in range(_HUNG_ON_RUNS)]
    finally:
        daemon.stop()
    samples["stopped_s"] = [_hooks() for _ in range(runs)]
    daemon = Daemon(places)
    daemon.wait_until_ready()
    daemon.kill()
    samples["killed_s"] = [_hooks() for _ in range(runs)]
    return samples


def _enable(places: Places) -> None:
    program = str(Path(sys.executable).with_name("zonehookctl"))
    argv = [program, "--config", str(places.config), "brand", "enable", "sparse"]
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)


def _texts() -> list[str]:
    brand = parse_brand("sparse", _BRAND.read_bytes())
    return [f"{expand(brand.text(hook), zones.name(0), '/zones/zone0')} {words} " for hook, words in _HOOKS]


def _hooks(texts: Sequence[str] = ()) -> float:
    texts = texts or _texts()
    began = time.monotonic()
    for text in texts:
        subprocess.run(["/bin/sh", "-c", f"exec {text}"], check=True, stdin=subprocess.DEVNULL, cwd="/")
    return time.monotonic() - began


def _boots(runs: int) -> list[float]:
    found = []
    for _ in range(runs):
        began = time.monotonic()
        subprocess.run(["zoneadm", "-z", zones.name(0), "boot"], check=True)
        found.append(time.monotonic() - began)
        subprocess.run(["zoneadm", "-z", zones.name(0), "halt"], check=True)
        time.sleep(0.3)  # what follows a halt is no part of the next boot
    return found


def run(quick: bool) -> Samples:
    return labhost.run("bench.gate", "on_host", runs=_RUNS_QUICK if quick else _RUNS)


def report(samples: Samples) -> Report:
    rows = [
        Row(
            f"hooks of one boot {_SHOWN[way].format(storm=_STORM)}",
            scaled(samples[f"{way}_s"], 1000),
            "ms",
            goal="<= 2000 more" if way == "hung" else "",
            digits=0 if way == "hung" else 1,
        )
        for way in _WAYS
    ]
    more = [above - below for above, below in zip(samples["idle_s"], samples["without_s"], strict=True)]
    rows.insert(2, Row("  so the gate costs a boot", scaled(more, 1000), "ms", goal="<= 10", digits=1))
    rows += _boot_rows(samples["boot_without_s"], samples["boot_idle_s"])
    return Report(rows, [])


def _boot_rows(without: Sequence[float], idle: Sequence[float]) -> list[Row]:
    return [
        Row("zoneadm boot in the lab, without the gate", scaled(without, 1000), "ms", digits=0),
        Row("zoneadm boot in the lab, with it", scaled(idle, 1000), "ms", digits=0),
    ]


MEASURE = Measure("i", "gate", "What the gate costs a boot", run, report, runs=1)
