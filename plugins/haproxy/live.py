"""What a running haproxy is to have, and the commands that bring it there without a reload. Pure.

Two batches. The first only takes away, and goes before anything is written: who is gone must be out even where a disk
is full. The second adds, after the files say so, too: what a haproxy is told is lost with it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from zonehookd.illumos import haproxy
from zonehookd.illumos.haproxy import Running, Runtime, Use
from zonehookd.model.route import Backend, Match, Route
from zonehookd.plugin.routing import RouteBook, Seat

from .slots import slot

LABELS_MAX = 6  # of the domain of a wildcard host
CUT_S = 2  # in whole seconds as haproxy counts, so more than a second: `timeout connect` of the template
BATCH_MAX = 1000  # commands in one connection
_UNCHECKED = ":unchecked"
Name = tuple[str, str]  # backend, server


@dataclass(frozen=True, slots=True)
class Maps:
    """Where the maps lie. `http`: HOST/PATH/ -> backend. `tcp`: port -> backend. `check`: BACKEND/SERVER -> HOST/PATH,
    what is asked for."""

    http: Path
    tcp: Path
    check: Path

    @property
    def all(self) -> tuple[Path, ...]:
        return (self.http, self.tcp, self.check)


@dataclass(frozen=True, slots=True)
class Target:
    """`servers`: those that take requests, by backend and name. `draining`: those that take nothing new. `maps`: path
    -> key -> value."""

    servers: Mapping[Name, Backend] = field(default_factory=dict)
    draining: frozenset[Name] = frozenset()
    maps: Mapping[Path, Mapping[str, str]] = field(default_factory=dict)


def server_name(backend: Backend) -> str:
    """One without a check is another server than the same with one: checks are set up when a server is made."""
    return f"{backend.key}{_UNCHECKED if backend.check.kind == 'none' else ''}"


def _spellings(name: str) -> tuple[str, str]:
    """What servers of the same backend may be called."""
    key = name.removesuffix(_UNCHECKED)
    return key, f"{key}{_UNCHECKED}"


def named(book: RouteBook, state: str) -> Iterator[tuple[Name, Seat]]:
    """The servers of a route whose seats are in that state."""
    return (
        ((book.place, server_name(seat.backend)), seat)
        for _, seat in sorted(book.seats.items())
        if book.place and seat.state == state
    )


def target(books: Iterable[RouteBook], maps: Maps) -> Target:
    books = sorted(books, key=lambda book: book.match)
    http: dict[str, str] = {}
    tcp: dict[str, str] = {}
    check: dict[str, str] = {}
    for book in books:
        if book.match.port:
            tcp[str(book.match.port)] = book.place
        else:
            http[f"{book.match.host}{book.match.path}"] = book.place
        host = book.match.host.removeprefix("*.") or "localhost"
        for (place, name), seat in named(book, "in"):
            if seat.backend.check.kind == "http":
                check[f"{place}/{name}"] = f"{host}{seat.backend.check.path}"
    servers = {name: seat.backend for book in books for name, seat in named(book, "in")}
    draining = frozenset(name for book in books for name, _ in named(book, "drain"))
    return Target(servers, draining, {maps.http: http, maps.tcp: tcp, maps.check: check})


def map_text(entries: Mapping[str, str]) -> str:
    return "".join(f"{key} {value}\n" for key, value in sorted(entries.items()))


def adopted(
    runtime: Runtime, maps: Maps, routes: Iterable[Route], books: Mapping[Match, RouteBook], now_s: float
) -> Mapping[Match, RouteBook]:
    """Routes that our books do not know, though they are served: the books were lost. Who serves goes on, in the same
    place; without this all of them would be out, and their connections cut, until each has answered."""
    used = {book.place for book in books.values()}
    found = {}
    for route in routes:
        match = route.match
        path, key = (maps.tcp, str(match.port)) if match.port else (maps.http, f"{match.host}{match.path}")
        place = next((each.value for each in runtime.maps.get(str(path), ()) if each.key == key), "")
        if match in books or not slot(place) or place in used:
            continue
        names = {each.key: (each, runtime.servers.get((place, server_name(each)))) for each in route.backends}
        serving = {key: each for key, (each, running) in names.items() if running and running.admin == "ready"}
        if serving:
            seats = {key: Seat(each, "in", "routed", since_s=now_s) for key, each in serving.items()}
            found[match] = RouteBook(match, route.owner, route.network, place, seats)
            used.add(place)
    return found


# -- taking away -----------------------------------------------------------------------------------------------------


def leftovers(runtime: Runtime, wanted: Target) -> frozenset[Name]:
    """Servers in backends of ours that are to be gone."""
    return frozenset(
        name for name in runtime.servers if slot(name[0]) and name not in wanted.servers and name not in wanted.draining
    )


def removals(
    runtime: Runtime, wanted: Target, use: Mapping[Name, Use], cut: Collection[Name]
) -> Iterator[tuple[str, ...]]:
    """Groups of commands that belong together. `cut`: servers whose connections end, as soon as nobody waits to be
    connected to them any more: their zone is gone, or has had its time. Others in the way finish what they have, and
    get nothing new."""
    for path, entries in runtime.maps.items():
        wanted_here = wanted.maps.get(Path(path), {})
        counts = Counter(each.key for each in entries)
        for entry in entries:
            if entry.key not in wanted_here:
                yield (haproxy.del_entry(Path(path), entry.ref),)
            elif counts[entry.key] > 1:
                counts[entry.key] -= 1
                yield (haproxy.del_entry(Path(path), entry.ref),)
    for name, running in runtime.servers.items():
        if name in wanted.draining and running.admin != "drain":
            yield (haproxy.set_state(*name, "drain"),)
    needed = _still_needed(runtime, wanted)
    for name in sorted(leftovers(runtime, wanted) - needed):
        used = use.get(name)
        group = []
        if runtime.servers[name].admin != "maint":
            group.append(haproxy.set_state(*name, "maint"))
        if name in cut and (used is None or used.sessions) and _nobody_connects(runtime.servers[name]):
            group.append(haproxy.cut(*name))
        if used is not None and not used.sessions and not used.kept:
            group.append(haproxy.del_server(*name))
        if group:
            yield tuple(group)


def _nobody_connects(running: Running) -> bool:
    """Whoever only tried to reach it when it was taken out has gone to another by now: cut off, he would get no answer,
    while after `timeout connect` haproxy tries the next one for him."""
    return running.admin == "drain" or (not (running.admin == "ready" and running.up) and running.since_s >= CUT_S)


def _still_needed(runtime: Runtime, wanted: Target) -> frozenset[Name]:
    """Servers that become others of the same backend, here or in another place, as with another kind of check: they
    take requests until those do, for whoever is to be served must not be without a server in between."""
    leads: dict[str, set[str]] = {}  # where requests go now -> where the same ones are to go
    for path, entries in runtime.maps.items():
        there = wanted.maps.get(Path(path), {})
        for entry in entries:
            if entry.key in there and slot(entry.value):
                leads.setdefault(entry.value, set()).add(there[entry.key])
    found = set()
    for place, name in leftovers(runtime, wanted):
        for other in leads.get(place, ()):
            heirs = [(other, each) for each in _spellings(name) if (other, each) in wanted.servers]
            here = [heir for heir in heirs if heir in runtime.servers and runtime.servers[heir].admin == "ready"]
            if heirs and (other != place or not here):
                found.add((place, name))
    return frozenset(found)


# -- adding ----------------------------------------------------------------------------------------------------------


def additions(runtime: Runtime, wanted: Target, maps: Maps) -> Iterator[tuple[str, ...]]:
    """As far as the running one has room: the rest comes with the reload that brings it. How a server is checked comes
    first, then servers, then what leads to them."""
    yield from _map_entries(runtime, wanted, maps.check)
    for name, backend in wanted.servers.items():
        if name[0] in runtime.backends:
            group = tuple(_server(runtime, name, backend))
            if group:
                yield group
    for path in (maps.http, maps.tcp):
        yield from _map_entries(runtime, wanted, path)


def _server(runtime: Runtime, name: Name, backend: Backend) -> Iterator[str]:
    running = runtime.servers.get(name)
    checked = backend.check.kind != "none"
    if running is None:
        yield from haproxy.add_server(
            *name, backend.address, backend.port, backend.weight, checked, runtime.version
        )  # fmt: skip
        return
    if running.weight != backend.weight:
        yield haproxy.set_weight(*name, backend.weight)
    if checked and not running.watched:
        yield haproxy.enable_health(*name)
    if running.admin != "ready":
        yield haproxy.set_state(*name, "ready")


def _map_entries(runtime: Runtime, wanted: Target, path: Path) -> Iterator[tuple[str, ...]]:
    """No key is ever there twice, and none is missing in between: what is there is set, not deleted and added."""
    running = runtime.maps.get(str(path))
    if running is None:
        return
    there = {each.key: each.value for each in running}
    for key, value in wanted.maps.get(path, {}).items():
        if slot(value) and value not in runtime.backends:
            continue
        if key not in there:
            yield (haproxy.add_map(path, key, value),)
        elif there[key] != value:
            yield (haproxy.set_map(path, key, value),)


def batches(groups: Iterable[tuple[str, ...]]) -> Iterator[tuple[str, ...]]:
    """Bounded, and no group is torn apart."""
    batch: list[str] = []
    for group in groups:
        if batch and len(batch) + len(group) > BATCH_MAX:
            yield tuple(batch)
            batch = []
        batch += group
    if batch:
        yield tuple(batch)


def down(runtime: Runtime, wanted: Target) -> Iterator[tuple[Name, Backend, Running]]:
    """Servers that are to take requests, and do not pass haproxy's own checks."""
    for name, backend in wanted.servers.items():
        running = runtime.servers.get(name)
        if running is not None and running.watched and running.admin == "ready" and not running.up:
            yield name, backend, running
