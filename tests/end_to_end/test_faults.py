"""Things go wrong: the daemon is killed, commands fail, hang or are busy, events are lost, books are lost."""

from __future__ import annotations

import signal
from typing import Any

import pytest
from machine import NETWORKS, Daemon, Machine, until

pytestmark = pytest.mark.namespaces

POLL = "[timing]\npoll_s = 0.5\nfull_look_s = 1.0\nabsence_s = 0.2\nretry_max_s = 1.0\n"


def story(machine: Machine, daemon: Daemon) -> tuple[list[str], list[str]]:
    """Wire two zones, then clear one away: the links after each, however often the daemon dies on the way."""
    machine.zone("web1", "web1_0", "10.1.0.5/24")
    machine.zone("web2", "web2_0", "10.1.0.6/24")
    keep_alive_until(machine, daemon, lambda: {"web1_0", "web2_0", "dmz0", "back0"} <= set(machine.links()))
    wired = machine.links()
    machine.do("zonecfg", "-z", "web1", "delete", "-F")
    keep_alive_until(machine, daemon, lambda: "web1_0" not in machine.links())
    return wired, machine.links()


def keep_alive_until(machine: Machine, daemon: Daemon, check: object) -> None:
    """What SMF does: whoever dies is started again."""

    def step() -> bool:
        if machine.wait(daemon.pid, 0.0) is not None:
            daemon.start(wait=False)
        assert callable(check)
        return bool(check())

    until(step, f"the end state: {daemon.tail()}", 120.0)


@pytest.mark.parametrize("moment", ["caller-before", "caller-after"])
def test_sigkill_at_every_command_boundary(moment: str) -> None:
    """One host per boundary would cost minutes: one host per moment, the daemon killed at every command it ever runs
    until the end state is reached, so each start gets exactly one changing command further."""
    machine = Machine()
    try:
        machine.do("dladm", "create-etherstub", "dmz1")
        machine.do("dladm", "create-vnic", "-l", "dmz1", "web1_00x1")
        foreign = machine.links()
        for verb in ("create-etherstub", "set-linkprop", "create-vnic", "delete-vnic"):
            machine.fault("add", moment, f"dladm {verb} *", "--times", "2")
        daemon = Daemon(machine, extra=POLL)
        daemon.start(wait=False)
        wired, cleared = story(machine, daemon)
        assert wired == sorted([*foreign, "back0", "dmz0", "web1_0", "web2_0"])
        assert cleared == sorted([*foreign, "back0", "dmz0", "web2_0"])
        daemon_deaths = sum(line.get("event") == "source up" for line in daemon.lines()) / 3
        assert daemon_deaths >= 4, "the faults struck"
        machine.fault("clear")  # the last may just have struck: it is started once more
        keep_alive_until(machine, daemon, lambda: (answer := daemon.ctl("status")) and answer["ready"])
        assert daemon.ctl("plan")["changes"] == 0
        assert machine.run("dladm", "show-vnic", "-p", "-o", "over", "web1_00x1").out.strip() == "dmz1"
    finally:
        machine.close()


@pytest.mark.parametrize(
    "fault",
    [
        ("busy", "dladm create-vnic *", "--times", "3"),
        ("again", "dladm create-vnic *", "--times", "3"),
        ("fail", "dladm create-vnic *", "--times", "2"),
        ("fail", "dladm create-etherstub *", "--times", "2"),
        ("fail", "zoneadm list *", "--times", "3"),
        ("slow", "dladm create-vnic * web1_0", "--seconds", "2"),
    ],
    ids=lambda fault: f"{fault[0]} {' '.join(fault[1].split()[:2])}",
)
def test_a_command_that_misbehaves_for_a_while(machine: Machine, fault: tuple[str, ...]) -> None:
    daemon = Daemon(machine, extra=POLL)
    machine.fault("add", *fault)
    machine.zone("web1", "web1_0", "10.1.0.5/24")
    machine.zone("web2", "web2_0", "10.1.0.6/24")
    daemon.start(wait=False)
    until(lambda: {"web1_0", "web2_0"} <= set(machine.links()), f"both wired: {daemon.tail()}")
    daemon.until_ready()


def test_one_zone_that_hangs_does_not_hold_up_the_others(machine: Machine) -> None:
    daemon = Daemon(machine, extra=POLL)
    daemon.start()
    machine.fault("add", "slow", "dladm create-vnic * slow_0", "--seconds", "55")
    machine.zone("slow", "slow_0", "10.1.0.5/24")
    until(lambda: daemon.ctl("status")["working"] == 1, "the slow one is at work")
    machine.zone("quick", "quick_0", "10.1.0.6/24")
    until(lambda: "quick_0" in machine.links(), "the quick one")
    assert "slow_0" not in machine.links()


def test_all_events_lost_costs_time_and_not_truth(machine: Machine) -> None:
    daemon = Daemon(machine, extra=POLL + "files_s = 60\n")
    daemon.start()
    machine.fault("lose-events")
    attribute = 'add attr; set name=zh.net0; set type=string; set value="dmz 10.1.0.5"; end'
    machine.do("zonecfg", "-z", "web1", "create -b; set zonepath=/zones/web1; set brand=sparse; set ip-type=exclusive; "
               f"add net; set physical=web1_0; end; {attribute}")  # fmt: skip
    until(lambda: "web1_0" in machine.links(), "wired by the poll alone")
    machine.do("zoneadm", "-z", "web1", "install")
    machine.do("zoneadm", "-z", "web1", "boot")
    show = ("dladm", "show-linkprop", "-c", "-o", "value", "-p", "allowed-ips", "web1_0")
    until(lambda: machine.do(*show).strip() == "10.1.0.5/32", "protected though no event told of the boot")


def test_each_source_may_die(machine: Machine) -> None:
    machine.do("sh", "-c", "mv /usr/lib/libzonecfg.so.1 /usr/lib/libzonecfg.so.away")
    daemon = Daemon(machine, extra=POLL)
    daemon.start()

    def channel() -> dict[str, Any]:
        return next((row for row in daemon.ctl("status")["sources"] if row["name"] == "zone-channel"), {})

    until(lambda: channel().get("up") is False and "libzonecfg.so.1" in channel()["text"], "it is said")
    machine.zone("web1", "web1_0", "10.1.0.5/24")
    until(lambda: "web1_0" in machine.links(), "wired without the channel")


@pytest.mark.parametrize("harm", ["corrupt", "missing"])
def test_lost_books_are_rebuilt_and_said_loudly(machine: Machine, harm: str) -> None:
    daemon = Daemon(machine, extra=POLL)
    machine.zone("web1", "web1_0", "10.1.0.5/24")
    machine.zone("gone", "gone_0", "10.1.0.6/24")
    daemon.start()
    machine.do("dladm", "create-vnic", "-l", "dmz0", "foreign0")
    assert daemon.stop() == 0
    if harm == "corrupt":
        machine.do(
            "sh", "-c", "head -c 20000 /dev/urandom > /var/lib/zonehookd/state.db; rm -f /var/lib/zonehookd/*-wal"
        )
    else:
        machine.do("rm", "-r", "/var/lib/zonehookd")
    machine.do("zonecfg", "-z", "gone", "delete", "-F")
    daemon.start()
    until(lambda: "gone_0" not in machine.links(), "the link of a zone that went meanwhile")
    assert {"web1_0", "foreign0", "dmz0"} <= set(machine.links())
    loud = [line for line in daemon.lines() if line["event"] == "records begun anew"][-1]
    assert loud["level"] == "warning" and loud["reclaimed"] == 2


def test_a_zone_that_cannot_be_read_is_set_aside_alone(machine: Machine) -> None:
    daemon = Daemon(machine, extra=POLL)
    daemon.start()
    machine.zone("web1", "web1_0", "10.1.0.5/24")
    until(lambda: "web1_0" in machine.links(), "the VNIC")
    machine.do("sh", "-c", "echo '<zone' > /etc/zones/web1.xml")
    machine.zone("web2", "web2_0", "10.1.0.6/24")
    until(lambda: {"web1_0", "web2_0"} <= set(machine.links()), "the other goes on, and nothing is taken away")
    until(lambda: any(row["trouble"] for row in daemon.ctl("zones") if row["name"] == "web1"), "it is said")


def test_the_daemon_stopped_dead_and_continued_catches_up(machine: Machine) -> None:
    daemon = Daemon(machine, NETWORKS, POLL)
    daemon.start()
    machine.signal(daemon.pid, signal.SIGSTOP)
    for number in range(5):
        machine.zone(f"z{number}", f"z{number}_0", f"10.1.0.{number + 5}/24")
    machine.do("zonecfg", "-z", "z0", "delete", "-F")
    machine.signal(daemon.pid, signal.SIGCONT)
    until(lambda: {f"z{number}_0" for number in range(1, 5)} <= set(machine.links()), "all wired")
    assert "z0_0" not in machine.links()
