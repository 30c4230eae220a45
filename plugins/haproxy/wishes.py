"""What is to be served by one haproxy, and what was seen of it. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from zonehookd.illumos import haproxy
from zonehookd.illumos.haproxy import Runtime, Use
from zonehookd.plugin import GatewayView, Note, Plan, Proxy, Record, Remember, served
from zonehookd.plugin.routing import Decision, Routing

from . import live
from .left import Left, culprits
from .live import Name, Target
from .slots import slot, slots_in
from .state import State

_LOOK_S = 0.25  # until a server that is to go is looked at again
_DOWN_S = 5.0


@dataclass(frozen=True)
class Wish:
    """What is to be served, and what runs. `wanted` None: nothing can be said of the files now; what is there stays.
    `cut`: servers that are to go with all who talk to them. `socket`: of what runs. `left`: certificates
    known not to work, by path, tried again or not."""

    proxy: Proxy
    look: Routing
    decision: Decision
    state: State
    target: Target
    runtime: Runtime
    use: Mapping[Name, Use]
    cut: frozenset[Name]
    socket: Path
    wanted: served.Wanted | None = None
    left: Mapping[str, Left] = field(default_factory=dict)
    notes: tuple[Note, ...] = ()

    @property
    def now_s(self) -> float:
        """Wall clock."""
        assert self.look.known is not None
        return self.look.known.now_s

    @property
    def resting(self) -> frozenset[str]:
        """Certificates that are left out now."""
        return frozenset(path for path, each in self.left.items() if each.rests(self.now_s, self.proxy))

    def guilty(self, server: served.Server, found: served.Seen | None) -> Iterator[Left]:
        """Certificates that haproxy named, in its test or when it did not start."""
        if found is None or self.wanted is None:
            return
        said = found.book.bad.get(self.wanted.generation(server).digest, "")
        if found.tested is not None and not found.tested.fit:
            said = found.tested.said
        yield from culprits(said, self.proxy, self.resting, self.now_s)

    def mended(self, server: served.Server, found: served.Seen | None) -> Iterator[tuple[str, str]]:
        """Path and why, of those that need not be known any more."""
        files = {each.certificate for each in self.proxy.tls}
        runs = found is not None and self.wanted is not None and served.runs(server, self.wanted, found)
        for path in self.left:
            if path not in files:
                yield path, "nobody wants it any more"
            elif runs and path not in self.resting:
                yield path, "it works now"


@dataclass(frozen=True)
class Seen:
    """`server` None: there is nothing of ours, and nothing is to be. `wish` None: nothing is to be served. `files`: the
    maps on disk; None: not there. `sockets`: what lies there while it runs, and may after that."""

    records: Sequence[Record]
    server: served.Server | None = None
    wish: Wish | None = None
    found: served.Seen | None = None
    files: Mapping[Path, str | None] | None = None
    sockets: tuple[Path, ...] = ()


def taken(runtime: Runtime, record: Record | None) -> Collection[str]:
    """Backends that may still have somebody's servers, here or in a file that haproxy could start with."""
    taken = {name[0] for name in runtime.servers if slot(name[0])}
    if record is not None:
        book = served.Book.of(record)
        every = [book.good, *([book.asked.what] if book.asked else [])]
        taken |= {each for one in every if one is not None for each in slots_in(one.config or "")}
    return taken


def asks(base: Plan) -> bool:
    """It is told to read its files, or started: what it has after that is for the next look to see."""
    records = (each.record for each in base.steps if isinstance(each, Remember))
    return any(each.kind == served.KIND and "asked" in each.facts for each in records)


def said(gateway: GatewayView, wish: Wish, found: served.Seen | None) -> Iterator[Note]:
    """What of it is not as it should be, or will change without anybody telling us."""
    service = found.service if found is not None else None
    yield from (each.note(wish.now_s) for path, each in wish.left.items() if path in wish.resting)
    if wish.runtime.silent and service is not None and service.state in ("online", "degraded"):
        text = f"haproxy of gateway {gateway.name} runs, and is not heard: {wish.runtime.silent}"
        yield Note("waiting", text, "silent", gateway.name, again_after_s=1.0)
    for name, backend, running in live.down(wish.runtime, wish.target):
        who = f"zone {backend.zone}" if backend.zone else str(backend.address)
        text = f"{who} ({haproxy.at(backend.address, running.port)}, {name[0]}) fails haproxy's check {backend.check}"
        yield Note("waiting", text, "down", backend.zone, again_after_s=_DOWN_S)
    staying = live.leftovers(wish.runtime, wish.target)
    if staying:
        text = f"{len(staying)} servers that get nothing new are in haproxy until nobody uses them"
        yield Note("nothing", text, "leaving", gateway.name, again_after_s=_LOOK_S)
