"""The gate on a host: boots wait for their links and gateways are not uninstalled, with a daemon, without one, and with
one that hangs; and a brand is afterwards what its package made it."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Iterator

import pytest
from machine import Daemon, Done, Machine, until

pytestmark = pytest.mark.namespaces

BRAND = "/usr/lib/brand/sparse/config.xml"
STATE = "/var/lib/zonehookd"
BATCH, BATCHES = 20, 5  # and two dialects: 200 boots
GATEWAY = """
[network.wan]
cidr = "192.0.2.0/24"
uplink = "net0"
gateway = "192.0.2.1"
[network.web]
cidr = "10.99.0.0/24"
via = "edge"
[gateway.edge]
outside = "wan"
address = "192.0.2.10"
dhcp = "none"
dns = "none"
"""
ALL_AT_ONCE = """
for name in "$@"; do
    address=10.1.0.$((${name#z} % 200 + 10))
    zonecfg -z $name "create -b; set zonepath=/zones/$name; set brand=sparse; set ip-type=exclusive; \
add net; set physical=${name}_0; set allowed-address=$address/24; end" && zoneadm -z $name install || exit 1
    zoneadm -z $name boot 2>/dev/null
    echo $name $?
done
"""


def enable(daemon: Daemon, brand: str = "sparse") -> None:
    done = daemon.ask("brand", "enable", brand)
    assert done.status == 0 and "has the gate" in done.out, done


def member(host: Machine, name: str, network: str = "web") -> None:
    host.do("zonecfg", "-z", name, f"create -b; set zonepath=/zones/{name}; set brand=sparse; set ip-type=exclusive; "
            f'add net; set physical={name}_0; end; add attr; set name=zh.net0; set type=string; '
            f'set value="{network}"; end')  # fmt: skip
    host.do("zoneadm", "-z", name, "install")


def bare(host: Machine, name: str) -> None:
    host.do("zonecfg", "-z", name, f"create -b; set zonepath=/zones/{name}; set brand=sparse; set ip-type=exclusive")
    host.do("zoneadm", "-z", name, "install")


def state(host: Machine, zone: str) -> str:
    return host.do("zoneadm", "-z", zone, "list", "-p").split(":")[2]


def timed(host: Machine, *argv: str) -> tuple[Done, float]:
    began = time.monotonic()
    return host.run(*argv), time.monotonic() - began


def look(host: Machine, file: str = BRAND) -> str:
    """Content, mode, owner and time of a file."""
    return host.do("sh", "-c", f"stat -c '%a %u %g %.9Y' {file}; cat {file}")


def metric(host: Machine, name: str) -> float:
    fetch = "import urllib.request as r; print(r.urlopen('http://127.0.0.1:9631/metrics').read().decode())"
    text = host.do("/usr/bin/python3", "-c", fetch)
    return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith(name))


@pytest.fixture(params=["vanilla", "omnios"])
def host(request: pytest.FixtureRequest) -> Iterator[Machine]:
    machine = Machine(*(["--omnios"] if request.param == "omnios" else []))
    yield machine
    machine.close()


@pytest.fixture
def gateway(host: Machine) -> Daemon:
    """Gateway edge is installed, web1 behind it too; both have the gate."""
    daemon = Daemon(host, GATEWAY)
    daemon.start()
    enable(daemon)
    bare(host, "edge")
    member(host, "web1")
    until(lambda: "web1 (installed)" in host.read(f"{STATE}/guard"), "the standing record")
    return daemon


@pytest.fixture(scope="module")
def ready(either: Machine) -> Iterator[Daemon]:
    daemon = Daemon(either)
    daemon.start()
    yield daemon


def boots(machine: Machine, first: int) -> int:
    """How many of a batch did not boot at once. The zones are gone afterwards."""
    names = [f"z{number}" for number in range(first, first + BATCH)]
    out = machine.do("sh", "-c", ALL_AT_ONCE, "sh", *names)
    failed = [line for line in out.splitlines() if re.fullmatch(r"z\d+ [1-9]\d*", line)]
    for name in names:
        machine.delete(name)
    return len(failed)


def test_without_the_gate_boots_come_too_early(ready: Daemon) -> None:
    failed = boots(ready.machine, 0)
    print(f"configured and booted in the same breath, without the gate: {failed} of {BATCH} failed at first")
    assert failed > 0


@pytest.mark.parametrize("batch", range(BATCHES))
def test_with_the_gate_every_boot_has_its_link(ready: Daemon, batch: int) -> None:
    enable(ready)
    failed = boots(ready.machine, 1000 + batch * BATCH)
    assert failed == 0, ready.tail()
    assert metric(ready.machine, "zonehookd_gate_alone_total") == 0
    again = [each for each in ready.audit() if each["argv"][:2] == ["zoneadm", "-z"] and "boot" in each["argv"]]
    assert not [each for each in again if re.fullmatch(r"z1\d\d\d", each["argv"][2])], "none needed a second boot"


def test_the_uninstall_of_a_gateway_is_refused_before_anything_happens(host: Machine, gateway: Daemon) -> None:
    for words in (("zoneadm", "-z", "edge", "uninstall", "-F"), ("zadm", "delete", "-f", "edge")):
        done = host.run(*words)
        assert done.status != 0, done
        assert "zonehookd: uninstall of gateway zone edge is refused: zones depend on it" in done.err, done
        assert "network web: web1 (installed)" in done.err and "zonehookctl guard permit edge" in done.err
        assert state(host, "edge") == "installed"
    host.do("zoneadm", "-z", "edge", "mark", "incomplete")
    assert host.run("zoneadm", "-z", "edge", "uninstall", "-F").status == 1, "also of a half of a zone"
    host.do("zoneadm", "-z", "web1", "uninstall", "-F")
    host.do("zonecfg", "-z", "web1", "delete", "-F")
    host.do("zoneadm", "-z", "edge", "uninstall", "-F")
    assert state(host, "edge") == "configured", "nobody depends on it any more, and it was seen at once"


def test_a_permit_opens_the_gate(host: Machine, gateway: Daemon) -> None:
    assert gateway.ask("guard", "permit", "edge", "--for", "1m", "--reason", "test").status == 0
    host.do("zoneadm", "-z", "edge", "uninstall", "-F")
    assert state(host, "edge") == "configured"


def test_without_a_daemon_and_with_one_that_hangs(host: Machine, gateway: Daemon) -> None:
    """R5: nothing waits longer than two seconds; a gateway stays, and everybody else boots."""
    uninstall = ("zoneadm", "-z", "edge", "uninstall", "-F")
    until(lambda: "web1_0" in host.links(), "its link")
    _, plain = timed(host, "zoneadm", "-z", "web1", "boot")  # what one takes on this machine now
    host.do("zoneadm", "-z", "web1", "halt")
    at_once, waiting = 0.5 + 4 * plain, 2.5 + 4 * plain
    gateway.machine.signal(gateway.pid, signal.SIGSTOP)
    done, seconds = timed(host, *uninstall)
    assert done.status == 1 and "cannot be asked who depends on it" in done.err and 1.9 < seconds < waiting, done
    assert "network web: web1 (installed) (when last seen)" in done.err
    done, seconds = timed(host, "zoneadm", "-z", "web1", "boot")
    assert done.status == 0 and 1.9 < seconds < waiting, done
    done, seconds = timed(host, "zoneadm", "-z", "web1", "halt")
    assert done.status == 0 and seconds < waiting, (done, seconds)
    gateway.machine.signal(gateway.pid, signal.SIGCONT)
    until(lambda: gateway.ctl("status"), "it answers again")

    for number in (signal.SIGKILL, signal.SIGTERM):
        assert gateway.stop(number) is not None
        done, seconds = timed(host, *uninstall)
        assert done.status == 1 and "cannot be asked who depends on it" in done.err and seconds < at_once, done
        assert "svcadm enable or clear zonehookd" in done.err and "[guard] without_daemon" in done.err
        done, seconds = timed(host, "zoneadm", "-z", "web1", "boot")
        assert done.status == 0 and seconds < at_once, (done, seconds)
        host.do("zoneadm", "-z", "web1", "halt")
        gateway.start()
        until(lambda: metric(host, "zonehookd_gate_alone_total") > 0, "what was decided alone is counted")
        assert state(host, "edge") == "installed"
        lines = [each for each in gateway.lines() if each["event"] == "the gate decided alone"]
        assert {(each["zone"], each["word"], each["allowed"]) for each in lines} >= {
            ("edge", "uninstall", False),
            ("web1", "ready", True),
            ("web1", "halt", True),
        }


def test_boots_may_be_refused_while_nobody_can_say(host: Machine) -> None:
    daemon = Daemon(host, extra='[guard]\nboot = "deny"\n')
    daemon.start()
    enable(daemon)
    host.zone("web1", "web1_0", "10.1.0.5/24")
    host.do("zoneadm", "-z", "web1", "install")
    until(lambda: "policy boot deny" in host.read(f"{STATE}/guard"), "the standing record")
    daemon.stop(signal.SIGKILL)
    done, plain = timed(host, "zoneadm", "-z", "web1", "boot")
    assert done.status == 1, done
    assert "zone 'web1': zonehookd: boot of zone web1 is refused: zonehookd cannot be asked" in done.err, done
    assert state(host, "web1") == "installed"
    daemon.start()
    host.fault("add", "fail", "dladm create-vnic *", "--status", "permission denied", "--times", "100")
    host.do("dladm", "delete-vnic", "web1_0")
    done, seconds = timed(host, "zoneadm", "-z", "web1", "boot")
    assert done.status == 1 and "web1_0 on network dmz is not there" in done.err and seconds < 2.5 + 4 * plain, done
    host.do("zonelab", "fault", "clear")
    host.do("zoneadm", "-z", "web1", "boot")


def test_a_halt_is_refused_only_where_it_harms_nobody(host: Machine) -> None:
    daemon = Daemon(host, GATEWAY, '[guard]\nhalt = "deny"\n')
    daemon.start()
    enable(daemon)
    bare(host, "edge")
    member(host, "web1")
    for name in ("edge", "web1"):
        host.do("zoneadm", "-z", name, "boot")
    done = host.run("zoneadm", "-z", "edge", "halt")
    assert done.status == 1 and "zones depend on it" in done.err, done
    assert state(host, "edge") == "running"
    host.do("zoneadm", "-z", "edge", "shutdown")  # its processes are dead when the hook is called (trap 28)
    assert state(host, "edge") == "installed"
    host.do("zoneadm", "-z", "edge", "boot")
    host.do("zoneadm", "-z", "web1", "halt")
    done = host.run("zoneadm", "-z", "edge", "reboot")
    assert (done.status, done.err) == (0, ""), "nobody who runs depends on it, and there is nothing to say"
    assert state(host, "edge") == "running"
    checked = daemon.ask("guard", "check", "edge", "halt")
    assert checked.status == 0 and "no zone that runs depends on zone edge" in checked.out


def test_an_update_of_the_brand_gets_the_gate_again(machine: Machine, plain: Daemon) -> None:
    enable(plain)
    update = look(machine).replace("/sbin/init", "/sbin/init2").split("\n", 1)[1]
    update = re.sub(rf"{STATE}/gate \S+ \w+ %z (-- |-added)", "", update).replace(
        "  <preuninstall></preuninstall>\n", ""
    )
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


@pytest.fixture
def plain(daemon: Daemon) -> Daemon:
    daemon.start()
    return daemon


@pytest.fixture
def daemon_of(host: Machine) -> Daemon:
    daemon = Daemon(host)
    daemon.start()
    return daemon


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
    machine.do("zoneadm", "-z", "web1", "halt")  # by the hooks it was booted with
    machine.do("zoneadm", "-z", "web1", "boot")
    assert metric(machine, 'zonehookd_gate_answers_total{answer="allow",code="not-guarded",word="halt"}') == 1
    enable(plain)
    plain.machine.signal(plain.pid, signal.SIGSTOP)
    done = plain.ask("--timeout", "1", "brand", "disable", "sparse")
    assert done.status == 1 and "is running already" in done.err, done
    plain.machine.signal(plain.pid, signal.SIGCONT)
    plain.stop(signal.SIGKILL)
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


def test_without_the_kernels_channel_the_hooks_tell(machine: Machine) -> None:
    """What must follow a boot follows at once, though nobody else says that there was one."""
    machine.do("rm", "/usr/lib/libzonecfg.so.1")
    daemon = Daemon(machine, extra="[timing]\npoll_s = 600\nfull_look_s = 600\nfiles_s = 60\n")
    daemon.start()
    enable(daemon)
    member(machine, "web1", "dmz 10.1.0.5")
    machine.do("zoneadm", "-z", "web1", "boot")
    allowed = ("dladm", "show-linkprop", "-c", "-o", "value", "-p", "allowed-ips", "web1_0")
    until(lambda: machine.do(*allowed).strip() == "10.1.0.5/32", "protected once it runs")
    assert metric(machine, 'zonehookd_events_received_total{kind="told",source="gate"}') >= 2
