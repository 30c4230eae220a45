"""Long-lived connections: which are up, which were cut, and by what."""

from __future__ import annotations

import signal
from collections import Counter

from traffic.tests.conftest import Client
from traffic.tests.misbehaving import Server

QUIET = ("--rate", 1, "--seconds", 0)


def test_those_that_are_answered_stay_up(server: Server, client: Client) -> None:
    client.routes(
        "ws.ex /ws web1 long",
        "named.ex /ws-named web1 only-long",
        "greets.ex /ws-greets web1 only-long",
        f"tcp:{server.tcp} banner db1 only-long",
    )
    process = client.load(server.at, *QUIET, "--long", 40, "--ping", 0.2, "--timeout", 15)
    client.until(process, "long", "pongs", at_least=200)
    process.send_signal(signal.SIGTERM)
    long = client.report(process)["long"]
    assert (long["up"], long["opened"], long["cut"], long["cuts"], long["not_opened"]) == (40, 40, 0, [], {})


def test_a_cut_is_counted_with_its_time_and_its_kind(server: Server, client: Client) -> None:
    hows = {"/ws-cut": "closed", "/ws-reset": "reset", "/ws-silent": "silent"}
    client.routes(*(f"{path} {path} web1 only-long" for path in hows), "web.ex / web1")
    process = client.load(server.at, *QUIET, "--long", 6, "--ping", 0.2, "--timeout", 4)
    client.until(process, "long", "up", at_least=6)
    server.cut()
    client.until(process, "long", "cut", at_least=6)
    process.send_signal(signal.SIGTERM)
    report = client.report(process)
    cuts = report["long"]["cuts"]
    assert {(cut["host"], cut["how"]) for cut in cuts} == set(hows.items())
    assert min(Counter(cut["host"] for cut in cuts).values()) >= 2
    for cut in cuts:
        assert not cut["expected"]
        assert 0 < cut["age_s"] < cut["s"]
        assert abs(cut["at"] - report["began"] - cut["s"]) < 0.01
    assert report["long"]["cut"] == len(cuts)


def test_what_never_came_up_is_no_cut(server: Server, client: Client) -> None:
    paths = {
        "/503": "5xx",
        "/404": "status",
        "/": "status",
        "/ws-wrong": "wrong_backend",
        "/ws-greets-wrong": "wrong_backend",
        "/closed": "closed",
        "/hang": "timeout",
        "/malformed": "malformed",
    }
    client.routes(*(f"{path} {path} web1 only-long" for path in paths))
    process = client.load(server.at, *QUIET, "--long", 8, "--timeout", 0.5)
    for how in set(paths.values()):
        client.until(process, "long", "not_opened", how, at_least=1)
    process.send_signal(signal.SIGTERM)
    long = client.report(process)["long"]
    assert (long["up"], long["opened"], long["cut"]) == (0, 0, 0)
    assert set(long["not_opened"]) == set(paths.values())


def test_cuts_of_a_route_in_transition_or_gone_are_expected_and_others_take_over(
    server: Server, client: Client
) -> None:
    client.routes("a.ex /ws-cut web1 only-long", "b.ex /ws-reset web1 only-long")
    process = client.load(server.at, *QUIET, "--long", 4, "--ping", 0.2)
    client.until(process, "long", "up", at_least=4)
    client.routes("a.ex /ws-cut web1 only-long either", "c.ex /ws web1 only-long")
    client.until(process, "routes", "reads", at_least=2)
    server.cut()
    client.until(process, "long", "cut_expected", at_least=4)
    client.until(process, "long", "up", at_least=4)
    process.send_signal(signal.SIGTERM)
    long = client.report(process)["long"]
    assert long["cut"] == 0
    assert {(cut["host"], cut["how"]) for cut in long["cuts"]} >= {("a.ex", "closed"), ("b.ex", "reset")}
    assert long["opened"] >= 8
