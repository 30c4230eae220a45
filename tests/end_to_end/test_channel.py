"""By which way the daemon hears the kernel, and what becomes of it when that way dies."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from machine import ROOT, Daemon, Machine, until

pytestmark = pytest.mark.namespaces

TIMING = "[timing]\npoll_s = 0.5\nfull_look_s = 60\nfiles_s = 60\nheartbeat_s = 0.5\nabsence_s = 0.2\n"
FETCH = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:9631/metrics', timeout=30).read().decode())"
PROTECTED = ("dladm", "show-linkprop", "-c", "-o", "value", "-p", "allowed-ips")


def samples(machine: Machine) -> dict[str, float]:
    lines = machine.do("python3", "-c", FETCH).splitlines()
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[:1] not in "#")}


def channel(daemon: Daemon) -> tuple[bool, str]:
    rows = [row for row in daemon.ctl("status")["sources"] if row["name"] == "zone-channel"]
    return (rows[0]["up"], rows[0]["text"]) if rows else (False, "not heard of yet: a start does not wait for it long")


def boot(machine: Machine, name: str, address: str) -> None:
    attribute = f'add attr; set name=zh.net0; set type=string; set value="dmz {address}"; end'
    machine.do("zonecfg", "-z", name, f"create -b; set zonepath=/zones/{name}; set brand=sparse; "
               f"set ip-type=exclusive; add net; set physical={name}_0; end; {attribute}")  # fmt: skip
    until(lambda: f"{name}_0" in machine.links(), "the VNIC, by the poll: nobody stats /etc/zones here")
    machine.do("zoneadm", "-z", name, "install")
    machine.do("zoneadm", "-z", name, "boot")
    until(lambda: machine.do(*PROTECTED, f"{name}_0").strip() == f"{address}/32", "protected once it runs")


def test_events_then_none_then_the_poll_alone(machine: Machine) -> None:
    daemon = Daemon(machine, extra=TIMING)
    daemon.start()
    until(lambda: channel(daemon) == (True, "libzonecfg"), "it hears")
    assert "source zone-channel: up, by libzonecfg\n" in daemon.ask("status").out
    until(lambda: samples(machine)['zonehookd_zone_channel_total{what="heartbeats"}'] >= 3, "heartbeats")
    boot(machine, "web1", "10.1.0.5")
    running = 'zonehookd_events_received_total{kind="running",source="zone-channel"}'
    until(lambda: samples(machine).get(running, 0) >= 1, "heard of, perhaps after the poll has seen it")
    assert samples(machine)['zonehookd_event_source_by{by="libzonecfg",source="zone-channel"}'] == 1

    machine.fault("lose-events")
    until(lambda: not channel(daemon)[0], "the heartbeat notices")
    until(lambda: channel(daemon)[1].startswith("polling only"), "nothing else is there")
    assert "given up in this process: no return after 5 s" in channel(daemon)[1]
    assert "source zone-channel: down: polling only (libzonecfg: " in daemon.ask("status").out.replace("\n", " ")
    assert samples(machine)['zonehookd_event_source_by{by="libzonecfg",source="zone-channel"}'] == 0
    boot(machine, "web2", "10.1.0.6")
    until(lambda: daemon.ask("plan").status == 0, "the kinds of protection come after the addresses")
    downs = [line for line in daemon.lines() if line["event"] == "source down"]
    assert [line["again"] for line in downs] == [True, False] and "Hung" in downs[0]["reason"]
    assert daemon.stop() == 0, "the call that never returns does not keep it"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Libraries that can be subscribed to, and bring back what is published, nothing else."""
    source = ROOT / "tests" / "sources" / "native" / "libsysevent.c"
    for name in ("libsysevent.so.1", "libnvpair.so.1"):
        subprocess.run(
            ["cc", "-shared", "-fPIC", "-fvisibility=hidden", "-pthread", "-o", str(tmp_path / name), str(source)],
            check=True,
        )
    return tmp_path


@pytest.fixture
def other(folder: Path) -> Iterator[Machine]:
    """A host with libsysevent, and a libzonecfg without the private calls."""
    machine = Machine("--show", str(folder))
    machine.do("sh", "-c", f"cp {folder}/*.so.1 /usr/lib; cp /usr/lib/libnvpair.so.1 /usr/lib/libzonecfg.so.1")
    yield machine
    machine.close()


def test_by_libsysevent_when_libzonecfg_has_no_such_calls(other: Machine) -> None:
    daemon = Daemon(other, extra=TIMING)
    daemon.start()
    until(lambda: channel(daemon)[0], "it hears")
    _, text = channel(daemon)
    assert text.startswith("libsysevent (libzonecfg: libzonecfg.so.1: ") and "zonecfg_notify_bind" in text
    assert samples(other)['zonehookd_event_source_by{by="libsysevent",source="zone-channel"}'] == 1
    until(lambda: samples(other)['zonehookd_zone_channel_total{what="heartbeats"}'] >= 3, "heartbeats")
    assert daemon.stop() == 0
