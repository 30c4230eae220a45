"""What makes ipf's rules true: on paper nothing, on the real floor `lab.ipfilter.nft`.

Every method is called with `World.lock` held.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from lab.ipfilter.state import IpfStack
from lab.world import KernelZone


@dataclass(frozen=True)
class Session:
    """One live NAT session; ports are None for protocols without [services 1.6]."""

    kind: str  # MAP | RDR | BIMAP
    inside: tuple[str, int | None]
    outside: tuple[str, int | None]
    peer: tuple[str, int | None]


@dataclass(frozen=True)
class Traffic:
    """Packets that NAT has translated."""

    mapped_in: int = 0
    mapped_out: int = 0


class PacketFloor(Protocol):
    """`zone` None: the global zone. `which`: `state.OWN` or `state.FROM_GLOBAL`."""

    def load(self, zone: KernelZone | None, which: str, ipf: IpfStack) -> None:
        """Make `ipf` true, all at once. Sessions and states live on, unless `ipf` is disabled: then they end."""
        ...

    def sessions(self, zone: KernelZone | None, which: str) -> list[Session]:
        """The newest first."""
        ...

    def end_sessions(self, zone: KernelZone | None, which: str) -> int:
        """How many there were."""
        ...

    def end_states(self, zone: KernelZone | None, which: str, only_unfinished: bool) -> int:
        """What ``keep state`` has made; `only_unfinished`: of connections that are not fully established."""
        ...

    def hits(self, zone: KernelZone | None, which: str) -> dict[int, int]:
        """Number of a rule -> packets it has decided about (NAT: sessions it has made)."""
        ...

    def traffic(self, zone: KernelZone | None, which: str) -> Traffic: ...


class PaperPackets:
    """There are no packets."""

    def load(self, zone: KernelZone | None, which: str, ipf: IpfStack) -> None:
        pass

    def sessions(self, zone: KernelZone | None, which: str) -> list[Session]:
        return []

    def end_sessions(self, zone: KernelZone | None, which: str) -> int:
        return 0

    def end_states(self, zone: KernelZone | None, which: str, only_unfinished: bool) -> int:
        return 0

    def hits(self, zone: KernelZone | None, which: str) -> dict[int, int]:
        return {}

    def traffic(self, zone: KernelZone | None, which: str) -> Traffic:
        return Traffic()
