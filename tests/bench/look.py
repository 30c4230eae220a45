"""(e) A full look and its plans at 10 000 zones: the product's engine and the lab in one process, no processes run.

*First, nothing wired*: a new host, each zone gets a plan. *First, all wired*: the daemon was restarted; every zone file
is read. *Steady*: the full look that comes every minute. In each, the lab's part (playing the reading commands, as
illumos would) is told apart from the product's. Then a profile says where the time of a steady look goes.
"""

from __future__ import annotations

import cProfile
import pstats
import tempfile
import time
from pathlib import Path
from typing import TypeVar

from lab.dispatch import paper_world
from paper import Engine, PaperCommands

from bench import labhost, zones
from bench.labhost import ROOT
from bench.measure import Measure, Report, Row, Samples, ratios, scaled
from zonehookd.host.process import Finished
from zonehookd.model.command import Change, Query
from zonehookd.model.subject import Subject

T = TypeVar("T")
ZONES = 10_000
_SMALL = 1_000
_SHOWN = 14
_SETTLING_LOOKS = 3  # one wires, one confirms; one more for what had to be tried again


class _Timed(PaperCommands):
    """Seconds spent in the lab, summed."""

    lab_s = 0.0

    async def run(self, query_or_change: Query[T] | Change, *, why: str, subject: Subject | None) -> Finished:
        began = time.perf_counter()
        try:
            return await super().run(query_or_change, why=why, subject=subject)
        finally:
            self.lab_s += time.perf_counter() - began


class _Bench:
    """One paper host with `number` zones, and engines started on it."""

    def __init__(self, folder: Path, number: int) -> None:
        root = folder / "root"
        root.mkdir()
        self.world = paper_world(str(root))
        zones.write(self.world, range(number))
        self._state = folder / "state.db"

    def engine(self) -> tuple[Engine, _Timed]:
        engine = Engine(self.world, self._state, {zones.NETWORK: {"cidr": zones.CIDR}})
        engine.commands = timed = _Timed(self.world)
        return engine, timed


def _plan(engine: Engine, timed: _Timed, steps: int) -> tuple[float, float]:
    """Seconds of one full look and plan: in all, and in the lab. It must come to `steps` steps."""
    timed.lab_s = 0.0
    began = time.perf_counter()
    plans = engine.plan()
    seconds = time.perf_counter() - began
    found = sum(len(plan.steps) for plan in plans)
    assert found == steps, f"{found} steps, expected {steps}: {[plan.notes for plan in plans][:3]}"
    return seconds, timed.lab_s


def on_host(number: int, cold: int, steady: int, profile: bool = False) -> Samples:
    samples: dict[str, list[float]] = {}

    def keep(name: str, times: tuple[float, float]) -> None:
        samples.setdefault(f"{name}_s", []).append(times[0])
        samples.setdefault(f"{name}_lab_s", []).append(times[1])

    with tempfile.TemporaryDirectory() as folder:
        bench = _Bench(Path(folder), number)
        first, timed = bench.engine()
        # Three steps for the etherstub (remember, create, MTU), two for each zone (remember, create).
        keep("unwired", _plan(first, timed, 3 + 2 * number))
        for _ in range(_SETTLING_LOOKS):
            first.look()
        left = len(first.steps())
        first.store.close()
        samples["unsettled_count"] = [left]
        for _ in range(cold):
            engine, timed = bench.engine()
            keep("cold", _plan(engine, timed, left))
            engine.store.close()
        engine, timed = bench.engine()
        if profile:
            samples |= _profile(engine, "cold")
        else:
            engine.plan()
        for _ in range(steady):
            keep("steady", _plan(engine, timed, left))
        if profile:
            samples |= _profile(engine, "steady")
        engine.store.close()
    return samples


def _profile(engine: Engine, kind: str) -> dict[str, list[float]]:
    """Share of one look spent in each function of this repository, what it calls included.

    The profiler makes small calls look dearer than they are.
    """
    profiler = cProfile.Profile()
    profiler.runcall(engine.plan)
    stats = pstats.Stats(profiler).stats  # type: ignore[attr-defined]  # not in typeshed, though documented by use
    whole = max(including for _, _, _, including, _ in stats.values())
    shares = {
        f"{Path(file).relative_to(ROOT)}:{line} {function}": [including / whole]
        for (file, line, function), (_, _, _, including, _) in stats.items()
        if any(Path(file).is_relative_to(ROOT / part) for part in ("zonehookd", "plugins", "tests/lab"))
    }
    largest = sorted(shares.items(), key=lambda item: -item[1][0])[:_SHOWN]
    return {f"profile of a {kind} look: {place}": share for place, share in largest}


def run(quick: bool) -> Samples:
    cold, steady = (1, 2) if quick else (3, 5)
    # A lab host only for its private /tmp, which goes with it.
    taken = dict(labhost.run("bench.look", "on_host", paper=True, number=ZONES, cold=cold, steady=steady, profile=True))
    small = labhost.run("bench.look", "on_host", paper=True, number=_SMALL, cold=1, steady=steady)
    return taken | {f"small_{name}": values for name, values in small.items()}


def report(samples: Samples) -> Report:
    rows: list[Row] = []
    for name, text, goal in (
        ("steady", "steady: a full look and plan", "<= 2 s"),
        ("cold", "first after a restart, all wired", "<= 2 s"),
        ("unwired", "first ever, plans to wire all", ""),
    ):
        rows.append(Row(f"{ZONES} zones, {text}", samples[f"{name}_s"], "s", goal))
        rows.append(Row("  of it in the lab, playing the commands", samples[f"{name}_lab_s"], "s"))
    growth = ratios(scaled(samples["steady_s"], 1 / ZONES), scaled(samples["small_steady_s"], 1 / _SMALL))
    rows.append(Row(f"growth: per zone, {ZONES} zones / {_SMALL} zones", growth, "x"))
    remarks = []
    if left := max(samples["unsettled_count"]):
        remarks.append(f"NOT SETTLED: after {_SETTLING_LOOKS} looks {left:.0f} steps were still planned")
    remarks.append("share of the time in a function and what it calls, by cProfile:")
    remarks += [f"{share[0]:6.1%}  {name}" for name, share in samples.items() if name.startswith("profile ")]
    return Report(rows, remarks)


MEASURE = Measure("e", "look", f"Look and plan at {ZONES} zones, in one process", run, report, runs=1)
