"""The grammar of ipnat.conf, as the yacc file accepts it [services 1.5].

A rule ends where the next token cannot continue it; it is handed on at that moment, before a later error is met.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from lab.ipfilter.lexer import Kind, Parser
from lab.ipfilter.model import BOTH, OPERATORS, End, Net, PortTest, net, port_number, protocol_named
from lab.ipfilter.nat_rule import NatRule, PortMap, Proxy
from lab.world import NotEmulated

KEYWORDS = {
    "map", "bimap", "map-block", "rdr", "from", "to", "port", "portmap", "icmpidmap", "range", "ports", "auto", "any",
    "sequential", "proxy", "round-robin", "frag", "age", "mssclamp", "tag", "sticky", "mask", "netmask", "tcp", "udp",
    "tcpudp", *(word for word in OPERATORS if word.isalpha()),
}  # fmt: skip
NAME_MAX = 31  # characters of an interface name; more are cut off silently

Deliver = Callable[[NatRule, int], None]


def parse(text: str, deliver: Deliver) -> None:
    """Each rule goes to `deliver` with the line of the token after it [services 1.14], as soon as it is complete.

    Raises `SyntaxTrouble`; what came before it has been delivered. Raises `NotEmulated`.
    """
    parser = NatParser(text)
    if parser.lexer.blank:
        raise parser.trouble()
    while parser.token.kind is not Kind.END:
        if parser.token.kind is Kind.COMMENT:
            parser.take()
        elif parser.token.word in ("map", "bimap", "map-block", "rdr"):
            rule = parser.rule()
            line = parser.token.line
            if parser.token.text == ";":
                deliver(rule, line)
                parser.take()
            else:
                deliver(rule, line)
        elif parser.token.word in KEYWORDS or not parser.assignment():
            raise parser.trouble()


class NatParser(Parser):
    def rule(self) -> NatRule:
        kind = self.take().text.lower()
        interfaces = self.interfaces()
        if kind == "rdr":
            return self.redirection(interfaces)
        return self.mapping(kind, interfaces)

    def interfaces(self) -> tuple[str, str]:
        first = self.interface()
        return first, self.interface() if self.accept(",") else ""

    def interface(self) -> str:
        if self.token.text in ("*", "-"):
            return self.take().text
        if self.token.word in KEYWORDS or not re.match(r"[A-Za-z_]", self.token.word or "0"):
            raise self.trouble()
        return self.take().text[:NAME_MAX]

    # map, bimap, map-block ----------------------------------------------------------------------------------------

    def mapping(self, kind: str, interfaces: tuple[str, str]) -> NatRule:
        filtered = kind != "map-block" and self.token.word == "from"
        if filtered:
            self.take()
            source = self.end()
            negated = bool(self.accept("!"))
            self.expect("to")
            destination = replace(self.end(), negated=negated)
        else:
            source, destination = self.plain(), End()
        self.expect("->")
        ranged = kind != "map-block" and bool(self.accept("range"))
        targets = self.range() if ranged else (self.address() or Net(4, 0, 0),)
        rule = NatRule(kind, interfaces, source, destination, targets, filtered, ranged)
        rule = self.block(rule) if kind == "map-block" else self.portmap(rule)
        rule = self.options(rule, ("round-robin", "frag", "age", "mssclamp", "tag"))
        rule = self.trailing_protocol(rule)
        self.check_families(rule)
        return rule

    def range(self) -> tuple[Net, Net]:
        first = self.host()
        self.expect("-")
        return first, self.host()

    def block(self, rule: NatRule) -> NatRule:
        if not self.accept("ports"):
            return rule
        return replace(rule, block_ports=0 if self.accept("auto") else self.number(0xFFFF))

    def portmap(self, rule: NatRule) -> NatRule:
        if self.accept("proxy"):
            self.expect("port")
            port = self.port()
            name = self.name()
            self.expect("/")
            return replace(rule, proxy=Proxy(name, port, self.protocol()))
        if self.accept("icmpidmap"):
            self.expect("icmp")
            return replace(rule, portmap=self.between("icmp"))
        if not self.accept("portmap"):
            return rule
        if self.token.word not in ("tcp", "udp", "tcpudp"):
            raise self.trouble()
        protocol = self.protocol()
        portmap = PortMap(protocol, auto=True) if self.accept("auto") else self.between(protocol)
        return replace(rule, portmap=replace(portmap, sequential=bool(self.accept("sequential"))))

    def between(self, protocol: str) -> PortMap:
        low = self.port(protocol)
        self.expect(":")
        return PortMap(protocol, low, self.port(protocol))

    # rdr ----------------------------------------------------------------------------------------------------------

    def redirection(self, interfaces: tuple[str, str]) -> NatRule:
        negated = bool(self.accept("!"))
        filtered = negated or self.token.word == "from"
        ports = None
        source = End()
        if filtered:
            self.expect("from")
            source = replace(self.end(), negated=negated)
            self.expect("to")
            destination = self.end()
        else:
            destination = self.plain()
            if self.accept("port"):
                low = self.port()
                ports = (low, self.port() if self.accept("-", ":") else low)
        self.expect("->")
        targets = self.redirection_targets()
        rule = NatRule("rdr", interfaces, source, destination, targets, filtered, ports=ports)
        if filtered or ports is not None:
            self.expect("port")
            fixed = bool(self.accept("="))
            rule = replace(rule, to_port=self.port(), fixed=fixed, protocol="tcp")
        if self.is_protocol():
            rule = replace(rule, protocol=self.protocol())
        rule = self.options(rule, ("round-robin", "frag", "age", "sticky", "mssclamp", "proxy", "tag"))
        self.check_families(rule)
        return rule

    def redirection_targets(self) -> tuple[Net, ...]:
        if self.token.text == "0":
            target = self.address()
            assert target is not None
            return (target,)
        first = self.host()
        if self.token.text == "/":
            self.take()
            raise self.trouble("Invalid mask for dip")
        return (first, self.host()) if self.accept(",") else (first,)

    # options ------------------------------------------------------------------------------------------------------

    def options(self, rule: NatRule, order: tuple[str, ...]) -> NatRule:
        """Each at most once, and in this order only."""
        found: dict[str, Any] = {}
        for option in order:
            if not self.accept(option):
                continue
            match option:
                case "age":
                    first = self.number()
                    found["age"] = (first, self.number() if self.accept("/") else first)
                case "mssclamp":
                    found["mssclamp"] = self.number(0xFFFF)
                case "tag":
                    found["tag"] = self.name()
                case "proxy":
                    found["proxy"] = Proxy(self.name())
                case _:
                    found[option.replace("-", "_")] = True
        return replace(rule, **found)

    def trailing_protocol(self, rule: NatRule) -> NatRule:
        """Any word that is no keyword is taken for one, also the first of the next line [services 1.5]."""
        if not self.is_protocol():
            return rule
        token = self.token
        protocol = self.protocol()
        if rule.portmap is not None or rule.proxy is not None:
            raise self.trouble("protocol set twice", token)
        return replace(rule, protocol=protocol)

    def is_protocol(self) -> bool:
        word = self.token.word
        return bool(word) and (word not in KEYWORDS or word in ("tcp", "udp", "tcpudp"))

    def protocol(self) -> str:
        if not self.is_protocol():
            raise self.trouble()
        word = self.take().text.lower()
        if word == "tcp" and self.token.text == "/":
            self.take()
            self.expect("udp")
            return BOTH
        return BOTH if word == "tcpudp" else protocol_named(word)

    def name(self) -> str:
        if not self.token.word or self.token.word in KEYWORDS:
            raise self.trouble()
        return self.take().text

    # addresses and ports ------------------------------------------------------------------------------------------

    def end(self) -> End:
        where = self.address()
        if where is not None and where.everything:
            where = None
        return End(where, ports=self.port_test() if self.accept("port") else None)

    def port_test(self) -> PortTest:
        if self.token.text.lower() in OPERATORS:
            return PortTest(OPERATORS[self.take().text.lower()], self.port())
        low = self.port()
        if self.token.text not in ("<>", "><"):
            raise self.trouble()
        return PortTest(self.take().text, low, self.port())

    def port(self, protocol: str = "") -> int:
        if not self.token.word or self.token.word in KEYWORDS:
            raise self.trouble()
        number = port_number(self.token.text, protocol)
        if number is None:
            raise self.trouble("unknown service")
        if number > 0xFFFF:
            raise self.trouble("invalid port number")
        self.take()
        return number

    def plain(self) -> End:
        where = self.address()
        return End(None if where is not None and where.everything else where)

    def address(self) -> Net | None:
        """None: any."""
        if self.accept("any"):
            return None
        if self.token.text == "0":
            self.take()
            self.expect("/")
            if self.token.text not in ("0", "32"):
                raise self.trouble()
            return net(4, 0, int(self.take().text))
        where = self.host()
        if self.accept("/"):
            return self.masked(where, lengths=True)
        if self.accept("mask", "netmask"):
            return self.masked(where, lengths=False)
        return where

    def masked(self, where: Net, lengths: bool) -> Net:
        text = self.token.text
        if lengths and text.isdigit():
            if int(text) > 128:
                raise NotEmulated(f"the mask /{text} [services 1.4]")
            return net(where.version, where.address, int(self.take().text))
        try:
            mask = int(text, 16) if text.lower().startswith("0x") else int(ipaddress.IPv4Address(text))
        except ValueError:
            raise self.trouble() from None
        if where.version != 4 or mask >= 1 << 32:
            raise self.trouble()
        self.take()
        return Net(4, where.address & mask, mask)

    def host(self) -> Net:
        text = self.token.text
        try:
            parsed = ipaddress.ip_address(text)
        except ValueError:
            if self.token.word and self.token.word not in KEYWORDS and text[0].isalpha():
                raise NotEmulated(f"the host name {text!r} in a rule [services 1.5]") from None
            raise self.trouble() from None
        self.take()
        return net(parsed.version, int(parsed), 32 if parsed.version == 4 else 128)

    def check_families(self, rule: NatRule) -> None:
        nets = [rule.source.net, rule.destination.net, *rule.targets]
        if len({each.version for each in nets if each is not None}) > 1:
            raise self.trouble("1.address family mismatch")
