"""Routes, durations and errors, each alone."""

from __future__ import annotations

import errno
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from traffic.reactor import reason
from traffic.routes import BadRoutes, RouteFile, parse
from traffic.tally import FAILURES, Histogram


@given(st.lists(st.floats(1e-4, 100), min_size=1), st.sampled_from([50, 95, 99, 100]))
def test_a_percentile_is_never_below_the_truth_and_at_most_one_percent_above(values: list[float], percent: int) -> None:
    histogram = Histogram()
    for value in values:
        histogram.add(value)
    true = sorted(values)[math.ceil(len(values) * percent / 100) - 1]
    assert true * (1 - 1e-9) <= histogram.percentile_s(percent) <= true * 1.0101


def test_the_largest_is_exact_and_nothing_says_nothing() -> None:
    histogram = Histogram()
    assert histogram.says_ms() == {}
    histogram.add(0.0123456)
    assert histogram.says_ms()["max"] == 12.346


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ECONNREFUSED, "refused"),
        (errno.ECONNRESET, "reset"),
        (errno.EPIPE, "reset"),
        (errno.ETIMEDOUT, "timeout"),
        (errno.EHOSTUNREACH, "unreachable"),
        (errno.ENETUNREACH, "unreachable"),
        (errno.EMFILE, "own"),
        (errno.EADDRNOTAVAIL, "own"),
    ],
)
def test_errors_have_a_name_that_is_counted(number: int, kind: str) -> None:
    assert reason(number) == kind
    assert kind in FAILURES


def test_a_line_says_who_may_answer_where() -> None:
    web, db, ws = parse("# all\nweb.ex /x web1,web2 either # moves\n\ntcp:5432 banner db1\nweb.ex /ws web1 only-long\n")
    assert (web.host, web.path, web.either, web.port) == ("web.ex", "/x", True, 0)
    assert web.zones == frozenset({b"web1", b"web2"})
    assert (db.port, db.requests, db.either) == (5432, True, False)
    assert (ws.requests, [each.long for each in (web, db, ws)]) == (False, [False, False, True])


def test_if_none_is_for_long_connections_all_are() -> None:
    assert all(route.long for route in parse("a / web1\nb / web2\n"))


@pytest.mark.parametrize(
    "line",
    [
        "web.ex /",
        "web.ex x web1",
        "web.ex / web1 maybe",
        "tcp:x banner db1",
        "tcp:1 / db1",
        "tcp:70000 ask db1",
        "a / b\na / c",
    ],
)
def test_what_is_no_route_is_refused_with_its_line(line: str) -> None:
    with pytest.raises(BadRoutes, match=r"line \d"):
        parse(line)


def test_a_bad_file_changes_nothing_until_it_is_good_again(tmp_path: Path) -> None:
    path = tmp_path / "routes"
    path.write_text("a / web1\n")
    file = RouteFile(path)
    assert not file.renew()
    path.write_text("a\n")
    assert not file.renew()
    assert "line 1" in file.refusal
    assert [route.host for route in file.routes] == ["a"]
    path.unlink()
    assert not file.renew()
    path.write_text("b / web2\n")
    assert file.renew()
    assert (file.refusal, file.reads, list(file.by_key)) == ("", 2, [("b", "/")])
