"""Addresses, ranges and ports as an admin writes them; each error says where, what was expected, what was found."""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import ip_address, ip_network

from zonehookd.errors import ConfigError
from zonehookd.illumos import linkname
from zonehookd.model.network import Cidr, Ip, Range

_HOST = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")


def address(where: str, text: str) -> Ip:
    try:
        return ip_address(text)
    except ValueError as problem:
        raise ConfigError(f"{where}: expected an address, found {text!r}") from problem


def addresses(where: str, texts: Iterable[str]) -> tuple[Ip, ...]:
    return tuple(address(where, text) for text in texts)


def cidr(where: str, text: str) -> Cidr:
    try:
        return ip_network(text)
    except ValueError as problem:
        raise ConfigError(f"{where}: expected a CIDR such as 10.1.0.0/24, found {text!r}: {problem}") from problem


def a_range(where: str, text: str, inside: Iterable[Cidr]) -> Range:
    """``FIRST-LAST`` or one address, within one of `inside`."""
    first, dash, last = (part.strip() for part in text.partition("-"))
    one, two = address(where, first), address(where, last if dash else first)
    if one.version != two.version:
        raise ConfigError(f"{where}: {text!r} begins and ends in different address families")
    if int(one) > int(two):
        raise ConfigError(f"{where}: {text!r} begins after its end", hint=f"{two}-{one}?")
    home = next((each for each in inside if each.version == one.version and one in each and two in each), None)
    if home is None:
        raise ConfigError(f"{where}: {text} is not within {' or '.join(map(str, inside))}")
    return Range(one, two)


def port(where: str, text: int | str) -> tuple[int, int]:
    """A port, or ``FIRST-LAST``."""
    found = re.fullmatch(r"(\d{1,5})(?:-(\d{1,5}))?", str(text), re.ASCII)
    first = int(found[1]) if found else 0
    last = int(found[2]) if found and found[2] else first
    if not found or not 1 <= first <= last <= 65535:
        raise ConfigError(f"{where}: expected a port or FIRST-LAST between 1 and 65535, found {text!r}")
    return first, last


def link(where: str, text: str) -> str:
    """The name of a datalink."""
    if not linkname.legal(text):
        raise ConfigError(
            f"{where}: {text!r} is not a legal link name",
            hint=f"letters, digits, _ and ., no leading digit, a number at the end: {linkname.legal_from(text)!r}",
        )
    return text


def domain(where: str, text: str) -> str:
    """A domain or host name, lower case, without a trailing dot. Raises ConfigError."""
    name = text.lower().rstrip(".")
    if not name or len(name) > 253 or not all(_HOST.fullmatch(label) for label in name.split(".")):
        raise ConfigError(f"{where}: expected a name such as zones.example, found {text!r}")
    return name
