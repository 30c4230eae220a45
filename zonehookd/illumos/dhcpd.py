"""ISC dhcpd: what its configuration and its lease file say (services sheet 4). Pure.

dhcpd has no reload: SIGHUP kills it, and the refresh of its service does nothing (4.1). A restart reads all anew and
keeps the leases; OMAPI changes reservations without one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network

from zonehookd.illumos.linkname import normal_mac

_WORD = re.compile(r'\s+|#[^\n]*|("(?:[^"\\]|\\.)*")|([{};,=])|([^\s{};,="#]+)')
_HOST_IN_LEASES = re.compile(r"^host (\S+) \{\n((?:[^}\n][^\n]*\n)*)\}", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Statement:
    """`words` up to the semicolon or the brace, commas and equals signs among them; strings keep their quotes."""

    words: tuple[str, ...]
    body: tuple[Statement, ...] | None = None


@dataclass(frozen=True, slots=True)
class Declared:
    """What a configuration that is not ours declares. `macs`, `addresses`: thing -> name of the host that has it.

    `routers`: it gives a router to everybody, and what is given to everybody cannot be taken from one (4.3).
    """

    subnets: tuple[IPv4Network, ...] = ()
    macs: Mapping[str, str] = field(default_factory=dict)
    addresses: Mapping[IPv4Address, str] = field(default_factory=dict)
    omapi: bool = False
    routers: bool = False


def parse(text: str) -> tuple[Statement, ...]:
    """Raises ValueError for text that is not in dhcpd's form; what its words mean is not asked."""
    return tuple(_block(_split(text), False))


def _split(text: str) -> Iterator[str]:
    place = 0
    while place < len(text):
        found = _WORD.match(text, place)
        if found is None:
            line = text.count("\n", 0, place) + 1
            raise ValueError(f"line {line}: a string without an end")
        place = found.end()
        word = found[1] or found[2] or found[3]
        if word:
            yield word


def _block(source: Iterator[str], inner: bool) -> Iterator[Statement]:
    words: list[str] = []
    for word in source:
        if word == ";":
            if words:
                yield Statement(tuple(words))
            words = []
        elif word == "{":
            yield Statement(tuple(words), tuple(_block(source, True)))
            words = []
        elif word == "}":
            if words or not inner:
                raise ValueError(f"a brace too many after {' '.join(words)!r}")
            return
        else:
            words.append(word)
    if words or inner:
        raise ValueError(f"the end comes too early, after {' '.join(words)!r}")


def declared(text: str) -> Declared:
    """Raises ValueError as `parse`. Included files are not followed."""
    statements = parse(text)
    subnets: list[IPv4Network] = []
    macs: dict[str, str] = {}
    addresses: dict[IPv4Address, str] = {}
    for words, body in _walk(statements):
        match words:
            case ("subnet", address, "netmask", mask):
                subnets.append(IPv4Network(f"{address}/{mask}"))
            case ("host", name) if body is not None:
                _host(name, body, macs, addresses)
            case _:
                pass
    everywhere = [each.words for each in statements]
    return Declared(
        tuple(subnets),
        macs,
        addresses,
        any(words[:1] in (("omapi-port",), ("omapi-key",)) for words in everywhere),
        any(words[:2] == ("option", "routers") for words in everywhere),
    )


def starts(text: str) -> bool:
    """Whether dhcpd can start with it: it refuses to where no subnet is declared (4.2).

    Yes where the subnets may be in an included file, or where it cannot be read.
    """
    try:
        return any(words[:1] in (("subnet",), ("include",)) for words, _ in _walk(parse(text)))
    except ValueError:
        return True


def _host(name: str, body: Sequence[Statement], macs: dict[str, str], addresses: dict[IPv4Address, str]) -> None:
    for each in body:
        match each.words:
            case ("hardware", "ethernet", mac):
                macs[normal_mac(mac)] = name
            case ("fixed-address", *given):
                for word in given:
                    if re.fullmatch(r"[0-9.]+", word):
                        addresses[IPv4Address(word)] = name
            case _:
                pass


def _walk(statements: Sequence[Statement]) -> Iterator[tuple[tuple[str, ...], tuple[Statement, ...] | None]]:
    for each in statements:
        yield each.words, each.body
        if each.body is not None:
            yield from _walk(each.body)


def leased_hosts(text: str) -> frozenset[str]:
    """Names of the hosts that were made through OMAPI, as the lease file has them: the newest word on each wins (4.4).

    dhcpd writes an entry before it answers, so what is here is what it has.
    """
    last = {found[1]: "deleted;" not in found[2].split() for found in _HOST_IN_LEASES.finditer(text)}
    return frozenset(name for name, there in last.items() if there)
