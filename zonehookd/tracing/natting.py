"""What the NAT rules of a stack make of a packet: rules as `ipnat -lR` prints them, whoever loaded them. Pure.

Outbound the longest source prefix comes first, inbound the longest destination prefix, then load order (services sheet
1.7). A rule in a form that is not known here is said, and never guessed at.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_network
from typing import Literal

from zonehookd.model.network import Cidr, Ip

Protocol = Literal["icmp", "tcp", "udp"]
_ADDR = r"[0-9a-fA-F:.]+/[0-9]+|any"
_MAP = re.compile(
    rf"map (?P<link>\S+) (?:(?P<source>{_ADDR})|from (?P<from>{_ADDR}) (?P<unless>! )?to (?P<to>{_ADDR}))"
    r" -> (?P<target>[0-9a-fA-F:.]+/[0-9]+)(?: portmap (?P<protocol>tcp/udp|tcp|udp) (?P<range>\S+))?"
)
_BIMAP = re.compile(rf"bimap (?P<link>\S+) (?P<inside>{_ADDR}) -> (?P<outside>{_ADDR})")
_RDR = re.compile(
    rf"rdr (?P<link>\S+) (?:(?P<dest>{_ADDR})|from (?P<from>{_ADDR}) to (?P<to>{_ADDR}))"
    r"(?: port (?:= )?(?P<first>\d+)(?:-(?P<last>\d+))?)? -> (?P<inside>[0-9a-fA-F:.]+)"
    r"(?: port (?P<fixed>= )?(?P<port>\d+))? (?P<protocol>tcp/udp|tcp|udp|ip)"
)


@dataclass(frozen=True, slots=True)
class Packet:
    """`port`: where it goes to; 0 for ICMP."""

    src: Ip
    dst: Ip
    protocol: Protocol = "icmp"
    port: int = 0

    @property
    def reply(self) -> Packet:
        """What comes back, to a port that no rule is about."""
        return replace(self, src=self.dst, dst=self.src, port=0)

    def __str__(self) -> str:
        port = f" port {self.port}/{self.protocol}" if self.port else ""
        return f"{self.src} → {self.dst}{port}"


@dataclass(frozen=True, slots=True)
class Rule:
    """`source`, `to`: what it is about; `inverse`: to all but that. `target` None: the interface's own address."""

    kind: Literal["map", "bimap", "rdr"]
    link: str
    text: str
    source: Cidr | None = None
    to: Cidr | None = None
    inverse: bool = False
    target: Cidr | None = None
    protocols: frozenset[str] = frozenset()  # none: all
    ports: tuple[int, int] = (0, 0)  # none: all
    to_port: int = 0
    fixed: bool = False

    def takes(self, packet: Packet) -> bool:
        if self.protocols and packet.protocol not in self.protocols:
            return False
        if self.ports != (0, 0) and not self.ports[0] <= packet.port <= self.ports[1]:
            return False
        return _within(packet.src, self.source) and _within(packet.dst, self.to) is not self.inverse


@dataclass(frozen=True, slots=True)
class Done:
    """What a rule has made of a packet, or why that is not known."""

    rule: str
    packet: Packet
    unknown: str = ""


def parse(text: str) -> Rule | None:
    """None: a form that is not known here."""
    if found := _MAP.fullmatch(text):
        source = found["source"] or found["from"]
        target = ip_network(found["target"])
        return Rule(
            "map",
            found["link"],
            text,
            _range(source),
            _range(found["to"]),
            inverse=bool(found["unless"]),
            target=None if str(target) == "0.0.0.0/32" else target,
            protocols=_protocols(found["protocol"]),
        )
    if found := _BIMAP.fullmatch(text):
        return Rule("bimap", found["link"], text, _range(found["inside"]), target=ip_network(found["outside"]))
    if found := _RDR.fullmatch(text):
        first = int(found["first"] or 0)
        return Rule(
            "rdr",
            found["link"],
            text,
            _range(found["from"]),
            _range(found["dest"] or found["to"]),
            target=ip_network(found["inside"]),
            protocols=_protocols("" if found["protocol"] == "ip" else found["protocol"]),
            ports=(first, int(found["last"] or first)),
            to_port=int(found["port"] or 0),
            fixed=bool(found["fixed"]),
        )
    return None


def leaving(rules: Iterable[str], link: str, packet: Packet, own: Sequence[Ip]) -> Done | None:
    """What becomes of a packet that leaves by `link`; None: no rule is about it. `own`: addresses of that interface."""
    known, odd = _about(rules, link)
    fitting = [each for each in known if each.kind != "rdr" and each.takes(packet)]
    if not fitting:
        return Done(odd[0], packet, "a rule in a form not known here") if odd else None
    rule = max(fitting, key=lambda each: each.source.prefixlen if each.source else 0)  # the first of the longest
    shown = next((each for each in own if each.version == packet.src.version), None)
    if rule.target is not None:
        if rule.target.prefixlen == 0:
            return Done(rule.text, packet)  # leaves the address alone
        shown = rule.target.network_address
    if shown is None:
        return Done(rule.text, packet, f"{link} has no address to show")
    return Done(rule.text, replace(packet, src=shown))


def arriving(rules: Iterable[str], link: str, packet: Packet) -> Done | None:
    """What becomes of a packet that arrives on `link`; None: no rule is about it."""
    known, odd = _about(rules, link)
    fitting: list[tuple[int, Rule]] = []
    for each in known:
        if each.kind == "rdr" and each.takes(packet):
            fitting.append((each.to.prefixlen if each.to else 0, each))
        elif each.kind == "bimap" and each.target is not None and _within(packet.dst, each.target):
            fitting.append((each.target.prefixlen, each))
    if not fitting:
        redirects = [text for text in odd if not text.startswith("map ")]
        return Done(redirects[0], packet, "a rule in a form not known here") if redirects else None
    rule = max(fitting, key=lambda pair: pair[0])[1]
    inside = rule.source if rule.kind == "bimap" else rule.target
    assert inside is not None
    port = packet.port
    if rule.to_port:
        port = rule.to_port if rule.fixed else rule.to_port + packet.port - rule.ports[0]
    return Done(rule.text, replace(packet, dst=inside.network_address, port=port))


def _about(rules: Iterable[str], link: str) -> tuple[list[Rule], list[str]]:
    known, odd = [], []
    for text in rules:
        rule = parse(text)
        if rule is None:
            words = text.split()
            if len(words) > 1 and link in words[1].split(","):
                odd.append(text)
        elif rule.link == link:
            known.append(rule)
    return known, odd


def _within(address: Ip, cidr: Cidr | None) -> bool:
    return cidr is None or (address.version == cidr.version and address in cidr)


def _range(text: str | None) -> Cidr | None:
    return None if text in (None, "any") else ip_network(str(text), strict=False)


def _protocols(text: str | None) -> frozenset[str]:
    return frozenset((text or "").split("/")) - {""}
