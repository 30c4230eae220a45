"""Routes to zones by haproxy in the gateway's zone: told live whatever it can be told, reloaded for structure only.

Our part of haproxy.cfg is one block at its end, with spare backends that routes take (`slots.py`). Zones that come and
go are servers and map entries, which the running haproxy gets through its runtime API (`live.py`), after the files say
the same: whoever restarts it, it begins with what is wanted. What runs otherwise than wanted is put right.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from zonehookd.illumos import haproxy, smf
from zonehookd.illumos.haproxy import Runtime
from zonehookd.model.plan import Step
from zonehookd.plugin import (
    GLOBAL,
    Change,
    Forget,
    GatewayPlugin,
    GatewayView,
    HostReader,
    Ip,
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

from . import binds, left, live, rendering, wishes
from .live import Maps
from .slots import capacity, placed, slot
from .state import KIND, State
from .wishes import Seen, Wish

_SILENT_S = 3.0  # a haproxy that has run so long, and is not heard, has lost its socket


def _plain(path: Path) -> Path:
    """It is written into a text that haproxy reads."""
    text = str(path)
    if not path.is_absolute() or not text.isascii() or not all(each.isalnum() or each in "/._@+-" for each in text):
        raise ValueError("expected an absolute path of letters, digits, and . _ @ + -")
    return path


PlainPath = Annotated[Path, AfterValidator(_plain)]


class Haproxy(GatewayPlugin[Seen]):
    name = "haproxy"
    after = ("gateway",)
    asks_each = True
    beside = True

    class Options(PluginOptions):
        """The first four are by default what the distribution has (services sheet 6.1)."""

        fmri: str = Field("", description="its service; that of the distribution unless told")
        binary: PlainPath | None = Field(None, description="tests a configuration before it is used")
        main: PlainPath | None = Field(None, description="at its end is our block; the rest of it is kept as it is")
        sockets: PlainPath | None = Field(
            None,
            description="where the socket of the runtime API is made: the user haproxy is started as must be able to, "
            "and nobody else",
        )
        folder: PlainPath = Field(Path("/var/zonehookd/haproxy"), description="where our files lie; made where missing")
        templates: Path = Field(
            Path("/etc/zonehookd/templates"),
            description="your own templates: `NETWORK/haproxy/backends.cfg.j2`, `haproxy/NAME`, then ours",
        )
        pace_s: float = Field(2.0, ge=0, le=60, description="pause between two reloads, in seconds")

    options: Options

    # -- looking

    async def observe(self, gateway: GatewayView, host: HostReader) -> Seen:
        records = host.recall(gateway.subject)
        proxy = routing.serves(gateway, "haproxy")
        if gateway.trouble or not (proxy or records):
            return Seen(records)
        if proxy is None and not any(each.kind == served.KIND for each in records):
            return Seen(records)
        where, omnios = gateway.where, host.dialect.vnic_zone_field
        state, maps = State.of(records), self._maps
        socket = self._socket(omnios, state)
        if proxy is None:
            server = self._server(where, omnios, await host.ask(haproxy.runtime(where, socket, ())))
            there, files = await asyncio.gather(
                served.observe(server, None, gateway.subject, self.name, host),
                files_of.read_files(where, maps.all, host),
            )
            return Seen(records, server, None, there, files, (socket, rendering.idle(socket)))
        runtime, files, (listens, addresses, waits) = await asyncio.gather(
            host.ask(haproxy.runtime(where, socket, maps.all)),
            files_of.read_files(where, maps.all, host),
            binds.ports(gateway, proxy, host),
        )
        server = self._server(where, omnios, runtime)
        wish = await self._wish(gateway, proxy, state, runtime, server.key, host)
        wish = replace(wish, notes=(*wish.notes, *waits), left=left.known(records))
        ours = binds.runs_with(runtime, host.recall_one(served.KIND, server.key))
        busy = await binds.in_use(gateway, listens, addresses, ours, host) if ours is not None else frozenset()
        found: served.Seen | None
        wish, found = await self._served(gateway, server, wish, listens, addresses, busy, host)
        sockets: tuple[Path, ...] = ()
        if self._lost_its_socket(wish, found):
            assert wish.look.known is not None
            sockets = (socket, rendering.idle(socket))
            wish = replace(wish, state=wish.state.moved(wish.look.known.now_s))
            wish, found = await self._served(gateway, server, wish, listens, addresses, busy, host)
        return Seen(records, server, wish, found, files, sockets)

    async def _wish(
        self, gateway: GatewayView, proxy: Proxy, state: State, runtime: Runtime, key: str, host: HostReader
    ) -> Wish:
        look = routing.look(gateway, proxy, host, watches=True)
        assert look.known is not None
        lost = live.adopted(runtime, self._maps, gateway.routes, look.books, look.known.now_s)
        look = replace(look, books={**look.books, **lost})
        settled = {name for book in look.books.values() for name, _ in live.named(book, "in")}
        busy = {name[0] for name in runtime.servers if slot(name[0]) and name not in settled}
        socket = self._socket(host.dialect.vnic_zone_field, state)
        use = await host.ask(haproxy.use(gateway.where, socket, busy)) if busy else {}
        idle = () if runtime.silent else {
            (match, seat.backend.key)
            for match, book in look.books.items()
            for name, seat in live.named(book, "drain")
            if name not in runtime.servers or (name in use and not use[name].sessions)
        }  # fmt: skip
        decision = routing.decided(gateway, look, idle)
        offered = {each.match for each in gateway.routes}
        kept = [each for each in decision.books if each.seats or each.match in offered]
        own = rendering.own_networks(self.options.templates, {each.network for each in kept})
        books = placed(kept, wishes.taken(runtime, host.recall_one(served.KIND, key)), own)
        gone = [each for each in decision.books if not (each.seats or each.match in offered)]
        decision = replace(decision, books=(*books, *gone))
        deep = [each for each in books if each.match.host.count(".") > live.LABELS_MAX and each.match.host[0] == "*"]
        target = live.target([each for each in books if each not in deep], self._maps)
        stays = {seat.backend.key for book in books for seat in book.seats.values() if seat.state != "out"}
        cut = {name for name in live.leftovers(runtime, target) if name[1].removesuffix(":unchecked") not in stays}
        notes = tuple(
            Note("refused", f"route {each.match}: a wildcard's domain has at most {live.LABELS_MAX} parts", "too-deep",
                 each.owner) for each in deep
        )  # fmt: skip
        moves = state.moves if runtime.silent else 0
        state = replace(state, capacity=capacity(books, state.capacity, own), moves=moves)
        return Wish(proxy, look, decision, state, target, runtime, use, frozenset(cut), socket, notes=notes)

    async def _served(
        self,
        gateway: GatewayView,
        server: served.Server,
        wish: Wish,
        listens: Mapping[int, tuple[str, ...]],
        addresses: Collection[Ip],
        busy: Collection[int],
        host: HostReader,
    ) -> tuple[Wish, served.Seen | None]:
        """The files as they are to be, and what `served` sees; without ports that the admin binds himself, or somebody
        else has (`busy`). Where he binds one that we serve, haproxy has what it had until he does not: two that
        bind the same share who comes."""
        taken: Mapping[int, str] = {}
        gives_way = False
        while True:
            try:
                free = {port: each for port, each in listens.items() if port not in taken and port not in busy}
                wanted = self._wanted(gateway, wish, free, host.dialect.vnic_zone_field)
            except ValueError as problem:
                note = Note("refused", f"haproxy keeps what it has: {problem}", "bad-template",
                            str(self.options.templates), "mend the template", again_after_s=10.0)  # fmt: skip
                return replace(wish, notes=(*wish.notes, note)), None
            if wanted is None:
                return wish, None
            found = await served.observe(server, wanted, gateway.subject, self.name, host)
            found = left.placed(server, found)
            try:
                theirs = server.without_us(found.files.get(server.main)) or ""
            except ValueError:
                theirs = ""  # `served` has a word about it
            foreign = binds.foreign(theirs, listens, addresses)
            kept = {} if gives_way else binds.had_before(foreign, found.book)
            now_taken = {port: line for port, line in foreign.items() if port not in kept}
            if set(now_taken) != set(taken):
                taken = now_taken
                continue
            if kept and not binds.is_told(wanted.generation(server).digest, found.book) and wish.runtime.silent:
                gives_way = True  # it must be told something, and has nothing to lose
                continue
            owners = {each.match.port: each.owner for each in wish.decision.books if each.match.port}
            notes = tuple(
                binds.taken(gateway, owners.get(port, ""), port, server.main, line, port in kept)
                for port, line in {**dict.fromkeys(busy, ""), **foreign}.items()
            )
            wish = replace(wish, notes=(*wish.notes, *notes))
            if kept and not binds.is_told(wanted.generation(server).digest, found.book):
                return wish, None  # a reload would give some of who asks there to somebody else
            return replace(wish, wanted=wanted), found

    def _wanted(
        self, gateway: GatewayView, wish: Wish, listens: Mapping[int, tuple[str, ...]], omnios: bool
    ) -> served.Wanted | None:
        """None: there is no address to listen on yet. Raises ValueError: a template breaks."""
        if listens and not any(listens.values()):
            return None
        out = wish.resting
        proxy = replace(wish.proxy, tls=tuple(each for each in wish.proxy.tls if each.certificate not in out))
        at = rendering.Listens(
            listens.get(proxy.http, ()) if proxy.http else (),
            listens.get(proxy.https, ()) if proxy.tls and proxy.https else (),
            {port: each for port, each in listens.items() if port not in wish.proxy.ports},
        )
        books = [each for each in wish.decision.books if each.place]
        made = rendering.text(
            books,
            proxy,
            at,
            self._socket(omnios, wish.state),
            self._maps,
            wish.state.capacity,
            self.options.templates,
        )
        return served.Wanted(made.config, claims=frozenset({"http"}), basis=made.basis)

    def _lost_its_socket(self, wish: Wish, found: served.Seen | None) -> bool:
        if found is None or not wish.runtime.silent or found.service is None or found.service.state != "online":
            return False
        assert wish.look.known is not None
        now_s, contract = wish.look.known.now_s, found.service.contract
        settled = found.book.asked is None and found.book.age_s(now_s) > _SILENT_S
        rested = not wish.state.rests(now_s)
        return settled and rested and contract is not None and found.book.contract == str(contract)

    @property
    def _maps(self) -> Maps:
        folder = self.options.folder
        return Maps(folder / "http.map", folder / "tcp.map", folder / "checks.map")

    def _socket(self, omnios: bool, state: State) -> Path:
        """haproxy makes it as the user it is started as. On OmniOS that is not root, so it lies where that user has its
        pid file, which nobody else can enter (services sheet 6.1)."""
        folder = self.options.sockets or (Path("/var/opt/ooce/haproxy/run") if omnios else self.options.folder)
        return folder / f"zonehookd-{state.socket}.sock"

    def _server(self, where: str, omnios: bool, runtime: Runtime | None) -> served.Server:
        given = self.options
        at = ("ooce/network/haproxy", "/opt/ooce/sbin/haproxy", "/etc/opt/ooce/haproxy/haproxy.cfg") if omnios else (
            "network/haproxy2", "/opt/tribblix/haproxy/sbin/haproxy", "/etc/haproxy/haproxy.cfg")  # fmt: skip

        def tell(contract: int, why: str) -> Change:
            """To the master, which keeps its process; `svcadm refresh` has no effect, or starts another outside the
            contract (services sheet 6.1, trap 47)."""
            return replace(smf.signal(where, contract, "USR2", oldest=True, why=why), tally="haproxy-reload")

        server = served.Server(
            name=self.name,
            where=where,
            fmri=given.fmri or f"svc:/{at[0]}:default",
            main=given.main or Path(at[2]),
            config=given.folder / "haproxy.cfg",
            include=served.CONTENT,
            test=(str(given.binary or at[1]), "-c", "-f", "{path}"),
            wrong=frozenset({1, 2}),  # 2: nothing to listen on (services sheet 6.3)
            package="ooce/server/haproxy" if omnios else "TRIBhaproxy2",
            pace_s=given.pace_s,
            starts=binds.starts,
            serves=binds.starts,
            embed=served.Embed(binds.put),
            heard=left.complaint,
        )
        known = None if runtime is None or runtime.silent else runtime.generation or ""
        return replace(server, reload=served.Reload(tell, known, leaves=False))

    # -- planning

    def plan(self, gateway: GatewayView, seen: Seen) -> Plan:
        if gateway.zone is None and gateway.name != GLOBAL:
            return _forget(seen.records, f"zone {gateway.name} is gone")
        if gateway.trouble:
            return nothing(f"gateway {gateway.name}: {gateway.trouble}")
        if seen.server is None:
            if seen.records and routing.serves(gateway, "haproxy") is None and not _another(gateway):
                return _forget(seen.records, "no proxy serves its routes any more")
            return nothing(f"gateway {gateway.name} needs no haproxy")
        return self._leave(gateway, seen) if seen.wish is None else self._serve(gateway, seen, seen.wish)

    def _leave(self, gateway: GatewayView, seen: Seen) -> Plan:
        """Who serves next goes on with our books of the routes."""
        assert seen.server is not None and seen.found is not None
        base = served.plan(seen.server, None, seen.found)
        if not any(isinstance(each, Forget) and each.kind == served.KIND for each in base.steps):
            return base
        gone = "haproxy serves this gateway no more"
        removed = [
            files_of.remove_file(gateway.where, path, why=gone)
            for path, content in (seen.files or {}).items()
            if content is not None
        ]
        removed += [files_of.remove_file(gateway.where, each, why=gone) for each in seen.sockets]
        forgets = [Forget(each.kind, each.name, gone) for each in seen.records if each.kind in (KIND, left.KIND)]
        if not _another(gateway):
            forgets += routing.forget_all(gateway, seen.records, gone)
        return Plan((*removed, *base.steps, *forgets), base.notes)

    def _serve(self, gateway: GatewayView, seen: Seen, wish: Wish) -> Plan:
        """Books; who is gone; files, tested, and a reload where it needs one; then who comes."""
        assert seen.server is not None
        offered = {each.match for each in gateway.routes}
        steps: list[Step] = [*routing.remember(gateway, wish.decision, wish.look, self.name, offered)]
        ours = wish.state.to_record(gateway.name, gateway.subject, self.name)
        if not any(each == ours for each in seen.records):
            steps.append(Remember(ours, "the socket of haproxy, and its backends in stock"))
        steps += [files_of.remove_file(gateway.where, each, why="nobody hears it any more") for each in seen.sockets]
        notes = [*wish.notes, *wish.decision.notes, *wishes.said(gateway, wish, seen.found)]
        removals = live.batches(live.removals(wish.runtime, wish.target, wish.use, wish.cut))
        steps += [
            haproxy.tell(gateway.where, wish.socket, batch, why="who does not serve any more is out of haproxy")
            for batch in removals
        ]
        writes = [
            files_of.write_file(gateway.where, path, content, why="what haproxy is to start with")
            for path, entries in wish.target.maps.items()
            if (seen.files or {}).get(path) != (content := seen.server.text(live.map_text(entries)))
        ]
        guilty = [*wish.guilty(seen.server, seen.found)]
        if guilty:
            steps += [left.remember(gateway, self.name, each) for each in guilty]
            text = f"haproxy takes nothing with {', '.join(each.path for each in guilty)}: tried again without"
            return Plan(tuple(steps), (*notes, Note("waiting", text, "left-out", gateway.name, again_after_s=0.05)))
        steps += [left.forget(gateway, path, why) for path, why in wish.mended(seen.server, seen.found)]
        base = Plan()
        if wish.wanted is not None and seen.found is not None:
            it = (seen.server, wish.wanted, seen.found)
            base = routing.with_ways_in(served.plan(*it), *it)
        added: list[Change] = []
        if not wishes.asks(base):
            added = [
                haproxy.tell(gateway.where, wish.socket, batch, why="who serves is in haproxy")
                for batch in live.batches(live.additions(wish.runtime, wish.target, self._maps))
            ]
        return Plan((*steps, *writes, *base.steps, *added), (*notes, *base.notes))


def _another(gateway: GatewayView) -> bool:
    """Another program is to serve its routes."""
    return gateway.gateway is not None and gateway.gateway.proxy is not None


def _forget(records: Sequence[Record], why: str) -> Plan:
    return Plan(tuple(Forget(each.kind, each.name, why) for each in records)) if records else nothing(why)
