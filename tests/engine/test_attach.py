"""Which NIC belongs where (contract A2), and how a refusal reads."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest

from zonehookd.config import Config
from zonehookd.declaration import declare
from zonehookd.engine.attach import attach_zone
from zonehookd.engine.site import Site, settle
from zonehookd.model.zone import Nic, Zone, ZoneConfig, ZoneState

NETWORKS = declare(
    Config.model_validate(
        {
            "network": {
                "dmz": {"cidr": ["10.1.0.0/16", "fd00:1::/64"]},
                "deep": {"cidr": "10.2.5.0/24"},
                "twin": {"cidr": "10.2.5.0/24", "isolated": True, "etherstub": "twin0"},
                "lan": {"cidr": "192.168.1.0/24", "uplink": "net0"},
            }
        }
    )
)


def nic(link: str = "web1_0", *addresses: str, index: int = 0, **more: Any) -> Nic:
    return Nic(link, index, tuple(ipaddress.ip_interface(each) for each in addresses), **more)


def zone(name: str, *nics: Nic, attrs: dict[str, str] | None = None, exclusive: bool = True,
         state: ZoneState = ZoneState.INSTALLED) -> Zone:  # fmt: skip
    return Zone(name, state, config=ZoneConfig("sparse", exclusive, nics, attrs or {}))


def placed(each: Zone) -> list[tuple[str, str, str]]:
    return [(a.link, a.network.name, a.found_by) for a in attach_zone(each, NETWORKS).attachments]


def refused(each: Zone) -> tuple[str, str]:
    (refusal,) = attach_zone(each, NETWORKS).refusals
    return refusal.code, str(refusal)


def site(*zones: Zone, held: dict[tuple[str, str], str] | None = None) -> Site:
    table = {each.name: each for each in zones}
    alone = {name: attach_zone(each, NETWORKS) for name, each in table.items()}
    return settle(NETWORKS, table, alone, held or {}, {}, 0.0)


def test_an_address_finds_the_network_that_contains_it() -> None:
    assert placed(zone("a", nic("web1_0", "10.2.5.7/24"))) == [("web1_0", "deep", "address")]
    assert placed(zone("a", nic("web1_0", "fd00:1::7/64"))) == [("web1_0", "dmz", "address")]


def test_the_uplinks_subnet_is_the_uplink() -> None:
    (attachment,) = attach_zone(zone("a", nic("web1_0", "192.168.1.9/24")), NETWORKS).attachments
    assert attachment.network.link == "net0"


def test_an_address_in_no_network_is_refused_and_never_silently_the_uplink() -> None:
    code, text = refused(zone("a", nic("web1_0", "172.16.0.9/24")))
    assert code == "no-network" and "172.16.0.9/24 is in no declared network" in text


def test_global_nic_names_the_network_and_leaves_the_making_to_the_brand() -> None:
    (attachment,) = attach_zone(zone("a", nic("web1_0", "10.1.0.9/16", global_nic="dmz0")), NETWORKS).attachments
    assert (attachment.found_by, attachment.on_demand) == ("global-nic", True)


def test_an_attribute_wins_and_may_bring_addresses_and_a_mac() -> None:
    each = zone("a", nic("web1_0"), attrs={"zh.net0": "twin 10.2.5.9 mac=2:8:20:A:b:1"})
    (attachment,) = attach_zone(each, NETWORKS).attachments
    assert (attachment.network.name, attachment.found_by, attachment.nic.mac) == (
        "twin",
        "attribute",
        "02:08:20:0a:0b:01",
    )
    assert [str(address) for address in attachment.addresses] == ["10.2.5.9/24"]


def test_isolated_networks_are_found_by_name_only() -> None:
    assert placed(zone("a", nic("web1_0", "10.2.5.9/24"))) == [("web1_0", "deep", "address")]


@pytest.mark.parametrize(
    ("attribute", "code", "said"),
    [
        ("dmzz", "unknown-network", "did you mean 'dmz'?"),
        ("dmz 10.2.5.9", "outside-network", "10.2.5.9 is not in network dmz"),
        ("dmz 10.1.0.1", "gateway-address", "gateway address of network dmz"),
        ("dmz 10.1.0.0", "reserved-address", "network or broadcast address"),
        ("dmz 10.1.255.255", "reserved-address", "network or broadcast address"),
        ("dmz ten", "malformed-address", "'ten' is not an address"),
        ("dmz colour=red", "malformed-attribute", "unknown option 'colour'"),
        ("dmz mac=zz", "malformed-attribute", "not a MAC address"),
        ("dmz mac=ff:ff:ff:ff:ff:ff", "malformed-attribute", "not a MAC address that a link may have"),
        ("", "malformed-attribute", "names no network"),
    ],
)
def test_what_an_attribute_may_not_say(attribute: str, code: str, said: str) -> None:
    found, text = refused(zone("a", nic("web1_0"), attrs={"zh.net0": attribute}))
    assert found == code and said in text


def test_an_attribute_for_a_link_that_is_not_there_is_refused() -> None:
    each = zone("a", nic("web1_0", "10.1.0.9/16"), attrs={"zh.net3": "dmz"})
    assert [r.code for r in attach_zone(each, NETWORKS).refusals] == ["no-such-nic"]
    assert placed(each) == [("web1_0", "dmz", "address")]


def test_attribute_and_global_nic_must_agree() -> None:
    code, text = refused(zone("a", nic("web1_0", global_nic="igb0"), attrs={"zh.net0": "dmz"}))
    assert code == "global-nic-differs" and "set global-nic=dmz0" in text


def test_an_address_never_overrules_global_nic() -> None:
    code, text = refused(zone("a", nic("web1_0", "10.1.0.9/16", global_nic="igb0")))
    assert code == "global-nic-differs" and "the address says network dmz (over dmz0), global-nic says igb0" in text
    assert placed(zone("a", nic("web1_0", "10.1.0.9/16", global_nic="auto"))) == [("web1_0", "dmz", "address")]


@pytest.mark.parametrize("name", ["zh.nett0", "zh.network", "zh.net00", "ZH.net0", "zh-net0", "zh.net1"])
def test_an_attribute_meant_for_us_that_we_do_not_know_is_refused(name: str) -> None:
    each = zone("a", nic("web1_0"), attrs={name: "dmz"})
    (refusal,) = attach_zone(each, NETWORKS).refusals
    assert refusal.code == "no-such-nic" and "zone a may have zh.net0; zonecfg -z a remove attr" in refusal.hint


def test_a_link_that_says_nothing_is_left_alone() -> None:
    attached = attach_zone(zone("a", nic("web1_0")), NETWORKS)
    assert attached.left_alone == ("web1_0",) and not attached.refusals


def test_a_shared_ip_zone_has_no_link_of_its_own() -> None:
    assert refused(zone("a", nic("dmz_0"), attrs={"zh.net0": "dmz"}, exclusive=False))[0] == "shared-ip"
    assert attach_zone(zone("a", nic("dmz_0", "10.1.0.9/16"), exclusive=False), NETWORKS).attachments == ()


def test_a_link_name_dladm_would_refuse_is_refused_before() -> None:
    assert refused(zone("a", nic("web-1", "10.1.0.9/16")))[0] == "illegal-link-name"


def test_the_second_zone_with_an_address_is_told_whose_it_is() -> None:
    both = site(zone("a", nic("a0", "10.1.0.9/16")), zone("b", nic("b0", "10.1.0.9/16"), state=ZoneState.RUNNING))
    assert [a.link for a in both.of_zone("b").attachments] == ["b0"], "the zone that runs has it"
    (refusal,) = both.of_zone("a").refusals
    assert refusal.code == "address-taken" and refusal.owner == "zone b" and "belongs to zone b" in refusal.text


def test_who_has_an_address_keeps_it_against_a_zone_that_runs() -> None:
    zones = (zone("a", nic("a0", "10.1.0.9/16"), state=ZoneState.RUNNING), zone("b", nic("b0", "10.1.0.9/16")))
    settled = site(*zones, held={("dmz0", "10.1.0.9"): "b"})
    assert [a.link for a in settled.of_zone("b").attachments] == ["b0"]
    assert [r.owner for r in settled.of_zone("a").refusals] == ["zone b"]


def test_who_no_longer_asks_for_an_address_has_it_no_more() -> None:
    zones = (zone("a", nic("a0", "10.1.0.9/16")), zone("b", nic("b0", "10.1.0.10/16")))
    assert not site(*zones, held={("dmz0", "10.1.0.9"): "b"}).of_zone("a").refusals


def test_a_zone_that_cannot_be_read_keeps_its_link_against_a_newcomer() -> None:
    lost = Zone("b", ZoneState.INSTALLED, trouble="cannot read it")
    settled = site(zone("a", nic("x0", "10.1.0.9/16")), lost, held={("link", "x0"): "b"})
    assert [r.code for r in settled.of_zone("a").refusals] == ["link-taken"] and settled.holders["x0"] == "b"


def test_one_link_name_serves_one_zone() -> None:
    both = site(zone("a", nic("x0", "10.1.0.9/16")), zone("b", nic("x0", "10.1.0.8/16")))
    assert [r.code for r in both.of_zone("b").refusals] == ["link-taken"]
    assert both.holders["x0"] == "a"


def test_similar_addresses_do_not_clash() -> None:
    both = site(zone("a", nic("a0", f"10.1.0.1{0}/16")), zone("b", nic("b0", "10.1.0.100/16")))
    assert not both.of_zone("a").refusals and not both.of_zone("b").refusals


def test_the_same_range_on_an_isolated_network_is_another_place() -> None:
    both = site(zone("a", nic("a0", "10.2.5.9/24")), zone("b", nic("b0"), attrs={"zh.net0": "twin 10.2.5.9"}))
    assert not both.of_zone("a").refusals and not both.of_zone("b").refusals


def test_a_gateway_keeps_the_links_that_are_named_for_it() -> None:
    declared = declare(
        Config.model_validate(
            {
                "network": {
                    "back": {"cidr": "10.2.0.0/24", "via": "proxy", "gateway_link": "znic1"},
                    "prov": {"cidr": "10.3.0.0/24", "via": "global", "gateway_link": "host0"},
                    "lan": {"cidr": "192.168.1.0/24", "uplink": "net0"},
                },
                "gateway": {"proxy": {"outside": "lan", "link": "znic0"}, "global": {}},
            }
        )
    )
    found = attach_zone(zone("proxy", nic("znic0"), nic("znic1", index=1)), declared)
    assert [(a.link, a.network.name, a.role, a.to_add) for a in found.attachments] == [
        ("znic0", "lan", "outside", False),
        ("znic1", "back", "inside", False),
    ]
    bare = attach_zone(zone("proxy"), declared)
    assert [(a.link, a.to_add) for a in bare.attachments] == [("znic0", True), ("znic1", True)]
    here = attach_zone(Zone("global", ZoneState.RUNNING, 0), declared)
    assert [(a.link, a.role, str(a.addresses[0])) for a in here.attachments] == [("host0", "inside", "10.3.0.1/24")]
