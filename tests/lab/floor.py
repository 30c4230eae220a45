"""What makes the world's changes true. Commands decide; a floor only does, or raises `Refused`.

Two floors exist: `paper.PaperFloor` does nothing (the data is all there is) and `namespaces.NamespaceFloor` builds the
same with the Linux kernel. Every method is called with `World.lock` held, except the zone_* ones, which may take long
and are called under the zone's own lock only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from lab.ipfilter.floor import PacketFloor
from lab.world import Interface, KernelZone, Link, Route

if TYPE_CHECKING:
    from lab.dhcp_client import DhcpClient
    from lab.outside import Outside


class Floor(Protocol):
    real: bool  # True: zones are containers and packets flow
    packets: PacketFloor  # NAT and filter rules
    outside: Outside | None  # what is beyond the physical links; None: nothing

    # links -----------------------------------------------------------------------------------------------------
    def create_etherstub(self, link: Link) -> None: ...
    def create_vnic(self, link: Link, over: Link) -> None: ...
    def delete_link(self, link: Link) -> None: ...
    def rename_link(self, link: Link, new: str) -> None: ...
    def move_link(self, link: Link, zone: KernelZone | None) -> None:
        """Into `zone`'s stack, or back to the global zone (None): same name, same MAC."""
        ...

    def set_mtu(self, link: Link, mtu: int) -> None: ...
    def fence(self, link: Link, sources: tuple[str, ...] | None) -> None:
        """What leaves `link` must come from one of these CIDRs; None: may come from anywhere. No etherstub."""
        ...

    def counters(self, links: list[Link]) -> dict[str, dict[str, int]]:
        """name -> {rbytes64, obytes64, ipackets64, opackets64, ierrors, oerrors}, seen from the VNIC's own end."""
        ...

    # IP, on the stack of `zone` (None = global zone) --------------------------------------------------------------
    def plumb(self, zone: KernelZone | None, interface: str) -> None: ...
    def unplumb(self, zone: KernelZone | None, interface: str) -> None: ...
    def add_address(self, zone: KernelZone | None, interface: str, address: str) -> None: ...
    def remove_address(self, zone: KernelZone | None, interface: str, address: str) -> None: ...
    def set_forwarding(self, zone: KernelZone | None, interface: Interface | None, family: int, on: bool) -> None:
        """`interface` None: the whole stack."""
        ...

    def add_route(self, zone: KernelZone | None, route: Route) -> None: ...
    def remove_route(self, zone: KernelZone | None, route: Route) -> None: ...
    def hear_routers(self, zone: KernelZone | None, interface: str, on: bool) -> None:
        """Take addresses and default routes from IPv6 routers' advertisements; False: no more, and what came goes."""
        ...

    def advertised(self, zone: KernelZone | None, interface: str) -> tuple[list[str], list[Route]]:
        """What came: (ADDR/LEN each, default routes)."""
        ...

    def start_dhcp(
        self, zone: KernelZone | None, interface: str, mac: str, host_name: str, ticket: str
    ) -> DhcpClient: ...

    def kernel_name(self, link: Link) -> str:
        """What programs of the machine must call the link."""
        ...

    # zones ---------------------------------------------------------------------------------------------------------
    def zone_create(self, zone: KernelZone, root: str) -> None:
        """Namespaces and mounts below `root` (zonepath/root); sets `zone.pid`. No init yet [zones 2.3]."""
        ...

    def zone_start_init(self, zone: KernelZone, boot_arguments: list[str]) -> None:
        """init runs; the zone's /etc/rc.local, if executable, runs with it."""
        ...

    def zone_kill(self, zone: KernelZone) -> None:
        """Every process of the zone is dead when this returns."""
        ...

    def zone_destroy(self, zone: KernelZone) -> None: ...
    def pidfd_of(self, zone: str) -> int:
        """A descriptor of the zone's process 1 for the caller to close; -1: no such container."""
        ...
