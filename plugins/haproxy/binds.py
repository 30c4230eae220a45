"""Where haproxy listens, for us and for its admin."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from ipaddress import ip_address
from pathlib import Path

from zonehookd.illumos import haproxy, ipadm, marked, probe
from zonehookd.illumos.haproxy import Runtime
from zonehookd.illumos.probe import Probe
from zonehookd.model.network import Ip
from zonehookd.model.route import Proxy
from zonehookd.plugin import GLOBAL, CannotObserve, GatewayView, HostReader, Note, Record, served

_BUSY_S = 10.0  # until a port that somebody has is tried again: nothing says when he lets go of it
_ADDRESS = re.compile(r"(?:ipv[46]@)?(?P<address>.*):(?P<first>\d+)(?:-(?P<last>\d+))?", re.ASCII)


def everywhere(gateway: GatewayView, port: int) -> tuple[str, ...]:
    """On all addresses of its zone, as ``bind`` lines have them: of IPv6 only where it has some."""
    assert gateway.gateway is not None
    declared = gateway.gateway
    networks = [*declared.networks.values(), *([declared.outside] if declared.outside else [])]
    six = any(cidr.version == 6 for network in networks for cidr in network.cidrs)
    return (f"*:{port}", *((f"[::]:{port} v6only",) if six else ()))


def at(addresses: Collection[Ip], port: int) -> tuple[str, ...]:
    return tuple(haproxy.at(each, port) for each in addresses)


def put(main: str | None, mark: str, body: str) -> str:
    """Our block at the very end, wherever it was: what stands behind it would have our defaults. Raises ValueError as
    `marked.with_block`."""
    whole = marked.with_block(main, mark, body)
    if main is None or marked.block_of(main, mark) is None:
        return whole
    without = marked.without_block(main, mark)
    return whole if whole.startswith(without) else marked.with_block(without, mark, body)


async def ports(
    gateway: GatewayView, proxy: Proxy, host: HostReader
) -> tuple[Mapping[int, tuple[str, ...]], tuple[Ip, ...], tuple[Note, ...]]:
    """Port -> what stands behind ``bind``; and the addresses that are up, none for all of its zone. In the global zone
    it listens on outer addresses only, for that has more to say than a proxy."""
    assert gateway.gateway is not None
    every = [*proxy.ports, *sorted({each.match.port for each in gateway.routes if each.match.port})]
    declared = gateway.gateway
    side = gateway.side(declared.outside.name) if declared.outside is not None else None
    wanted = proxy.listen
    if gateway.name == GLOBAL and not wanted:
        wanted = tuple(each.ip for each in declared.addresses or (side.addresses if side is not None else ()))
    elif not wanted:
        return {port: everywhere(gateway, port) for port in every}, (), ()
    there = [each for each in await host.ask(ipadm.addresses(gateway.where)) if each.state == "ok"]
    if not wanted:  # the uplink's own, given by nobody of us
        own = (each.address for each in there if each.interface == gateway.outer_link)
        wanted = tuple(each.ip for each in own if not each.is_link_local)
    up = {each.address.ip for each in there}
    missing = [each for each in wanted if each not in up]
    notes: tuple[Note, ...] = ()
    if missing or not wanted:
        text = f"haproxy of gateway {gateway.name} waits for {', '.join(map(str, missing)) or 'an address'} to be up"
        notes = (Note("waiting", text, "address-down", gateway.name, again_after_s=1.0),)
    heard = tuple(each for each in wanted if each in up)
    return {port: at(heard, port) for port in every}, heard, notes


def foreign(main: str, ports: Collection[int], addresses: Collection[Ip]) -> Mapping[int, str]:
    """Port -> the line in a configuration without us that binds it, on an address of ours. `addresses` none: all."""
    found: dict[int, str] = {}
    for line in main.splitlines():
        words = line.split("#")[0].split()
        if words[:1] != ["bind"] or len(words) < 2:
            continue
        for address, first, last in _bound(words[1]):
            if _meet(address, addresses):
                found |= {port: line.strip() for port in ports if first <= port <= last and port not in found}
    return found


def _bound(text: str) -> Iterator[tuple[str, int, int]]:
    for each in text.split(","):
        match = _ADDRESS.fullmatch(each)
        if match:
            first = int(match["first"])
            yield match["address"].strip("[]"), first, int(match["last"] or first)


def _meet(address: str, ours: Collection[Ip]) -> bool:
    """What cannot be read, such as a variable, may be any address."""
    try:
        theirs = ip_address(address)
    except ValueError:
        return True
    return not ours or theirs.is_unspecified or theirs in ours


def starts(main: str) -> bool:
    """haproxy does not start without anything to listen on (services sheet 6.3)."""
    return any(line.split("#")[0].split()[:1] == ["bind"] for line in main.splitlines())


def runs_with(runtime: Runtime, record: Record | None) -> str | None:
    """Our part of what it runs with or was told to, as our books say; None: they do not know."""
    book = served.Book.of(record)
    every = [each.config or "" for each in (book.good, book.asked.what if book.asked else None) if each is not None]
    return "\n".join(every) if every or not runtime.generation else None


async def in_use(
    gateway: GatewayView, listens: Mapping[int, tuple[str, ...]], addresses: Collection[Ip], ours: str, host: HostReader
) -> frozenset[int]:
    """Ports that are new to haproxy, and on which somebody in its zone takes connections already. `ours`: what it runs
    with.

    Its own test binds nothing, and a reload that cannot have a port stops every other for more than a second (tried
    with 2.6). That nobody could be asked is no reason to wait: it is a precaution.
    """
    new = sorted(set(listens) - set(_ports(ours)))
    own = {each.ip for side in gateway.sides for each in side.addresses}
    at = sorted(addresses or {*own, ip_address("127.0.0.1")}, key=str)
    targets = [Probe(each, port) for port in new for each in at][: probe.AT_ONCE_MAX]
    try:
        answers = await host.ask(probe.probes(gateway.where, targets)) if targets else {}
    except CannotObserve:
        return frozenset()
    return frozenset(each.port for each, answer in answers.items() if answer.well)


def _ports(config: str) -> Iterator[int]:
    for line in config.splitlines():
        words = line.split()
        if words[:1] == ["bind"]:
            yield from (port for _, first, last in _bound(words[1]) for port in range(first, last + 1))


def had_before(ports: Mapping[int, str], book: served.Book) -> Mapping[int, str]:
    """Those of `ports` that it serves for us, and came up with."""
    good = book.good
    if good is None or good.digest in book.bad:
        return {}
    ours = set(_ports(good.config or ""))
    return {port: line for port, line in ports.items() if port in ours}


def is_told(digest: str, book: served.Book) -> bool:
    """It has read that, or is reading it."""
    return digest in {each.digest for each in (book.good, book.asked.what if book.asked else None) if each is not None}


def taken(gateway: GatewayView, owner: str, port: int, main: Path, line: str, kept: bool = False) -> Note:
    """`owner`: the zone that wants it. `line`: in the main file, by which the admin has it; "": somebody else has.
    `kept`: haproxy has it for us."""
    where = f"bound in {main} {'too' if kept else 'already'}: {line}" if line else "in use in its zone already"
    hint = "choose another port, or delete that line" if line else "choose another port, or let go of it there"
    text = f"port {port} of gateway {gateway.name} is {where}"
    if kept:
        text += "; haproxy is told of zones, and keeps what it had else"
    return Note("refused", text, "port-taken", owner or gateway.name, hint, None if line else _BUSY_S)
