"""What the guard says when somebody wants to do something to a zone that others may depend on (contract A10)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Operation = Literal["uninstall", "delete", "halt"]
OPERATIONS: tuple[Operation, ...] = ("uninstall", "delete", "halt")


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
    """`code` is stable, for programs: no-dependents, permitted, not-guarded; dependents, cannot-look, no-daemon."""

    zone: str
    operation: str
    allowed: bool
    code: str
    text: str
    dependents: tuple[Dependent, ...] = ()
    hint: str = ""

    def lines(self) -> tuple[str, ...]:
        """For people: what is refused, network -> zones, the way out. One line when it is allowed."""
        networks: dict[tuple[str, str], list[str]] = {}
        for each in sorted(self.dependents):
            networks.setdefault((each.network, each.through), []).append(f"{each.zone} ({each.state})")
        shown = [
            f"  network {network}{f', through zone {through}' if through else ''}: {', '.join(zones)}"
            for (network, through), zones in networks.items()
        ]
        return (*self.text.splitlines(), *shown, *([f"  {self.hint}"] if self.hint else []))
