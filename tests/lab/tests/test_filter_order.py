"""Which filter rule decides: as illumos walks the list, and as nftables walks what is made of it [services 1.9]."""

from __future__ import annotations

import re

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from lab.ipfilter import nft_filter
from lab.ipfilter.filter_rule import FilterRule
from lab.ipfilter.nft_filter import FilterChains
from lab.ipfilter.nft_words import marks
from lab.ipfilter.state import OWN, Kept
from lab.world import NotEmulated

LINKS = "abcdef"
GROUPS = ("", "one", "two")


def rule(action: str, quick: bool, interface: str, head: str, group: str) -> FilterRule:
    return FilterRule(4, action, "in", quick=quick, interface=interface, head=head, group=group)


one_rule = st.builds(
    rule,
    st.sampled_from(["pass", "block"]),
    st.booleans(),
    st.sampled_from(LINKS),
    st.sampled_from(GROUPS),
    st.sampled_from(GROUPS),
)


def walk(rules: list[FilterRule], matching: set[str], group: str, default: tuple[str, bool]) -> tuple[str, bool]:
    """(verdict, whether it is quick): the last match decides, quick stops, a head goes through its group."""
    result = default
    for each in rules:
        if each.group == group and each.interface in matching:
            result = (each.action, each.quick)
            if each.head:
                result = walk(rules, matching, each.head, result)
            if result[1]:
                break
    return result


def decide(made: FilterChains, matching: set[str], chain: list[str]) -> str:
    """The first verdict on the way; "" at the end of a chain."""
    for line in chain:
        name = re.match(r'iifname "(.)"', line)
        if name is not None and name.group(1) not in matching:
            continue
        inner = re.search(r"jump (\S+)", line)
        verdict = decide(made, matching, made.chains[inner.group(1)]) if inner else line.split()[-1]
        if verdict:
            return verdict
    return ""


# Two of three lists are not emulated; that the first few dozen are among those is rare, and no fault.
@settings(suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
@given(st.lists(one_rule, max_size=8, unique=True), st.sets(st.sampled_from(LINKS)))
def test_both_ways_lead_to_the_same_verdict(rules: list[FilterRule], matching: set[str]) -> None:
    kept = [Kept(each, number) for number, each in enumerate(rules)]
    try:
        nft_filter.check(kept)
    except NotEmulated:
        assume(False)
    made = nft_filter.chains({4: kept, 6: []}, marks(OWN), lambda name: name, "g1")
    wanted, _ = walk(rules, matching, "", ("pass", False))
    assert (decide(made, matching, made.into) or "accept") == {"pass": "accept", "block": "drop"}[wanted]
