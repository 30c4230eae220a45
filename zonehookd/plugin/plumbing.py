"""Addresses on one IP interface: ours bear names of ours, and no other is touched. Pure."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator
from dataclasses import replace

from zonehookd.illumos import ipadm
from zonehookd.model.command import Change
from zonehookd.model.zone import Address

_OURS = re.compile(r"zh[46](n[0-9]+)?")
_LINK_LOCAL = "zhll"  # a static IPv6 address needs a link-local one first (network sheet 4.3)


def plumb(
    where: str,
    link: str,
    wanted: Iterable[Address],
    seen: ipadm.Addresses,
    *,
    temporary: bool = False,
    known: Container[str] = (),
    why: str,
) -> Iterator[Change]:
    """Changes after which `link` has these addresses; what else of ours is on it goes. Others' objects stay.

    New ones come before old ones go: with the last address of a subnet its routes would go, too. Only one that changes
    nothing but its prefix length has to make room first. `known`: those that were there before, as our books say; to
    make them again is a repair.
    """
    wanted = tuple(wanted)
    on_it = [each for each in seen if each.interface == link]
    there = {each.address for each in on_it}
    going = [each for each in on_it if _OURS.fullmatch(_object(each.name)) and each.address not in wanted]
    first = [each for each in going if any(each.address.ip == new.ip for new in wanted)]
    for each in first:
        yield ipadm.delete_addr(where, link, _object(each.name), why=f"{each.address} is no longer {link}'s")
    if any(each.version == 6 and each not in there for each in wanted) and not any(a.is_link_local for a in there):
        yield ipadm.addrconf(
            where, link, _LINK_LOCAL, temporary=temporary, why=f"{why}, and IPv6 needs a link-local one"
        )
    names = {_object(each.name) for each in on_it if each not in first}
    for address in wanted:
        if address not in there:
            name = next(each for each in _names(address.version) if each not in names)
            names.add(name)
            made = ipadm.create_addr(where, link, name, address, temporary=temporary, why=f"{why}: {address}")
            yield replace(made, cause="missing" if str(address) in known else "")
    for each in going:
        if each not in first:
            yield ipadm.delete_addr(where, link, _object(each.name), why=f"{each.address} is no longer {link}'s")
    others = any(e.address.version == 6 and not e.address.is_link_local and e not in going for e in on_it)
    if not others and not any(each.version == 6 for each in wanted) and _LINK_LOCAL in {_object(e.name) for e in on_it}:
        yield ipadm.delete_addr(where, link, _LINK_LOCAL, why=f"{link} has no IPv6 address any more")


def wrong(link: str, wanted: Iterable[Address], seen: ipadm.Addresses) -> str:
    """What is wrong with addresses that are there: another machine has one (network sheet 4.3)."""
    for each in seen:
        if each.interface == link and each.address in wanted and each.state not in ("ok", "tentative"):
            return f"{each.address} on {link} is {each.state}"
    return ""


def _object(name: str) -> str:
    return name.partition("/")[2]


def _names(version: int) -> Iterator[str]:
    yield f"zh{version}"
    number = 2
    while True:
        yield f"zh{version}n{number}"
        number += 1
