"""What is said of a gate that is in a brand and does not work."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest
from brand_host import LATER_NS, Host, document
from fixtures import Admin
from lab.dispatch import paper_world
from paper import Engine

from zonehookd.engine.dispatcher import Dispatcher
from zonehookd.engine.timing import Timing
from zonehookd.gate import gate as gates
from zonehookd.gate.gate import Gate, Tools
from zonehookd.host.audit import Audit
from zonehookd.host.doors import Commands
from zonehookd.host.local import LocalHost
from zonehookd.host.process import Limits, Processes


def test_a_brand_whose_program_is_missing_does_not_ask(host: Host, program: Path) -> None:
    """By the words of `brand status`, which `guard status` has too."""
    asyncio.run(story(furnished(host), host, program.read_bytes()))


def test_what_a_package_put_there_again_is_seen_between_two_rounds(
    host: Host, program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gates, "_CHECK_S", 0.01)
    monkeypatch.setattr(gates, "_LOOK_AFTER", 1_000_000)
    asyncio.run(replaced(furnished(host), host, program.read_bytes()))


def furnished(host: Host) -> Engine:
    root = host.state.parent
    (root / "host").mkdir()
    host.run.mkdir()
    return Engine(Admin(paper_world(str(root / "host"))).world, root / "state.db", {"dmz": {"cidr": "10.1.0.0/24"}})


def gate_of(ours: Engine, host: Host, commands: Commands | None = None) -> Gate:
    timing = Timing(full_look_s=3600, pace_s=0.001, retry_max_s=0.2)
    engine = (ours.store, ours.survey, ours.reconciler, ours.applier, timing, [], lambda: None)
    unused: Any = None
    tools = Tools(
        Dispatcher(ours._look, *engine), ours._look, commands or ours.commands, host.state, host.run, lambda: "allow",
        unused, unused, unused, unused, lambda: False, host.brands,
    )  # fmt: skip
    return Gate(tools)


async def replaced(ours: Engine, host: Host, program: bytes) -> None:
    await ours._apply()
    (host.state / "gate").write_bytes(program)
    (host.state / "gate").chmod(0o700)
    audit = Audit(host.state / "audit.jsonl")
    gate = gate_of(ours, host, LocalHost(Processes(os.defpath, Limits()), audit, lambda *heard: None))
    gate._keeper.enable("sparse", [])
    running = asyncio.create_task(gate.run())
    try:
        async with asyncio.timeout(60):
            while gate._keeper.known("sparse")[0] != "in place":
                await asyncio.sleep(0.01)
            for version in ("2", "3"):  # the first may be found by the round itself
                host.package("sparse", document("sparse", version), LATER_NS)
                while host.file().read_bytes() != host.wanted(document("sparse", version)):
                    await asyncio.sleep(0.01)
    finally:
        running.cancel()
        await asyncio.wait([running])
        gate.close()
        audit.close()


async def story(ours: Engine, host: Host, program: bytes) -> None:
    path = host.state / "gate"
    gate = gate_of(ours, host)
    try:
        assert gate.stands_in("sparse") == (False, "")
        path.write_bytes(program)
        path.chmod(0o700)
        gate._keeper.enable("sparse", [])
        assert gate.stands_in("sparse") == (True, "") and gate.stands_in("lx") == (False, "")
        path.unlink()
        (row,) = gate._reply(["sparse"], "").brands
        assert gate.stands_in("sparse") == (False, f"brand sparse: {row.text}") and row.gate == "missing"
        assert row.text.startswith(f"the gate program {path} is missing; boots and halts ask nobody")
        path.write_bytes(program)
        path.chmod(0o700)
        assert gate.stands_in("sparse") == (True, "")
    finally:
        gate.close()
