"""nginx: our lines in somebody's configuration, and what it says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zonehookd.errors import CannotObserve
from zonehookd.illumos import nginx
from zonehookd.model.command import Reply

OURS = "server_names_hash_max_size 32768;\ninclude /var/z/http.conf;\n"
TCP = "stream {\n    server {\n        listen 5432;\n    }\n}\n"
HTTP = "# BEGIN zonehookd nginx\n" + OURS + "# END zonehookd nginx\n"


def test_our_lines_are_the_last_in_http() -> None:
    main = "user www;\nhttp {\n    include sites/*;\n    server { listen 80; }\n}\nevents { }\n"
    made = nginx.put(main, "nginx", OURS)
    assert made == main.replace("}\nevents", HTTP + "}\nevents")
    assert nginx.put(made, "nginx", OURS) == made and nginx.take(made, "nginx") == main


@pytest.mark.parametrize(
    "http",
    [
        "http{}",
        "http { include x; }",
        "http\n{\n  }",
        "http { # }\n}",
        'http { log_format m "} {"; }',
        "http { log_format m '}\\' {'; }",
        "http { a ${b}c; }",
        "http { a b\\}c\\;; }",
        "http { a b}c; }",
        "http { a b#c{ d; } }",
        'http { a b"c { d; } }',
        "http {\r\n    a;\r\n}",
        "http { map $a $b { default 1; } }",
    ],
)
def test_whatever_stands_there_is_kept_and_its_end_is_found(http: str) -> None:
    for before in ("", "a;\n", "# http { }\n", "stream { }\n", "'http' ;\n"):
        for after in ("", "\n", "\nevents { }", "  # the end }\n"):
            main = f"{before}{http}{after}"
            for body in (OURS, OURS + TCP):
                made = nginx.put(main, "nginx", body)
                assert nginx.take(made, "nginx") == main
                assert nginx.put(made, "nginx", body) == made
                assert [each.name for each in nginx.blocks(made)].count("http") == 1
                there = made.index(OURS)
                block = next(each for each in nginx.blocks(made) if each.name == "http")
                assert there < block.end and made[there:].count("BEGIN zonehookd nginx") <= 2
                assert made[made.index("# END zonehookd nginx", there) : block.end].count("\n") == 1


def test_tcp_goes_into_the_stream_block_that_is_there_or_makes_one() -> None:
    main = "http {\n}\nstream {\n    server { listen 1; }\n}\n"
    made = nginx.put(main, "nginx", OURS + TCP)
    assert "    server { listen 1; }\n# BEGIN zonehookd nginx:stream\n    server {\n        listen 5432;" in made
    assert nginx.take(made, "nginx") == main
    assert nginx.put(made, "nginx", OURS) == nginx.put(main, "nginx", OURS), "and goes when it is wanted no more"
    alone = nginx.put("http {\n}\n", "nginx", OURS + TCP)
    assert alone.endswith("# BEGIN zonehookd nginx:tcp\n" + TCP + "# END zonehookd nginx:tcp\n")
    assert nginx.take(alone, "nginx") == "http {\n}\n"


def test_a_directive_that_stands_there_is_not_said_twice() -> None:
    made = nginx.put("http {\n    server_names_hash_max_size 512;\n}\n", "nginx", OURS)
    assert made.count("server_names_hash_max_size") == 1 and "include /var/z/http.conf;" in made
    inner = nginx.put("http {\n    server { server_names_hash_max_size 512; }\n}\n", "nginx", OURS)
    assert inner.count("server_names_hash_max_size") == 2, "that one is not http's"
    kept = nginx.put("http {\n    include mine;\n}\n", "nginx", OURS)
    assert kept.count("include") == 2


@pytest.mark.parametrize(
    ("main", "why"),
    [
        (None, "not there"),
        ("events { }\n", "one http"),
        ("http { }\nhttp { }\n", "one http"),
        ("http { }\nstream { }\nstream { }\n", "one stream"),
        ("http { ", "not closed"),
        ("http { } }\n", "closes nothing"),
        ("http { a 'b; }\n", "quote is not closed"),
        ("http {\n# BEGIN zonehookd nginx\n}\n", "do not pair"),
    ],
)
def test_where_there_is_no_place_it_is_said(main: str | None, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        nginx.put(main, "nginx", OURS)


WORDS = st.sampled_from(["http", "server", "a", "}", "{", ";", "#", "'", '"', "\\", "$", "${", " ", "\n", "\t", "é"])


@given(st.lists(WORDS, max_size=14).map("".join), st.booleans())
def test_what_it_cannot_tell_is_refused_and_the_rest_restored(text: str, tcp: bool) -> None:
    try:
        made = nginx.put(text, "nginx", OURS + (TCP if tcp else ""))
    except ValueError:
        return
    assert nginx.take(made, "nginx") == text


@given(st.lists(WORDS, max_size=8).map("".join))
def test_a_balanced_piece_leaves_its_surroundings_alone(piece: str) -> None:
    if nginx.balanced(piece):
        around = nginx.blocks(f"http {{\n{piece}\n}}\nevents {{ }}\n")
        assert [each.name for each in around] == ["http", "events"]


def test_what_stops_it_is_picked_from_what_it_says() -> None:
    said = (
        'nginx: [warn] conflicting server name "a" on 0.0.0.0:80, ignored\n'
        '2026/11/21 21:20:55 [emerg] 11250#11250: unknown directive "x" in /etc/n.conf:3\n'
        'nginx: [emerg] unknown directive "x" in /etc/n.conf:3\n'
        "nginx: configuration file /etc/n.conf test failed\n"
    )
    assert nginx.complaint(said) == 'unknown directive "x" in /etc/n.conf:3'
    assert nginx.complaint("sh: not found\n") == "sh: not found\n"


def test_only_what_the_log_says_now_counts() -> None:
    parse = nginx.errors("edge", "/var/log/error.log").parse
    lines = (
        "2026/11/21 21:21:45\n"
        "2026/11/21 21:19:42 [emerg] 1#1: old\n"
        "2026/11/21 21:21:42 [warn] 1#1: no\n"
        "2026/11/21 21:21:42 [emerg] 1#1: bind() to 0.0.0.0:5432 failed (98: Address already in use)\n"
        "2026/11/21 21:21:44 [emerg] 1#1: still could not bind()\n"
        "nonsense\n"
    )
    said = parse(Reply(0, lines, ""))
    assert said.splitlines() == [
        "bind() to 0.0.0.0:5432 failed (98: Address already in use)",
        "still could not bind()",
    ]
    assert parse(Reply(0, "2026/11/21 21:21:45\n", "")) == ""
    refused = parse(Reply(1, "2026/11/21 21:21:45\n", "tail: cannot open it"))
    assert "/var/log/error.log cannot be read: tail: cannot open it" in refused
    with pytest.raises(CannotObserve):
        parse(Reply(1, "", "zlogin: zone 'edge' is not running"))


def test_what_it_runs_is_said_by_itself() -> None:
    parse = nginx.generation("edge", 9632).parse
    head = "HTTP/1.1 200 OK\r\nServer: nginx\r\nConnection: close\r\n\r\n"
    assert parse(Reply(0, f"{head}0123456789abcdef\n", "")) == "0123456789abcdef"
    assert parse(Reply(0, "refused\n", "")) == ""
    for other in ("", "HTTP/1.1 404 Not Found\r\n\r\n", f"{head}hello\n", "SSH-2.0\n"):
        with pytest.raises(CannotObserve):
            parse(Reply(0, other, ""))


def test_workers_without_a_master_are_deaf() -> None:
    parse = nginx.processes("edge", 61).parse
    well = parse(Reply(0, "123\nchildren\n125\n126\nall\n123\n125\n126\n", ""))
    assert (well.oldest, well.children, well.deaf) == (123, frozenset({125, 126}), False)
    orphans = parse(Reply(0, "125\nchildren\nall\n125\n126\n", ""))
    assert orphans.deaf and not parse(Reply(0, "", "")).deaf
    with pytest.raises(CannotObserve):
        parse(Reply(0, "12x\nchildren\n", ""))


def test_a_server_is_seen_in_it_or_in_what_it_includes() -> None:
    plain = "events { }\nhttp {\n    include mime.types;\n    upstream a { server 10.0.0.1; }\n}\n"
    assert not nginx.serves(plain) and not nginx.serves("http {") and not nginx.serves("")
    assert nginx.serves(plain.replace("upstream a", "server"))
    assert nginx.serves(f"{plain}stream {{ include /etc/nginx/own/*.conf; }}\n")
    assert not nginx.serves(plain.replace("upstream a { server 10.0.0.1; }", "# server { }"))


@pytest.mark.parametrize(
    ("server", "found"),
    [
        ("listen 80;", {("", 80)}),
        ("listen *:8080 default_server; listen [::]:80 ipv6only=on;", {("", 8080), ("[::]:", 80)}),
        ("listen 0.0.0.0:81;", {("", 81)}),
        ("listen 192.0.2.1; listen [2001:DB8::1]:443 ssl;", {("192.0.2.1:", 80), ("[2001:db8::1]:", 443)}),
        ("server_name a; location / { return 204; }", {("", 80)}),
        ("listen unix:/var/run/x; listen localhost:80; listen $x; listen 1.2.3:4;", set()),
        ("location / { listen 90; } listen 91;", {("", 91)}),
    ],
)
def test_where_servers_of_somebody_listen(server: str, found: set[tuple[str, int]]) -> None:
    main = (
        f"events {{ }}\nhttp {{\n    # listen 1;\n    server {{ {server} }}\n}}\nstream {{ server {{ listen 5; }} }}\n"
    )
    assert nginx.listens(main) == found
