"""The gate on a host: boots wait for their links and gateways are not uninstalled, with a daemon, without one, and with
one that hangs."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Iterator

import pytest
from gated import STATE, bare, enable, metric, state
from machine import Daemon, Done, Machine, until

pytestmark = pytest.mark.namespaces

BATCH, BATCHES = 20, 5  # and two dialects: 200 boots
AT_ONCE_S = 20.0  # a zone that waits for nobody, or two seconds for the daemon, is up or down, however slow the machine
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


def member(host: Machine, name: str, network: str = "web") -> None:
    host.do("zonecfg", "-z", name, f"create -b; set zonepath=/zones/{name}; set brand=sparse; set ip-type=exclusive; "
            f'add net; set physical={name}_0; end; add attr; set name=zh.net0; set type=string; '
            f'set value="{network}"; end')  # fmt: skip
    host.do("zoneadm", "-z", name, "install")


def timed(host: Machine, *argv: str) -> tuple[Done, float]:
    began = time.monotonic()
    return host.run(*argv), time.monotonic() - began


def alone(host: Machine) -> list[list[str]]:
    """What the gate has decided alone since a daemon was last there: word, zone, allow or deny, and why."""
    lines = host.run("cat", f"{STATE}/gate.alone").out.splitlines()
    return [line.split()[1:] for line in lines]


@pytest.fixture
def gateway(host: Machine) -> Daemon:
    """Gateway edge is installed, web1 behind it too; both have the gate."""
    daemon = Daemon(host, GATEWAY)
    daemon.start()
    enable(daemon)
    bare(host, "edge")
    member(host, "web1")
    seen = ("web1 (installed)", "files edge ")
    until(lambda: all(each in host.read(f"{STATE}/guard") for each in seen), "the standing record")
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


def too_late(machine: Machine) -> float:
    """Boots whose links a slow machine could not make in the two seconds that the gate waits."""
    late = metric(machine, 'zonehookd_gate_answers_total{answer="allow",code="late",word="ready"}')
    return late + metric(machine, "zonehookd_gate_alone_total")


def test_without_the_gate_boots_come_too_early(ready: Daemon) -> None:
    ready.machine.fault("add", "slow", "dladm create-vnic *", "--seconds", "2", "--times", str(BATCH))
    failed = boots(ready.machine, 0)
    print(f"configured and booted in the same breath, without the gate: {failed} of {BATCH} failed at first")
    assert failed > 0
    ready.machine.fault("clear")
    ready.settle()


@pytest.mark.parametrize("batch", range(BATCHES))
def test_with_the_gate_every_boot_has_its_link(ready: Daemon, batch: int) -> None:
    enable(ready)
    before, first = too_late(ready.machine), 1000 + batch * BATCH
    failed = boots(ready.machine, first)
    until(lambda: failed <= too_late(ready.machine) - before, f"none for want of its link: {failed}, {ready.tail()}")
    names = {f"z{number}" for number in range(first, first + BATCH)}
    again = [each for each in ready.audit() if each["argv"][:2] == ["zoneadm", "-z"] and "boot" in each["argv"]]
    assert len(names & {each["argv"][2] for each in again}) <= failed, "no other needed a second boot"


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
    gateway.machine.signal(gateway.pid, signal.SIGSTOP)
    done, seconds = timed(host, *uninstall)
    assert done.status == 1 and "cannot be asked who depends on it" in done.err and 1.9 < seconds < AT_ONCE_S, done
    assert "network web: web1 (installed) (when last seen)" in done.err
    done, seconds = timed(host, "zoneadm", "-z", "web1", "boot")
    assert done.status == 0 and 1.9 < seconds < AT_ONCE_S, done
    done, seconds = timed(host, "zoneadm", "-z", "web1", "halt")
    assert done.status == 0 and seconds < AT_ONCE_S, (done, seconds)
    gateway.machine.signal(gateway.pid, signal.SIGCONT)
    until(lambda: gateway.ctl("status"), "it answers again")

    for number in (signal.SIGKILL, signal.SIGTERM):
        assert gateway.stop(number) is not None
        before = len(alone(host))
        done, seconds = timed(host, *uninstall)
        assert done.status == 1 and "cannot be asked who depends on it" in done.err and seconds < AT_ONCE_S, done
        assert "svcadm enable, clear or restart zonehookd" in done.err and "[guard] without_daemon" in done.err
        done, seconds = timed(host, "zoneadm", "-z", "web1", "boot")
        assert done.status == 0 and seconds < AT_ONCE_S, (done, seconds)
        host.do("zoneadm", "-z", "web1", "halt")
        whys = {each[3] for each in alone(host)[before:]}
        assert whys and "time-out" not in whys, f"nobody has waited: {whys}"
        host.do("zonecfg", "-z", "edge", "set zonename=edge2")
        done = host.run("zoneadm", "-z", "edge2", "uninstall", "-F")
        assert done.status == 1 and "uninstall of zone edge2, which is gateway edge renamed, is refused" in done.err, (
            done
        )
        host.do("zonecfg", "-z", "edge2", "set zonename=edge")
        gateway.start()
        until(lambda: metric(host, "zonehookd_gate_alone_total") > 0, "what was decided alone is counted")
        assert state(host, "edge") == "installed"
        lines = [each for each in gateway.lines() if each["event"] == "the gate decided alone"]
        assert {(each["zone"], each["word"], each["allowed"]) for each in lines} >= {
            ("edge", "uninstall", False),
            ("web1", "ready", True),
            ("web1", "halt", True),
        }


def test_zones_do_not_wait_one_after_the_other_for_a_daemon_that_hangs(host: Machine) -> None:
    """A reboot asks twice, and a host has many zones."""
    daemon = Daemon(host)
    daemon.start()
    enable(daemon)
    names = [f"z{number}" for number in range(4)]
    for name in names:
        bare(host, name)
        host.do("zoneadm", "-z", name, "boot")
    host.signal(daemon.pid, signal.SIGSTOP)
    began = time.monotonic()
    host.do("zoneadm", "-z", "z0", "reboot")
    for name in names:
        host.do("zoneadm", "-z", name, "halt")
    took_s = time.monotonic() - began
    asked = alone(host)
    assert [each[:3] for each in asked] == [
        ["halt", "z0", "allow"],
        ["ready", "z0", "allow"],
        *(["halt", name, "allow"] for name in names),
    ]
    assert {each[3] for each in asked} == {"time-out", "hung"}
    assert [each[3] for each in asked].count("time-out") <= 1 + took_s / 5, "one each five seconds and more"
    host.signal(daemon.pid, signal.SIGCONT)
    until(lambda: host.run("test", "-e", "/var/run/zonehookd/gate.hung").status == 1, "it hears us again")
    bare(host, "z9")
    host.do("zoneadm", "-z", "z9", "boot")
    assert metric(host, 'zonehookd_gate_answers_total{answer="allow",code="not-attached",word="ready"}') > len(names)


def test_boots_may_be_refused_while_nobody_can_say(host: Machine) -> None:
    daemon = Daemon(host, extra='[guard]\nboot = "deny"\n')
    daemon.start()
    enable(daemon)
    host.zone("web1", "web1_0", "10.1.0.5/24")
    host.do("zoneadm", "-z", "web1", "install")
    until(lambda: "policy boot deny" in host.read(f"{STATE}/guard"), "the standing record")
    daemon.stop(signal.SIGKILL)
    done = host.run("zoneadm", "-z", "web1", "boot")
    assert done.status == 1, done
    assert "zone 'web1': zonehookd: boot of zone web1 is refused: zonehookd cannot be asked" in done.err, done
    assert state(host, "web1") == "installed"
    daemon.start()
    host.fault("add", "fail", "dladm create-vnic *", "--status", "permission denied", "--times", "100")
    host.do("dladm", "delete-vnic", "web1_0")
    done, seconds = timed(host, "zoneadm", "-z", "web1", "boot")
    assert done.status == 1 and "web1_0 on network dmz is not there" in done.err and seconds < AT_ONCE_S, done
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
