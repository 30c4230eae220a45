"""ipnat: the NAT rules of a stack (services sheet 1). Rules are texts, exactly as `ipnat -lR` prints them (1.6).

So what is wanted, what is loaded and what the file holds are compared as text. ipnat exits 0 when the kernel refuses a
rule (1.4): a change has worked when stderr is empty. Every rule ends with `;`, because a newline ends nothing (1.5).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Literal

from zonehookd.errors import CannotObserve
from zonehookd.illumos.linkname import legal
from zonehookd.illumos.zlogin import GLOBAL, judged, must_succeed
from zonehookd.model.command import Change, Query, Reply, Verdict

Ip = IPv4Address | IPv6Address
Cidr = IPv4Network | IPv6Network
Protocol = Literal["tcp", "udp", "tcp/udp"]

PORT_MAX = 65535
PORTS_BY_SOURCE_MAX = 128  # a rule per port and source, and every new rule is compared with all others (1.11)
_RULES = "List of active MAP/Redirect filters:"
_NOT_ENABLED = "ioctl(SIOCGNATS): I/O error"
_IS_LOADED = "File exists"
_IS_NOT_LOADED = "No such process"
_OWN_ADDRESS = "0.0.0.0/32"  # whatever address the interface has at the moment (1.5)


@dataclass(frozen=True, slots=True)
class MapRule:
    """Packets from `source` that leave through `interface` show `target`; None: the interface's own address, IPv4 only.

    `portmap`: "" (addresses only), "auto" or "10000:60000"; with it the rule is for `protocol` alone, so a plain rule
    must follow for ICMP and the rest (1.7). `to` limits it to a destination, `unless_to` to all but one. An IPv4
    `target` of 0.0.0.0/0 leaves the address alone. Raises ValueError.
    """

    interface: str
    source: Cidr
    target: Ip | Cidr | None = None
    portmap: str = ""
    protocol: Protocol = "tcp/udp"
    to: Cidr | None = None
    unless_to: Cidr | None = None

    def __post_init__(self) -> None:
        _check_interface(self.interface)
        _one_family(self.source, self.target, self.to, self.unless_to)
        if self.target is None and self.source.version == 6:
            raise ValueError(f"{self.source}: an IPv6 map needs the address it shows; 0/32 is IPv4's word")
        if self.to is not None and self.unless_to is not None:
            raise ValueError(f"{self.source}: a map has one destination, to {self.to} or not to {self.unless_to}")
        if self.portmap not in ("", "auto"):
            first, _, last = self.portmap.partition(":")
            if not (first.isdecimal() and last.isdecimal()):
                raise ValueError(f"portmap {self.portmap!r} is neither auto nor FIRST:LAST")
            _check_ports(int(first), int(last))

    @property
    def texts(self) -> tuple[str, ...]:
        match = str(self.source)
        if self.to is not None:
            match = f"from {_object(self.source)} to {_object(self.to)}"
        elif self.unless_to is not None:
            match = f"from {_object(self.source)} ! to {_object(self.unless_to)}"
        target = _OWN_ADDRESS if self.target is None else str(ipaddress.ip_network(self.target))
        ports = f" portmap {self.protocol} {self.portmap}" if self.portmap else ""
        return (f"map {self.interface} {match} -> {target}{ports}",)


@dataclass(frozen=True, slots=True)
class BimapRule:
    """One to one: what `inside` sends shows `outside`, what comes for `outside` reaches `inside`. Raises ValueError."""

    interface: str
    inside: Ip
    outside: Ip

    def __post_init__(self) -> None:
        _check_interface(self.interface)
        _one_family(self.inside, self.outside)

    @property
    def texts(self) -> tuple[str, ...]:
        inside, outside = ipaddress.ip_network(self.inside), ipaddress.ip_network(self.outside)
        return (f"bimap {self.interface} {inside} -> {outside}",)


@dataclass(frozen=True, slots=True)
class RdrRule:
    """What arrives on `interface` for `outside`, ports `first` to `last`, goes to `inside`, port `inside_port` and up.

    `fixed`: all to the one port. With `sources` only what comes from there: ipnat's from/to form compares with one port
    (1.5), so it becomes a rule for each source and port, at most PORTS_BY_SOURCE_MAX. Raises ValueError.
    """

    interface: str
    outside: Ip
    first: int
    last: int
    inside: Ip
    inside_port: int
    protocol: Protocol = "tcp"
    fixed: bool = False
    sources: tuple[Cidr, ...] = ()

    def __post_init__(self) -> None:
        _check_interface(self.interface)
        _one_family(self.outside, self.inside, *self.sources)
        _check_ports(self.first, self.last)
        length = self.last - self.first
        _check_ports(self.inside_port, self.inside_port if self.fixed else self.inside_port + length)
        if self.sources and (length + 1) * len(self.sources) > PORTS_BY_SOURCE_MAX:
            raise ValueError(
                f"ports {self.first}-{self.last} from {len(self.sources)} sources are more than "
                f"{PORTS_BY_SOURCE_MAX} rules: fewer ports, or no sources"
            )

    @property
    def texts(self) -> tuple[str, ...]:
        outside = ipaddress.ip_network(self.outside)
        if self.sources:
            return tuple(
                f"rdr {self.interface} from {_object(source)} to {outside} port = {port} -> {self.inside} "
                f"port {self.inside_port if self.fixed else self.inside_port + port - self.first} {self.protocol}"
                for source in self.sources
                for port in range(self.first, self.last + 1)
            )
        single = self.first == self.last
        ports = str(self.first) if single else f"{self.first}-{self.last}"
        equals = "= " if self.fixed and not single else ""  # without it the offset in the range is added
        target = f"{self.inside} port {equals}{self.inside_port} {self.protocol}"
        return (f"rdr {self.interface} {outside} port {ports} -> {target}",)


Rule = MapRule | BimapRule | RdrRule


def texts(rules: Iterable[Rule | str]) -> tuple[str, ...]:
    """The canonical lines of `rules`, in order, each once: the kernel refuses an identical one (1.7)."""
    lines = [(rule,) if isinstance(rule, str) else rule.texts for rule in rules]
    return tuple(dict.fromkeys(line for each in lines for line in each))


def canonical_file(rules: Iterable[Rule | str]) -> str:
    """Lines for ipnat.conf. Empty for no rules; a file of blank lines only is a syntax error, of comments not (1.5)."""
    return "".join(f"{line};\n" for line in texts(rules))


# -- looking ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Loaded:
    """`rules` in load order, which decides among rules of the same prefix length (1.7). Not `enabled`: there are none,
    and none can be loaded before `ipf -E`."""

    enabled: bool
    rules: tuple[str, ...] = ()


def loaded(where: str = GLOBAL) -> Query[Loaded]:
    """The rules in the kernel. -R: without it names are looked up, which may hang (trap 16)."""
    argv = ("ipnat", "-lR", *_zone(where))

    def parse(reply: Reply) -> Loaded:
        if reply.status != 0 and _NOT_ENABLED in reply.stderr:
            return Loaded(enabled=False)
        must_succeed(where, argv, reply)
        before, header, rest = reply.stdout.partition(_RULES)
        if not header or before.strip():
            raise CannotObserve(f'"{" ".join(argv)}" printed no list of rules: {reply.stdout[:80]!r} {reply.stderr!r}')
        lines = []
        for line in rest.splitlines()[1:]:
            if not line.strip():
                break
            lines.append(line.rstrip())
        return Loaded(enabled=True, rules=tuple(lines))

    return Query(argv, parse)


# -- changing --------------------------------------------------------------------------------------------------------


def add(where: str, rules: Sequence[Rule | str], *, why: str) -> Change:
    """Append rules to those loaded; sessions go on. One that is loaded already is as it should be.

    The kernel takes rule by rule: when one is refused the others are loaded, and the next look finds out (1.5).
    """
    argv = ("ipnat", *_zone(where), "-f", "-")
    return Change(argv, why, stdin=canonical_file(rules), silent=True, judge=_judge(where, _IS_LOADED))


def remove(where: str, rules: Sequence[Rule | str], *, why: str) -> Change:
    """Take rules out. Their sessions live on until they end (1.7). One that is not loaded is as it should be."""
    argv = ("ipnat", *_zone(where), "-r", "-f", "-")
    return Change(argv, why, stdin=canonical_file(rules), silent=True, judge=_judge(where, _IS_NOT_LOADED))


def _judge(where: str, harmless: str) -> Callable[[int, str], Verdict]:
    """Status 0 says nothing, each line of stderr is a rule refused (1.14). A wrong rule or no permission stays so."""

    def verdict(status: int, stderr: str) -> Verdict:
        refused = [line for line in stderr.splitlines() if not line.rstrip().endswith(harmless)]
        if status == 0 and not refused:
            return Verdict(again=False, done=True)
        wrong = any("error at" in line or "Permission denied" in line or "Usage:" in line for line in refused)
        return Verdict(again=not wrong)

    return judged(where, verdict)


def _zone(where: str) -> tuple[str, ...]:
    return () if where == GLOBAL else ("-z", where)


# -- checks that ipnat leaves out, or makes too late (1.4, 1.5) --------------------------------------------------------


def _check_interface(name: str) -> None:
    if not legal(name):  # such a name ends in a digit, so it is none of ipnat's keywords
        raise ValueError(f"{name!r} is not the name of an IP interface over a datalink")


def _one_family(*addresses: Ip | Cidr | None) -> None:
    given = [address for address in addresses if address is not None]
    if len({address.version for address in given}) > 1:
        raise ValueError(f"IPv4 and IPv6 in one rule: {', '.join(str(address) for address in given)}")


def _check_ports(first: int, last: int) -> None:
    if not 1 <= first <= last <= PORT_MAX:
        raise ValueError(f"ports {first} to {last}: not in order, or not within 1 to {PORT_MAX}")


def _object(network: Cidr) -> str:
    """In the from/to form `any` is printed for the whole (1.6)."""
    return "any" if network.prefixlen == 0 else str(network)
