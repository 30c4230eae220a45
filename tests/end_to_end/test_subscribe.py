"""Who subscribes to a real daemon: on its host and by TCP with a key, in Python, in C and by zonehookctl; through a
revoked key and a restart."""

from __future__ import annotations

import sys

import pytest
from machine import NETWORKS, ROOT, Daemon, Machine, until

pytestmark = pytest.mark.namespaces

EXAMPLES = ROOT / "docs" / "examples"
FAR = "127.0.0.1:9633"
EVENTS = f'[events]\nlisten = "{FAR}"\nkeys = "/etc/zonehookd/keys"\npulse_s = 0.2\n'
KEYS = "/etc/zonehookd"


@pytest.fixture
def compiled(machine: Machine) -> str:
    machine.do("cc", "-o", "/var/log/follow", str(EXAMPLES / "follow.c"), "-lzmq")
    return "/var/log/follow"


def metrics(machine: Machine) -> str:
    fetch = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:9631/metrics', timeout=30).read().decode())"
    return machine.do("python3", "-c", fetch)


def test_subscribers_of_a_real_daemon(machine: Machine, daemon: Daemon, compiled: str) -> None:
    daemon.configure(NETWORKS, EVENTS)
    daemon.start(wait=False)
    assert machine.wait(daemon.pid) == 78, "it does not listen without keys"
    assert "events.keys: /etc/zonehookd/keys: is not there (hint: zonehookctl keys init" in daemon.tail()
    machine.do("mkdir", "-p", KEYS)
    assert daemon.ask("keys", "init").status == 0
    for name in ("c", "ctl", "gone"):
        assert daemon.ask("keys", "new", name, "--out", f"{KEYS}/{name}.key_secret").status == 0
    daemon.start()
    logs = start(machine, compiled)
    near, far, ctl, gone = logs
    for log in (near, far, gone):
        until(lambda log=log: "listening: now ask the daemon how things are" in machine.read(log), f"{log} hears")
    until(lambda: 'zonehookd_event_subscribers{transport="tcp"} 3.0' in metrics(machine), "zonehookctl hears")
    assert 'zonehookd_event_subscribers{transport="ipc"} 1.0' in metrics(machine)

    machine.zone("web1", "web1_0", "10.1.0.5/24")
    for log in logs:
        until(lambda log=log: outcomes(machine, log, "web1"), f"{log} hears of web1")

    done = daemon.ask("keys", "revoke", "gone")
    assert (done.status, done.err) == (0, f"zonehookctl: taken; {FAR} is open to: c, ctl\n")
    listed = daemon.ctl("keys", "list")
    assert [row["name"] for row in listed["clients"]] == ["c", "ctl"] and listed["server"]["listen"] == FAR
    done = daemon.ask("--timeout", "0.5", "events", "--connect", f"tcp://{FAR}", "--key", f"{KEYS}/gone.key_secret")
    assert done.status == 3 and f"nothing heard from tcp://{FAR}" in done.err and "know this key" in done.err
    until(lambda: 'zonehookd_event_subscribers{transport="tcp"} 2.0' in metrics(machine), "the others are back")
    machine.zone("web2", "web2_0", "10.1.0.6/24")
    for log in (near, far, ctl):
        until(lambda log=log: outcomes(machine, log, "web2"), f"{log} hears of web2")
    assert not outcomes(machine, gone, "web2")

    assert daemon.stop() == 0
    daemon.start()
    for log in (near, far, ctl):
        until(lambda log=log: restarted(machine, log), f"{log} hears of the restart")
    machine.zone("web3", "web3_0", "10.1.0.7/24")
    for log in (near, far, ctl):
        until(lambda log=log: outcomes(machine, log, "web3"), f"{log} hears of web3")
    assert "let in" in machine.read(daemon.log)


def start(machine: Machine, compiled: str) -> list[str]:
    """The logs of: the Python example on the host; the C example, zonehookctl and one to be revoked over TCP."""
    far = f"tcp://{FAR}"
    python = [sys.executable, str(EXAMPLES / "follow.py")]
    ctl = ["env", f"PYTHONPATH={ROOT}", "PYTHONUNBUFFERED=1", sys.executable, "-m", "zonehookd.cli.main", "--json"]
    argv = {
        "near": [*python, "ipc:///var/run/zonehookd/events.sock", "outcome"],
        "far": [compiled, far, "--key", f"{KEYS}/c.key_secret", "outcome"],
        "ctl": [*ctl, "events", "--follow", "--connect", far, "--key", f"{KEYS}/ctl.key_secret"],
        "gone": [*python, far, "--key", f"{KEYS}/gone.key_secret", "outcome"],
    }
    for name, words in argv.items():
        machine.start(*words, log=f"/var/log/{name}")
    return [f"/var/log/{name}" for name in argv]


def outcomes(machine: Machine, log: str, zone: str) -> bool:
    lines = [line for line in machine.read(log).splitlines() if f'"{zone}"' in line]
    return any(" outcome " in line or '"topic":"outcome"' in line for line in lines)


def restarted(machine: Machine, log: str) -> bool:
    """As the examples say it, or as zonehookctl does."""
    text = machine.read(log)
    return "the daemon has started again" in text or '"reason":"restart"' in text
