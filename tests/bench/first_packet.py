"""(f) A zone boots behind a gateway: until it has its lease, its name is answered, and it reaches the world.

The zone is its own witness: a program in it tries all three all the time. *By hand*: the daemon stands still, and the
commands an administrator would type are run one after another as soon as the zone has booted; the reservation and the
rules that were there before the boot are there for both.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from bench import gateways, labhost, zones
from bench.daemon import Daemon
from bench.gateways import EDGE, FAR, INNER
from bench.measure import Measure, Report, Row, Samples, ratios

_TRIES, _TRIES_QUICK = 7, 2
_ZONE, _ADDRESS = "one", "10.64.0.7"
_HOSTS = "/var/zonehookd/dnsmasq/hosts"
_FMRI = "svc:/network/dnsmasq:default"
_PATIENCE_S = 60.0
_PARTS = ("leased", "named", "out")
_RC_LOCAL = f"""#!/bin/sh
(/usr/bin/python3 /etc/arrival.py {INNER} {_ZONE} {FAR} 80 > /var/arrival.new && mv /var/arrival.new /var/arrival) &
ipadm create-addr -t -T dhcp -w 60 {_ZONE}_0/v4
"""


def on_host(tries: int) -> Samples:
    """Seconds since the end of `zoneadm boot`, one value per try."""
    samples: dict[str, list[float]] = {}
    server = ["zonelab", "outside", "run", "--", "/usr/bin/python3", "-m", "http.server", "-b", FAR, "80"]
    far = subprocess.Popen(server, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with gateways.gateway(gateways.declared(dhcp="dnsmasq", dns="dnsmasq")) as daemon:
            gateways.member(_ZONE, f"{zones.NETWORK} {_ADDRESS}")
            gateways.run("zoneadm", "-z", _ZONE, "install")
            root = Path("/zones") / _ZONE / "root"
            (root / "etc").mkdir(parents=True, exist_ok=True)
            (root / "etc/arrival.py").write_text(Path(__file__).with_name("arrival.py").read_text())
            (root / "etc/rc.local").write_text(_RC_LOCAL)
            (root / "etc/rc.local").chmod(0o755)
            for _ in range(tries):
                line = ""
                for way, boot in (("daemon", _by_daemon), ("hand", _by_hand)):
                    gateways.until_well(daemon)
                    (root / "var/arrival").unlink(missing_ok=True)
                    taken, line = boot(daemon, root / "var/arrival", line)
                    for name, value in taken.items():
                        samples.setdefault(f"{way}_{name}", []).append(value)
    finally:
        far.terminate()
        far.wait()
    return samples


def _by_daemon(daemon: Daemon, arrival: Path, _line: str) -> tuple[Mapping[str, float], str]:
    """Also the line by which dnsmasq knows the zone's name."""
    booted_s = _boot(daemon)
    seen = _seen(arrival, booted_s)
    daemon.wait_until_quiet()
    (line,) = [each for each in _inside("cat", _HOSTS).splitlines() if each.startswith(f"{_ADDRESS} ")]
    gateways.run("zoneadm", "-z", _ZONE, "halt")
    return seen, line


def _by_hand(daemon: Daemon, arrival: Path, line: str) -> tuple[Mapping[str, float], str]:
    before = _inside("cat", _HOSTS)
    daemon.pause()
    booted_s = _boot(daemon)
    gateways.run("dladm", "set-linkprop", "-t", "-p", f"allowed-ips={_ADDRESS}", f"{_ZONE}_0")
    gateways.run("dladm", "set-linkprop", "-t", "-p", "protection=ip-nospoof", f"{_ZONE}_0")
    gateways.run("zlogin", EDGE, f"echo '{line}' >> {_HOSTS}")
    contract = gateways.run("svcs", "-z", EDGE, "-H", "-o", "ctid", _FMRI).strip()
    _inside("pkill", "-HUP", "-c", contract)
    seen = _seen(arrival, booted_s)
    gateways.run("zoneadm", "-z", _ZONE, "halt")
    gateways.run("zlogin", EDGE, f"cat > {_HOSTS}", stdin=before)
    _inside("pkill", "-HUP", "-c", contract)
    daemon.resume()
    return seen, line


def _boot(daemon: Daemon) -> float:
    """When it ended, as the journal has it."""
    daemon.journal.read()
    daemon.journal.entries.clear()
    gateways.run("zoneadm", "-z", _ZONE, "boot")
    (booted,) = daemon.journal.wait_for(1, lambda entry: entry.argv == ("zoneadm", "-z", _ZONE, "boot"))
    return booted.ended_s


def _seen(arrival: Path, booted_s: float) -> dict[str, float]:
    deadline = time.monotonic() + _PATIENCE_S
    while not arrival.exists():
        if time.monotonic() > deadline:
            raise TimeoutError(f"the zone has not arrived after {_PATIENCE_S} s")
        time.sleep(0.01)
    found = json.loads(arrival.read_text())
    seen = {f"{part}_s": found[part] - booted_s for part in _PARTS}
    return {**seen, "all_s": max(seen.values())}


def _inside(*argv: str) -> str:
    return gateways.run("zlogin", EDGE, *argv)


def run(quick: bool) -> Samples:
    return labhost.run("bench.first_packet", "on_host", tries=_TRIES_QUICK if quick else _TRIES)


def report(samples: Samples) -> Report:
    rows = [
        Row("booted -> leased, named, and out", samples["daemon_all_s"], "s"),
        Row("  leased", samples["daemon_leased_s"], "s"),
        Row("  its name is answered", samples["daemon_named_s"], "s"),
        Row("  a connection goes out through NAT", samples["daemon_out_s"], "s"),
        Row("by hand, the bare commands", samples["hand_all_s"], "s"),
        Row("time / by hand", ratios(samples["daemon_all_s"], samples["hand_all_s"]), "x"),
    ]
    return Report(rows, ["counted from the end of zoneadm boot; by hand: two dladm, two zlogin, one svcs"])


MEASURE = Measure("f", "first-packet", "A zone boots behind a gateway", run, report, runs=1)
