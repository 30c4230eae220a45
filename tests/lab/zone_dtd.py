"""What may be in a zone's document: the table behind the host's DTD, which every program of libzonecfg validates by.

gate usr/src/lib/libzonecfg/dtd/zonecfg.dtd.1; of what OmniOS adds [zones 4.8] the details are those of illumos-joyent,
whose zonecfg it took over.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from lab.world import Dialect

PATH = "/usr/share/lib/xml/dtd/zonecfg.dtd.1"


@dataclass(frozen=True)
class Element:
    """`children` in any order and number; `required` and `optional` attributes, whose values are in `VALUES`."""

    children: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()

    def more(self, *optional: str, children: tuple[str, ...] = ()) -> Element:
        return Element((*self.children, *children), self.required, (*self.optional, *optional))


# (element, attribute) -> what it may be; the others may be any text.
VALUES: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("zone", "autoboot"): ("true", "false"),
    ("zone", "version"): ("1",),  # fixed
    ("attr", "type"): ("boolean", "int", "string", "uint"),
}
_IN_ZONE = {
    "filesystem": Element(("fsoption",), ("special", "directory", "type"), ("raw",)),
    "inherited-pkg-dir": Element(required=("directory",)),
    "network": Element(required=("physical",), optional=("address", "allowed-address", "defrouter")),
    "device": Element(required=("match",)),
    "deleted-device": Element(required=("match",)),
    "rctl": Element(("rctl-value",), ("name",)),
    "attr": Element(required=("name", "type", "value")),
    "dataset": Element(required=("name",)),
    "package": Element(required=("name", "version")),
    "patch": Element(("obsoletes", "incompatible"), ("id",)),
    "dev-perm": Element(required=("name", "uid", "gid", "mode", "acl")),
    "tmp_pool": Element(required=("importance",)),
    "pset": Element(required=("ncpu_min", "ncpu_max")),
    "mcap": Element(required=("physcap",)),
    "admin": Element(required=("user", "auths")),
    "security-flags": Element(optional=("default", "lower", "upper")),
}
_GATE = {
    "zone": Element(
        tuple(_IN_ZONE),
        ("name", "zonepath", "autoboot"),
        ("ip-type", "hostid", "pool", "limitpriv", "bootargs", "brand", "scheduling-class", "fs-allowed", "version"),
    ),
    **_IN_ZONE,
    "fsoption": Element(required=("name",)),
    "rctl-value": Element(required=("priv", "limit", "action")),
    "obsoletes": Element(required=("id",)),
    "incompatible": Element(required=("id",)),
}
_OMNIOS = {
    **_GATE,
    "zone": _GATE["zone"].more("debugid"),
    "network": _GATE["network"].more("global-nic", "mac-addr", "vlan-id", children=("net-attr",)),
    "device": _GATE["device"].more(children=("net-attr",)),
    "dataset": _GATE["dataset"].more("alias"),
    "net-attr": Element(required=("name", "value")),
}


def elements(dialect: Dialect) -> Mapping[str, Element]:
    return _OMNIOS if dialect is Dialect.OMNIOS else _GATE


@cache
def dtd(dialect: Dialect) -> str:
    """The file at `PATH`."""
    lines = ["<?xml version='1.0' encoding='UTF-8' ?>", "<!-- Configuration of a zone -->"]
    for tag, element in elements(dialect).items():
        lines.append(f"<!ELEMENT {tag} {'(' + ' | '.join(element.children) + ')*' if element.children else 'EMPTY'}>")
        for name in (*element.required, *element.optional):
            values = VALUES.get((tag, name), ())
            kind = "CDATA" if not values else "NMTOKEN" if len(values) == 1 else f"({' | '.join(values)})"
            rule = "#REQUIRED" if name in element.required else f"#FIXED '{values[0]}'" if values else '""'
            lines.append(f"<!ATTLIST {tag} {name} {kind} {rule}>")
    return "\n".join(lines) + "\n"
