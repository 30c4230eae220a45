"""The client against a server that misbehaves on command: each kind is counted as what it is, and as nothing else."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time

import pytest
from traffic.tests.conftest import TESTS, Client
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
    "/hang": "timeout",
}
GOOD = ("/", "/chunked", "/to-the-end", "/keep-not", "/slow", "/once")


@pytest.mark.parametrize("kept_alive", [0, 0.7])
def test_each_kind_is_counted_as_what_it_is(server: Server, client: Client, kept_alive: float) -> None:
    """The host's name is the path, so that the report tells them apart."""
    client.routes(*(f"{path} {path} web1" for path in (*KINDS, *GOOD)))
    words = ("--rate", 400, "--seconds", 1, "--long", 0, "--timeout", 0.8, "--kept-alive", kept_alive)
    report = client.report(client.load(server.at, *words))
    assert report["complete"]
    assert (report["due"], report["sent"], report["in_flight"]) == (400, 400, 0)
    by_host = report["failures_by_host"]
    assert set(by_host) == set(KINDS)
    for path, kind in KINDS.items():
        assert set(by_host[path]) == {kind}, path
        assert by_host[path][kind] >= 400 // len((*KINDS, *GOOD)), path
    assert report["ok"] == 400 - sum(sum(kinds.values()) for kinds in by_host.values())
    assert report["failed"] == sum(report["failures"].values()) == 400 - report["ok"]
    assert report["statuses"]["503"] == by_host["/503"]["5xx"]
    assert report["latency_ms"]["max"] >= 100, "a slow answer is a right one, and its time is the whole of it"
    assert 0 <= report["first_failure"]["s"] <= report["last_failure"]["s"]
    assert report["first_failure"]["host"] in KINDS
    assert sum(report["failures_by_second"].values()) == report["failed"]
    assert abs(report["first_failure"]["at"] - report["began"] - report["first_failure"]["s"]) < 0.01


def test_nobody_there_is_refused_and_over_tcp_too(server: Server, client: Client) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        client.routes("web.ex / web1", f"tcp:{port} banner db1")
        report = client.report(client.load(port, "--rate", 100, "--seconds", 0.5, "--long", 0))
    assert report["failed"] == report["failures"]["refused"] == report["sent"] == 50


def test_what_the_client_cannot_do_is_not_the_proxys_fault(server: Server, client: Client) -> None:
    client.routes("web.ex /hang web1")
    few = ("sh", "-c", 'ulimit -n 30; exec "$@"', "few")
    report = client.report(
        client.load(server.at, "--rate", 100, "--seconds", 1, "--long", 0, "--timeout", 1, before=few)
    )
    failures = report["failures"]
    assert failures["own"] > 50
    assert failures["own"] + failures["timeout"] == report["failed"] == 100


def test_tcp_is_judged_by_the_first_word(server: Server, client: Client) -> None:
    client.routes(f"tcp:{server.tcp} banner db1", "web.ex / web1")
    report = client.report(client.load(server.at, "--rate", 100, "--seconds", 0.5, "--long", 0))
    assert (report["ok"], report["failed"]) == (50, 0)
    client.routes(f"tcp:{server.tcp} ask db2,db3")
    report = client.report(client.load(server.at, "--rate", 100, "--seconds", 0.5, "--long", 0))
    assert report["failures"]["wrong_backend"] == 50
    assert report["examples"][0]["detail"] == "db1 answered"


def test_a_stall_is_in_the_latency_of_everything_that_was_due_in_it(server: Server, client: Client) -> None:
    client.routes("web.ex / web1")
    process = client.load(server.at, "--rate", 200, "--seconds", 2, "--long", 0)
    client.until(process, "ok", at_least=1)
    server.stall(0.8)
    report = client.report(process)
    assert (report["ok"], report["failed"]) == (400, 0)
    latency = report["latency_ms"]
    assert latency["max"] >= 700
    assert latency["p95"] >= 600, "160 of 400 were due in the stall; the 20 that waited longest, 0.7 s and more"


def test_a_kept_alive_connection_closed_under_a_request_is_no_failure_unless_wanted(
    server: Server, client: Client
) -> None:
    client.routes("web.ex /once web1")
    words = ("--rate", 100, "--seconds", 1, "--long", 0, "--kept-alive", 1)
    report = client.report(client.load(server.at, *words))
    assert (report["ok"], report["failed"]) == (100, 0)
    assert report["kept_alive"]["stale"] == report["kept_alive"]["retried"] >= 30
    report = client.report(client.load(server.at, *words, "--no-retry"))
    assert report["failures"]["closed"] == report["failed"] == report["kept_alive"]["stale"] >= 30
    assert report["kept_alive"]["retried"] == 0


def test_a_kept_alive_connection_closed_while_idle_is_replaced_in_silence(server: Server, client: Client) -> None:
    client.routes("web.ex /keep-not web1")
    report = client.report(
        client.load(server.at, "--rate", 50, "--seconds", 1, "--long", 0, "--kept-alive", 1, "--no-retry")
    )
    assert (report["ok"], report["failed"]) == (50, 0)
    assert report["kept_alive"]["idle_closed"] >= 40


def test_kept_alive_connections_are_used_again_and_others_are_not(server: Server, client: Client) -> None:
    client.routes("web.ex / web1")
    client.report(client.load(server.at, "--rate", 100, "--seconds", 0.5, "--long", 0, "--kept-alive", 0))
    assert server.connections == server.requests == 50
    client.report(client.load(server.at, "--rate", 100, "--seconds", 0.5, "--long", 0, "--kept-alive", 1))
    assert server.requests == 100
    assert server.connections < 75


def test_routes_come_and_go(server: Server, client: Client) -> None:
    client.routes("web.ex / web1")
    process = client.load(server.at, "--rate", 200, "--seconds", 0, "--long", 0)
    client.until(process, "ok", at_least=1)
    client.routes("web.ex / web1", "new.ex /503 web1 either", f"tcp:{server.tcp} banner db1")
    client.until(process, "allowed", at_least=1)
    client.routes("# nobody")
    before = client.until(process, "routes", "oldest_in_flight", at_least=3)
    client.until(process, "unasked", at_least=before["unasked"] + 1)
    client.routes("nonsense")
    asked = server.requests
    time.sleep(0.3)
    assert server.requests == asked, "a bad file changes nothing"
    client.routes("new.ex /503 web1")
    client.until(process, "failures", "5xx", at_least=1)
    process.send_signal(signal.SIGTERM)
    report = client.report(process)
    assert report["failed"] == report["failures"]["5xx"]
    assert set(report["failures_by_host"]) == {"new.ex"}
    assert report["routes"]["reads"] == 4
    assert report["sent"] + report["unasked"] == report["due"]
    assert report["ok"] + report["allowed"] + report["failed"] == report["sent"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_run_that_is_stopped_says_so_and_what_it_saw(server: Server, client: Client, number: signal.Signals) -> None:
    client.routes("web.ex / web1")
    process = client.load(server.at, "--rate", 100, "--long", 0)
    client.until(process, "ok", at_least=1)
    process.send_signal(number)
    report = client.report(process, 1)
    assert not report["complete"]
    assert report["ok"] == report["sent"] > 0


def test_bad_routes_are_a_usage_error(client: Client) -> None:
    client.routes("web.ex")
    argv = [sys.executable, "-m", "traffic", "--at", "127.0.0.1:1", "--routes", str(client.routes_file)]
    done = subprocess.run(argv, cwd=TESTS, capture_output=True, text=True, timeout=20)
    assert done.returncode == 2
    assert "line 1" in done.stderr


def test_the_usual_load_costs_less_than_two_fifths_of_a_core(server: Server, client: Client) -> None:
    client.routes("web.ex / web1", "ws.ex /ws web1 only-long")
    report = client.report(client.load(server.at, "--seconds", 3, "--ping", 1))
    assert (report["due"], report["failed"]) == (1500, 0)
    assert report["long"]["up"] == 200
    assert report["cpu_percent"] < 40
