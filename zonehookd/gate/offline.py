"""Taking the gate out of a brand while no daemon runs: the way out when it cannot start."""

from __future__ import annotations

import os
from pathlib import Path

from zonehookd.gate.keeper import BRANDS, BrandKeeper
from zonehookd.host.sole import sole


def disable(state: Path, run: Path, name: str, folder: Path = BRANDS) -> str:
    """What was done, in words. Raises ZonehookError: a daemon holds the state folder after all, or it cannot be done;
    OSError: the state folder is not ours."""
    before = os.umask(0o077)
    try:
        lock = sole(state / "lock")
        try:
            return BrandKeeper(state, run, folder).disable(name)
        finally:
            os.close(lock)
    finally:
        os.umask(before)
