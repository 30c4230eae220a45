"""(b) Storms: many zones at once, and the same links by `ip -batch` and by CNI in the same run.

Three ways to meet N new zones. *Paused*, the headline: the daemon runs, is stopped by SIGSTOP, N zonecfg commit, it
goes on. *Started*: N zones are there when it starts, with an empty store. *Live*: N zonecfg commit while it runs.
All from the daemon's first command until the last VNIC exists, but live: from the first commit.
"""

from __future__ import annotations

from collections.abc import Sequence

from bench import labhost, rivals, zones
from bench.daemon import Cpu, Daemon, new_places, started
from bench.measure import Measure, Report, Row, Samples, median, ratios, scaled
from bench.records import Entry

SIZES = (10, 100, 300)
_REPEATS = {10: 3}  # small storms are short and so differ more: several in each run
_OTHER_WAYS_SIZE = 300
AT_ONCE = 4  # the daemon's default for changing commands


def paused(number: int) -> Samples:
    with started(new_places()) as daemon:
        daemon.wait_until_ready()
        daemon.wait_until_quiet()
        daemon.pause()
        for each in range(number):
            zones.configure(each)
        _forget(daemon)
        before = daemon.cpu()
        daemon.resume()
        samples = _storm(daemon, number, before)
    return {**samples, **_rivals(number)}


def on_start(number: int) -> Samples:
    for each in range(number):
        zones.configure(each)
    with started(new_places()) as daemon:
        return _storm(daemon, number, Cpu(0.0, 0.0, daemon.cpu().lab_s))


def live(number: int) -> Samples:
    with started(new_places()) as daemon:
        daemon.wait_until_ready()
        daemon.wait_until_quiet()
        _forget(daemon)
        before = daemon.cpu()
        for each in range(number):
            zones.configure(each)
        samples = _storm(daemon, number, before)
        commits = [entry.ended_s for entry in daemon.journal.entries if entry.argv[0] == "zonecfg"]
        last = max(entry.ended_s for entry in daemon.journal.of(daemon.pid) if entry.created_vnic)
        return {**samples, "wired_s": [last - commits[0]], "zonecfg_s": [commits[-1] - commits[0]]}


def _forget(daemon: Daemon) -> None:
    """What was before does not count."""
    daemon.journal.read()
    daemon.journal.entries.clear()
    daemon.audit.read()


def _storm(daemon: Daemon, number: int, before: Cpu) -> dict[str, list[float]]:
    """`wired_s` to the last VNIC, `settled_s` to the end of the last look, which finds nothing left to do."""
    made = daemon.journal.wait_for(number, lambda entry: entry.parent == daemon.pid and entry.created_vnic)
    cpu = daemon.cpu().since(before)
    daemon.wait_until_quiet()
    ours: list[Entry] = daemon.journal.of(daemon.pid)
    first = min(entry.began_s for entry in ours)
    last = max(entry.ended_s for entry in made)
    audited = daemon.audit.read()
    return {
        "wired_s": [last - first],
        "settled_s": [max(entry.ended_s for entry in ours) - first],
        "looks_count": [sum(each.kind == "look" for each in audited)],
        "changes_count": [sum(each.kind == "change" for each in audited)],
        "daemon_cpu_s": [cpu.daemon_s],
        "commands_cpu_s": [cpu.commands_s],
        "lab_cpu_s": [cpu.lab_s],
    }


def _rivals(number: int) -> dict[str, list[float]]:
    found = {"ip_batch_s": [rivals.ip_batch(number)]}
    if rivals.has_cni():
        found["cni_s"] = [rivals.cni_bridge(number, 1)]
        found["cni_at_once_s"] = [rivals.cni_bridge(number, AT_ONCE)]
    return found


def run(quick: bool) -> Samples:
    samples: dict[str, list[float]] = {}
    for size in SIZES:
        for _ in range(_REPEATS.get(size, 1)):
            _keep(samples, f"paused{size}", labhost.run("bench.storm", "paused", number=size))
    for way, function in (("start", "on_start"), ("live", "live")):
        if not quick:
            taken = labhost.run("bench.storm", function, number=_OTHER_WAYS_SIZE)
            _keep(samples, f"{way}{_OTHER_WAYS_SIZE}", taken)
    return samples


def _keep(samples: dict[str, list[float]], prefix: str, taken: Samples) -> None:
    for name, values in taken.items():
        samples.setdefault(f"{prefix}_{name}", []).extend(values)


def _per_zone(samples: Samples, name: str, size: int) -> list[float]:
    """Milliseconds."""
    return scaled(samples[name], 1000 / size)


def _medians(values: Sequence[float], every: int) -> list[float]:
    """One value per run."""
    return [median(values[at : at + every]) for at in range(0, len(values), every)]


def report(samples: Samples) -> Report:
    rows: list[Row] = []
    for size in SIZES:
        at = f"paused{size}"
        rows += [
            Row(f"{size} zones: first command -> last VNIC", _per_zone(samples, f"{at}_wired_s", size), "ms/zone"),
            Row("  until the last look is over", _per_zone(samples, f"{at}_settled_s", size), "ms/zone"),
            Row("  reading commands", samples[f"{at}_looks_count"], digits=0),
            Row("  changing commands", samples[f"{at}_changes_count"], digits=0),
            Row(
                "  time / the same links by ip -batch",
                ratios(samples[f"{at}_wired_s"], samples[f"{at}_ip_batch_s"]),
                "x",
            ),
        ]
        for name, text in (
            ("cni", "CNI bridge ADD, one by one"),
            ("cni_at_once", f"CNI bridge ADD, {AT_ONCE} at once"),
        ):
            if f"{at}_{name}_s" in samples:
                rows.append(Row(f"  time / {text}", ratios(samples[f"{at}_wired_s"], samples[f"{at}_{name}_s"]), "x"))
    small, large = SIZES[0], SIZES[-1]
    growth = ratios(
        _per_zone(samples, f"paused{large}_wired_s", large),
        _medians(_per_zone(samples, f"paused{small}_wired_s", small), _REPEATS[small]),
    )
    rows.append(Row(f"growth: per zone, {large} zones / {small} zones", growth, "x", "<= 1.25"))
    rows += [
        Row(f"{size} zones: ip -batch itself", _per_zone(samples, f"paused{size}_ip_batch_s", size), "ms/link")
        for size in SIZES
    ]
    rows += _cpu(samples, f"paused{large}", large)
    for way, text in (("start", "found at the start, empty store"), ("live", "configured while it runs")):
        at = f"{way}{_OTHER_WAYS_SIZE}"
        if f"{at}_wired_s" in samples:
            wired = _per_zone(samples, f"{at}_wired_s", _OTHER_WAYS_SIZE)
            rows.append(Row(f"{_OTHER_WAYS_SIZE} zones, {text}", wired, "ms/zone"))
            rows.append(Row("  reading commands", samples[f"{at}_looks_count"], digits=0))
    remarks = []
    if f"live{_OTHER_WAYS_SIZE}_zonecfg_s" in samples:
        own = median(_per_zone(samples, f"live{_OTHER_WAYS_SIZE}_zonecfg_s", _OTHER_WAYS_SIZE))
        remarks.append(f"live counts from the first commit; the zonecfg calls alone took {own:.2f} ms per zone of it")
    if f"paused{large}_cni_s" not in samples:
        remarks.append(f"no CNI plugins in {rivals.CNI} (Debian: containernetworking-plugins): not compared")
    return Report(rows, remarks)


def _cpu(samples: Samples, at: str, size: int) -> list[Row]:
    return [
        Row(f"{size} zones, CPU: {text}", _per_zone(samples, f"{at}_{name}_cpu_s", size), "ms/zone")
        for name, text in (
            ("daemon", "the daemon"),
            ("commands", "its commands' processes"),
            ("lab", "the lab's server, playing illumos"),
        )
    ]


MEASURE = Measure("b", "storm", "Storms: many zones at once, wired", run, report, runs=3, runs_quick=1)
