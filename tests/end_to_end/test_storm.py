"""A hundred zones boot at once behind a gateway: each gets its own lease by a real client and answers to its name.

What is done to the servers does not grow with the number of zones: ten of them first, then a hundred more on the same
host, and the count of restarts, HUPs, OMAPI bursts and rule loads of each wave is printed and compared.
"""

from __future__ import annotations

import json
import shlex
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from machine import Daemon, Machine, until
from test_gateway import boot, links_there, member, quiet

pytestmark = [pytest.mark.namespaces, pytest.mark.timeout(600)]

FAR = "198.51.100.1"
RESOLVER = Path(__file__).with_name("resolver.py").read_text()
FEW, MANY = 10, 100
PATIENCE_S = 120.0  # of each step with a hundred zones, on a slow machine
MORE_MAX = 6  # of anything, with MANY against FEW: a constant, where growth would be ninety
CONFIG = """
[network.wan]
cidr = "192.0.2.0/24"
uplink = "net0"
gateway = "192.0.2.1"
[network.web]
cidr = "10.99.0.0/22"
via = "{where}"
address_by = "dhcp"
[gateway.{where}]
dhcp = "{dhcp}"
"""
OUTSIDE = 'outside = "wan"\naddress = "192.0.2.10"\n'
# Run on the host for each zone: configured, installed, and a client that asks at boot.
CONFIGURE = r"""
zonecfg -z "$1" "create -b; set zonepath=/zones/$1; set brand=sparse; set ip-type=exclusive
add net; set physical=${1}_0; end; add attr; set name=zh.net0; set type=string; set value=web; end"
zoneadm -z "$1" install > /dev/null
mkdir -p "/zones/$1/root/etc"
printf '#!/bin/sh\nipadm create-addr -t -T dhcp -w 120 %s_0/v4\n' "$1" > "/zones/$1/root/etc/rc.local"
chmod 755 "/zones/$1/root/etc/rc.local"
"""
LEASES = r'for zone; do until zonelab lease "$zone" "${zone}_0" 2> /dev/null; do sleep 0.1; done; done'
COUNTED = {
    "restarts": {"svcadm", "restart"},
    "HUPs": {"pkill", "-HUP"},
    "OMAPI bursts": {"zonehookd.illumos.omapi"},
    "rule loads": {"ipnat", "-f"},
    "links": {"dladm", "create-vnic"},
}


@dataclass(frozen=True)
class Here:
    host: Machine
    daemon: Daemon
    where: str
    dhcp: str

    def done_since(self, line: int) -> Counter[str]:
        """What the daemon did to the servers and rules since that line of its audit log, and how many links it made."""
        done: Counter[str] = Counter()
        for each in self.daemon.audit()[line:]:
            words = " ".join(each["argv"]).split()
            if each["kind"] == "change":
                done.update(what for what, marks in COUNTED.items() if marks <= set(words))
        return done


@pytest.fixture(params=["dnsmasq-zone", "dhcpd-global", "dhcpd-zone"])
def here(request: pytest.FixtureRequest, machine: Machine) -> Iterator[Here]:
    """A gateway with one network behind it, well, and nobody there yet."""
    dhcp, _, place = request.param.partition("-")
    where = "global" if place == "global" else "edge"
    daemon = Daemon(machine, CONFIG.format(where=where, dhcp=dhcp), OUTSIDE if place == "zone" else "")
    daemon.start()
    if place == "zone":
        member(machine, where)
        links_there(machine, "edge_web0")
        boot(machine, where)
    until(lambda: quiet(daemon), f"the gateway is well: {daemon.ask('status').out}", PATIENCE_S)
    yield Here(machine, daemon, where, dhcp)
    daemon.stop()


def test_a_hundred_zones_at_once_cost_the_servers_what_ten_cost(here: Here, capsys: pytest.CaptureFixture[str]) -> None:
    few = wave(here, "few", FEW)
    many = wave(here, "many", MANY)
    with capsys.disabled():
        print(f"\n{here.dhcp} in {here.where}: {FEW} zones {dict(few)}; {MANY} zones {dict(many)}")
    assert (few.pop("links"), many.pop("links")) == (FEW, MANY)
    assert all(number <= few[what] + MORE_MAX for what, number in many.items()), (few, many)


def wave(here: Here, prefix: str, number: int) -> Counter[str]:
    """`number` zones configured, then booted at once; each leased, named and well. What was done to the servers."""
    host, daemon = here.host, here.daemon
    line = len(daemon.audit())
    zones = [f"{prefix}{each}" for each in range(number)]
    every(host, zones, 8, "sh", "-ec", CONFIGURE, "configure", "@")
    links = {f"{zone}_0" for zone in zones}
    until(lambda: set(zones) <= reserved(daemon).keys(), "each has its address", PATIENCE_S)
    until(lambda: links <= set(host.links()), "each has its link", PATIENCE_S)
    every(host, zones, number, "zoneadm", "-z", "@", "boot")
    own = reserved(daemon)
    wanted = {zone: own[zone] for zone in zones}
    assert len(set(wanted.values())) == number
    asked = host.run("sh", "-c", LEASES, "leases", *zones, timeout_s=PATIENCE_S)
    assert asked.status == 0, f"some got no lease: {asked}"
    leased = {given["zone"]: given["address"].partition("/")[0] for given in map(json.loads, asked.out.splitlines())}
    assert leased == wanted
    until(lambda: quiet(daemon), f"everybody is well: {daemon.ask('status').out}", PATIENCE_S)
    names = {zone: f"NOERROR {address}" for zone, address in wanted.items()}
    until(lambda: ask(here, zones[-1], zones) == names, "each answers to its name: a zone's may come after its lease")
    if here.where != "global":
        every(host, zones, 8, "zlogin", "@", f"ping -c 1 -W 20 {FAR}")
    return here.done_since(line)


def every(host: Machine, zones: list[str], at_once: int, *argv: str) -> None:
    """`argv` for each zone (``@``), so many at once. Each must succeed."""
    xargs = ["xargs", "-P", str(at_once), "-I@", *argv]
    done = host.run(*xargs, stdin="".join(f"{zone}\n" for zone in zones), timeout_s=PATIENCE_S)
    assert done.status == 0, f"{argv}: {done}"


def reserved(daemon: Daemon) -> dict[str, str]:
    """Zone -> the address that is its own on the network, from the daemon."""
    zones = daemon.ctl("zones") or []
    return {
        zone["name"]: each["addresses"][0].partition("/")[0]
        for zone in zones
        for each in zone["attachments"]
        if each["network"] == "web" and each["addresses"]
    }


def ask(here: Here, zone: str, names: list[str]) -> dict[str, str]:
    """Name -> the answer of the gateway's server, asked inside a zone."""
    argv = ["/usr/bin/python3", "-c", RESOLVER, "udp", "10.99.0.1", "A", *names]
    said = here.host.run("zlogin", zone, shlex.join(argv), timeout_s=60)
    return dict(zip(names, said.out.splitlines(), strict=False))  # fewer: it had no time for them all
