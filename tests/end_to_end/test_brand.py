"""A brand with the gate: made anew, taken out to the byte, damaged, without its program; zones that were up before."""

from __future__ import annotations

import re
import signal

import pytest
from gated import BRAND, STATE, bare, enable, look, metric, state
from machine import Daemon, Machine, until

pytestmark = pytest.mark.namespaces


@pytest.fixture
def plain(daemon: Daemon) -> Daemon:
    daemon.start()
    return daemon


@pytest.fixture
def daemon_of(host: Machine) -> Daemon:
    daemon = Daemon(host)
    daemon.start()
    return daemon


def test_an_update_of_the_brand_gets_the_gate_again(machine: Machine, plain: Daemon) -> None:
    update = look(machine).replace("/sbin/init", "/sbin/init2").split("\n", 1)[1]
    enable(plain)
    assert STATE not in update
    install = f"cat > {BRAND}.new; chmod 444 {BRAND}.new; touch -d @1700000000.5 {BRAND}.new; mv {BRAND}.new {BRAND}"
    machine.do("sh", "-c", install, stdin=update)
    packaged = look(machine)
    machine.zone("web1", "web1_0", "10.1.0.5/24")
    row = plain.ctl("brand", "status", "sparse")["brands"][0]
    assert row["gate"] == "remade" and "an update of its package" in row["text"], row
    assert f"{STATE}/gate" in look(machine)
    assert machine.run("zoneadm", "-z", "web1", "install").status == 0, "the brand is good"
    plain.stop(signal.SIGKILL)
    machine.do("sh", "-c", install, stdin=update)
    plain.start()
    until(lambda: f"{STATE}/gate" in look(machine), "made anew at its start")
    assert plain.ask("brand", "disable", "sparse").status == 0
    assert look(machine) == packaged


def test_disabled_it_is_what_the_package_made_it(machine: Machine, plain: Daemon) -> None:
    before = look(machine)
    enable(plain)
    assert look(machine) != before
    machine.zone("web1", "web1_0", "10.1.0.5/24")
    machine.do("zoneadm", "-z", "web1", "install")
    machine.do("zoneadm", "-z", "web1", "boot")
    done = plain.ask("brand", "disable", "sparse")
    assert done.status == 0 and "as it was before the gate" in done.out and "web1: up" in done.out, done
    assert look(machine) == before

    def asking() -> list[str]:
        (row,) = plain.ctl("brand", "status", "sparse")["brands"]
        assert (row["enabled"], row["gate"]) == (False, "none")
        zones: list[str] = row["old_hooks"]
        return zones

    assert asking() == ["web1"]
    machine.do("zoneadm", "-z", "web1", "halt")  # by the hooks it was booted with
    until(lambda: asking() == [], "it asks no more")
    machine.do("zoneadm", "-z", "web1", "boot")
    assert metric(machine, 'zonehookd_gate_answers_total{answer="allow",code="not-guarded",word="halt"}') == 1
    enable(plain)
    plain.machine.signal(plain.pid, signal.SIGSTOP)
    done = plain.ask("--timeout", "1", "brand", "disable", "sparse")
    assert done.status == 1 and "is running already" in done.err, done
    done = plain.ask("--timeout", "1", "brand", "status", "sparse")
    assert done.status == 0 and re.search(r"^sparse +in place +- +web1", done.out, re.MULTILINE), done
    assert "did not answer brand-status in 1 s" in done.err and "([guard] boot); a halt goes on" in done.out, done
    plain.machine.signal(plain.pid, signal.SIGCONT)
    plain.stop(signal.SIGKILL)
    row = plain.ctl("brand", "status", "sparse")["brands"][0]
    assert (row["enabled"], row["gate"], row["zones"], row["old_hooks"]) == (True, "in place", None, ["web1"]), row
    machine.do("mv", f"{STATE}/gate", f"{STATE}/elsewhere")
    done = plain.ask("brand", "status")
    assert done.status == 1 and "uninstalls are refused" in " ".join(done.out.split()), done
    machine.do("mv", f"{STATE}/elsewhere", f"{STATE}/gate")
    done = plain.ask("brand", "disable", "sparse")
    assert done.status == 0 and "as it was before the gate" in done.out, done
    assert look(machine) == before
    assert plain.ask("brand", "enable", "sparse").status == 3


@pytest.mark.parametrize("spoil", ["echo '<brand' >", "rm -f"])
def test_a_brand_whose_file_is_damaged_is_said_and_mended(machine: Machine, plain: Daemon, spoil: str) -> None:
    before = look(machine)
    enable(plain)
    assert plain.ask("status").status == 0
    machine.do("sh", "-c", f"{spoil} {BRAND}")
    done = plain.ask("status")
    assert done.status == 1 and "without its gate: brand sparse: " in done.out and BRAND in done.out, done
    done = plain.ask("brand", "enable", "sparse")
    assert done.status == 1 and "pkg fix" in done.err and "zonehookctl brand disable sparse" in done.err, done
    done = plain.ask("brand", "status")
    assert done.status == 1 and re.search(rf"^sparse +missing +0 +- +{BRAND}: it is ", done.out, re.MULTILINE), done
    done = plain.ask("brand", "disable", "sparse")
    assert done.status == 0 and "what was kept of it is back" in done.out, done
    assert look(machine) == before
    assert plain.ask("status").status == 0
    enable(plain)
    machine.do("sh", "-c", f"{spoil} {BRAND}")
    plain.stop(signal.SIGKILL)
    done = plain.ask("brand", "disable", "sparse")
    assert done.status == 0 and "what was kept of it is back" in done.out, done
    assert look(machine) == before


def test_lost_books_and_a_lost_program(machine: Machine, plain: Daemon) -> None:
    before = look(machine)
    enable(plain)
    plain.stop(signal.SIGKILL)
    machine.do("rm", "-r", f"{STATE}/brand", f"{STATE}/gate")
    plain.start()
    until(lambda: machine.run("test", "-x", f"{STATE}/gate").status == 0, "the program is there again")
    row = plain.ctl("brand", "status", "sparse")["brands"][0]
    assert row["enabled"] and row["gate"] == "in place", row
    machine.zone("web1", "web1_0", "10.1.0.5/24")
    machine.do("zoneadm", "-z", "web1", "install")
    machine.do("zoneadm", "-z", "web1", "boot")
    assert plain.ask("brand", "disable", "sparse").status == 0
    assert look(machine).split("\n", 1)[1] == before.split("\n", 1)[1]


def test_without_its_program_zones_boot_and_halt_and_are_not_uninstalled(host: Machine, daemon_of: Daemon) -> None:
    """The folder was deleted, restored without it, or its dataset is not mounted; and no daemon puts it there again."""
    before = look(host)
    enable(daemon_of)
    bare(host, "web1")
    host.do("zoneadm", "-z", "web1", "boot")  # its zoneadmd has the hooks
    daemon_of.stop(signal.SIGKILL)
    host.do("rm", "-r", STATE)
    for verb, after in (("reboot", "running"), ("shutdown", "installed"), ("boot", "running"), ("halt", "installed")):
        done = host.run("zoneadm", "-z", "web1", verb)
        assert (done.status, done.out, done.err) == (0, "", ""), (verb, done)
        assert state(host, "web1") == after, verb
    done = host.run("zoneadm", "-z", "web1", "uninstall", "-F")
    assert done.status == 1 and state(host, "web1") == "installed", done
    assert f"zonehookd: uninstall of zone web1 is refused: {STATE}/gate is missing" in done.err, done
    assert "zonehookctl brand disable" in done.err
    daemon_of.start()
    until(lambda: host.run("test", "-x", f"{STATE}/gate").status == 0, "the program is there again")
    row = daemon_of.ctl("brand", "status", "sparse")["brands"][0]
    assert row["enabled"] and row["gate"] == "in place", row
    host.do("zoneadm", "-z", "web1", "boot")
    host.do("zoneadm", "-z", "web1", "halt")
    assert metric(host, 'zonehookd_gate_answers_total{answer="allow",code="not-attached",word="ready"}') == 1
    host.do("zoneadm", "-z", "web1", "uninstall", "-F")
    daemon_of.stop(signal.SIGKILL)
    host.do("rm", "-r", STATE)
    done = daemon_of.ask("brand", "disable", "sparse")
    assert done.status == 0, done
    assert look(host).split("\n", 1)[1] == before.split("\n", 1)[1]


def test_what_is_removed_under_a_daemon_comes_back(machine: Machine, plain: Daemon) -> None:
    enable(plain)
    machine.zone("web1", "web1_0", "10.1.0.5/24")
    until(lambda: "web1_0" in machine.links(), "its link")
    machine.do("zoneadm", "-z", "web1", "install")
    boot = machine.read("/var/run/zonehookd/hooks.boot")
    machine.do("mkdir", f"{STATE}/gate.new")  # so that it cannot be made at once
    machine.do("rm", "-r", "/var/run/zonehookd", f"{STATE}/gate")
    until(lambda: plain.ask("status").status == 1, "it can be asked again, and says that something is missing")
    for words in (("status",), ("brand", "status")):
        done = plain.ask(*words)
        assert done.status == 1 and "uninstalls are refused" in " ".join(done.out.split()), done
    machine.do("rmdir", f"{STATE}/gate.new")
    until(lambda: plain.ask("status").status == 0, "the program is there again")
    assert machine.run("test", "-S", "/var/run/zonehookd/gate.sock").status == 0, "and its socket"
    assert machine.do("stat", "-c", "%a", "/var/run/zonehookd", "/var/run/zonehookd/plugins").split() == ["700", "700"]
    assert machine.read("/var/run/zonehookd/hooks.boot") == boot, "the host has not booted"
    machine.do("zoneadm", "-z", "web1", "boot")
    assert metric(machine, 'zonehookd_gate_answers_total{answer="allow",code="ready",word="ready"}') == 1
    assert metric(machine, "zonehookd_gate_alone_total") == 0
    said = {each["event"] for each in plain.lines()}
    assert said >= {"removed under us, and made anew", "the gate program was missing, and is there again"}, said


def test_what_the_brand_says_and_how_it_ends_is_its_own(host: Machine, daemon_of: Daemon) -> None:
    hook = "/usr/lib/brand/sparse/prestate"
    script = '#!/bin/sh\necho "the brand: $# $*"\necho trouble >&2\n[ "$4" != 0 ] || exit 3\n'
    host.do("sh", "-c", f"cat > {hook}.new; chmod 755 {hook}.new; mv {hook}.new {hook}", stdin=script)
    bare(host, "web1")
    without = host.run("zoneadm", "-z", "web1", "boot")
    assert without.status == 1 and "zone 'web1': the brand: 4 web1 /zones/web1 2 0" in without.err, without
    enable(daemon_of)
    assert host.run("zoneadm", "-z", "web1", "boot") == without
    host.do("sh", "-c", f"sed 's/exit 3/kill -9 $$/' {hook} > {hook}.new; chmod 755 {hook}.new; mv {hook}.new {hook}")
    killed = host.run("zoneadm", "-z", "web1", "boot")
    assert killed.status == 1 and "unexpectedly terminated due to signal 9" in killed.err, killed


def test_zones_that_were_up_have_it_from_their_next_boot_on(machine: Machine, plain: Daemon) -> None:
    for name, address in (("web1", "10.1.0.5/24"), ("web2", "10.1.0.6/24")):
        machine.zone(name, f"{name}_0", address)
        until(lambda name=name: f"{name}_0" in machine.links(), "its link")  # type: ignore[misc]
        machine.do("zoneadm", "-z", name, "install")
        machine.do("zoneadm", "-z", name, "boot")
    plain.settle()
    enable(plain)

    def old() -> list[str]:
        rows: list[str] = plain.ctl("brand", "status", "sparse")["brands"][0]["old_hooks"]
        return rows

    assert old() == ["web1", "web2"]
    machine.do("zoneadm", "-z", "web1", "halt")
    until(lambda: old() == ["web2"], "web1 is down")
    machine.do("zoneadm", "-z", "web1", "boot")
    assert metric(machine, 'zonehookd_gate_answers_total{answer="allow",code="ready",word="ready"}') == 1
    assert old() == ["web2"]


def test_what_cannot_have_the_gate_is_refused_with_the_reason(machine: Machine, plain: Daemon) -> None:
    machine.do("sed", "-i", "s|/sparse/prestate %z %R</p|/sparse/prestate %z \\&amp;\\&amp; true</p|", BRAND)
    before = look(machine)
    done = plain.ask("brand", "enable", "sparse")
    assert done.status == 1 and "prestatechange is more than plain words" in done.err and BRAND in done.err, done
    assert look(machine) == before
    folder = "/usr/lib/brand/ipkg"
    machine.do("mount", "--bind", folder, folder)
    machine.do("mount", "-o", "remount,bind,ro", folder)
    done = plain.ask("brand", "enable", "ipkg")
    assert done.status == 1 and "Read-only file system" in done.err and "there is no gate" in done.err, done
    assert not plain.ctl("brand", "status", "ipkg")["brands"][0]["enabled"]
    machine.do("umount", folder)
    assert plain.ask("brand", "enable", "ipkg").status == 0
    assert plain.ask("brand", "enable", "nobody").status == 1
    assert plain.ask("brand", "status", "nobody").status == 1
    assert plain.ask("brand", "status").status == 0
