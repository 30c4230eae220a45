"""(c) The start and (d) the idle daemon, with 1000 zones that are wired already. The lab's data-only floor."""

from __future__ import annotations

import time

from bench import labhost, zones
from bench.daemon import Daemon, Places, commits_in_log, new_places, started
from bench.measure import Measure, Report, Row, Samples, scaled

ZONES = 1000
IDLE_S = 20.0


def _wired(number: int) -> Places:
    """`number` zones, wired by a daemon that has ended."""
    zones.write_on_this_host(range(number))
    places = new_places()
    with started(places) as daemon:
        daemon.wait_until_ready()
        daemon.journal.wait_for(number, lambda entry: entry.created_vnic)
        daemon.wait_until_quiet()
    return places


def starts(number: int, times: int) -> Samples:
    places = _wired(number)
    samples: dict[str, list[float]] = {"ready_s": [], "looks_count": [], "changes_count": [], "commits_count": []}
    for _ in range(times):
        with started(places) as daemon:
            samples["ready_s"].append(daemon.wait_until_ready())
            daemon.wait_until_quiet()
            audited = daemon.audit.read()
            samples["looks_count"].append(sum(each.kind == "look" for each in audited))
            samples["changes_count"].append(sum(each.kind == "change" for each in audited))
            samples["commits_count"].append(commits_in_log(places.store))
    return samples


def idles(number: int, times: int) -> Samples:
    """CPU as a share of one core."""
    places = _wired(number)
    samples: dict[str, list[float]] = {}
    for _ in range(times):
        with started(places) as daemon:
            daemon.wait_until_ready()
            daemon.wait_until_quiet()
            for name, value in _idle(daemon).items():
                samples.setdefault(name, []).append(value)
    return samples


def _idle(daemon: Daemon) -> dict[str, float]:
    daemon.audit.read()
    before = daemon.cpu()
    time.sleep(IDLE_S)
    idle = daemon.cpu().since(before)
    looks = len(daemon.audit.read())
    resident_mib = daemon.resident_mib()
    before = daemon.cpu()
    daemon.reload()  # which asks for a full look
    time.sleep(0.5)
    daemon.wait_until_quiet()
    full = daemon.cpu().since(before)
    return {
        "resident_mib": resident_mib,
        "daemon_share": idle.daemon_s / IDLE_S,
        "commands_share": idle.commands_s / IDLE_S,
        "lab_share": idle.lab_s / IDLE_S,
        "commands_count": looks,
        "reload_daemon_cpu_s": full.daemon_s,
        "resident_after_mib": daemon.resident_mib(),
    }


def run_starts(quick: bool) -> Samples:
    return labhost.run("bench.many", "starts", paper=True, number=ZONES, times=2 if quick else 7)


def report_starts(samples: Samples) -> Report:
    rows = [
        Row(f"{ZONES} unchanged zones: start -> READY=1", samples["ready_s"], "s", "<= 5 s"),
        Row("  reading commands", samples["looks_count"], digits=0),
        Row("  changing commands", samples["changes_count"], goal="0", digits=0),
        Row("  writes to the store (transactions)", samples["commits_count"], goal="0", digits=0),
    ]
    return Report(rows, ["the commands are counted until the daemon rests, not only until READY=1"])


def run_idles(quick: bool) -> Samples:
    return labhost.run("bench.many", "idles", paper=True, number=ZONES, times=1 if quick else 3)


def report_idles(samples: Samples) -> Report:
    rows = [
        Row(f"{ZONES} zones: resident memory", samples["resident_mib"], "MiB", "<= 90 MiB", 1),
        Row("  after a reload and its full look", samples["resident_after_mib"], "MiB", digits=1),
        Row(f"  CPU over {IDLE_S:.0f} s idle: the daemon", scaled(samples["daemon_share"], 100), "%", "next to none"),
        Row("  CPU: its commands' processes", scaled(samples["commands_share"], 100), "%"),
        Row("  CPU: the lab's server, playing illumos", scaled(samples["lab_share"], 100), "%"),
        Row("  commands it ran meanwhile", samples["commands_count"], digits=0),
        Row(
            "  CPU of a reload with a full look (daemon)", scaled(samples["reload_daemon_cpu_s"], 1000), "ms", digits=0
        ),
    ]
    remark = f"percent of one core; default timing, so {IDLE_S:.0f} s hold polls, and a full look (every 60 s) rarely"
    return Report(rows, [remark])


START = Measure("c", "start", f"A start with {ZONES} zones that need nothing", run_starts, report_starts, runs=1)
IDLE = Measure("d", "idle", f"The idle daemon with {ZONES} zones", run_idles, report_idles, runs=1)
