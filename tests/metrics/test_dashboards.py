"""Dashboards: of the shape Grafana reads, every expression parsed by Prometheus and about what is really exported."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from promql import labels_of, unknown

MONITORING = Path(__file__).resolve().parents[2] / "docs" / "monitoring"
FILES = sorted((MONITORING / "dashboards").glob("*.json"))
RECORDED = {
    rule["record"]
    for group in yaml.safe_load((MONITORING / "recording.yml").read_text())["groups"]
    for rule in group["rules"]
}
PANELS = {"row", "stat", "timeseries", "table", "bargauge", "heatmap"}  # all of Grafana's own, since version 9
UNITS = {"short", "s", "ops", "percentunit", "bytes", "bps"}
WIDTH = 24


def read(file: Path) -> dict[str, Any]:
    board: dict[str, Any] = json.loads(file.read_text())
    return board


def expressions(board: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """(where, what is asked)."""
    for panel in board["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"]
    for note in board["annotations"]["list"]:
        if "expr" in note:
            yield note["name"], note["expr"]


def plain(expression: str) -> str:
    """Without Grafana's variables."""
    return re.sub(r"\$__rate_interval", "5m", re.sub(r"\$(instance|plugin)\b", "x", expression))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_dashboard_has_the_shape_that_grafana_reads(file: Path) -> None:
    board = read(file)
    assert board["uid"].startswith("zonehookd-") and board["title"] and board["description"]
    assert board["schemaVersion"] >= 36 and "id" not in board, "an id is one Grafana's own, and clashes with others"
    variables = {each["name"]: each for each in board["templating"]["list"]}
    assert variables["datasource"]["type"] == "datasource" and variables["instance"]["type"] == "query"
    ids = [panel["id"] for panel in board["panels"]]
    assert len(set(ids)) == len(ids)
    for panel in board["panels"]:
        assert panel["type"] in PANELS and panel["title"]
        if panel["type"] == "row":
            continue
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert panel["targets"] and panel["fieldConfig"]["defaults"]["unit"] in UNITS
        assert panel["fieldConfig"]["overrides"] == []
        refs = [target["refId"] for target in panel["targets"]]
        assert refs == sorted(set(refs)) and all(
            target["datasource"] == panel["datasource"] for target in panel["targets"]
        )
    for variable in set(re.findall(r"\$(\w+)", json.dumps(board["panels"]))) - {"__rate_interval"}:
        assert variable in variables, f"${variable} is not declared"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_panels_do_not_overlap(file: Path) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in read(file)["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= WIDTH, panel["title"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not taken & cells, panel["title"]
        taken |= cells


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_expression_is_parsed_by_prometheus(file: Path, tmp_path: Path) -> None:
    asked = sorted({plain(each) for _, each in expressions(read(file))})
    rules = [{"record": f"zonehookd:asked:{number}", "expr": each} for number, each in enumerate(asked)]
    into = tmp_path / "asked.yml"
    into.write_text(yaml.safe_dump({"groups": [{"name": "asked", "rules": rules}]}))
    done = subprocess.run(["promtool", "check", "rules", str(into)], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and f"{len(asked)} rules found" in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_it_asks_for_what_is_exported_only(file: Path) -> None:
    board = read(file)
    wrong = [(where, fault) for where, asked in expressions(board) for fault in unknown(plain(asked), RECORDED)]
    assert wrong == []
    for variable in board["templating"]["list"]:
        named = re.fullmatch(r"label_values\((\w+)(?:\{.*\})?, (\w+)\)", variable.get("definition", ""))
        if variable["type"] == "query":
            assert named is not None, variable
            assert named[2] == "instance" or named[2] in (labels_of(named[1]) or ())


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_legends_name_labels_that_are_there(file: Path) -> None:
    for panel in read(file)["panels"]:
        for target in panel.get("targets", ()):
            for label in re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]):
                said = target["expr"]
                names = re.findall(r"zonehookd_\w+", said)
                known = {each for name in names for each in labels_of(name) or ()} | {"instance"}
                by = {each.strip() for group in re.findall(r"by \(([^)]*)\)", said) for each in group.split(",")}
                recorded = "zonehookd:" in said
                assert label in (by or known) or recorded, f"{panel['title']}: {label}"


def test_there_is_one_for_operators_one_for_a_host_and_one_for_plugins() -> None:
    assert [file.stem for file in FILES] == ["overview", "plugins", "zone_host"]
