"""A block of ours in somebody else's text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zonehookd.illumos.marked import block_of, blocks, with_block, without_block

FOREIGN = st.text(st.characters(codec="utf-8"), max_size=40).filter(lambda text: "zonehookd" not in text)


@given(FOREIGN, FOREIGN, st.lists(st.sampled_from(["a;", "# b", ""]), max_size=3))
def test_what_is_not_ours_is_kept_byte_for_byte(text: str, other: str, lines: list[str]) -> None:
    body = "".join(f"{line}\n" for line in lines)
    first = with_block(text, "nat", "old\n")
    both = with_block(first, "web1", other)
    changed = with_block(both, "nat", body)
    assert block_of(changed, "nat") == body and block_of(changed, "web1") == block_of(both, "web1")
    assert with_block(changed, "nat", body) == changed
    assert without_block(without_block(changed, "web1"), "nat") == text
    assert without_block(first, "nat") == text


def test_the_block_is_found_by_its_comment_lines() -> None:
    text = with_block("map net0 10.0.0.0/8 -> 0/32", "dmz", "rdr;\n")
    assert text == "map net0 10.0.0.0/8 -> 0/32\n# BEGIN zonehookd dmz\nrdr;\n# END zonehookd dmz"
    assert with_block(None, "dmz", "rdr;") == "# BEGIN zonehookd dmz\nrdr;\n# END zonehookd dmz\n"
    assert block_of(text, "dm") is None and block_of(None, "dmz") is None


def test_it_stays_where_somebody_moved_it() -> None:
    text = with_block("a\n# BEGIN zonehookd x\nold\n# END zonehookd x\nb", "x", "new\n")
    assert text == "a\n# BEGIN zonehookd x\nnew\n# END zonehookd x\nb" and without_block(text, "x") == "a\nb"


@pytest.mark.parametrize(
    "text",
    [
        "# BEGIN zonehookd x\n",
        "# END zonehookd x\n",
        "# END zonehookd x\n# BEGIN zonehookd x\n",
        "# BEGIN zonehookd x\n# BEGIN zonehookd x\n# END zonehookd x\n",
    ],
)
def test_lines_that_do_not_pair_are_refused(text: str) -> None:
    for act in (lambda: with_block(text, "x", ""), lambda: without_block(text, "x"), lambda: block_of(text, "x")):
        with pytest.raises(ValueError, match="do not pair"):
            act()


def test_a_body_or_a_name_that_would_break_the_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="marks a block"):
        with_block("", "x", "# END zonehookd x\n")
    with pytest.raises(ValueError, match="no name for a block"):
        with_block("", "a b", "")


@given(
    st.dictionaries(st.sampled_from(["a", "b:zone:web1", "c"]), st.lists(st.sampled_from(["x", "# y", ""]), max_size=3))
)
def test_all_blocks_are_found_at_once(bodies: dict[str, list[str]]) -> None:
    text = "foreign\n"
    for mark, lines in bodies.items():
        text = with_block(text, mark, "".join(f"{line}\n" for line in lines))
    assert blocks(text) == {mark: block_of(text, mark) for mark in bodies}


@pytest.mark.parametrize(
    "text",
    [
        "# BEGIN zonehookd a\nx\n",
        "x\n# END zonehookd a\n",
        "# BEGIN zonehookd a\n# END zonehookd a\n# END zonehookd a\n",
        "# BEGIN zonehookd a\n# END zonehookd a\n# BEGIN zonehookd a\n# END zonehookd a\n",
    ],
)
def test_what_does_not_pair_is_no_block(text: str) -> None:
    assert blocks(text + "# BEGIN zonehookd b\ny\n# END zonehookd b\n") == {"b": "y\n"}
    with pytest.raises(ValueError, match="do not pair"):
        block_of(text, "a")
