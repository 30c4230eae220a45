"""The paper floor: the world as data only. Fast, without privileges, deterministic."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.ipfilter.floor import PacketFloor, PaperPackets
from lab.world import Interface, KernelZone, Link, NotEmulated, Route

if TYPE_CHECKING:
    from lab.dhcp_client import DhcpClient
    from lab.outside import Outside


class PaperFloor:
    real = False
    packets: PacketFloor = PaperPackets()
    outside: Outside | None = None

    def create_etherstub(self, link: Link) -> None:
        pass

    def create_vnic(self, link: Link, over: Link) -> None:
        pass

    def delete_link(self, link: Link) -> None:
        pass

    def rename_link(self, link: Link, new: str) -> None:
        pass

    def move_link(self, link: Link, zone: KernelZone | None) -> None:
        pass

    def set_mtu(self, link: Link, mtu: int) -> None:
        pass

    def fence(self, link: Link, sources: tuple[str, ...] | None) -> None:
        pass

    def counters(self, links: list[Link]) -> dict[str, dict[str, int]]:
        names = ("rbytes64", "obytes64", "ipackets64", "opackets64", "ierrors", "oerrors")
        return {link.name: dict.fromkeys(names, 0) for link in links}

    def plumb(self, zone: KernelZone | None, interface: str) -> None:
        pass

    def unplumb(self, zone: KernelZone | None, interface: str) -> None:
        pass

    def add_address(self, zone: KernelZone | None, interface: str, address: str) -> None:
        pass

    def remove_address(self, zone: KernelZone | None, interface: str, address: str) -> None:
        pass

    def set_forwarding(self, zone: KernelZone | None, interface: Interface | None, family: int, on: bool) -> None:
        pass

    def add_route(self, zone: KernelZone | None, route: Route) -> None:
        pass

    def remove_route(self, zone: KernelZone | None, route: Route) -> None:
        pass

    def hear_routers(self, zone: KernelZone | None, interface: str, on: bool) -> None:
        pass

    def advertised(self, zone: KernelZone | None, interface: str) -> tuple[list[str], list[Route]]:
        return [], []

    def start_dhcp(self, zone: KernelZone | None, interface: str, mac: str, host_name: str, ticket: str) -> DhcpClient:
        raise NotEmulated("ipadm create-addr -T dhcp on the data-only floor")

    def zone_create(self, zone: KernelZone, root: str) -> None:
        pass

    def zone_start_init(self, zone: KernelZone, boot_arguments: list[str]) -> None:
        pass

    def zone_kill(self, zone: KernelZone) -> None:
        pass

    def zone_destroy(self, zone: KernelZone) -> None:
        pass

    def kernel_name(self, link: Link) -> str:
        return link.name

    def pidfd_of(self, zone: str) -> int:
        return -1
