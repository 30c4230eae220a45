"""NAT rules in the words of nftables [services 1.7, 1.15].

Which rule is tried first: the longest source prefix, for arriving packets the longest destination prefix, then the
order of loading. What nftables cannot do as illumos does it is refused with `NotEmulated`.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from lab.ipfilter.model import End, Net, PortTest
from lab.ipfilter.nat_rule import NatRule, carries_ports, hosts
from lab.ipfilter.nft_words import KernelName, Marks, connection, family, interface, of_version, set_mark
from lab.world import NotEmulated

_SHIFTED_MAX = 256  # nftables wants each port of a range that is moved: so many of them in one rule


@dataclass
class NatChains:
    """Rules as text: `into` for arriving packets, `out` for leaving ones, `leaks` for leaving ones of no connection."""

    into: list[str] = field(default_factory=list)
    out: list[str] = field(default_factory=list)
    leaks: list[str] = field(default_factory=list)


def check(rule: NatRule) -> None:
    """Raises `NotEmulated` for what the lab cannot make true."""
    outside = rule.destination.net
    reasons = {
        "map-block": rule.kind == "map-block",
        "two interfaces": bool(rule.interfaces[1]),
        "a proxy": rule.proxy is not None,
        "icmpidmap": rule.portmap is not None and rule.portmap.protocol == "icmp",
        "age": rule.age is not None,
        "mssclamp": rule.mssclamp > 0,
        "tag": bool(rule.tag),
        "round-robin in a map": rule.kind != "rdr" and rule.round_robin,
        "0/32 as what an rdr matches": rule.kind == "rdr" and outside is not None and outside.own,
    }  # fmt: skip
    for name, met in reasons.items():
        if met:
            raise NotEmulated(f"a NAT rule with {name}: {rule.text()} [services 1.5]")
    if any(net is not None and net.length is None for net in (rule.source.net, rule.destination.net, *rule.targets)):
        raise NotEmulated(f"a mask with holes: {rule.text()} [services 1.5]")
    if rule.outbound:
        _translation(rule)
    if rule.kind == "rdr":
        for part in _parts(rule):
            _redirection([part])


def chains(rules: Mapping[NatRule, int], marks: Marks, kernel_name: KernelName) -> NatChains:
    """`rules` in load order with the numbers of their counters. A rule of a link that is not there is left out."""
    made = NatChains()
    present = [rule for rule in rules if kernel_name(rule.interfaces[0]) is not None]
    outbound = sorted((rule for rule in present if rule.outbound), key=lambda rule: -_length(rule.source.net))
    for rule in outbound:
        made.out.append(_line(_leaving(rule, kernel_name), rules[rule], _out_mark(rule, marks), _translation(rule)))
    inbound = sorted((rule for rule in present if rule.inbound), key=lambda rule: -_length(_outside(rule)))
    for group in _rotations(inbound):
        first = group[0]
        mark = marks.bimap_in if first.kind == "bimap" else marks.rdr
        for part in _parts(first):
            act = _redirection([part, *group[1:]])
            made.into.append(_line(_arriving(part, kernel_name), rules[first], mark, act))
    made.leaks = _leaks(outbound, kernel_name)
    return made


def _length(net: Net | None) -> int:
    return 0 if net is None else net.mask.bit_count()


def _outside(rule: NatRule) -> Net | None:
    """The destination that an arriving packet must have."""
    return rule.targets[0] if rule.kind == "bimap" else rule.destination.net


def _out_mark(rule: NatRule, marks: Marks) -> int:
    return marks.bimap_out if rule.kind == "bimap" else marks.map


def _line(match: list[str], number: int, mark: int, act: str) -> str:
    marking = "" if act == "accept" else f" {set_mark(mark)}"
    return f'{" ".join(match)} counter name "n{number}"{marking} {act}'


def _name(rule: NatRule, kernel_name: KernelName) -> str:
    name = kernel_name(rule.interfaces[0])
    assert name is not None
    return name


def _leaving(rule: NatRule, kernel_name: KernelName) -> list[str]:
    protocol = rule.portmap.protocol if rule.portmap else rule.protocol
    ends = connection(rule.version, protocol, rule.source, rule.destination)
    return [*interface("oifname", _name(rule, kernel_name)), *ends]


def _arriving(rule: NatRule, kernel_name: KernelName) -> list[str]:
    source, destination = rule.source, rule.destination
    if rule.kind == "bimap":
        source, destination = rule.destination, End(rule.targets[0], ports=rule.source.ports)
    elif rule.ports is not None:
        low, high = rule.ports
        destination = replace(destination, ports=PortTest("=" if low == high else ":", low, high))
    ends = connection(rule.version, rule.protocol, source, destination)
    return [*interface("iifname", _name(rule, kernel_name)), *ends]


# what a map does ----------------------------------------------------------------------------------------------------


def _translation(rule: NatRule) -> str:
    """The statement for a leaving packet."""
    if rule.kind == "bimap":
        return _both_ways(rule, "snat", rule.source.net, rule.targets[0])
    target, portmap = rule.targets[0], rule.portmap
    if target.everything and not rule.ranged:
        if portmap is not None:
            raise NotEmulated(f"a portmap that keeps the address: {rule.text()} [services 1.5]")
        return "accept"
    low_high = ""
    if portmap is not None:
        low_high = ":1024-65535" if portmap.auto else f":{portmap.low}-{portmap.high}"
    order = " random" if portmap is not None and not portmap.sequential else ""
    if target.own and not rule.ranged:
        return f"masquerade{' to ' + low_high if low_high else ''}{order}"
    return f"snat {family(rule.version)} to {_span(rule, target)}{low_high}{order}"


def _span(rule: NatRule, target: Net) -> str:
    if rule.ranged:
        first, last = target.host, rule.targets[1].host
    elif target.address == target.last:
        first = last = target.host
    else:
        first, last = hosts(target)
        if target.bits - (target.length or 0) < 2:
            raise NotEmulated(f"a map to a network of two addresses: {rule.text()} [services 1.5]")
    if rule.version == 6 and rule.portmap is not None:
        first, last = f"[{first}]", f"[{last}]"
    return first if first == last else f"{first}-{last}"


def _both_ways(rule: NatRule, verb: str, old: Net | None, new: Net) -> str:
    """One address for one, or a network for one of the same size."""
    if old is None or new.own or new.everything or rule.ranged or old.length != new.length:
        raise NotEmulated(f"a bimap of unequal sides: {rule.text()} [services 1.5]")
    if rule.portmap is not None:
        raise NotEmulated(f"a bimap with portmap: {rule.text()} [services 1.5]")
    which = family(rule.version)
    if old.length == old.bits:
        return f"{verb} {which} to {new.host}"
    side = "saddr" if verb == "snat" else "daddr"
    return f"{verb} {which} prefix to {which} {side} map {{ {old} : {new} }}"


def _leaks(outbound: Iterable[NatRule], kernel_name: KernelName) -> list[str]:
    """A TCP segment of no known connection cannot be translated, and must not leave with its inside address."""
    sources: dict[tuple[str, int], list[str] | None] = {}
    for rule in outbound:
        if _translation(rule) == "accept" or rule.source.negated or rule.destination.negated:
            continue
        key = (_name(rule, kernel_name), rule.version)
        if rule.source.net is None:
            sources[key] = None
        elif (known := sources.setdefault(key, [])) is not None:
            known.append(str(rule.source.net))
    lines = []
    for (name, version), nets in sources.items():
        match = [*interface("oifname", name), of_version(version), "ct state invalid"]
        if nets is not None:
            match.append(f"{family(version)} saddr {{ {', '.join(_collapsed(nets, version))} }}")
        lines.append(" ".join([*match, "drop"]))
    return lines


def _collapsed(nets: list[str], version: int) -> list[str]:
    if version == 4:
        return [str(each) for each in ipaddress.collapse_addresses(ipaddress.IPv4Network(net) for net in nets)]
    return [str(each) for each in ipaddress.collapse_addresses(ipaddress.IPv6Network(net) for net in nets)]


# what an rdr does ---------------------------------------------------------------------------------------------------


def _rotations(inbound: list[NatRule]) -> list[list[NatRule]]:
    """Rules that differ in their targets only and take turns are one group, at the place of the first."""
    groups: list[list[NatRule]] = []
    known: dict[NatRule, list[NatRule]] = {}
    for rule in inbound:
        key = replace(rule, targets=(), to_port=None, fixed=False)
        if rule.kind == "rdr" and rule.round_robin and key in known:
            known[key].append(rule)
            continue
        groups.append([rule])
        known.setdefault(key, groups[-1])
    return groups


def _parts(rule: NatRule) -> Iterator[NatRule]:
    """`rule`, or the same for one piece after another of a long range whose ports are moved."""
    if rule.kind != "rdr" or rule.ports is None or rule.to_port is None or not _port(rule)[1]:
        yield rule
        return
    low, high = rule.ports
    for first in range(low, high + 1, _SHIFTED_MAX):
        last = min(high, first + _SHIFTED_MAX - 1)
        yield replace(rule, ports=(first, last), to_port=rule.to_port + first - low)


def _redirection(group: list[NatRule]) -> str:
    """The statement for an arriving packet that the rules of `group` share."""
    rule = group[0]
    if rule.kind == "bimap":
        assert rule.source.net is not None
        return _both_ways(rule, "dnat", rule.targets[0], rule.source.net)
    which = family(rule.version)
    port, offset = _port(rule)
    target = rule.targets[0]
    if len(group) > 1 or len(rule.targets) > 1:
        return _taking_turns(group)
    if target.everything:
        if port or offset:
            raise NotEmulated(f"an rdr that changes the port only: {rule.text()} [services 1.5]")
        return "accept"
    if target.own:
        if offset:
            raise NotEmulated(f"an rdr of a range to 0/32: {rule.text()} [services 1.5]")
        return f"redirect to :{port}" if port else "redirect"
    if offset:
        assert rule.ports is not None
        low, high = rule.ports
        pairs = ", ".join(f"{old} : {target.host} . {old + offset}" for old in range(low, high + 1))
        return f"dnat {which} to th dport map {{ {pairs} }}"
    host = f"[{target.host}]" if rule.version == 6 and port else target.host
    return f"dnat {which} to {host}{f':{port}' if port else ''}"


def _port(rule: NatRule) -> tuple[int, int]:
    """(the one target port, 0 to keep it; what to add to each port of a range)."""
    if rule.to_port is None or not carries_ports(rule.protocol):
        return 0, 0
    if rule.ports is not None and rule.ports[0] != rule.ports[1] and not rule.fixed:
        offset = rule.to_port - rule.ports[0]
        if rule.ports[1] + offset > 0xFFFF:
            raise NotEmulated(f"a range of ports beyond 65535: {rule.text()} [services 1.5]")
        return 0, offset
    test = rule.destination.ports
    if rule.filtered and test is not None and test.operator != "=" and not rule.fixed:
        raise NotEmulated(f"an rdr from several ports in the from/to form: {rule.text()} [services 1.5]")
    return rule.to_port, 0


def _taking_turns(group: list[NatRule]) -> str:
    """Each rule in turn, and of a rule with two targets each target in turn; by source address if any is sticky."""
    rounds = max(len(rule.targets) for rule in group)
    turns: list[str] = []
    with_port = any(_port(rule)[0] for rule in group)
    for turn in range(rounds):
        for rule in group:
            port, offset = _port(rule)
            target = rule.targets[turn % len(rule.targets)]
            if offset or target.everything or target.own or (with_port and not port):
                raise NotEmulated(f"taking turns with {rule.text()} [services 1.5]")
            turns.append(f"{target.host} . {port}" if with_port else target.host)
    which = family(group[0].version)
    sticky = any(rule.sticky for rule in group)
    chooser = f"jhash {which} saddr mod {len(turns)}" if sticky else f"numgen inc mod {len(turns)}"
    elements = ", ".join(f"{number} : {turn}" for number, turn in enumerate(turns))
    return f"dnat {which} to {chooser} map {{ {elements} }}"
