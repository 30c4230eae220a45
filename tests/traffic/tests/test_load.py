"""The load itself: when requests are sent, over which connections, along which routes, and what it costs."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest
from traffic.tests.conftest import TESTS, Client
from traffic.tests.misbehaving import Server


def test_a_stall_is_in_the_latency_of_everything_that_was_due_in_it(server: Server, client: Client) -> None:
    client.routes("web.ex / web1")
    process = client.load(server.at, "--rate", 200, "--seconds", 0, "--long", 0)
    client.until(process, "ok", at_least=1)
    server.stall(2)
    client.until(process, "ok", at_least=400)
    process.send_signal(signal.SIGTERM)
    report = client.report(process)
    assert report["failed"] == 0
    assert report["latency_ms"]["max"] >= 1900
    assert report["latency_ms"]["p95"] >= 600, "280 of so many were due in its first 1.4 s; a closed loop has one"


def test_a_kept_alive_connection_closed_under_a_request_is_no_failure_unless_wanted(
    server: Server, client: Client
) -> None:
    client.routes("web.ex /once web1")
    words = ("--rate", 100, "--seconds", 2, "--long", 0, "--kept-alive", 1)
    report = client.report(client.load(server.at, *words))
    assert (report["ok"], report["failed"]) == (200, 0)
    assert report["kept_alive"]["stale"] == report["kept_alive"]["retried"] >= 5
    report = client.report(client.load(server.at, *words, "--no-retry"))
    assert report["failures"]["closed"] == report["failed"] == report["kept_alive"]["stale"] >= 5
    assert report["kept_alive"]["retried"] == 0


def test_a_kept_alive_connection_closed_while_idle_is_replaced_in_silence(server: Server, client: Client) -> None:
    client.routes("web.ex /keep-not web1")
    report = client.report(client.load(server.at, "--rate", 50, "--seconds", 0.6, "--long", 0, "--kept-alive", 1))
    assert (report["ok"], report["failed"]) == (30, 0)
    kept_alive = report["kept_alive"]
    assert kept_alive["idle_closed"] > 0
    assert kept_alive["idle_closed"] + kept_alive["stale"] + kept_alive["open"] == 30, "each was used once"


def test_kept_alive_connections_are_used_again_and_others_are_not(server: Server, client: Client) -> None:
    client.routes("web.ex / web1")
    client.report(client.load(server.at, "--rate", 100, "--seconds", 0.5, "--long", 0, "--kept-alive", 0))
    assert server.connections == server.requests == 50
    client.report(client.load(server.at, "--rate", 100, "--seconds", 2, "--long", 0, "--kept-alive", 1))
    assert server.requests == 250
    assert server.connections < 250


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
    report = client.report(client.load(server.at, "--seconds", 5, "--ping", 1))
    assert (report["due"], report["failed"]) == (2500, 0)
    assert report["long"]["up"] == 200
    assert report["cpu_percent"] < 40
