"""The kernel's events: their sequences, and where they fall among the other steps [zones 2.2, 2.3]."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab import zoneadmd
from lab.call import Call
from lab.channel import Subscription
from lab.tests.zone_host import Host, drain
from lab.world import KernelZone, Refused, Status
from lab.zonefiles import state_of

READY = [("uninitialized", "initialized"), ("initialized", "ready")]
BOOT = [*READY, ("ready", "ready"), ("ready", "running")]
HALT = [
    ("running", "shutting_down"),
    ("shutting_down", "shutting_down"),
    ("shutting_down", "shutting_down"),
    ("shutting_down", "shutting_down"),
    ("shutting_down", "uninitialized"),
]
HALT_READY = [("ready", "shutting_down"), *HALT[1:]]


@pytest.fixture
def host(tmp_path: Path) -> Host:
    host = Host(tmp_path)
    host.install("web1")
    return host


@pytest.fixture
def events(host: Host) -> Subscription:
    subscription = host.world.channel.subscribe()
    assert subscription is not None
    return subscription


def steps(events: Subscription) -> list[tuple[str, str]]:
    return [(old, new) for old, new, _ in drain(events)]


def test_boot_and_halt(host: Host, events: Subscription) -> None:
    host.good("zoneadm", "-z", "web1", "boot")
    assert drain(events) == [(old, new, 1) for old, new in BOOT]
    host.good("zoneadm", "-z", "web1", "halt")
    assert drain(events) == [(old, new, 1) for old, new in HALT]


def test_ready_then_boot_then_halt(host: Host, events: Subscription) -> None:
    host.good("zoneadm", "-z", "web1", "ready")
    assert steps(events) == READY
    host.good("zoneadm", "-z", "web1", "boot")
    assert drain(events) == [("ready", "ready", 1), ("ready", "running", 1)]
    host.good("zoneadm", "-z", "web1", "halt")
    assert steps(events) == HALT
    host.good("zoneadm", "-z", "web1", "ready")
    host.good("zoneadm", "-z", "web1", "halt")
    assert steps(events) == READY + HALT_READY


@pytest.mark.parametrize("words", [("reboot",), ("shutdown", "-r")])
def test_a_reboot_is_a_halt_and_a_boot(host: Host, events: Subscription, words: tuple[str, ...]) -> None:
    host.good("zoneadm", "-z", "web1", "boot")
    drain(events)
    host.good("zoneadm", "-z", "web1", *words)
    assert drain(events) == [(old, new, 1) for old, new in HALT] + [(old, new, 2) for old, new in BOOT]


def test_a_halt_from_inside(host: Host, events: Subscription) -> None:
    host.good("zoneadm", "-z", "web1", "boot")
    drain(events)
    zoneadmd.uadmin(Call(host.world, ["halt"], zone="web1"), "web1")
    assert steps(events) == HALT


def test_no_event_for_what_only_files_tell(host: Host, events: Subscription) -> None:
    host.configure("db1")
    for words in (("install",), ("mark", "incomplete"), ("uninstall", "-F")):
        host.good("zoneadm", "-z", "db1", *words)
    host.good("zonecfg", "-z", "db1", "set bootargs=-v")
    host.good("zonecfg", "-z", "db1", "delete -F")
    assert drain(events) == []


def test_a_boot_that_fails_its_checks_sends_nothing(host: Host, events: Subscription) -> None:
    host.file("/zones/web1").chmod(0o755)
    assert host.zoneadm("web1", "boot").status == 1
    assert drain(events) == []


def test_a_boot_that_misses_a_link(host: Host, events: Subscription) -> None:
    host.good("zonecfg", "-z", "web1", "add net; set physical=v0; end")
    assert host.zoneadm("web1", "boot").status == 1
    assert steps(events) == READY + HALT_READY


def test_a_boot_whose_init_cannot_be_started(host: Host, events: Subscription, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(zone: KernelZone, words: list[str]) -> None:
        raise Refused("exec failed")

    monkeypatch.setattr(host.world.floor, "zone_start_init", fail)
    assert host.zoneadm("web1", "boot").status == 1
    assert steps(events) == [*READY, ("ready", "ready"), *HALT_READY]
    assert state_of(host.world, "web1") == "installed"


def test_a_zone_the_floor_cannot_make(host: Host, events: Subscription, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(zone: KernelZone, root: str) -> None:
        raise Refused("no namespaces")

    monkeypatch.setattr(host.world.floor, "zone_create", fail)
    done = host.zoneadm("web1", "boot")
    assert done.err == (
        "zone 'web1': unable to create zone: no namespaces\nzoneadm: zone 'web1': call to zoneadmd failed\n"
    )
    assert steps(events) == [("uninitialized", "initialized"), ("initialized", "uninitialized")]
    assert "web1" not in host.world.kernel_zones


def test_an_event_goes_out_before_the_status_is_stored(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, Status]] = []
    publish = host.world.channel.publish

    def watch(name: str, new: str, old: str, zoneid: int, subclass: str = "change") -> bool:
        seen.append((new, host.world.kernel_zones[name].status))
        return publish(name, new, old, zoneid, subclass)

    monkeypatch.setattr(host.world.channel, "publish", watch)
    host.good("zoneadm", "-z", "web1", "boot")
    assert seen == [
        ("initialized", Status.UNINITIALIZED),
        ("ready", Status.INITIALIZED),
        ("ready", Status.READY),
        ("running", Status.BOOTING),
    ]


def test_links_are_not_there_at_ready_but_at_running(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    host.vnic("v0")
    host.good("zonecfg", "-z", "web1", "add net; set physical=v0; end")
    seen: list[tuple[str, str]] = []
    publish = host.world.channel.publish

    def watch(name: str, new: str, old: str, zoneid: int, subclass: str = "change") -> bool:
        seen.append((f"{old}-{new}", host.world.links["v0"].zone))
        return publish(name, new, old, zoneid, subclass)

    monkeypatch.setattr(host.world.channel, "publish", watch)
    host.good("zoneadm", "-z", "web1", "boot")
    host.good("zoneadm", "-z", "web1", "halt")
    assert seen[1] == ("initialized-ready", "global")
    assert seen[3] == ("ready-running", "web1")
    assert seen[4] == ("running-shutting_down", "web1")
    assert seen[-1] == ("shutting_down-uninitialized", "global")


def test_a_full_channel_does_not_stop_a_boot(host: Host) -> None:
    host.world.channel.drop_all = True
    host.good("zoneadm", "-z", "web1", "boot")
    assert host.world.channel.dropped == 4
