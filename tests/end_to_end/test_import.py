"""What zap made goes on as it is under zonehookd: its records are imported, its links adopted, nothing made anew."""

from __future__ import annotations

import pytest
from machine import CONFIG, Daemon, Machine, until

pytestmark = pytest.mark.namespaces

RECORDS = "/var/zap/zones"
FILES = {
    "rconfig.10.2.0": "interface: zrstub0\nshared-interface: snic0\ngateway: 10.2.0.1\nzone: proxy\n"
    "public-ip:  192.0.2.50\n",
    "zconfig.proxy": "brand: TRIBwhole\nzone: proxy\nip-type: exclusive\naddress: 192.0.2.50\n",
    "zconfig.web1": "brand: TRIBsparse\nzone: web1\nip-type: exclusive\naddress: 10.2.0.5\nparent_zone: proxy\n",
    "destroy.proxy": "#!/bin/sh\n/usr/sbin/dladm delete-vnic znic0\n/usr/sbin/dladm delete-vnic znic1\n"
    "/usr/sbin/ipadm delete-if snic0\n/usr/sbin/dladm delete-vnic snic0\n/usr/sbin/dladm delete-etherstub zrstub0\n",
}


def as_zap_makes_it(machine: Machine) -> None:
    machine.do("mkdir", "-p", RECORDS)
    for name, text in FILES.items():
        machine.write(f"{RECORDS}/{name}", text)
    machine.do("dladm", "create-vnic", "-l", "net0", "znic0")
    machine.do("dladm", "create-etherstub", "zrstub0")
    for link in ("znic1", "snic0", "znic2"):
        machine.do("dladm", "create-vnic", "-l", "zrstub0", link)
    machine.do("ipadm", "create-if", "snic0")
    base = "create -b; set zonepath=/zones/{0}; set brand=sparse; set ip-type=exclusive; "
    machine.do("zonecfg", "-z", "proxy", base.format("proxy") + "add net; set physical=znic0; end; "
               "add net; set physical=znic1; end")  # fmt: skip
    machine.do("zonecfg", "-z", "web1", base.format("web1") + "add net; set physical=znic2; "
               "set allowed-address=10.2.0.5/24; set defrouter=10.2.0.1; end")  # fmt: skip
    for zone in ("proxy", "web1"):
        machine.do("zoneadm", "-z", zone, "install")
        machine.do("zoneadm", "-z", zone, "boot")
    for link, address in (("znic0", "192.0.2.50/24"), ("znic1", "10.2.0.1/24")):
        machine.do("zlogin", "proxy", "ipadm", "create-addr", "-T", "static", "-a", address, f"{link}/v4")


def links(machine: Machine) -> str:
    return machine.do("dladm", "show-link", "-p", "-o", "link,class,over") + machine.do(
        "dladm", "show-vnic", "-p", "-o", "link,over,macaddress"
    )


def configured(machine: Machine) -> list[str]:
    return [machine.do("zonecfg", "-z", zone, "export") for zone in ("proxy", "web1")]


def test_the_network_of_zap_is_adopted_as_it_is(machine: Machine) -> None:
    as_zap_makes_it(machine)
    before = links(machine), configured(machine)
    daemon = Daemon(machine, "")
    machine.do("rm", CONFIG)
    done = daemon.ask("import", "zap", RECORDS, "--uplink", "net0", "--uplink-cidr", "192.0.2.0/24", "--partial",
                      "--into", CONFIG)  # fmt: skip
    assert done.status == 0, done
    daemon.start()
    assert (links(machine), configured(machine)) == before
    rows = {row["name"]: row for row in daemon.ctl("zones")}
    assert [(a["link"], a["network"]) for a in rows["proxy"]["attachments"]] == [("znic0", "uplink"),
                                                                              ("znic1", "zrstub0")]  # fmt: skip
    assert [(a["link"], a["network"]) for a in rows["web1"]["attachments"]] == [("znic2", "zrstub0")]
    assert not rows["web1"]["trouble"], rows["web1"]
    way_out = ("zlogin", "web1", "ping", "-c", "1", "-W", "1", "198.51.100.1")
    machine.do("zlogin", "proxy", "route", "add", "default", "192.0.2.1")
    until(lambda: machine.run(*way_out).status == 0, "a way out of the hidden network")
    assert {row["made_by"] for row in daemon.ctl("links") if row["name"].startswith("z")} == {"somebody else"}
    daemon.stop()
    machine.write(CONFIG, "")
    daemon.start()
    daemon.settle()
    assert links(machine) == before[0], "what zap made is zap's to remove"
