"""The daemon as a process: what it tells its supervisor, its sockets, its metrics, its reload, its end."""

from __future__ import annotations

import json
import signal
import time

import pytest
from machine import NETWORKS, ROOT, Daemon, Machine, until

from zonehookd.config import STANDARD

pytestmark = pytest.mark.namespaces

CHANGING = {"create-etherstub", "delete-etherstub", "create-vnic", "delete-vnic", "set-linkprop", "reset-linkprop",
            "rename-link", "create", "delete", "boot", "halt", "create-addr", "delete-addr", "create-if"}  # fmt: skip


def changing(journal: list[dict[str, object]]) -> list[list[str]]:
    found = []
    for entry in journal:
        argv = entry["argv"]
        assert isinstance(argv, list)
        if CHANGING & set(argv):
            found.append(argv)
    return found


def test_plan_runs_no_changing_command_and_says_by_exit_code_what_it_found(machine: Machine, daemon: Daemon) -> None:
    daemon.configure(NETWORKS, "[timing]\nfull_look_s = 3600\n")
    daemon.start()
    assert daemon.ask("plan").status == 0
    # A refusal for want of privilege is not tried again before the next full look, so the change stays to be done.
    machine.fault("add", "fail", "dladm create-vnic *", "--times", "1000", "--status", "permission denied")
    machine.zone("web1", "web1_0", "10.1.0.5/24")
    until(lambda: [row for row in daemon.ctl("zones") if row["result"] == "stuck"], "the refusal")
    before = changing(machine.journal())
    assert before[-1][:2] == ["dladm", "create-vnic"]
    plans = [daemon.ask("--json", "plan") for _ in range(3)]
    assert changing(machine.journal()) == before, "a plan changes nothing"
    assert [plan.status for plan in plans] == [2, 2, 2]
    (web1,) = [row for row in json.loads(plans[0].out)["subjects"] if row["name"] == "web1"]
    assert [step["step"].split()[:2] for step in web1["steps"]] == [["remember", "vnic"], ["dladm", "create-vnic"]]
    machine.do("zonelab", "fault", "clear")
    assert daemon.ask("apply").status == 0 and "web1_0" in machine.links()
    assert daemon.ask("plan").status == 0


def test_readiness_is_true_and_the_watchdog_is_fed_by_the_loop(machine: Machine, daemon: Daemon) -> None:
    machine.zone("web1", "web1_0", "10.1.0.5/24")
    listener = machine.start(
        "python3", "-u", "-c",
        "import socket; s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.bind('/run/notify.sock')\n"
        "while True: print(s.recv(4096).decode().replace(chr(10), ' '))",
        log="/var/log/notify",
    )  # fmt: skip
    until(lambda: machine.run("test", "-S", "/run/notify.sock").status == 0, "the notify socket")
    daemon.start(environ={"NOTIFY_SOCKET": "/run/notify.sock", "WATCHDOG_USEC": "400000"})
    until(lambda: "READY=1" in machine.read("/var/log/notify"), "READY")
    assert "web1_0" in machine.links(), "ready means: looked at everything, and did what was to be done"
    until(lambda: machine.read("/var/log/notify").count("WATCHDOG=1") >= 5, "the watchdog")
    machine.signal(daemon.pid, signal.SIGHUP)
    until(lambda: "RELOADING=1" in machine.read("/var/log/notify"), "RELOADING")
    assert daemon.stop() == 0
    until(lambda: "STOPPING=1" in machine.read("/var/log/notify"), "STOPPING")
    assert "STATUS=" in machine.read("/var/log/notify")
    machine.signal(listener, signal.SIGKILL)


def test_not_ready_while_the_host_cannot_be_read(machine: Machine, daemon: Daemon) -> None:
    machine.do("mv", "/etc/zones/index", "/etc/zones/away")  # and the books are missing too: nothing can be rebuilt
    daemon.start(wait=False)
    until(lambda: (answer := daemon.ctl("status")) and answer["blind"], "an answer that says why")
    assert daemon.ctl("status")["ready"] is False and "index is missing" in daemon.ctl("status")["blind"]
    assert daemon.ask("zones").status == 1
    machine.do("mv", "/etc/zones/away", "/etc/zones/index")
    daemon.until_ready()
    assert daemon.ctl("status")["blind"] == ""


@pytest.mark.parametrize("when", ["blind", "working"])
def test_sigterm_ends_it_whatever_it_is_at(machine: Machine, daemon: Daemon, when: str) -> None:
    if when == "blind":
        machine.do("mv", "/etc/zones/index", "/etc/zones/away")
    daemon.start(wait=False)
    until(lambda: daemon.ctl("status"), "an answer")
    assert daemon.stop() == 0


def test_reload_takes_the_new_and_keeps_the_old_when_the_new_is_wrong(machine: Machine, daemon: Daemon) -> None:
    daemon.start()
    daemon.configure('[network.dmz]\ncidr = "10.1.0.5/24"\n')
    machine.signal(daemon.pid, signal.SIGHUP)
    until(lambda: daemon.ctl("status")["config_error"], "the refusal")
    assert "has host bits set" in daemon.ctl("status")["config_error"]
    assert {"dmz0", "back0"} <= set(machine.links())
    daemon.configure('[network.dmz]\ncidr = "10.1.0.0/24"\n[network.third]\ncidr = "10.3.0.0/24"\n')
    machine.signal(daemon.pid, signal.SIGHUP)
    until(lambda: "third0" in machine.links() and "back0" not in machine.links(), "the new networks")
    assert daemon.ctl("status")["config_error"] == ""


def test_a_wrong_configuration_is_refused_at_the_door(machine: Machine, daemon: Daemon) -> None:
    daemon.configure('[netwrok.dmz]\ncidr = "10.1.0.0/24"\n')
    daemon.start(wait=False)
    assert machine.wait(daemon.pid) == 78
    assert "/etc/zonehookd.toml: netwrok: unknown key (did you mean 'network'?)" in daemon.tail()


def test_sigterm_finishes_the_running_step(machine: Machine, daemon: Daemon) -> None:
    daemon.start()
    machine.fault("add", "slow", "dladm create-vnic *", "--seconds", "6")
    machine.zone("web1", "web1_0", "10.1.0.5/24")
    until(lambda: machine.run("pgrep", "-f", "dladm create-vnic").status == 0, "the slow step")
    assert daemon.stop() == 0
    assert "web1_0" in machine.links(), "the step was finished, not cut"


def test_sockets_and_files_are_for_the_owner_alone(machine: Machine, daemon: Daemon) -> None:
    daemon.start()
    paths = [
        "/var/run/zonehookd",
        "/var/run/zonehookd/control.sock",
        "/var/run/zonehookd/events.sock",
        "/var/lib/zonehookd",
    ]
    modes = machine.do("stat", "-L", "-c", "%a", *paths).split()
    assert modes == ["700", "600", "600", "700"]


def test_everything_can_be_asked_for(machine: Machine, daemon: Daemon) -> None:
    daemon.start()
    machine.zone("web1", "web1_0", "10.1.0.5/24")
    machine.zone("lost", "lost_0", "172.16.0.5/24")
    daemon.settle()
    (lost, web1) = daemon.ctl("zones")
    assert web1["attachments"][0]["network"] == "dmz" and not web1["trouble"]
    assert lost["trouble"][0]["code"] == "no-network"
    assert {row["name"]: row["zones"] for row in daemon.ctl("networks")} == {"dmz": 1, "back": 0}
    assert {row["name"]: row["made_by"] for row in daemon.ctl("links")}["web1_0"] == "us"
    assert sorted(row["name"] for row in daemon.ctl("plugins")) == sorted(STANDARD)
    assert daemon.ctl("explain", "web1")["records"][0]["over"] == "dmz0"
    assert (
        daemon.ask("explain", "nobody").status == 1 and "there are: lost, web1" in daemon.ask("explain", "nobody").err
    )
    status = daemon.ask("status")
    assert status.status == 1 and "172.16.0.5/24 is in no declared network" in status.out, "somebody is in trouble"
    for verb in ("zones", "networks", "links", "plugins", "plan", "apply"):
        text = daemon.ask(verb)
        assert text.status == 0 and text.out.strip(), verb
    assert "web1_0" in daemon.ask("explain", "web1").out


def test_nobody_answers(machine: Machine, daemon: Daemon) -> None:
    done = daemon.ask("status")
    assert done.status == 3 and "is not listening at /var/run/zonehookd/control.sock" in done.err and "hint" in done.err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_nobody_waits_for_a_daemon_that_has_gone(machine: Machine, daemon: Daemon, number: signal.Signals) -> None:
    daemon.start()
    daemon.stop(number)
    began = time.monotonic()
    assert daemon.ask("status").status == 3
    assert time.monotonic() - began < 45, "it does not wait for an answer"


def test_events_can_be_followed(machine: Machine, daemon: Daemon) -> None:
    daemon.start()
    argv = ["env", f"PYTHONPATH={ROOT}", "PYTHONUNBUFFERED=1", daemon_python(), "-m", "zonehookd.cli.main",
            "--config", "/etc/zonehookd.toml", "--json", "events", "--follow"]  # fmt: skip
    follower = machine.start(*argv, log="/var/log/events")
    fetch = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:9631/metrics', timeout=30).read().decode())"
    heard_by = 'zonehookd_event_subscribers{transport="ipc"} 1.0'
    until(lambda: heard_by in machine.do("python3", "-c", fetch), "the follower")
    machine.zone("web1", "web1_0", "10.1.0.5/24")
    until(lambda: '"topic":"outcome"' in machine.read("/var/log/events"), "an outcome")
    messages = [json.loads(line) for line in machine.read("/var/log/events").splitlines()]
    outcome = next(each for each in messages if each["topic"] == "outcome")
    assert outcome["v"] == 1 and outcome["data"]["result"] == "changed"
    assert any("create-vnic" in step["step"] for step in outcome["data"]["steps"])
    machine.signal(follower, signal.SIGTERM)


def daemon_python() -> str:
    import sys

    return sys.executable


def test_metrics_health_and_readiness(machine: Machine, daemon: Daemon) -> None:
    daemon.start()
    machine.zone("web1", "web1_0", "10.1.0.5/24")
    daemon.settle()
    machine.do("dladm", "delete-vnic", "web1_0")
    daemon.settle()
    fetch = (
        "import urllib.request as u, sys; "
        "print(u.urlopen('http://127.0.0.1:9631' + sys.argv[1], timeout=30).read().decode())"
    )
    text = machine.do("python3", "-c", fetch, "/metrics")
    samples = dict(line.rsplit(" ", 1) for line in text.splitlines() if line and not line.startswith("#"))
    assert float(samples["zonehookd_ready"]) == 1
    assert float(samples['zonehookd_zones{brand="sparse",state="configured"}']) == 1
    assert float(samples['zonehookd_event_source_up{source="zone-channel"}']) == 1
    assert float(samples['zonehookd_outcomes_total{kind="zone",result="changed"}']) == 2
    assert float(samples['zonehookd_drift_repairs_total{cause="missing",kind="zone",plugin="vnic"}']) == 1
    assert float(samples['zonehookd_commands_total{command="dladm",result="ok"}']) > 3
    assert float(samples['zonehookd_resources{kind="vnic",plugin="vnic",state="ok"}']) == 1
    assert float(samples['zonehookd_plugin_calls_total{plugin="vnic",result="ok",verb="apply"}']) >= 4
    assert float(samples['zonehookd_plugin_calls_total{plugin="vnic",result="ok",verb="plan"}']) >= 2
    assert not [name for name in samples if "zone=" in name and "zone_degraded" not in name], "no label without a bound"
    assert machine.do("python3", "-c", fetch, "/healthz").strip() == "ok"
    assert machine.do("python3", "-c", fetch, "/readyz").strip() == "ok"


def test_the_audit_log_has_every_command_with_its_why(machine: Machine, daemon: Daemon) -> None:
    daemon.start()
    machine.zone("web1", "web1_0", "10.1.0.5/24")
    daemon.settle()
    assert daemon.stop() == 0
    audit = daemon.audit()
    ours = [entry["argv"] for entry in machine.journal() if entry["argv"][0] in ("dladm", "zoneadm", "ipadm", "route")]
    for entry in audit:
        assert entry["argv"] in ours
    (create,) = [entry for entry in audit if "create-vnic" in entry["argv"]]
    assert (create["zone"], create["status"], create["kind"]) == ("web1", 0, "change")
    assert create["why"] == "web1_0 is missing on network dmz" and create["seconds"] > 0 and create["stdin"] == ""
