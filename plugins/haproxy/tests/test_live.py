"""What the running haproxy is told: from any state to any other, by a real haproxy at a real socket."""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from plugins.haproxy import live
from plugins.haproxy.live import Target
from plugins.haproxy.slots import placed, slot, slots_in
from plugins.haproxy.tests.running import PORT, Alone, address, backend, book, run
from zonehookd.illumos import haproxy
from zonehookd.illumos.haproxy import Runtime, Use
from zonehookd.illumos.zlogin import GLOBAL
from zonehookd.model.route import Match, Proxy
from zonehookd.plugin.routing import RouteBook
from zonehookd.plugin.routing.book import State

PROXY = Proxy("haproxy")
HOSTS = ("a.org", "b.org", "x.a.org", "*.a.org")
MATCHES = [Match(host, path) for host in HOSTS for path in ("/", "/api/", "/api/v1/")] + [
    Match(port=5432),
    Match(port=5433),
]
BACKENDS = [backend(f"z{n}", n, check) for n, check in enumerate(("none", "tcp", "/health", "/other", "none"), 1)]
TROUBLE = (
    "set server {one} state maint", "set server {one} state drain", "set server {one} weight 77",
    "del map {maps} {key}", "add map {maps} {key} zh-none", "add map {maps} strange.org/ zh-web-1",
    "set map {maps} {key} zh-none",
)  # fmt: skip


@pytest.fixture(scope="module")
def alone() -> Iterator[Alone]:
    made = Alone(PROXY)
    yield made
    made.close()


def use(alone: Alone, runtime: Runtime) -> dict[tuple[str, str], Use]:
    query = haproxy.use(GLOBAL, alone.socket, {name[0] for name in runtime.servers})
    return dict(query.parse(run(query)))


def look(alone: Alone, wanted: Target) -> bool:
    """Whether there was something to tell; it is told."""
    runtime = alone.runtime()
    cut = live.leftovers(runtime, wanted)
    groups = [*live.removals(runtime, wanted, use(alone, runtime), cut), *live.additions(runtime, wanted, alone.maps)]
    for batch in live.batches(groups):
        assert alone.tell(*batch) == ""
    return bool(groups)


def converge(alone: Alone, wanted: Target) -> int:
    """Looks until there is nothing to tell; how many told something."""
    for number in range(6):
        if not look(alone, wanted):
            return number
    raise AssertionError("not settled")


def as_wanted(alone: Alone, wanted: Target) -> None:
    runtime = alone.runtime()
    assert set(runtime.servers) == set(wanted.servers) | (wanted.draining & set(runtime.servers))
    for name, each in wanted.servers.items():
        running = runtime.servers[name]
        assert (running.admin, running.weight) == ("ready", each.weight)
        assert running.watched is (each.check.kind != "none")
    for path, entries in wanted.maps.items():
        found = runtime.maps[str(path)]
        assert len(found) == len(entries), "no key is there twice"
        assert {each.key: each.value for each in found} == dict(entries)


@st.composite
def some_books(draw: st.DrawFn) -> list[RouteBook]:
    matches = draw(st.lists(st.sampled_from(MATCHES), unique=True, max_size=8))
    states: list[State] = ["in", "in", "drain", "out"]
    state = st.sampled_from(states)
    return [book(each, draw(st.dictionaries(st.sampled_from(BACKENDS), state, max_size=3))) for each in matches]


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.lists(some_books(), min_size=1, max_size=3), st.lists(st.sampled_from(TROUBLE), max_size=3), st.data())
def test_from_any_state_to_any_other(alone: Alone, steps: list[list[RouteBook]], trouble: list[str], data: Any) -> None:
    """Whatever was there, whatever somebody else did to it: it settles, no key is there twice, and nobody reloads."""
    before: dict[Match, str] = {}
    for each in steps:
        taken = {name[0] for name in alone.runtime().servers}
        books = placed([replace(one, place=before.get(one.match, "")) for one in each], taken, ())
        before = {one.match: one.place for one in books}
        wanted = alone.target(books)
        assert converge(alone, wanted) <= 4
        as_wanted(alone, wanted)
    runtime = alone.runtime()
    for line in trouble:
        names, keys = sorted(runtime.servers), sorted(wanted.maps[alone.maps.http])
        if ("{one}" in line and not names) or ("{key}" in line and not keys):
            continue
        one = "/".join(data.draw(st.sampled_from(names))) if names else ""
        key = data.draw(st.sampled_from(keys)) if keys else ""
        alone.tell(line.format(one=one, maps=alone.maps.http, key=key))
    converge(alone, wanted)
    as_wanted(alone, wanted)
    assert alone.runtime().generation == "0123456789abcdef"


# -- what clients see ------------------------------------------------------------------------------------------------


class Servers:
    """One for each backend: HTTP that says its name, whatever it is asked."""

    def __init__(self, *numbers: int) -> None:
        self.asked: list[str] = []
        servers = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            server: ThreadingHTTPServer

            def do_GET(self) -> None:
                if self.headers.get("User-Agent") == "zonehookd":
                    servers.asked.append(f"{self.server.server_port} {self.headers.get('Host')}{self.path}")
                body = f"{self.server.server_port} {self.headers.get('X-Forwarded-Proto')}".encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

            def handle(self) -> None:
                with contextlib.suppress(ConnectionError):  # a check that has seen enough
                    super().handle()

        self._all = [ThreadingHTTPServer((address(n), PORT + n), Handler) for n in numbers]
        for each in self._all:
            each.daemon_threads = True
            threading.Thread(target=each.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        for each in self._all:
            each.shutdown()
            each.server_close()


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    made = Servers(1, 2, 3, 4)
    yield made
    made.close()


def fetch(alone: Alone, host: str, path: str = "/") -> str:
    connection = http.client.HTTPConnection("127.0.0.1", alone.haproxy.ports[80], timeout=60)
    connection.request("GET", path, headers={"Host": host})
    answer = connection.getresponse()
    text = answer.read().decode().strip()
    connection.close()
    return text.split()[0] if answer.status == 200 else text


def show(alone: Alone, *books: RouteBook) -> Target:
    taken = {name[0] for name in alone.runtime().servers}
    wanted = alone.target(placed(books, taken, ()))
    converge(alone, wanted)
    return wanted


def test_who_answers_for_what(alone: Alone, servers: Servers) -> None:
    one, two, three = backend("z1", 1), backend("z2", 2), backend("z3", 3)
    show(
        alone,
        book(Match("shop.org", "/"), {one: "in"}),
        book(Match("shop.org", "/api/"), {two: "in"}),
        book(Match("*.shop.org", "/"), {three: "in"}),
        book(Match("*.shop.org", "/api/"), {one: "in"}),
        book(Match("own.shop.org", "/only/"), {two: "in"}),
        book(Match("empty.org", "/"), {two: "out"}),
    )
    assert fetch(alone, "shop.org") == fetch(alone, "SHOP.org:80", "/x?y=/api/") == "23001"
    assert fetch(alone, "shop.org", "/api") == fetch(alone, "shop.org", "/api/x") == "23002"
    assert fetch(alone, "shop.org", "/apix") == "23001", "whole segments only"
    assert fetch(alone, "a.shop.org") == fetch(alone, "a.b.c.shop.org") == "23003"
    assert fetch(alone, "a.shop.org", "/api/") == "23001"
    assert fetch(alone, "own.shop.org", "/only/it") == "23002"
    nobody = "503 Service Unavailable: nobody serves this now"
    assert fetch(alone, "own.shop.org") == "23003", "what its paths leave open is for the wildcard"
    assert fetch(alone, "own.shop.org", "/api/") == "23001"
    assert fetch(alone, "empty.org") == fetch(alone, "strange.org") == fetch(alone, "org") == nobody
    assert fetch(alone, "notshop.org") == fetch(alone, "[::1]:80") == nobody


def test_http_checks_ask_for_the_host_and_path_of_their_route(alone: Alone, servers: Servers) -> None:
    servers.asked.clear()
    wanted = show(alone, book(Match("*.shop.org", "/"), {backend("z4", 4, "/health?x=1"): "in"}))
    deadline = time.monotonic() + 60
    while not servers.asked:
        assert time.monotonic() < deadline, alone.runtime()
        time.sleep(0.05)
    assert set(servers.asked) == {"23004 shop.org/health?x=1"}
    assert not list(live.down(alone.runtime(), wanted)) and fetch(alone, "x.shop.org") == "23004"


def test_a_server_that_does_not_answer_is_seen_down(alone: Alone) -> None:
    wanted = show(alone, book(Match("down.org", "/"), {backend("z9", 9, "tcp"): "in"}))
    deadline = time.monotonic() + 60
    while not list(live.down(alone.runtime(), wanted)):
        assert time.monotonic() < deadline, alone.runtime()
        time.sleep(0.1)
    assert fetch(alone, "down.org").startswith("503 ")


def test_tcp_by_port_and_closed_at_once_where_nobody_is(alone: Alone, servers: Servers) -> None:
    show(alone, book(Match(port=5432), {backend("z1", 1): "in"}))
    port = alone.haproxy.ports[5432]
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", "/")
    assert connection.getresponse().read() == b"23001 None"
    connection.close()
    for books in ((), (book(Match(port=5432), {backend("z1", 1): "out"}),)):
        show(alone, *books)
        peer = socket.create_connection(("127.0.0.1", port), timeout=60)
        with peer, contextlib.suppress(ConnectionResetError):
            assert peer.recv(10) == b""


def test_a_long_connection_outlives_a_drain_and_others_coming_and_going(alone: Alone, servers: Servers) -> None:
    one, two = backend("z1", 1), backend("z2", 2)
    match = Match(port=5432)
    show(alone, book(match, {one: "in"}))
    place = live.target(placed([book(match, {one: "in"})], (), ()), alone.maps).maps[alone.maps.tcp]["5432"]
    long = http.client.HTTPConnection("127.0.0.1", alone.haproxy.ports[5432], timeout=60)
    long.request("GET", "/")
    long.getresponse().read()
    for _ in range(2):
        wanted = alone.target([book(match, {one: "drain", two: "in"}, place)])
        converge(alone, wanted)
        long.request("GET", "/")
        assert long.getresponse().read().startswith(b"23001")
    other = http.client.HTTPConnection("127.0.0.1", alone.haproxy.ports[5432], timeout=60)
    other.request("GET", "/")
    assert other.getresponse().read().startswith(b"23002"), "nothing new for the one that is drained"
    other.close()
    runtime = alone.runtime()
    (name,) = wanted.draining
    assert use(alone, runtime)[name].sessions == 1
    long.close()


def test_who_is_being_connected_to_one_that_is_gone_goes_to_another(alone: Alone, servers: Servers) -> None:
    """Its connections end all the same, when nobody can be among them who only tries."""
    stuck, well = backend("z9", 9), backend("z2", 2)
    match = Match("a.org")
    with socket.socket() as deaf, socket.socket() as filling, ThreadPoolExecutor(4) as pool:
        deaf.bind((str(stuck.address), stuck.port))
        deaf.listen(0)
        filling.connect(deaf.getsockname())  # no room for another: whoever comes now waits to be connected
        show(alone, book(match, {stuck: "in", well: "in"}))
        place = live.target(placed([book(match, {stuck: "in"})], (), ()), alone.maps).maps[alone.maps.http]["a.org/"]
        asked = [pool.submit(fetch, alone, "a.org") for _ in range(4)]
        time.sleep(0.3)
        wanted = alone.target([book(match, {well: "in"}, place)])
        converge(alone, wanted)
        said = [each.result() for each in asked]
    converge(alone, wanted)
    assert said == ["23002"] * 4 and not live.leftovers(alone.runtime(), wanted)


def test_connections_to_one_that_is_gone_end(alone: Alone, servers: Servers) -> None:
    one, match = backend("z1", 1), Match(port=5432)
    show(alone, book(match, {one: "in"}))
    long = http.client.HTTPConnection("127.0.0.1", alone.haproxy.ports[5432], timeout=60)
    long.request("GET", "/")
    long.getresponse().read()
    began, nobody = time.monotonic(), Target(maps=alone.target([]).maps)
    look(alone, nobody)
    runtime = alone.runtime()
    (name,) = live.leftovers(runtime, nobody)
    assert use(alone, runtime)[name].sessions == 1 and runtime.servers[name].admin == "maint"
    while live.leftovers(alone.runtime(), nobody):
        assert time.monotonic() - began < 60
        converge(alone, nobody)
        time.sleep(0.1)
    assert time.monotonic() - began > 1, "later than `timeout connect`"
    long.close()


# -- batches, places -------------------------------------------------------------------------------------------------


def test_thousands_of_routes_in_bounded_batches() -> None:
    books = placed([book(Match(f"h{n}.org", "/"), {backend("z1", 1): "in"}) for n in range(3000)], (), ())
    made = Alone(PROXY, books)
    try:
        wanted = made.target(books)
        as_wanted(made, wanted)
        assert made.capacity["web"] == 4096
        assert converge(made, made.target([])) <= 4
        groups = [*live.additions(made.runtime(), wanted, made.maps)]
        batches = [*live.batches(groups)]
        assert len(batches) == -(-sum(map(len, groups)) // live.BATCH_MAX) and max(map(len, batches)) <= live.BATCH_MAX
        assert converge(made, wanted) <= 4
        as_wanted(made, wanted)
    finally:
        made.close()


def test_a_place_that_may_have_servers_of_before_is_nobodys() -> None:
    config = (
        "backend zh-web-1 from x\n    server a 10.0.0.1:80\nbackend zh-web-2 from x\nbackend theirs\n    server b 1:1\n"
    )
    assert slots_in(config) == {"zh-web-1"}
    (made,) = placed([book(Match("a.org"), {backend("z1", 1): "in"})], slots_in(config) | {"zh-web-2"}, ())
    assert made.place == "zh-web-3" and slot(made.place) == ("web", 3)


def test_who_is_checked_otherwise_moves() -> None:
    (made,) = placed([book(Match("a.org"), {backend("z1", 1, "/health"): "in"}, "zh-web-7")], (), ())
    assert made.place == "zh-webcheck-1"
    (made,) = placed([book(Match("a.org"), {}, "zh-webcheck-1")], (), ())
    assert made.place == "zh-webcheck-1", "without anybody behind it, it stays"


def test_of_a_network_with_a_template_of_its_own() -> None:
    (made,) = placed([book(Match("a.org"), {backend("z1", 1): "in"})], (), {"web"})
    assert made.place == "zh-web:web-1" and slot(made.place) == ("web:web", 1)


def test_words_that_would_be_more_than_a_word_are_refused() -> None:
    for text in ("a b", "a;b", "a\nb", "", "<<", "a/../b c"):
        with pytest.raises(ValueError, match="cannot be part"):
            haproxy.add_map(Path("/x"), text, "y")
