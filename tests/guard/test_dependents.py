"""Who depends on a gateway (contract A10), case by case: pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any

import pytest

from zonehookd.config import Config
from zonehookd.declaration import declare
from zonehookd.engine.attach import attach_zone
from zonehookd.engine.dependents import dependents
from zonehookd.engine.site import Site, settle
from zonehookd.errors import ConfigError
from zonehookd.model import subject
from zonehookd.model.gateway import Declaration
from zonehookd.model.record import PERMIT, Record, permitted
from zonehookd.model.zone import Nic, Zone, ZoneConfig, ZoneState

NETWORKS: dict[str, Any] = {
    "wan": {"cidr": "192.0.2.0/24", "uplink": "net0", "gateway": "192.0.2.1"},
    "web": {"cidr": ["10.99.0.0/24", "fd00:99::/64"], "via": "edge"},
    "db": {"cidr": "10.98.0.0/24", "via": "edge"},
    "deep": {"cidr": "10.97.0.0/24", "via": "inner"},
    "deeper": {"cidr": "10.96.0.0/24", "via": "innermost"},
    "free": {"cidr": "10.95.0.0/24"},
}
GATEWAYS: dict[str, Any] = {
    "edge": {"outside": "wan", "address": "192.0.2.10"},
    "inner": {"outside": "web", "address": "10.99.0.9"},
    "innermost": {"outside": "deep", "address": "10.97.0.9", "nat": False},
}


def declared(**more: Any) -> Declaration:
    return declare(Config.model_validate({"network": NETWORKS, "gateway": GATEWAYS, **more}))


DECLARED = declared()


def zone(
    name: str, *addresses: str, state: ZoneState = ZoneState.INSTALLED, exclusive: bool = True, **attrs: str
) -> Zone:
    """A NIC per address; an empty one brings none. `attrs`: `zh_net0` stands for zh.net0."""
    nics = tuple(
        Nic(f"{name}_{number}", number, (ipaddress.ip_interface(address),) if address else ())
        for number, address in enumerate(addresses)
    )
    wishes = {key.replace("_", ".", 1): text for key, text in attrs.items()}
    return Zone(name, state, uuid="", zonepath=f"/zones/{name}", config=ZoneConfig("sparse", exclusive, nics, wishes))


def site(*zones: Zone, by: Declaration = DECLARED) -> Site:
    table = {each.name: each for each in zones}
    return settle(by, table, {name: attach_zone(each, by) for name, each in table.items()}, {}, {}, 0.0)


def found(at: Site, gateway: str = "edge", on_link: Mapping[str, set[str]] | None = None, **more: Any) -> list[str]:
    """``NETWORK/ZONE how`` of each, with ``through GATEWAY`` where it is behind another one."""
    every = dependents(at, gateway, on_link or {}, **more)
    return [f"{e.network}/{e.zone} {e.how}{f' through {e.through}' if e.through else ''}" for e in every]


# -- how a zone is attached


@pytest.mark.parametrize(
    "one, how",
    [
        (zone("z", "10.99.0.5/24"), "address"),
        (zone("z", "10.99.0.5/32"), "address"),
        (zone("z", "fd00:99::5/64"), "address"),
        (zone("z", "", zh_net0="web"), "attribute"),
        (zone("z", "", zh_net0="web 10.99.0.5"), "attribute"),
        (zone("z", "", zh_net0="web fd00:99::5"), "attribute"),
    ],
)
def test_by_address_or_attribute(one: Zone, how: str) -> None:
    assert found(site(one)) == [f"web/z {how}"]


def test_by_global_nic() -> None:
    nic = Nic("z_0", 0, global_nic="web0")
    assert found(site(Zone("z", ZoneState.CONFIGURED, config=ZoneConfig("lipkg", True, (nic,))))) == [
        "web/z global-nic"
    ]


def test_by_a_link_on_the_etherstub_whatever_the_configuration_says() -> None:
    assert found(site(zone("z", "")), on_link={"web0": {"z"}}) == ["web/z link"]
    assert found(site(zone("z", "10.95.0.5/24")), on_link={"web0": {"z"}}) == ["web/z link"]
    assert found(site(zone("z", "10.99.0.5/24")), on_link={"web0": {"z"}}) == ["web/z address"], "once is enough"
    assert found(site(zone("z", "")), on_link={"free0": {"z"}, "net0": {"z"}}) == [], "no network of the gateway's"
    shared = zone("z", "", exclusive=False)
    assert found(site(shared), on_link={"web0": {"z"}}) == ["web/z link"]


@pytest.mark.parametrize("state", [each for each in ZoneState if each is not ZoneState.ABSENT])
def test_running_or_not(state: ZoneState) -> None:
    (one,) = dependents(site(zone("z", "10.99.0.5/24", state=state)), "edge")
    assert one.state == state.value


def test_who_is_elsewhere_or_refused_does_not_depend() -> None:
    elsewhere = zone("a", "10.95.0.5/24"), zone("b", "192.0.2.20/24"), zone("c", ""), zone("d")
    assert found(site(*elsewhere)) == []
    refused = zone("e", "10.99.0.1/24"), zone("f", "10.99.0.255/24"), zone("g", "", zh_net0="wab")
    at = site(*refused)
    assert all(at.of_zone(name).refusals for name in "efg") and found(at) == []


def test_the_second_who_asks_for_an_address_is_refused_and_has_nothing_to_lose() -> None:
    assert found(site(zone("a", "10.99.0.5/24"), zone("b", "10.99.0.5/24"))) == ["web/a address"]


def test_two_networks_are_two_lines() -> None:
    at = site(zone("z", "10.99.0.5/24", "10.98.0.5/24"), zone("y", "10.98.0.6/24", "10.95.0.6/24"))
    assert found(at) == ["db/y address", "db/z address", "web/z address"]


def test_only_the_gateway_itself_is_on_its_networks() -> None:
    at = site(zone("edge"))
    assert {each.zone for each in at.on_network["web"]} == {"edge"}
    assert found(at, on_link={"web0": {"edge", "global"}, "db0": {"edge"}}) == []


def test_who_is_no_gateway_has_no_dependents() -> None:
    at = site(zone("z", "10.99.0.5/24"), zone("edge"))
    assert found(at, "z") == [] and found(at, "nobody") == []


# -- gateways further in


def test_zones_behind_gateways_further_in_translated_or_not() -> None:
    at = site(*(zone(name) for name in GATEWAYS), zone("db1", "10.97.0.5/24"), zone("old", "10.96.0.5/24"))
    assert found(at) == [
        "deep/db1 address through inner",
        "deep/innermost gateway through inner",
        "deeper/old address through innermost",
        "web/inner gateway",
    ]
    assert found(at, "inner") == ["deep/db1 address", "deep/innermost gateway", "deeper/old address through innermost"]
    assert found(at, "innermost") == ["deeper/old address"]
    assert found(at, on_link={"deeper0": {"db1"}})[2] == "deeper/db1 link through innermost"


def test_behind_a_gateway_that_is_not_there_nobody_depends() -> None:
    behind = zone("db1", "10.97.0.5/24"), zone("old", "10.96.0.5/24")
    assert found(site(zone("edge"), *behind)) == [], "the inner gateway is not configured"
    absent = Zone("inner", ZoneState.ABSENT)
    assert found(site(zone("edge"), absent, *behind)) == []
    at = site(zone("edge"), zone("inner"), *behind)
    assert found(at) == ["deep/db1 address through inner", "web/inner gateway"], "the one in between is"
    assert found(at, gone={"inner"}) == [], "missing from the index now"


def test_an_inner_gateway_that_cannot_be_read_is_there() -> None:
    blind = Zone("inner", ZoneState.UNKNOWN, trouble="cannot read it")
    assert found(site(blind, zone("db1", "10.97.0.5/24"))) == ["deep/db1 address through inner"]


def test_the_gateway_may_be_behind_its_own_inner_one() -> None:
    """A zone has a NIC wherever somebody configures one; nobody depends on himself."""
    at = site(zone("edge", "10.97.0.5/24"), zone("inner"))
    assert found(at) == ["web/inner gateway"]
    assert found(at, "inner") == ["deep/edge address"]


def test_the_global_zone_is_never_a_dependent_nor_further_in() -> None:
    with pytest.raises(ConfigError, match="goes out by an uplink"):
        declared(gateway={**GATEWAYS, "global": {"outside": "web"}})
    tables = {**NETWORKS, "lab": {"cidr": "10.90.0.0/24", "via": "global"}}
    by = declared(network=tables, gateway={**GATEWAYS, "global": {"outside": "wan"}})
    at = site(Zone("global", ZoneState.RUNNING, 0), zone("z", "10.90.0.5/24"), by=by)
    assert found(at, "global") == ["lab/z address"]
    assert found(at, on_link={"web0": {"global"}}) == []


def test_zones_that_are_set_up_depend_on_the_host_alone() -> None:
    by = declared(provisioning={"provision": {"outside": "wan"}}, gateway={**GATEWAYS, "global": {"outside": "wan"}})
    at = site(zone("z", zh_provision="provision"), zone("edge"), by=by)
    assert found(at, "global") == ["provision/z provisioning"] and found(at) == []


# -- who says that it does not


@pytest.mark.parametrize("said", ["no", "No", " NO ", "false", "off", "0"])
def test_a_zone_may_say_that_it_does_not_depend(said: str) -> None:
    at = site(zone("z", "10.99.0.5/24", zh_depends=said))
    assert found(at) == [] and found(at, on_link={"web0": {"z"}}) == []


@pytest.mark.parametrize("said", ["yes", "true", "1", "", "perhaps", "no!", "n o", "nein"])
def test_whatever_else_it_says_it_depends(said: str) -> None:
    one = zone("z", "10.99.0.5/24", zh_depends=said)
    assert found(site(one)) == ["web/z address"]
    codes = [each.code for each in attach_zone(one, DECLARED).refusals]
    assert codes == ([] if said in ("yes", "true", "1", "") else ["malformed-attribute"]), "and is told so"


def test_an_inner_gateway_that_does_not_depend_speaks_for_itself_alone() -> None:
    at = site(zone("inner", zh_depends="no"), zone("db1", "10.97.0.5/24"))
    assert found(at) == ["deep/db1 address through inner"]


def test_who_cannot_be_read_depends_until_somebody_has_read_otherwise() -> None:
    blind = Zone("z", ZoneState.UNKNOWN, trouble="cannot read it")
    assert blind.depends and not Zone("z", ZoneState.ABSENT).depends
    assert found(site(blind)) == [], "where it is attached cannot be told; that is said with another word"
    assert found(site(blind), on_link={"web0": {"z"}}) == ["web/z link"]


# -- who is gone


def test_who_is_gone_never_blocks() -> None:
    at = site(zone("z", "10.99.0.5/24"), Zone("y", ZoneState.ABSENT), zone("inner"), zone("db1", "10.97.0.5/24"))
    late = {"web0": {"z", "y", "never"}}
    assert found(at, on_link=late, gone={"z"})[-1] == "web/inner gateway"
    assert found(at, on_link=late, gone={"z", "inner", "db1"}) == []


def test_a_gateway_that_has_vanished_is_still_depended_on() -> None:
    lost = Zone("edge", ZoneState.UNKNOWN, trouble="its configuration was deleted", vanished=True)
    at = site(lost, zone("z", "10.99.0.5/24"))
    assert found(at) == found(at, gone={"edge"}) == ["web/z address"]


def test_who_is_refused_only_because_of_a_zone_that_is_gone_depends() -> None:
    """One was renamed: the link and the address are still called the former one's."""
    before, after = zone("old", "10.99.0.5/24"), zone("new", "10.99.0.5/24")
    at = settle(
        DECLARED,
        {"old": before, "new": after},
        {each.name: attach_zone(each, DECLARED) for each in (before, after)},
        {("web0", "10.99.0.5"): "old"},
        {},
        0.0,
    )
    assert found(at) == ["web/old address"]
    refused = attach_zone(after, DECLARED).attachments
    assert found(at, gone={"old"}, refused=refused) == ["web/new address"]


def test_ten_thousand_are_found_at_once() -> None:
    tables = {**NETWORKS, "web": {"cidr": "10.0.0.0/16", "via": "edge"}}
    by = declared(network=tables, gateway={"edge": GATEWAYS["edge"], "inner": {"outside": "web"},
                                           "innermost": GATEWAYS["innermost"]})  # fmt: skip
    at = site(*(zone(f"z{n}", f"10.0.{n // 250 + 1}.{n % 250 + 1}/16") for n in range(10_000)), by=by)
    assert len(found(at, on_link={"web0": {f"z{n}" for n in range(10_000)}})) == 10_000


def test_a_permit_is_valid_to_the_second_it_names() -> None:
    permit = Record(PERMIT, "edge", subject.gateway("edge"), "guard", {"until": "1000", "reason": "x", "cut": ""})
    assert permitted(permit, 999.9) and not permitted(permit, 1000.0) and not permitted(None, 0.0)
    day_s = 86_400.0
    assert permitted(permit, 1000.0 - day_s) and not permitted(permit, 990.0 - day_s), "no permit is for longer"
