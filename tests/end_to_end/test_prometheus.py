"""A real Prometheus scrapes the daemon with our rules: faults make alerts fire, and what mends them makes them clear.

The rules are docs/monitoring's own, with one change: every duration in them (``for``, windows, offsets) is a few
seconds, for a test does not wait a quarter of an hour. What they ask and their thresholds stay.
"""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from machine import CONFIG, ROOT, SET_UP_S, Daemon, Machine, until
from prometheus_client.parser import text_string_to_metric_families

from zonehookd.metrics.table import PREFIX, TABLE

pytestmark = pytest.mark.namespaces

MONITORING = ROOT / "docs" / "monitoring"
FETCH = (
    "import urllib.request as u, sys; print(u.urlopen('http://127.0.0.1:' + sys.argv[1], timeout=30).read().decode())"
)
NETWORKS = """
[network.wan]
cidr = "192.0.2.0/24"
uplink = "net0"
gateway = "192.0.2.1"
[network.web]
cidr = "10.99.0.0/24"
via = "edge"
pool = ["10.99.0.10-10.99.0.12"]
[gateway.edge]
outside = "wan"
address = "192.0.2.10"
dhcp = "none"
dns = "none"
"""
REST = """
[timing]
poll_s = 0.5
heartbeat_s = 0.5
absence_s = 0.2
full_look_s = 1
[metrics]
traffic = true
traffic_s = 0.5
"""
PATIENCE_S = 60.0
ALWAYS = ("process_", "python_")  # of the client library


def quick(rules: str) -> str:
    """With every duration short. A window holds a dozen scrapes."""
    rules = re.sub(r"for: \d+[smhd]", "for: 1s", rules)
    rules = re.sub(r"\[\d+[smhd]\]", "[12s]", rules)
    return re.sub(r"offset \d+[smhd]", "offset 12s", rules)


class Watched:
    """A daemon with a gateway, and a Prometheus that watches it."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.daemon = Daemon(machine, NETWORKS, REST)
        self.zone("edge")
        self.zone("web1", "web")
        self.zone("idle", "web")
        machine.do("zoneadm", "-z", "edge", "boot")
        self.daemon.start()
        until(self.quiet, f"all is well: {self.daemon.ask('status').out}", SET_UP_S)
        machine.do("zoneadm", "-z", "web1", "boot")
        until(self.quiet, f"all is well: {self.daemon.ask('status').out}", SET_UP_S)
        self._prometheus()

    def _prometheus(self) -> None:
        host = self.machine
        host.do("mkdir", "-p", "/etc/prometheus")
        for name in ("recording.yml", "alerts.yml"):
            host.write(f"/etc/prometheus/{name}", quick((MONITORING / name).read_text()))
        host.write("/etc/prometheus/prometheus.yml", (MONITORING / "prometheus.yml").read_text().replace("15s", "1s"))
        argv = ["prometheus", "--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/var/prometheus",
                "--web.listen-address=127.0.0.1:9090", "--log.level=warn"]  # fmt: skip
        host.start(*argv, log="/var/log/prometheus.log")
        until(lambda: self.asked('up{job="zonehookd"} == 1'), f"a scrape: {host.read('/var/log/prometheus.log')}")

    def zone(self, name: str, wish: str = "") -> None:
        net = f"add net; set physical={name}_0; end; " if wish else ""
        attr = f'add attr; set name=zh.net0; set type=string; set value="{wish}"; end; ' if wish else ""
        self.machine.do("zonecfg", "-z", name, f"create -b; set zonepath=/zones/{name}; set brand=sparse; "
                        f"set ip-type=exclusive; {net}{attr}")  # fmt: skip
        self.machine.do("zoneadm", "-z", name, "install")

    def quiet(self) -> bool:
        status = self.machine.control("status")
        return bool(status and status["ready"] and not status["trouble"] and not status["working"])

    def _get(self, path: str) -> Any:
        done = self.machine.run("python3", "-c", FETCH, f"9090/api/v1/{path}")
        return json.loads(done.out)["data"] if done.status == 0 else None

    def asked(self, expression: str) -> list[dict[str, Any]]:
        """What an instant query finds; nothing while Prometheus does not answer yet."""
        data = self._get(f"query?query={''.join(f'%{ord(each):02x}' for each in expression)}")
        return list(data["result"]) if data else []

    def firing(self) -> dict[str, list[dict[str, str]]]:
        """Alert -> its labels, each time it fires."""
        found: dict[str, list[dict[str, str]]] = {}
        for alert in self._get("alerts")["alerts"]:
            if alert["state"] == "firing":
                found.setdefault(alert["labels"]["alertname"], []).append(alert["labels"])
        return found

    def until_firing(self, name: str, **labels: str) -> None:
        def fires() -> bool:
            return any(labels.items() <= each.items() for each in self.firing().get(f"Zonehookd{name}", ()))

        until(fires, f"{name} {labels} fires", PATIENCE_S)

    def until_clear(self) -> None:
        until(lambda: not self.firing(), "no alert fires any more", PATIENCE_S)


@pytest.fixture(scope="module")
def watched() -> Iterator[Watched]:
    machine = Machine()
    try:
        yield Watched(machine)
    finally:
        machine.close()


def test_what_is_scraped_is_the_table(watched: Watched) -> None:
    mine = 'zonehookd_link_receive_bytes_total{zone="web1"}'
    until(lambda: watched.asked(mine), "traffic is read")
    text = watched.machine.do("python3", "-c", FETCH, "9631/metrics")
    found = {family.name: family for family in text_string_to_metric_families(text)}
    families = {row.family: row for row in TABLE.values()}
    ours = {name for name in found if name.startswith(PREFIX)}
    assert ours == families.keys(), "all of the table, and nothing else"
    assert all(name.startswith((PREFIX, *ALWAYS)) for name in found)
    for name in ours:
        row, family = families[name], found[name]
        assert (family.type, family.documentation) == (row.type, row.help)
        for sample in family.samples:
            assert set(sample.labels) - {"le"} == set(row.label_names), sample
            for label in row.labels:
                assert not label.values or sample.labels[label.name] in label.values, sample
    (web1,) = watched.asked(mine)
    assert web1["metric"].items() >= {"link": "web1_0", "network": "web"}.items()


def test_packets_of_a_zone_are_counted(watched: Watched) -> None:
    def sent() -> float:
        (found,) = watched.asked('zonehookd_link_transmit_packets_total{zone="web1"}')
        return float(found["value"][1])

    before = sent()
    until(lambda: watched.machine.inside("web1", "ping", "-c", "20", "-i", "0.01", "10.99.0.1").status == 0, "a ping")
    until(lambda: sent() >= before + 20, "its packets are counted")


def test_no_alert_fires_while_all_is_well(watched: Watched) -> None:
    watched.until_clear()

    def health() -> set[str]:
        return {rule["health"] for group in watched._get("rules")["groups"] for rule in group["rules"]}

    until(lambda: health() == {"ok"}, "each can be computed", PATIENCE_S)
    watched.until_clear()


def test_a_refused_configuration(watched: Watched) -> None:
    good = watched.machine.read(CONFIG)
    watched.machine.write(CONFIG, good.replace("10.99.0.0/24", "10.99.0.5/24"))
    watched.machine.signal(watched.daemon.pid, signal.SIGHUP)
    watched.until_firing("ConfigRefused", severity="warn", instance="127.0.0.1:9631")
    watched.machine.write(CONFIG, good)
    watched.machine.signal(watched.daemon.pid, signal.SIGHUP)
    watched.until_clear()


def test_a_zone_that_is_refused_and_a_pool_without_an_address(watched: Watched) -> None:
    watched.zone("web2", "web")
    watched.until_firing("PoolNearlyExhausted", pool="web")
    watched.zone("web3", "web")
    watched.until_firing("PoolExhausted", network="web", severity="page")
    watched.until_firing("ZoneDegraded", zone="web3")
    watched.until_firing("Refusals", code="pool-exhausted")
    good = watched.machine.read(CONFIG)
    watched.machine.write(CONFIG, good.replace("10.99.0.12", "10.99.0.99"))
    assert watched.daemon.ask("reload").status == 0
    watched.until_clear()


def test_a_link_that_somebody_deletes_again_and_again(watched: Watched) -> None:
    until(watched.quiet, "at rest")
    again = "while :; do dladm delete-vnic idle_0; sleep 0.2; done"
    somebody = watched.machine.start("sh", "-c", again, log="/var/log/somebody")
    watched.until_firing("DriftRepairs", plugin="vnic", cause="missing")
    watched.machine.signal(somebody, signal.SIGKILL)
    watched.until_clear()


def test_a_gateway_that_halts_and_is_deleted_and_comes_back(watched: Watched) -> None:
    watched.machine.do("zoneadm", "-z", "edge", "halt")
    watched.until_firing("GatewayShut", gateway="edge", severity="page")
    watched.machine.do("zonecfg", "-z", "edge", "delete", "-F")
    watched.until_firing("GatewayLost", severity="page")
    done = watched.daemon.ask("guard", "restore", "edge")
    assert done.status == 0, done
    watched.until_clear()


def test_a_source_that_goes_deaf_and_a_daemon_that_is_killed(watched: Watched) -> None:
    watched.machine.fault("lose-events")
    watched.until_firing("EventSourceDeaf", source="zone-channel", severity="page")
    watched.daemon.stop(signal.SIGKILL)
    watched.until_firing("Down", severity="page")
    watched.machine.do("zonelab", "fault", "clear")
    watched.daemon.start(wait=False)
    until(watched.quiet, "it is ready again, and all is well", SET_UP_S)
    watched.until_clear()
