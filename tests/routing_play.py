"""One gateway's routes, look by look, for tests of who is behind them."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import ip_address

from zonehookd.illumos.probe import Answer, Probe
from zonehookd.model.gateway import Gateway
from zonehookd.model.plan import Note
from zonehookd.model.route import Backend, Check, Match, Route
from zonehookd.model.zone import Zone, ZoneConfig, ZoneState
from zonehookd.plugin.routing import Decision, Known, RouteBook, Seat, decide, probe_of
from zonehookd.plugin.routing.decide import FLAP_MAX

EDGE = Gateway("edge", "proxy")
SHOP = Match("shop.example.org")
CONFIG = ZoneConfig("sparse", True, ())
WELL, ILL = Answer(True, "answers"), Answer(False, "connection refused")
RUNNING, INSTALLED, UNKNOWN = ZoneState.RUNNING, ZoneState.INSTALLED, ZoneState.UNKNOWN


def backend(number: int, check: Check = Check()) -> Backend:  # noqa: B008  a frozen value
    return Backend(ip_address(f"10.99.0.{number}"), 80, f"web{number}", check=check)


@dataclass
class Play:
    """One gateway, look by look; time is what the test says it is."""

    offered: dict[Match, list[Backend]] = field(default_factory=lambda: {SHOP: [backend(1), backend(2)]})
    states: dict[str, ZoneState] = field(default_factory=lambda: {"web1": RUNNING, "web2": RUNNING})
    ill: set[str] = field(default_factory=set)
    unasked: set[str] = field(default_factory=set)
    unread: set[str] = field(default_factory=set)
    drains: dict[str, float] = field(default_factory=dict)
    idle: set[tuple[Match, str]] = field(default_factory=set)
    watches: bool = False
    now_s: float = 1_000_000.0
    books: dict[Match, RouteBook] = field(default_factory=dict)
    shrunk_s: float | None = None
    last: Decision = field(default_factory=lambda: Decision(()))

    def look(self, after_s: float = 1.0) -> dict[str, str]:
        """Zone -> where it stands on SHOP, after a look that comes so much later."""
        self.now_s += after_s
        self.last = decide(EDGE, self._routes(), self.books, self._known())
        self.books = {book.match: book for book in self.last.books if book.seats or book.match in self.offered}
        self.shrunk_s = self.last.shrunk_s
        return {seat.backend.zone: seat.state for seat in self.books[SHOP].seats.values()} if SHOP in self.books else {}

    def _routes(self) -> list[Route]:
        readable = {
            match: tuple(each for each in every if each.zone not in self.unread)
            for match, every in self.offered.items()
        }
        return [Route(match, every, every[0].zone) for match, every in readable.items() if every]

    def _known(self) -> Known:
        zones = {
            name: Zone(name, state, 1, config=None if name in self.unread else CONFIG)
            for name, state in self.states.items()
        }
        answers: dict[Probe, Answer] = {}
        for match, every in self.offered.items():
            for each in every:
                asked = probe_of(match, each)
                if asked is not None and each.zone not in self.unasked:
                    answers[asked] = ILL if each.zone in self.ill else WELL
        return Known(zones, answers, self.drains, self.idle, self.watches, 10.0, self.now_s, self.shrunk_s)

    def seat(self, zone: str, match: Match = SHOP) -> Seat:
        return next(seat for seat in self.books[match].seats.values() if seat.backend.zone == zone)

    def notes(self, code: str) -> list[Note]:
        return [note for note in self.last.notes if note.code == code]

    def flap(self, zone: str, *, times: int = FLAP_MAX + 1) -> None:
        for number in range(times):
            self.ill ^= {zone}
            self.look(1.0 if number else 100.0)


def many(count: int) -> Play:
    zones = {f"web{number}": RUNNING for number in range(1, count + 1)}
    return Play(offered={SHOP: [backend(number) for number in range(1, count + 1)]}, states=dict(zones))
