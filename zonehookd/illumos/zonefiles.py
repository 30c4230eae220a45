"""What /etc/zones says: the index (which zones exist) and one XML file per zone (zones sheet 2.7, 4.8). Pure parsing.

The files and not `zonecfg export`, because one process per zone would make the cost of a look grow with the host; and
not `zonecfg info`, which is for people (sheet 4.6). Both files are replaced by rename, so a reader sees a whole one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv6Interface
from xml.etree import ElementTree

from zonehookd.illumos.linkname import normal_mac
from zonehookd.illumos.parseable import split
from zonehookd.model.zone import Address, Nic, ZoneConfig

_QUOTED_PATH = re.compile(r'^([^:]*):([^:]*):"([^"]*)"(?::(.*))?$')
SIZE_MAX_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class Indexed:
    """One line of the index. `state` is configured, incomplete or installed, whatever the kernel says."""

    name: str
    state: str
    zonepath: str
    uuid: str


def parse_index(text: str) -> dict[str, Indexed]:
    """name -> line, without the global zone. Further fields (SmartOS) are tolerated.

    Raises ValueError; also when the global zone is missing, for then this is no whole index, and a zone that is not in
    it may well be there.
    """
    found: dict[str, Indexed] = {}
    whole = False
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        quoted = _QUOTED_PATH.match(line)
        fields = [*quoted.groups("")[:3], *split(quoted.group(4) or "")] if quoted else line.split(":")
        if len(fields) < 3:
            raise ValueError(f"not a line of the zone index: {line!r}")
        if fields[0] == "global":
            whole = True
        else:
            found[fields[0]] = Indexed(fields[0], fields[1], fields[2], fields[3] if len(fields) > 3 else "")
    if not whole:
        raise ValueError("the global zone is not in it: empty, or cut off")
    return found


def parse_zone(text: bytes) -> ZoneConfig:
    """One zone's XML. Raises ValueError saying what is wrong; an attribute we do not know is nothing wrong."""
    if b"<!ENTITY" in text:  # zonecfg writes none; nothing good comes of expanding one
        raise ValueError("declares XML entities")
    try:
        root = ElementTree.fromstring(text)  # noqa: S314 - root-owned file, entities refused above
    except (ElementTree.ParseError, LookupError) as problem:  # LookupError: an encoding that nobody knows
        raise ValueError(f"not well-formed: {problem}") from problem
    if root.tag != "zone":
        raise ValueError(f"expected <zone>, found <{root.tag}>")
    attrs = {element.get("name", ""): element.get("value", "") for element in root.findall("attr")}
    return ZoneConfig(
        brand=root.get("brand", ""),
        exclusive=root.get("ip-type", "shared") == "exclusive",
        nics=tuple(_nics(root)),
        attrs=attrs,
    )


def _nics(root: ElementTree.Element) -> Iterator[Nic]:
    """`net` resources grouped by their link: a second address on a link is a second resource (sheet 4.5)."""
    grouped: dict[str, list[ElementTree.Element]] = {}
    for element in root.findall("network"):
        grouped.setdefault(element.get("physical", ""), []).append(element)
    for index, (link, elements) in enumerate(grouped.items()):
        addresses: list[Address] = []
        malformed: list[str] = []
        enforced = False
        for element in elements:
            allowed = element.get("allowed-address", "")
            enforced = enforced or bool(allowed)
            listed = [allowed, element.get("address", "")]
            for extra in element.findall("net-attr"):
                if extra.get("name") == "ips":  # LX: a comma list, which may hold words (seed contract A2)
                    listed += [word for word in extra.get("value", "").split(",") if word not in ("dhcp", "addrconf")]
            for text in filter(None, listed):
                try:
                    addresses.append(IPv6Interface(text) if ":" in text else IPv4Interface(text))
                except ValueError:
                    malformed.append(text)
        first = elements[0]
        mac = next((each.get("mac-addr", "") for each in elements if each.get("mac-addr")), "")
        try:
            mac = normal_mac(mac) if mac else ""
        except ValueError:
            malformed.append(mac)
            mac = ""
        vlan = first.get("vlan-id", "")
        yield Nic(
            link=link,
            index=index,
            addresses=tuple(dict.fromkeys(addresses)),
            enforced=enforced,
            global_nic=first.get("global-nic", ""),
            mac=mac,
            vlan=int(vlan) if vlan.isdigit() else 0,
            malformed=tuple(malformed),
            router=next((each.get("defrouter", "") for each in elements if each.get("defrouter")), ""),
        )
