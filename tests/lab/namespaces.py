"""The real floor: links are veth pairs and bridges, zones are containers, packets flow.

    global zone's or a zone's network             the hidden "wire" network
        web1_0  (the VNIC)  ----- veth pair -----  w17 --.
                                                          b12  (bridge: the etherstub, or the wire at net0)
        web2_0              ----- veth pair -----  w18 --'

The wire belongs to no process; the server holds it open. Wire names come from link ids, so no link name clashes there.
"""

from __future__ import annotations

import ipaddress
import os
import socket
from collections import defaultdict
from pathlib import Path
from typing import Any

from lab import containers, linux
from lab.dhcp_client import DhcpClient
from lab.fence import Fence
from lab.ipfilter.floor import PacketFloor
from lab.ipfilter.nft import NftPackets
from lab.network import Network
from lab.outside import Outside
from lab.world import Dialect, Interface, KernelZone, Link, LinkClass, Refused, Route, World

KERNEL_NAME_MAX = 15  # IFNAMSIZ - 1; illumos allows 31
_WIRE_MTU = 65535  # the VNIC's own end decides what fits
_NODAD = 0x02  # IFA_F_NODAD


class NamespaceFloor:
    real = True
    outside: Outside | None

    def __init__(self) -> None:
        self._global = Network(os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC))
        self._wire = Network(linux.new_network())
        self.outside = Outside()
        self._fence = Fence(self._wire)
        self._lower: dict[int, int] = {}  # link id -> id of the stub or physical link it is, or sits on
        self._bridges: dict[int, dict[int, int]] = defaultdict(dict)  # such an id -> VLAN (0: none) -> bridge index
        self._ends: dict[int, tuple[Network, str]] = {}  # link id -> where the link's own end is, and its kernel name
        self._names: dict[str, str] = {}  # link name -> kernel name
        self._containers: dict[str, containers.Container] = {}
        self._networks: dict[str, Network] = {}  # exclusive zone -> its stack
        self._nft = NftPackets(self._stack, self._name_in_rules)
        self.packets: PacketFloor = self._nft
        self._dialect = Dialect.VANILLA

    def furnish(self, world: World) -> None:
        """Make the physical links that the host was born with, and connect them to the world outside."""
        assert self.outside is not None
        self._dialect = world.dialect
        for link in world.links.values():
            if link.klass is LinkClass.PHYS:
                self.create_etherstub(link)
                self._create_pair(link)
                self.outside.connect(self._wire, link.name, link.linkid, self._bridge(link.linkid, 0), link.mtu)

    # for the server ----------------------------------------------------------------------------------------------

    def zone_of(self, process_namespace: int) -> str | None:
        """Whose inode of a process namespace this is."""
        for container in list(self._containers.values()):
            if container.process_namespace == process_namespace:
                return container.name
        return None

    def kernel_name(self, link: Link) -> str:
        return _kernel_name(link)

    def pidfd_of(self, zone: str) -> int:
        """A descriptor of the zone's process 1 for the caller to close; -1: no such container."""
        container = self._containers.get(zone)
        try:
            return -1 if container is None else os.dup(container.pidfd)
        except OSError:
            return -1

    # links ---------------------------------------------------------------------------------------------------------

    def create_etherstub(self, link: Link) -> None:
        self._lower[link.linkid] = link.linkid
        self._bridge(link.linkid, 0)

    def _bridge(self, lower: int, vid: int) -> int:
        """Index of the bridge for VLAN `vid` over the stub or physical link `lower`: a bridge per VLAN keeps them apart
        also on a kernel whose bridges know no VLANs."""
        if vid not in self._bridges[lower]:
            name = f"b{lower}v{vid}" if vid else f"b{lower}"
            options = {"br_stp_state": 0, "br_forward_delay": 0, "br_mcast_snooping": 0}
            self._wire.ask("link", "add", ifname=name, kind="bridge", mtu=_WIRE_MTU, **options)
            self._wire.change(name, state="up")
            self._bridges[lower][vid] = self._wire.index(name)
        return self._bridges[lower][vid]

    def create_vnic(self, link: Link, over: Link) -> None:
        self._lower[link.linkid] = self._lower[over.linkid]
        self._create_pair(link)

    def _create_pair(self, link: Link) -> None:
        name, bridge = _kernel_name(link), self._bridge(self._lower[link.linkid], link.vid)
        peer = {"ifname": name, "address": _padded(link.mac), "mtu": link.mtu, "net_ns_fd": self._global.fd}
        self._wire.ask(
            "link", "add", ifname=f"w{link.linkid}", kind="veth", mtu=_WIRE_MTU, master=bridge, state="up", peer=peer
        )
        self._place(link.linkid, link.name, name, self._global)
        if name != link.name:
            self._entitle(link, name)

    def _place(self, linkid: int, name: str, kernel_name: str, network: Network) -> None:
        self._ends[linkid] = (network, kernel_name)
        self._names[name] = kernel_name
        if name != kernel_name:
            self._nft.names_changed()

    def _name_in_rules(self, name: str) -> str | None:
        """A rule may wait for a link that has no generated name: what the kernel will call it is known before."""
        return self._names.get(name, name if len(name) <= KERNEL_NAME_MAX else None)

    def _entitle(self, link: Link, name: str) -> None:
        """The real name of a link whose kernel name is a generated one, for people who look with `ip`."""
        network, _ = self._ends[link.linkid]
        index = network.index(name)
        network.ask("link", "property_add", index=index, altname=link.name)
        network.ask("link", "set", index=index, ifalias=link.name)

    def delete_link(self, link: Link) -> None:
        if link.linkid in self._ends:
            self._fence.set(f"w{link.linkid}", None)
            self._wire.ask("link", "del", index=self._wire.index(f"w{link.linkid}"))
        for bridge in self._bridges.pop(link.linkid, {}).values():
            self._wire.ask("link", "del", index=bridge)
        self._lower.pop(link.linkid, None)
        self._ends.pop(link.linkid, None)
        self._names.pop(link.name, None)

    def rename_link(self, link: Link, new: str) -> None:
        if link.klass is LinkClass.ETHERSTUB:
            return  # the wire calls it by its id
        network, old = self._ends[link.linkid]
        if old != link.name:
            network.ask("link", "property_del", index=network.index(old), altname=link.name)
        renamed = Link(new, link.linkid, link.klass)
        name = _kernel_name(renamed)
        if name != old:
            network.change(old, ifname=name)
        del self._names[link.name]
        self._place(link.linkid, new, name, network)
        if name != new:
            self._entitle(renamed, name)

    def move_link(self, link: Link, zone: KernelZone | None) -> None:
        self._move(link.linkid, self._stack(zone))

    def _move(self, linkid: int, target: Network) -> None:
        source, name = self._ends[linkid]
        if source is not target:
            source.change(name, net_ns_fd=target.fd)
            self._ends[linkid] = (target, name)

    def set_mtu(self, link: Link, mtu: int) -> None:
        if link.klass is not LinkClass.ETHERSTUB:
            network, name = self._ends[link.linkid]
            network.change(name, mtu=mtu)

    def fence(self, link: Link, sources: tuple[str, ...] | None) -> None:
        self._fence.set(f"w{link.linkid}", sources)

    def counters(self, links: list[Link]) -> dict[str, dict[str, int]]:
        seen: dict[int, dict[str, list[int]]] = {}
        answer: dict[str, dict[str, int]] = {}
        for link in links:
            numbers = [0] * 16  # an etherstub has no end of its own
            if link.linkid in self._ends:
                network, name = self._ends[link.linkid]
                if network.fd not in seen:
                    seen[network.fd] = network.statistics()
                numbers = seen[network.fd].get(name, numbers)
            answer[link.name] = {
                "rbytes64": numbers[0], "ipackets64": numbers[1], "ierrors": numbers[2],
                "obytes64": numbers[8], "opackets64": numbers[9], "oerrors": numbers[10],
            }  # fmt: skip
        return answer

    # IP --------------------------------------------------------------------------------------------------------------

    def _stack(self, zone: KernelZone | None) -> Network:
        return self._global if zone is None or not zone.exclusive else self._networks[zone.name]

    def _interface(self, name: str) -> str:
        if name == "lo0":
            return "lo"
        try:
            return self._names[name]
        except KeyError:
            raise Refused("object not found") from None

    def plumb(self, zone: KernelZone | None, interface: str) -> None:
        self._stack(zone).change(self._interface(interface), state="up")

    def unplumb(self, zone: KernelZone | None, interface: str) -> None:
        network, name = self._stack(zone), self._interface(interface)
        index = network.index(name)
        network.ask("flush_addr", index=index)
        network.ask("link", "set", index=index, state="down")

    def add_address(self, zone: KernelZone | None, interface: str, address: str) -> None:
        self._address("add", zone, interface, address)

    def remove_address(self, zone: KernelZone | None, interface: str, address: str) -> None:
        self._address("del", zone, interface, address)

    def _address(self, action: str, zone: KernelZone | None, interface: str, address: str) -> None:
        network, parsed = self._stack(zone), ipaddress.ip_interface(address)
        extra: dict[str, Any] = {"flags": _NODAD} if parsed.version == 6 and action == "add" else {}
        name = self._interface(interface)
        index = network.index(name)
        network.ask("addr", action, index=index, address=str(parsed.ip), prefixlen=parsed.network.prefixlen, **extra)
        if action == "add" and parsed.version == 4 and name != "lo":
            network.announce(name, str(parsed.ip))

    def set_forwarding(self, zone: KernelZone | None, interface: Interface | None, family: int, on: bool) -> None:
        network = self._stack(zone)
        name = "all" if interface is None else self._interface(interface.name)
        if family == 6 and on:  # Linux forwards IPv6 only if the whole stack may
            network.sysctl("ipv6/conf/all/forwarding", 1)
        network.sysctl(f"ipv{family}/conf/{name}/forwarding", int(on))

    def add_route(self, zone: KernelZone | None, route: Route) -> None:
        self._route("append", zone, route)  # the same destination by another gateway is another route

    def remove_route(self, zone: KernelZone | None, route: Route) -> None:
        self._route("del", zone, route)

    def _route(self, action: str, zone: KernelZone | None, route: Route) -> None:
        network = self._stack(zone)
        everything = "0.0.0.0/0" if route.family == 4 else "::/0"
        attributes: dict[str, Any] = {
            "dst": everything if route.destination == "default" else route.destination,
            "family": socket.AF_INET if route.family == 4 else socket.AF_INET6,
        }
        if route.gateway:
            attributes["gateway"] = route.gateway
        if route.interface:
            attributes["oif"] = network.index(self._interface(route.interface))
        network.ask("route", action, **attributes)

    def hear_routers(self, zone: KernelZone | None, interface: str, on: bool) -> None:
        network, name = self._stack(zone), self._interface(interface)
        settings = {"accept_ra": 2 if on else 0, "autoconf": int(on), "router_solicitation_delay": 0}  # 2: routers too
        for setting, value in settings.items():
            network.sysctl(f"ipv6/conf/{name}/{setting}", value)
        if not on:
            network.forget_routers(name)

    def advertised(self, zone: KernelZone | None, interface: str) -> tuple[list[str], list[Route]]:
        addresses, gateways = self._stack(zone).heard_from_routers(self._interface(interface))
        return addresses, [Route("default", gateway, interface, 6) for gateway in gateways]

    def start_dhcp(self, zone: KernelZone | None, interface: str, mac: str, host_name: str, ticket: str) -> DhcpClient:
        return DhcpClient(self._stack(zone).fd, self._interface(interface), _padded(mac), host_name, ticket)

    # zones -----------------------------------------------------------------------------------------------------------

    def zone_create(self, zone: KernelZone, root: str) -> None:
        container = containers.create(zone.name, Path(root), zone.exclusive, self._dialect)
        if zone.exclusive:
            self._networks[zone.name] = Network(container.network_fd)
        self._containers[zone.name] = container
        zone.pid = container.pid

    def zone_start_init(self, zone: KernelZone, boot_arguments: list[str]) -> None:
        try:
            self._containers[zone.name].start_init()
        except OSError as problem:
            raise Refused(str(problem)) from problem

    def zone_kill(self, zone: KernelZone) -> None:
        self._containers[zone.name].kill()

    def zone_destroy(self, zone: KernelZone) -> None:
        """Links that are still there go home first: a network takes its links along when it dies."""
        container = self._containers.pop(zone.name)
        network = self._networks.pop(zone.name, None)
        container.kill()
        if network is not None:
            for linkid, (where, _) in list(self._ends.items()):
                if where is network:
                    self._move(linkid, self._global)
            self._nft.forget(network)
            network.close()
        container.destroy()
        zone.pid = 0


def _kernel_name(link: Link) -> str:
    """No illumos link name has a hyphen, so a generated name clashes with none."""
    return link.name if len(link.name) <= KERNEL_NAME_MAX else f"zl-{link.linkid:x}"


def _padded(mac: str) -> str:
    return ":".join(f"{int(octet, 16):02x}" for octet in mac.split(":"))
