"""Routes to zones by nginx in the gateway's zone: a file of ours inside the admin's own `http { }`, tested, reloaded.

nginx says itself which generation it has read, at 127.0.0.1:`status_port`; a reload it did not take is so known for
certain, and what it complained of is left out alone. Whoever is unwell is taken out by our checks, not by nginx'.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from zonehookd.illumos import ipadm, nginx, smf
from zonehookd.plugin import (
    GLOBAL,
    CannotObserve,
    Change,
    Forget,
    GatewayPlugin,
    GatewayView,
    HostReader,
    Match,
    Note,
    Plan,
    PluginOptions,
    Proxy,
    Record,
    Remember,
    nothing,
    routing,
    served,
)
from zonehookd.plugin import where as files_of
from zonehookd.plugin.routing import Decision, RouteBook, Routing

from . import left, rendering
from .left import Left
from .rendering import Broken, Listens, Renderer
from .theirs import theirs
from .workers import KIND as WORKERS
from .workers import Workers

SETTLE_S = 6.0  # the master tries a port that is in use for 2.5 s (nginx 1.22)
_IDLE_S = 1.0  # so long after a reload who was taken out by it counts as idle, whoever still talks through old workers


def _plain(path: Path) -> Path:
    """It is written into a text that nginx reads."""
    text = str(path)
    if not path.is_absolute() or not text.isprintable() or set(text) & set("\"'\\;{}#$* "):
        raise ValueError("expected an absolute path without blanks, quotes and ; { } # $ * \\")
    return path


PlainPath = Annotated[Path, AfterValidator(_plain)]


@dataclass(frozen=True)
class Wish:
    """What is to be served. `left`: all that is known not to work, tried again or not. `own`: network -> digest of its
    templates. `waits`: why nothing can be said yet; then what is there stays."""

    proxy: Proxy
    look: Routing
    decision: Decision
    workers: Workers
    wanted: served.Wanted | None = None
    left: Mapping[str, Left] = field(default_factory=dict)
    own: Mapping[str, str] = field(default_factory=dict)
    broken: Mapping[str, Broken] = field(default_factory=dict)
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True)
class Seen:
    """`server` None: there is nothing of ours, and nothing is to be. `wish` None: nothing is to be served."""

    records: Sequence[Record]
    server: served.Server | None = None
    wish: Wish | None = None
    found: served.Seen | None = None


class Nginx(GatewayPlugin[Seen]):
    name = "nginx"
    after = ("gateway",)
    asks_each = True
    beside = True

    class Options(PluginOptions):
        """The first four are by default what the distribution has (services sheet 6.1)."""

        fmri: str = Field("", description="its service; that of the distribution unless told")
        binary: PlainPath | None = Field(None, description="tests a configuration before it is used")
        main: PlainPath | None = Field(None, description="its `http { }` includes our file; the rest of it is kept")
        error_log: PlainPath | None = Field(None, description="where it says why it did not take a configuration")
        folder: PlainPath = Field(Path("/var/zonehookd/nginx"), description="where our file lies; made where missing")
        templates: Path = Field(Path("/etc/zonehookd/templates"), description="your own, which come before ours; below")
        status_port: int = Field(9632, ge=1, le=65535, description="of 127.0.0.1: which configuration it has read")
        connect_s: int = Field(2, ge=1, le=75, description="so long a zone may take to accept a connection, in seconds")
        silent_s: int = Field(3600, ge=1, description="so long a connection may be silent, in seconds")
        pace_s: float = Field(0.5, ge=0, le=60, description="pause between two reloads, in seconds")
        pace_max_s: float = Field(15.0, ge=0, le=600, description="at most so long; it grows while old workers serve")

    options: Options

    # -- looking

    async def observe(self, gateway: GatewayView, host: HostReader) -> Seen:
        records = host.recall(gateway.subject)
        proxy = routing.serves(gateway, "nginx")
        if gateway.trouble or not (proxy or records):
            return Seen(records)
        if proxy is None and not any(each.kind == served.KIND for each in records):
            return Seen(records)
        server = self._server(gateway.where, host.dialect.vnic_zone_field)
        processes = await self._processes(server, host)
        if processes is not None and processes.deaf and server.reload is not None:
            server = replace(server, reload=replace(server.reload, hears=False))
        wish = None
        if proxy is not None:
            workers = Workers.of(records, processes)
            server = replace(server, pace_s=workers.pace_s(self.options.pace_s, self.options.pace_max_s))
            wish = await self._wish(gateway, proxy, workers, records, server, host)
        wanted = wish.wanted if wish is not None else None
        found = None
        if wish is None or wanted is not None:
            found = await served.observe(server, wanted, gateway.subject, self.name, host)
        return Seen(records, server, wish, found)

    async def _processes(self, server: served.Server, host: HostReader) -> nginx.Processes | None:
        """None: it does not run, or they cannot be seen."""
        try:
            service = (await host.ask(smf.services(server.where, [server.fmri]))).get(server.fmri)
            if service is None or service.contract is None or service.state not in ("online", "degraded"):
                return None
            return await host.ask(nginx.processes(server.where, service.contract))
        except CannotObserve:
            return None

    async def _wish(
        self,
        gateway: GatewayView,
        proxy: Proxy,
        workers: Workers,
        records: Sequence[Record],
        server: served.Server,
        host: HostReader,
    ) -> Wish:
        look = routing.look(gateway, proxy, host, watches=False)
        book = served.Book.of(next((each for each in records if each.kind == served.KIND), None))
        if not book.exists:
            assert look.known is not None
            texts = await self._ours(server, host)
            found = rendering.adopted(texts, gateway.routes, look.books, look.known.now_s)
            look = replace(look, books={**found, **look.books})
        decision = routing.decided(gateway, look, _idle(look, book, workers))
        addresses, notes = await _addresses(gateway, proxy, host)
        wish = Wish(proxy, look, decision, workers, notes=notes)
        if not addresses:
            return wish
        assert look.known is not None
        own = {each: rendering.own_templates(self.options.templates, each) for each in _networks(decision)}
        known = left.known(records)
        resting = {key for key, one in known.items() if one.rests(look.known.now_s, _about(key, own))}
        good = book.good or served.ABSENT
        options = rendering.Options(
            self.options.templates, self.options.status_port, self.options.connect_s, self.options.silent_s
        )
        runs_with = (good.config or "", good.top)
        listens = Listens.on(proxy, addresses, await theirs(gateway, proxy, server, host))
        renderer = Renderer(options, proxy, listens, runs_with, frozenset(resting), gateway.where)
        wish = replace(wish, decision=_said_out(decision, look, resting, known), left=known, own=own)
        try:
            offered = {each.match for each in gateway.routes}
            text = renderer.text([each for each in decision.books if each.seats or each.match in offered])
        except ValueError as problem:
            note = Note("refused", f"nginx keeps what it has: {problem}", "bad-template", str(self.options.templates),
                        "mend the template", again_after_s=10.0)  # fmt: skip
            return replace(wish, notes=(*wish.notes, note))
        wanted = served.Wanted(text.config, claims=frozenset({"http"}), top=text.top)
        return replace(wish, wanted=wanted, broken=text.broken)

    async def _ours(self, server: served.Server, host: HostReader) -> Sequence[str]:
        """What lies there, and says what our books should; where it cannot be read, `served` has a word about it."""
        try:
            files = await files_of.read_files(server.where, (server.config, server.main), host)
        except CannotObserve:
            return ()
        return [each for each in files.values() if each is not None]

    def _server(self, where: str, omnios: bool) -> served.Server:
        given = self.options
        there = nginx.OMNIOS if omnios else nginx.TRIBBLIX
        fmri, log = given.fmri or there.fmri, given.error_log or Path(there.error_log)

        def tell(contract: int, why: str) -> Change:
            made = smf.signal(where, contract, "HUP", oldest=True, why=why)
            return replace(made, tally="nginx-reload")

        def tidy(why: str) -> Change:
            return nginx.give_logs(where, str(log.parent), there.user, why=f"{why}: what it was tested with by root")

        return served.Server(
            name=self.name,
            where=where,
            fmri=fmri,
            main=given.main or Path(there.main),
            config=given.folder / "http.conf",
            include=served.TOP,
            test=(str(given.binary or there.binary), "-t", "-c", "{path}"),
            package=self.name,
            pace_s=given.pace_s,
            reload=served.Reload(
                tell,
                nginx.generation(where, given.status_port),
                nginx.errors(where, str(log)),
                always=True,
                settle_s=SETTLE_S,
            ),
            embed=served.Embed(nginx.put, nginx.take),
            beside=True,
            serves=nginx.serves,
            heard=nginx.complaint,
            tidy=tidy if there.user else None,
        )

    # -- planning

    def plan(self, gateway: GatewayView, seen: Seen) -> Plan:
        if gateway.zone is None and gateway.name != GLOBAL:
            return _forget(seen.records, f"zone {gateway.name} is gone")
        if gateway.trouble:
            return nothing(f"gateway {gateway.name}: {gateway.trouble}")
        if seen.server is None:
            if seen.records and seen.wish is None and not _another(gateway):
                return _forget(seen.records, "no proxy serves its routes any more")
            return nothing(f"gateway {gateway.name} needs no nginx")
        if seen.wish is None:
            return self._leave(gateway, seen)
        return self._serve(gateway, seen, seen.wish)

    def _leave(self, gateway: GatewayView, seen: Seen) -> Plan:
        """Who serves next goes on with our books of the routes."""
        assert seen.server is not None and seen.found is not None
        base = served.plan(seen.server, None, seen.found)
        gone = "nginx serves this gateway no more"
        own = [each for each in seen.records if each.kind in (left.KIND, WORKERS)]
        forgets = [Forget(each.kind, each.name, gone) for each in own]
        if not _another(gateway):
            forgets += routing.forget_all(gateway, seen.records, gone)
        return Plan((*base.steps, *forgets), base.notes)

    def _serve(self, gateway: GatewayView, seen: Seen, wish: Wish) -> Plan:
        assert seen.server is not None
        offered = {each.match for each in gateway.routes}
        steps: list[Remember | Forget] = [
            *routing.remember(gateway, wish.decision, wish.look, self.name, offered),
        ]
        assert wish.look.known is not None
        now_s = wish.look.known.now_s
        notes = [*wish.notes, *wish.decision.notes, *_said(wish, now_s)]
        if seen.found is None or wish.wanted is None:
            return Plan(tuple(steps), tuple(notes))
        guilty = [*self._guilty(seen.server, wish, seen.found, now_s)]
        if guilty:
            steps += [left.remember(gateway, self.name, each) for each in guilty]
            text = f"nginx takes nothing with {', '.join(each.key for each in guilty)}: tried again without"
            return Plan(tuple(steps), (*notes, Note("waiting", text, "left-out", gateway.name, again_after_s=0.05)))
        if served.runs(seen.server, wish.wanted, seen.found):
            tried = [each for each in wish.left.values() if not each.rests(now_s, _about(each.key, wish.own))]
            steps += [left.forget(gateway, each.key, "it works now") for each in tried]
        steps += [left.forget(gateway, key, "nobody wants it any more") for key in wish.left if not _wanted(key, wish)]
        it = (seen.server, wish.wanted, seen.found)
        base = routing.with_ways_in(served.plan(*it), *it)
        if any(isinstance(each, Change) and each.tally for each in base.steps):
            steps.append(wish.workers.told(gateway, self.name))
        return Plan((*steps, *base.steps), (*notes, *base.notes))

    def _guilty(self, server: served.Server, wish: Wish, found: served.Seen, now_s: float) -> Iterator[Left]:
        """What nginx named, in its test of the candidate or in its log after a reload."""
        assert wish.wanted is not None
        target = wish.wanted.generation(server)
        said = found.book.bad.get(target.digest, "")
        if found.tested is not None and not found.tested.fit:
            said = found.tested.said
        if not said:
            return
        main = ""
        if any(each.match.port for each in wish.decision.books):
            main = server.main_for(target, found.files[server.main], server.candidate) or ""
        networks = {str(each.match): each.network for each in wish.decision.books}
        named = left.culprits(said, target.config or "", main, networks, wish.proxy, wish.own)
        for key in dict.fromkeys(named):
            before = wish.left.get(key)
            if before is None or not before.rests(now_s, _about(key, wish.own)):
                yield Left(key, said, now_s, _about(key, wish.own))


def _wanted(key: str, wish: Wish) -> bool:
    kind, _, what = key.partition("/")
    if kind in ("tcp", "stream"):
        ports = {each.match.port for each in wish.decision.books if each.seats} - {0}
        return bool(ports) if kind == "stream" else int(what) in ports
    return kind != "override" or what in wish.own


def _about(key: str, own: Mapping[str, str]) -> str:
    kind, _, what = key.partition("/")
    return own.get(what, "") if kind == "override" else ""


def _said(wish: Wish, now_s: float) -> Iterator[Note]:
    for each in wish.left.values():
        note = each.note(now_s)
        if note is not None and _wanted(each.key, wish):
            yield note
    for network, broken in wish.broken.items():
        text = f"{broken.where}: {broken.text}; the routes of network {network} stay as they are"
        yield Note("refused", text, "bad-template", network, "mend the template", again_after_s=10.0)


def _another(gateway: GatewayView) -> bool:
    """Another program is to serve its routes."""
    return gateway.gateway is not None and gateway.gateway.proxy is not None


def _networks(decision: Decision) -> set[str]:
    return {each.network for each in decision.books}


def _forget(records: Sequence[Record], why: str) -> Plan:
    return Plan(tuple(Forget(each.kind, each.name, why) for each in records)) if records else nothing(why)


def _idle(look: Routing, book: served.Book, workers: Workers) -> Collection[tuple[Match, str]]:
    """Who was taken out by a reload that has been read, and whom no old worker talks to, as far as can be known."""
    assert look.known is not None
    if book.asked is not None or (workers.older and look.known.now_s - book.asked_s < _IDLE_S):
        return ()
    return {
        (match, key)
        for match, each in look.books.items()
        for key, seat in each.seats.items()
        if seat.state == "drain" and book.asked_s >= seat.since_s
    }


def _said_out(decision: Decision, look: Routing, resting: Collection[str], known: Mapping[str, Left]) -> Decision:
    """Routes that nginx cannot serve have nobody behind them."""
    books: list[RouteBook] = []
    for book in decision.books:
        key = next((each for each in ("stream", str(book.match)) if each in resting), "")
        if not book.match.port or not key:
            books.append(replace(book, place=rendering.place(book.match)))
            continue
        before = look.books.get(book.match, RouteBook(book.match)).seats
        code = "no-stream" if key == "stream" else "bind-failed"
        seats = {
            name: replace(before.get(name, seat), backend=seat.backend, state="out", code=code, why=known[key].why)
            for name, seat in book.seats.items()
        }
        books.append(replace(book, seats=seats))
    return replace(decision, books=tuple(books))


async def _addresses(gateway: GatewayView, proxy: Proxy, host: HostReader) -> tuple[Sequence[str], tuple[Note, ...]]:
    """What stands before the port in ``listen``; none while none of its addresses is up."""
    assert gateway.gateway is not None
    declared = gateway.gateway
    wanted = list(proxy.listen)
    if not wanted and gateway.name == GLOBAL:
        side = gateway.side(declared.outside.name) if declared.outside is not None else None
        wanted = [each.ip for each in declared.addresses or (side.addresses if side is not None else ())]
    if not wanted and gateway.name != GLOBAL:
        networks = [*declared.networks.values(), *([declared.outside] if declared.outside else [])]
        six = any(cidr.version == 6 for network in networks for cidr in network.cidrs)
        return ["", "[::]:"] if six else [""], ()
    there = [each for each in await host.ask(ipadm.addresses(gateway.where)) if each.state == "ok"]
    if not wanted:  # the uplink's own, given by nobody of us
        own = [each.address for each in there if each.interface == gateway.outer_link]
        wanted = [each.ip for each in own if not each.is_link_local]
    up = {each.address.ip for each in there}
    missing = [each for each in wanted if each not in up]
    notes: tuple[Note, ...] = ()
    if missing or not wanted:
        text = f"nginx of gateway {gateway.name} waits for {', '.join(map(str, missing)) or 'an address'} to be up"
        notes = (Note("waiting", text, "address-down", gateway.name, again_after_s=1.0),)
    return [f"[{each}]:" if each.version == 6 else f"{each}:" for each in wanted if each in up], notes
