"""Who gets which IPv4 address by DHCP: one reservation per NIC behind a gateway, whatever server serves it. Pure.

A reservation is there from the moment a zone is configured until it is gone, so before the zone's first DISCOVER.
Conflicts are refused with the owner named, and the later one alone is left out.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from ipaddress import IPv4Address

from zonehookd.model import dhcp_option
from zonehookd.model.attachment import Attachment
from zonehookd.model.network import Network
from zonehookd.model.plan import Note
from zonehookd.plugin.contract import GatewayView

_FOREIGN = re.compile(r"[^a-z0-9]+")
_LABEL_MAX = 63


@dataclass(frozen=True, slots=True)
class Reservation:
    """`mac` padded, lower case. `name`: what the client is told it is called, "" for nothing. `router`: whether it is
    told one; for any other NIC than that with the default route, option 3 must be absent on the wire. `options`: what
    this zone alone is told, instead of what its network is."""

    network: str
    zone: str
    link: str
    mac: str
    address: IPv4Address
    name: str = ""
    router: bool = False
    options: tuple[dhcp_option.Option, ...] = ()


def host_name(zone: str) -> str:
    """A valid host name for any name of a zone: lower case letters, digits and single hyphens within."""
    return _FOREIGN.sub("-", zone.lower())[:_LABEL_MAX].strip("-")


def reservations(
    view: GatewayView, networks: Collection[Network], macs: Mapping[str, str]
) -> tuple[tuple[Reservation, ...], tuple[Note, ...]]:
    """Those of every member of `networks`, by network and link, and what is refused. `macs`: link -> expected MAC.

    A zone that runs comes before one that does not, then the name decides: so a newcomer takes nothing from anybody.
    """
    found: list[Reservation] = []
    notes: list[Note] = []
    owners: dict[str, Reservation] = {}  # a MAC or an address -> who has it
    named: dict[str, str] = {}  # host name -> zone
    wanted = [(network, each) for network in networks for each in view.members.get(network.name, ())]
    for network, each in sorted(wanted, key=lambda one: _order(view, one[1])):
        one = _reservation(network, each, macs, notes)
        if one is None:
            continue
        refused = _refused(network, one, owners)
        if refused is not None:
            notes.append(refused)
            continue
        owner = named.setdefault(one.name, one.zone)
        if owner != one.zone:
            text = f"{one.link}: the host name {one.name} of zone {one.zone} is that of zone {owner}, and is not given"
            notes.append(Note("refused", text, "duplicate-name", one.link, "rename one of the two zones"))
            one = replace(one, name="")
        owners[one.mac] = owners[str(one.address)] = one
        found.append(one)
    return tuple(sorted(found, key=lambda one: (one.network, one.link))), tuple(notes)


def _order(view: GatewayView, attachment: Attachment) -> tuple[bool, str, str]:
    zone = view.zones.get(attachment.zone)
    return zone is None or not zone.state.in_kernel, attachment.zone, attachment.link


def _reservation(network: Network, each: Attachment, macs: Mapping[str, str], notes: list[Note]) -> Reservation | None:
    cidr = network.cidr(4)
    inside = [one.ip for one in each.addresses if cidr is not None and one.version == 4 and one.ip in cidr]
    mac = macs.get(each.link, "")
    if not inside or not mac:
        return None
    address = inside[0]
    assert isinstance(address, IPv4Address)
    options, faults = dhcp_option.options(network.dhcp.zones.get(each.zone, {}) if network.dhcp else {})
    for fault in faults:
        hint = f"see [network.{network.name}.dhcp.zones.{each.zone}]"
        notes.append(Note("refused", f"DHCP for zone {each.zone}: {fault}", "bad-option", each.link, hint))
    return Reservation(network.name, each.zone, each.link, mac, address, host_name(each.zone), each.primary, options)


def _refused(network: Network, one: Reservation, owners: Mapping[str, Reservation]) -> Note | None:
    held = network.dhcp.dynamic if network.dhcp else ()
    for dynamic in held:
        if one.address in dynamic:
            text = f"{one.link}: {one.address} of zone {one.zone} lies in {dynamic}, which strangers are served from"
            hint = f"give it an address outside [network.{network.name}.dhcp] dynamic"
            return Note("refused", text, "in-dynamic-range", one.link, hint)
    for thing, code in ((one.mac, "duplicate-mac"), (str(one.address), "duplicate-address")):
        owner = owners.get(thing)
        if owner is not None:
            what = "MAC" if code == "duplicate-mac" else "address"
            text = f"{one.link}: {what} {thing} of zone {one.zone} is that of {owner.link} of zone {owner.zone}"
            return Note("refused", text, code, one.link, "give one of the two another")
    return None
