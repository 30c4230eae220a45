"""What the host's own DTD says of a zone's file: libzonecfg reads none that is not valid by it. Pure.

zonecfg, zoneadm, zoneadmd and zlogin validate the file each time they open it, and do nothing to a zone whose file is
not valid, running or not (gate usr/src/lib/libzonecfg/common/libzonecfg.c zonecfg_get_handle_impl; libxml2 valid.c
xmlValidateDocument). What we cannot judge we do not: a content model of another kind than "empty" and "any number of
these", an internal subset, a type of attribute that is no list of words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.parsers import expat
from xml.parsers.expat import model as content

DTD = Path("/usr/share/lib/xml/dtd/zonecfg.dtd.1")  # as the DOCTYPE of every zone's file names it (zones sheet 4.8)
_SYSTEM = f"file://{DTD}"
_BLANK = " \t\r\n"
_SHOWN_MAX = 40


@dataclass(frozen=True, slots=True)
class Attribute:
    """`values`: the words it may be; None: any text."""

    required: bool
    values: tuple[str, ...] | None


@dataclass(slots=True)
class Element:
    """`children`: who may be in it, in any order and number; None: not judged."""

    children: frozenset[str] | None = None
    attributes: dict[str, Attribute] = field(default_factory=dict)


Declared = Mapping[str, Element]


def declared(dtd: bytes) -> Declared:
    """Element -> what may be in it. Raises ValueError: it is no DTD of zones that we understand."""
    found: dict[str, Element] = {}
    listed: dict[str, dict[str, Attribute]] = {}

    def element(name: str, model: tuple[Any, ...]) -> None:
        found.setdefault(name, Element(_children(model)))

    def attribute(name: str, attr: str, kind: str, default: str | None, required: bool) -> None:
        values = tuple(kind[1:-1].split("|")) if kind.startswith("(") else None
        if required and default is not None:  # #FIXED
            values = (default,)
        listed.setdefault(name, {}).setdefault(attr, Attribute(bool(required) and default is None, values))

    def external(context: str, base: str | None, system: str | None, public: str | None) -> int:
        if system is not None:  # a DTD made of several files
            return 0
        parser.ExternalEntityParserCreate(context).Parse(dtd, True)
        return 1

    parser = expat.ParserCreate()
    parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_ALWAYS)
    parser.UseForeignDTD(True)
    parser.ElementDeclHandler = element
    parser.AttlistDeclHandler = attribute
    parser.ExternalEntityRefHandler = external
    try:
        parser.Parse(b"<zone/>", True)
    except (expat.ExpatError, LookupError) as problem:  # LookupError: an encoding that nobody knows
        raise ValueError(str(problem)) from problem
    if "zone" not in found:
        raise ValueError("it declares no element <zone>")
    for name, attributes in listed.items():
        if name in found:
            found[name].attributes.update(attributes)
    return found


def _children(model: tuple[Any, ...]) -> frozenset[str] | None:
    """`model`: as expat gives it, (type, quantifier, name, children)."""
    kind, times, _, children = model
    if kind == content.XML_CTYPE_EMPTY:
        return frozenset()
    several = kind == content.XML_CTYPE_CHOICE or (kind == content.XML_CTYPE_SEQ and len(children) == 1)
    if several and times == content.XML_CQUANT_REP and all(each[0] == content.XML_CTYPE_NAME for each in children):
        return frozenset(name for _, _, name, _ in children)
    return None


class _Fault(Exception):
    pass


class _NotJudged(Exception):
    pass


def fault(text: bytes, known: Declared) -> str | None:
    """What is not valid in a zone's file, the first of it, in words; None if nothing is that we can judge."""
    judge = _Judge(known)
    parser = expat.ParserCreate()
    parser.ordered_attributes = True
    parser.StartDoctypeDeclHandler = judge.doctype
    parser.StartElementHandler = judge.start
    parser.EndElementHandler = judge.end
    parser.CharacterDataHandler = judge.text
    parser.CommentHandler = judge.comment
    try:
        parser.Parse(text, True)
    except _Fault as found:
        return f"line {parser.CurrentLineNumber}: {found}"
    except (_NotJudged, expat.ExpatError, LookupError):
        return None
    return None


class _Judge:
    def __init__(self, known: Declared) -> None:
        self._known = known
        self._typed = False
        self._open: list[str] = []

    def doctype(self, name: str, system: str | None, public: str | None, internal: bool) -> None:
        if internal:
            raise _NotJudged
        if name != "zone":
            raise _Fault(f"its DOCTYPE is of <{name}>, not of <zone>")
        if system != _SYSTEM:
            raise _Fault(f"its DOCTYPE names {_shown(system or 'no DTD')}, not {_SYSTEM}")
        self._typed = True

    def start(self, tag: str, attributes: Sequence[str]) -> None:
        if not self._typed:
            raise _Fault("it has no DOCTYPE")
        if not self._open and tag != "zone":
            raise _Fault(f"it begins with <{tag}>, not with <zone>")
        self._within(tag)
        self._open.append(tag)
        element = self._known[tag]
        given = dict(zip(attributes[::2], attributes[1::2], strict=True))
        for name, value in given.items():
            if name not in element.attributes:
                raise _Fault(f"<{tag}> has an attribute {name!r}, which is not declared")
            values = element.attributes[name].values
            if values is not None and value not in values:
                raise _Fault(f"<{tag} {name}={_shown(value)}>: it may be {' or '.join(values)}")
        for name, attribute in element.attributes.items():
            if attribute.required and name not in given:
                raise _Fault(f"<{tag}> has no attribute {name!r}, which is required")

    def _within(self, tag: str) -> None:
        if tag not in self._known:
            raise _Fault(f"element <{tag}> is not declared")
        if self._open:
            children = self._known[self._open[-1]].children
            if children is not None and tag not in children:
                raise _Fault(f"element <{tag}> may not be in <{self._open[-1]}>")

    def end(self, tag: str) -> None:
        self._open.pop()

    def text(self, text: str) -> None:
        children = self._known[self._open[-1]].children
        if children is not None and (not children or text.strip(_BLANK)):
            raise _Fault(f"text in <{self._open[-1]}>: {_shown(text)}")

    def comment(self, _: str) -> None:
        if self._open and self._known[self._open[-1]].children == frozenset():
            raise _Fault(f"a comment in <{self._open[-1]}>, which is to be empty")


def _shown(text: str) -> str:
    return repr(text if len(text) <= _SHOWN_MAX else f"{text[:_SHOWN_MAX]}…")
