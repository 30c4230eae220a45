"""From who is behind each route to what nginx reads: `http.conf`, and what stands in the main file itself. Pure, but
for the templates, which an admin may have before ours.

An admin's template costs nobody but the routes of its network: where it breaks, or leaves a brace open, the last text
of each of them stays. Who is behind a route is ours in any case: an `upstream` is made without it.
"""

from __future__ import annotations

import hashlib
import re
import traceback
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from pathlib import Path

import jinja2

from zonehookd.illumos import nginx
from zonehookd.model.route import Backend, Match, Proxy, Route, Tls
from zonehookd.plugin import overridden, templates
from zonehookd.plugin.routing import RouteBook, Seat

OURS = Path(__file__).parent / "templates"
LOCATION, TCP = "location.conf.j2", "tcp.conf.j2"
NOBODY = "503 Service Unavailable: nobody serves this now"
_NAMES = "server_names_hash_max_size 32768;\nserver_names_hash_bucket_size 512;\n"  # a host has up to 253 letters
_UPSTREAM = re.compile(r"^upstream (zh-[0-9a-f]{16}) \{\n(.*?)^\}", re.DOTALL | re.MULTILINE)
_AT = re.compile(r"^ +server (\S+) weight=", re.MULTILINE)
_PIECE = re.compile(r"^    # route (\S+)\n(.*?)^    # end of \1$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Options:
    """What the plugin's options say. `templates`: an admin's. Times in seconds."""

    templates: Path
    status_port: int = 9632
    connect_s: int = 2
    silent_s: int = 3600


@dataclass(frozen=True, slots=True)
class Listens:
    """What stands behind ``listen``: an address with its port, or a port alone."""

    plain: tuple[str, ...] = ()
    secure: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ("",)  # for TCP ports; "" and "[::]:" are all addresses

    @staticmethod
    def on(proxy: Proxy, addresses: Sequence[str], theirs: Collection[tuple[str, int]] = ()) -> Listens:
        """`theirs`: where an admin's own servers listen, as `illumos.nginx.listens` has it. nginx chooses by address
        before it looks at names, so on a port of his we listen in his form: else ours would hide his, or his ours."""

        def at(port: int) -> tuple[str, ...]:
            his = [before for before, each in theirs if each == port]
            return tuple(
                dict.fromkeys(f"{own}{port}" for each in addresses for own in _as_his(each, his)) if port else ()
            )

        return Listens(at(proxy.http), at(proxy.https if proxy.tls else 0), tuple(addresses))


def _as_his(own: str, his: Sequence[str]) -> list[str]:
    everywhere = "[::]:" if own.startswith("[") else ""
    if own != everywhere:
        return [everywhere if everywhere in his and own not in his else own]
    return [own, *sorted(each for each in his if each not in ("", own) and each.startswith("[") is own.startswith("["))]


@dataclass(frozen=True, slots=True)
class Broken:
    """A template of an admin that cannot be used. `where`: file and line."""

    network: str
    where: str
    text: str


@dataclass(frozen=True, slots=True)
class Text:
    """`config`: http.conf. `top`: for the main file, see `illumos.nginx.put`. `broken`: by network."""

    config: str
    top: str
    broken: Mapping[str, Broken] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Server:
    at: str
    weight: int


@dataclass(frozen=True, slots=True)
class _Upstream:
    name: str
    servers: tuple[_Server, ...]
    text: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class _Piece:
    match: Match
    text: str


@dataclass(frozen=True, slots=True)
class _Host:
    name: str
    pieces: tuple[_Piece, ...]
    certificate: Tls | None
    whole: bool


@dataclass(frozen=True, slots=True)
class _Strangers:
    """Who asks for a host that nobody serves."""

    at: tuple[str, ...]
    tls: bool = False
    certificate: Tls | None = None


@lru_cache(16384)
@lru_cache(32768)
def place(match: Match) -> str:
    """The name of its upstream: the same for life, and of letters that mean nothing to nginx."""
    return f"zh-{hashlib.sha256(str(match).encode()).hexdigest()[:16]}"


def pieces(text: str) -> Mapping[str, str]:
    """Match -> the text of each route in a configuration of ours."""
    return {found[1]: found[2].removesuffix("\n") for found in _PIECE.finditer(text)}


def adopted(
    texts: Iterable[str], routes: Iterable[Route], books: Mapping[Match, RouteBook], now_s: float
) -> Mapping[Match, RouteBook]:
    """Routes that our books do not know, though our files (`texts`) serve them: the books were lost. Who is behind them
    stays; without this nobody would be behind any until all have answered."""
    served = {found[1]: set(_AT.findall(found[2])) for text in texts for found in _UPSTREAM.finditer(text)}
    made = {}
    for route in routes:
        there = served.get(place(route.match), ())
        seats = {each.key: Seat(each, "in", "routed", since_s=now_s) for each in route.backends if _at(each) in there}
        if seats and route.match not in books:
            made[route.match] = RouteBook(route.match, route.owner, route.network, place(route.match), seats)
    return made


def route_on(text: str, line: int) -> str:
    """The route whose text is on that line; "" for none."""
    for found in _PIECE.finditer(text):
        first = text.count("\n", 0, found.start()) + 1
        if first <= line <= first + found[0].count("\n"):
            return found[1]
    return ""


def own_templates(theirs: Path, network: str) -> str:
    """Digest of those templates that this network has from its admin; "" when it has ours."""
    found = []
    for folder in (theirs / network / "nginx", theirs / "nginx") if network else (theirs / "nginx",):
        for name in (LOCATION, TCP):
            try:
                found.append((folder / name).read_text())
            except OSError:
                continue
            except ValueError:
                found.append("not UTF-8")
    return hashlib.sha256("\0".join(found).encode()).hexdigest()[:16] if found else ""


@dataclass(frozen=True, slots=True)
class _Templates:
    """`stamp`: of every file they could be made of: what is equal makes the same text of the same."""

    environment: jinja2.Environment
    stamp: tuple[tuple[str, int, int], ...]

    @staticmethod
    def of(environment: jinja2.Environment) -> _Templates:
        assert isinstance(environment.loader, jinja2.FileSystemLoader)
        files = sorted(each for folder in environment.loader.searchpath for each in Path(folder).rglob("*"))
        return _Templates(environment, tuple(_stamp(each) for each in files))


@dataclass
class Renderer:
    """`former`: what nginx runs with. `left`: what is left out, see `left.py`. `where`: the zone it is for; its last
    text is kept, and with thousands of routes one that comes costs one piece, not all of them."""

    options: Options
    proxy: Proxy
    listens: Listens
    former: Sequence[str]
    left: frozenset[str]
    where: str = ""
    broken: dict[str, Broken] = field(default_factory=dict)
    _networks: dict[str, _Templates] = field(default_factory=dict)
    _upstreams: dict[Match, _Upstream] = field(default_factory=dict)

    def text(self, books: Sequence[RouteBook]) -> Text:
        """Raises ValueError when the admin has a whole `http.conf.j2` of his own, and it breaks."""
        self._upstreams = {each.match: _upstream(each) for each in books}
        self._networks = {each: self._templates(each) for each in {"", *(book.network for book in books)}}
        key = (
            (self.options, self.proxy, self.listens, self.left),
            {network: each.stamp for network, each in self._networks.items()},
            [(each.match, each.network, self._upstreams[each.match]) for each in books],
        )
        known = _last.get(self.where)
        if known is not None and known[0] == key:
            return known[1]
        made = self._text(books)
        if not self.broken and not any(each.startswith("override/") for each in self.left):  # else it has former ones
            _last[self.where] = (key, made)
        return made

    def _templates(self, network: str) -> _Templates:
        return _Templates.of(overridden(OURS, self.options.templates, "nginx", network))

    def _text(self, books: Sequence[RouteBook]) -> Text:
        http = [each for each in books if not each.match.port]
        tcp = [each for each in books if each.match.port and not {"stream", str(each.match)} & self.left]
        hosts: dict[str, list[RouteBook]] = {}
        for each in http:
            hosts.setdefault(each.match.host, []).append(each)
        ours = self._networks[""]
        try:
            upstream = ours.environment.get_template("upstream.conf.j2")
            upstreams = {
                match: replace(made, text=_upstream_text(upstream, ours.stamp, made, self.proxy.balance))
                for match, made in self._upstreams.items()
                if made.servers
            }
            config = ours.environment.get_template("http.conf.j2").render(
                status_port=self.options.status_port,
                strangers=list(self._strangers()),
                upstreams=[upstreams[each.match] for each in http if each.match in upstreams],
                balance=self.proxy.balance,
                hosts=[self._host(name, _with_wider(name, hosts)) for name in sorted(hosts)],
                plain=self.listens.plain,
                secure=self.listens.secure,
                nobody=NOBODY,
            )
        except Exception as problem:
            raise ValueError("; ".join(_blame(problem, self.options.templates))) from problem
        top = f"{'' if 'hash' in self.left else _NAMES}include {{path}};\n"
        if tcp:
            servers = ""
            for each in tcp:
                servers += upstreams[each.match].text if each.match in upstreams else ""
                servers += f"    # route {each.match}\n{self._piece(each)}\n    # end of {each.match}\n"
            top += f"stream {{\n{servers}}}\n"
        return Text(config, top, self.broken)

    def _strangers(self) -> Iterator[_Strangers]:
        proxy, listens = self.proxy, self.listens
        if listens.plain and f"default/{proxy.http}" not in self.left:
            yield _Strangers(listens.plain)
        if listens.secure and f"default/{proxy.https}" not in self.left:
            yield _Strangers(listens.secure, True, self._certificate(""))

    def _certificate(self, host: str) -> Tls | None:
        """The most exact one that can be used, else the one for all others."""
        usable = [each for each in self.proxy.tls if not self._unusable(each)]
        for name in _covering(host) if host else ():
            for each in usable:
                if name in each.hosts:
                    return each
        return next((each for each in usable if not each.hosts), None)

    def _unusable(self, tls: Tls) -> bool:
        return bool({f"tls/{tls.certificate}", f"tls/{tls.key}"} & self.left)

    def _host(self, name: str, books: Sequence[RouteBook]) -> _Host:
        made = tuple(_Piece(each.match, self._piece(each)) for each in sorted(books, key=lambda one: one.match.path))
        certificate = self._certificate(name) if self.listens.secure else None
        return _Host(name, made, certificate, any(each.match.path == "/" for each in books))

    def _piece(self, book: RouteBook) -> str:
        """The text of a route; where its network's template does not do, what it was, or ours."""
        match, network = book.match, book.network
        somebody = bool(self._upstreams[match].servers)
        if f"override/{network}" not in self.left and network not in self.broken:
            try:
                return self._rendered(self._networks[network], match, somebody)
            except Exception as problem:
                where, text = _blame(problem, self.options.templates)
                self.broken[network] = Broken(network, where, text)
        former = self._former.get(str(match), "")
        if somebody and place(match) in former:
            return former
        return self._rendered(self._ours, match, somebody)

    @cached_property
    def _ours(self) -> _Templates:
        return _Templates.of(templates(OURS))

    @cached_property
    def _former(self) -> Mapping[str, str]:
        return {match: text for each in self.former for match, text in pieces(each).items()}

    def _rendered(self, own: _Templates, match: Match, somebody: bool) -> str:
        template = own.environment.get_template(TCP if match.port else LOCATION)
        at = tuple(f"{each}{match.port}" for each in self.listens.addresses) if match.port else ()
        given = self.options
        half_close = "half" not in self.left
        return _piece_text(template, own.stamp, match, somebody, at, given.connect_s, given.silent_s, half_close)


@lru_cache(32768)
def _piece_text(
    template: jinja2.Template,
    _: tuple[tuple[str, int, int], ...],
    match: Match,
    somebody: bool,
    listens: tuple[str, ...],
    connect_s: int,
    silent_s: int,
    half_close: bool,
) -> str:
    prefix = match.path
    text = template.render(
        match=match,
        upstream=place(match) if somebody else "",
        locations=[prefix] if prefix == "/" else [prefix, f"= {prefix.rstrip('/')}"],
        listens=list(listens),
        connect_s=connect_s,
        silent_s=silent_s,
        half_close=half_close,
        nobody=NOBODY,
    ).rstrip()
    ours = Path(template.filename or "").parent == OURS  # and is so for whatever a route may hold
    if not ours and not nginx.balanced(text):
        raise ValueError(f"{template.filename}: what it makes leaves a brace, a quote or a line open")
    return text


@lru_cache(32768)
def _upstream_text(
    template: jinja2.Template, _: tuple[tuple[str, int, int], ...], each: _Upstream, balance: str
) -> str:
    return template.render(each=each, balance=balance)


def _stamp(file: Path) -> tuple[str, int, int]:
    try:
        found = file.stat()
    except OSError:
        return str(file), 0, 0
    return str(file), found.st_mtime_ns, found.st_size


_last: dict[str, tuple[object, Text]] = {}  # by zone of the proxy: what its text was made of, and the text


def _with_wider(name: str, hosts: Mapping[str, Sequence[RouteBook]]) -> Sequence[RouteBook]:
    """The routes of a host, and of the wildcards over it where its own have nothing to say: nginx looks into the one
    server only that fits best."""
    found: list[RouteBook] = []
    for each in _covering(name):
        known = [book.match.path for book in found]
        wider = hosts.get(each, ())
        found += [book for book in wider if not any(book.match.path.startswith(path) for path in known)]
    return found


def _upstream(book: RouteBook) -> _Upstream:
    serving = (book.seats[key].backend for key in sorted(book.seats) if book.seats[key].state == "in")
    return _Upstream(place(book.match), tuple(_Server(_at(each), each.weight) for each in serving))


def _at(backend: Backend) -> str:
    if backend.address.version == 6:
        return f"[{backend.address}]:{backend.port}"
    return backend.key.partition(":")[2]


def _covering(name: str) -> Iterator[str]:
    yield name
    rest = name.removeprefix("*.")
    while "." in rest:
        rest = rest.partition(".")[2]
        yield f"*.{rest}"


def _blame(problem: Exception, theirs: Path) -> tuple[str, str]:
    """The template's file and line, and what is wrong there."""
    text = f"{type(problem).__name__}: {problem}" if not isinstance(problem, jinja2.TemplateError) else str(problem)
    if isinstance(problem, jinja2.TemplateSyntaxError):
        return f"{problem.filename or problem.name}:{problem.lineno}", problem.message or text
    frames = [each for each in traceback.extract_tb(problem.__traceback__) if each.filename.endswith(".j2")]
    if frames:
        return f"{frames[-1].filename}:{frames[-1].lineno}", text
    return str(theirs), text
