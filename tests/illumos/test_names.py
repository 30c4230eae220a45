"""Link names and MACs (network sheet 1.1, 3.6)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zonehookd.illumos import linkname, parseable


@pytest.mark.parametrize("name", ["stub0", "web1_0", "a.b3", "zh_web_0", "x10", "n" + "a" * 29 + "0"])
def test_legal(name: str) -> None:
    assert linkname.legal(name)


@pytest.mark.parametrize("name", ["stub", "web-1", "0net1", "net01", "net00", "n" * 31 + "0", "", "0", "a b0", "a0\n"])
def test_illegal(name: str) -> None:
    assert not linkname.legal(name)


@given(st.text(min_size=1, max_size=80))
def test_any_text_gives_a_legal_name(text: str) -> None:
    name = linkname.legal_from(text)
    assert linkname.legal(name) and len(name) <= 24
    assert linkname.legal_from(text) == name


def test_network_names_stay_readable() -> None:
    assert [linkname.legal_from(each) for each in ("dmz", "my-net", "net10")] == ["dmz0", "my_net0", "net10_0"]


def test_long_names_that_begin_alike_differ() -> None:
    assert linkname.legal_from("a" * 40 + "1") != linkname.legal_from("a" * 40 + "2")


def test_macs_are_compared_in_normal_form() -> None:
    assert linkname.normal_mac("2:8:20:A:b:0") == "02:08:20:0a:0b:00"
    with pytest.raises(ValueError, match="not a MAC"):
        linkname.normal_mac("2:8:20:a:b")


def test_a_derived_mac_depends_on_site_link_and_attempt() -> None:
    macs = {linkname.derived_mac(site, link, n) for site in "ab" for link in ("x0", "x1") for n in (0, 1)}
    assert len(macs) == 8 and all(mac.startswith("02:08:20:") for mac in macs)


@given(st.lists(st.text(st.characters(codec="ascii", exclude_characters="\n\r"), max_size=8), min_size=2, max_size=6))
def test_escaped_fields_come_back(fields: list[str]) -> None:
    line = ":".join(field.replace("\\", "\\\\").replace(":", "\\:") for field in fields)
    assert parseable.split(line) == fields
