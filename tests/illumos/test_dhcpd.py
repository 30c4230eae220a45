"""What dhcpd's files say: its configuration in its own grammar, its lease file as it writes it."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zonehookd.illumos import dhcpd

CONFIG = """
# option routers 1.2.3.4; is only a comment
option domain-name "a;b{c}#d";   # so is this
shared-network x {
  subnet 10.1.0.0 netmask 255.255.255.0 { option routers 10.1.0.1; range 10.1.0.5 10.1.0.9; }
  subnet 10.2.0.0 netmask 255.255.0.0 { }
}
group { host one { hardware ethernet 2:8:20:A:b:c; fixed-address 10.1.0.5, 10.2.0.5, name.test; } }
class "c" { match if substring(hardware,1,3) = 02:08:20; }
key k { algorithm hmac-md5; secret "abc="; };
host two { fixed-address 10.1.0.6; }
"""


def test_what_a_configuration_declares() -> None:
    found = dhcpd.declared(CONFIG)
    assert found.subnets == (IPv4Network("10.1.0.0/24"), IPv4Network("10.2.0.0/16"))
    assert found.macs == {"02:08:20:0a:0b:0c": "one"}
    assert found.addresses == {
        IPv4Address("10.1.0.5"): "one", IPv4Address("10.2.0.5"): "one", IPv4Address("10.1.0.6"): "two",
    }  # fmt: skip
    assert not found.omapi and not found.routers


@pytest.mark.parametrize("text", ["omapi-port 7911;", "omapi-key k;", "\n  omapi-port  1 ;"])
def test_somebody_elses_omapi(text: str) -> None:
    assert dhcpd.declared(text).omapi


@pytest.mark.parametrize(
    ("text", "can"),
    [
        ("", False),
        ("# subnet 10.0.0.0 netmask 255.0.0.0 {}\ndefault-lease-time 600;\n", False),
        ("shared-network one { subnet 10.0.0.0 netmask 255.0.0.0 { } }", True),
        ('include "/etc/more.conf";', True),
        ("subnet 10.0.0.0 {", True),  # its own test judges that
    ],
)
def test_it_starts_with_a_subnet_only(text: str, can: bool) -> None:
    assert dhcpd.starts(text) is can


def test_a_router_for_everybody_is_one_at_the_top_only() -> None:
    assert dhcpd.declared("option routers 10.0.0.1;").routers
    assert not dhcpd.declared("subnet 10.0.0.0 netmask 255.0.0.0 { option routers 10.0.0.1; }").routers


@pytest.mark.parametrize("text", ["host a {", "}", "option x", 'option x "no end;', "host a { option x } "])
def test_what_is_not_in_its_form_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"too many|too early|without an end"):
        dhcpd.parse(text)


WORDS = st.lists(
    st.one_of(st.from_regex(r"[a-z0-9._/-]{1,8}", fullmatch=True), st.sampled_from(['"a;{}#b"', '""', ",", "="])),
    min_size=1,
    max_size=4,
)
STATEMENTS = st.recursive(
    st.lists(st.builds(lambda words: dhcpd.Statement(tuple(words)), WORDS), max_size=3),
    lambda inner: st.lists(
        st.builds(lambda words, body: dhcpd.Statement(tuple(words), tuple(body)), WORDS, inner), max_size=3
    ),
    max_leaves=8,
)


def written(statements: Iterable[dhcpd.Statement], gap: str) -> str:
    return "".join(
        gap.join(each.words) + (f"{gap};" if each.body is None else f"{{{gap}{written(each.body, gap)}}}")
        for each in statements
    )


@given(STATEMENTS, st.sampled_from([" ", "\n", "\t# said in passing; { \n"]))
def test_what_is_written_is_read_whatever_stands_between(statements: list[dhcpd.Statement], gap: str) -> None:
    assert dhcpd.parse(written(statements, gap)) == tuple(statements)


LEASES = """# The format of this file is documented in the dhcpd.leases(5) manual page.
authoring-byte-order little-endian;

host zonehookd-a_0-0123456789ab {
  dynamic;
  hardware ethernet 02:08:20:00:00:01;
  fixed-address 10.1.0.11;
        supersede host-name = "a}";
        supersede routers = 0a:01:00:01;
}
lease 10.1.0.100 {
  starts 6 2026/11/21 15:00:00;
  hardware ethernet 02:08:20:00:00:09;
  client-hostname "host zonehookd-x_0-0123456789ab {";
}
host zonehookd-b_0-0123456789ab {
  dynamic;
  hardware ethernet 02:08:20:00:00:02;
}
host zonehookd-b_0-0123456789ab {
  dynamic;
  deleted;
}
host zonehookd-a_0-0123456789ab {
  dynamic;
  deleted;
}
host zonehookd-a_0-0123456789ab {
  dynamic;
  fixed-address 10.1.0.12;
}
host gone {
  deleted;
}
host zonehookd-c_0-0123456789ab {
  dynamic;
  hardware ethernet 02:0"""


def test_the_newest_word_on_a_host_in_the_lease_file_wins() -> None:
    assert dhcpd.leased_hosts(LEASES) == {"zonehookd-a_0-0123456789ab"}, "one that is only half written is not there"
    assert dhcpd.leased_hosts("") == set()
