"""Filter rules in the words of nftables [services 1.9, 1.15].

On illumos the last match decides unless a quick rule matches first. Here every match decides at once, so the quick
rules come first, in their order, then the others from the last to the first. A head sends its packets through its
group with its own verdict as the last resort.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from lab.ipfilter.filter_rule import TCP_FLAGS, FilterRule
from lab.ipfilter.nft_words import KernelName, Marks, connection, interface, set_mark
from lab.ipfilter.state import Kept
from lab.world import NotEmulated

_FLAG_NAMES = dict(zip(TCP_FLAGS, ("fin", "syn", "rst", "psh", "ack", "urg"), strict=True))
_PORT_UNREACHABLE = 3


@dataclass
class FilterChains:
    """Chains by name, each a list of rules as text; `into` and `out` are where packets begin."""

    chains: dict[str, list[str]] = field(default_factory=dict)
    into: list[str] = field(default_factory=list)
    out: list[str] = field(default_factory=list)


def check(rules: Sequence[Kept]) -> None:
    """Raises `NotEmulated` if the lab cannot make `rules`, one list of one IP version, true."""
    for kept in rules:
        _verdict(kept.rule, 0)
        if kept.rule.head and kept.rule.quick:
            members = _members(rules, kept.rule.direction, kept.rule.head)
            if not all(member.rule.quick for member in members):
                raise NotEmulated(f"a quick head with members that are not: {kept.rule.text()} [services 1.9]")
        _check_circle(rules, kept.rule, ())


def _check_circle(rules: Sequence[Kept], rule: FilterRule, above: tuple[str, ...]) -> None:
    if not rule.head:
        return
    if rule.head in (*above, rule.group):
        raise NotEmulated(f"groups in a circle: {rule.text()} [services 1.9]")
    for member in _members(rules, rule.direction, rule.head):
        _check_circle(rules, member.rule, (*above, rule.head))


def chains(lists: dict[int, list[Kept]], marks: Marks, kernel_name: KernelName, prefix: str) -> FilterChains:
    """The active set. Chain names begin with `prefix`."""
    made = FilterChains()
    for version, rules in lists.items():
        for direction, base in (("in", made.into), ("out", made.out)):
            groups = dict.fromkeys(kept.rule.group for kept in rules if kept.rule.direction == direction)
            names = {group: f"{prefix}_{direction}{version}_{at}" for at, group in enumerate(groups)}
            for group, name in names.items():
                members = _members(rules, direction, group)
                quick, other = _group(members, marks, kernel_name, names)
                made.chains[f"{name}q"], made.chains[f"{name}o"] = quick, other
            if "" in names:
                family = "ipv4" if version == 4 else "ipv6"
                base += [f"meta nfproto {family} jump {names['']}{part}" for part in ("q", "o")]
    return made


def _members(rules: Sequence[Kept], direction: str, group: str) -> list[Kept]:
    return [kept for kept in rules if (kept.rule.direction, kept.rule.group) == (direction, group)]


def _group(
    members: list[Kept], marks: Marks, kernel_name: KernelName, names: dict[str, str]
) -> tuple[list[str], list[str]]:
    """The chain of the quick rules and that of the others."""
    quick: list[str] = []
    other: list[str] = []
    for kept in members:
        rule = kept.rule
        match = _match(rule, kernel_name)
        if match is None:
            continue
        verdict = [f"{match} {act}" for act in _verdict(rule, marks.state, kept.number)]
        inner = names.get(rule.head) if rule.head else None
        if inner is not None:
            quick.append(f"{match} jump {inner}q")
        if rule.quick:
            quick += verdict
        else:
            other[:0] = [*([f"{match} jump {inner}o"] if inner is not None else []), *verdict]
    return quick, other


def _match(rule: FilterRule, kernel_name: KernelName) -> str | None:
    """None while the rule's interface is not there."""
    words: list[str] = []
    if rule.interface:
        name = kernel_name(rule.interface)
        if name is None:
            return None
        words += interface("iifname" if rule.direction == "in" else "oifname", name)
    words += connection(rule.version, rule.protocol, rule.source, rule.destination)
    if rule.flags:
        flags, _, mask = rule.flags.partition("/")
        words.append(f"tcp flags & ({_flag_names(mask)}) == {_flag_names(flags)}")
    if rule.icmp_type is not None:
        icmp = "icmp" if rule.version == 4 else "icmpv6"
        words.append(f"{icmp} type {rule.icmp_type}")
        words += [f"{icmp} code {rule.icmp_code}"] if rule.icmp_code is not None else []
    return " ".join(words)


def _flag_names(letters: str) -> str:
    return "|".join(_FLAG_NAMES[letter] for letter in letters)


def _verdict(rule: FilterRule, state: int, number: int = 0) -> list[str]:
    """One or two statements; the second is for what the first does not match."""
    counter = f'counter name "n{number}"'
    if rule.action == "pass":
        return [f"{counter} {set_mark(state)} accept" if rule.keep_state else f"{counter} accept"]
    if rule.keep_state:
        raise NotEmulated(f"block with keep state: {rule.text()} [services 1.9]")
    if rule.answer == "return-rst":
        other = replace(rule, answer="")
        drop = _verdict(other, state, number)
        reset = [f"meta l4proto tcp {counter} reject with tcp reset"]
        return reset if rule.protocol == "tcp" else [*reset, *drop]
    if rule.answer == "return-icmp":
        code = _PORT_UNREACHABLE if rule.answer_code is None else rule.answer_code
        if rule.version == 6 or code > 13:
            raise NotEmulated(f"return-icmp with code {code} of IPv{rule.version} [services 1.9]")
        return [f"{counter} reject with icmp {code}"]
    return [f"{counter} drop"]
