"""A data-only lab host with a few short words, for the tests about zones."""

from __future__ import annotations

import io
from pathlib import Path

from lab.call import Call
from lab.channel import Subscription
from lab.dispatch import Completed, paper_world, run, run_text
from lab.world import Dialect, World


class Host:
    def __init__(self, root: Path, dialect: Dialect = Dialect.VANILLA) -> None:
        self.root = root
        self.world: World = paper_world(str(root), dialect)

    def run(self, *argv: str, stdin: str = "", zone: str = "global") -> Completed:
        return run_text(self.world, list(argv), stdin, zone)

    def good(self, *argv: str) -> str:
        """Standard output of a command that must succeed and say nothing on stderr."""
        done = self.run(*argv)
        assert (done.status, done.err) == (0, ""), (argv, done)
        return done.out

    def at_terminal(self, answers: str, *argv: str, privileged: bool = True) -> Completed:
        """With a terminal as standard input, at which `answers` is typed."""
        call = Call(self.world, list(argv), stdin=io.BytesIO(answers.encode()), stdin_tty=True, privileged=privileged)
        status = run(call)
        assert isinstance(call.stdout, io.BytesIO) and isinstance(call.stderr, io.BytesIO)
        return Completed(status, call.stdout.getvalue().decode(), call.stderr.getvalue().decode())

    def zonecfg(self, zone: str, commands: str) -> Completed:
        return self.run("zonecfg", "-z", zone, commands)

    def zoneadm(self, zone: str, *words: str) -> Completed:
        return self.run("zoneadm", "-z", zone, *words)

    def configure(self, zone: str, more: str = "", brand: str = "sparse") -> None:
        """An exclusive zone at /zones/ZONE."""
        script = f"create -b; set zonepath=/zones/{zone}; set brand={brand}; set ip-type=exclusive; {more}"
        self.good("zonecfg", "-z", zone, script)

    def install(self, zone: str, more: str = "", brand: str = "sparse") -> None:
        self.configure(zone, more, brand)
        assert self.zoneadm(zone, "install").status == 0

    def vnic(self, name: str) -> None:
        """A VNIC over the etherstub stub0."""
        if "stub0" not in self.world.links:
            self.good("dladm", "create-etherstub", "stub0")
        self.good("dladm", "create-vnic", "-l", "stub0", name)

    def file(self, path: str) -> Path:
        return self.world.path(path)

    def index(self) -> str:
        return self.file("/etc/zones/index").read_text()

    def uuid(self, zone: str) -> str:
        line = next(line for line in self.index().splitlines() if line.startswith(f"{zone}:"))
        return line.rpartition(":")[2]

    def hook(self, brand: str, element: str, script: str) -> Path:
        """Make the program of a brand's hook a shell script; the file of its arguments is given as $LOG in it."""
        log = self.root / f"{brand}-{element}.log"
        program = self.file(f"/usr/lib/brand/{brand}/{element}")
        program.write_text(f"#!/bin/sh\nLOG={log}\n{script}\n")
        program.chmod(0o755)
        return log

    def element(self, brand: str, before: str, line: str) -> None:
        """Put `line` into the brand's config.xml in front of the element `before`."""
        config = self.file(f"/usr/lib/brand/{brand}/config.xml")
        text = config.read_text()
        assert f"<{before}" in text
        config.write_text(text.replace(f"  <{before}", f"  {line}\n  <{before}", 1))


def drain(subscription: Subscription) -> list[tuple[str, str, int]]:
    """(old, new, zoneid) of every event that waits."""
    seen: list[tuple[str, str, int]] = []
    while (event := subscription.next(0)) is not None:
        seen.append((event.oldstate, event.newstate, event.zoneid))
        subscription.consumed()
    return seen
