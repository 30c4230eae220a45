"""The table. Nothing here judges: a goal is printed beside what was seen."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from bench.measure import Measure, Report, Row, median


def show(console: Console, done: list[tuple[Measure, Report]]) -> None:
    table = Table(title="zonehookd in the lab: medians, the range beside them", title_justify="left", pad_edge=False)
    table.add_column("what", overflow="fold")
    for heading in ("median", "from - to", "n", "goal"):
        table.add_column(heading, justify="right", no_wrap=True)
    for measure, report in done:
        table.add_section()
        table.add_row(f"[bold]({measure.letter}) {measure.title}[/bold]")
        for row in report.rows:
            table.add_row(row.what, *_cells(row), row.goal)
    console.print(table)
    for measure, report in done:
        for remark in report.remarks:
            console.print(f"({measure.letter}) {remark}", markup=False, highlight=False, soft_wrap=True)


def _cells(row: Row) -> tuple[str, str, str]:
    if not row.values:
        return "-", "", "0"

    def text(value: float) -> str:
        return f"{value:.{row.digits}f}"

    low, high = text(min(row.values)), text(max(row.values))
    return (
        f"{text(median(row.values))} {row.unit}".rstrip(),
        "" if low == high else f"{low} - {high}",
        str(len(row.values)),
    )
