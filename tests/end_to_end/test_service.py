"""The service as an administrator knows it: manifest, methods, SMF's rules, and the warden in between."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator

import pytest
from machine import NETWORKS, Machine, until
from service import CONFIG, FMRI, OF_ALL_INSTANCES, Service

pytestmark = pytest.mark.namespaces


@pytest.fixture(params=["vanilla", "omnios"])
def each(request: pytest.FixtureRequest) -> Iterator[Service]:
    """On a host of each dialect."""
    machine = Machine(*(["--omnios"] if request.param == "omnios" else []))
    yield Service(machine)
    machine.close()


@pytest.fixture
def service(machine: Machine) -> Service:
    return Service(machine)


def test_enabled_means_ready_and_nothing_is_left_of_it(each: Service) -> None:
    service, machine = each, each.machine
    machine.do("svccfg", "validate", "/lib/svc/manifest/site/zonehookd.xml")
    until(lambda: "Zonehookd Operator:" in machine.read("/etc/security/exec_attr"), "the profiles are merged")
    machine.zone("web1", "web1_0", "10.1.0.5/24")
    assert service.enable().status == 0
    status = service.status()
    assert status["ready"] and not status["config_error"]
    assert "web1_0" in machine.links(), "ready means: what was to be done is done"
    assert service.ask("status").status == 0
    both = {str(each) for each in service.pids()}

    def contract() -> set[str]:
        return {line.split()[1] for line in machine.do("svcs", "-p", FMRI).splitlines()[2:]}

    until(lambda: contract() == both, "while no command runs, those two are all of it")
    assert service.disable().status == 0
    assert service.pids() == (0, 0) and service.state() == "disabled -"
    service.script("uninstall")
    assert machine.run("svcs", FMRI).status == 1
    left = machine.do("find", "/opt", "/lib/svc/manifest", "/etc", "-name", "*zonehookd*").split()
    assert left == ["/etc/zonehookd", CONFIG], "what the administrator has changed is his"


@pytest.mark.parametrize("victim", ["daemon", "warden"])
def test_whoever_is_killed_smf_starts_both_again(service: Service, victim: str) -> None:
    machine = service.machine
    assert service.enable().status == 0
    before = service.pids()
    service.kill(before[victim == "daemon"])
    service.until_restarted(before)
    assert "Stopping because all processes in service exited." in service.log()
    if victim == "warden":
        assert "the warden is gone: stopping" in service.log()
    else:
        assert "warden: the daemon died by signal 9" in service.log()
    machine.zone("web1", "web1_0", "10.1.0.5/24")
    until(lambda: "web1_0" in machine.links(), "the new one works")


OWN = """[plugins]
folders = ["/etc/zonehookd/plugins"]
also = ["one", "two"]
"""
HOOK = """from zonehookd.plugin import on

@on("after-create")
def told(zone):
    with open("/var/log/told", "a") as file:
        print(zone.name, file=file)
"""


def test_plugins_and_hooks_of_others_work_in_what_is_installed(service: Service) -> None:
    """Their processes are of our make, wherever that is installed, and in our contract: they end with a daemon that is
    killed, and hold up nobody."""
    machine = service.machine
    new = ("plugin", "new", "--kind", "network", "--into", "/etc/zonehookd/plugins")
    assert service.ask(*new, "one").status == 0
    assert service.ask(*new, "two", "--shape", "executable").status == 0
    machine.do("mkdir", "-p", "/etc/zonehookd/hooks.d")
    machine.write("/etc/zonehookd/hooks.d/10-told.py", HOOK)
    service.configure(NETWORKS + OWN)

    def workers() -> list[str]:
        return machine.run("pgrep", "-f", "zonehookd.worker").out.split()

    def at_work() -> bool:
        rows = json.loads(service.ask("--run", "/var/run/zonehookd", "--json", "plugins").out)
        return [row["name"] for row in rows if row["where"] == "worker" and row["state"] == "ready"] == ["one", "two"]

    assert service.enable().status == 0
    until(at_work, f"both work: {service.log()}")
    machine.zone("web1", "web1_0", "10.1.0.5/24")
    for file, line in (
        ("run/zonehookd/one.txt", "dmz web1"),
        ("run/zonehookd/two.txt", "dmz web1"),
        ("log/told", "web1"),
    ):
        until(lambda: line in machine.run("cat", f"/var/{file}").out, f"{file}: {service.log()}")  # noqa: B023
    before, of_the_dead = service.pids(), workers()
    assert len(of_the_dead) == 3
    service.kill(before[1])
    service.until_restarted(before)
    assert "killing what the daemon has left behind" not in service.log()
    assert not set(of_the_dead) & set(workers())
    until(at_work, f"both work again: {service.log()}")
    before = service.pids()
    # or it would go on with workers of another version
    assert service.script("install") == "installed, and started again\n"
    assert service.state() == "online -" and 0 not in service.pids() and not set(before) & set(service.pids())
    assert service.ask("status").status == 0, "who installs may ask it at once"
    assert service.disable().status == 0
    assert service.pids() == (0, 0) and workers() == []


def test_a_daemon_that_hangs_is_noticed(service: Service) -> None:
    service.set(watchdog_s=6)
    assert service.enable().status == 0
    before = service.pids()
    time.sleep(7)
    assert service.pids() == before, "one that works is left alone"
    service.kill(before[1], signal.SIGSTOP)
    service.until_restarted(before)
    assert "the watchdog was not fed for 6 s" in service.log() and service.status()["ready"]


@pytest.mark.parametrize("text", ['[network.dmz]\ncidr = "10.1.0.0/33"\n', "[network.dmz\n"])
def test_a_refused_configuration_at_a_refresh_changes_nothing(service: Service, text: str) -> None:
    machine = service.machine
    assert service.enable().status == 0
    before = service.pids()
    service.configure(text)
    machine.do("svcadm", "refresh", FMRI)
    until(lambda: service.status()["config_error"], "status says why")
    assert CONFIG in service.status()["config_error"]
    service.until("online -")
    assert service.pids() == before
    assert "configuration refused, the old one stays" in service.log()
    machine.zone("web1", "web1_0", "10.1.0.5/24")
    until(lambda: "web1_0" in machine.links(), "the old configuration works")
    service.configure(NETWORKS + '[network.third]\ncidr = "10.3.0.0/24"\n')
    machine.do("svcadm", "refresh", FMRI)
    until(lambda: not service.status()["config_error"] and "third0" in machine.links(), "the mended one is taken")
    assert service.pids() == before and service.state() == "online -"


def test_a_refused_configuration_at_a_start_is_maintenance(service: Service) -> None:
    service.configure('[network.dmz]\ncidr = "10.1.0.0/33"\n')
    done = service.enable()
    assert done.status == 3 and "is in maintenance state" in done.err
    assert service.reason() == "Start method exited with $SMF_EXIT_ERR_CONFIG."
    assert "network.dmz.cidr" in service.log() and service.log().count("Executing start method") == 1
    assert "left behind" not in service.log(), "the start method is in the contract too, and ends by itself"
    service.configure(NETWORKS)
    service.machine.do("svcadm", "clear", FMRI)
    service.until("online -")
    assert service.status()["ready"]


def test_a_stop_finishes_the_step_that_runs(service: Service) -> None:
    machine = service.machine
    assert service.enable().status == 0
    machine.fault("add", "slow", "dladm create-vnic *", "--seconds", "6")
    machine.zone("web1", "web1_0", "10.1.0.5/24")
    until(lambda: machine.run("pgrep", "-f", "dladm create-vnic").status == 0, "the slow step")
    began = time.monotonic()
    assert service.disable().status == 0
    assert time.monotonic() - began > 1.0
    assert "web1_0" in machine.links() and service.state() == "disabled -"
    assert '"stopped"' in service.log() and "killing" not in service.log()


@pytest.mark.parametrize(("grace_s", "cut"), [(20, False), (1, True)])
def test_what_a_killed_daemon_had_started_is_waited_for(service: Service, grace_s: int, cut: bool) -> None:
    machine = service.machine
    service.set(grace_s=grace_s)
    assert service.enable().status == 0
    machine.fault("add", "slow", "dladm create-vnic *", "--seconds", "7")
    machine.zone("web1", "web1_0", "10.1.0.5/24")
    until(lambda: machine.run("pgrep", "-f", "dladm create-vnic").status == 0, "the slow step")
    before = service.pids()
    service.kill(before[1])
    service.until_restarted(before)
    assert "waiting for what the daemon has left behind" in service.log()
    assert ("killing what the daemon has left behind" in service.log()) is cut
    until(lambda: "web1_0" in machine.links(), "the link is there in either case")


def test_a_stop_ends_although_a_command_hangs(service: Service) -> None:
    machine = service.machine
    service.set(grace_s=2)
    assert service.enable().status == 0
    machine.fault("add", "slow", "dladm create-vnic *", "--seconds", "50")
    machine.zone("web1", "web1_0", "10.1.0.5/24")
    until(lambda: machine.run("pgrep", "-f", "dladm create-vnic").status == 0, "the slow step")
    began = time.monotonic()
    assert service.disable().status == 0
    assert time.monotonic() - began < 45, "not as long as the command hangs"
    assert service.state() == "disabled -", "not maintenance"
    assert "the daemon does not stop: killing it" in service.log()
    assert "killing what the daemon has left behind" in service.log()


def test_a_daemon_that_dies_while_it_stops_leaves_nobody_more_time(service: Service) -> None:
    machine = service.machine
    service.set(grace_s=20)
    assert service.enable().status == 0
    machine.fault("add", "slow", "dladm create-vnic *", "--seconds", "50")
    machine.zone("web1", "web1_0", "10.1.0.5/24")
    until(lambda: machine.run("pgrep", "-f", "dladm create-vnic").status == 0, "the slow step")
    _, daemon = service.pids()
    began = time.monotonic()
    machine.do("svcadm", "disable", FMRI)
    time.sleep(12)
    service.kill(daemon)
    service.until("disabled -")
    assert 19 < time.monotonic() - began < 31, "not twelve seconds and twenty more"
    assert "killing what the daemon has left behind" in service.log()


def test_five_quick_crashes_are_maintenance(service: Service) -> None:
    assert service.enable().status == 0
    for _ in range(4):
        before = service.pids()
        service.kill(before[1])
        service.until_restarted(before)
    service.kill(service.pids()[1])
    service.until("maintenance -")
    assert service.reason() == "Restarting too quickly."
    service.machine.do("svcadm", "clear", FMRI)
    service.until("online -")


def test_a_daemon_that_never_gets_ready_is_tried_three_times(service: Service) -> None:
    service.set(ready_s=1)
    service.machine.do("mv", "/etc/zones/index", "/etc/zones/away")
    assert service.enable().status == 3
    assert service.reason() == "Start method failed repeatedly, last exited with status 1."
    assert service.log().count("warden: not ready within 1 s") == 3
    assert "left behind" not in service.log(), "the start method is in the contract too, and waits for us"
    assert service.pids() == (0, 0)
    service.machine.do("mv", "/etc/zones/away", "/etc/zones/index")
    service.set(ready_s=60)
    service.machine.do("svcadm", "clear", FMRI)
    service.until("online -")


def test_properties_choose_the_configuration(service: Service) -> None:
    machine = service.machine
    assert service.enable().status == 0
    other = "/etc/zonehookd/an other; $(touch oops).toml"
    service.configure('[network.fourth]\ncidr = "10.4.0.0/24"\n', other)
    machine.do("svccfg", "-s", OF_ALL_INSTANCES, "setprop", "config/file", "=", f'"{other}"')
    machine.do("svcadm", "refresh", FMRI)
    until(lambda: "that takes a restart" in service.log(), "a word that a refresh is not enough")
    assert "fourth0" not in machine.links()
    before = service.pids()
    machine.do("svcadm", "restart", FMRI)
    service.until_restarted(before)
    assert "fourth0" in machine.links()
    assert machine.run("ls", "/oops").status != 0, "a value is a value, whatever is in it"


def test_a_property_that_cannot_be_is_refused(service: Service) -> None:
    assert service.enable().status == 0
    before = service.pids()
    service.set(watchdog_s="integer: -3")
    until(lambda: "config/watchdog_s is refused" in service.log(), "it is said")
    assert service.pids() == before and service.state() == "online -"
    assert "installed, but it does not start: svcs -x" in service.script("install", status=1)
    assert service.state() == "maintenance -"
    assert service.reason() == "Start method exited with $SMF_EXIT_ERR_CONFIG."
    service.set(watchdog_s="count: 0")
    service.machine.do("svcadm", "clear", FMRI)
    service.until("online -")


def test_the_audit_log_is_rotated(service: Service) -> None:
    machine = service.machine
    assert service.enable().status == 0
    audit = "/var/log/zonehookd/audit.jsonl"
    (line,) = [each for each in machine.read("/etc/logadm.d/zonehookd").splitlines() if not each.startswith("#")]
    assert line.split()[0] == audit
    service.configure("[half written")
    machine.do("mv", audit, f"{audit}.0")
    machine.do("sh", "-c", line.partition(" -a ")[2].strip().strip("'"))
    until(lambda: machine.run("test", "-e", audit).status == 0, "a new log")
    size = machine.do("stat", "-c", "%s", f"{audit}.0")
    machine.zone("web1", "web1_0", "10.1.0.5/24")
    until(lambda: "create-vnic" in machine.read(audit), "commands are written into it")
    assert machine.do("stat", "-c", "%s", f"{audit}.0") == size
    assert not service.status()["config_error"], "nobody asked for the configuration that is being written"


def test_one_that_runs_by_hand_is_not_disturbed(service: Service) -> None:
    machine = service.machine
    pid = machine.start("/opt/zonehookd/bin/zonehookd", log="/var/log/by-hand")
    until(lambda: service.ask("--json", "status").out and service.status()["ready"], "ready")
    assert service.enable().status == 3
    assert service.reason() == "Start method exited with $SMF_EXIT_ERR_CONFIG."
    assert f"zonehookd is running already, as process {pid}" in service.log()
    machine.signal(pid, signal.SIGTERM)
    assert machine.wait(pid) == 0
    machine.do("svcadm", "clear", FMRI)
    service.until("online -")


ZONES = "svc:/system/zones:default"


def with_autoboot(service: Service) -> None:
    """web1 boots with the host, and its link is not there: whoever boots it too early fails."""
    machine = service.machine
    machine.do("svcadm", "disable", "-s", ZONES)
    machine.zone("web1", "web1_0", "10.1.0.5/24")
    machine.do("zonecfg", "-z", "web1", "set autoboot=true")
    machine.do("zoneadm", "-z", "web1", "install")


def zone_state(machine: Machine) -> str:
    return machine.do("zoneadm", "-z", "web1", "list", "-p").split(":")[2]


def boots(machine: Machine) -> list[int]:
    """The exit statuses of every boot of web1."""
    return [entry["status"] for entry in machine.journal() if entry["argv"] == ["zoneadm", "-z", "web1", "boot"]]


def test_zones_that_boot_with_the_host_wait_for_their_links(each: Service) -> None:
    service, machine = each, each.machine
    with_autoboot(service)
    machine.fault("add", "slow", "dladm create-vnic *", "--seconds", "6")
    machine.do("svcadm", "enable", FMRI)
    until(lambda: service.state() == "offline online", "our start method runs")
    machine.do("svcadm", "enable", ZONES)
    machine.do("sleep", "1")
    assert machine.do("svcs", "-H", "-o", "state", ZONES).strip() == "offline", "they wait"
    until(lambda: zone_state(machine) == "running", "web1 runs")
    until(lambda: boots(machine), "zoneadm boot has ended: the zone runs a moment before (zones sheet 2.3)")
    assert boots(machine) == [0], "at the first try"
    service.until("online -")


@pytest.mark.parametrize("trouble", ["disabled", "maintenance"])
def test_zones_do_not_wait_for_a_service_that_needs_an_administrator(service: Service, trouble: str) -> None:
    machine = service.machine
    with_autoboot(service)
    machine.do("dladm", "create-vnic", "-l", "net0", "web1_0")
    if trouble == "maintenance":
        service.configure("nonsense")
        assert service.enable().status == 3
    machine.do("svcadm", "enable", ZONES)
    until(lambda: zone_state(machine) == "running", "web1 runs")
    assert service.state() == f"{trouble} -"


def test_zones_are_not_touched_by_a_restart_of_ours(service: Service) -> None:
    machine = service.machine
    with_autoboot(service)
    assert service.enable().status == 0
    machine.do("svcadm", "enable", "-s", ZONES)
    until(lambda: zone_state(machine) == "running", "web1 runs")
    zoneid = machine.do("zoneadm", "-z", "web1", "list", "-p").split(":")[0]
    before = service.pids()
    machine.do("svcadm", "restart", FMRI)
    service.until_restarted(before)
    assert service.disable().status == 0
    assert zone_state(machine) == "running" and "web1_0" in machine.links()
    assert machine.do("zoneadm", "-z", "web1", "list", "-p").split(":")[0] == zoneid
    assert machine.do("svcs", "-H", "-o", "state", ZONES).strip() == "online"
