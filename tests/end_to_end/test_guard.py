"""The guard's answers about real zones: who depends on a gateway, leave to delete it, a declaration that cuts off."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator

import pytest
from machine import Daemon, Machine, until

pytestmark = pytest.mark.namespaces

CONFIG = """
[network.wan]
cidr = "192.0.2.0/24"
uplink = "net0"
gateway = "192.0.2.1"
[network.web]
cidr = "10.99.0.0/24"
via = "edge"
[network.deep]
cidr = "10.98.0.0/24"
via = "inner"
[gateway.edge]
outside = "wan"
address = "192.0.2.10"
dhcp = "none"
dns = "none"
[gateway.inner]
outside = "web"
address = "10.99.0.9"
dhcp = "none"
dns = "none"
"""


def zone(host: Machine, name: str, wish: str = "", more: str = "") -> None:
    net = f"add net; set physical={name}_0; end; " if wish else ""
    attr = f'add attr; set name=zh.net0; set type=string; set value="{wish}"; end; ' if wish else ""
    host.do("zonecfg", "-z", name, f"create -b; set zonepath=/zones/{name}; set brand=sparse; "
            f"set ip-type=exclusive; {net}{attr}{more}")  # fmt: skip
    host.do("zoneadm", "-z", name, "install")


@pytest.fixture
def host() -> Iterator[Machine]:
    machine = Machine()
    yield machine
    machine.close()


@pytest.fixture
def daemon(host: Machine) -> Iterator[Daemon]:
    daemon = Daemon(host, CONFIG)
    daemon.start()
    yield daemon


def gateways(daemon: Daemon, *words: str) -> dict[str, tuple[str, bool, list[str]]]:
    """state, kept, dependents"""
    rows = daemon.ctl(*words, "guard", "status")["gateways"]
    return {row["name"]: (row["state"], row["kept"], [each["zone"] for each in row["dependents"]]) for row in rows}


def asked(daemon: Daemon, name: str, operation: str = "uninstall") -> tuple[int | None, str, list[str]]:
    """Exit status, code, and NETWORK/ZONE of each dependent."""
    done = daemon.ask("--json", "guard", "check", name, operation)
    answer = json.loads(done.out)
    return done.status, answer["code"], [f"{each['network']}/{each['zone']}" for each in answer["dependents"]]


def test_who_depends_is_seen_at_the_moment_of_the_question(host: Machine, daemon: Daemon) -> None:
    zone(host, "edge")
    assert asked(daemon, "edge") == (0, "no-dependents", [])
    assert daemon.ask("guard", "check", "edgy", "uninstall").status == 64, "neither yes nor no"
    zone(host, "web1", "web")
    assert asked(daemon, "edge") == (1, "dependents", ["web/web1"])
    assert asked(daemon, "web1") == (0, "not-guarded", [])
    assert asked(daemon, "edge", "halt") == (0, "not-guarded", [])
    zone(host, "inner")
    zone(host, "db1", "deep")
    until(lambda: asked(daemon, "edge")[2] == ["deep/db1", "web/inner", "web/web1"], "zones behind zones")
    text = daemon.ask("guard", "check", "edge", "delete")
    assert text.status == 1
    assert "network deep, through zone inner: db1 (installed)" in text.out, text
    assert "network web: inner (installed), web1 (installed)" in text.out
    host.do("zonecfg", "-z", "web1", "delete", "-F")
    assert asked(daemon, "edge")[2] == ["deep/db1", "web/inner"], "who is gone is no ghost, not for a moment"
    host.do("zonecfg", "-z", "db1", "add attr; set name=zh.depends; set type=string; set value=no; end")
    assert asked(daemon, "inner") == (0, "no-dependents", []), "it said that it does not depend"


def test_a_link_on_the_etherstub_counts_whoever_made_it(host: Machine, daemon: Daemon) -> None:
    zone(host, "edge")
    zone(host, "odd", "", "add net; set physical=foreign0; end")
    assert asked(daemon, "edge") == (0, "no-dependents", [])
    host.do("dladm", "create-vnic", "-l", "web0", "foreign0")
    assert asked(daemon, "edge") == (1, "dependents", ["web/odd"]), "its configuration names a link on the stub"
    host.do("zonecfg", "-z", "odd", "remove net physical=foreign0")
    assert asked(daemon, "edge") == (0, "no-dependents", [])
    host.do("zoneadm", "-z", "odd", "boot")
    host.do("dladm", "set-linkprop", "-t", "-p", "zone=odd", "foreign0")
    assert asked(daemon, "edge") == (1, "dependents", ["web/odd"]), "lent to it while it runs"
    host.do("zoneadm", "-z", "odd", "halt")
    until(lambda: asked(daemon, "edge") == (0, "no-dependents", []), "and given back")


def test_a_permit_is_for_a_time_and_is_audited(host: Machine, daemon: Daemon) -> None:
    zone(host, "edge")
    zone(host, "web1", "web")
    assert daemon.ask("guard", "permit", "edge", "--for", "2d", "--reason", "x").status == 64
    assert daemon.ask("guard", "permit", "web1", "--for", "5s", "--reason", "x").status == 1, "it is no gateway"
    done = daemon.ask("guard", "permit", "edge", "--for", "12s", "--reason", "moving to edge2")
    assert done.status == 0 and "cut off then: web1" in done.out, done
    assert asked(daemon, "edge") == (0, "permitted", ["web/web1"])
    entry = next(each for each in daemon.audit() if each["kind"] == "guard")
    assert entry["argv"] == ["permit", "edge", "web1"] and "moving to edge2" in entry["why"]
    until(lambda: asked(daemon, "edge") == (1, "dependents", ["web/web1"]), "the permit runs out")


def test_what_would_cut_off_zones_is_refused_in_the_configuration(host: Machine, daemon: Daemon) -> None:
    zone(host, "edge")
    zone(host, "web1", "web 10.99.0.200")
    until(lambda: "web1_0" in host.links(), "its link")
    shrunk = CONFIG.replace("10.99.0.0/24", "10.99.0.0/25")
    daemon.configure(shrunk)
    for verb in (("reload",), ("plan", "--edited")):
        done = daemon.ask(*verb)
        assert done.status == 1, done
        assert "network.web: its range cannot become 10.99.0.0/25: zone web1 (10.99.0.200) would be cut off" in done.err
        assert "guard permit --network web" in done.err
    gone = CONFIG.replace('[network.deep]\ncidr = "10.98.0.0/24"\nvia = "inner"\n', "")
    gone = gone[: gone.index("[gateway.inner]")]
    daemon.configure(gone.replace("[network.web]", "[network.internet]"))
    assert "network.web: it cannot be removed: zone web1" in daemon.ask("reload").err
    daemon.configure(gone)
    assert daemon.ask("reload").status == 0, "nobody is on network deep"
    daemon.configure(shrunk)
    assert daemon.stop() == 0
    daemon.start()
    status = daemon.ctl("status")
    assert "its range cannot become" in status["config_error"], "a start cuts off nobody either"
    assert {row["name"]: row["cidr"] for row in daemon.ctl("networks")}["web"] == ["10.99.0.0/24"]
    given = daemon.ctl("guard", "permit", "edge", "--network", "web", "--for", "1m", "--reason", "test")
    assert [permit["name"] for permit in given["permits"]] == ["edge", "network/web"]
    assert daemon.ask("reload").status == 0
    assert not daemon.ctl("status")["config_error"]


@pytest.mark.parametrize("policy, count, status", [("block", 1, 1), ("block", 0, 1), ("record", 1, 1), ("record", 0, 0),
                                                   ("allow", 1, 0)])  # fmt: skip
def test_without_a_daemon_the_record_and_the_policy_answer(host: Machine, policy: str, count: int, status: int) -> None:
    daemon = Daemon(host, CONFIG, f'[guard]\nwithout_daemon = "{policy}"\n')
    daemon.start()
    zone(host, "edge")
    if count:
        zone(host, "web1", "web")
    known = "gateway edge 1 0\n|  network web: web1 (" if count else "gateway edge 0 0\n"
    until(lambda: known in host.read("/var/lib/zonehookd/guard"), "the standing record")
    until(lambda: "files edge /zones/edge\n" in host.read("/var/lib/zonehookd/guard"), "where its files are")
    assert daemon.stop(signal.SIGKILL) == -signal.SIGKILL
    assert asked(daemon, "edge") == (status, "no-daemon", ["web/web1"] * count)
    known = gateways(daemon)
    assert known["edge"] == ("installed", True, ["web1"] * count) and known["inner"][0] == "absent"
    answer = json.loads(daemon.ask("--json", "guard", "check", "edge", "uninstall").out)
    assert answer["recorded"] > 0 and answer["left_out"] == 0
    if count:
        assert asked(daemon, "web1")[:2] == (0, "no-daemon")
    if status:
        text = daemon.ask("guard", "check", "edge", "uninstall").out
        assert "svcadm enable, clear or restart zonehookd" in text and ("web1" in text) == bool(count)
        assert "  by the record of 2" in text
    assert asked(daemon, "edge", "halt")[0] == 0
    unknown = daemon.ask("guard", "check", "nosuch", "uninstall")
    assert unknown.status == 64 and "there is no zone 'nosuch'" in unknown.err
    host.do("zonecfg", "-z", "edge", "set zonename=edge2")
    assert asked(daemon, "edge2") == (status, "no-daemon", ["web/web1"] * count), "its files say who it is"
    assert gateways(daemon) == {**known, "edge": ("lost" if count else "absent", True, ["web1"] * count)}
    host.do("zonecfg", "-z", "edge2", "set zonename=edge")
    host.do("rm", "/var/lib/zonehookd/guard")
    assert asked(daemon, "edge")[0] == 1, "no record is no leave"
    assert daemon.ask("guard", "status").status == 3


def test_a_daemon_that_hangs_does_not_hide_the_gateways(host: Machine) -> None:
    daemon = Daemon(host, CONFIG)
    daemon.start()
    zone(host, "edge")
    zone(host, "web1", "web")
    until(lambda: "gateway edge 1 0\n" in host.read("/var/lib/zonehookd/guard"), "the standing record")
    until(lambda: "files edge /zones/edge\n" in host.read("/var/lib/zonehookd/guard"), "where its files are")
    live = gateways(daemon)
    host.signal(daemon.pid, signal.SIGSTOP)
    done = daemon.ask("--timeout", "0.5", "guard", "status")
    assert done.status == 0 and "did not answer guard-status in 0.5 s" in done.err and "web: web1" in done.out, done
    not_known = {"inner": ("absent", None, [])}
    assert gateways(daemon, "--timeout", "0.5") == {**live, **not_known}
    host.do("zonecfg", "-z", "edge", "delete", "-F")
    done = daemon.ask("--timeout", "0.5", "guard", "status")
    assert done.status == 1 and "guard restore edge" in done.out and "has happened since is not known" in done.out, done
    host.signal(daemon.pid, signal.SIGCONT)
    until(lambda: gateways(daemon)["edge"][0] == "lost", "it sees that, too")


def test_a_record_of_the_declaration_that_cannot_be_read_is_said(daemon: Daemon) -> None:
    file = "/var/lib/zonehookd/declared.json"
    assert daemon.stop() == 0
    daemon.machine.write(file, "{")
    daemon.start()
    assert [each["file"] for each in daemon.lines() if "declaration before not readable" in each["event"]] == [file]
    assert '"web"' in daemon.machine.read(file), "and from now on it is known again"
