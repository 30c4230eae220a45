"""A server that misbehaves on command: each kind is counted as what it is, and as nothing else."""

from __future__ import annotations

import socket

import pytest
from traffic.tests.conftest import Client
from traffic.tests.misbehaving import Server

KINDS = {  # path -> what is counted
    "/503": "5xx",
    "/404": "status",
    "/wrong": "wrong_backend",
    "/nobody": "wrong_backend",
    "/malformed": "malformed",
    "/twice": "malformed",
    "/closed": "closed",
    "/short": "short",
    "/short-head": "short",
    "/short-chunked": "short",
    "/reset": "reset",
    "/reset-within": "reset",
}
GOOD = ("/", "/chunked", "/to-the-end", "/keep-not", "/slow", "/once")


@pytest.mark.parametrize("kept_alive", [0, 0.7])
def test_each_kind_is_counted_as_what_it_is(server: Server, client: Client, kept_alive: float) -> None:
    """The host's name is the path, so that the report tells them apart."""
    client.routes(*(f"{path} {path} web1" for path in (*KINDS, *GOOD)))
    words = ("--rate", 240, "--seconds", 0.75, "--long", 0, "--timeout", 10, "--kept-alive", kept_alive)
    report = client.report(client.load(server.at, *words))
    assert report["complete"]
    assert (report["due"], report["sent"], report["in_flight"]) == (180, 180, 0)
    assert report["failures_by_host"] == {path: {kind: 10} for path, kind in KINDS.items()}
    assert (report["ok"], report["failed"]) == (60, 120)
    assert sum(report["failures"].values()) == sum(report["failures_by_second"].values()) == 120
    assert report["statuses"]["503"] == 10
    assert report["latency_ms"]["max"] >= 100, "a slow answer is a right one, and its time is the whole of it"
    first, last = report["first_failure"], report["last_failure"]
    assert 0 <= first["s"] <= last["s"]
    assert KINDS[first["host"]] == first["kind"]
    assert abs(first["at"] - report["began"] - first["s"]) < 0.01


def test_no_answer_in_time_is_a_timeout(server: Server, client: Client) -> None:
    client.routes("web.ex /hang web1")
    report = client.report(client.load(server.at, "--rate", 50, "--seconds", 0.2, "--long", 0, "--timeout", 0.5))
    assert report["failures"]["timeout"] == report["failed"] == 10
    assert report["first_failure"]["s"] >= 0.5
    assert report["latency_ms"] == {}


def test_nobody_there_is_refused_and_over_tcp_too(client: Client) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        client.routes("web.ex / web1", f"tcp:{port} banner db1")
        report = client.report(client.load(port, "--rate", 100, "--seconds", 0.3, "--long", 0))
    assert report["failed"] == report["failures"]["refused"] == report["sent"] == 30


def test_what_the_client_cannot_do_is_not_the_proxys_fault(server: Server, client: Client) -> None:
    client.routes("web.ex /hang web1")
    few = ("sh", "-c", 'ulimit -n 30; exec "$@"', "few")
    report = client.report(
        client.load(server.at, "--rate", 200, "--seconds", 0.5, "--long", 0, "--timeout", 0.6, before=few)
    )
    failures = report["failures"]
    assert failures["own"] >= 50
    assert failures["own"] + failures["timeout"] == report["failed"] == 100


def test_tcp_is_judged_by_the_first_word(server: Server, client: Client) -> None:
    client.routes(f"tcp:{server.tcp} banner db1", f"tcp:{server.tcp} ask db2,db3", "web.ex / web1")
    report = client.report(client.load(server.at, "--rate", 100, "--seconds", 0.3, "--long", 0))
    assert report["ok"] == 20
    assert report["failures"]["wrong_backend"] == report["failed"] == 10
    assert (report["examples"][0]["path"], report["examples"][0]["detail"]) == ("ask", "db1 answered")
