"""Every way to delete a gateway that zones depend on: refused and nothing is lost, or noticed, said, and mended.

A stream runs through the gateway all the while, where nothing is to be interrupted.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from machine import Daemon, Machine, until

pytestmark = pytest.mark.namespaces

FAR = "198.51.100.1"
CONFIG = """
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
HALT_DENIED = '[guard]\nhalt = "deny"\n'
RESTORED_AT_ONCE = '[guard]\nrestore = "auto"\n'
STREAM = "/var/log/stream"


class World:
    """Gateway edge, zone web1 behind it, both running; the gate in their brand."""

    def __init__(self, host: Machine, policy: str) -> None:
        self.host = host
        self.port = 7000
        self.daemon = Daemon(host, CONFIG, policy)
        self.daemon.start()
        done = self.daemon.ask("brand", "enable", "sparse")
        assert done.status == 0, done
        for name, wish in (("edge", ""), ("web1", "web")):
            attr = f"add attr; set name=zh.net0; set type=string; set value={wish}; end"
            net = f"add net; set physical={name}_0; end; {attr}" if wish else ""
            host.do("zonecfg", "-z", name, f"create -b; set zonepath=/zones/{name}; set brand=sparse; "
                    f"set ip-type=exclusive; {net}")  # fmt: skip
            host.do("zoneadm", "-z", name, "install")
        until(lambda: "edge_web0" in host.do("zonecfg", "-z", "edge", "export"), "the gateway has its NICs")
        for name in ("edge", "web1"):
            booted = host.run("zoneadm", "-z", name, "boot")
            assert booted.status == 0, booted
        until(self.reaches, f"web1 gets out: {self.daemon.ask('status').out}")
        until(lambda: self.gateway()["kept"], "the gateway's configuration is kept")

    def reaches(self) -> bool:
        return self.host.inside("web1", "ping", "-c", "1", "-W", "2", FAR).status == 0

    def state(self, name: str = "edge") -> str:
        done = self.host.run("zoneadm", "-z", name, "list", "-p")
        return done.out.split(":")[2] if done.status == 0 else "gone"

    def gateway(self) -> dict[str, object]:
        (row,) = self.daemon.ctl("guard", "status")["gateways"]
        return dict(row)

    def streams(self) -> int:
        """A stream from web1 through the gateway that is under way, until `streamed`."""
        self.port += 1
        self.host.serve("outside", "echo", FAR, str(self.port))
        listening = ("sh", "-c", f"ss -ltn 2>/dev/null | grep -q :{self.port}")
        until(lambda: self.host.run("zonelab", "outside", "run", "--", *listening).status == 0, "it listens")
        words = ("stream", FAR, str(self.port), "600")
        pid = self.host.start(*self.host.wire_argv("web1", words), log=STREAM)
        session = f"[{FAR} {self.port}]"
        until(lambda: session in self.host.do("ipnat", "-lR", "-z", "edge"), f"it runs: {self.host.read(STREAM)}")
        return pid

    def streamed(self, pid: int) -> bool:
        """Whether every line has come back, in order, and the next one does too."""
        assert self.host.wait(pid, 0.1) is None, f"it ended too early: {self.host.read(STREAM)}"
        self.host.run("pkill", "-INT", "-f", f"stream {FAR} {self.port}")
        assert self.host.wait(pid, 60.0) == 0, self.host.read(STREAM)
        return True

    def settled(self) -> None:
        self.daemon.settle()


@pytest.fixture(scope="module", params=["vanilla", "omnios"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    host = Machine(*(["--omnios"] if request.param == "omnios" else []))
    yield World(host, "")
    host.close()


def booted_again(world: World) -> None:
    world.host.do("zoneadm", "-z", "edge", "boot")
    until(world.reaches, f"web1 gets out again: {world.daemon.ask('status').out}")


def until_said(world: World) -> None:
    """The guard knows as soon as it looks; status tells how the last look at the gateway ended."""

    def said() -> bool:
        status = world.daemon.ask("status")
        return status.status == 1 and "zonehookctl guard restore edge" in status.out

    until(said, f"status says it: {world.daemon.ask('status')}")


def said_lost(world: World) -> int:
    return sum(each["event"].startswith("gateway lost") for each in world.daemon.lines())


def test_uninstall_is_refused_with_and_without_force(world: World) -> None:
    host = world.host
    streaming = world.streams()
    running = host.run("zoneadm", "-z", "edge", "uninstall", "-F")
    assert running.status == 1 and world.state() == "running"
    assert world.streamed(streaming)
    host.do("zoneadm", "-z", "edge", "halt")
    xml = host.read("/etc/zones/edge.xml")
    for force in (["-F"], ["-F", "-F"]):
        refused = host.run("zoneadm", "-z", "edge", "uninstall", *force)
        assert refused.status == 1, refused
        assert "uninstall of gateway zone edge is refused: zones depend on it" in refused.err
        assert "network web: web1 (running)" in refused.err
        assert "zonehookctl guard permit edge" in refused.err
        assert world.state() == "installed"
    assert host.read("/etc/zones/edge.xml") == xml
    booted_again(world)
    assert host.run("zoneadm", "-z", "edge", "halt").status == 0, "a halt is nobody's business here"
    booted_again(world)


def test_zadm_ends_at_the_veto(world: World) -> None:
    host = world.host
    assert host.run("zadm", "delete", "-f", "edge").status == 1, "it runs"
    host.do("zoneadm", "-z", "edge", "halt")
    refused = host.run("zadm", "delete", "-f", "edge")
    assert refused.status == 1 and "network web: web1" in refused.err, refused
    assert world.state() == "installed"
    booted_again(world)


def test_zap_stops_before_it_halts_anything(world: World) -> None:
    host = world.host
    host.do("mkdir", "-p", "/var/zap/zones")
    world.settled()
    streaming = world.streams()
    refused = host.run("zap", "destroy-zone", "-z", "edge")
    assert refused.status == 1 and "is a parent for the following zones" in refused.out, refused
    assert world.state() == "running"
    host.do("touch", "/var/zap/zones/zconfig.other")  # of one file alone zap does not say who is in it
    refused = host.run("zap", "destroy-zone", "-z", "edge")
    assert refused.status == 1 and refused.out.split()[-1] == "web1", refused
    assert world.streamed(streaming)
    host.do("rm", "-r", "/var/zap")
    world.settled()


def test_what_zap_deletes_all_the_same_is_said_and_comes_back_by_one_command(world: World) -> None:
    host = world.host
    before = host.do("zonecfg", "-z", "edge", "export")
    host.do("zap", "destroy-zone", "-z", "edge")
    assert world.state() == "gone", "nothing can stop it without its own records"
    until(lambda: world.gateway()["state"] == "lost", "the loss is noticed")
    until_said(world)

    def said() -> list[tuple[str, str]]:
        return [
            (row["kind"], note["code"])
            for row in world.daemon.ctl("status")["trouble"]
            for note in row["notes"]
            if row["name"] == "edge" and note["kind"] != "nothing"
        ]

    until(lambda: said() == [("gateway", "gateway-lost")], "and once")
    assert "edge_web0" in host.links() and "web1_0" in host.links(), "what was made for it stays"
    restored = world.daemon.ask("guard", "restore", "edge")
    assert restored.status == 0, restored
    assert world.state() == "running"
    assert sorted(host.do("zonecfg", "-z", "edge", "export").splitlines()) == sorted(before.splitlines())
    until(world.reaches, f"web1 gets out again: {world.daemon.ask('status').out}")
    again = world.daemon.ask("guard", "restore", "edge")
    assert again.status == 1 and "nothing to restore" in again.err


def test_zonecfg_alone_is_no_different(world: World) -> None:
    host = world.host
    host.do("zoneadm", "-z", "edge", "halt")
    host.do("zonecfg", "-z", "edge", "delete", "-F")
    until(lambda: world.gateway()["state"] == "lost", "the loss is noticed")
    verdict = json.loads(world.daemon.ask("--json", "guard", "check", "edge", "delete").out)
    assert verdict["code"] == "dependents"
    assert world.daemon.ask("guard", "restore", "edge").status == 0
    until(world.reaches, f"web1 gets out again: {world.daemon.ask('status').out}")


@pytest.mark.parametrize(
    ("how", "why"),
    [
        (("truncate", "-s", "60"), "not well-formed"),
        (("rm",), "No such file"),
        (("sed", "-i", 's/<zone /<zone colour="red" /'), "<zone> has an attribute 'colour', which is not declared"),
    ],
)
def test_a_damaged_file_of_a_gateway_that_runs_is_put_back_under_it(
    world: World, how: tuple[str, ...], why: str
) -> None:
    """No tool of the system does anything to such a zone."""
    host, file = world.host, "/etc/zones/edge.xml"
    streaming = world.streams()
    whole = host.read(file)
    host.do(*how, file)
    until(lambda: world.gateway()["text"], "it is noticed")
    for argv in (
        ("zoneadm", "-z", "edge", "halt"),
        ("zonecfg", "-z", "edge", "delete", "-F"),
        ("zlogin", "edge", "halt"),
    ):
        assert host.run(*argv).status == 1, argv
    until_said(world)
    for verb in (("status",), ("guard", "status")):
        assert why in world.daemon.ask(*verb).out, verb
    restored = world.daemon.ask("guard", "restore", "edge")
    assert restored.status == 0, restored
    assert host.read(file) == whole and world.state() == "running" and world.gateway()["text"] == ""
    assert world.streamed(streaming)

    def of_the_file() -> list[str]:
        return [
            each["event"] for each in world.daemon.lines() if each.get("zone") == "edge" and "read" in each["event"]
        ]

    said = ["zone cannot be read, and is left as it is", "zone can be read again"]
    until(lambda: of_the_file()[-2:] == said, f"the log has it once: {of_the_file()}")


def test_guard_status_says_what_brand_status_says_of_the_gate(world: World) -> None:
    path = "/var/lib/zonehookd/gate"
    assert world.gateway()["gate"] is True

    def without() -> bool:
        world.host.do("rm", "-f", path)  # put back now and then, sooner than zonehookctl asks
        (gateway,) = world.host.control("guard-status")["gateways"]
        return gateway["gate"] is False and f"brand sparse: the gate program {path} is missing" in str(gateway["text"])

    until(without, "it is said")
    until(lambda: world.gateway()["gate"], "it is back")


def test_a_permit_lets_it_go_and_its_configuration_can_be_had_back(world: World) -> None:
    host, lost = world.host, said_lost(world)
    before = host.do("zonecfg", "-z", "edge", "export")
    permit = world.daemon.ask("guard", "permit", "edge", "--for", "5m", "--reason", "replaced")
    assert permit.status == 0 and "web1" in permit.out, permit
    host.do("zoneadm", "-z", "edge", "halt")
    host.do("zoneadm", "-z", "edge", "uninstall", "-F")
    host.do("zonecfg", "-z", "edge", "delete", "-F")
    until(lambda: not {"edge_web0", "edge_wan0"} & set(host.links()), "its links are gone")
    assert "web1_0" in host.links() and world.state("web1") == "running"
    gateway = world.gateway()
    assert (gateway["state"], gateway["kept"]) == ("absent", True) and "guard restore edge" in str(gateway["text"])
    let_go = "gateway zone edge was deleted and let go, and zones are cut off (network web: web1)"
    until(lambda: let_go in world.daemon.ask("status").out, f"and status says it: {world.daemon.ask('status')}")
    restored = world.daemon.ask("guard", "restore", "edge")
    assert restored.status == 0 and world.state() == "configured", restored
    assert sorted(host.do("zonecfg", "-z", "edge", "export").splitlines()) == sorted(before.splitlines())
    host.do("zoneadm", "-z", "edge", "install")
    booted_again(world)
    assert world.daemon.ask("guard", "check", "edge", "delete").status == 1, "and it is guarded"
    assert said_lost(world) == lost, "it never was"


@pytest.fixture
def guarded(machine: Machine) -> World:
    return World(machine, HALT_DENIED)


def test_a_halt_may_be_refused_too_and_never_holds_up_the_host(guarded: World) -> None:
    host = guarded.host
    streaming = guarded.streams()
    for verb in ("halt", "reboot"):
        refused = host.run("zoneadm", "-z", "edge", verb)
        assert refused.status != 0 and "halt of gateway zone edge is refused" in refused.err + refused.out, refused
    host.run("zap", "destroy-zone", "-z", "edge")
    host.run("zoneadm", "-z", "edge", "uninstall", "-F")
    host.run("zonecfg", "-z", "edge", "delete", "-F")
    assert guarded.state() == "running"
    assert guarded.streamed(streaming), "not a line was lost"
    assert guarded.daemon.ask("guard", "permit", "edge", "--for", "1m", "--reason", "maintenance").status == 0
    assert host.run("zoneadm", "-z", "edge", "halt").status == 0
    assert host.run("zoneadm", "-z", "edge", "boot").status == 0
    until(guarded.reaches, "web1 gets out again")
    host.do("zoneadm", "-z", "web1", "halt")
    until(lambda: guarded.daemon.ask("guard", "check", "edge", "halt").status == 0, "nobody runs behind it")


def test_a_host_that_goes_down_is_never_held_up(guarded: World) -> None:
    """Its zones are shut down by SMF; one that does not follow is halted at three quarters of the limit."""
    host = guarded.host
    zones = "svc:/system/zones"
    host.do("svccfg", "-s", zones, "setprop", "stop/timeout_seconds", "=", "count:", "30")
    host.do("svcadm", "refresh", f"{zones}:default")
    host.fault("add", "fail", "zoneadm -z edge shutdown*", "--status", "1")
    assert host.run("zoneadm", "-z", "edge", "halt").status != 0, "while the host stays up"
    stopped = host.run("svcadm", "disable", "-st", f"{zones}:default")
    assert stopped.status == 0, stopped
    assert (guarded.state(), guarded.state("web1")) == ("installed", "installed")
    halts = [each["status"] for each in host.journal() if each["argv"][:4] == ["zoneadm", "-z", "edge", "halt"]]
    assert halts[0] != 0 and halts[-1] == 0, f"it took a halt, which was allowed: {halts}"


def test_with_restore_auto_it_is_back_by_itself(machine: Machine) -> None:
    world = World(machine, RESTORED_AT_ONCE)
    for argv in (("halt",), ("uninstall", "-F")):
        machine.run("zoneadm", "-z", "edge", *argv)
    machine.do("zonecfg", "-z", "edge", "delete", "-F")
    until(lambda: world.state() == "running", "the gateway is back")
    until(world.reaches, f"web1 gets out again: {world.daemon.ask('status').out}")
