"""A halt that asks: the guard first, then the zone is taken out of its routes; it goes on whatever comes of that."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from fixtures import Admin
from lab.dispatch import paper_world
from paper import Engine

from zonehookd.engine.dispatcher import Dispatcher
from zonehookd.engine.timing import Timing
from zonehookd.gate.gate import Gate, Tools
from zonehookd.gate.server import Word
from zonehookd.model.guard import Operation, Verdict

Drain = Callable[[str, float], Awaitable[str]]
FREE = Verdict("web1", "halt", True, "not-guarded", "zone web1 is no declared gateway")
PERMITTED = Verdict("web1", "halt", True, "permitted", "halt of zone web1 is permitted")
DENIED = Verdict("web1", "halt", False, "dependents", "halt of gateway zone web1 is refused: zones depend on it")


def asked(
    root: Path, verdict: Verdict, drain: Drain, operation: Operation = "halt", judging_s: float = 0.0, **more: Any
) -> Word:
    """What the gate is told, by a daemon's gate with this guard and these routes. `more`: of its Tools."""
    (root / "host").mkdir()
    (root / "run").mkdir()
    (root / "brands").mkdir()
    ours = Engine(Admin(paper_world(str(root / "host"))).world, root / "state.db", {"dmz": {"cidr": "10.1.0.0/24"}})

    async def judge(zone: str, about: Operation) -> Verdict:
        await asyncio.sleep(judging_s)
        return verdict

    async def run() -> Word:
        timing = Timing(full_look_s=3600, pace_s=0.001, retry_max_s=0.2)
        engine = (ours.store, ours.survey, ours.reconciler, ours.applier, timing, [], lambda: None)
        dispatcher = Dispatcher(ours._look, *engine)
        ignore: Any = lambda *each: None  # noqa: E731
        tools = Tools(
            dispatcher, ours._look, ours.commands, root, root / "run", lambda: "allow", judge, drain, ignore, ignore,
            lambda: False, root / "brands", **more,
        )  # fmt: skip
        gate = Gate(tools)
        try:
            return await gate.may("web1", operation)
        finally:
            gate.close()

    return asyncio.run(run())


class Routes:
    """Remembers for how long it may take."""

    def __init__(self, code: str = "drained") -> None:
        self.code = code
        self.limits_s: list[float] = []

    async def drain(self, zone: str, limit_s: float) -> str:
        assert zone == "web1"
        self.limits_s.append(limit_s)
        return self.code


@pytest.mark.parametrize("code", ["drained", "drain-late"])
def test_a_zone_with_routes_is_drained_first(tmp_path: Path, code: str) -> None:
    routes, began = Routes(code), time.monotonic()
    assert asked(tmp_path, FREE, routes.drain) == Word(True, code)
    assert len(routes.limits_s) == 1 and 1.5 - (time.monotonic() - began) <= routes.limits_s[0] <= 1.5


def test_one_without_is_told_what_the_guard_says(tmp_path: Path) -> None:
    assert asked(tmp_path, FREE, Routes("").drain) == Word(True, "not-guarded")


def test_what_the_guard_has_to_say_is_not_lost(tmp_path: Path) -> None:
    word = asked(tmp_path, PERMITTED, Routes().drain)
    assert (word.code, word.lines) == ("permitted", ("zonehookd: halt of zone web1 is permitted",))


def test_a_halt_that_is_refused_drains_nobody(tmp_path: Path) -> None:
    routes = Routes()
    word = asked(tmp_path, DENIED, routes.drain)
    assert not word.allowed and word.code == "dependents" and not routes.limits_s


def test_an_uninstall_drains_nobody(tmp_path: Path) -> None:
    routes = Routes()
    assert asked(tmp_path, FREE, routes.drain, "uninstall").code == "not-guarded" and not routes.limits_s


@pytest.mark.parametrize("operation", ["halt", "uninstall"])
@pytest.mark.parametrize("stopping", [True, False])
def test_what_hooks_refuse_is_halted_where_the_host_stops_its_zones(
    tmp_path: Path, operation: Operation, stopping: bool
) -> None:
    """svc:/system/zones halts whom `zoneadm shutdown` did not stop, and waits for nobody (zones sheet 3.11)."""

    async def hooks(zone: str, moment: str, limit_s: float) -> Word:
        return Word(False, "hook-refused", ("zonehookd: no",))

    async def stops() -> bool:
        return stopping

    routes = Routes()
    word = asked(tmp_path, FREE, routes.drain, operation, hooks=hooks, stopping=stops)
    assert word.allowed is (stopping and operation == "halt")
    assert word.lines[0] == "zonehookd: no" and len(word.lines) == (2 if word.allowed else 1)
    assert word.code == ("drained" if word.allowed else "hook-refused") and bool(routes.limits_s) is word.allowed


def test_the_guards_own_time_is_part_of_it(tmp_path: Path) -> None:
    routes, began = Routes(), time.monotonic()
    asked(tmp_path, FREE, routes.drain, judging_s=0.6)
    assert 1.5 - (time.monotonic() - began) <= routes.limits_s[0] <= 0.9


def test_a_bug_in_the_routes_holds_up_no_halt(tmp_path: Path) -> None:
    async def broken(zone: str, limit_s: float) -> str:
        raise RuntimeError("broken")

    assert asked(tmp_path, FREE, broken) == Word(True, "not-guarded")
