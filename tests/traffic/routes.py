"""What is asked, and who may answer: a text file that may be replaced at any time.

A line is ``HOST PATH ZONES [WORD…]``; ``#`` starts a comment.

- HOST is the Host header, or ``tcp:PORT`` (same address as ``--at``) for TCP; PATH then says how the zone's name is
  got: ``banner`` reads the first line that comes, ``ask`` sends a line and reads the first line of the answer.
- ZONES are the names, by commas, of the zones that may answer. The first word of the body (of the line) must be one.
- ``either``: in transition; a 503 (TCP: nobody there, or closed before a line) is as good as a known answer.
- ``long``: long-lived connections go here. If no line says so, they go to all.
- ``only-long``: the same, and no requests.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

TCP_WAYS = ("banner", "ask")


class BadRoutes(Exception):
    """The file does not say what it should; the message names the line."""


@dataclass(frozen=True)
class Route:
    host: str
    path: str
    zones: frozenset[bytes]
    either: bool = False
    requests: bool = True
    long: bool = False
    port: int = 0  # of TCP; 0: HTTP

    @property
    def key(self) -> tuple[str, str]:
        return self.host, self.path


def parse(text: str) -> list[Route]:
    """Raises `BadRoutes`. No lines, no routes: that is no mistake."""
    routes: dict[tuple[str, str], Route] = {}
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        try:
            route = _route(words)
        except ValueError as problem:
            raise BadRoutes(f"line {number}: {problem}") from None
        if route.key in routes:
            raise BadRoutes(f"line {number}: {route.host} {route.path} is there twice")
        routes[route.key] = route
    if not any(route.long for route in routes.values()):
        return [Route(**{**vars(route), "long": True}) for route in routes.values()]
    return list(routes.values())


def _route(words: list[str]) -> Route:
    if len(words) < 3:
        raise ValueError("HOST PATH ZONES [either|long|only-long]…")
    host, path, zones, *marks = words
    if unknown := set(marks) - {"either", "long", "only-long"}:
        raise ValueError(f"unknown: {' '.join(sorted(unknown))}")
    port = 0
    if host.startswith("tcp:"):
        if not host[4:].isdigit() or not 0 < int(host[4:]) < 65536:
            raise ValueError(f"no port: {host}")
        if path not in TCP_WAYS:
            raise ValueError(f"of TCP {path} cannot be asked, only {' or '.join(TCP_WAYS)}")
        port = int(host[4:])
    elif not path.startswith("/"):
        raise ValueError(f"no path: {path}")
    return Route(
        host,
        path,
        frozenset(zone.encode() for zone in zones.split(",") if zone),
        either="either" in marks,
        requests="only-long" not in marks,
        long=bool({"long", "only-long"} & set(marks)),
        port=port,
    )


class RouteFile:
    """The file as it was when it was last good. Replace it by a rename: half a file may parse, too."""

    def __init__(self, path: Path) -> None:
        """Raises `BadRoutes`, OSError."""
        self.path = path
        self.reads = 1  # good ones
        self.refusal = ""  # why the file that is there now is not used
        self._stamp = self._look()
        self.routes = parse(path.read_text())
        self.by_key = {route.key: route for route in self.routes}

    def _look(self) -> tuple[int, int, int]:
        status = self.path.stat()
        return status.st_ino, status.st_mtime_ns, status.st_size

    def renew(self) -> bool:
        """Look again; True: there are other routes now."""
        try:
            stamp = self._look()
            if stamp == self._stamp:
                return False
            self._stamp = stamp  # taken before the text: what is replaced in between is read again
            routes = parse(self.path.read_text())
        except OSError as problem:
            self._stamp = (0, 0, 0)
            self.refusal = str(problem)
            return False
        except (BadRoutes, UnicodeDecodeError) as problem:
            self.refusal = str(problem)
            return False
        self.refusal = ""
        self.reads += 1
        self.routes = routes
        self.by_key = {route.key: route for route in routes}
        return True

    def says(self) -> dict[str, object]:
        return {"reads": self.reads, "mtime_ns": self._stamp[1], "entries": len(self.routes), "refusal": self.refusal}
