"""Scripted faults: what can go wrong on a real host, made to go wrong here on demand.

A fault names the command line it waits for (a shell-style pattern over the joined arguments, e.g.
``dladm create-vnic *``), how many matching calls to let pass, and how many to spoil. It is scripted from outside with
`zonelab fault …` or in-process with `Faults.add`.

`busy`, `again`, `fail`   the kernel operation answers `link busy`, `try again later`, or the given status
`slow`                    the command takes `seconds` longer, before it does anything
`kill`                    the command is killed half-way (a create leaves what a real one leaves [network 8.3])
`caller-before`, `caller-after`   whoever started the command is killed by SIGKILL, before or after it has worked
"""

from __future__ import annotations

import fnmatch
import threading
from dataclasses import dataclass, replace

STATUS = {"busy": "link busy", "again": "try again later"}
KINDS = ("busy", "again", "fail", "slow", "kill", "caller-before", "caller-after")


class Killed(Exception):
    """The command was killed in the middle: nothing after this point happens, nothing is printed."""


@dataclass
class Fault:
    kind: str
    pattern: str
    skip: int = 0
    times: int = 1
    seconds: float = 0.0
    status: str = "operation failed"

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"unknown fault {self.kind!r}; known: {', '.join(KINDS)}")


class Faults:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._script: list[Fault] = []
        self.hit = 0

    def add(self, fault: Fault) -> None:
        with self._lock:
            self._script.append(fault)

    def waiting(self) -> list[Fault]:
        """Those that will still strike, in the order they were added."""
        with self._lock:
            return [replace(fault) for fault in self._script if fault.times > 0]

    def clear(self) -> None:
        with self._lock:
            self._script.clear()

    def arm(self, argv: list[str]) -> list[Fault]:
        """The faults that strike this call; each call counts once. Asked by `dispatch`, once per command."""
        line = " ".join(argv)
        struck: list[Fault] = []
        with self._lock:
            for fault in self._script:
                if fault.times > 0 and fnmatch.fnmatchcase(line, fault.pattern):
                    if fault.skip > 0:
                        fault.skip -= 1
                        continue
                    fault.times -= 1
                    self.hit += 1
                    struck.append(fault)
        return struck
