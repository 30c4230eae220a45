"""The grammar of ipf.conf, as far as the lab goes [services 1.9]. What it knows and does not do is `NotEmulated`.

Almost everything is optional: a rule ends where the next token cannot continue it, and is handed on at that moment.
"""

from __future__ import annotations

import ipaddress
import itertools
from collections.abc import Callable
from dataclasses import replace

from lab.ipfilter.filter_rule import ICMP_TYPES, TCP_FLAGS, FilterRule
from lab.ipfilter.lexer import Kind, Parser, Token
from lab.ipfilter.model import (
    BOTH,
    OPERATORS,
    UNKNOWN_PROTOCOL,
    End,
    Net,
    PortTest,
    net,
    port_number,
    protocol_named,
)
from lab.world import NotEmulated

NAME_MAX = 31  # characters of an interface name
GROUP_MAX = 15
_ACTIONS = ("pass", "block", "log", "count", "skip", "auth", "preauth", "call")
_ELSEWHERE = {
    "tos", "ttl", "with", "settag", "pps", "dup-to", "route-to", "fastroute", "reply-to",
}  # fmt: skip
_KEYWORDS = {
    "in", "out", "on", "quick", "proto", "all", "from", "to", "any", "port", "flags", "icmp-type", "keep", "state",
    "frags", "head", "group", "body", "first", "or-block", "level", "mask", "netmask", *_ELSEWHERE,
}  # fmt: skip
ICMP_CODES = {
    "net-unr": 0, "host-unr": 1, "proto-unr": 2, "port-unr": 3, "needfrag": 4, "srcfail": 5, "net-unk": 6,
    "host-unk": 7, "isolate": 8, "net-prohib": 9, "host-prohib": 10, "net-tos": 11, "host-tos": 12, "filter-prohib": 13,
}  # fmt: skip

Deliver = Callable[[FilterRule, int, int | None], None]


def parse(text: str, version: int, deliver: Deliver) -> None:
    """Each rule goes to `deliver` with the line of the token after it and its ``@N``, as soon as it is complete.

    Raises `SyntaxTrouble`; what came before it has been delivered. Raises `NotEmulated`.
    """
    parser = FilterParser(text, version)
    if parser.lexer.blank:
        raise NotEmulated("a rule file of blank lines for ipf [services 1.9]")
    while parser.token.kind is not Kind.END:
        if parser.token.kind is Kind.COMMENT:
            parser.take()
        elif parser.token.text == "@" or parser.token.word in _ACTIONS:
            parser.rule(deliver)
        elif parser.token.word == "set":
            raise NotEmulated("intercept_loopback [services 1.9]")
        elif parser.token.text[:1].isdigit():
            raise NotEmulated("a rule with a collection number [services 1.9]")
        elif parser.token.word in _KEYWORDS or not parser.assignment():
            raise parser.trouble()


class FilterParser(Parser):
    def __init__(self, text: str, version: int) -> None:
        super().__init__(text)
        self.version = version

    def rule(self, deliver: Deliver) -> None:
        at = self.number() if self.accept("@") else None
        if self.token.text.isdigit():
            raise NotEmulated("a rule with a collection number [services 1.9]")
        rule = self.options(self.action())
        if self.accept("proto"):
            rule = replace(rule, protocol=self.protocol())
        rules = self.ends(rule)
        rules = [self.tail(rule) for rule in rules[:1]] + rules[1:]
        tail = rules[0]
        kept = ("flags", "icmp_type", "icmp_code", "keep_state", "keep_frags", "head", "group")
        same = {name: getattr(tail, name) for name in kept}
        line = self.token.line
        for each in rules:
            deliver(replace(each, **same), line, at)
        self.accept(";")

    def action(self) -> FilterRule:
        action = self.take().word
        if action not in ("pass", "block"):
            raise NotEmulated(f"the action {action!r} [services 1.9]") if action in _ACTIONS else self.trouble()
        answer, code = "", None
        if action == "block":
            if self.token.word == "return-icmp-as-dest":
                raise NotEmulated("return-icmp-as-dest [services 1.9]")
            answer = self.accept("return-rst", "return-icmp")
            if answer == "return-icmp" and self.accept("("):
                code = self.icmp_code()
                self.expect(")")
        direction = self.expect("in", "out")
        return FilterRule(self.version, action, direction, answer, code)

    def icmp_code(self) -> int:
        if self.token.word in ICMP_CODES:
            return ICMP_CODES[self.take().word]
        return self.number(255)

    def options(self, rule: FilterRule) -> FilterRule:
        """In any order, each at most once."""
        seen: set[str] = set()
        while (word := self.token.word) in ("log", "quick", "on") and word not in seen:
            seen.add(word)
            self.take()
            match word:
                case "log":
                    rule = replace(rule, log=self.log())
                case "quick":
                    rule = replace(rule, quick=True)
                case _:
                    rule = replace(rule, interface=self.interface())
        self.refuse_the_rest()
        return rule

    def log(self) -> str:
        words = ["log"]
        for word in ("body", "first", "or-block"):
            if self.accept(word):
                words.append(word)
        if self.accept("level"):
            level = self.take().text
            if self.accept("."):
                level += f".{self.take().text}"
            words.append(f"level {level}")
        return " ".join(words)

    def interface(self) -> str:
        if not self.token.word or self.token.text[0].isdigit():
            raise self.trouble()
        name = self.take().text[:NAME_MAX]
        if self.token.text in (",", ":"):
            raise NotEmulated("a filter rule on two interfaces [services 1.9]")
        return name

    def refuse_the_rest(self) -> None:
        if self.token.word in _ELSEWHERE:
            raise NotEmulated(f"{self.token.word!r} in a filter rule [services 1.9]")

    def protocol(self) -> str:
        if not self.token.word:
            raise self.trouble()
        word = self.take().text.lower()
        if word == "tcp" and self.accept("/"):
            self.expect("udp")
            return BOTH
        protocol = BOTH if word == "tcpudp" else protocol_named(word)
        if protocol == UNKNOWN_PROTOCOL:
            raise NotEmulated(f"the unknown protocol {word!r} in a filter rule [services 1.9]")
        return protocol

    # from, to -----------------------------------------------------------------------------------------------------

    def ends(self, rule: FilterRule) -> list[FilterRule]:
        """Lists in parentheses make several rules of one."""
        if self.accept("all"):
            return [rule]
        sources = self.end(rule) if self.accept("from") else [End()]
        destinations = self.end(rule) if self.accept("to") else [End()]
        return [replace(rule, source=a, destination=b) for a, b in itertools.product(sources, destinations)]

    def end(self, rule: FilterRule) -> list[End]:
        negated = bool(self.accept("!"))
        if self.accept("("):
            nets = [self.address()]
            while self.accept(","):
                nets.append(self.address())
            self.expect(")")
        else:
            nets = [self.address()]
        tests: list[PortTest | None] = [None]
        if self.accept("port"):
            tests = list(self.port_tests(rule))
        return [End(net, negated, test) for net, test in itertools.product(nets, tests)]

    def port_tests(self, rule: FilterRule) -> list[PortTest]:
        if self.token.text.lower() in OPERATORS:
            operator = OPERATORS[self.take().text.lower()]
            if operator == "=" and self.accept("("):
                ports = [self.port(rule)]
                while self.accept(","):
                    ports.append(self.port(rule))
                self.expect(")")
                return [PortTest("=", port) for port in ports]
            return [PortTest(operator, self.port(rule))]
        low = self.port(rule)
        if self.token.text not in ("<>", "><", ":"):
            raise self.trouble()
        return [PortTest(self.take().text, low, self.port(rule))]

    def port(self, rule: FilterRule) -> int:
        token = self.token
        if not token.word:
            raise self.trouble()
        named = not token.text.isdigit()
        number = port_number(token.text, rule.protocol)
        if number is None or (named and rule.protocol not in ("tcp", "udp", BOTH)):
            raise self.trouble("service unknown")
        if number > 0xFFFF:
            raise self.trouble("invalid port number")
        self.take()
        return number

    def address(self) -> Net | None:
        """None: any."""
        if self.accept("any"):
            return None
        if self.token.word in ("pool", "hash"):
            raise NotEmulated("address pools [services 1.9]")
        if self.token.text == "0":
            self.take()
            self.expect("/")
            self.expect("0")
            return None
        host = self.host()
        bits = 32 if host.version == 4 else 128
        where: Net | None = host
        if self.accept("/") or self.accept("mask", "netmask"):
            where = self.masked(host, self.take(), bits)
        if host.version != self.version:
            raise self.trouble("Bad value specified for netmask")
        return None if where is not None and where.everything else where

    def host(self) -> Net:
        text = self.token.text
        try:
            parsed = ipaddress.ip_address(text)
        except ValueError:
            if self.token.word and text[0].isalpha() and self.token.word not in ("to", "port", "from"):
                raise NotEmulated(f"the host name {text!r} in a rule [services 1.9]") from None
            raise self.trouble() from None
        self.take()
        return net(parsed.version, int(parsed), 32 if parsed.version == 4 else 128)

    def masked(self, host: Net, token: Token, bits: int) -> Net:
        if token.text.isdigit():
            if int(token.text) > bits:
                raise self.trouble("Bad value specified for netmask")
            return net(host.version, host.address, int(token.text))
        try:
            mask = (
                int(token.text, 16) if token.text.lower().startswith("0x") else int(ipaddress.IPv4Address(token.text))
            )
        except ValueError:
            raise self.trouble(token=token) from None
        return Net(4, host.address & mask, mask & 0xFFFFFFFF)

    # what follows -------------------------------------------------------------------------------------------------

    def tail(self, rule: FilterRule) -> FilterRule:
        if self.accept("flags"):
            flags = self.flags()
            if rule.protocol != "tcp":
                raise self.trouble("flags with non-ipf type rule")
            rule = replace(rule, flags=flags)
        if self.accept("icmp-type"):
            rule = replace(rule, icmp_type=self.icmp_type())
            if self.accept("code"):
                rule = replace(rule, icmp_code=self.icmp_code())
        self.refuse_the_rest()
        while self.accept("keep"):
            what = self.expect("state", "frags")
            if self.token.text == "(":
                raise NotEmulated(f"keep {what} with options [services 1.9]")
            rule = replace(rule, keep_state=True) if what == "state" else replace(rule, keep_frags=True)
        if self.accept("head"):
            rule = replace(rule, head=self.group())
        if self.accept("group"):
            rule = replace(rule, group=self.group())
        self.refuse_the_rest()
        return rule

    def group(self) -> str:
        if not self.token.word:
            raise self.trouble()
        return self.take().text[:GROUP_MAX]

    def flags(self) -> str:
        flags = self.flag_letters()
        mask = self.flag_letters() if self.accept("/") else TCP_FLAGS
        return f"{flags}/{mask}"

    def flag_letters(self) -> str:
        letters = set(self.token.text.upper())
        if not letters or not letters <= set(TCP_FLAGS):
            raise self.trouble()
        self.take()
        return "".join(letter for letter in TCP_FLAGS if letter in letters)

    def icmp_type(self) -> int:
        if self.version == 4 and self.token.word in ICMP_TYPES:
            return ICMP_TYPES[self.take().word]
        if self.token.word and not self.token.text.isdigit():
            raise NotEmulated(f"the ICMP type {self.token.text!r} [services 1.9]")
        return self.number(255)
