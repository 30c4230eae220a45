"""IP stacks: what ipadm and route change, and what ipmgmtd does in a zone [network 4, 5]."""

from __future__ import annotations

from lab.world import KernelZone, World


def configure_from_gz(
    world: World, zone: KernelZone, interface: str, addresses: list[str], defrouter: list[str]
) -> None:
    """What ipmgmtd in an exclusive-IP zone does with the net resource's allowed-address and defrouter [zones 6.1]."""


def restore(world: World, zone: KernelZone | None) -> None:
    """ipmgmtd and the routing services start: what was made persistent in this stack comes back."""


def drop_stack(world: World, zone: str) -> None:
    """The zone's kernel object goes, its stack with it; its links stay, to be given back."""
