"""The gate in config.xml: put in where the DTD wants it, taken out to the byte, refused where neither is sure."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lab.brands import ORDER, expand, parse_brand
from lab.furnish_zones import brand_document

from zonehookd.gate.brands import HOOKS, BrandRefused, gated, has_gate, name_of, ungated
from zonehookd.gate.brands import ORDER as OURS

GATE, RUN = "/var/lib/zonehookd/gate", "/var/run/zonehookd"
OWN = "/usr/lib/brand/sparse/prestate %z %R"


def put(xml: bytes) -> bytes:
    return gated(xml, GATE, RUN)


def document(**hooks: str) -> bytes:
    base = {"install": "/usr/lib/brand/sparse/install %z %R", "uninstall": "/usr/lib/brand/sparse/uninstall %z %R"}
    return brand_document("sparse", {**base, **hooks}).encode()


def test_the_order_is_that_of_the_sheet() -> None:
    assert OURS == ORDER


def test_a_hook_that_is_there_is_asked_after_ours() -> None:
    xml = document(prestatechange=OWN, poststatechange=OWN)
    brand = parse_brand("sparse", put(xml))
    assert brand.text("prestatechange") == f"{GATE} {RUN} prestatechange %z -- {OWN}"
    assert brand.text("poststatechange") == f"{GATE} {RUN} poststatechange %z -- {OWN}"
    assert brand.text("preuninstall") == f"{GATE} {RUN} preuninstall %z -added"
    assert expand(brand.text("prestatechange"), "web1", "/zones/web1").endswith(
        "prestatechange web1 -- /usr/lib/brand/sparse/prestate web1 /zones/web1"
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
        assert brand.text(hook).startswith(f"{GATE} {RUN} {hook} %z -"), shape
        own = parse_brand("b", xml).text(hook)
        assert not own or brand.text(hook).endswith(f" -- {own}")
    others = {name: text for name, text in brand.elements.items() if name not in HOOKS}
    assert others == {name: text for name, text in parse_brand("b", xml).elements.items() if name not in HOOKS}
    assert ungated(there) == xml and put(there) == there
    assert has_gate(there) and not has_gate(xml) and ungated(xml) == xml


@pytest.mark.parametrize("newline", ["\n", "\r\n", "", " \t "], ids=repr)
@pytest.mark.parametrize("between", ["", "<!-- <prestatechange>/no</prestatechange> -->\n", "\n\n"], ids=repr)
@pytest.mark.parametrize("shape", SHAPES)
def test_whatever_is_around_it_stays(newline: str, between: str, shape: str) -> None:
    xml = shaped(dict.fromkeys(HOOKS, shape), newline or "\n", between)
    if newline == "":
        xml = xml.replace(b">\n  <", b"><")
    assert ungated(put(xml)) == xml
    assert parse_brand("b", put(xml)).text("preuninstall").startswith(GATE)


@given(st.text("ab/%zR ._-=,:@+", max_size=60))
def test_any_plain_words(text: str) -> None:
    words = f"/{text}"
    xml = document(prestatechange=words)
    there = put(xml)
    assert parse_brand("sparse", there).text("prestatechange").endswith(f" -- {words}")
    assert ungated(there) == xml


def test_another_place_replaces_the_former() -> None:
    xml = document(prestatechange=OWN)
    moved = gated(put(xml), "/elsewhere/gate", "/elsewhere/run")
    assert moved == gated(xml, "/elsewhere/gate", "/elsewhere/run") and ungated(moved) == xml


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
