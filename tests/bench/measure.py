"""What a measure is: runs that give samples, and rows that say what the samples mean."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

Samples = Mapping[str, Sequence[float]]  # name -> values; the name ends with the unit: _s, _ms, _mib, _count, _x


@dataclass(frozen=True)
class Row:
    """One line of the table. `values` as measured, in `unit`; the table shows their median and range."""

    what: str
    values: Sequence[float]
    unit: str = ""
    goal: str = ""
    digits: int = 2


@dataclass(frozen=True)
class Report:
    rows: list[Row]
    remarks: list[str]


@dataclass(frozen=True)
class Measure:
    """`run` is called `runs` times, its samples are put together, `report` reads them."""

    letter: str
    name: str
    title: str
    run: Callable[[bool], Samples]  # quick -> samples of one run
    report: Callable[[Samples], Report]
    runs: int
    runs_quick: int = 1


def ratios(above: Sequence[float], below: Sequence[float]) -> list[float]:
    """Pair by pair: both of a pair come from the same run."""
    return [over / under for over, under in zip(above, below, strict=True)]


def scaled(values: Sequence[float], factor: float) -> list[float]:
    return [value * factor for value in values]


def median(values: Sequence[float]) -> float:
    return statistics.median(values)
