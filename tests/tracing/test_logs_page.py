"""docs/operate/logs.md names every line that can be logged, with its keys, and no other."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # importlib mode adds no folder by itself

from said_words import ROOT, said

from zonehookd.host.audit import Audit
from zonehookd.model import subject
from zonehookd.model.correlation import CURRENT, Correlation
from zonehookd.model.outcome import Result

PAGE = ROOT / "docs" / "operate" / "logs.md"
BY_WORD = {"brand", "hook", "source up", "reclaimed", "not reclaimed yet"}  # some of their keys are put together


def tables() -> dict[str, list[list[set[str]]]]:
    """Heading -> rows -> cells -> what stands in backquotes there."""
    found: dict[str, list[list[set[str]]]] = {}
    heading = ""
    for line in PAGE.read_text().splitlines():
        if line.startswith("#"):
            heading = line.lstrip("# ")
        elif line.startswith("| ") and "---" not in line:
            cells = [set(re.findall(r"`([^`]+)`", cell)) for cell in line.strip("|").split("|")]
            found.setdefault(heading, []).append(cells)
    return {heading: rows[1:] for heading, rows in found.items()}


def test_every_line_is_documented_with_its_keys_and_no_other() -> None:
    rows = tables()["All others"]
    documented = {word: row[2] for row in rows for word in row[0]}
    logged = said()
    assert set(documented) == set(logged), set(documented) ^ set(logged)
    for word, keys in logged.items():
        assert keys <= documented[word], f"{word}: {keys - documented[word]}"
    together = {word: [w for row in rows if word in row[0] for w in row[0]] for word in documented}
    for word, keys in documented.items():
        known = set().union(*(logged[each] for each in together[word]))
        assert word in BY_WORD or keys <= known, f"{word}: {keys - known}"


def test_every_result_and_every_leave_is_documented() -> None:
    shown = {word for row in tables()["What became of a subject"] for word in row[0]}
    assert shown == {result.value for result in Result} - {"noop"}
    asked = {word for row in tables()["What somebody was permitted or asked for"] for word in row[0]}
    given = set()
    for file in [*(ROOT / "zonehookd" / "guard").glob("*.py"), *(ROOT / "zonehookd" / "routes").glob("*.py")]:
        given |= set(re.findall(r"(?:_said|_leave|\bleave)\(\s*\"([a-z ]+)\"", file.read_text()))
    assert given and asked == given


def test_an_audit_line_has_the_documented_keys(tmp_path: Path) -> None:
    audit = Audit(tmp_path / "audit.jsonl")
    token = CURRENT.set(Correlation("c2", "c1", "l1", "full look"))
    try:
        who = subject.gateway("edge")
        audit.write(
            ("ipadm",), kind="change", why="missing", subject=who, stdin="", status=1, seconds=0.1, error="busy"
        )
    finally:
        CURRENT.reset(token)
        audit.close()
    line = json.loads((tmp_path / "audit.jsonl").read_text())
    assert {word for row in tables()["Lines of the audit log"] for word in row[0]} == set(line)
    assert (line["change"], line["cause"], line["look"], line["gateway"]) == ("c2", "c1", "l1", "edge")
