"""A lab host with the gate in its brand: what the tests of it have in common."""

from __future__ import annotations

from machine import Daemon, Machine

BRAND = "/usr/lib/brand/sparse/config.xml"
STATE = "/var/lib/zonehookd"


def enable(daemon: Daemon, brand: str = "sparse") -> None:
    done = daemon.ask("brand", "enable", brand)
    assert done.status == 0 and "has the gate" in done.out, done


def bare(host: Machine, name: str) -> None:
    host.do("zonecfg", "-z", name, f"create -b; set zonepath=/zones/{name}; set brand=sparse; set ip-type=exclusive")
    host.do("zoneadm", "-z", name, "install")


def state(host: Machine, zone: str) -> str:
    return host.do("zoneadm", "-z", zone, "list", "-p").split(":")[2]


def look(host: Machine, file: str = BRAND) -> str:
    """Content, mode, owner and time of a file."""
    return host.do("sh", "-c", f"stat -c '%a %u %g %.9Y' {file}; cat {file}")


def metric(host: Machine, name: str) -> float:
    fetch = "import urllib.request as r; print(r.urlopen('http://127.0.0.1:9631/metrics').read().decode())"
    text = host.do("/usr/bin/python3", "-c", fetch)
    return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith(name))
