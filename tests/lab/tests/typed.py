"""A lab host on paper, and commands typed at it."""

from __future__ import annotations

import shlex
from pathlib import Path

from lab.dispatch import Completed, paper_world, run_text
from lab.world import Dialect, KernelZone, Status


class Host:
    """`host("dladm show-link")` runs a command; `ok` also insists on silence and success."""

    def __init__(self, root: Path, dialect: Dialect = Dialect.VANILLA) -> None:
        self.world = paper_world(str(root), dialect)

    def __call__(self, line: str, zone: str = "global") -> Completed:
        return run_text(self.world, shlex.split(line), zone=zone)

    def ok(self, *lines: str, zone: str = "global") -> None:
        for line in lines:
            done = self(line, zone)
            assert (done.status, done.err) == (0, ""), (line, done)

    def fails(self, line: str, err: str, zone: str = "global", status: int = 1) -> None:
        """Exactly `err` and a newline on stderr, nothing on stdout."""
        assert self(line, zone) == Completed(status, "", err + "\n")

    def prints(self, line: str, out: str, zone: str = "global") -> None:
        assert self(line, zone) == Completed(0, out, "")

    def zone(self, name: str, status: Status = Status.RUNNING, exclusive: bool = True) -> KernelZone:
        """A kernel zone without the trouble of booting one."""
        zone = KernelZone(name, self.world.new_zoneid(), "ipkg", exclusive, f"/zones/{name}", status)
        self.world.kernel_zones[name] = zone
        return zone

    def persistent_links(self) -> str:
        return self.world.path("/etc/dladm/datalink.conf").read_text()
