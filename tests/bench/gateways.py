"""A gateway to measure with: a zone, or the global zone; one network behind it, and a world outside."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench import zones
from bench.daemon import Daemon, DaemonFailed, new_places, started

EDGE = "edge"  # the zone
INNER = "10.64.0.1"  # the gateway's address in zones.CIDR: the lowest
FAR = "198.51.100.1"  # a server far away: the lab's outside has it
_WELL_MAX_S = 200.0


def declared(where: str = EDGE, *, dhcp: str = "none", dns: str = "none", more: str = "") -> str:
    """Of a configuration file. Only a gateway that is a zone has an outer side."""
    outside = 'outside = "wan"\naddress = "192.0.2.10"\n' if where == EDGE else ""
    return (
        '[network.wan]\ncidr = "192.0.2.0/24"\nuplink = "net0"\ngateway = "192.0.2.1"\n'
        f'[network.{zones.NETWORK}]\ncidr = "{zones.CIDR}"\nvia = "{where}"\naddress_by = "dhcp"\n'
        f'[gateway.{where}]\ndhcp = "{dhcp}"\ndns = "{dns}"\n{outside}{more}'
    )


@contextmanager
def gateway(text: str) -> Iterator[Daemon]:
    """A daemon with `text` declared, its gateway zone booted, everybody well."""
    with started(new_places(text)) as daemon:
        daemon.wait_until_ready()
        if f"gateway.{EDGE}" in text:
            run(
                "zonecfg", "-z", EDGE, f"create -b; set zonepath=/zones/{EDGE}; set brand=sparse; set ip-type=exclusive"
            )
            run("zoneadm", "-z", EDGE, "install")
            until_linked(f"{EDGE}_{zones.NETWORK}0")
            run("zoneadm", "-z", EDGE, "boot")
        until_well(daemon)
        yield daemon


def run(*argv: str, stdin: str = "") -> str:
    """Raises CalledProcessError. What it printed."""
    done = subprocess.run(argv, input=stdin, check=True, capture_output=True, text=True)
    return done.stdout


def member(name: str, wish: str) -> None:
    """Configured: one NIC, its wish such as ``bench 10.64.0.5``."""
    script = (
        f"create -b; set zonepath=/zones/{name}; set brand=sparse; set ip-type=exclusive; "
        f"add net; set physical={name}_0; end; "
        f'add attr; set name=zh.net0; set type=string; set value="{wish}"; end'
    )
    run("zonecfg", "-z", name, script)


def until_linked(*links: str) -> None:
    """Until they are there. Raises TimeoutError."""
    deadline = time.monotonic() + _WELL_MAX_S
    while not set(links) <= set(run("dladm", "show-link", "-p", "-o", "link").split()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"no {links} after {_WELL_MAX_S} s")
        time.sleep(0.1)


def until_well(daemon: Daemon) -> None:
    """Until nobody is in trouble, nobody waits, and nothing is done any more. Raises DaemonFailed."""
    deadline = time.monotonic() + _WELL_MAX_S
    ctl = str(Path(sys.executable).with_name("zonehookctl"))
    argv = [ctl, "--config", str(daemon.places.config), "--json", "status"]
    while True:
        said = subprocess.run(argv, check=False, capture_output=True, text=True).stdout
        status = json.loads(said or "{}")
        if status.get("ready") and not status["trouble"]:
            break
        if time.monotonic() > deadline:
            raise DaemonFailed(f"not well after {_WELL_MAX_S} s: {said}")
        time.sleep(0.2)
    daemon.wait_until_quiet()
