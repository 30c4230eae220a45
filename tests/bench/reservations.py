"""(g) A reservation: from the configuration of a zone committed by zonecfg until the server offers its address.

Three ways a server learns of it, each with few and with many other reservations: dnsmasq and dhcpd in a gateway zone
(a file and SIGHUP; a file, its test and a restart), dhcpd in the global zone (OMAPI). A client in another zone of the
network asks all the time, with the newcomer's MAC, and is the witness.
"""

from __future__ import annotations

import random
import shlex
import subprocess
import time
from pathlib import Path

from bench import gateways, labhost, zones
from bench.daemon import Daemon
from bench.gateways import EDGE
from bench.measure import Measure, Report, Row, Samples, median

SIZES, SIZES_QUICK = (10, 300, 1000), (10, 300)
_TRIES, _TRIES_QUICK = 5, 2
_PERIOD_S = "0.02"  # how often the witness asks
_METHODS = {
    "hup": ("dnsmasq, SIGHUP", EDGE, "dnsmasq"),
    "omapi": ("dhcpd, OMAPI", "global", "dhcpd"),
    "restart": ("dhcpd, restart", EDGE, "dhcpd"),
}
_WITNESS = "witness"


def on_host(method: str, others: int, tries: int) -> Samples:
    """Seconds, one value per try."""
    _, where, server = _METHODS[method]
    zones.write_on_this_host(range(others))
    samples: dict[str, list[float]] = {"live_s": [], "commands_count": []}
    with gateways.gateway(gateways.declared(where, dhcp=server)) as daemon:
        witness = f"set allowed-address=10.64.0.5/{zones.CIDR.partition('/')[2]}"
        gateways.run("zonecfg", "-z", _WITNESS, f"create -b; set zonepath=/zones/{_WITNESS}; set brand=sparse; "
                     f"set ip-type=exclusive; add net; set physical={_WITNESS}_0; {witness}; end")  # fmt: skip
        gateways.run("zoneadm", "-z", _WITNESS, "install")
        gateways.until_linked(f"{_WITNESS}_0")
        gateways.run("zoneadm", "-z", _WITNESS, "boot")
        for number in range(tries):
            for name, value in _one(daemon, number).items():
                samples[name].append(value)
    return samples


def _one(daemon: Daemon, number: int) -> dict[str, float]:
    gateways.until_well(daemon)
    name, mac, address = f"new{number}", f"2:8:20:ff:0:{number:x}", f"10.64.0.{100 + number}"
    script = Path(__file__).with_name("discover.py").read_text()
    argv = ["/usr/bin/python3", "-c", script, f"{_WITNESS}_0", mac, _PERIOD_S]
    witness = subprocess.Popen(["zlogin", _WITNESS, shlex.join(argv)], stdout=subprocess.PIPE, text=True)
    assert witness.stdout is not None
    witness.stdout.readline()
    time.sleep(random.uniform(0.0, 0.1))  # noqa: S311 - no secret
    daemon.audit.read()
    daemon.journal.entries.clear()
    gateways.member(name, f"{zones.NETWORK} {address} mac={mac}")
    offered_s, offered = witness.stdout.readline().split()
    witness.wait()
    witness.stdout.close()
    assert offered == address, f"{offered} instead of {address}"
    commands = len(daemon.audit.read())
    (committed,) = daemon.journal.wait_for(1, lambda entry: entry.argv[:3] == ("zonecfg", "-z", name))
    gateways.run("zonecfg", "-z", name, "delete", "-F")
    return {"live_s": float(offered_s) - committed.ended_s, "commands_count": commands}


def run(quick: bool) -> Samples:
    samples: dict[str, list[float]] = {}
    for method in _METHODS:
        for size in SIZES_QUICK if quick else SIZES:
            tries = _TRIES_QUICK if quick else _TRIES
            taken = labhost.run("bench.reservations", "on_host", method=method, others=size, tries=tries)
            samples |= {f"{method}{size}_{name}": list(values) for name, values in taken.items()}
    return samples


def report(samples: Samples) -> Report:
    rows: list[Row] = []
    for method, (text, _, _) in _METHODS.items():
        sizes = [size for size in SIZES if f"{method}{size}_live_s" in samples]
        for size in sizes:
            rows.append(Row(f"{text}: {size} others", samples[f"{method}{size}_live_s"], "s"))
            rows.append(Row("  commands run until then", samples[f"{method}{size}_commands_count"], digits=0))
        small, large = (median(samples[f"{method}{size}_live_s"]) for size in (sizes[0], sizes[-1]))
        rows.append(Row(f"  growth: {sizes[-1]} / {sizes[0]} others", [large / small], "x"))
    return Report(rows, [f"with up to 0.1 s of noticing, and {_PERIOD_S} s of the witness"])


MEASURE = Measure("g", "reservations", "A reservation: zonecfg's commit -> offered", run, report, runs=1)
