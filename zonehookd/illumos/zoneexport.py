"""A zone's configuration as commands that make it again, and whether they say all that its file says. Pure.

`zonecfg export` prints such commands (zones sheet 4.7), with two traps: a value of the zone itself is not quoted, so
one with a blank in it does not survive, and brand ``native`` is left out. Both are mended here. What the commands do
not say although the file says it is named, so that nobody learns of it on the day he needs it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from xml.etree import ElementTree

Pairs = tuple[tuple[str, str], ...]

_TOP = (
    "zonepath", "brand", "autoboot", "bootargs", "pool", "limitpriv", "scheduling-class", "ip-type", "hostid",
    "fs-allowed",
)  # fmt: skip
_NOT_COMPARED = {"name", "debugid"}  # debugid: OmniOS' own count (4.8)
_DEFAULTS = {("autoboot", "false"), ("ip-type", "shared")}  # what an absent attribute means (4.8)
_TAGS = {"fs": "filesystem", "net": "network", "device": "device", "rctl": "rctl", "attr": "attr", "dataset": "dataset"}
_ATTRIBUTES = {("fs", "dir"): "directory"}
# Elements whose attributes are written otherwise than the properties: one `add` for each is all that can be asked for.
_COUNTED = {
    "mcap": "capped-memory", "pset": "dedicated-cpu", "tmp_pool": "dedicated-cpu", "admin": "admin",
    "security-flags": "security-flags",
}  # fmt: skip
_BARE = re.compile(r'[^\s";=\[\]()]+')  # a word that needs no quotes (4.2)
_SET = re.compile(r"set ([a-z-]+)=(.*)")
_ADD = re.compile(r"add ([a-z-]+)(?: (.*))?")
_PAIR = re.compile(r'([a-z-]+)=("[^"]*"|[^,()"]*)')
_PAIRS = re.compile(rf"\({_PAIR.pattern}(?:,{_PAIR.pattern})*\)")


@dataclass(frozen=True, slots=True)
class Part:
    """One thing that a configuration says. `tag` is empty for a property of the zone itself."""

    tag: str
    attributes: Pairs = ()
    children: tuple[Pairs, ...] = ()

    def __str__(self) -> str:
        words = [self.tag, _said(self.attributes), *(f"({_said(child)})" for child in self.children)]
        return " ".join(filter(None, words))


@dataclass(frozen=True, slots=True)
class Recreatable:
    """`commands` make the zone again with ``zonecfg -z ZONE -f -``; `lost` is what they do not say, for people."""

    commands: str
    lost: tuple[str, ...]


def recreatable(export: str, xml: str) -> Recreatable:
    """`export`: what zonecfg printed; `xml`: the zone's file. Raises ValueError: that is no zone's file."""
    said = _parts(xml)
    top, resources = _blocks(export)
    carried = Counter[Part]()
    lines = []
    for line in top:
        found = _SET.fullmatch(line)
        if found is None:
            lines.append(line)
        elif '"' not in (value := _unquoted(found[2])):  # there is no way to say a quote (4.2)
            lines.append(f"set {found[1]}={_quoted(value)}")
            carried[Part("", ((found[1], value),))] += 1
    for part in said:
        if part.tag == "" and part not in carried:
            ((name, value),) = part.attributes
            if name in _TOP and '"' not in value and "\n" not in value:
                lines.append(f"set {name}={_quoted(value)}")
                carried[part] += 1
    adds = Counter[str]()
    for block in resources:
        mended = [_mended(line) for line in block]
        if not all(map(_sayable, mended)):
            continue
        lines += mended
        part = _of_commands(mended)
        adds[part.tag] += 1
        carried[part] += 1
    return Recreatable("".join(f"{line}\n" for line in lines), tuple(sorted(_lost(said, carried, adds))))


def missing(before: str, now: str) -> tuple[Part, ...]:
    """What a zone's file said before and does not say now. Raises ValueError: one of them is no zone's file."""
    return tuple(sorted((_parts(before) - _parts(now)).elements(), key=str))


def _lost(said: Counter[Part], carried: Counter[Part], adds: Counter[str]) -> Iterator[str]:
    for part in (said - carried).elements():
        if part.tag not in _COUNTED:
            yield str(part)
    for tag, resource in _COUNTED.items():
        if sum(times for part, times in said.items() if part.tag == tag) > adds[resource]:
            yield f"{tag} ({resource})"


# -- the file


def _parts(xml: str) -> Counter[Part]:
    if "<!ENTITY" in xml:  # zonecfg writes none; nothing good comes of expanding one
        raise ValueError("declares XML entities")
    try:
        root = ElementTree.fromstring(xml.encode())  # noqa: S314 - root-owned file, entities refused above
    except (ElementTree.ParseError, LookupError) as problem:
        raise ValueError(f"not well-formed: {problem}") from problem
    if root.tag != "zone":
        raise ValueError(f"expected <zone>, found <{root.tag}>")
    found = Counter[Part]()
    for name, value in root.attrib.items():
        if value and name not in _NOT_COMPARED and (name, value) not in _DEFAULTS:
            found[Part("", ((name, value),))] += 1
    for element in root:
        children = tuple(_pairs(child.attrib.items()) for child in element)
        found[Part(element.tag, _pairs(element.attrib.items()), children)] += 1
    return found


# -- the commands


def _blocks(export: str) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    """Lines of the zone itself, and those of each resource from its `add` to its `end`."""
    top: list[str] = []
    resources: list[list[str]] = []
    inside = False
    for line in filter(None, export.splitlines()):
        if inside:
            resources[-1].append(line)
            inside = line.strip() != "end"
        elif line.startswith("add "):
            resources.append([line])
            inside = True
        else:
            top.append(line)
    return top, resources


def _mended(line: str) -> str:
    """A line of a resource, with quotes where a word needs them."""
    if (found := _SET.fullmatch(line)) is not None:
        return f'set {found[1]}="{_unquoted(found[2])}"'
    found = _ADD.fullmatch(line)
    if found is None or found[2] is None or found[2].startswith("("):
        return line
    return f"add {found[1]} {_quoted(_unquoted(found[2]))}"


def _sayable(line: str) -> bool:
    """A quote within a value ends it, and nothing can be done about it (4.2)."""
    found = _SET.fullmatch(line) or _ADD.fullmatch(line)
    if found is None or found[2] is None:
        return True
    if found[2].startswith("("):
        return _PAIRS.fullmatch(found[2]) is not None
    return '"' not in _unquoted(found[2])


def _of_commands(block: Sequence[str]) -> Part:
    resource = block[0].removeprefix("add ")
    attributes = []
    children = []
    for line in block[1:]:
        if (found := _SET.fullmatch(line)) is not None:
            attributes.append((_ATTRIBUTES.get((resource, found[1]), found[1]), _unquoted(found[2])))
        elif (found := _ADD.fullmatch(line)) is not None and found[2] is not None:
            pairs = [("name", _unquoted(found[2]))]
            if found[2].startswith("("):
                pairs = [(name, _unquoted(value)) for name, value in _PAIR.findall(found[2])]
            children.append(_pairs(pairs))
    return Part(_TAGS.get(resource, resource), _pairs(attributes), tuple(children))


def _pairs(of: Iterable[tuple[str, str]]) -> Pairs:
    return tuple(sorted((name, value) for name, value in of if value))


def _unquoted(value: str) -> str:
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] == '"' else value


def _quoted(value: str) -> str:
    return value if _BARE.fullmatch(value) else f'"{value}"'


def _said(pairs: Pairs) -> str:
    return " ".join(f"{name}={value}" for name, value in pairs)
