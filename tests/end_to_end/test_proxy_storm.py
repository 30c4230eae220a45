"""No request is lost while zones come and go: 500 requests a second, 200 long connections, over HTTP and TCP.

Several zones at once are booted with a route, are drained, and halted; weights change, attributes are taken out and put
back. Zones that come share a route with two that stay, which must always answer; under their own names they must answer
from the moment they are routed to the moment they are drained.
"""

from __future__ import annotations

import json
import sys

import pytest
from machine import ROOT, Machine
from proxied import Case, Proxied, Traffic, attribute

pytestmark = [pytest.mark.namespaces, pytest.mark.timeout(900)]

CASES = [Case("haproxy", "vanilla", "edge"), Case("nginx", "omnios", "edge")]
TIMES = 100  # as many as 150 s have room for on two busy cores; 200 by hand
AT_ONCE = 5
ZONES = TIMES // 3  # none comes more than three times a minute, or it would be held as flapping
DRAIN = True  # by hand before each halt: the gate alone waits for a second and a half, whatever else a machine does
RATE, LONG = 500, 200
WORST_MAX = 12  # processes of the proxy: old ones included
POOL, PORT, POOL_PORT = "pool.example.org", 5400, 5401
SHARE = (f"{POOL} group=pool", f"tcp={POOL_PORT} port=5432 group=pool")
# Run for each zone: configured, installed, and with a server.
CONFIGURE = """
zonecfg -z "$1" "create -b; set zonepath=/zones/$1; set brand=sparse; set ip-type=exclusive; \
add net; set physical=${1}_0; end; $2" && zoneadm -z "$1" install > /dev/null &&
zonelab answer "$1" --http 80 --tcp 5432
"""


def comers(here: Proxied, names: list[str]) -> None:
    """Zones that are configured, and wait for their first boot; each has its link."""
    attributes = {"zh.net0": "web", "zh.route0": "@.example.org", "zh.route1": SHARE[0], "zh.route2": SHARE[1]}
    resources = "".join(attribute(name, text) for name, text in attributes.items())
    argv = ["xargs", "-P", "4", "-I@", "sh", "-ec", CONFIGURE, "configure", "@", resources]
    done = here.host.run(*argv, stdin="".join(f"{name}\n" for name in names), timeout_s=300)
    assert done.status == 0, done
    here.until(lambda: {f"{name}_0" for name in names} <= set(here.host.links()), "each has its link")


@pytest.mark.parametrize("case", CASES, ids=str)
def test_no_request_is_lost(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    host = Machine(*(["--omnios"] if case.dialect == "omnios" else []))
    here = Proxied(host, case)
    try:
        here.begin()
        done = here.daemon.ask("brand", "enable", "sparse")
        assert done.status == 0, done
        here.declare()
        for name in ("keep1", "keep2"):
            own = (f"tcp={PORT} port=5432",) if name == "keep1" else ("extra.example.org",)
            here.zone(name, f"{name}.example.org", *SHARE, *own, answers="--http 80 --tcp 5432")
        names = [f"z{number}" for number in range(ZONES)]
        comers(here, names)
        everybody = ",".join(["keep1", "keep2", *names])
        stay = [
            "keep1.example.org / keep1 long", "keep2.example.org / keep2 long", f"tcp:{PORT} banner keep1 long",
            f"{POOL} / {everybody}", f"{POOL} /some/where {everybody}", f"tcp:{POOL_PORT} banner {everybody}",
        ]  # fmt: skip
        here.until(lambda: stays(here), "who stays is in")
        for name in ("keep1", "keep2"):
            here.until_answers(f"{name}.example.org", f"200 {name}")
        here.until_answers(POOL, {"200 keep1", "200 keep2"})
        here.until_answers("tcp", "keep1", port=PORT)
        here.until_answers("tcp", {"keep1", "keep2"}, port=POOL_PORT)
        here.until(here.quiet, "all is well")
        traffic = Traffic(here, stay, rate=RATE, long=LONG)
        traffic.until_up(LONG)
        before = here.told()
        plan = {
            "program": case.program, "file": Traffic.ROUTES, "report": Traffic.REPORT, "zones": names, "times": TIMES,
            "at_once": AT_ONCE,
            "stay": stay, "routes": ["@.example.org/", f"{POOL}/", f"tcp/{POOL_PORT}"], "host": "@.example.org",
            "at": here.at, "drain": DRAIN,
            "turns": turns(),
        }  # fmt: skip
        churn = [sys.executable, f"{ROOT}/tests/end_to_end/churn.py", json.dumps(plan)]
        done = host.run("env", f"PYTHONPATH={ROOT}", *churn, timeout_s=700)
        report = traffic.end()
        assert done.status == 0, f"{done}\n{brief(report)}\n{here.trouble()}"
        happened = json.loads(done.out)
        happened["told"] = dict(here.told() - before)
        with capsys.disabled():
            print(f"\n{case}: {happened}\n  {brief(report)}")
        assert report["failed"] == 0 and report["ok"] + report["allowed"] == report["sent"], report["examples"]
        assert report["long"]["cut"] == 0 and report["long"]["up"] == LONG, report["long"]["cuts"][:9]
        assert happened["processes"]["worst"] <= WORST_MAX, "old processes do not pile up"
        here.until(here.quiet, "all is well")
        here.until(lambda: stays(here), "and nobody else")
        assert here.daemon.stop() == 0
    finally:
        host.close()


def stays(here: Proxied) -> bool:
    """Who shares the routes now is who stays."""
    found = [here.seats(match) for match in (f"{POOL}/", f"tcp/{POOL_PORT}")]
    return all({zone for zone, state in seats.items() if state == "in"} == {"keep1", "keep2"} for seats in found)


def turns() -> list[list[str]]:
    """What else changes meanwhile, at zones that stay."""

    def of(zone: str, text: str) -> list[str]:
        return ["zonecfg", "-z", zone, text]

    return [
        of("keep1", f'select attr name=zh.route1; set value="{SHARE[0]} weight=3"; end'),
        of("keep2", "remove attr name=zh.route3"),
        of("keep1", f'select attr name=zh.route1; set value="{SHARE[0]}"; end'),
        of("keep2", attribute("zh.route3", "extra.example.org")),
    ]


def brief(report: dict[str, object]) -> dict[str, object]:
    keys = (
        "rate_reached",
        "ok",
        "allowed",
        "failed",
        "failures",
        "latency_ms",
        "lag_ms",
        "cpu_percent",
        "failures_by_host",
    )
    found = {key: report.get(key) for key in keys}
    found["failures"] = {kind: number for kind, number in dict(report.get("failures") or {}).items() if number}  # type: ignore[call-overload]
    long = dict(report.get("long") or {})  # type: ignore[call-overload]
    return {**found, "long": {key: long.get(key) for key in ("up", "cut", "cut_expected", "pongs", "not_opened")}}
