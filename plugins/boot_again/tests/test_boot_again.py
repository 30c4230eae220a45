"""One second chance, and only where we can say why."""

from __future__ import annotations

import pytest
from fixtures import Admin, Build

from zonehookd.engine.boots import Boots, Motion
from zonehookd.model.zone import Zone, ZoneState

FAILED = ("initialized", "ready", "shutting_down", "shutting_down", "uninitialized")


def boots(*story: str) -> bool:
    kept = Boots()
    for word in story:
        if word == "made":
            kept.made("web1")
        else:
            kept.heard("web1", word, 0.0, at_rest=False)
    return "web1" in kept.motion(1.0).missed


@pytest.mark.parametrize(
    ("story", "missed"),
    [
        ((*FAILED, "made"), True),
        (("initialized", "ready", "made", "shutting_down", "uninitialized"), True),
        (FAILED, False),  # it failed, and not for want of anything of ours
        (("made", *FAILED), False),  # what it lacked was there before
        (
            ("initialized", "ready", "running", "shutting_down", "uninitialized", "made"),
            False,
        ),  # it ran, and was halted
        ((*FAILED, "made", "initialized", "ready", "running"), False),  # the admin was faster
        ((*FAILED, "made", *FAILED), False),  # the second chance did not help
        (("uninitialized", "made"), False),  # the end of something whose beginning we did not hear
    ],
)
def test_which_boots_are_missed(story: tuple[str, ...], missed: bool) -> None:
    assert boots(*story) is missed


def test_a_zone_that_had_all_it_needs_is_not_booted_again() -> None:
    """`zoneadm ready`, then `halt`: the same events, and nobody wants it to run."""
    kept = Boots()
    for word in FAILED:
        kept.heard("web1", word, 0.0, at_rest=True)
    kept.made("web1")
    assert kept.motion(1.0).missed == frozenset()


def test_a_zone_is_in_motion_for_a_while_after_the_kernel_spoke_of_it() -> None:
    kept = Boots()
    kept.heard("web1", "shutting_down", 0.0, at_rest=True)
    kept.heard("web2", "echo", 0.0, at_rest=True)
    assert kept.motion(1.0).moving == {"web1"} and kept.motion(3.0).moving == frozenset()


def test_a_second_chance_is_given_once() -> None:
    kept = Boots()
    for word in FAILED:
        kept.heard("web1", word, 0.0, at_rest=False)
    kept.made("web1")
    assert kept.motion(1.0).missed == {"web1"}
    with kept.again("web1"):
        kept.made("web1")
    assert kept.motion(1.0).missed == frozenset()


@pytest.mark.parametrize("state", [ZoneState.ABSENT, ZoneState.CONFIGURED, None])
def test_a_zone_that_is_not_installed_any_more_is_forgotten(state: ZoneState | None) -> None:
    kept = Boots()
    for word in FAILED:
        kept.heard("web1", word, 0.0, at_rest=False)
    kept.made("web1")
    found = {"web1": Zone("web1", state)} if state else {}
    kept.seen(found, -1.0)
    assert kept.motion(1.0).missed == {"web1"}, "a look that began before the boot knows nothing of it"
    kept.seen(found, 1.0)
    assert kept.motion(1.0).missed == frozenset()


def test_after_some_seconds_it_is_forgotten() -> None:
    kept = Boots()
    for word in FAILED:
        kept.heard("web1", word, 100.0, at_rest=False)
    kept.made("web1")
    assert kept.motion(119.0).missed == {"web1"} and kept.motion(121.0).missed == frozenset()
    assert kept.motion(119.0).missed == frozenset()


def test_the_zone_is_booted_when_its_link_is_there(admin: Admin, engine: Build) -> None:
    admin.by_address("web1", "web1_0", "10.1.0.5/24")
    assert admin.sh("zoneadm", "-z", "web1", "boot").status == 1, "there is no link yet"
    ours = engine({"plugins": {"enabled": ["etherstub", "vnic", "boot_again"]}}, dmz="10.1.0.0/24")
    ours.motion = Motion(missed=frozenset({"web1"}))
    assert ours.steps()[-1] == "zoneadm -z web1 boot"
    ours.look()
    assert admin.do("zoneadm", "-z", "web1", "list", "-p").split(":")[2] == "running"
    assert not [step for step in ours.steps() if "zoneadm" in step], "a zone that runs is left alone"


def test_a_zone_that_nobody_booted_is_not_booted(admin: Admin, engine: Build) -> None:
    admin.by_address("web1", "web1_0", "10.1.0.5/24")
    ours = engine({"plugins": {"enabled": ["etherstub", "vnic", "boot_again"]}}, dmz="10.1.0.0/24")
    ours.converge()
    assert admin.do("zoneadm", "-z", "web1", "list", "-p").split(":")[2] == "installed"


def failed() -> Boots:
    kept = Boots()
    for word in FAILED:
        kept.heard("web1", word, 0.0, at_rest=False)
    kept.made("web1")
    return kept


def test_a_gate_that_asks_has_no_boot_before_it() -> None:
    """Whoever asks boots now: nobody boots the zone beside him, and its links are at home."""
    kept = failed()
    assert kept.motion(1.0) == Motion(frozenset({"web1"}), frozenset({"web1"}))
    assert not kept.asked("web1")
    assert kept.motion(1.0) == Motion()


def test_a_gate_that_asks_for_our_own_boot_is_told_so() -> None:
    kept = failed()
    with kept.again("web1"):
        assert kept.asked("web1"), "who waited for our steps here would wait for himself"
    assert not kept.asked("web1")
