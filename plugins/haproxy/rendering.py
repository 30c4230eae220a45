"""From who is behind each route to our part of haproxy.cfg. Pure, but for the templates, which an admin may have before
ours: `haproxy.cfg.j2` for all, and `backends.cfg.j2`, how backends behave, for the routes of one network."""

from __future__ import annotations

import traceback
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import jinja2

from zonehookd.illumos import haproxy
from zonehookd.model.route import Proxy
from zonehookd.plugin import overridden
from zonehookd.plugin.routing import RouteBook
from zonehookd.plugin.served import GENERATION

from .live import LABELS_MAX, Maps, named, server_name
from .slots import KINDS, Kind

OURS = Path(__file__).parent / "templates"
MAIN, BACKENDS = "haproxy.cfg.j2", "backends.cfg.j2"
NOBODY = "503 Service Unavailable: nobody serves this now"  # what nginx says, too
_OLD_WORKERS_MAX = 32  # that many reloads a worker with connections of before may outlive


@dataclass(frozen=True, slots=True)
class _Server:
    name: str
    at: str
    weight: int
    checked: str


@dataclass(frozen=True, slots=True)
class _Slot:
    name: str
    servers: tuple[_Server, ...]


@dataclass(frozen=True, slots=True)
class _Stock:
    """`text`: how its backends behave, from the network's template."""

    name: str
    kind: Kind
    text: str
    slots: tuple[_Slot, ...]


@dataclass(frozen=True, slots=True)
class Text:
    """`config`: with servers, as it is to lie on disk. `basis`: without, what only a reload brings."""

    config: str
    basis: str


@dataclass(frozen=True, slots=True)
class Listens:
    """What stands behind ``bind``. `tcp`: by the public port."""

    http: tuple[str, ...] = ()
    https: tuple[str, ...] = ()
    tcp: Mapping[int, tuple[str, ...]] = field(default_factory=dict)


def idle(socket: Path) -> Path:
    """Where a haproxy listens that has nothing to serve, and would not start without."""
    return socket.with_suffix(".idle")


def own_networks(theirs: Path, networks: Collection[str]) -> frozenset[str]:
    """Those for which an admin has a template of their own."""
    return frozenset(each for each in networks if (theirs / each / "haproxy" / BACKENDS).is_file())


def text(
    books: Collection[RouteBook],
    proxy: Proxy,
    listens: Listens,
    socket: Path,
    maps: Maps,
    capacity: Mapping[str, int],
    theirs: Path,
) -> Text:
    """Raises ValueError, which names the template and its line, for one of an admin that breaks."""
    try:
        servers = _servers(books)
        texts = {stock: _behaves(stock, proxy, maps, theirs) for stock in sorted(capacity)}
        template = overridden(OURS, theirs, "haproxy").get_template(MAIN)

        def render(servers: Mapping[str, tuple[_Server, ...]]) -> str:
            return template.render(
                generation=GENERATION,
                socket=socket,
                idle=idle(socket),
                old_workers_max=_OLD_WORKERS_MAX,
                http=listens.http,
                https=listens.https,
                tcp=sorted(listens.tcp.items()),
                certificates=[each.certificate for each in sorted(proxy.tls, key=lambda one: bool(one.hosts))],
                maps=maps,
                labels_max=LABELS_MAX,
                nobody=NOBODY,
                stocks=[
                    _Stock(
                        stock,
                        KINDS[stock.partition(":")[0]],
                        texts[stock],
                        tuple(_Slot(name, servers.get(name, ())) for name in _names(stock, count)),
                    )
                    for stock, count in sorted(capacity.items())
                ],
            )

        return Text(render(servers), render({}))
    except Exception as problem:  # a template may raise whatever it likes
        raise ValueError(_blame(problem)) from problem


def _names(stock: str, count: int) -> Iterator[str]:
    return (f"zh-{stock}-{number}" for number in range(1, count + 1))


def _behaves(stock: str, proxy: Proxy, maps: Maps, theirs: Path) -> str:
    kind, _, network = stock.partition(":")
    template = overridden(OURS, theirs, "haproxy", network).get_template(BACKENDS)
    return template.render(kind=KINDS[kind], balance=proxy.balance, check_map=maps.check)


def _servers(books: Collection[RouteBook]) -> Mapping[str, tuple[_Server, ...]]:
    found: dict[str, tuple[_Server, ...]] = {}
    for book in books:
        found[book.place] = tuple(
            _Server(
                server_name(seat.backend),
                haproxy.at(seat.backend.address, seat.backend.port),
                seat.backend.weight,
                haproxy.CHECKED if seat.backend.check.kind != "none" else "",
            )
            for _, seat in named(book, "in")
        )
    return found


def _blame(problem: Exception) -> str:
    if isinstance(problem, jinja2.TemplateSyntaxError):
        return f"{problem.filename or problem.name}:{problem.lineno}: {problem.message}"
    frames = [each for each in traceback.extract_tb(problem.__traceback__) if each.filename.endswith(".j2")]
    where = f"{frames[-1].filename}:{frames[-1].lineno}: " if frames else ""
    return f"{where}{problem}"
