"""A zone as the survey found it: what `zoneadm list` says of its state, and what its XML says of its network."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Interface, IPv6Interface

Address = IPv4Interface | IPv6Interface
DEPENDS = "zh.depends"  # attribute of a zone: ``no`` lets its gateway go without asking after it
NO = ("", "no", "false", "off", "0")  # how an attribute says no


class ZoneState(enum.StrEnum):
    """The admin states of illumos (zones sheet 1.1), and two of ours at the ends."""

    ABSENT = "absent"  # ours: not in /etc/zones/index, seen twice
    CONFIGURED = "configured"
    INCOMPLETE = "incomplete"
    INSTALLED = "installed"
    READY = "ready"
    RUNNING = "running"
    SHUTTING_DOWN = "shutting_down"
    DOWN = "down"
    MOUNTED = "mounted"
    UNKNOWN = "unknown"  # ours: in the index, but not listed; or a word we do not know

    @property
    def in_kernel(self) -> bool:
        """The zone has a kernel object now, so its links may be inside it."""
        return self in _IN_KERNEL


_IN_KERNEL = frozenset(
    {ZoneState.READY, ZoneState.RUNNING, ZoneState.SHUTTING_DOWN, ZoneState.DOWN, ZoneState.MOUNTED, ZoneState.UNKNOWN}
)


@dataclass(frozen=True, slots=True)
class Nic:
    """One link a zone's configuration names. Several `net` resources with one `physical` are one NIC (sheet 4.5)."""

    link: str
    index: int  # position among the zone's links, in document order
    addresses: tuple[Address, ...] = ()  # allowed-address, LX ips, or a shared-ip zone's address
    enforced: bool = False  # addresses come from allowed-address: zoneadmd sets the protection
    global_nic: str = ""  # OmniOS: make the VNIC on demand over this link
    mac: str = ""  # padded, lower case
    vlan: int = 0
    malformed: tuple[str, ...] = ()  # addresses that are none
    router: str = ""  # defrouter: the default route that zoneadmd hands in with the addresses


@dataclass(frozen=True, slots=True)
class ZoneConfig:
    """The part of /etc/zones/NAME.xml that we use (sheet 4.8)."""

    brand: str
    exclusive: bool
    nics: tuple[Nic, ...]
    attrs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Zone:
    """`config` is None when the file could not be read: `trouble` says why, and nothing is planned for the zone.

    `vanished`: its configuration was deleted while other zones depend on it; it is in trouble, and keeps what it has.
    """

    name: str
    state: ZoneState
    zoneid: int | None = None
    uuid: str = ""
    zonepath: str = ""
    config: ZoneConfig | None = None
    trouble: str = ""
    vanished: bool = False

    @property
    def absent(self) -> bool:
        return self.state is ZoneState.ABSENT

    @property
    def unread(self) -> bool:
        """It is in the index, and nobody can say where it is attached. Who is in our books alone has no path."""
        return self.config is None and bool(self.trouble and self.zonepath) and not self.vanished

    @property
    def damaged(self) -> bool:
        """It is in the index, and neither we nor zoneadm read its file: zoneadm leaves it out (zones sheet 3.3)."""
        return self.unread and self.state is ZoneState.UNKNOWN

    @property
    def depends(self) -> bool:
        """It counts among those who depend on their gateway. One that cannot be read does, until it is read."""
        said = self.config.attrs.get(DEPENDS, "") if self.config else ""
        return not self.absent and (not said or said.strip().lower() not in NO)
