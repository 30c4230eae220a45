"""One NAT rule, and the form in which `ipnat -l` prints it [services 1.6]."""

from __future__ import annotations

from dataclasses import dataclass

from lab.ipfilter.model import ANY_PROTOCOL, BOTH, End, Net, dotted, port_name

PROXIES = ("ftp", "irc", "rpcbind", "h323", "raudio", "ipsec", "netbios", "rcmd")  # [services 1.5]


@dataclass(frozen=True)
class PortMap:
    """``portmap PROTO LOW:HIGH`` or ``icmpidmap icmp LOW:HIGH``; `auto` leaves both at 0."""

    protocol: str
    low: int = 0
    high: int = 0
    auto: bool = False
    sequential: bool = False


@dataclass(frozen=True)
class Proxy:
    """``proxy port PORT NAME/PROTO`` of a map rule; of an rdr rule only the name."""

    name: str
    port: int = 0
    protocol: str = ""


@dataclass(frozen=True)
class NatRule:
    """Equal rules are one rule to the kernel [services 1.7].

    In the plain form of map and bimap only `source` counts, in that of rdr only `destination`. `targets` is one network
    of a map, the first and the last address of its range (`ranged`), or the one or two hosts of an rdr.
    """

    kind: str  # map | bimap | map-block | rdr
    interfaces: tuple[str, str]  # the second is "" when there is one only
    source: End
    destination: End
    targets: tuple[Net, ...]
    filtered: bool = False  # the from/to form
    ranged: bool = False
    protocol: str = ANY_PROTOCOL
    portmap: PortMap | None = None
    proxy: Proxy | None = None
    block_ports: int | None = None  # of map-block; 0: auto
    ports: tuple[int, int] | None = None  # of rdr's plain form, both included
    to_port: int | None = None  # of rdr
    fixed: bool = False  # ``port =``: no offset within a range
    round_robin: bool = False
    frag: bool = False
    age: tuple[int, int] | None = None
    sticky: bool = False
    mssclamp: int = 0
    tag: str = ""

    @property
    def version(self) -> int:
        """4 or 6."""
        nets = (self.source.net, self.destination.net, *self.targets)
        return next((net.version for net in nets if net is not None), 4)

    @property
    def inbound(self) -> bool:
        """It has a part that acts on arriving packets."""
        return self.kind in ("rdr", "bimap")

    @property
    def outbound(self) -> bool:
        return self.kind != "rdr"

    def text(self, numeric: bool = False) -> str:
        """In file syntax. `numeric`: ports by number [services 1.6]."""
        names = ",".join(name for name in self.interfaces if name)
        gap = "  " if self.interfaces[1] else " "
        protocol = self.portmap.protocol if self.portmap else self.protocol
        match = self._match(protocol, numeric)
        act = self._redirection() if self.kind == "rdr" else self._mapping(numeric)
        return f"{self.kind} {names}{gap}{match} -> {act}"

    def _match(self, protocol: str, numeric: bool) -> str:
        if self.filtered:
            first, second = ("! " if self.source.negated else ""), ("! " if self.destination.negated else "")
            source, destination = self.source.text(protocol, numeric), self.destination.text(protocol, numeric)
            return f"{first}from {source} {second}to {destination}"
        end = self.destination if self.kind == "rdr" else self.source
        everything = "::/0" if self.version == 6 else "0.0.0.0/0"
        where = everything if end.net is None else str(end.net)
        if self.ports is None:
            return where
        low, high = self.ports
        return f"{where} port {low}" + (f"-{high}" if high != low else "")

    def _redirection(self) -> str:
        text = ",".join(target.host for target in self.targets)
        if self.to_port is not None:
            text += f" port {'= ' if self.fixed else ''}{self.to_port}"
        text += f" {self.protocol}"
        if self.round_robin:
            text += " round-robin"
        text += self._frag_and_age()
        if self.sticky:
            text += " sticky"
        text += self._clamp()
        if self.proxy is not None:
            text += f" proxy {self.proxy.name}"
        return text + self._tag()

    def _mapping(self, numeric: bool) -> str:
        first = self.targets[0]
        text = f"range {first.host}-{self.targets[1].host}" if self.ranged else str(first)
        if self.proxy is not None:
            port = str(self.proxy.port) if numeric else port_name(self.proxy.port, self.proxy.protocol)
            text += f" proxy port {port} {self.proxy.name}/{self.proxy.protocol}"
        elif self.block_ports is not None:
            text += " ports " + (str(self.block_ports) if self.block_ports else "auto")
        elif self.portmap is not None:
            text += f" {'icmpidmap' if self.portmap.protocol == 'icmp' else 'portmap'} {self.portmap.protocol}"
            text += " auto" if self.portmap.auto else f" {self.portmap.low}:{self.portmap.high}"
            if self.portmap.sequential:
                text += " sequential"
        if self.protocol != ANY_PROTOCOL:
            text += f" {self.protocol}"
        if self.round_robin:
            text += " round-robin"
        return text + self._frag_and_age() + self._clamp() + self._tag()

    def _frag_and_age(self) -> str:
        return (" frag" if self.frag else "") + (f" age {self.age[0]}/{self.age[1]}" if self.age else "")

    def _clamp(self) -> str:
        return f" mssclamp {self.mssclamp}" if self.mssclamp else ""

    def _tag(self) -> str:
        return f" tag {self.tag}" if self.tag else ""


def carries_ports(protocol: str) -> bool:
    return protocol in ("tcp", "udp", BOTH)


def hosts(target: Net) -> tuple[str, str]:
    """The first and last address that a map gives out of `target`: the network's own and the broadcast one stay."""
    return dotted(target.address + 1, target.version), dotted(target.last - 1, target.version)


def refusal(rule: NatRule) -> str:
    """What the kernel says against `rule`, as errno text; "" if nothing [services 1.4]."""
    portmap = rule.portmap
    if portmap is not None and not portmap.auto and portmap.low > portmap.high:
        return "Invalid argument"
    if rule.proxy is not None and rule.proxy.name not in PROXIES:
        return "No such file or directory"
    return ""
