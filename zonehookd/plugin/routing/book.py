"""Our records of routes: who has each, and where every backend of it stands. One record a route.

They outlive us, so a restart changes no route: who is in stays in until it is known that it should not be.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any, Literal

from zonehookd.model.record import Record
from zonehookd.model.route import ROUTE, Backend, Check, Held, Match
from zonehookd.model.subject import Subject

State = Literal["in", "drain", "out"]
CHANGES_MAX = 8  # newest ones that are kept


@dataclass(frozen=True, slots=True)
class Seat:
    """Where one backend stands. `since_s`, `changes`: wall clock, seconds; `changes`: when it went in or out, newest
    last. `code` is stable, for programs: routed, not-running, unanswered, unwell, drained, leaving, held…
    """

    backend: Backend
    state: State = "out"
    code: str = ""
    why: str = ""
    since_s: float = 0.0
    changes: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class RouteBook:
    """`place`: what the program that serves it calls it, such as a slot; "": nothing yet."""

    match: Match
    owner: str = ""
    network: str = ""
    place: str = ""
    seats: Mapping[str, Seat] = field(default_factory=dict)  # by key of the backend

    def to_record(self, gateway: str, owner: Subject, plugin: str) -> Record:
        facts = {
            "gateway": gateway,
            "host": self.match.host,
            "path": self.match.path,
            "port": str(self.match.port),
            "owner": self.owner,
            "network": self.network,
            "place": self.place,
            "seats": json.dumps([_packed(each) for _, each in sorted(self.seats.items())], separators=(",", ":")),
        }
        return Record(ROUTE, f"{gateway} {self.match}", owner, plugin, facts)

    @staticmethod
    def of(record: Record) -> RouteBook:
        """The same object for the same record: with thousands of routes every look reads them all."""
        known = _read.get(record.name)
        if known is not None and known[0] is record:
            return known[1]
        if len(_read) > _READ_MAX:
            _read.clear()
        book = RouteBook._of(record)
        _read[record.name] = (record, book)
        return book

    @staticmethod
    def _of(record: Record) -> RouteBook:
        facts = record.facts
        seats = [_unpacked(each) for each in json.loads(facts["seats"])]
        return RouteBook(
            Match(facts["host"], facts["path"], int(facts["port"])),
            facts["owner"],
            facts["network"],
            facts["place"],
            {each.backend.key: each for each in seats},
        )


_READ_MAX = 20_000
_read: dict[str, tuple[Record, RouteBook]] = {}


def _packed(seat: Seat) -> dict[str, Any]:
    one = seat.backend
    return {
        "at": [
            str(one.address),
            one.port,
            one.zone,
            one.weight,
            one.check.kind,
            one.check.path,
            one.network,
            one.source,
        ],
        "state": [seat.state, seat.code, seat.why, seat.since_s],
        "changes": list(seat.changes),
    }


def _unpacked(facts: Mapping[str, Any]) -> Seat:
    address, port, zone, weight, kind, path, network, source = facts["at"]
    state, code, why, since_s = facts["state"]
    backend = Backend(ip_address(address), port, zone, weight, Check(kind, path), network, source)
    return Seat(backend, state, code, why, since_s, tuple(facts["changes"]))


def routed(records: Iterable[Record], unread: Collection[str] = ()) -> Mapping[tuple[str, Match], Held]:
    """(gateway, match) -> who has it. `unread`: zones that cannot be read now."""
    found = {}
    for record in records:
        if "host" in record.facts:
            match = Match(record.facts["host"], record.facts["path"], int(record.facts["port"]))
            owner, zones = record.facts["owner"], frozenset[str]()
            if owner in unread:
                zones = frozenset(seat.backend.zone for seat in RouteBook.of(record).seats.values())
            found[(record.facts["gateway"], match)] = Held(owner, zones)
    return found
