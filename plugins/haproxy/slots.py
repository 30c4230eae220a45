"""Backends in stock. Pure.

A running haproxy takes and drops servers, but no backend comes or goes without a reload. So there are spare ones, and a
route takes one; which, our book of the route remembers. Their number only grows, by powers of two: reloads are rare.

A backend that may still have servers of a route before, in the running haproxy or in a file it could start with, is not
given to another: whatever is lost in a crash then costs an answer at worst, and never gives one of somebody else's.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from zonehookd.plugin.routing import RouteBook

_SLOT = re.compile(r"zh-([a-z]+(?::[A-Za-z0-9_-]+)?)-([1-9][0-9]*)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Kind:
    """How a backend speaks, and how its servers are checked. `least`: so many of them at least."""

    name: str
    mode: Literal["http", "tcp"]
    check: Literal["http", "tcp"]
    least: int


KINDS = {
    each.name: each
    for each in (
        Kind("web", "http", "tcp", 32),
        Kind("webcheck", "http", "http", 32),
        Kind("port", "tcp", "tcp", 8),
        Kind("portcheck", "tcp", "http", 8),
    )
}


def stock_of(book: RouteBook, own: Collection[str]) -> str:
    """The stock from which this route takes its backend: a kind, and of a network with a template of its own (`own`)
    a stock for it alone. By HTTP only if all that is checked is to be: the checks of a backend are of one kind."""
    kinds = {seat.backend.check.kind for seat in book.seats.values()} - {"none"}
    check = "http" if kinds == {"http"} else "tcp"
    kind = next(each for each in KINDS.values() if (each.mode, each.check) == (book.match.protocol, check))
    return f"{kind.name}:{book.network}" if book.network in own else kind.name


def slot(name: str) -> tuple[str, int] | None:
    """Stock and number of a backend of ours."""
    found = _SLOT.fullmatch(name)
    return (found[1], int(found[2])) if found and found[1].partition(":")[0] in KINDS else None


def slots_in(config: str) -> frozenset[str]:
    """Backends of ours that have servers in this configuration."""
    found, current = set(), ""
    for line in config.splitlines():
        words = line.split(None, 2)
        if words and not line[0].isspace():
            current = words[1] if words[0] == "backend" and len(words) > 1 else ""
        elif words and words[0] == "server" and slot(current):
            found.add(current)
    return frozenset(found)


def placed(books: Iterable[RouteBook], taken: Collection[str], own: Collection[str]) -> tuple[RouteBook, ...]:
    """Every book with its place. `taken`: backends that are not to be given to anybody new."""
    books = tuple(books)
    used = {book.place for book in books} | set(taken)
    following: dict[str, int] = {}
    made = []
    for book in books:
        stock, found = stock_of(book, own), slot(book.place)
        if found is None or (found[0] != stock and book.seats):
            number = following.get(stock, 1)
            while f"zh-{stock}-{number}" in used:
                number += 1
            following[stock] = number + 1
            book = replace(book, place=f"zh-{stock}-{number}")
        made.append(book)
    return tuple(made)


def capacity(books: Iterable[RouteBook], before: Mapping[str, int], own: Collection[str]) -> Mapping[str, int]:
    """Stock -> how many backends it needs; never fewer than `before`, unless its network has no template any more."""
    needed = {each.name: max(each.least, before.get(each.name, 0)) for each in KINDS.values()}
    needed |= {stock: count for stock, count in before.items() if stock.partition(":")[2] in own}
    for book in books:
        found = slot(book.place)
        if found is not None:
            stock, number = found
            count = needed.setdefault(stock, KINDS[stock.partition(":")[0]].least)
            while count < number:
                count *= 2
            needed[stock] = count
    return needed
