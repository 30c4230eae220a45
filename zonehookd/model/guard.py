"""What the guard says when somebody wants to do something to a zone that others may depend on (contract A10)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from zonehookd.model.few import few

Operation = Literal["uninstall", "delete", "halt"]
OPERATIONS: tuple[Operation, ...] = ("uninstall", "delete", "halt")
_NAMES_MAX = 8  # zones of one network that are named
_LINES_MAX = 20  # networks
_LISTED_MAX = 3500  # characters: with the lines around it about the page that zoneadmd passes on (zones sheet 5.5)


@dataclass(frozen=True, slots=True, order=True)
class Dependent:
    """A zone that loses its way out with the gateway. `network` is the one it is attached to.

    `how`: ``address``, ``attribute``, ``global-nic``, ``provisioning``, ``gateway`` (as attachments are found), or
    ``link`` (a VNIC of it is on the network's etherstub, whoever made it). `through`: the gateway further in that it is
    behind, for whom the one asked about is the way out; empty when it is attached directly.
    """

    network: str
    zone: str
    how: str
    state: str
    through: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """`code` is stable, for programs: no-dependents, permitted, not-guarded; dependents, cannot-look, no-daemon.

    `recorded`: when that was written down on which it rests, in unix seconds; None: it was looked up just now. A record
    has no room for everybody: `left_out` more depend by it; or may, where it knows of none.
    """

    zone: str
    operation: str
    allowed: bool
    code: str
    text: str
    dependents: tuple[Dependent, ...] = ()
    hint: str = ""
    recorded: float | None = None
    left_out: int = 0

    def lines(self) -> tuple[str, ...]:
        """For people: what is refused, network -> zones, the way out. One line when it is allowed."""
        shown = listed(self.dependents) if self.recorded is None else ()  # the text of a record has its own
        return (*self.text.splitlines(), *shown, *([f"  {self.hint}"] if self.hint else []))


def listed(dependents: Collection[Dependent]) -> tuple[str, ...]:
    """Network -> zones, a line each; ten thousand zones are a page at most."""
    networks: dict[tuple[str, str], list[str]] = {}
    for each in sorted(dependents):
        networks.setdefault((each.network, each.through), []).append(f"{each.zone} ({each.state})")
    lines: list[str] = []
    room = _LISTED_MAX
    for (network, through), zones in networks.items():
        way = f", through zone {through}" if through else ""
        line = f"  network {network}{way}: {few(zones, _NAMES_MAX)}"
        room -= len(line) + 1
        if len(lines) == _LINES_MAX or room < 0:
            return (*lines, f"  and {len(networks) - len(lines)} networks more")
        lines.append(line)
    return tuple(lines)
