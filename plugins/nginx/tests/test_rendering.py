"""What nginx is given to read, judged by the machine's own nginx; and what no zone can make of it."""

from __future__ import annotations

import sys
import tempfile
import time
from ipaddress import ip_address
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from zonehookd.engine.offers import offered
from zonehookd.model.route import Backend, Match, Proxy, Route, Tls
from zonehookd.plugin.routing import RouteBook, Seat

sys.path.insert(0, str(Path(__file__).parent))  # importlib mode adds no folder by itself

from real import judged

from plugins.nginx.rendering import NOBODY, Listens, Renderer, Text, adopted, own_templates, pieces, place, route_on
from plugins.nginx.rendering import Options as Wishes

PROXY = Proxy("nginx", http=18080, https=18443)
HTTP, WEB = Match("shop.example.org"), "web"


def book(match: Match, *addresses: str, network: str = WEB, weight: int = 1, state: str = "in") -> RouteBook:
    backends = [Backend(ip_address(each), 8080, f"z{number}", weight) for number, each in enumerate(addresses)]
    seats = {each.key: Seat(each, state) for each in backends}  # type: ignore[arg-type]
    return RouteBook(match, "web1", network, place(match), seats)


def rendered(
    *books: RouteBook,
    proxy: Proxy = PROXY,
    theirs: Path = Path("/nonexistent"),
    former: tuple[str, ...] = (),
    left: frozenset[str] = frozenset(),
    addresses: tuple[str, ...] = ("",),
) -> tuple[Text, Renderer]:
    renderer = Renderer(Wishes(theirs), proxy, Listens.on(proxy, addresses), former, left)
    return renderer.text(books), renderer


def text(*books: RouteBook, **how: object) -> Text:
    return rendered(*books, **how)[0]  # type: ignore[arg-type]


def check(made: Text, folder: Path, http: str = "") -> None:
    assert judged(folder, made.config, made.top, http) == ""


def test_routes_of_every_kind_are_taken(tmp_path: Path) -> None:
    books = [
        book(HTTP, "10.0.0.1", "10.0.0.2", weight=3),
        book(Match("shop.example.org", "/api/"), "fd00::1"),
        book(Match("*.example.org"), "10.0.0.3"),
        book(Match("alone.example.net", "/only/"), "10.0.0.4"),
        book(Match("nobody.example.org")),
        book(Match("drained.example.org"), "10.0.0.9", state="drain"),
        book(Match(port=15432), "10.0.0.5", "fd00::2"),
        book(Match(port=15433)),
    ]
    for balance in ("roundrobin", "leastconn", "source"):
        made = text(*books, proxy=Proxy("nginx", http=18080, balance=balance))  # type: ignore[arg-type]
        check(made, tmp_path)
    assert "server 10.0.0.1:8080 weight=3 max_fails=1 fail_timeout=5s;" in made.config
    assert "server [fd00::1]:8080" in made.config and "10.0.0.9" not in made.config
    assert "location /api/ {" in made.config and "location = /api {" in made.config
    assert f"upstream {place(Match('nobody.example.org'))}" not in made.config, "an empty one would be fatal"
    assert made.config.count(NOBODY) == 4, "strangers, nobody, drained, and what alone.example.net does not serve"
    assert 'return "";' in made.top and "proxy_pass " in made.top
    assert set(pieces(made.config)) | set(pieces(made.top)) == {str(each.match) for each in books}


def test_no_routes_at_all(tmp_path: Path) -> None:
    made = text()
    check(made, tmp_path)
    assert "stream" not in made.top and "listen 18080 default_server;" in made.config


def test_what_a_host_leaves_open_is_for_the_wildcard_over_it(tmp_path: Path) -> None:
    hosts = ("a.b.org/x/", "a.b.org/x/y/", "*.b.org/x/z/", "*.b.org/w/", "*.org/", "*.org/w/v/", "whole.b.org/")
    made = text(*(book(Match(name.partition("/")[0], f"/{name.partition('/')[2]}"), "10.0.0.1") for name in hosts))
    check(made, tmp_path)
    servers = {part.split(";")[0].split()[-1]: part for part in made.config.split("server_name ")[1:]}
    found = {name: list(pieces(part)) for name, part in servers.items()}
    assert found["a.b.org"] == ["*.org/", "*.b.org/w/", "a.b.org/x/", "a.b.org/x/y/"]
    assert found["*.b.org"] == ["*.org/", "*.b.org/w/", "*.b.org/x/z/"]
    assert found["*.org"] == ["*.org/", "*.org/w/v/"] and found["whole.b.org"] == ["whole.b.org/"]


def test_addresses_and_both_families(tmp_path: Path) -> None:
    made = text(book(HTTP, "10.0.0.1"), book(Match(port=15432), "10.0.0.1"), addresses=("127.0.0.1:", "[::1]:"))
    for at in ("listen 127.0.0.1:18080;", "listen [::1]:18080;", "listen 127.0.0.1:18080 default_server;"):
        assert at in made.config
    assert "listen [::1]:15432 so_keepalive=on;" in made.top
    check(text(book(HTTP, "10.0.0.1"), addresses=("127.0.0.1:",)), tmp_path)


def test_a_certificate_for_each_host_by_reference() -> None:
    tls = (Tls("/c/all.pem"), Tls("/c/wild.pem", "/c/wild.key", ("*.example.org",)), Tls("/c/a.pem", "", ("a.b",)))
    proxy = Proxy("nginx", http=0, https=18443, tls=tls)
    made = text(book(HTTP, "10.0.0.1"), book(Match("a.b"), "10.0.0.1"), book(Match("x.y"), "10.0.0.1"), proxy=proxy)
    servers = made.config.split("\nserver {")[1:]
    used = {line.split()[1]: part for part in servers for line in part.splitlines() if "server_name " in line}
    assert "ssl_certificate /c/wild.pem;" in used["shop.example.org;"]
    assert "ssl_certificate_key /c/wild.key;" in used["shop.example.org;"]
    assert "ssl_certificate /c/a.pem;" in used["a.b;"] and "ssl_certificate_key /c/a.pem;" in used["a.b;"]
    assert "ssl_certificate /c/all.pem;" in used["x.y;"] and "listen 18443 ssl;" in used["x.y;"]
    assert "ssl_certificate /c/all.pem;" in used['"";'] and "18080" not in made.config
    without = text(book(HTTP, "10.0.0.1"), proxy=Proxy("nginx", https=18443, tls=tls[2:]))
    assert "ssl_reject_handshake on;" in without.config and "listen 18443 ssl;" not in without.config
    broken = text(book(Match("a.b"), "10.0.0.1"), proxy=proxy, left=frozenset({"tls//c/a.pem"}))
    assert "/c/a.pem" not in broken.config and "ssl_certificate /c/all.pem;" in broken.config


def test_what_an_admin_has_said_himself_is_left_out(tmp_path: Path) -> None:
    own = "    server { listen 18080 default_server; }\n    server_names_hash_max_size 1024;\n"
    made = text(book(HTTP, "10.0.0.1"))
    assert "a duplicate default server for 0.0.0.0:18080" in judged(tmp_path, made.config, made.top, own)
    check(text(book(HTTP, "10.0.0.1"), left=frozenset({"default/18080"})), tmp_path, own)
    included = tmp_path / "theirs.conf"
    included.write_text("server_names_hash_bucket_size 64;\n")
    assert "directive is duplicate" in judged(tmp_path, made.config, made.top, f"    include {included};\n")
    check(text(book(HTTP, "10.0.0.1"), left=frozenset({"hash"})), tmp_path, f"    include {included};\n")


def test_three_thousand_long_names(tmp_path: Path) -> None:
    long = ".".join(["x" * 60] * 3)
    books = [book(Match(f"h{number}.{long}.example.org"), f"10.0.{number // 250}.{number % 250 + 1}")
             for number in range(3000)]  # fmt: skip
    made, renderer = rendered(*books)
    start = time.process_time()
    assert renderer.text(books) == made
    assert time.process_time() - start < 5, "a render of thousands takes no seconds"
    check(made, tmp_path)


# -- an admin's own templates ------------------------------------------------------------------------------------------


def own(folder: Path, name: str, content: str, network: str = WEB) -> Path:
    file = folder / network / "nginx" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content)
    return file


@pytest.mark.parametrize(
    ("content", "line", "why"),
    [
        ("\n{{ nonsense }}", 2, "'nonsense' is undefined"),
        ("{% if %}", 1, "Expected an expression"),
        ("\n\n{{ 1 / 0 }}", 3, "division by zero"),
        ("location / {", 0, "leaves a brace"),
        ("location / { } }", 0, "leaves a brace"),
        ("return 200 'a", 0, "leaves a brace"),
        ("return 200", 0, "leaves a brace"),
    ],
)
def test_one_that_breaks_costs_its_own_network_only(tmp_path: Path, content: str, line: int, why: str) -> None:
    books = [book(HTTP, "10.0.0.1"), book(Match("db.example.org"), "10.0.0.2", network="db")]
    good = text(*books)
    own(tmp_path, "location.conf.j2", content)
    fresh = text(*books, theirs=tmp_path)
    assert fresh.config == good.config, "with nothing before it, ours"
    kept = f"    location / {{ proxy_pass http://{place(HTTP)}; return 418; }}"
    former = (f"    # route {HTTP}\n{kept}\n    # end of {HTTP}\n",)
    made = text(*books, theirs=tmp_path, former=former)
    assert pieces(made.config)[str(HTTP)] == kept
    assert pieces(made.config)["db.example.org/"] == pieces(good.config)["db.example.org/"]
    broken = made.broken[WEB]
    assert why in broken.text or why in broken.where
    assert not line or broken.where.endswith(f"web/nginx/location.conf.j2:{line}")
    nobody = text(book(HTTP), theirs=tmp_path, former=former)
    assert NOBODY in pieces(nobody.config)[str(HTTP)], "and never an upstream that is not there"


def test_one_that_works_and_one_that_comes_later(tmp_path: Path) -> None:
    assert own_templates(tmp_path, WEB) == ""
    before = text(book(HTTP, "10.0.0.1"), theirs=tmp_path)
    file = own(tmp_path, "location.conf.j2", "location {{ locations[0] }} { return 418; }\n")
    assert own_templates(tmp_path, WEB) and not own_templates(tmp_path, "db")
    assert pieces(text(book(HTTP, "10.0.0.1"), theirs=tmp_path).config) == {str(HTTP): "location / { return 418; }"}
    resting = text(book(HTTP, "10.0.0.1"), theirs=tmp_path, left=frozenset({"override/web"}))
    assert resting.config == before.config
    file.unlink()
    assert text(book(HTTP, "10.0.0.1"), theirs=tmp_path).config == before.config


def test_a_whole_file_that_breaks_is_said(tmp_path: Path) -> None:
    (tmp_path / "nginx").mkdir()
    (tmp_path / "nginx" / "http.conf.j2").write_text("{{ nonsense }}")
    with pytest.raises(ValueError, match=r"http\.conf\.j2:1; 'nonsense' is undefined"):
        text(book(HTTP, "10.0.0.1"), theirs=tmp_path)


def test_a_line_is_that_of_a_route() -> None:
    made = text(book(HTTP, "10.0.0.1"), book(Match("x.org"), "10.0.0.1"))
    lines = made.config.splitlines()
    first = next(number for number, line in enumerate(lines, 1) if "proxy_pass" in line)
    assert route_on(made.config, first) == str(HTTP) and route_on(made.config, 1) == ""


# -- what a zone can do ------------------------------------------------------------------------------------------------

HOSTILE = st.text(
    st.one_of(st.sampled_from("{}();\"'\\$#%*?/=.: \n\r\t~^|&<>"), st.characters(codec="utf-8")), max_size=30
)
PARTS = st.sampled_from(
    ["a.b", "*.a.b", "a.b/c", "tcp=15500", "port=80", "check=/x", "weight=2", "group=g", "a.b;", "a.b/{}", "$host",
     "a.b/..", "x\n}", '"a.b"', "*", "*.", "a..b", "port=80;", "check=/a;b", "@generation@", "{path}"]
)  # fmt: skip
VICTIM = book(HTTP, "10.0.0.1")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.one_of(PARTS, HOSTILE), min_size=1, max_size=5).map(" ".join))
def test_whatever_an_attribute_holds_it_is_refused_or_harmless(value: str) -> None:
    refused: list[object] = []
    offers = offered("evil", {"zh.route": value}, refused)  # type: ignore[arg-type]
    assert bool(offers) is not bool(refused)
    matches = [match for offer in offers for match in offer.matches if match != HTTP]
    backends = [Backend(ip_address("10.0.0.66"), offer.port, "evil", offer.weight) for offer in offers]
    books = [
        RouteBook(match, "evil", WEB, "", {each.key: Seat(each, "in") for each in backends})
        for match in matches
        if match.port not in (18080, 9632) and (match.port == 0 or match.port > 1024)
    ]
    made = text(VICTIM, *books)
    alone = text(VICTIM)
    assert pieces(made.config)[str(HTTP)] == pieces(alone.config)[str(HTTP)]
    server = alone.config[alone.config.index("server {\n    listen 18080;\n") :].rstrip()
    assert server in made.config, "the server of the other is there, byte for byte"
    with tempfile.TemporaryDirectory() as folder:
        said = judged(Path(folder), made.config, made.top)
        assert said == "" or "bind()" in said, (value, said)


def test_who_is_served_though_our_books_know_nothing_is_found_in_our_files() -> None:
    port = Match(port=15432)
    made = text(book(HTTP, "10.0.0.1", "fd00::1"), book(port, "10.0.0.5"), book(Match("b.org")))
    three = book(HTTP, "10.0.0.1", "fd00::1", "10.0.0.3")
    routes = [
        Route(HTTP, tuple(seat.backend for seat in three.seats.values()), "web1", network=WEB),
        Route(port, tuple(seat.backend for seat in book(port, "10.0.0.5").seats.values()), "web1", network=WEB),
        Route(Match("b.org"), (Backend(ip_address("10.0.0.1"), 8080, "z0"),), "web1", network=WEB),
    ]
    found = adopted([made.config, made.top], routes, {}, 1000.0)
    assert {match: {str(seat.backend.address) for seat in each.seats.values()} for match, each in found.items()} == {
        HTTP: {"10.0.0.1", "fd00::1"}, port: {"10.0.0.5"}
    }  # fmt: skip
    again = text(*found.values(), book(Match("b.org")))
    assert (again.config, again.top) == (made.config, made.top), "nginx is told nothing"
    assert HTTP not in adopted([made.config, made.top], routes, {HTTP: three}, 1000.0), "books are right where they are"
    assert adopted([], routes, {}, 1000.0) == {}


def test_a_text_is_made_again_when_anything_it_is_made_of_changes(tmp_path: Path) -> None:
    """Parts are remembered; what an admin's template includes is a part, too."""
    first = text(book(HTTP, "10.0.0.1"), theirs=tmp_path)
    assert text(book(HTTP, "10.0.0.1"), theirs=tmp_path) is first, "nothing changed"
    assert "weight=2" in text(book(HTTP, "10.0.0.1", weight=2), theirs=tmp_path).config
    own(tmp_path, "location.conf.j2", '{% include "part" %}\n')
    own(tmp_path, "part", "location / { return 418; }\n")
    assert "418" in text(book(HTTP, "10.0.0.1"), theirs=tmp_path).config
    own(tmp_path, "part", "location / { return 4188; }\n")
    assert "4188" in text(book(HTTP, "10.0.0.1"), theirs=tmp_path).config
    (tmp_path / "nginx").mkdir()
    (tmp_path / "nginx" / "upstream.conf.j2").write_text("upstream {{ each.name }} { server 127.0.0.1:9; }\n")
    assert "127.0.0.1:9;" in text(book(HTTP, "10.0.0.1"), theirs=tmp_path).config


@pytest.mark.parametrize(
    ("ours", "theirs", "plain"),
    [
        (("192.0.2.9:",), (), ("192.0.2.9:80",)),
        (("192.0.2.9:",), (("", 80),), ("80",)),
        (("192.0.2.9:", "192.0.2.8:"), (("", 80),), ("80",)),
        (("192.0.2.9:",), (("", 8080), ("[::]:", 80)), ("192.0.2.9:80",)),
        (("192.0.2.9:",), (("", 80), ("192.0.2.9:", 80)), ("192.0.2.9:80",)),
        (("[2001:db8::1]:",), (("[::]:", 80),), ("[::]:80",)),
        (("", "[::]:"), (("192.0.2.9:", 80), ("[2001:db8::1]:", 80)),
         ("80", "192.0.2.9:80", "[::]:80", "[2001:db8::1]:80")),
    ],
)  # fmt: skip
def test_on_a_port_of_the_admins_we_listen_as_he_does(
    ours: tuple[str, ...], theirs: tuple[tuple[str, int], ...], plain: tuple[str, ...]
) -> None:
    """nginx looks at names only among the servers of the address that fits best."""
    assert Listens.on(Proxy("nginx"), ours, theirs).plain == plain
    assert Listens.on(Proxy("nginx"), ours, theirs).addresses == ours, "TCP ports are ours alone"


def test_a_client_may_end_its_side_first_unless_nginx_is_too_old(tmp_path: Path) -> None:
    one = book(Match(port=15432), "10.0.0.5")
    made = text(one)
    check(made, tmp_path)
    assert "proxy_half_close on;" in made.top
    assert "proxy_half_close" not in text(one, left=frozenset({"half"})).top
