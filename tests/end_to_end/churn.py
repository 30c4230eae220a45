"""Runs on a lab host and makes zones come and go behind a proxy, several at once, while others are at it already.

`python churn.py PLAN`: PLAN is JSON, the fields of `Plan`. A zone comes: it is booted, and once it is routed the file
of tests/traffic says that it must answer. It goes: from then on it may be missing under its own name, and is halted.
Prints one JSON object: what happened, and how many processes the proxy had.
"""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from zonehookd.bus.client import ask

RUN = Path("/var/run/zonehookd")
PATIENCE_S = 120.0
EITHER_S = 0.3  # after tests/traffic has read its file again: what it had asked before has its answer
# Outside: until each host has been answered by its zone.
ASK = """
import http.client, sys, time
deadline = time.monotonic() + 60
for zone in sys.argv[3:]:
    host = sys.argv[2].replace("@", zone)
    while True:
        try:
            connection = http.client.HTTPConnection(sys.argv[1], 80, timeout=5)
            connection.request("GET", "/", headers={"Host": host})
            answer = connection.getresponse()
            if answer.status == 200 and answer.read().decode().strip() == zone:
                break
        except OSError:
            pass
        if time.monotonic() > deadline:
            sys.exit(f"{host} is not answered by {zone}")
        time.sleep(0.02)
"""


@dataclasses.dataclass
class Plan:
    """`zones` come in this order, `at_once` together, round after round, until they have come `times` times.

    `at`: the proxy's address. `file`: what tests/traffic is to expect; `report`: what it says so far. `stay`: lines of
    the file at all times. `routes`: of each zone that comes, with ``@`` for its name; it is routed when it is ``in`` on
    all of them, and `host` is answered by it. `drain`: it is drained by hand before its halt, however long that takes;
    else by the gate, as far as that waits. `turns`: commands, one after each wave, over and over.
    """

    program: str
    at: str
    file: str
    report: str
    zones: list[str]
    times: int
    at_once: int
    stay: list[str]
    routes: list[str]
    host: str
    drain: bool
    turns: list[list[str]]


class Processes(threading.Thread):
    """How many the program has, looked at all the time."""

    def __init__(self, program: str) -> None:
        super().__init__(daemon=True)
        self._program = f"{program}\n"
        self.worst = 0

    def run(self) -> None:
        while True:
            self.worst = max(self.worst, self.now())
            time.sleep(0.25)

    def now(self) -> int:
        return sum(_comm(each) == self._program for each in Path("/proc").iterdir() if each.name.isdigit())


def _comm(process: Path) -> str:
    try:
        return (process / "comm").read_text()
    except OSError:
        return ""


class Churn:
    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.routed_s: list[float] = []  # from the end of zoneadm boot, each zone
        self.halted_s: list[float] = []  # zoneadm halt
        self._must: set[str] = set()
        self._may: set[str] = set()
        self._lock = threading.Lock()

    def run(self) -> None:
        plan = self.plan
        order = (plan.zones * (plan.times // len(plan.zones) + 1))[: plan.times]
        waves = [order[begin : begin + plan.at_once] for begin in range(0, plan.times, plan.at_once)]
        self.tell()
        with ThreadPoolExecutor(2) as both:
            before: list[str] = []
            for number, wave in enumerate([*waves, []]):
                coming, going = both.submit(self.come, wave), both.submit(self.go, before)
                coming.result()
                going.result()
                if plan.turns:
                    do(plan.turns[number % len(plan.turns)])
                before = wave

    def tell(self, *, must: Iterable[str] = (), may: Iterable[str] = (), gone: Iterable[str] = ()) -> None:
        """What tests/traffic is to expect, and does when this returns."""
        with self._lock:
            self._must = (self._must | set(must)) - set(may) - set(gone)
            self._may = (self._may | set(may)) - set(must) - set(gone)
            lines = [*self.plan.stay]
            for zones, mark in ((self._must, ""), (self._may, " either")):
                lines += [f"{self.plan.host.replace('@', zone)} / {zone}{mark}" for zone in sorted(zones)]
            fresh = Path(f"{self.plan.file}.new")
            fresh.write_text("".join(f"{line}\n" for line in lines))
            stamp = fresh.stat().st_mtime_ns
            fresh.replace(self.plan.file)
        deadline = time.monotonic() + PATIENCE_S
        while json.loads(Path(self.plan.report).read_text())["routes"]["mtime_ns"] < stamp:
            if time.monotonic() > deadline:
                sys.exit(f"{self.plan.file} is not read by tests/traffic")
            time.sleep(0.01)

    def come(self, zones: list[str]) -> None:
        if not zones:
            return
        waiting = dict(zip(zones, self.each("boot", zones), strict=True))
        deadline = time.monotonic() + PATIENCE_S
        while waiting:
            found = ask(RUN, "routes", timeout_s=30.0)
            seats = {(row["match"], seat["zone"]): seat for row in found["routes"] for seat in row["backends"]}
            now = time.monotonic()
            for zone in list(waiting):
                mine = [seats.get((match.replace("@", zone), zone), {}) for match in self.plan.routes]
                if all(seat.get("state") == "in" for seat in mine):
                    self.routed_s.append(now - waiting.pop(zone))
            if now > deadline:
                sys.exit(f"not routed: {waiting}: {[seats.get(key) for key in seats if key[1] in waiting]}")
            time.sleep(0.05)
        do(
            [
                "zonelab",
                "outside",
                "run",
                "--",
                "/usr/bin/python3",
                "-SE",
                "-c",
                ASK,
                self.plan.at,
                self.plan.host,
                *zones,
            ]
        )
        self.tell(may=zones)
        time.sleep(EITHER_S)  # who has asked before may hear of it yet
        self.tell(must=zones)

    def go(self, zones: list[str]) -> None:
        if zones:
            self.tell(may=zones)
            time.sleep(EITHER_S)
            if self.plan.drain:
                with ThreadPoolExecutor(len(zones)) as pool:
                    list(pool.map(drain, zones))
            began = time.monotonic()
            self.halted_s += [end - began for end in self.each("halt", zones)]
            self.tell(gone=zones)

    def each(self, verb: str, zones: list[str]) -> list[float]:
        """All at once; when each was done, by time.monotonic()."""

        def one(zone: str) -> float:
            do(["zoneadm", "-z", zone, verb])
            return time.monotonic()

        with ThreadPoolExecutor(max(1, len(zones))) as pool:
            return list(pool.map(one, zones))


def drain(zone: str) -> None:
    answer = ask(RUN, "drain", timeout_s=PATIENCE_S, zone=zone, for_s=60.0, reason="it goes", wait=True)
    if answer["still"]:
        sys.exit(f"not drained: {answer}")


def do(argv: list[str]) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{argv}: {done.returncode}: {done.stdout}{done.stderr}")


def main() -> None:
    plan = Plan(**json.loads(sys.argv[1]))
    processes = Processes(plan.program)
    first = processes.now()
    processes.start()
    churn = Churn(plan)
    began = time.monotonic()
    churn.run()
    report: dict[str, Any] = {"times": len(churn.halted_s), "seconds": round(time.monotonic() - began, 1)}
    for name, each in (("routed_s", churn.routed_s), ("halted_s", churn.halted_s)):
        ordered = sorted(each)
        report[name] = {"p50": round(ordered[len(ordered) // 2], 2), "max": round(ordered[-1], 2)}
    print(json.dumps({**report, "processes": {"first": first, "worst": processes.worst, "last": processes.now()}}))


if __name__ == "__main__":
    main()
