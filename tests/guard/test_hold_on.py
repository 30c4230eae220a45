"""A start with a configuration that was edited while nobody was there to refuse it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fixtures import Admin, Build
from paper import Engine
from paper_gateway import DB, EDGE, WAN, WEB, member
from paper_guard import silence

from zonehookd.answers import Condition
from zonehookd.checked import Checked
from zonehookd.config import Config
from zonehookd.declaration import declare
from zonehookd.errors import CannotObserve
from zonehookd.guard.declared import kept
from zonehookd.in_force import InForce
from zonehookd.metrics import Metrics


@pytest.fixture
def ours(admin: Admin, engine: Build) -> Engine:
    """Zone web1 on network web behind edge; nobody is on network db."""
    built = engine({"gateway": {"edge": EDGE}}, wan=WAN, web=WEB, db=DB)
    member(admin, "edge")
    member(admin, "web1", "web")
    built.converge(10)
    return built


def started(ours: Engine, state: Path, **networks: Any) -> InForce:
    """A start with these networks, after one with those of `ours`."""
    tables = {"wan": WAN, "web": WEB, "db": DB, **networks}

    def in_force(named: dict[str, Any]) -> InForce:
        tables = {name: table for name, table in named.items() if table}
        config = Config.model_validate(
            {"site": "paper", "paths": {"state": str(state)}, "network": tables, "gateway": {"edge": EDGE}}
        )
        dispatcher: Any = SimpleNamespace(survey=ours.survey)  # all of it that a start needs
        told = (Condition(state / "z.toml", ""), Metrics(0, 60.0))
        return InForce(
            state / "z.toml", Checked(config, declare(config), (), ()), dispatcher, ours._look, ours.files, ours.store,
            *told,
        )  # fmt: skip

    asyncio.run(in_force({"wan": WAN, "web": WEB, "db": DB}).hold_on())
    return in_force(tables)


def holds_on(there: InForce) -> tuple[set[str], str]:
    """The networks in force, and why not those of the file."""
    asyncio.run(there.hold_on())
    found = kept(there._files, there.config.paths.state, there.config)
    assert found is not None and found[1] == there.declared, "what is in force is kept for the next start"
    return {*there.declared.networks}, there._condition.config_error


def test_whom_it_would_cut_off_keeps_his_network(ours: Engine, tmp_path: Path) -> None:
    networks, error = holds_on(started(ours, tmp_path, web=None))
    assert networks == {"wan", "web", "db"} and "zone web1" in error
    assert holds_on(started(ours, tmp_path, db=None)) == ({"wan", "web"}, "")


def test_where_links_cannot_be_seen_it_is_asked_again(ours: Engine, tmp_path: Path) -> None:
    """Else one command that fails at a start decides what is in force until somebody reloads."""
    before = ours.commands
    fewer = started(ours, tmp_path, db=None)
    silence(ours, "dladm", "show-vnic")
    with pytest.raises(CannotObserve, match="was killed after 30 s"):
        asyncio.run(fewer.hold_on())
    ours.commands = before
    assert holds_on(fewer) == ({"wan", "web"}, "")


def test_what_takes_nothing_away_needs_no_look_at_links(ours: Engine, tmp_path: Path) -> None:
    looks = ours.commands.looks
    for networks, asked in (
        ({"new": {"cidr": "10.97.0.0/24"}}, False),
        ({"web": {**WEB, "cidr": "10.99.0.0/23"}}, False),
        ({"db": None}, True),
    ):
        there = started(ours, tmp_path / "-".join(networks), **networks)
        before = len(looks)
        assert holds_on(there)[1] == ""
        found = [argv[:2] for argv in looks[before:]]
        assert found[0] == ("zoneadm", "list") and (("dladm", "show-vnic") in found[1:]) is asked
        assert asked or len(found) == 1
