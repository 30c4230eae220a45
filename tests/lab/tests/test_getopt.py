"""getopt as dladm, ipadm, route and kstat use it [network 2.1]."""

from __future__ import annotations

from lab.getopt import Option, getopt

LONGS = {"parsable": "p", "parseable": "p", "output": "o", "temporary": "t"}


def letters(options: list[Option]) -> list[tuple[str, str]]:
    return [(option.letter, option.value) for option in options]


def test_clusters_and_values() -> None:
    options, operands = getopt(["-tl", "stub0", "-m2:8:20:1:2:3", "web1_0"], ":tl:m:")
    assert letters(options) == [("t", ""), ("l", "stub0"), ("m", "2:8:20:1:2:3")]
    assert operands == ["web1_0"]


def test_options_may_follow_operands_only_when_permuted() -> None:
    assert getopt(["web1_0", "-t"], ":t", permute=True) == ([Option("t", "", "-t")], ["web1_0"])
    assert getopt(["web1_0", "-t"], ":t", permute=False) == ([], ["web1_0", "-t"])


def test_two_dashes_end_the_options() -> None:
    assert getopt(["-t", "a0", "--", "-t"], ":t", permute=True) == ([Option("t", "", "-t")], ["a0", "-t"])


def test_errors_stand_in_their_place() -> None:
    options, _ = getopt(["-z", "-t", "-l"], ":tl:")
    assert options == [Option("?", "", "-z"), Option("t", "", "-t"), Option(":", "", "-l")]


def test_a_missing_value_reads_as_unknown_without_the_leading_colon() -> None:
    assert getopt(["-R"], "tR:")[0] == [Option("?", "", "-R")]


def test_long_options() -> None:
    options, operands = getopt(["--parseable", "--output=link,over", "--output", "vid", "x0"], ":po:", True, LONGS)
    assert letters(options) == [("p", ""), ("o", "link,over"), ("o", "vid")]
    assert operands == ["x0"]


def test_long_options_may_be_shortened_if_they_stay_unambiguous() -> None:
    assert letters(getopt(["--pars"], ":pt", True, LONGS)[0]) == [("p", "")]
    assert getopt(["--zone=web1"], ":pt", True, LONGS)[0] == [Option("?", "", "--zone")]
    assert getopt(["--output"], ":o:", True, LONGS)[0] == [Option(":", "", "--output")]


def test_a_single_dash_is_an_operand() -> None:
    assert getopt(["-"], ":t", permute=True) == ([], ["-"])
