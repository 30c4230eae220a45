"""One daemon per host, nothing lost at a kill, no log that can end it."""

from __future__ import annotations

import signal
import time

import pytest
from machine import Daemon, Machine, until

pytestmark = pytest.mark.namespaces


def test_a_second_daemon_is_refused_and_the_first_stays_reachable(machine: Machine, daemon: Daemon) -> None:
    daemon.start()
    second = Daemon(machine)
    second.start(wait=False)
    assert machine.wait(second.pid) == 78
    assert f"zonehookd is running already, as process {daemon.pid}" in daemon.tail()
    assert daemon.ctl("status")["ready"] is True


def test_a_state_folder_removed_under_a_daemon_is_written_anew(machine: Machine, daemon: Daemon) -> None:
    machine.zone("web1", "web1_0", "10.1.0.5/24")
    daemon.start()
    machine.do("rm", "-r", "/var/lib/zonehookd")
    until(lambda: machine.run("test", "-e", "/var/lib/zonehookd/declared.json").status == 0, "all of it", 60)
    second = Daemon(machine)
    second.start(wait=False)
    assert machine.wait(second.pid) == 78
    assert daemon.stop() == 0
    daemon.start()
    made = {row["name"]: row["made_by"] for row in daemon.ctl("links")}
    assert made["web1_0"] == "us"
    begun = [line for line in daemon.lines() if line["event"] == "records begun anew"]
    assert len(begun) == 1, "by the first start of all"


def test_killed_while_the_books_are_rebuilt_the_next_start_goes_on(machine: Machine, daemon: Daemon) -> None:
    machine.zone("web1", "web1_0", "10.1.0.5/24")
    daemon.start()
    assert daemon.stop() == 0
    machine.do("rm", "-r", "/var/lib/zonehookd")
    machine.fault("add", "slow", "zoneadm list *", "--seconds", "3", "--times", "100")
    daemon.start(wait=False)
    until(lambda: machine.run("test", "-e", "/var/lib/zonehookd/state.db").status == 0, "the new books")
    time.sleep(0.5)
    assert daemon.stop(signal.SIGKILL) == -signal.SIGKILL
    machine.fault("clear")
    daemon.start()
    assert {row["name"]: row["made_by"] for row in daemon.ctl("links")}["web1_0"] == "us"


def test_a_full_disk_under_the_log_ends_nothing(machine: Machine, daemon: Daemon) -> None:
    machine.do("ln", "-s", "/dev/full", "/var/log/full")
    daemon.log = "/var/log/full"
    daemon.start()
    machine.zone("web1", "web1_0", "10.1.0.5/24")
    until(lambda: "web1_0" in machine.links(), "the VNIC")
    assert daemon.stop() == 0


def test_a_reload_during_the_start_is_not_undone(machine: Machine, daemon: Daemon) -> None:
    machine.fault("add", "slow", "zoneadm list *", "--seconds", "6")
    daemon.start(wait=False)
    until(lambda: daemon.ctl("status"), "an answer")
    daemon.configure('[network.third]\ncidr = "10.3.0.0/24"\n')
    machine.signal(daemon.pid, signal.SIGHUP)
    daemon.until_ready()
    assert set(machine.links()) >= {"third0"} and "dmz0" not in machine.links()


def test_sigterm_does_not_wait_for_those_that_wait(machine: Machine, daemon: Daemon) -> None:
    daemon.start()
    machine.fault("add", "slow", "dladm create-vnic *", "--seconds", "3", "--times", "1000")
    for number in range(20):
        machine.zone(f"z{number}", f"z{number}_0", f"10.1.0.{number + 5}/24")
    until(lambda: daemon.ctl("status")["working"], "the first are at work")
    assert daemon.stop() == 0
    links = {f"z{number}_0" for number in range(20)}
    assert links - set(machine.links()), "whoever had not begun was not waited for"
    machine.fault("clear")
    daemon.start()
    assert links <= set(machine.links())


def test_the_audit_log_that_cannot_be_reopened_goes_on(machine: Machine, daemon: Daemon) -> None:
    daemon.start()
    machine.do(
        "sh", "-c", "mv /var/log/zonehookd/audit.jsonl /var/log/old.jsonl && mkdir /var/log/zonehookd/audit.jsonl"
    )
    machine.signal(daemon.pid, signal.SIGHUP)
    until(lambda: "audit log not reopened" in daemon.tail(), "it is said")
    machine.zone("web1", "web1_0", "10.1.0.5/24")
    until(lambda: "create-vnic" in machine.read("/var/log/old.jsonl"), "the old one goes on")
