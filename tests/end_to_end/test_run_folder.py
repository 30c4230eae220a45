"""The run folder, removed under the service: who speaks to it finds its warden and its daemon again."""

from __future__ import annotations

import pytest
from machine import NETWORKS, Machine, until
from service import FMRI, Service

pytestmark = pytest.mark.namespaces


def test_the_run_folder_removed_under_a_service(machine: Machine) -> None:
    service = Service(machine)
    assert service.enable().status == 0
    before = service.pids()
    machine.do("rm", "-r", "/var/run/zonehookd")
    for name in ("warden", "control", "events"):
        there = ("test", "-S", f"/var/run/zonehookd/{name}.sock")
        until(lambda: machine.run(*there).status == 0, f"{name}.sock is there again: {service.log()}")  # noqa: B023
    assert machine.do("stat", "-c", "%a", "/var/run/zonehookd").strip() == "700"
    service.configure(NETWORKS + '[network.third]\ncidr = "10.3.0.0/24"\n')
    machine.do("svcadm", "refresh", FMRI)
    until(lambda: "third0" in machine.links(), f"a refresh reaches it: {service.log()}")
    assert service.pids() == before and service.state() == "online -"
    machine.do("svcadm", "restart", FMRI)
    service.until_restarted(before)
    assert "warden: stopping" in service.log() and "left behind" not in service.log(), "the old one was told to stop"
