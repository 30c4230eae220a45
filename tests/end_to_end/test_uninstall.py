"""The service goes: what it had put elsewhere goes with it."""

from __future__ import annotations

import pytest
from machine import ROOT, Machine
from service import CONFIG, Service

from zonehookd.illumos import zap

pytestmark = pytest.mark.namespaces


def test_uninstalled_it_leaves_brands_as_their_packages_made_them(machine: Machine) -> None:
    """Both ways: the package's, and ours; also where its books are not in the usual place. zap is told nothing any
    more."""
    service = Service(machine)
    told, of_a_zone = (f"{zap.RECORDS}/{name}" for name in (zap.children_file("gw1"), "zconfig.zonehookd-1"))
    machine.do("mkdir", "-p", str(zap.RECORDS))
    machine.write(of_a_zone, "zone: zonehookd-1\n")
    brand = "/usr/lib/brand/sparse/config.xml"
    packaged = machine.read(brand)

    def gated() -> None:
        assert service.enable().status == 0
        done = service.ask("brand", "enable", "sparse")
        assert done.status == 0 and machine.read(brand) != packaged, done
        machine.write(told, zap.children("gw1", ["web1"]))

    def gone(said: str) -> None:
        assert machine.read(brand) == packaged and service.pids() == (0, 0) and said.count("brand sparse: ") == 1
        assert machine.do("ls", str(zap.RECORDS)).split() == ["zconfig.zonehookd-1"], "zap's own is zap's"

    gated()
    gone(machine.do("sh", f"{ROOT}/smf/packaging/preremove"))
    machine.write(CONFIG, machine.read(CONFIG) + '[paths]\nstate = "/var/lib/elsewhere"\n')
    gated()
    gone(machine.do("sh", f"{ROOT}/smf/packaging/preremove"))
    gated()
    compiled = machine.do("sha256sum", "/opt/zonehookd/lib/python/zonehookd/gate/gate", "/var/lib/elsewhere/gate")
    assert len({line.split()[0] for line in compiled.splitlines()}) == 1, "the program that was installed is used"
    gone(service.script("uninstall"))
    with_link = "create -b; set zonepath=/zones/web1; set brand=sparse; set ip-type=exclusive"
    machine.do("zonecfg", "-z", "web1", with_link)
    machine.do("zoneadm", "-z", "web1", "install")
    machine.do("zoneadm", "-z", "web1", "boot")
