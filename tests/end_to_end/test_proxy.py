"""The story of a reverse proxy: zones say what they serve, come, share, go in every way there is, and leave nothing."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from gated import metric
from machine import Machine
from proxied import Case, Proxied, Traffic

pytestmark = [pytest.mark.namespaces, pytest.mark.timeout(300)]

CASES = [
    Case("haproxy", "vanilla", "edge"),
    Case("haproxy", "omnios", "global"),
    Case("nginx", "omnios", "edge"),
    Case("nginx", "vanilla", "global"),
]
LATE = 'zonehookd_gate_answers_total{answer="allow",code="drain-late"'
SHOP = "shop.example.org"
NOBODY = "503 503 Service Unavailable: nobody serves this now"
OFFER = f"{SHOP} {SHOP}/api/v1 group=shop"
# Everybody in the zone but process 1 and whoever asks.
CRASH = """
import os, signal
for each in os.listdir("/proc"):
    if each.isdigit() and int(each) not in (1, os.getpid(), os.getppid()):
        try:
            os.kill(int(each), signal.SIGKILL)
        except OSError:
            pass
"""


@dataclass
class Before:
    """What was there before the proxy was declared."""

    main: str
    state: str
    files: str


World = tuple[Proxied, Before]


@pytest.fixture(scope="module", params=CASES, ids=str)
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    host = Machine(*(["--omnios"] if request.param.dialect == "omnios" else []))
    here = Proxied(host, request.param)
    try:
        here.begin()
        done = here.daemon.ask("brand", "enable", "sparse")
        assert done.status == 0, done
        before = Before(main(here), here.state(), files(here))
        here.declare()
        yield here, before
        here.daemon.stop()
    finally:
        host.close()


def main(here: Proxied) -> str:
    """What the admin's file is: content, mode, owner; "" when there is none."""
    script = f"test ! -e {here.main} || {{ stat -c '%a %u %g' {here.main}; cat {here.main}; }}"
    return here.in_zone("sh", "-c", script)


def files(here: Proxied) -> str:
    return here.in_zone("sh", "-c", "ls /var/zonehookd 2>/dev/null; ls $(dirname " + shlex.quote(here.main) + ")")


def say(capsys: pytest.CaptureFixture[str], here: Proxied, *facts: object) -> None:
    with capsys.disabled():
        print(f"\n{here.case}:", *facts)


def test_nobody_serves_anything_yet(world: World) -> None:
    here, _ = world
    assert here.fetch(SHOP) == NOBODY


def test_a_zone_boots_and_is_routed(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    here, _ = world
    here.zone("shop1", OFFER, boot=False)
    here.until(lambda: "shop1_0" in here.host.links(), "its link")
    assert here.fetch(SHOP) == NOBODY
    here.host.do("zoneadm", "-z", "shop1", "boot")
    found = here.first_answer(SHOP, "shop1", time.time())
    say(capsys, here, f"from running to the first right answer: {found['first_ms']} ms, before it {found['before']}")
    assert set(found["before"]) <= {"5xx"}, "until then, the defined answer"
    # An old worker of nginx takes what comes until it has heard that it is one, so the next answer may still be its.
    if here.case.program == "haproxy":
        assert here.fetch(SHOP, "/api/v1/things") == "200 shop1" and here.fetch(SHOP.upper()) == "200 shop1"
    here.until(lambda: here.fetch(SHOP, "/api/v1/things") == "200 shop1", "another path of it")
    here.until_answers(SHOP.upper(), "200 shop1")
    assert here.fetch(f"not-{SHOP}") == NOBODY
    here.until(here.quiet, "all is well")


def test_a_second_one_shares_and_a_stranger_does_not(world: World) -> None:
    here, _ = world
    here.zone("shop2", OFFER)
    here.zone("thief", SHOP)
    here.until(lambda: here.seats(f"{SHOP}/") == {"shop1": "in", "shop2": "in"}, "both")
    here.all_answer(SHOP, "200 shop1", "200 shop2")
    here.until(lambda: here.refused("thief") == {"zh.route0": "host-taken"}, "refused by name")
    assert f"{SHOP}/ belongs to zone shop1" in here.daemon.ask("explain", "thief").out
    here.host.delete("thief")


def test_halted_with_the_gate_it_is_drained_first(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    here, _ = world
    for by_hand in (False, False, True):  # the gate waits for a second and a half, whatever a machine does in it
        late = metric(here.host, LATE)
        traffic = Traffic(here, [f"{SHOP} / shop1,shop2", f"{SHOP} /api/v1 shop1,shop2"], rate=100, long=0)
        here.until(lambda: traffic.so_far().get("ok", 0) > 50, "requests")  # noqa: B023
        if by_hand:
            assert here.daemon.ask("drain", "shop2").status == 0
        began = time.time()
        here.halt("shop2")
        say(capsys, here, f"a halt with the gate took {(time.time() - began) * 1e3:.0f} ms")
        here.until(lambda: here.seats(f"{SHOP}/") == {"shop1": "in", "shop2": "out"}, "out")
        here.host.do("zoneadm", "-z", "shop2", "boot")
        here.until(lambda: here.seats(f"{SHOP}/") == {"shop1": "in", "shop2": "in"}, "both again")
        report = traffic.end()
        if metric(here.host, LATE) == late:
            break
    assert report["failed"] == 0 and report["ok"] == report["sent"], report


def test_halted_without_a_word_it_is_out_at_once(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    here, _ = world
    done = here.daemon.ask("brand", "disable", "sparse")
    assert done.status == 0, done
    here.zone("shop3", OFFER)
    here.until(lambda: here.seats(f"{SHOP}/").get("shop3") == "in", "it shares")
    began = time.time()
    here.halt("shop3")
    here.until(lambda: here.seats(f"{SHOP}/").get("shop3") == "out", "out")
    say(capsys, here, f"halted without the gate, seen out {(time.time() - began) * 1e3:.0f} ms later")
    here.all_answer(SHOP, "200 shop1", "200 shop2")
    here.host.delete("shop3")


def test_a_crash_is_nobody_elses(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """Its processes are gone and the zone runs: who asks for the other hears nothing of it."""
    here, _ = world
    traffic = Traffic(here, [f"{SHOP} / shop1,shop2"], rate=50, long=0)
    here.until(lambda: traffic.so_far().get("ok", 0) > 20, "requests")
    here.host.run("zlogin", "shop1", shlex.join(["/usr/bin/python3", "-c", CRASH]))
    began = time.time()
    here.until(lambda: {here.fetch(SHOP) for _ in range(4)} == {"200 shop2"}, "the other answers")
    report = traffic.end()
    failed = {kind: number for kind, number in report["failures"].items() if number}
    say(capsys, here, f"crashed: answered by the other {(time.time() - began) * 1e3:.0f} ms after; failures {failed}")
    assert report["failures"]["wrong_backend"] == report["failures"]["timeout"] == 0
    # what was on its way to a process that died has no answer, and no proxy may ask again for all of them
    assert report["failed"] <= 5, report["examples"]
    here.host.run("zlogin", "shop2", shlex.join(["/usr/bin/python3", "-c", CRASH]))
    here.until(lambda: here.fetch(SHOP).startswith("50"), "nobody is left")
    for zone in ("shop1", "shop2"):
        here.host.do("zonelab", "answer", zone)
    here.until(lambda: {here.fetch(SHOP) for _ in range(8)} == {"200 shop1", "200 shop2"}, "both again")


def test_a_zone_goes_and_comes_with_another_address(world: World) -> None:
    here, _ = world
    here.change("shop2", "zh.net0", "web 10.99.0.77")
    here.until(lambda: "10.99.0.77" in str(here.routes()), "its new address")
    here.host.do("zoneadm", "-z", "shop2", "reboot")
    here.until(lambda: here.seats(f"{SHOP}/") == {"shop1": "in", "shop2": "in"}, "both")
    here.until(lambda: {here.fetch(SHOP) for _ in range(8)} == {"200 shop1", "200 shop2"}, "and both answer")


def test_a_zone_is_deleted_and_nothing_of_it_is_left(world: World) -> None:
    here, _ = world
    here.host.delete("shop2")
    here.until(lambda: here.seats(f"{SHOP}/") == {"shop1": "in"}, "one")
    here.host.delete("shop1")
    here.until(lambda: not here.routes()["routes"], "no route")
    here.until(lambda: here.fetch(SHOP) == NOBODY, "the defined answer")
    named = ("sh", "-c", "grep -rl -e shop -e 10.99.0 /var/zonehookd; true")
    here.until(lambda: here.in_zone(*named) == "", "in no file of ours, once changes have been gathered")
    here.until(here.quiet, "all is well")


def test_the_proxy_is_declared_no_more_and_all_is_as_before(world: World) -> None:
    here, before = world
    here.reconfigure(here.config(proxy=""))
    here.until(lambda: here.state() == before.state, "as it was")
    here.until(lambda: main(here) == before.main, "the admin's file, to the byte")
    here.until(lambda: not here.pids(), "no process")
    here.until(lambda: not here.in_zone("sh", "-c", "ls /var/zonehookd/* 2>/dev/null; true"), "no file of ours")
    count = "select count(*) from record where kind in ('routing', 'drain', 'shrunk')"
    ask = f"import sqlite3; print(sqlite3.connect('/var/lib/zonehookd/state.db').execute({count!r}).fetchone()[0])"
    here.until(lambda: here.host.do("python3", "-c", ask).strip() == "0", "nor in our books, which come last")
    here.until(here.quiet, "all is well")
