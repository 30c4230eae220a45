"""Routes as operators see them, and zones taken out of them: by hand, and before a halt that the gate announces."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest
from gated import enable
from machine import Machine, until
from proxied import Case, Proxied

pytestmark = pytest.mark.namespaces

CASES = [Case("haproxy", "vanilla", "edge"), Case("nginx", "omnios", "edge")]
LATE = 'zonehookd_gate_answers_total{answer="allow",code="drain-late"'
FETCH = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:9631/metrics', timeout=30).read().decode())"


@pytest.fixture(scope="module", params=CASES, ids=str)
def here(request: pytest.FixtureRequest) -> Iterator[Proxied]:
    """Two zones share a name, each has one of its own, one is refused; everybody answers, and has the gate."""
    case: Case = request.param
    machine = Machine(*(["--omnios"] if case.dialect == "omnios" else []))
    made = Proxied(machine, case)
    made.begin()
    made.declare()
    enable(made.daemon)
    for name in ("web1", "web2"):
        made.zone(name, "shop.example.org group=shop", f"{name}.example.org check=/health", f"{name}.example.org;")
    made.zone("plain")
    for name in ("web1", "web2"):
        made.until_answers(f"{name}.example.org", f"200 {name}")
    until(lambda: made.seats("shop.example.org/") == {"web1": "in", "web2": "in"}, "both share the shop")
    yield made
    machine.close()


def metric(here: Proxied, name: str) -> float:
    lines = here.host.do("python3", "-c", FETCH).splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name))


def both_in(here: Proxied) -> None:
    until(lambda: here.seats("shop.example.org/") == {"web1": "in", "web2": "in"}, "both are in")
    here.until_answers("web1.example.org", "200 web1")


def shop(here: Proxied, times: int = 12) -> set[str]:
    return {here.fetch("shop.example.org") for _ in range(times)}


def test_what_is_routed_where_and_what_is_not(here: Proxied) -> None:
    done = here.daemon.ask("routes")
    assert done.status == 0, done
    lines = [line.split() for line in done.out.splitlines()]
    assert lines[0] == ["GATEWAY", "ROUTE", "OWNER", "BACKEND", "AT", "STATE", "SINCE"]
    assert ["edge", "shop.example.org/", "web1", "web1"] in [line[:4] for line in lines]
    assert "refused: zone web1: attribute zh.route2: expected a host name" in done.out
    assert [row["match"] for row in here.routes(zone="web2")["routes"]] == [
        "shop.example.org/", "web2.example.org/",
    ]  # fmt: skip
    assert here.daemon.ask("routes", "--zone", "nobody").status == 1
    assert "3 routes, 0 with nobody behind them" in here.daemon.ask("status").out
    explained = here.daemon.ask("explain", "web1").out
    assert "web1.example.org/" in explained and "refused: zone web1: attribute zh.route2" in explained
    assert metric(here, 'zonehookd_routes{gateway="edge",state="served"}') == 3
    assert metric(here, 'zonehookd_route_backends{gateway="edge",state="in"}') == 4
    assert metric(here, 'zonehookd_routes_held{gateway="edge"}') == 0
    assert here.told().total() > 0


def test_a_zone_is_drained_and_put_back(here: Proxied) -> None:
    both_in(here)
    done = here.daemon.ask("drain", "web1", "--for", "5m", "--reason", "ticket 42")
    assert (done.status, done.out) == (0, "zone web1 is drained: it is behind no route any more\n"), done
    assert shop(here) == {"200 web2"} and here.fetch("web1.example.org").startswith("503")
    text = here.daemon.ask("routes", "--zone", "web1").out
    assert "zone web1 is drained" in text and "drained: zone web1, for another 5m: ticket 42" in text
    audit = [json.loads(line) for line in here.host.read("/var/log/zonehookd/audit.jsonl").splitlines()]
    assert [(each["why"], each["zone"]) for each in audit if each["argv"][0] == "drain"] == [
        ("ticket 42 (for 300 s)", "web1")
    ]  # fmt: skip
    assert here.daemon.ask("undrain", "web1").out == "zone web1 is drained no more\n"
    both_in(here)
    until(lambda: shop(here) == {"200 web1", "200 web2"}, "both serve the shop")


@pytest.mark.parametrize(
    ("words", "status", "text"),
    [
        (("drain", "nobody"), 1, "there is no zone 'nobody'"),
        (("drain", "plain"), 1, "zone plain has no routes, so there is nothing to drain"),
        (("drain", "edge"), 1, "zone edge has no routes"),
        (("drain", "web1", "--for", "2d"), 64, "is no duration"),
        (("drain", "web1", "--for", "30h"), 1, "at most 86400 s"),
        (("undrain", "web2"), 0, "zone web2 was not drained"),
        (("undrain", "nobody"), 1, "there is no zone 'nobody'"),
    ],
)
def test_what_cannot_be_drained_is_refused(here: Proxied, words: tuple[str, ...], status: int, text: str) -> None:
    done = here.daemon.ask(*words)
    assert done.status == status and text in done.out + done.err, done


def test_nobody_who_asks_at_the_time_of_a_halt_gets_an_error(here: Proxied) -> None:
    """The zone answers until the proxy sends nothing there; then it is halted."""
    before = metric(here, "zonehookd_gate_answers_total")
    for by_hand in (False, False, True):  # the gate waits for a second and a half, whatever a machine does in it
        late = metric(here, LATE)
        both_in(here)
        done, bad = asked_at_a_halt(here, by_hand=by_hand)
        if metric(here, LATE) == late:
            break
    assert done > 20 and bad == 0, f"{bad} of {done} failed"
    assert metric(here, "zonehookd_gate_answers_total") > before
    assert metric(here, 'zonehookd_gate_answers_total{answer="allow",code="drain') >= 1
    both_in(here)


def asked_at_a_halt(here: Proxied, *, by_hand: bool) -> tuple[int, int]:
    """How often somebody has asked for the shop while web1 was halted, and how often in vain. Then it is up again.
    `by_hand`: it is drained before, however long that takes."""
    ask = ("import http.client, os, sys\nbad = done = 0\nwhile not os.path.exists('/var/enough') or done < 40:\n"
           "    if done == 20:\n        open('/var/going', 'w').close()\n"
           "    c = http.client.HTTPConnection(sys.argv[1], timeout=9)\n    try:\n"
           "        c.request('GET', '/', headers={'Host': 'shop.example.org'})\n"
           "        bad += c.getresponse().status != 200\n    except OSError:\n        bad += 1\n    done += 1\n"
           "    c.close()\nprint(done, bad, flush=True)\n")  # fmt: skip
    log = f"/var/log/halt-{time.monotonic_ns()}"
    here.host.do("rm", "-f", "/var/enough", "/var/going")
    pid = here.host.start("zonelab", "outside", "run", "--", "/usr/bin/python3", "-SE", "-c", ask, here.at, log=log)
    until(lambda: here.host.run("test", "-e", "/var/going").status == 0, "it asks")
    if by_hand:
        assert here.daemon.ask("drain", "web1").status == 0
    began = time.monotonic()
    here.halt("web1")
    print(f"{here.case}: halted after {time.monotonic() - began:.2f} s")
    assert time.monotonic() - began < 20, "as long as the gate waits, not as long as a drain may take"
    until(lambda: here.seats("shop.example.org/").get("web1") == "out", "a halted zone is out")
    time.sleep(0.5)
    here.host.do("touch", "/var/enough")
    assert here.host.wait(pid) == 0
    done, bad = here.host.read(log).split()
    here.host.do("zoneadm", "-z", "web1", "boot")
    return int(done), int(bad)


def test_a_reboot_is_drained_too_and_the_new_run_serves(here: Proxied) -> None:
    both_in(here)
    before = metric(here, 'zonehookd_gate_answers_total{answer="allow",code="drain')
    here.host.do("zoneadm", "-z", "web1", "reboot")
    assert metric(here, 'zonehookd_gate_answers_total{answer="allow",code="drain') == before + 1
    both_in(here)
    assert not here.routes()["drained"]


def test_a_halt_of_a_zone_without_routes_waits_for_nothing(here: Proxied) -> None:
    before = metric(here, 'zonehookd_gate_answers_total{answer="allow",code="drain')
    here.halt("plain")
    assert metric(here, 'zonehookd_gate_answers_total{answer="allow",code="drain') == before
    here.host.do("zoneadm", "-z", "plain", "boot")
