"""One network namespace of the lab and the netlink socket in it."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import os
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pyroute2 import IPRoute, NetlinkError

from lab import linux
from lab.world import Refused

_PERMANENT = 0x80  # IFA_F_PERMANENT: somebody has set it
_MAIN_TABLE = 254
_BY_KERNEL = 2  # RTPROT_KERNEL
_BY_ROUTER = 9  # RTPROT_RA
_NFT_SECONDS = 60
_ETH_P_IP, _ETH_P_ARP = 0x0800, 0x0806
_EVERYBODY = b"\xff" * 6
_QUIET: tuple[tuple[str, int | str], ...] = (
    *(
        (f"ipv6/conf/{which}/{name}", value)
        for which in ("default", "all")
        for name, value in (
            ("accept_dad", 0),
            ("dad_transmits", 0),
            ("accept_ra", 0),
            ("autoconf", 0),
            ("addr_gen_mode", 1),
        )
    ),
    ("ipv4/ping_group_range", "0 0"),
)  # no duplicate detection, no addresses nobody asked for: a plumbed interface is usable at once, as on illumos
_STATUS = {
    errno.EEXIST: "object already exists",
    errno.EBUSY: "link busy",
    errno.ENODEV: "object not found",
    errno.EPERM: "permission denied",
    errno.ENOBUFS: "insufficient memory",
    errno.EINVAL: "invalid argument",
}


@contextlib.contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except NetlinkError as problem:
        print(f"netlink: {problem}", file=sys.stderr, flush=True)
        raise Refused(_STATUS.get(problem.code, os.strerror(problem.code))) from problem


class Network:
    """One network namespace and the one netlink socket in it. Requests of several threads take turns."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        with linux.network_of(fd):
            self._netlink = IPRoute()
            for name, value in _QUIET:
                self._write(name, value)
            linux.loopback_up()
        self._turn = threading.Lock()

    def close(self) -> None:
        self._netlink.close()

    def ask(self, what: str, *arguments: Any, **attributes: Any) -> Any:
        """A method of IPRoute. Raises `Refused`."""
        with self._turn, _refusals():
            return getattr(self._netlink, what)(*arguments, **attributes)

    def index(self, name: str) -> int:
        return int(self.ask("link", "get", ifname=name)[0]["index"])

    def change(self, name: str, **attributes: Any) -> None:
        self.ask("link", "set", index=self.index(name), **attributes)

    def sysctl(self, name: str, value: int | str) -> None:
        with linux.network_of(self.fd):
            self._write(name, value)

    def announce(self, name: str, address: str) -> None:
        """Tell the link whose IPv4 address it is now (RFC 5227, 2.3): who is already asking for it goes on at once, not
        after the second that Linux waits between two questions."""
        ip = socket.inet_aton(address)
        with linux.network_of(self.fd), socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0) as sock:
            sock.bind((name, _ETH_P_ARP))
            mac = sock.getsockname()[4]
            request = struct.pack("!HHBBH", 1, _ETH_P_IP, len(mac), len(ip), 1) + mac + ip + bytes(len(mac)) + ip
            with contextlib.suppress(OSError):  # it is down
                sock.sendto(request, (name, _ETH_P_ARP, 0, 0, _EVERYBODY))

    @staticmethod
    def _write(name: str, value: int | str) -> None:
        with contextlib.suppress(FileNotFoundError):  # a kernel without IPv6
            Path(f"/proc/sys/net/{name}").write_text(str(value))

    def heard_from_routers(self, name: str) -> tuple[list[str], list[str]]:
        """(ADDR/LEN made from advertised prefixes, gateways of advertised default routes) of the device `name`."""
        index = self.index(name)
        addresses = [
            f"{dict(each['attrs'])['IFA_ADDRESS']}/{each['prefixlen']}"
            for each in self.ask("get_addr", index=index, family=socket.AF_INET6)
            if not each["flags"] & _PERMANENT
        ]
        found = self.ask("get_routes", family=socket.AF_INET6, oif=index)
        defaults = [dict(each["attrs"]) for each in found if each["proto"] == _BY_ROUTER and each["dst_len"] == 0]
        return addresses, [each["RTA_GATEWAY"] for each in defaults if "RTA_GATEWAY" in each]

    def forget_routers(self, name: str) -> None:
        """What they gave to the device goes, also the subnets that only it was on."""
        index = self.index(name)
        for each in self.heard_from_routers(name)[0]:
            address, _, length = each.partition("/")
            self.ask("addr", "del", index=index, address=address, prefixlen=int(length))
        stay = {
            str(ipaddress.ip_network(f"{dict(each['attrs'])['IFA_ADDRESS']}/{each['prefixlen']}", strict=False))
            for each in self.ask("get_addr", index=index, family=socket.AF_INET6)
        }
        for route in self.ask("get_routes", family=socket.AF_INET6, oif=index, table=_MAIN_TABLE):
            attributes, proto = dict(route["attrs"]), route["proto"]
            where = f"{attributes.get('RTA_DST', '::')}/{route['dst_len']}"
            if proto == _BY_ROUTER or (proto == _BY_KERNEL and where not in stay):
                gateway = {"gateway": attributes["RTA_GATEWAY"]} if "RTA_GATEWAY" in attributes else {}
                self.ask("route", "del", dst=where, family=socket.AF_INET6, oif=index, proto=proto, **gateway)

    def nft(self, script: str, *question: str) -> str:
        """Run `script` here as one transaction, or ask `question`; what nft prints.

        Raises RuntimeError: the lab wrote nonsense, or nft is not there.
        """
        with linux.network_of(self.fd):
            done = subprocess.run(
                ["/usr/sbin/nft", *(question or ("-f", "-"))],
                input=script, capture_output=True, text=True, check=False, cwd="/", timeout=_NFT_SECONDS,
                env={"PATH": "/usr/sbin:/usr/bin"},
            )  # fmt: skip
        if done.returncode != 0:
            raise RuntimeError(f"nft: {done.stderr}\n{script}")
        return done.stdout

    def statistics(self) -> dict[str, list[int]]:
        """Kernel name -> the sixteen numbers of /proc/net/dev: eight received, eight sent."""
        with linux.network_of(self.fd):
            lines = Path("/proc/thread-self/net/dev").read_text().splitlines()[2:]
        return {
            name.strip(): [int(word) for word in rest.split()] for name, _, rest in (x.partition(":") for x in lines)
        }
