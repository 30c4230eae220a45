"""Runs one function of ours on a throw-away lab host, and brings its samples home."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from bench.measure import Samples

ROOT = Path(__file__).resolve().parents[2]
_TIME_LIMIT_S = 300.0
_CALM_WAIT_MAX_S = 3.0
_CALM_IDLE = 0.9  # share of all cores


class RunFailed(Exception):
    """A run that gave no samples; the text has what it printed."""


def run(
    module: str, function: str, *, paper: bool = False, limit_s: float = _TIME_LIMIT_S, **options: float | str
) -> Samples:
    """`function` of `module` with `options`, on a host of its own. Raises `RunFailed`, also after `limit_s`."""
    wait_for_calm()
    argv = [str(ROOT / "tests/lab/zonelab"), "run", *(["--paper"] if paper else []), "--"]
    argv += ["env", f"PYTHONPATH={ROOT}:{ROOT / 'tests'}", sys.executable, "-m", "bench.inside"]
    argv += [module, function, json.dumps(options)]
    try:
        done = subprocess.run(
            argv, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=limit_s, check=False
        )
    except subprocess.TimeoutExpired as problem:  # the host ends with its caller's child
        raise RunFailed(f"{module}.{function} did not end within {limit_s:.0f} s") from problem
    lines = done.stdout.splitlines()
    if done.returncode != 0 or not lines:
        raise RunFailed(f"{module}.{function} exited {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
    samples: Samples = json.loads(lines[-1])
    return samples


def wait_for_calm() -> float:
    """Until the cores idle (a host that ended is still being taken apart), but not for ever. Seconds waited."""
    began = time.monotonic()
    while time.monotonic() - began < _CALM_WAIT_MAX_S:
        before, since = _idle_ticks(), time.monotonic()
        time.sleep(0.2)
        ticks = (time.monotonic() - since) * os.sysconf("SC_CLK_TCK") * (os.cpu_count() or 1)
        if _idle_ticks() - before >= _CALM_IDLE * ticks:
            break
    return time.monotonic() - began


def _idle_ticks() -> int:
    return int(Path("/proc/stat").read_text().split(maxsplit=5)[4])
