"""What is said of the brands, and done to them, while no daemon runs: the way out when it cannot start."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from zonehookd.bus.messages import BrandRow
from zonehookd.errors import NotFound
from zonehookd.gate.keeper import BRANDS, BrandKeeper
from zonehookd.gate.program import there, without
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


def status(state: Path, run: Path, name: str | None, folder: Path = BRANDS) -> list[BrandRow]:
    """Every brand, or one, by its file and what is kept of it; changes nothing, also while a daemon that hangs holds
    the state folder. Raises NotFound; OSError: the state folder is not ours to read."""
    for each in (state, state / "brand"):
        with contextlib.suppress(FileNotFoundError):  # nothing was ever enabled, or it is lost
            next(each.iterdir(), None)
    keeper = BrandKeeper(state, run, folder)
    names = keeper.names()
    if name is not None and name not in names:
        raise NotFound(f"there is no brand {name!r}", hint=f"there are: {', '.join(names) or 'none'}")
    fault = "" if there(state / "gate") else without(f"the gate program {state / 'gate'} is missing")
    return [_row(keeper, each, fault) for each in ([name] if name else names)]


def _row(keeper: BrandKeeper, name: str, fault: str) -> BrandRow:
    how, text = keeper.seen(name)
    enabled = how != "none"
    return BrandRow(
        name=name,
        enabled=enabled,
        gate="missing" if enabled and fault else how,
        text=fault if enabled and fault else text,
        zones=None,
        old_hooks=list(keeper.known(name)[2]),
    )
