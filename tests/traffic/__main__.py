"""``python -m traffic``: prints one JSON object.

    python -m traffic --at ADDRESS:PORT --routes FILE …          load, and long-lived connections beside it
    python -m traffic first-answer --at ADDRESS:PORT HOST PATH ZONES …

Exit status of load: 0 it ran to its end, 1 it was stopped before, 2 usage or routes; failures of the proxy are in the
report, not in the status. Of first-answer: 0 the right zone has answered, 1 it has not.
"""

from __future__ import annotations

import argparse
import gc
import json
import resource
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from traffic.first import FirstAnswer, Wish
from traffic.load import Load, Plan
from traffic.long import LongLived
from traffic.reactor import Address, Reactor
from traffic.routes import BadRoutes, RouteFile, parse
from traffic.tally import Clock

LOOK_S = 0.02  # between two looks at the file of routes
FILES = 16


def address(text: str) -> Address:
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isdigit():
        raise argparse.ArgumentTypeError(f"no ADDRESS:PORT: {text}")
    return host, int(port)


def share(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"not between 0 and 1: {text}")
    return value


def positive(text: str) -> float:
    value = float(text)
    if value <= 0:
        raise argparse.ArgumentTypeError(f"not above 0: {text}")
    return value


def load_options(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="traffic", description="Drive a reverse proxy and tell how it did.")
    parser.add_argument("--at", type=address, required=True, metavar="ADDRESS:PORT")
    parser.add_argument("--routes", type=Path, required=True, metavar="FILE", help="HOST PATH ZONES [WORD...] a line")
    parser.add_argument("--rate", type=positive, default=500.0, metavar="R", help="requests per second; default 500")
    parser.add_argument("--seconds", type=float, default=30.0, metavar="S", help="0: until SIGTERM; default 30")
    parser.add_argument("--kept-alive", type=share, default=0.5, metavar="SHARE", help="of the requests; default 0.5")
    parser.add_argument("--no-retry", action="store_true", help="a kept-alive connection closed under a request fails")
    parser.add_argument("--timeout", type=positive, default=5.0, metavar="S", help="default 5")
    parser.add_argument("--long", type=int, default=200, metavar="N", help="long-lived connections; default 200")
    parser.add_argument("--ping", type=positive, default=3.0, metavar="S", help="between pings of each; default 3")
    parser.add_argument("--partial", type=Path, metavar="FILE", help="the report so far, again and again")
    parser.add_argument("--partial-every", type=positive, default=1.0, metavar="S", help="default 1")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args(words)


def first_options(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="traffic first-answer", description="When does the right zone answer?")
    parser.add_argument("--at", type=address, required=True, metavar="ADDRESS:PORT")
    parser.add_argument("host", metavar="HOST|tcp:PORT")
    parser.add_argument("path", metavar="PATH|banner|ask")
    parser.add_argument("zones", metavar="ZONE[,ZONE...]")
    parser.add_argument("--since", type=float, metavar="T", help="time.time() that counts as 0 ms; default: now")
    parser.add_argument("--every", type=positive, default=5.0, metavar="MS", help="between questions; default 5")
    parser.add_argument("--wait", type=positive, default=30.0, metavar="S", help="from T to giving up; default 30")
    parser.add_argument("--timeout", type=positive, default=1.0, metavar="S", help="of one question; default 1")
    parser.add_argument("--go-on", type=float, default=0.0, metavar="S", help="ask on after the first right answer")
    return parser.parse_args(words)


class Run:
    """Load and long-lived connections until the time is up or a signal comes."""

    def __init__(self, options: argparse.Namespace, routes: RouteFile) -> None:
        self._options = options
        self._routes = routes
        self._reactor = reactor()
        self._clock = clock = Clock()
        plan = Plan(options.rate, options.kept_alive, options.timeout, not options.no_retry, options.seed)
        self._load = Load(self._reactor, options.at, routes, plan, clock)
        self._long = LongLived(self._reactor, options.at, routes, clock, options.long, options.ping, options.timeout)
        self._end = clock.began + options.seconds if options.seconds else float("inf")
        self._stopped = False
        self._complete = False
        self._cpu_s = time.process_time()
        self._look()

    def stop(self) -> None:
        self._stopped = True

    def run(self) -> int:
        """Exit status. The report is printed."""
        load = self._load
        while not self._stopped and time.monotonic() < self._end:
            load.send_due(self._end)
            self._reactor.turn(min(self._end, load.next_due, time.monotonic() + LOOK_S))
            load.expire()
        if not self._stopped:
            load.send_due(self._end)  # what was due while the last turn took too long
        elapsed = self._clock.since()
        self._complete = not self._stopped or not self._options.seconds
        self._stopped = False
        while load.flying and not self._stopped:  # each has its time, unless we are told to stop a second time
            self._reactor.turn(time.monotonic() + LOOK_S)
            load.expire()
        self._long.stop()
        report = self._says(elapsed)
        self._reactor.close()
        self._write(report)
        print(json.dumps(report, indent=1))
        return 0 if self._complete else 1

    def _look(self) -> None:
        if self._routes.renew():
            self._load.renewed()
            self._partial()
        self._reactor.at(time.monotonic() + LOOK_S, self._look)

    def partial(self) -> None:
        """Now and from now on."""
        self._partial()
        self._reactor.at(time.monotonic() + self._options.partial_every, self.partial)

    def _partial(self) -> None:
        self._write(self._says(self._clock.since()))

    def _says(self, elapsed: float) -> dict[str, object]:
        return {
            "complete": self._complete,
            "began": round(self._clock.began_at, 3),
            "seconds": round(elapsed, 3),
            **self._load.says(elapsed),
            "long": self._long.says(),
            "cpu_percent": round(100 * (time.process_time() - self._cpu_s) / max(self._clock.since(), 1e-9), 1),
        }

    def _write(self, report: Mapping[str, object]) -> None:
        file: Path | None = self._options.partial
        if file is not None:
            fresh = file.with_name(f".{file.name}.new")
            fresh.write_text(json.dumps(report))
            fresh.replace(file)


def load(words: list[str]) -> int:
    options = load_options(words)
    try:
        routes = RouteFile(options.routes)
    except (BadRoutes, OSError) as problem:
        print(f"traffic: {options.routes}: {problem}", file=sys.stderr)
        return 2
    run = Run(options, routes)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, frame: run.stop())
    run.partial()
    gc.freeze()  # what is there now stays; a full collection would be a pause that looks like the proxy's
    gc.set_threshold(50_000, 50, 1000)
    return run.run()


def first_answer(words: list[str]) -> int:
    options = first_options(words)
    try:
        (route,) = parse(f"{options.host} {options.path} {options.zones}")
    except BadRoutes as problem:
        print(f"traffic: {problem}", file=sys.stderr)
        return 2
    since = time.time() if options.since is None else options.since
    wish = Wish(options.every / 1e3, since, options.wait, options.timeout, options.go_on)
    report = FirstAnswer(reactor(), options.at, route, wish).run()
    print(json.dumps(report))
    return 0 if report["first_ms"] is not None else 1


def reactor() -> Reactor:
    """With as many connections as we may have, and some descriptors left for files."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return Reactor(most - FILES)


def main() -> int:
    words = sys.argv[1:]
    return first_answer(words[1:]) if words[:1] == ["first-answer"] else load(words)


if __name__ == "__main__":
    sys.exit(main())
