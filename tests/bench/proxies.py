"""(j) Zones come and go behind a reverse proxy: how soon it follows, what that costs, and what clients notice.

*Come*: from the moment when the zone runs and its server takes connections at its address, as the zone itself saw it,
to the first right answer through the proxy, as a client outside saw it. *Go*: from the start of `zoneadm halt` to the
first 503, by which each of them says that nobody is behind this host. The rest is the same for everybody: the host, the
zones, the N routes that are there already (proxied.py), the client. The others (scripted.py) are told at the very
moment when the zone is healthy, and right before it is halted, so they need not notice anything, nor ask whether
anybody is well.

*Under load*: 500 requests a second to the N routes and 200 long connections, while zones boot and halt.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from bench import labhost, proxied
from bench.daemon import Daemon
from bench.measure import Measure, Report, Row, Samples, median, ratios, scaled
from bench.proxied import PROGRAMS, PUBLIC, SCRIPTED, Member, Processes, Untold, Way, Witness

SIZES, SIZES_QUICK = (10, 300, 3000), (10,)
_TRIES, _TRIES_QUICK = 7, 1
_WAYS_QUICK = ("our_haproxy", "our_nginx", "nginx", "caddy")
_LOAD_SIZE = 300
_LOAD_S, _LOAD_QUICK_S = 20.0, 4.0
_RATE, _LONG = 500, 200
_EVERY_S = 0.5  # between changes under load
_MEMBERS = 10  # so that nobody comes and goes so often that it is held
_STAY = 4  # so many others boot before one that has booted is halted
_QUIET_S = 1.2  # longer than what is put off: the next reload, the next question to who is not well
_LIMIT_S = 900.0
_SHOWN = {
    "our_haproxy": "zonehookd, haproxy",
    "our_nginx": "zonehookd, nginx",
    "nginx": "script, nginx reload per change",
    "debounced": "script, nginx 500 ms:2 s",
    "haproxy": "script, haproxy reload per change",
    "caddy": "Caddy's admin API",
    "untold": "a haproxy that is told nothing",
}
_RIVALS = {"our_haproxy": ("haproxy", "caddy"), "our_nginx": ("nginx", "debounced", "caddy")}


@contextmanager
def _way(name: str, daemon: Daemon, size: int, keep: Callable[[str, float], None]) -> Iterator[Way]:
    if name.startswith("our_"):
        with proxied.ours(daemon, name.removeprefix("our_"), size) as taken_s:
            keep("all_s", taken_s)
            yield Way()
    elif name == "untold":
        with proxied.scripted("haproxy", size, Untold) as way:
            yield way
    else:
        with proxied.scripted(name, size) as way:
            yield way


def ways() -> list[str]:
    every = ["untold", *(f"our_{each}" for each in PROGRAMS), *SCRIPTED]
    return [each for each in every if each != "caddy" or proxied.has_caddy()]


class _Samples:
    def __init__(self) -> None:
        self.found: dict[str, list[float]] = {}

    def of(self, way: str) -> Callable[[str, float], None]:
        return lambda name, value: self.found.setdefault(f"{way}_{name}", []).append(value)


def follows(only: str, size: int, tries: int) -> Samples:
    """On the lab host. Seconds, and the daemon's commands until it rests, a value per try. `only`: ways, by blanks."""
    samples = _Samples()
    with proxied.scene(tries) as (daemon, members):  # one each: who comes and goes too often is held, as it should be
        witness = Witness()
        for name in only.split():
            keep = samples.of(name)
            with _way(name, daemon, size, keep) as way:
                for member in members:
                    _come(way, member, daemon, witness, keep)
                    _go(way, member, daemon, witness, keep)
        witness.close()
    return samples.found


def _come(way: Way, member: Member, daemon: Daemon, witness: Witness, keep: Callable[[str, float], None]) -> None:
    daemon.audit.read()
    witness.ask_for(member)
    member.boot()
    healthy_s = member.healthy_s()
    way.come(member)
    _, at = witness.wait(member, "right")
    keep("come_s", at - healthy_s)
    _until_settled(daemon)
    _keep_counted(daemon, "come", keep)


def _go(way: Way, member: Member, daemon: Daemon, witness: Witness, keep: Callable[[str, float], None]) -> None:
    began_s = time.time()
    way.go(member)
    member.halt()
    _, at = witness.wait(member, "503", began_s)
    keep("go_s", at - began_s)
    _until_settled(daemon)
    witness.rest()
    _keep_counted(daemon, "go", keep)


def _until_settled(daemon: Daemon) -> None:
    daemon.journal.wait_for_quiet(daemon.pid, _QUIET_S)


def _keep_counted(daemon: Daemon, change: str, keep: Callable[[str, float], None]) -> None:
    audited = daemon.audit.read()
    keep(f"{change}_changing_s", sum(each.seconds for each in audited if each.kind == "change"))
    for what, count in proxied.counted(audited).items():
        keep(f"{change}_{what}_count", count)


def under_load(only: str, size: int, seconds: float) -> Samples:
    """On the lab host. `only`: ways, by blanks."""
    samples = _Samples()
    with proxied.scene(_MEMBERS) as (daemon, members):
        routes = daemon.places.folder / "routes"
        routes.write_text("".join(f"{proxied.host_of(n)} / s{proxied.server_of(n)}\n" for n in range(size)))
        for name in only.split():
            keep = samples.of(name)
            with _way(name, daemon, size, keep) as way:
                _load(way, members, daemon, str(routes), seconds, keep)
    return samples.found


def _load(
    way: Way, members: list[Member], daemon: Daemon, routes: str, seconds: float, keep: Callable[[str, float], None]
) -> None:
    before = Processes.now()
    daemon.audit.read()
    argv = ["zonelab", "outside", "run", "--", sys.executable, "-m", "traffic", "--at", f"{PUBLIC}:80"]
    argv += ["--routes", routes, "--rate", str(_RATE), "--long", str(_LONG), "--seconds", str(seconds)]
    traffic = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
    changes, most = _changes(way, members, seconds - 1.0)
    after = Processes.now()
    said, _ = traffic.communicate()
    report = json.loads(said)
    for member in members:
        member.halt()  # whoever still runs
    daemon.wait_until_quiet()
    keep("changes_count", changes)
    keep("failed_count", report["failed"])
    keep("cut_count", report["long"]["cut"])
    keep("not_opened_count", sum(report["long"]["not_opened"].values()))
    keep("p99_s", report["latency_ms"].get("p99", 0.0) / 1000)
    keep("lag_p99_s", report["lag_ms"].get("p99", 0.0) / 1000)
    keep("rate_count", report["rate_reached"])
    keep("processes_before_count", before.count)
    keep("processes_most_count", most)
    keep("processes_after_count", after.count)
    keep("memory_before_mib", before.memory_mib)
    keep("memory_after_mib", after.memory_mib)
    _keep_counted(daemon, "load", keep)


def _changes(way: Way, members: list[Member], seconds: float) -> tuple[int, int]:
    """How many, and the most processes there were. Zones boot and halt in turn; each runs for a while."""
    began = time.monotonic()
    done, most = 0, 0
    for number in range(int(seconds / _EVERY_S)):
        time.sleep(max(0.0, began + number * _EVERY_S - time.monotonic()))
        if time.monotonic() - began > seconds:
            break
        turn, halts = divmod(number, 2)
        if not halts:
            member = members[turn % len(members)]
            member.boot()
            member.healthy_s()
            way.come(member)
        elif turn >= _STAY:
            member = members[(turn - _STAY) % len(members)]
            way.go(member)
            member.halt()
        else:
            continue
        done += 1
        most = max(most, Processes.now().count)
    return done, most


def run(quick: bool) -> Samples:
    samples: dict[str, list[float]] = {}

    def keep(prefix: str, taken: Samples) -> None:
        samples.update({f"{prefix}_{name}": list(values) for name, values in taken.items()})

    every = [each for each in ways() if not quick or each in _WAYS_QUICK]
    told = " ".join(each for each in every if each != "untold")
    tries = _TRIES_QUICK if quick else _TRIES
    for size in SIZES_QUICK if quick else SIZES:
        keep(str(size), labhost.run("bench.proxies", "follows", limit_s=_LIMIT_S, only=told, size=size, tries=tries))
    seconds, only = _LOAD_QUICK_S if quick else _LOAD_S, " ".join(every)
    load = labhost.run("bench.proxies", "under_load", limit_s=_LIMIT_S, only=only, size=_LOAD_SIZE, seconds=seconds)
    keep("load", load)
    return samples


def report(samples: Samples) -> Report:
    sizes = [size for size in SIZES if f"{size}_our_haproxy_come_s" in samples]
    rows = [
        row for way in _SHOWN if f"{sizes[0]}_{way}_come_s" in samples for row in _follows_rows(samples, way, sizes)
    ]
    rows += [row for way in _SHOWN if f"load_{way}_failed_count" in samples for row in _load_rows(samples, way)]
    remarks = [
        f"the N routes are declared and lead to {proxied.SERVERS} servers of one zone under N addresses; the zone that "
        "comes and goes is real",
        "zonehookd notices by itself and asks the zone whether it is well; the others are told, at that moment",
        f"under load: {_RATE} requests/s, {_LONG} long connections, {_LOAD_SIZE} routes; a zone boots or halts every "
        f"{_EVERY_S} s; memory is the proportional set size of all processes of the proxy",
    ]
    if not proxied.has_caddy():
        remarks.append("no /usr/bin/caddy (Debian: apt-get install --no-install-recommends caddy): not compared")
    return Report(rows, remarks)


def _follows_rows(samples: Samples, way: str, sizes: list[int]) -> Iterator[Row]:
    ours = way.startswith("our_")
    for size in sizes:
        at = f"{size}_{way}"
        come = samples[f"{at}_come_s"]
        yield Row(f"{_SHOWN[way]}, {size} routes: come", scaled(come, 1000), "ms", "<= 1000" * ours, 0)
        yield Row("  go", scaled(samples[f"{at}_go_s"], 1000), "ms", digits=0)
        if not ours:
            continue
        text = "  all changing commands of a come, summed, the zone's address too"
        yield Row(text, scaled(samples[f"{at}_come_changing_s"], 1000), "ms", digits=0)
        for other in _RIVALS[way]:
            if f"{size}_{other}_come_s" in samples:
                yield Row(f"  come / {_SHOWN[other]}", ratios(come, samples[f"{size}_{other}_come_s"]), "x")
        for text, what in (
            ("commands for both", "looks"),
            ("of them changing ones", "changes"),
            ("runtime batches", "batches"),
            ("reloads", "reloads"),
        ):
            both = [samples[f"{at}_{change}_{what}_count"] for change in ("come", "go")]
            if what == "looks":
                both += [samples[f"{at}_{change}_changes_count"] for change in ("come", "go")]
            yield Row(f"  {text}", [sum(each) for each in zip(*both, strict=True)], digits=0)
        yield Row("  all declared at once -> all routed", samples[f"{at}_all_s"], "s", digits=1)
    small, large = (median(samples[f"{size}_{way}_come_s"]) for size in (sizes[0], sizes[-1]))
    if len(sizes) > 1:
        yield Row(f"  growth of come: {sizes[-1]} / {sizes[0]} routes", [large / small], "x")


def _load_rows(samples: Samples, way: str) -> Iterator[Row]:
    at, ours = f"load_{way}", way.startswith("our_")

    def of(name: str) -> Sequence[float]:
        return samples[f"{at}_{name}"]

    def more(name: str, unit: str) -> list[float]:
        before, after = of(f"{name}_before_{unit}"), of(f"{name}_after_{unit}")
        return [above - below for above, below in zip(after, before, strict=True)]

    yield Row(f"under load, {_SHOWN[way]}: requests failed", of("failed_count"), goal="0" * ours, digits=0)
    yield Row("  long connections cut", of("cut_count"), goal="0" * ours, digits=0)
    yield Row("  p99 of answers", scaled(of("p99_s"), 1000), "ms", digits=1)
    yield Row("  zones that came or went", of("changes_count"), digits=0)
    if ours:
        yield Row("  runtime batches", of("load_batches_count"), digits=0)
        yield Row("  reloads", of("load_reloads_count"), digits=0)
    yield Row("  processes afterwards, more than before", more("processes", "count"), digits=0)
    yield Row("  memory afterwards, more than before", more("memory", "mib"), "MiB", digits=1)


MEASURE = Measure("j", "proxies", "Reverse proxies follow zones", run, report, runs=1)
