"""The lab's host as data: links, kernel zones, IP stacks; and the lock under which they change.

Files are the truth where they are the truth on illumos: `/etc/zones/index` and `/etc/zones/*.xml` for what is
configured [zones 2.7], `/etc/dladm/datalink.conf` for persistent links [network 1.2]. This module holds what a real
host keeps in the kernel, in dlmgmtd and in each ipmgmtd.
"""

from __future__ import annotations

import enum
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from lab.ipfilter.state import IpfStack

if TYPE_CHECKING:
    from lab.channel import Channel
    from lab.dhcp import Lease
    from lab.faults import Faults
    from lab.floor import Floor

GLOBAL = "global"


class Dialect(enum.Enum):
    """Whose commands these are; chosen when the lab starts."""

    VANILLA = "vanilla"  # illumos-gate: Tribblix, OpenIndiana
    OMNIOS = "omnios"


class Refused(Exception):
    """A kernel operation failed. `status` is a libdladm or libipadm status text such as ``link busy``."""

    def __init__(self, status: str) -> None:
        super().__init__(status)
        self.status = status


class NotEmulated(Exception):
    """The lab does not know this corner of illumos and will not guess; the text says which corner."""


class LinkClass(enum.Enum):
    """Classes as `dladm show-link` prints them [network 1.1]."""

    PHYS = "phys"
    VNIC = "vnic"
    ETHERSTUB = "etherstub"


@dataclass
class Link:
    """One datalink. `zone` is where it is now; the owner of all our links is the global zone [network 3]."""

    name: str
    linkid: int
    klass: LinkClass
    over: str = ""
    mac: str = ""  # unpadded, lower case: 2:8:20:a:b:c
    mac_type: str = "fixed"  # fixed | random
    vid: int = 0
    mtu: int = 1500
    persistent: bool = True  # has an entry in datalink.conf
    active: bool = True  # exists in the kernel; False: persistent entry only, or a ghost name
    ghost: bool = False  # name reserved by a create that was killed half-way [network 8.3]
    zone: str = GLOBAL
    props: dict[str, str] = field(default_factory=dict)  # active values, only those set
    stored_props: dict[str, str] = field(default_factory=dict)  # values in datalink.conf
    holders: set[str] = field(default_factory=set)  # who else holds it open: sniffers, bhyve
    transient: bool = False  # destroyed with its zone instead of returned (OmniOS) [network 2.5]
    created_ns: int = 0  # monotonic: crtime of its kstat [network 6.3]


@dataclass
class Address:
    """One ipadm address object, e.g. ``web1_0/v4``."""

    name: str  # IF/NAME
    kind: str  # static | dhcp | addrconf | from-gz
    address: str  # ADDR/LEN; "" of type dhcp: no lease
    state: str = "ok"
    persistent: bool = True
    active: bool = True
    request_host: str = ""  # of type dhcp: the host name that is sent
    stateless: bool = True  # of type addrconf: listens to routers
    advertised: list[str] = field(default_factory=list)  # of type addrconf: ADDR/LEN from routers' prefixes


@dataclass
class Interface:
    """One IP interface on one stack."""

    name: str
    klass: str = "IP"  # IP | VIRTUAL
    persistent: bool = True
    active: bool = True
    addresses: dict[str, Address] = field(default_factory=dict)
    props: dict[tuple[str, str], str] = field(default_factory=dict)  # (property, ipv4|ipv6) -> active value
    stored_props: dict[tuple[str, str], str] = field(default_factory=dict)


@dataclass(frozen=True)
class Route:
    destination: str  # "default" or a CIDR
    gateway: str
    interface: str
    family: int  # 4 | 6


@dataclass
class Stack:
    """The IP stack of the global zone or of one exclusive-ip zone; dies with its zone's kernel object."""

    zone: str
    interfaces: dict[str, Interface] = field(default_factory=dict)
    routes: list[Route] = field(default_factory=list)
    advertised: list[Route] = field(default_factory=list)  # from routers; written by lab.autoconf only
    props: dict[tuple[str, str], str] = field(default_factory=dict)  # (property, proto) -> active value
    stored_props: dict[tuple[str, str], str] = field(default_factory=dict)
    ipf: IpfStack = field(default_factory=IpfStack)  # managed in the zone, or with -z [services 1.12]
    ipf_of_global: IpfStack = field(default_factory=IpfStack)  # managed from the global zone with -G


class Status(enum.IntEnum):
    """Kernel status of a zone [zones 1.1]."""

    UNINITIALIZED = 0
    INITIALIZED = 1
    READY = 2
    BOOTING = 3
    RUNNING = 4
    SHUTTING_DOWN = 5
    EMPTY = 6
    DOWN = 7
    DYING = 8
    DEAD = 9


@dataclass
class KernelZone:
    """A zone as the kernel knows it: one incarnation, never reused."""

    name: str
    zoneid: int
    brand: str
    exclusive: bool
    zonepath: str
    status: Status = Status.UNINITIALIZED
    pid: int = 0  # the zone's init on the real floor, as seen by the lab server; 0 on paper
    mounted: bool = False


@dataclass
class LinkIndex:
    """What `lab.datalinks` keeps beside `World.links`, so that one change never costs a walk over ten thousand."""

    over: dict[str, dict[str, Link]] = field(default_factory=dict)  # lower link -> active links on it, by name
    macs: dict[tuple[str, str, int], str] = field(default_factory=dict)  # (lower link, MAC, VID) -> link
    loans: dict[str, dict[str, Link]] = field(default_factory=dict)  # zone -> links lent to it, by name
    lines: dict[str, str] = field(default_factory=dict)  # datalink.conf, one line per persistent link
    rewriting: bool = False  # the file is about to be written again


class World:
    """Everything the lab's host knows. Take `lock` for each piece of work; never hold it while a process runs."""

    def __init__(self, root: Path, dialect: Dialect, floor: Floor, channel: Channel, faults: Faults) -> None:
        """`root` is where /etc/zones and friends live: ``/`` inside the namespaces, a temporary folder in-process."""
        self.root = root
        self.dialect = dialect
        self.floor = floor
        self.channel = channel
        self.faults = faults
        self.lock = threading.RLock()
        self.links: dict[str, Link] = {}  # written by lab.datalinks only
        self.link_index = LinkIndex()
        self.kernel_zones: dict[str, KernelZone] = {}
        self.stacks: dict[str, Stack] = {GLOBAL: Stack(GLOBAL, {"lo0": loopback()})}
        self.leases: dict[str, Lease] = {}  # by ticket; written by lab.dhcp only
        self.stop_timeout: float | None = None  # seconds; None: that of svc:/system/zones:default [zones 3.6]
        self._linkid = 0
        self._zoneid = 0
        self._zone_locks: dict[str, threading.RLock] = {}

    def path(self, absolute: str) -> Path:
        """Where the lab keeps the illumos path `absolute`."""
        return self.root / absolute.lstrip("/")

    def new_linkid(self) -> int:
        """Datalink ids only grow within one boot of the host."""
        self._linkid += 1
        return self._linkid

    def new_zoneid(self) -> int:
        """A next-fit allocator over 1..9999 (8191 on OmniOS) [zones 1.1]."""
        top = 8191 if self.dialect is Dialect.OMNIOS else 9999
        used = {zone.zoneid for zone in self.kernel_zones.values()}
        for _ in range(top):
            self._zoneid = self._zoneid % top + 1
            if self._zoneid not in used:
                return self._zoneid
        raise Refused("no free zone id")

    def zone_lock(self, name: str) -> threading.RLock:
        """zoneadmd's lock: held for a whole state change, hooks included [zones 3.12]."""
        with self.lock:
            return self._zone_locks.setdefault(name, threading.RLock())

    def links_of(self, zone: str) -> list[Link]:
        if zone != GLOBAL:
            return list(self.link_index.loans.get(zone, {}).values())
        return [link for link in self.links.values() if link.zone == zone and link.active]


def loopback() -> Interface:
    """lo0 as every stack has it."""
    addresses = {
        "lo0/v4": Address("lo0/v4", "static", "127.0.0.1/8"),
        "lo0/v6": Address("lo0/v6", "static", "::1/128"),
    }
    return Interface("lo0", "VIRTUAL", addresses=addresses)
