"""What may be declared, and how a refusal reads (contract A1)."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from zonehookd.config import Config, load
from zonehookd.declaration import declare
from zonehookd.errors import ConfigError


def networks(**tables: Any) -> Any:
    return declare(Config.model_validate({"network": tables})).networks


@pytest.mark.parametrize(
    ("cidr", "said"),
    [
        ("10.1.0.5/24", "has host bits set"),
        ("10.b.0.0/24", "expected a CIDR"),
        ("10.08.0.0/16", "does not appear to be"),
        ("127.0.0.0/8", "loopback range"),
        ("169.254.0.0/16", "link-local range"),
        ("224.0.0.0/8", "multicast range"),
        ("8.0.0.0/7", "prefix length of 8 to 30"),
        ("10.1.0.0/31", "prefix length of 8 to 30"),
        ("fd00::/32", "prefix length of 48 to 126"),
    ],
)
def test_a_range_that_cannot_be_is_refused_by_name(cidr: str, said: str) -> None:
    with pytest.raises(ConfigError, match=r"^network\.dmz\.cidr: ") as refusal:
        networks(dmz={"cidr": cidr})
    assert said in str(refusal.value)


@pytest.mark.parametrize(("one", "two"), [("10.1.0.0/16", "10.1.5.0/24"), ("10.1.5.0/24", "10.1.0.0/16")])
def test_overlap_is_refused_in_either_direction(one: str, two: str) -> None:
    with pytest.raises(ConfigError, match=f"network.b.cidr: {two} overlaps {one} of network a"):
        networks(a={"cidr": one}, b={"cidr": two})


def test_isolated_networks_may_overlap() -> None:
    assert set(networks(a={"cidr": "10.1.0.0/24"}, b={"cidr": "10.1.0.0/24", "isolated": True})) == {"a", "b"}


def test_overlap_inside_one_declaration_is_refused() -> None:
    with pytest.raises(ConfigError, match="at most one CIDR per address family"):
        networks(a={"cidr": ["10.1.0.0/24", "10.2.0.0/24"]})


@pytest.mark.parametrize(
    ("gateway", "said"),
    [
        ("10.2.0.1", "is outside 10.1.0.0/24"),
        ("10.1.0.0", "network or broadcast address"),
        ("10.1.0.255", "network or broadcast address"),
        ("fast", "expected an address, found 'fast'"),
    ],
)
def test_gateway_must_be_a_host_of_the_network(gateway: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        networks(a={"cidr": "10.1.0.0/24", "gateway": gateway})


def test_the_gateway_is_the_lowest_host_address_by_default() -> None:
    assert [str(each) for each in networks(a={"cidr": ["10.1.0.0/24", "fd00:1::/64"]})["a"].gateways] == [
        "10.1.0.1",
        "fd00:1::1",
    ]


def test_two_networks_cannot_share_an_etherstub() -> None:
    with pytest.raises(ConfigError, match="link stub0 is already that of network a"):
        networks(a={"cidr": "10.1.0.0/24", "etherstub": "stub0"}, b={"cidr": "10.2.0.0/24", "etherstub": "stub0"})


def test_an_illegal_link_name_comes_with_a_legal_one() -> None:
    with pytest.raises(ConfigError, match=r"'dmz-1' is not a legal link name .*'dmz_1_0'"):
        networks(a={"cidr": "10.1.0.0/24", "etherstub": "dmz-1"})


def test_links_of_gateways_may_be_named_and_are_nobody_elses() -> None:
    tables = {"a": {"cidr": "10.1.0.0/24", "via": "proxy", "gateway_link": "znic1"}, "b": {"cidr": "10.2.0.0/24"}}
    found = declare(Config.model_validate({"network": tables, "gateway": {"proxy": {"link": "znic0"}}}))
    assert found.networks["a"].gateway_link == "znic1" and found.gateways["proxy"].link == "znic0"
    for link in ("a0", "b0", "znic1"):
        taken = Config.model_validate({"network": tables, "gateway": {"proxy": {"link": link}}})
        with pytest.raises(ConfigError, match=f"^gateway.proxy.link: {link} is the link of network"):
            declare(taken)
    with pytest.raises(ConfigError, match=r"^gateway.proxy.link: 'znic' is not a legal link name .*'znic0'"):
        declare(Config.model_validate({"network": tables, "gateway": {"proxy": {"link": "znic"}}}))


def test_every_fault_is_said_at_once() -> None:
    with pytest.raises(ConfigError) as refusal:
        networks(a={"cidr": "10.1.0.5/24"}, b={"cidr": "nowhere"})
    assert "network.a.cidr" in str(refusal.value) and "network.b.cidr" in str(refusal.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[netwrok.dmz]\ncidr='10.0.0.0/24'", "netwrok: unknown key (did you mean 'network'?)"),
        ("[network.dmz]\ncird='10.0.0.0/24'", "network.dmz.cird: unknown key (did you mean 'cidr'?)"),
        ("[timing]\npoll_s='soon'", "timing.poll_s: input should be a valid number"),
        ("[timing]\npoll_s=", "not TOML"),
    ],
)
def test_a_wrong_file_says_file_key_expected_found(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "z.toml"
    file.write_text(text)
    with pytest.raises(ConfigError) as refusal:
        load(file)
    assert said in str(refusal.value) and str(refusal.value).startswith(str(file))


def test_among_a_thousand_networks_the_two_that_clash_are_found_at_once() -> None:
    """Nested, equal and shared: every pair that the comparison of all with all would name, and no other."""
    tables: dict[str, Any] = {
        f"n{number}": {"cidr": f"10.{number // 250}.{number % 250}.0/24"} for number in range(1000)
    }
    tables |= {f"own{number}": {"cidr": "172.16.0.0/24", "isolated": True} for number in range(100)}
    tables |= {"a": {"cidr": ["10.3.0.0/16", "fd00:1::/64"]}, "b": {"cidr": "fd00:1::/64"}}
    tables |= {"c": {"cidr": "192.168.0.0/24", "etherstub": "n70"}, "d": {"cidr": "192.168.1.0/24", "uplink": "n70"}}
    began = time.process_time()
    with pytest.raises(ConfigError) as refusal:
        networks(**tables)
    assert time.process_time() - began < 2.0
    said = str(refusal.value)
    inner = [name for name, table in tables.items() if str(table["cidr"]).startswith("10.3.")]
    assert len(inner) == 250 and said.count("overlaps") == 251
    assert all(
        f"network.a.cidr: 10.3.0.0/16 overlaps {tables[name]['cidr']} of network {name}" in said for name in inner
    )
    assert "network.b.cidr: fd00:1::/64 overlaps fd00:1::/64 of network a" in said
    assert said.count("is already that of network") == 1 and "its link n70 is already that of network c" in said
