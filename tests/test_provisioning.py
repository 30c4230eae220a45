"""What a provisioning network is: a network behind the host, and a way out (contract A11)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from zonehookd.checked import check
from zonehookd.config import Config
from zonehookd.declaration import declare
from zonehookd.errors import ConfigError
from zonehookd.model.gateway import Declaration

LAN = {"lan": {"cidr": "192.168.1.0/24", "uplink": "net0"}}
OUT = {"uplink": "net0", "uplink_cidr": "192.168.1.0/24"}


def declared(sections: dict[str, Any], **more: Any) -> Declaration:
    return declare(Config.model_validate({"provisioning": sections, **more}))


def test_the_default_is_that_of_the_guide_with_legal_names() -> None:
    found = declared({"provision": {**OUT, "upstream": ["192.0.2.53"]}})
    network, gateway = found.networks["provision"], found.gateways["global"]
    assert found.provisioning == ("provision",)
    assert (network.link, network.gateway_link) == ("estub_provision0", "provision_interconnect0")
    assert ([str(each) for each in network.cidrs], str(network.gateway(4))) == (["10.190.190.0/24"], "10.190.190.1")
    assert network.via == "global" and network.internal and network.dhcp is not None
    assert (gateway.kind, gateway.nat, gateway.dhcp, gateway.dns) == ("global", True, "auto", "dnsmasq")
    assert [str(each) for each in gateway.upstream] == ["192.0.2.53"]
    assert gateway.outside is not None and (gateway.outside.link, gateway.outside.isolated) == ("net0", True)


@pytest.mark.parametrize(
    ("cidr", "pool", "dynamic"),
    [
        ("10.190.190.0/24", "10.190.190.10-10.190.190.191", "10.190.190.192-10.190.190.254"),
        ("10.190.190.0/29", "10.190.190.1-10.190.190.5", "10.190.190.6-10.190.190.6"),
        ("10.190.190.64/26", "10.190.190.74-10.190.190.111", "10.190.190.112-10.190.190.126"),
        ("10.0.0.0/8", "10.0.0.10-10.255.251.254", "10.255.251.255-10.255.255.254"),
    ],
)
def test_zones_and_strangers_never_share_an_address(cidr: str, pool: str, dynamic: str) -> None:
    network = declared({"provision": {**OUT, "cidr": cidr}}).networks["provision"]
    assert [str(each) for each in network.pool] == [pool] and network.dhcp is not None
    assert [str(each) for each in network.dhcp.dynamic] == [dynamic]
    assert not network.pool[0].overlaps(network.dhcp.dynamic[0])


def test_a_split_of_ones_own_is_checked_as_any_other() -> None:
    own = {**OUT, "pool": ["10.190.190.100-10.190.190.200"], "dynamic": ["10.190.190.2-10.190.190.99"]}
    network = declared({"provision": own}).networks["provision"]
    assert str(network.pool[0]) == "10.190.190.100-10.190.190.200"
    with pytest.raises(ConfigError, match=r"^provisioning\.provision\.dhcp\.dynamic: .* overlaps the pool"):
        declared({"provision": {**own, "dynamic": ["10.190.190.2-10.190.190.100"]}})
    with pytest.raises(ConfigError, match=r"^provisioning\.provision\.dynamic: .* holds 10\.190\.190\.1, the host's"):
        declared({"provision": {**own, "dynamic": ["10.190.190.1-10.190.190.9"]}})


def test_it_joins_the_declared_gateway_of_the_host() -> None:
    gateway = {"global": {"outside": "lan", "address": "192.168.1.9", "upstream": ["192.0.2.1"]}}
    found = declared({"provision": {"upstream": ["192.0.2.1", "192.0.2.2"]}}, network=LAN, gateway=gateway)
    here = found.gateways["global"]
    assert here.outside == found.networks["lan"] and [str(each) for each in here.addresses] == ["192.168.1.9/24"]
    assert [str(each) for each in here.upstream] == ["192.0.2.1", "192.0.2.2"]
    assert set(here.networks) == {"provision"} and set(found.networks) == {"lan", "provision"}


def test_a_network_over_the_uplink_is_used_where_there_is_one() -> None:
    found = declared({"provision": {"uplink": "net0"}}, network=LAN)
    assert set(found.networks) == {"lan", "provision"} and found.gateways["global"].outside == found.networks["lan"]
    named = declared({"provision": {"outside": "lan"}}, network=LAN)
    assert named.gateways == found.gateways
    two = {**LAN, "lan2": {"cidr": "192.168.2.0/24", "uplink": "net0"}}
    with pytest.raises(ConfigError, match=r"\.uplink: networks lan, lan2 lie over net0 \(hint: name one as outside"):
        declared({"provision": {"uplink": "net0"}}, network=two)
    chosen = declared({"provision": {"uplink": "net0"}}, network=two, gateway={"global": {"outside": "lan2"}})
    assert chosen.gateways["global"].outside == chosen.networks["lan2"]


def test_tenants_are_networks_of_their_own_with_one_way_out() -> None:
    found = declared({"provision": OUT, "red": {"cidr": "10.191.0.0/24"}, "blue": {"cidr": "10.192.0.0/24", **OUT}})
    assert set(found.gateways["global"].networks) == {"provision", "red", "blue"}
    assert (found.networks["red"].link, found.networks["red"].gateway_link) == ("estub_red0", "red_interconnect0")
    assert set(found.networks) == {"provision", "uplink-net0", "red", "blue"}
    with pytest.raises(ConfigError, match=r"^provisioning\.red: goes out by network uplink-net1, and the global zone"):
        declared({"provision": OUT, "red": {"uplink": "net1", "uplink_cidr": "192.168.2.0/24", "cidr": "10.2.0.0/24"}})


@pytest.mark.parametrize(
    ("section", "more", "said"),
    [
        ({}, {}, "provisioning.provision: has no way out (hint: set uplink, or let `zonehookctl provisioning setup`"),
        ({"uplink": "net0"}, {}, "provisioning.provision.uplink_cidr: missing: no network is declared over net0"),
        ({**OUT, "outside": "lan"}, {"network": LAN}, "provisioning.provision: has both uplink and outside"),
        ({"outside": "lan"}, {}, "provisioning.provision.outside: there is no network 'lan'"),
        ({**OUT, "cidr": "10.1.0.5/24"}, {}, "provisioning.provision.cidr: expected a CIDR"),
        ({**OUT, "cidr": "10.1.0.0/30"}, {}, "provisioning.provision.cidr: expected an IPv4 range, /8 to /29"),
        ({**OUT, "cidr": "fd00::/64"}, {}, "provisioning.provision.cidr: expected an IPv4 range, /8 to /29"),
        ({**OUT, "host": "10.1.0.1"}, {}, "provisioning.provision.gateway: 10.1.0.1 is outside"),
        ({**OUT, "uplink_cidr": "x"}, {}, "provisioning.provision.uplink_cidr: expected a CIDR"),
        ({**OUT, "vnic": "host"}, {}, "provisioning.provision.gateway_link: 'host' is not a legal link name"),
        ({**OUT, "upstream": ["x"]}, {}, "provisioning.provision.upstream: expected an address"),
        (OUT, {"network": {"provision": {"cidr": "10.1.0.0/24"}}}, "provisioning.provision: there is a network"),
        (OUT, {"gateway": {"global": {"nat": False}}}, "gateway.global.nat is false, and provisioning.provision lives"),
        (OUT, {"gateway": {"global": {"dhcp": "none"}}}, "gateway.global.dhcp is none, and provisioning.provision"),
        (OUT, {"network": {"a": {"cidr": "10.190.0.0/16"}}}, "provisioning.provision.cidr: 10.190.190.0/24 overlaps"),
    ],
)
def test_what_cannot_be_is_refused_in_the_words_it_was_written(
    section: dict[str, Any], more: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigError) as refusal:
        declared({"provision": section}, **more)
    assert str(refusal.value).startswith(said), str(refusal.value)


def test_a_fault_names_the_drop_in(tmp_path: Path) -> None:
    main, drop_in = tmp_path / "z.toml", tmp_path / "z.d" / "provisioning-red.toml"
    main.write_text("")
    drop_in.parent.mkdir()
    drop_in.write_text("[provisioning.red]\nuplink = 'net0'\nuplink_cidr = '192.168.1.0/24'\nvnic = 'x'\n")
    with pytest.raises(ConfigError, match=f"^{drop_in}: provisioning.red.gateway_link: 'x' is not a legal"):
        check(main)
    drop_in.write_text("[provisioning.red]\nuplnk = 'net0'\n")
    with pytest.raises(ConfigError, match=f"^{drop_in}: provisioning.red.uplnk: unknown key .did you mean 'uplink'"):
        check(main)
