"""Hoster's `network_config.json`, and the `vm_config.json` of its machines where given.

An array of objects; `bridge_interface` "None" is an internal network, everything else a physical link (Hoster's
"Basic Concepts"). Hoster has no DHCP, and the host translates and answers names for internal networks.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterable, Mapping
from typing import Any

from zonehookd.errors import ConfigError
from zonehookd.illumos import linkname
from zonehookd.importing.document import Document, Table, Uplink, attribute, holds, network_name, zone_link
from zonehookd.model.gateway import GLOBAL

_TYPES: Mapping[str, type] = {
    "network_name": str,
    "network_gateway": str,
    "network_subnet": str,
    "network_range_start": str,
    "network_range_end": str,
    "bridge_interface": str,
    "apply_bridge_address": bool,
    "comment": str,
}
_NEEDED = ("network_name", "network_gateway", "network_subnet", "bridge_interface")
_NIC = ("network_bridge", "network_mac", "ip_address", "comment", "network_adaptor_type")


def from_hoster(
    text: str,
    source: str,
    *,
    machines: Iterable[tuple[str, str]] = (),
    links: Mapping[str, str] | None = None,
    uplink: Uplink | None = None,
) -> Document:
    """`machines`: (name, text of its vm_config.json). `links`: FreeBSD's name of a link -> the one it has here.

    Raises ConfigError for what is no such file, or cannot be declared.
    """
    document = Document(source)
    names: dict[str, str] = {}  # Hoster's name of a network -> ours
    for number, entry in enumerate(_array(text, source)):
        _network(document, f"{source}[{number}]", entry, names, links or {})
    behind = [table for table in document.networks.values() if table.values.get("via") == GLOBAL]
    if behind:
        way_out = document.way_out(uplink)
        document.gateways[GLOBAL] = Table({"outside": way_out} if way_out else {})
        document.gateways[GLOBAL].comments.append("The host itself: gateway, NAT and names of the internal networks.")
        if way_out is None:
            document.gateways[GLOBAL].comments.append("No way out was given, so nothing is translated yet: --uplink.")
    elif uplink is not None:
        document.way_out(uplink)
    for name, config in machines:
        _machine(document, name, config, names)
    return document


def _array(text: str, source: str) -> list[dict[str, Any]]:
    try:
        found = json.loads(text)
    except ValueError as problem:
        raise ConfigError(f"{source}: not JSON: {problem}") from problem
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise ConfigError(f"{source}: expected an array of networks, such as Hoster's network_config.json")
    return found


def _network(
    document: Document, where: str, entry: dict[str, Any], names: dict[str, str], links: Mapping[str, str]
) -> None:
    for key, kind in _TYPES.items():
        if key in _NEEDED and not entry.get(key):
            raise ConfigError(f"{where}.{key}: missing")
        if key in entry and not isinstance(entry[key], kind):
            raise ConfigError(f"{where}.{key}: expected a {kind.__name__}, found {entry[key]!r}")
    given = entry["network_name"]
    if given in names:
        raise ConfigError(f"{where}.network_name: there are two networks {given!r}")
    name = names[given] = network_name(given, document.networks)
    if name != given:
        document.lost.append(f"{where}.network_name = {given!r}: no name a network may have here; it is {name!r}")
    for key in entry.keys() - _TYPES.keys():
        document.lost.append(f"{where}.{key} = {entry[key]!r}: a field we do not know")
    table = document.networks[name] = Table()
    if entry.get("comment"):
        table.comments.append(entry["comment"])
    values = table.values
    values["cidr"] = cidr = _subnet(document, where, entry["network_subnet"])
    bridge, applied = entry["bridge_interface"], entry.get("apply_bridge_address", False)
    if bridge.lower() == "none":
        values["gateway"] = entry["network_gateway"]
        if applied:
            values["via"] = GLOBAL
        else:
            table.comments.append("apply_bridge_address is false: the host has no address here, so it has no gateway.")
    else:
        _external(document, where, table, links.get(bridge, bridge), entry)
        if bridge in links:
            table.comments.append(f"bridge_interface was {bridge}.")
    _range(document, where, values, entry, cidr)


def _external(document: Document, where: str, table: Table, link: str, entry: Mapping[str, Any]) -> None:
    if not linkname.legal(link):
        raise ConfigError(
            f"{where}.bridge_interface: {link!r} cannot be the name of a link on illumos",
            hint=f"give the one it has here: --link {entry['bridge_interface']}=LINK",
        )
    table.values["uplink"] = link
    table.values["gateway"] = entry["network_gateway"]
    table.values["dhcp"] = False
    if entry.get("apply_bridge_address", False):
        document.lost.append(
            f"{where}.apply_bridge_address = true: on an external network somebody else has the gateway address; "
            f"if it is this host, give {link} the address with ipadm"
        )


def _subnet(document: Document, where: str, text: str) -> str:
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError as problem:
        raise ConfigError(f"{where}.network_subnet: expected a CIDR, found {text!r}") from problem
    if str(network) != text:
        document.stays.append(f"{where}.network_subnet = {text!r}: is written as {network}, which is the same network")
    return str(network)


def _range(document: Document, where: str, values: dict[str, Any], entry: Mapping[str, Any], cidr: str) -> None:
    first, last = entry.get("network_range_start", ""), entry.get("network_range_end", "")
    if first and last:
        values["pool"] = [f"{first}-{last}"]
        return
    values["pool"] = []
    for key in ("network_range_start", "network_range_end"):
        if entry.get(key):
            document.lost.append(f"{where}.{key} = {entry[key]!r}: half a range of {cidr}; no pool without the other")


def _machine(document: Document, name: str, text: str, names: Mapping[str, str]) -> None:
    where = f"machine {name}"
    try:
        config = json.loads(text)
    except ValueError as problem:
        raise ConfigError(f"{where}: not JSON: {problem}") from problem
    nics = config.get("networks", []) if isinstance(config, dict) else None
    if not isinstance(nics, list) or not all(isinstance(each, dict) for each in nics):
        raise ConfigError(f"{where}: expected Hoster's vm_config.json")
    if others := sorted(config.keys() - {"networks"}):
        document.stays.append(f"{where}: {', '.join(others)}: of the machine, not of its network")
    for index, nic in enumerate(nics):
        here = f"{where}.networks[{index}]"
        bridge = str(nic.get("network_bridge", ""))
        network = names.get(bridge) or names.get(bridge.removeprefix("vm-"))
        if network is None:
            document.lost.append(f"{here}.network_bridge = {bridge!r}: there is no such network in {document.source}")
            continue
        document.zones.append(_wish(document, here, name, index, nic, network))
        for key in nic.keys() - {"network_bridge", "network_mac", "ip_address"}:
            why = "the brand of the zone decides" if key in _NIC else "a field we do not know"
            kept = document.stays if key in _NIC else document.lost
            if nic[key]:
                kept.append(f"{here}.{key} = {nic[key]!r}: {why}")


def _wish(document: Document, here: str, name: str, index: int, nic: Mapping[str, Any], network: str) -> str:
    """The command that gives the zone this NIC; its address is kept for it until the zone is there."""
    wish = [network]
    values = document.networks[network].values
    address = str(nic.get("ip_address", ""))
    if address and holds(values["cidr"], address):
        wish.append(address)
        values.setdefault("exclude", []).append(address)
    elif address:
        document.lost.append(f"{here}.ip_address = {address!r}: is not in network {network}, {values['cidr']}")
    mac = str(nic.get("network_mac", ""))
    try:
        wish += [f"mac={linkname.unicast_mac(mac)}"] if mac else []
    except ValueError:
        document.lost.append(f"{here}.network_mac = {mac!r}: no MAC address that a link may have")
    return f"{name}: {attribute(name, index, zone_link(name, index), ' '.join(wish))}"
