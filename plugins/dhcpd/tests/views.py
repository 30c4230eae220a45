"""A gateway and its networks by few words, for the tests of this plugin."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from ipaddress import IPv4Address

from zonehookd.config import Config
from zonehookd.declaration import declare
from zonehookd.model.attachment import Attachment
from zonehookd.model.network import Network
from zonehookd.model.zone import Nic, Zone, ZoneState
from zonehookd.plugin import GatewayView


def gateway(networks: Mapping[str, object], name: str = "gw", **how: object) -> GatewayView:
    """A gateway with these networks, nobody on them yet."""
    tables = {
        key: {"via": name, **(each if isinstance(each, dict) else {"cidr": each})} for key, each in networks.items()
    }
    declared = declare(Config.model_validate({"network": tables, "gateway": {name: {"dhcp": "dhcpd", **how}}}))
    return GatewayView(name, declared.gateways[name], Zone(name, ZoneState.RUNNING), zones={})


def member(view: GatewayView, zone: str, network: str, address: str, *, primary: bool = True, link: str = "",
           state: ZoneState = ZoneState.RUNNING) -> None:  # fmt: skip
    """Puts a zone's NIC on a network of the gateway."""
    assert view.gateway is not None
    there: Network = view.gateway.networks[network]
    nic = Nic(link or f"{zone.lower()}_0", 0)
    attachment = Attachment(zone, nic, there, (ipaddress.ip_interface(address),), "address", primary=primary)
    members, zones = dict(view.members), dict(view.zones)
    members[network] = (*members.get(network, ()), attachment)
    zones[zone] = Zone(zone, state)
    object.__setattr__(view, "members", members)
    object.__setattr__(view, "zones", zones)


def macs(view: GatewayView) -> dict[str, str]:
    """A MAC for each NIC, counted up in the order of the links."""
    links = sorted(each.link for every in view.members.values() for each in every)
    return {link: f"02:08:20:00:00:{number:02x}" for number, link in enumerate(links, start=1)}


def up(view: GatewayView, *without: str) -> dict[IPv4Address, str]:
    """The inner sides of all its networks but `without`."""
    assert view.gateway is not None
    return {
        router: f"{name}_gw0"
        for name, each in view.gateway.networks.items()
        if name not in without and isinstance(router := each.gateway(4), IPv4Address)
    }
