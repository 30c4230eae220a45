"""The gate in config.xml: put in where the DTD wants it, taken out to the byte, refused where neither is sure."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lab.brands import ORDER, expand, parse_brand
from lab.furnish_zones import brand_document

from zonehookd.gate.brands import HOOKS, BrandRefused, asked_at, gated, has_gate, name_of, ungated
from zonehookd.gate.brands import ORDER as OURS

GATE, RUN = "/var/lib/zonehookd/gate", "/var/run/zonehookd"
THERE, RUNS = "[ -x $1 ]&&[ -s $1 ]", 'exec "$@"'
OWN = "/usr/lib/brand/sparse/prestate %z %R"


def put(xml: bytes) -> bytes:
    return gated(xml, GATE, RUN)


def begins(hook: str, mark: str = "-") -> str:
    return f"$1;set -- {GATE} {RUN} {hook} %z {mark}"


def document(**hooks: str) -> bytes:
    base = {"install": "/usr/lib/brand/sparse/install %z %R", "uninstall": "/usr/lib/brand/sparse/uninstall %z %R"}
    return brand_document("sparse", {**base, **hooks}).encode()


def test_the_order_is_that_of_the_sheet() -> None:
    assert OURS == ORDER


def test_a_hook_that_is_there_is_asked_after_ours() -> None:
    xml = document(prestatechange=OWN, poststatechange=OWN)
    brand = parse_brand("sparse", put(xml))
    assert brand.text("prestatechange") == f"{begins('prestatechange', '--')};{THERE}||set --;{RUNS} {OWN}"
    assert brand.text("poststatechange") == f"{begins('poststatechange', '--')};{THERE}||set --;{RUNS} {OWN}"
    assert brand.text("preuninstall").startswith(f"{begins('preuninstall', '-added')};{THERE}||{{ echo")
    assert brand.text("preuninstall").endswith(f";exit 1;}};{RUNS}")
    assert expand(brand.text("prestatechange"), "web1", "/zones/web1") == (
        f"$1;set -- {GATE} {RUN} prestatechange web1 --;{THERE}||set --;{RUNS} "
        "/usr/lib/brand/sparse/prestate web1 /zones/web1"
    )


SHAPES = {
    "absent": "",
    "pair": "  <{hook}></{hook}>\n",
    "closed": "  <{hook}/>\n",
    "closed with a blank": "  <{hook} />\n",
    "own": "  <{hook}>/usr/lib/brand/b/own %z %R</{hook}>\n",
    "blanks around": "  <{hook}> /usr/lib/brand/b/own  %z </{hook} >\n",
    "percent": "  <{hook}>/b/own --opt=%z,%% a:b@c+d</{hook}>\n",
}


def shaped(shapes: dict[str, str], newline: str = "\n", between: str = "") -> bytes:
    known = {"uninstall": "  <uninstall>/b/uninstall</uninstall>\n", "query": "  <query>/b/query</query>\n"}
    names = [name for name in ORDER if name in shapes or name in known]
    inner = between.join(known.get(name) or SHAPES[shapes[name]].format(hook=name) for name in names)
    head = brand_document("b", {"install": "/b/install"})
    return head.replace("  <privilege", f"{between}{inner}{between}  <privilege").replace("\n", newline).encode()


@pytest.mark.parametrize("shapes", list(itertools.product(SHAPES, repeat=3)), ids=",".join)
def test_it_goes_in_and_out_to_the_byte(shapes: tuple[str, str, str]) -> None:
    xml = shaped(dict(zip(HOOKS, shapes, strict=True)))
    there = put(xml)
    brand = parse_brand("b", there)
    for hook, shape in zip(HOOKS, shapes, strict=True):
        assert brand.text(hook).startswith(begins(hook)), shape
        own = parse_brand("b", xml).text(hook)
        assert brand.text(hook).endswith(f"{RUNS} {own}" if own else RUNS)
    others = {name: text for name, text in brand.elements.items() if name not in HOOKS}
    assert others == {name: text for name, text in parse_brand("b", xml).elements.items() if name not in HOOKS}
    assert ungated(there) == xml and put(there) == there
    assert has_gate(there) and not has_gate(xml) and ungated(xml) == xml
    assert asked_at(there) == RUN and asked_at(xml) is None


@pytest.mark.parametrize("newline", ["\n", "\r\n", "", " \t "], ids=repr)
@pytest.mark.parametrize("between", ["", "<!-- <prestatechange>/no</prestatechange> -->\n", "\n\n"], ids=repr)
@pytest.mark.parametrize("shape", SHAPES)
def test_whatever_is_around_it_stays(newline: str, between: str, shape: str) -> None:
    xml = shaped(dict.fromkeys(HOOKS, shape), newline or "\n", between)
    if newline == "":
        xml = xml.replace(b">\n  <", b"><")
    assert ungated(put(xml)) == xml
    assert parse_brand("b", put(xml)).text("preuninstall").startswith(begins("preuninstall"))


@given(st.text("ab/%zR ._-=,:@+", max_size=60))
def test_any_plain_words(text: str) -> None:
    words = f"/{text}"
    xml = document(prestatechange=words)
    there = put(xml)
    assert parse_brand("sparse", there).text("prestatechange").endswith(f"{RUNS} {words}")
    assert ungated(there) == xml


def test_another_place_replaces_the_former() -> None:
    xml = document(prestatechange=OWN)
    moved = gated(put(xml), "/elsewhere/gate", "/elsewhere/run")
    assert moved == gated(xml, "/elsewhere/gate", "/elsewhere/run") and ungated(moved) == xml


def while_empty_ones_ran(xml: bytes) -> bytes:
    """The gate of former versions: a program is there when it may be run."""
    there = put(xml)
    assert there.count(b"&amp;&amp;[ -s $1 ]") == 3
    return there.replace(b"&amp;&amp;[ -s $1 ]", b"")


def as_it_once_was(xml: bytes) -> bytes:
    """And before that: its program, or nothing runs."""
    there = put(xml)
    for hook in HOOKS:
        shape = rf"(<{hook}[^>]*>)[$]1;set -- (\S+ \S+ {hook} %z -[a-z-]*);[^<]*?;exec \"[$]@\""
        there, found = re.subn(shape.encode(), rb"\1\2", there)
        assert found == 1
    return there


@pytest.mark.parametrize("of", [while_empty_ones_ran, as_it_once_was])
@pytest.mark.parametrize("shapes", list(itertools.product(SHAPES, repeat=3))[::7], ids=",".join)
def test_the_gate_of_former_versions_is_known_and_undone(
    shapes: tuple[str, str, str], of: Callable[[bytes], bytes]
) -> None:
    xml = shaped(dict(zip(HOOKS, shapes, strict=True)))
    former = of(xml)
    if of is as_it_once_was:
        assert f">{GATE} {RUN} preuninstall %z -".encode() in former and b"$1" not in former
    assert ungated(former) == xml and put(former) == put(xml) != former and asked_at(former) == RUN


@pytest.mark.parametrize(
    "there",
    [
        b"$1;set -- GATE RUN prestatechange %z --;[ -x $1 ]||set --;exec &quot;$@&quot; /b/own",
        b'$1;set -- GATE RUN prestatechange %z --;[ -x $1 ]||set --;exec "$@"',
        b'$1;set -- GATE RUN prestatechange %z -;[ -x $1 ]||exit 0;exec "$@" /b/own',
        b"$1;set -- GATE RUN prestatechange %z --;/b/own",
        b"GATE RUN prestatechange %z --",
        b"GATE RUN prestatechange %z - /b/own",
    ],
)
def test_what_is_nearly_ours_is_not_touched(there: bytes) -> None:
    text = there.replace(b"GATE", GATE.encode()).replace(b"RUN", RUN.encode())
    xml = document(prestatechange="HERE").replace(b"HERE", text)
    assert ungated(xml) == xml and not has_gate(xml) and asked_at(xml) is None
    if b"$1" in there:
        with pytest.raises(BrandRefused, match="more than plain words"):
            put(xml)


@pytest.mark.parametrize(
    "text",
    [
        "/b/own; /b/more",
        "/b/own | /b/more",
        "/b/own && /b/more",
        "/b/own `id`",
        "/b/own $HOME",
        "/b/own > /dev/null",
        "/b/own 'a b'",
        '/b/own "a"',
        "/b/own *",
        "/b/own [a]",
        "/b/own ~root",
        "/b/own #",
        "/b/own \\",
        "/b/own\n",
        "\n/b/own",
        "/b/own\t%z",
        "own %z",  # by the search path of zoneadmd
        " ",
        "<![CDATA[/b/own]]>",
        "/b/own <!-- a word -->",
        "<b/>",
        "/b/\u00fcmlaut",
        "/b/own " + "x" * 900,
        "/b/own %R %R %R",
    ],
)
def test_what_is_more_than_plain_words_is_refused(text: str) -> None:
    known = ("<", "\u00fc")
    escaped = text if text.startswith(known) or "<!--" in text else text.replace("&", "&amp;").replace(">", "&gt;")
    xml = document().replace(b"  <privilege", f"  <prestatechange>{escaped}</prestatechange>\n  <privilege".encode())
    with pytest.raises(BrandRefused):
        put(xml)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"<!DOCTYPE brand", b"<!DOCTYPE zone"),
        (b"</brand>", b""),
        (b'<brand name="sparse">', b"<brand>"),
        (b"<!DOCTYPE brand", b'<!DOCTYPE brand [<!ENTITY a "b">]'),
        (b'<?xml version="1.0"?>', b'<?xml version="1.0" encoding="utf-16"?>'),
        (b'<?xml version="1.0"?>', b'<?xml version="1.0" encoding="ebcdic"?>'),
        (b"  <uninstall>", b"  <postuninstall/>\n  <uninstall>"),  # who knows which comes first
        (b"  <privilege", b'  <prestatechange a="b">/x</prestatechange>\n  <privilege'),
        (b"  <privilege", b"  <prestatechange>/x</prestatechange>\n  <prestatechange/>\n  <privilege"),
        (b"  <uninstall>", b"  <prestatechange>/x</prestatechange>\n  <uninstall>"),
        (b'  <privilege set="default" name="contract_event"/>\n', b""),
    ],
)
def test_what_is_no_brand_is_refused(before: bytes, after: bytes) -> None:
    xml = document()
    assert before in xml
    if after == b"":
        xml = xml.replace(b"  <uninstall>/usr/lib/brand/sparse/uninstall %z %R</uninstall>\n", b"")
    with pytest.raises(BrandRefused):
        put(xml.replace(before, after))


def test_an_element_that_is_new_and_far_away_is_no_reason() -> None:
    xml = document(prestatechange=OWN, poststatechange=OWN).replace(b"  <modname>", b"  <news/>\n  <modname>")
    assert ungated(put(xml)) == xml


@pytest.mark.parametrize("place", ["relative/gate", "/a b/gate", "/a;b/gate", "/a$b/gate", "/a'b/gate"])
def test_a_place_that_is_more_than_one_word_is_refused(place: str) -> None:
    with pytest.raises(BrandRefused, match="shell"):
        gated(document(), place, RUN)


def test_utf16_is_refused() -> None:
    with pytest.raises(BrandRefused):
        put(document().decode().encode("utf-16"))


def test_its_name() -> None:
    assert name_of(document()) == "sparse"
