"""A zone's file held against the host's DTD: what is said of it, and that only what libxml2 refuses is refused."""

from __future__ import annotations

import pytest
from lab.world import World
from zone_documents import DOCUMENTS, WHOLE, libxml2_accepts

from zonehookd.illumos import zonedtd


@pytest.fixture
def known(world: World) -> zonedtd.Declared:
    return zonedtd.declared(world.path(str(zonedtd.DTD)).read_bytes())


@pytest.mark.parametrize("name", DOCUMENTS)
def test_what_libxml2_refuses_is_named(world: World, known: zonedtd.Declared, name: str) -> None:
    document = DOCUMENTS[name]
    found = zonedtd.fault(document.text.encode(), known)
    assert (found is None) is libxml2_accepts(world, document.text)
    assert document.said(world.dialect) in (found or "")


@pytest.mark.parametrize(
    "text",
    [
        WHOLE.replace('.1">', '.1" [<!ATTLIST zone colour CDATA "">]>').replace("<zone ", '<zone colour="red" '),
        "<zone",
        "",
        WHOLE.replace("UTF-8", "klingon"),
    ],
)
def test_what_cannot_be_judged_is_not(known: zonedtd.Declared, text: str) -> None:
    assert zonedtd.fault(text.encode(), known) is None


@pytest.mark.parametrize("model", ["ANY", "(a, b)", "(a | b)+", "(#PCDATA | a)*", "((a | b), a)*", "(a | b)"])
def test_a_model_we_do_not_understand_is_not_judged(model: str) -> None:
    dtd = f"<!ELEMENT zone {model}><!ELEMENT a EMPTY><!ELEMENT b EMPTY><!ATTLIST zone id ID #IMPLIED>"
    known = zonedtd.declared(dtd.encode())
    head = WHOLE[: WHOLE.index("<zone ")]
    assert zonedtd.fault(f'{head}<zone id="-"> text <b/><a/></zone>'.encode(), known) is None
    assert "<c> is not declared" in str(zonedtd.fault(f"{head}<zone><c/></zone>".encode(), known))


def test_what_is_declared_twice_is_what_it_was_first(world: World) -> None:
    dtd = '<!ELEMENT zone EMPTY><!ATTLIST zone a (b|c) "b"><!ATTLIST zone a CDATA #REQUIRED><!ATTLIST d e CDATA "">'
    known = zonedtd.declared(dtd.encode())
    assert known == {"zone": zonedtd.Element(frozenset(), {"a": zonedtd.Attribute(False, ("b", "c"))})}


@pytest.mark.parametrize(
    "dtd",
    [
        b"",
        b"<!ELEMENT brand EMPTY>",
        b"<!ELEMENT zone EMPTY",
        b'<!ENTITY % more SYSTEM "more.dtd"> %more; <!ELEMENT zone EMPTY>',
        b"\xff\xfe",
        b'<?xml version="1.0" encoding="klingon"?><!ELEMENT zone EMPTY>',
    ],
)
def test_no_dtd_of_zones(dtd: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        zonedtd.declared(dtd)
