"""What is left out, how fast reloads may come, and when somebody drained is idle: pure."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

import pytest

from plugins.nginx import left
from plugins.nginx.left import Left, culprits
from plugins.nginx.plugin import Nginx, _idle, _said_out
from plugins.nginx.rendering import Listens, Options, Renderer, place
from plugins.nginx.workers import KIND, Workers
from zonehookd.illumos.nginx import Processes
from zonehookd.model.record import Record
from zonehookd.model.route import Backend, Match, Proxy, Tls
from zonehookd.model.subject import gateway as subject_of
from zonehookd.plugin import GatewayView, served
from zonehookd.plugin.routing import Decision, Known, RouteBook, Routing, Seat
from zonehookd.plugin.served.book import Asked

EDGE = GatewayView("edge", None, None)
PROXY = Proxy("nginx", tls=(Tls("/c/a.pem", "/c/a.key"),))
SHOP, TCP = Match("shop.example.org"), Match(port=5432)
ONE = Backend(ip_address("10.0.0.1"), 8080, "web1")
NOW_S = 1000.0


def book(match: Match, state: str = "in", since_s: float = 0.0) -> RouteBook:
    return RouteBook(match, "web1", "web", "", {ONE.key: Seat(ONE, state, since_s=since_s)})  # type: ignore[arg-type]


def named(said: str, own: dict[str, str] | None = None) -> list[str]:
    proxy = Proxy("nginx")
    text = Renderer(Options(templates=Path("/none")), proxy, Listens.on(proxy, ("",)), (),
                    frozenset()).text([book(SHOP), book(TCP)])  # fmt: skip
    networks = {str(SHOP): "web", str(TCP): "web"}
    config = f"# ours\n{text.config}"
    line = next(number for number, each in enumerate(config.splitlines(), 1) if "proxy_pass" in each)
    main = text.top
    return list(culprits(said.replace("LINE", str(line)), config, main, networks, PROXY, own or {}))


@pytest.mark.parametrize(
    ("said", "keys"),
    [
        ("bind() to 0.0.0.0:5432 failed (98: Address already in use)\nstill could not bind()", ["tcp/5432"]),
        ("bind() to [::]:5432 failed (98: Address already in use)", ["tcp/5432"]),
        ("bind() to 0.0.0.0:80 failed (98: Address already in use)", []),
        ('unknown directive "stream" in /etc/nginx.conf:34', ["stream"]),
        ('"stream" directive is duplicate in /etc/nginx.conf:34', ["stream"]),
        ('"server_names_hash_bucket_size" directive is duplicate in /etc/x:3', ["hash"]),
        ('unknown directive "proxy_half_close" in /etc/nginx.conf:34', ["half"]),
        ("a duplicate default server for 0.0.0.0:80 in /etc/x:3", ["default/80"]),
        ("a duplicate default server for [::]:443 in /etc/x:3", ["default/443"]),
        ('cannot load certificate "/c/a.pem": BIO_new_file() failed (SSL: error)', ["tls//c/a.pem"]),
        ('cannot load certificate key "/c/a.key": BIO_new_file() failed', ["tls//c/a.key"]),
        ('SSL_CTX_use_PrivateKey("/c/a.key") failed', ["tls//c/a.key"]),
        ('cannot load certificate "/c/theirs.pem": no', []),
        ('unknown directive "x" in /var/z/http.conf.candidate:LINE', []),
        ('unknown directive "x" in /etc/nginx/nginx.conf:3', []),
        ("", []),
    ],
)
def test_what_nginx_names_is_found(said: str, keys: list[str]) -> None:
    assert named(said) == keys


def test_a_line_of_a_route_is_its_networks_own_template() -> None:
    said = 'unknown directive "x" in /var/z/http.conf.candidate:LINE'
    assert named(said, {"web": "d1"}) == ["override/web"]
    assert named('unknown directive "x" in /var/z/http.conf.candidate:1', {"web": "d1"}) == []


def test_what_is_left_out_is_tried_again() -> None:
    tcp = Left("tcp/5432", "in use", NOW_S)
    assert tcp.rests(NOW_S + 59, "") and not tcp.rests(NOW_S + 61, "") and not tcp.rests(NOW_S - 1, "")
    seldom = Left("stream", "none", NOW_S)
    assert seldom.rests(NOW_S + 300, "") and not seldom.rests(NOW_S + 601, "")
    template = Left("override/web", "line 3", NOW_S, "d1")
    assert template.rests(NOW_S + 1, "d1") and not template.rests(NOW_S + 1, "d2"), "it was edited"
    step = left.remember(EDGE, "nginx", template)
    assert left.known([step.record]) == {"override/web": template}
    assert [each.key for each in left.known([step.record, Record("served", "x", EDGE.subject, "nginx", {})]).values()]
    note = tcp.note(NOW_S + 20)
    assert note is not None and (note.kind, note.code, note.again_after_s) == ("refused", "bind-failed", 40.0)
    assert Left("default/80", "theirs", NOW_S).note(NOW_S) is None, "an admin said it himself, and that is that"


# -- workers ----------------------------------------------------------------------------------------------------------


def processes(*children: int) -> Processes:
    return Processes(1, frozenset(children), frozenset({1, *children}))


def test_generations_are_known_by_who_worked_before_each_reload() -> None:
    first = Workers.of([], processes(2, 3))
    assert first == Workers((), frozenset({2, 3}))
    told = first.told(EDGE, "nginx").record
    both = Workers.of([told], processes(2, 3, 4, 5))
    assert both == Workers((frozenset({2, 3}),), frozenset({4, 5}))
    again = both.told(EDGE, "nginx").record
    assert Workers.of([again], processes(3, 5, 6, 7)).older == (frozenset({3}), frozenset({5}))
    assert Workers.of([again], processes(6, 7)) == Workers((), frozenset({6, 7}))
    assert Workers.of([again], None) == Workers()
    assert (again.kind, again.owner) == (KIND, subject_of("edge"))


def test_the_more_generations_the_longer_the_pause() -> None:
    def pace(number: int) -> float:
        return Workers(tuple(frozenset({each}) for each in range(number))).pace_s(0.5, 15.0)

    assert [pace(number) for number in range(8)] == [0.5, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 15.0]
    assert pace(5000) == 15.0
    assert Workers((frozenset({1}),)).pace_s(0.0, 0.0) == 0.0 and Workers().pace_s(20.0, 15.0) == 20.0


# -- who is out --------------------------------------------------------------------------------------------------------


def looked(*books: RouteBook) -> Routing:
    known = Known({}, {}, {}, (), False, 10.0, NOW_S)
    return Routing({}, {each.match: each for each in books}, known)


def test_idle_is_who_was_taken_out_by_a_reload_that_was_read() -> None:
    look = looked(book(SHOP, "drain", NOW_S - 2))
    read = served.Book(exists=True, asked_s=NOW_S - 1.9)
    assert _idle(look, read, Workers()) == {(SHOP, ONE.key)}
    assert not _idle(look, replace(read, asked_s=NOW_S - 3), Workers()), "the last reload was before"
    pending = replace(read, asked=Asked(served.ABSENT, "", "7", "online"))
    assert not _idle(look, pending, Workers()), "it was not read yet"
    old = Workers((frozenset({7}),))
    assert _idle(look, read, old) == {(SHOP, ONE.key)}, "old workers have had a second"
    assert not _idle(look, replace(read, asked_s=NOW_S - 0.5), old)


def test_a_route_that_is_left_out_has_nobody_and_that_is_no_flapping() -> None:
    before = replace(book(TCP, "out"), seats={ONE.key: Seat(ONE, "out", "bind-failed", "in use", 5.0, (1.0,))})
    wish = Decision((book(TCP), book(SHOP)))
    key = f"tcp/{TCP.port}"
    made = {each.match: each for each in _said_out(wish, looked(before), {key}, {key: Left(key, "in use", 0)}).books}
    assert made[TCP].seats[ONE.key] == before.seats[ONE.key]
    assert made[SHOP].seats[ONE.key].state == "in" and made[SHOP].place == place(SHOP)
    back = _said_out(wish, looked(before), set(), {}).books[0]
    assert back.seats[ONE.key].state == "in"


@pytest.mark.parametrize("path", ["relative", "/a b", "/a;b", "/a{", '/a"b', "/a$b", "/a*"])
def test_paths_that_nginx_would_read_otherwise_are_refused(path: str) -> None:
    with pytest.raises(ValueError, match="absolute path"):
        Nginx.Options(folder=path)  # type: ignore[arg-type]
