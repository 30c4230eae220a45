"""A zone that goes down by its own hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.dispatch import NOT_EMULATED, paper_world, run_text
from lab.world import World


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = paper_world(str(tmp_path))
    made = "create -b; set zonepath=/zones/z; set brand=sparse; set ip-type=exclusive"
    for argv in (["zonecfg", "-z", "z", made], ["zoneadm", "-z", "z", "install"], ["zoneadm", "-z", "z", "boot"]):
        assert run_text(world, argv).status == 0
    return world


def listed(world: World) -> list[str]:
    return run_text(world, ["zoneadm", "-z", "z", "list", "-p"]).out.split(":")[:3]


@pytest.mark.parametrize("command", ["halt", "poweroff"])
def test_halt_from_inside(world: World, command: str) -> None:
    heard = world.channel.subscribe()
    assert heard is not None
    run_text(world, [command], zone="z")
    assert listed(world) == ["-", "z", "installed"]
    states = [event.newstate for event in heard.pending]
    assert states[0] == "shutting_down" and states[-1] == "uninitialized"


def test_reboot_from_inside_is_another_incarnation(world: World) -> None:
    before = listed(world)
    run_text(world, ["reboot"], zone="z")
    assert listed(world)[1:] == ["z", "running"] and listed(world)[0] != before[0]


def test_the_whole_host_does_not_go_down(world: World) -> None:
    done = run_text(world, ["reboot"])
    assert done.status == NOT_EMULATED and done.err.startswith("zonelab: not emulated: ")
    assert run_text(world, ["halt", "-q"], zone="z").status == NOT_EMULATED
