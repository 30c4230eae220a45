"""Alerts and recording rules: Prometheus takes them, each is shown to fire and not to fire, and has its page."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from promql import unknown

from zonehookd.cli.main import main

MONITORING = Path(__file__).resolve().parents[2] / "docs" / "monitoring"
PAGE = (
    "## What it means", "## What is broken for users", "## First", "## Cures", "## When to silence it",
)  # fmt: skip


def rules(name: str) -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load((MONITORING / name).read_text())["groups"] for rule in group["rules"]]


ALERTS = {rule["alert"]: rule for rule in rules("alerts.yml")}
RECORDED = {rule["record"]: rule for rule in rules("recording.yml")}
TESTS = yaml.safe_load((MONITORING / "alerts.test.yml").read_text())["tests"]


def promtool(*words: str) -> str:
    done = subprocess.run(["promtool", *words], cwd=MONITORING, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_promtool_takes_the_rules_and_the_configuration() -> None:
    promtool("check", "config", "prometheus.yml")
    said = promtool("check", "rules", "recording.yml", "alerts.yml")
    assert f"{len(ALERTS)} rules found" in said and f"{len(RECORDED)} rules found" in said


@pytest.mark.parametrize("cases", ["alerts.test.yml", "recording.test.yml"])
def test_what_known_series_come_to(cases: str) -> None:
    assert "SUCCESS" in promtool("test", "rules", cases)


@pytest.mark.parametrize("name", RECORDED)
def test_each_recording_has_a_case(name: str) -> None:
    text = (MONITORING / "recording.test.yml").read_text()
    assert re.search(rf"expr: .*{re.escape(name)}\b", text)


@pytest.mark.parametrize("name", ALERTS)
def test_each_alert_has_a_case_of_both(name: str) -> None:
    cases = [case for test in TESTS for case in test["alert_rule_test"] if case["alertname"] == name]
    assert sorted(bool(case["exp_alerts"]) for case in cases) == [False, True]


@pytest.mark.parametrize("name", ALERTS)
def test_each_alert_says_how_bad_what_and_where_more_is_said(name: str) -> None:
    alert = ALERTS[name]
    assert alert["labels"]["severity"] in ("page", "warn")
    notes = alert["annotations"]
    assert notes.keys() == {"summary", "description", "runbook_url"}
    assert "{{ $labels.instance }}" in notes["summary"] + notes["description"], "the object is named"
    assert notes["runbook_url"] == f"docs/monitoring/runbook/{name}.md"


@pytest.mark.parametrize("name", [*ALERTS, *RECORDED])
def test_rules_ask_for_what_is_exported(name: str) -> None:
    rule = ALERTS.get(name) or RECORDED[name]
    assert unknown(rule["expr"], RECORDED) == []


def test_each_alert_has_a_page_and_each_page_an_alert() -> None:
    assert {page.stem for page in (MONITORING / "runbook").glob("*.md")} == ALERTS.keys()


@pytest.mark.parametrize("name", ALERTS)
def test_a_page_has_its_parts_and_names_commands_that_exist(name: str) -> None:
    text = (MONITORING / "runbook" / f"{name}.md").read_text()
    assert text.startswith(f"# {name}\n\nSeverity: {ALERTS[name]['labels']['severity']}")
    assert tuple(re.findall(r"^## .*", text, re.MULTILINE)) == PAGE
    first = re.search(r"```console\n(.*?)```", text, re.DOTALL)
    assert first is not None and len(first[1].splitlines()) == 3
    for said in re.findall(r"zonehookctl ([a-z]+)(?: ([a-z]+))?", text):
        command = main.commands.get(said[0])
        assert command is not None, f"zonehookctl {said[0]} does not exist"
        if said[1] and hasattr(command, "commands"):
            assert said[1] in command.commands, f"zonehookctl {' '.join(said)} does not exist"
    for other in re.findall(r"Zonehookd[A-Z]\w+", text):
        assert other in ALERTS, f"there is no alert {other}"
