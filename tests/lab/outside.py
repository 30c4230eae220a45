"""The world outside of the lab's host: what answers at the far end of its physical links.

    wire of net0  (bridge b1)  --  o1 ----- veth pair ----- net0  (in the outside network: 192.0.2.1, forwarding)
                                                            lo    (198.51.100.1, "a server far away")

A network namespace of its own. Nothing of it shows in the host's global zone before somebody configures net0 there.
"""

from __future__ import annotations

import ipaddress
import socket
from typing import Any

from lab import linux
from lab.network import Network
from lab.sniffer import Capture
from lab.world import Refused

UPLINK = "net0"
FURNITURE = (
    (UPLINK, "192.0.2.1/24"),
    (UPLINK, "2001:db8:0:1::1/64"),
    ("lo", "198.51.100.1/32"),
    ("lo", "2001:db8:ffff::1/128"),
)
_NODAD = 0x02  # IFA_F_NODAD


class Outside:
    def __init__(self) -> None:
        self.network = Network(linux.new_network())
        self.capture: Capture | None = None
        for family in (4, 6):
            self.network.sysctl(f"ipv{family}/conf/all/forwarding", 1)
        self.network.sysctl("ipv6/conf/default/addr_gen_mode", 0)  # routers have link-local addresses

    def connect(self, wire: Network, link: str, linkid: int, bridge: int, mtu: int) -> None:
        """A far end for the physical link `link`, by the same name; `bridge` is the index of its wire."""
        mac = f"02:08:20:ff:{linkid >> 8 & 0xFF:02x}:{linkid & 0xFF:02x}"
        peer = {"ifname": link, "address": mac, "mtu": mtu, "net_ns_fd": self.network.fd}
        wire.ask("link", "add", ifname=f"o{linkid}", kind="veth", mtu=65535, master=bridge, state="up", peer=peer)
        self.network.change(link, state="up")
        for where, address in FURNITURE if link == UPLINK else ():
            self.change_address("add", address, where)

    def change_address(self, action: str, address: str, link: str) -> None:
        """`action` is add or remove. Raises `Refused`, and ValueError for what is no ADDR/LEN."""
        parsed = ipaddress.ip_interface(address)
        index = self.network.index(link)
        extra: dict[str, Any] = {"flags": _NODAD} if parsed.version == 6 and action == "add" else {}
        verb = "add" if action == "add" else "del"
        self.network.ask("addr", verb, index=index, address=str(parsed.ip), prefixlen=parsed.network.prefixlen, **extra)

    def change_route(self, action: str, destination: str, gateway: str) -> None:
        """`action` is add or remove; `destination` a CIDR. Raises `Refused`, and ValueError."""
        network, via = ipaddress.ip_network(destination), ipaddress.ip_address(gateway)
        if network.version != via.version:
            raise ValueError(f"{destination} via {gateway}: two families")
        family = socket.AF_INET if network.version == 4 else socket.AF_INET6
        verb = "add" if action == "add" else "del"
        self.network.ask("route", verb, dst=str(network), gateway=str(via), family=family)

    def start_capture(self) -> None:
        """Raises `Refused` when one is running. What an earlier one caught is forgotten."""
        if self.capture is not None and self.capture.running:
            raise Refused("a capture is running")
        self.capture = Capture(self.network.fd)
