"""The grammar of ipnat.conf and the form that is printed are one language [services 1.5, 1.6]."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lab.ipfilter import nat_grammar
from lab.ipfilter.nat_rule import NatRule

octets = st.integers(0, 255)
addresses = st.builds("{}.{}.{}.{}".format, st.integers(1, 223), octets, octets, octets)
networks = st.builds("{}/{}".format, addresses, st.integers(0, 32))
numbers = st.integers(1, 65535)
protocols = st.sampled_from(["tcp", "udp", "tcp/udp"])
tests = st.builds(" port {} {}".format, st.sampled_from(["=", "!=", "<", ">", "<=", ">=", "gt"]), numbers) | st.just("")
ends = st.builds("{}{}".format, networks | st.just("any"), tests)
matches = networks | st.builds("from {}{}to {}".format, ends, st.sampled_from([" ", " ! "]), ends)
ports = st.builds(" portmap {} {}:{}".format, protocols, st.integers(1, 999), st.integers(1000, 9999)) | st.just("")
redirected = (
    st.builds("{} port {}".format, networks, numbers)
    | st.builds("{}from {} to {}".format, st.sampled_from(["", "! "]), ends, ends)
)  # fmt: skip
written = (
    st.builds("map net0 {} -> {}{}".format, matches, addresses, ports)
    | st.builds("bimap net0 {} -> {}".format, addresses, addresses)
    | st.builds("rdr net0 {} -> {} port {} {}".format, redirected, addresses, numbers, protocols)
)  # fmt: skip


def parsed(text: str) -> list[NatRule]:
    found: list[NatRule] = []
    nat_grammar.parse(text, lambda rule, line: found.append(rule))
    return found


@given(st.lists(written, min_size=1, max_size=5), st.booleans())
def test_what_is_printed_means_the_same(lines: list[str], numeric: bool) -> None:
    rules = parsed(";\n".join(lines))
    assert len(rules) == len(lines)
    assert parsed("\n".join(rule.text(numeric) for rule in rules)) == rules
