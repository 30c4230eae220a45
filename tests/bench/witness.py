"""A client outside that asks for one host every few milliseconds, and tells when the answer turns.

    python -m bench.witness ADDRESS:PORT

stdin: ``HOST NAME``, who is asked for from now on and who should answer, or ``-``, nobody. stdout: a JSON line whenever
the verdict is another one than before: {"host", "said", "asked", "at"}; times are wall clock. `said` is ``right`` (NAME
answered), the status of an answer that was not NAME's, or why there was none.

A question goes out every 5 ms whatever became of those before, each on a connection of its own; an answer to a question
older than the one that was judged last is not told.
"""

from __future__ import annotations

import json
import os
import sys
import time

from traffic.__main__ import address, reactor
from traffic.exchange import OK, Request, start
from traffic.reactor import Address, Connection, Reactor
from traffic.routes import Route, parse

EVERY_S = 0.005
_TIMEOUT_S = 1.0


class Witness:
    """Is an `exchange.Asker`."""

    def __init__(self, asks: Reactor, at: Address) -> None:
        self._reactor = asks
        self._at = at
        self._wall = time.time() - time.monotonic()
        self._flying: set[Request] = set()
        self._route: Route | None = None
        self._said = ""
        self._judged_due = 0.0

    def ask_for(self, line: str) -> None:
        words = line.split()
        for request in list(self._flying):
            self._forget(request)
        self._route = parse(f"{words[0]} / {words[1]}")[0] if len(words) == 2 else None
        self._said, self._judged_due = "", 0.0

    def run(self) -> None:
        """Until stdin ends."""
        os.set_blocking(0, False)
        text = b""
        due = time.monotonic()
        while True:
            try:
                read = os.read(0, 4096)
                if not read:
                    return
                *lines, text = (text + read).split(b"\n")
                for line in lines:
                    self.ask_for(line.decode())
            except BlockingIOError:
                pass
            due = max(due + EVERY_S, time.monotonic())
            if self._route is not None:
                request = Request(self._route, time.monotonic())
                request.deadline = request.due + _TIMEOUT_S
                self._flying.add(request)
                start(self._reactor, self._at, self, request)
            while (now := time.monotonic()) < due:
                self._reactor.turn(due)
            for request in [each for each in self._flying if each.deadline <= now]:
                self._forget(request)
                self.judged(request, "timeout", "", 0)

    def _forget(self, request: Request) -> None:
        self._flying.discard(request)
        if request.connection is not None:
            request.connection.abandon()

    def judged(self, request: Request, verdict: str, detail: str, status: int) -> None:
        self._flying.discard(request)
        if request.route is not self._route or request.due < self._judged_due:
            return
        self._judged_due = request.due
        said = "right" if verdict == OK else str(status) if status else verdict
        if said != self._said:
            self._said = said
            times = {"asked": request.due + self._wall, "at": time.monotonic() + self._wall}
            print(json.dumps({"host": request.route.host, "said": said, **times}), flush=True)

    def stale(self, request: Request) -> None:
        raise AssertionError("each question has a connection of its own")

    def idle(self, connection: Connection) -> None:
        raise AssertionError("each question has a connection of its own")

    def idle_ended(self, connection: Connection) -> None:
        raise AssertionError("each question has a connection of its own")


if __name__ == "__main__":
    Witness(reactor(), address(sys.argv[1])).run()
