"""The net resources of a zone: our words, played by the lab, and what failures mean (zones sheet 4)."""

from __future__ import annotations

from ipaddress import ip_address, ip_interface

import pytest
from fixtures import Admin
from lab.dispatch import run_text
from lab.world import World

from zonehookd.illumos import zonecfg, zonefiles
from zonehookd.model.command import Change

A, B, GW = ip_interface("10.0.0.5/24"), ip_interface("10.0.0.6/24"), ip_address("10.0.0.1")


def change(world: World, step: Change) -> tuple[bool, bool]:
    """(as it should be, worth trying again)"""
    done = run_text(world, list(step.argv))
    if done.status == 0:
        assert done.err == ""
        return True, False
    said = step.judge(done.status, done.err.strip())
    return said.done, said.again


def nics(world: World) -> dict[str, tuple[str, ...]]:
    config = zonefiles.parse_zone(world.path("/etc/zones/web1.xml").read_bytes())
    return {nic.link: tuple(str(address) for address in nic.addresses) for nic in config.nics}


def test_nics_come_and_go_and_twice_is_as_good_as_once(world: World, admin: Admin) -> None:
    admin.zone("web1", "set physical=other0; set allowed-address=10.1.0.1/24")
    other = {"other0": ("10.1.0.1/24",)}
    for _ in range(2):
        assert change(world, zonecfg.add_net("web1", "v0", why=""))[0]
    assert nics(world) == {**other, "v0": ()}
    assert change(world, zonecfg.set_addresses("web1", "v0", A, GW, why=""))[0]
    assert nics(world) == {**other, "v0": ("10.0.0.5/24",)}
    assert 'defrouter="10.0.0.1"' in world.path("/etc/zones/web1.xml").read_text()
    assert change(world, zonecfg.set_addresses("web1", "v0", B, why=""))[0]
    assert nics(world) == {**other, "v0": ("10.0.0.6/24",)}
    assert "defrouter" not in world.path("/etc/zones/web1.xml").read_text()
    assert change(world, zonecfg.set_addresses("web1", "v0", None, why=""))[0]
    assert nics(world) == {**other, "v0": ()}
    for _ in range(2):
        assert change(world, zonecfg.remove_net("web1", "v0", why=""))[0]
    assert nics(world) == other


def test_a_second_address_is_a_second_resource(world: World, admin: Admin) -> None:
    admin.zone("web1")
    for _ in range(2):
        assert change(world, zonecfg.add_net("web1", "v0", allowed=A, defrouter=GW, why=""))[0]
        assert change(world, zonecfg.add_net("web1", "v0", allowed=B, why=""))[0]
    assert nics(world) == {"v0": ("10.0.0.5/24", "10.0.0.6/24")}
    before = world.path("/etc/zones/web1.xml").read_text()
    assert not change(world, zonecfg.set_addresses("web1", "v0", None, why=""))[0], "which of the two?"
    assert world.path("/etc/zones/web1.xml").read_text() == before


def test_a_link_or_a_zone_that_is_not_there(world: World, admin: Admin) -> None:
    admin.zone("web1")
    assert not change(world, zonecfg.set_addresses("web1", "v0", A, GW, why=""))[0]
    assert nics(world) == {}, "the words after a select that failed do nothing"
    assert change(world, zonecfg.add_net("web2", "v0", why="")) == (False, False)
    assert change(world, zonecfg.remove_net("web2", "v0", why=""))[0], "a zone that is gone has no NIC"


def test_what_zonecfg_would_refuse_is_refused_before() -> None:
    with pytest.raises(ValueError, match="not a legal link name"):
        zonecfg.add_net("web1", "v0; delete -F; x0", why="")
    with pytest.raises(ValueError, match="without an allowed address"):
        zonecfg.set_addresses("web1", "v0", None, GW, why="")


@pytest.mark.parametrize(
    ("status", "err", "again", "busy"),
    [
        (1, "web1: cannot add in read-only mode.", False, False),
        (1, "Zone web1 failed to verify\nweb1: Required property missing\nConfiguration not saved.", False, False),
        (1, "web1: Locking index file", True, True),
        (1, "web1: Problem saving file", True, False),
        (2, "web1: Bogus zone name", False, False),
    ],
)
def test_what_a_failure_means(status: int, err: str, again: bool, busy: bool) -> None:
    said = zonecfg.add_net("web1", "v0", why="").judge(status, err)
    assert (said.again, said.busy, said.done) == (again, busy, False)
