"""What is said of a gate that is in a brand and does not work."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from brand_host import Host
from fixtures import Admin
from lab.dispatch import paper_world
from paper import Engine

from zonehookd.engine.dispatcher import Dispatcher
from zonehookd.engine.timing import Timing
from zonehookd.gate.gate import Gate, Tools


def test_a_brand_whose_program_is_missing_does_not_ask(host: Host, program: Path) -> None:
    """By the words of `brand status`, which `guard status` has too."""
    root = host.state.parent
    (root / "host").mkdir()
    host.run.mkdir()
    ours = Engine(Admin(paper_world(str(root / "host"))).world, root / "state.db", {"dmz": {"cidr": "10.1.0.0/24"}})
    asyncio.run(story(ours, host, program.read_bytes()))


async def story(ours: Engine, host: Host, program: bytes) -> None:
    timing = Timing(full_look_s=3600, pace_s=0.001, retry_max_s=0.2)
    engine = (ours.store, ours.survey, ours.reconciler, ours.applier, timing, [], lambda: None)
    unused: Any = None
    tools = Tools(
        Dispatcher(ours._look, *engine), ours._look, ours.commands, host.state, host.run, lambda: "allow", unused,
        unused, unused, unused, lambda: False, host.brands,
    )  # fmt: skip
    path = host.state / "gate"
    gate = Gate(tools)
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
