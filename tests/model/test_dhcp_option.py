"""DHCP options: every type in octets, and everything else refused with what was expected."""

from __future__ import annotations

import pytest

from zonehookd.model.dhcp_option import option, options


@pytest.mark.parametrize(
    ("key", "value", "code", "octets"),
    [
        ("swap-server", "10.0.0.1", 16, "0a000001"),
        ("42", "10.0.0.1, 10.0.0.2", 42, "0a0000010a000002"),
        ("NTP-Servers", "10.0.0.1", 42, "0a000001"),
        ("static-routes", "10.9.0.1 10.0.0.1, 10.9.0.2 10.0.0.1", 33, "0a0900010a0000010a0900020a000001"),
        ("classless-static-routes", "10.9.8.0/22 10.0.0.1", 121, "160a09080a000001"),
        ("121", "0.0.0.0/0,10.0.0.1,192.168.1.128/25,10.0.0.2", 121, "000a00000119c0a801800a000002"),
        ("default-ip-ttl", "64", 23, "40"),
        ("interface-mtu", "1400", 26, "0578"),
        ("time-offset", "-3600", 2, "fffff1f0"),
        ("path-mtu-plateau-table", "68,296", 25, "00440128"),
        ("ip-forwarding", "off", 19, "00"),
        ("ip-forwarding", "True", 19, "01"),
        ("vendor-encapsulated-options", "1:2:ff", 43, "0102ff"),
        ("tftp-server-name", "boot.test", 66, b"boot.test".hex()),
        ("domain-search", "eng.test,t", 119, "03656e67047465737400017400"),
        ("200", "ff", 200, b"ff".hex()),
        ("200", "0:ff", 200, "00ff"),
        ("200", "10.0.0.1", 200, "0a000001"),
    ],
)
def test_octets(key: str, value: str, code: int, octets: str) -> None:
    found = option(key, value)
    assert (found.code, found.octets.hex()) == (code, octets)
    assert found.hex.replace(":", "") == octets


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("swap-server", "10.0.0.1,10.0.0.2", "an IPv4 address"),
        ("ntp-servers", "fd00::1", "IPv4 addresses"),
        ("static-routes", "10.0.0.1", "pairs"),
        ("121", "10.0.0.1/8 10.0.0.1", "CIDRs"),
        ("default-ip-ttl", "256", "0 to 255"),
        ("default-ip-ttl", "-1", "0 to 255"),
        ("interface-mtu", "1e3", "0 to 65535"),
        ("ip-forwarding", "maybe", "true or false"),
        ("43", "hello", "octets"),
        ("66", "gr\u00fcn", "ASCII"),
        ("66", "a\nb", "ASCII"),
        ("66", "", "1 to 255"),
        ("66", "x" * 256, "1 to 255"),
        ("119", "-a.test", "domain names"),
        ("200", "65", "octets"),
        ("0", "1", "from 1 to 254"),
        ("255", "1", "from 1 to 254"),
        ("routerss", "10.0.0.1", "from 1 to 254"),
        ("routers", "10.0.0.1", "the network's gateway"),
        ("51", "60", "lease_s"),
        ("53", "1", "the protocol itself"),
    ],
)
def test_what_does_not_fit_is_refused(key: str, value: str, expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        option(key, value)


def test_the_right_ones_stay_when_another_is_wrong_or_given_twice() -> None:
    found, faults = options({"time-servers": "10.0.0.1", "66": "boot", "tftp-server-name": "other", "43": "zz"})
    assert [each.code for each in found] == [4, 66]
    assert len(faults) == 2 and any("twice" in fault for fault in faults)
