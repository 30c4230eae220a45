"""Who is behind each route now, and why: the same for every program. Pure.

In comes who runs, has an address and answers; out goes, at once, who no longer runs. Who is to leave while it runs is
drained: it gets nothing new, and may finish what it has. Who comes and goes too often is held. When more than half of
all that serve would go out in one look, the next one has to say so, too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from zonehookd.illumos.probe import Answer, Probe
from zonehookd.model.gateway import Gateway
from zonehookd.model.plan import Note
from zonehookd.model.route import Backend, Match, Route
from zonehookd.model.zone import Zone, ZoneState
from zonehookd.plugin.routing.book import CHANGES_MAX, RouteBook, Seat, State

FLAP_S, FLAP_MAX = 60.0, 6  # so many changes in so long a time: it is held
_MEANT = ("drained", "leaving")  # an admin who reboots a zone, drained each time, is no flapping zone
SHRINK_S = 0.4  # after which the second look may come
_IDLE_S = 0.35  # between two looks at who finishes; who waits for all to be settled does not wait for that
SHRINK_MIN = 2  # one that goes is no landslide


@dataclass(frozen=True, slots=True)
class Known:
    """What was observed. `drains`: zone -> until when, wall clock, for drains that are about its present run. `idle`:
    keys (match, backend) that serve nobody any more. `watches`: the program itself stops sending to who is unwell.
    `shrunk_s`: when a look first found that more than half would go out; None: not so far. `unasked`: why nobody could
    be asked whether it answers."""

    zones: Mapping[str, Zone]
    answers: Mapping[Probe, Answer]
    drains: Mapping[str, float]
    idle: Collection[tuple[Match, str]]
    watches: bool
    drain_s: float
    now_s: float
    shrunk_s: float | None = None
    unasked: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """`books`: every route that has somebody, or had; those without a seat are to be forgotten. `shrunk_s`: as in
    `Known`, to be remembered. `again_s`: when time alone will change something."""

    books: tuple[RouteBook, ...]
    notes: tuple[Note, ...] = ()
    shrunk_s: float | None = None
    again_s: float | None = None


@dataclass(slots=True)
class _Again:
    at_s: float | None = None

    def at(self, seconds: float) -> None:
        seconds = max(seconds, 0.02)
        self.at_s = seconds if self.at_s is None else min(self.at_s, seconds)


def probe_of(match: Match, backend: Backend) -> Probe | None:
    """How to ask it whether it is well; None: it need not be asked."""
    check = backend.check
    if check.kind == "none":
        return None
    if check.kind == "tcp":
        return Probe(backend.address, backend.port)
    return Probe(backend.address, backend.port, "http", check.path, match.host.removeprefix("*.") or "localhost")


def to_ask(
    routes: Sequence[Route], books: Mapping[Match, RouteBook], zones: Mapping[str, Zone], watches: bool
) -> set[Probe]:
    """Whom to ask: who runs and is not in; and who is in, where the program does not watch them itself."""
    found = set()
    for route in routes:
        book = books.get(route.match)
        for backend in route.backends:
            seat = book.seats.get(backend.key) if book else None
            asked = probe_of(route.match, backend)
            settled = watches and seat is not None and seat.state == "in"
            if asked is not None and not settled and _runs(zones.get(backend.zone), backend) is True:
                found.add(asked)
    return found


def decide(gateway: Gateway, routes: Sequence[Route], books: Mapping[Match, RouteBook], known: Known) -> Decision:
    again = _Again()
    wanted = {route.match: route for route in routes}
    made: list[RouteBook] = []
    for match in sorted({*wanted, *books}):
        route, book = wanted.get(match), books.get(match, RouteBook(match))
        seats = dict(_seats(match, route, book, known, again))
        owner, network = (route.owner, route.network) if route else (book.owner, book.network)
        made.append(RouteBook(match, owner, network, book.place, seats))
    made = [_held(book, books.get(book.match, RouteBook(book.match)), known, again) for book in made]
    before, lost = _count(books.values()), _lost(books, made)
    shrunk_s = None
    if lost >= SHRINK_MIN and 2 * lost > before:
        shrunk_s = known.shrunk_s if known.shrunk_s is not None else known.now_s
        if 0 <= known.now_s - shrunk_s < SHRINK_S:  # a clock that was set back puts nothing off
            again.at(SHRINK_S)
            text = f"{lost} of {before} backends of gateway {gateway.name} would go at once: looking a second time"
            note = Note("waiting", text, "shrunk", gateway.name, again_after_s=SHRINK_S)
            return Decision(tuple(_as_before(book, books) for book in made), (note,), shrunk_s, again.at_s)
        shrunk_s = None
    return Decision(tuple(made), tuple(_notes(gateway, made, again)), shrunk_s, again.at_s)


def _runs(zone: Zone | None, backend: Backend) -> bool | None:
    """None: that cannot be seen, or is between two states."""
    if not backend.zone:
        return True
    if zone is None:
        return False
    if zone.state is ZoneState.RUNNING:
        return True
    return None if zone.state is ZoneState.UNKNOWN else False


def _seats(
    match: Match, route: Route | None, book: RouteBook, known: Known, again: _Again
) -> Iterator[tuple[str, Seat]]:
    offered = {each.key: each for each in route.backends} if route else {}
    for key in sorted({*offered, *book.seats}):
        seat = book.seats.get(key)
        backend = offered.get(key)
        if backend is None:
            assert seat is not None
            zone = known.zones.get(seat.backend.zone)
            if zone is not None and zone.config is None and not zone.absent:  # what it offers is not known now
                stands = _runs(zone, seat.backend) is not False
                why = f"zone {zone.name} is {zone.state}"
                yield key, seat if stands else _go(seat, "out", "not-running", why, known)
                continue
            gone = _leave(match, seat, "leaving", "it is offered no more", known, again)
            if gone is not None and gone.state != "out":
                yield key, gone
        else:
            before = seat if seat else Seat(backend, since_s=known.now_s)
            if before.backend != backend:
                before = replace(before, backend=backend)
            yield key, _seat(match, before, known, again)


def _seat(match: Match, seat: Seat, known: Known, again: _Again) -> Seat:
    """One that is offered."""
    backend = seat.backend
    runs = _runs(known.zones.get(backend.zone), backend)
    if runs is None and seat.code:
        return seat
    if not runs:
        zone = known.zones.get(backend.zone)
        return _go(seat, "out", "not-running", f"zone {backend.zone} is {zone.state if zone else 'absent'}", known)
    if known.drains.get(backend.zone, 0.0) > known.now_s:
        again.at(known.drains[backend.zone] - known.now_s)
        leaving = _leave(match, seat, "drained", f"zone {backend.zone} is drained", known, again)
        return leaving if leaving is not None else _go(seat, "out", "drained", f"zone {backend.zone} is drained", known)
    asked = probe_of(match, backend)
    if asked is None:
        return _go(seat, "in", "routed", "", known)
    answer = known.answers.get(asked)
    if seat.state == "in" and (known.watches or answer is None or answer.well):
        return _go(seat, "in", "routed", "", known)
    if answer is None:
        why = f"cannot be asked: {known.unasked}" if known.unasked else "its check has not been answered yet"
        return _go(seat, "out", "unanswered", why, known)
    if not answer.well:
        return _go(
            seat, "out", "unwell", f"check {backend.check} of {backend.address}:{backend.port}: {answer.text}", known
        )
    return _go(seat, "in", "routed", "", known)


def _leave(match: Match, seat: Seat, code: str, why: str, known: Known, again: _Again) -> Seat | None:
    """Drained while its zone runs; None when nothing is left of it."""
    if seat.state == "out" or _runs(known.zones.get(seat.backend.zone), seat.backend) is False:
        return None if code == "leaving" else _go(seat, "out", code, why, known)
    if seat.state == "in":
        again.at(0.05)
        return _go(seat, "drain", code, why, known)
    left_s = seat.since_s + known.drain_s - known.now_s
    if left_s <= 0 or left_s > known.drain_s or (match, seat.backend.key) in known.idle:
        return None if code == "leaving" else _go(seat, "out", code, why, known)
    again.at(min(left_s, _IDLE_S))
    return replace(seat, code=code, why=why)


def _go(seat: Seat, state: State, code: str, why: str, known: Known) -> Seat:
    """To `state`; a change between serving and not is counted, unless somebody wanted it so."""
    if seat.state == state:
        return seat if (seat.code, seat.why) == (code, why) else replace(seat, code=code, why=why)
    meant = code in _MEANT or seat.code in _MEANT
    counts = (state == "in") is not (seat.state == "in") and not meant
    changes = (*seat.changes, known.now_s)[-CHANGES_MAX:] if counts else seat.changes
    return Seat(seat.backend, state, code, why, known.now_s, changes)


def _held(book: RouteBook, before: RouteBook, known: Known, again: _Again) -> RouteBook:
    """Who flaps stays out while others serve; where nobody else does, it stays in as long as it runs. Who leaves, or
    does not run, is not held. A change that does not take place is not counted, or it would be held for ever."""
    flapping = {}
    for key, seat in book.seats.items():
        recent = [at for at in seat.changes if 0 <= known.now_s - at < FLAP_S]
        runs = _runs(known.zones.get(seat.backend.zone), seat.backend) is not False
        if not runs or seat.code in ("drained", "leaving"):
            continue
        if len(recent) > FLAP_MAX:
            flapping[key] = seat
            again.at(min(recent) + FLAP_S - known.now_s)
    if not flapping:
        return book
    others = any(seat.state == "in" for key, seat in book.seats.items() if key not in flapping)
    seats = dict(book.seats)
    for key, seat in flapping.items():
        state: State = "out" if others else "in"
        why = f"flapping: {FLAP_MAX} changes and more in {FLAP_S:.0f} s; it is held {state}"
        old = before.seats.get(key)
        stays = old is not None and old.state == state and seat.state != state
        base = replace(old, backend=seat.backend) if old is not None and stays else seat
        seats[key] = replace(base, state=state, code="held", why=why)
    return replace(book, seats=seats)


def _count(books: Collection[RouteBook]) -> int:
    return sum(seat.state == "in" for book in books for seat in book.seats.values())


def _lost(before: Mapping[Match, RouteBook], now: Sequence[RouteBook]) -> int:
    """Those who served, and go out without having been drained."""
    stays = {(book.match, key): seat for book in now for key, seat in book.seats.items()}
    lost = 0
    for match, book in before.items():
        for key, seat in book.seats.items():
            new = stays.get((match, key))
            if seat.state == "in" and (new is None or new.state == "out"):
                lost += 1
    return lost


def _as_before(book: RouteBook, books: Mapping[Match, RouteBook]) -> RouteBook:
    """Nobody who served goes; who comes may come."""
    old = books.get(book.match)
    if old is None:
        return book
    kept = {key: seat for key, seat in old.seats.items() if seat.state == "in"}
    return replace(book, seats={**book.seats, **kept})


def _notes(gateway: Gateway, made: Sequence[RouteBook], again: _Again) -> Iterator[Note]:
    for book in made:
        for seat in book.seats.values():
            if seat.code == "held":
                who = f"zone {seat.backend.zone}" if seat.backend.zone else str(seat.backend.address)
                yield Note("waiting", f"route {book.match} to {who}: {seat.why}", "flapping", seat.backend.zone)
    if again.at_s is not None:
        yield Note("nothing", f"routes of gateway {gateway.name}: looked at again soon", "routes", gateway.name,
                   again_after_s=again.at_s)  # fmt: skip
