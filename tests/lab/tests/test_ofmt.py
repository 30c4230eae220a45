"""The output engine [network 2.3]."""

from __future__ import annotations

import pytest

from lab.ofmt import Field, Table, Unusable

VNIC = [
    Field("LINK", 13),
    Field("OVER", 13),
    Field("SPEED", 9),
    Field("MACADDRESS", 18),
    Field("MACADDRTYPE", 20),
    Field("VID", 7),
]
ROW: dict[str, str | None] = {
    "link": "web1_0",
    "over": "stub0",
    "speed": "0",
    "macaddress": "2:8:20:ab:cd:1",
    "macaddrtype": "random",
    "vid": "0",
}


def printed(rows: list[dict[str, str | None]], wanted: str | None = None, parsable: bool = False, wrap: bool = False,
            fields: list[Field] = VNIC, default: str | None = None) -> str:  # fmt: skip
    text: list[str] = []
    table = Table(text.append, fields, wanted, parsable, default, wrap)
    for row in rows:
        table.row(row)
    return "".join(text)


def test_people_see_a_header_and_overflow_is_absorbed() -> None:
    assert printed([ROW, ROW | {"link": "a_very_long_vnic_name0"}]) == (
        "LINK         OVER         SPEED    MACADDRESS        MACADDRTYPE         VID\n"
        "web1_0       stub0        0        2:8:20:ab:cd:1    random              0\n"
        "a_very_long_vnic_name0 stub0 0     2:8:20:ab:cd:1    random              0\n"
    )


def test_the_header_comes_again_before_rows_24_47_and_70() -> None:
    lines = printed([{"link": f"v{n}"} for n in range(1, 72)], "link", fields=VNIC).splitlines()
    after = [lines[at + 1] for at, line in enumerate(lines) if line == "LINK"]
    assert after == ["v1", "v24", "v47", "v70"]


def test_empty_and_failed() -> None:
    row = ROW | {"over": "", "speed": None}
    assert printed([row], "over,speed,vid").splitlines()[1] == "--           ?        0"
    assert printed([row], "over,speed,vid", parsable=True) == ":?:0\n"


def test_escapes_only_with_two_fields() -> None:
    assert printed([ROW], "link,macaddress", parsable=True) == "web1_0:2\\:8\\:20\\:ab\\:cd\\:1\n"
    assert printed([ROW], "macaddress", parsable=True) == "2:8:20:ab:cd:1\n"
    assert printed([ROW | {"over": "a\\b"}], "link,over", parsable=True) == "web1_0:a\\\\b\n"


def test_fields_are_case_insensitive_and_may_repeat() -> None:
    assert printed([ROW], "LINK,Link,vid", parsable=True) == "web1_0:web1_0:0\n"


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        (None, "output fields must be specified in parsable mode"),
        ("all", "output field `all' invalid in parsable mode"),
        ("link,zone", "unknown output field: `zone'"),
        ("a,link,b", "unknown output fields: `a' `b'"),
        ("zone", "no valid output fields"),
        ("link,link,link,link,link,link,link", "Not enough space"),
    ],
)
def test_what_programs_may_not_ask(wanted: str | None, text: str) -> None:
    with pytest.raises(Unusable) as refusal:
        printed([], wanted, parsable=True)
    assert str(refusal.value) == text


def test_people_are_only_warned_of_unknown_fields() -> None:
    table = Table(lambda _: None, VNIC, "link,x", parsable=False)
    assert table.warnings() == ["ignoring unknown output field: `x'"]
    with pytest.raises(Unusable, match="no valid output fields"):
        Table(lambda _: None, VNIC, "x", parsable=False)


def test_a_wide_comma_list_is_continued_below() -> None:
    fields = [Field("LINK", 8), Field("POSSIBLE", 20)]
    row: dict[str, str | None] = {"link": "v0", "possible": "mac-nospoof,restricted,ip-nospoof,dhcp-nospoof"}
    assert printed([row], wrap=True, fields=fields) == (
        "LINK    POSSIBLE\nv0      mac-nospoof,\n        restricted,\n        ip-nospoof,\n        dhcp-nospoof\n"
    )
