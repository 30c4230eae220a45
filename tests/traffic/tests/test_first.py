"""The first right answer: when it was asked for, when it came, and what was answered before and after."""

from __future__ import annotations

import socket
import threading
import time
from typing import Any

from traffic.tests.conftest import Client
from traffic.tests.misbehaving import Server


def first(client: Client, port: int, *words: object, status: int = 0) -> Any:
    return client.report(client.start("first-answer", "--at", f"127.0.0.1:{port}", *words), status)


def test_it_is_found_when_it_is_there(server: Server, client: Client) -> None:
    since = time.time()
    server.wrong_first = 50
    report = first(client, server.at, "web.ex", "/later", "web1", "--since", since)
    late = since + report["first_ms"] / 1e3 - server.right_since
    assert 0 <= late < 10, "and the questions are 5 ms apart, on a machine that has time"
    assert report["asked_ms"] <= report["first_ms"]
    assert report["last_wrong_ms"] < report["first_ms"]
    assert report["before"] == {"5xx": 50}
    assert report["after"] == {}
    assert report["polls"] > 50


def test_a_wrong_zone_is_no_answer(server: Server, client: Client) -> None:
    report = first(client, server.at, "web.ex", "/later", "web7,web8", "--wait", 2, status=1)
    assert report["first_ms"] is None
    assert set(report["before"]) == {"wrong_backend"}


def test_a_question_that_hangs_does_not_keep_the_next_from_being_asked(server: Server, client: Client) -> None:
    report = first(client, server.at, "web.ex", "/hang", "web1", "--wait", 1, "--timeout", 0.3, status=1)
    assert report["polls"] > 20
    assert set(report["before"]) == {"timeout"}


def test_nobody_listens_at_first(server: Server, client: Client) -> None:
    ours = socket.socket()  # bound all the time, so that nobody else takes the port
    ours.bind(("127.0.0.1", 0))
    port = ours.getsockname()[1]
    timer = threading.Timer(0.6, server.listen_at, [ours])
    since = time.time()
    timer.start()
    report = first(client, port, "web.ex", "/", "web1", "--since", since)
    timer.join()
    assert report["first_ms"] >= 600
    assert set(report["before"]) <= {"refused"}


def test_what_goes_wrong_after_the_first_right_answer_is_seen(server: Server, client: Client) -> None:
    server.wrong_first = 5
    server.wrong_again = range(8, 12)
    report = first(client, server.at, "web.ex", "/later", "web1", "--go-on", 3)
    assert (report["before"], report["after"]) == ({"5xx": 5}, {"5xx": 4})
    assert report["first_ms"] < report["last_wrong_ms"] < report["first_ms"] + 3000


def test_over_tcp(server: Server, client: Client) -> None:
    report = first(client, server.at, f"tcp:{server.tcp}", "banner", "db1")
    assert report["first_ms"] >= 0


def test_a_way_that_is_none_is_refused(client: Client) -> None:
    process = client.start("first-answer", "--at", "127.0.0.1:1", "web.ex", "index", "web1")
    assert process.wait(20) == 2
