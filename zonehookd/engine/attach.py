"""Which NIC belongs on which network (contract A2): pure.

The order: a network named by an attribute; else the network whose link is the NIC's `global-nic`; else the longest
prefix that contains the NIC's address; else refused, and never silently the uplink. A NIC that says nothing is
somebody else's business.

The attribute is ``zh.netN`` for the zone's Nth link, counted from 0 in the order of its configuration, and holds the
network's name, then any addresses, then options: ``dmz``, ``dmz 10.1.0.5``, ``dmz 10.1.0.5 mac=2:8:20:1:2:3``.
(Attribute names allow letters, digits, `-` and `.` only: zones sheet 4.5.)
"""

from __future__ import annotations

import difflib
import ipaddress
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from zonehookd.illumos import linkname
from zonehookd.model import subject
from zonehookd.model.attachment import Attachment, Refusal
from zonehookd.model.network import Network
from zonehookd.model.zone import Address, Nic, Zone

ATTRIBUTE = "zh.net"
LINK = "link"
_OURS = re.compile(r"zh[.-]", re.IGNORECASE)  # whatever begins so was meant for us, and is refused if we do not know it


@dataclass(frozen=True, slots=True)
class Attached:
    """One zone's NICs, each placed or refused; `left_alone` names links that ask for nothing."""

    attachments: tuple[Attachment, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    left_alone: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Wish:
    """What an attribute asks for."""

    network: str
    addresses: tuple[str, ...] = ()
    mac: str = ""


class _Refused(Exception):
    def __init__(self, code: str, text: str, *, owner: str = "", hint: str = "") -> None:
        super().__init__(text)
        self.code, self.text, self.owner, self.hint = code, text, owner, hint


def attach_zone(zone: Zone, networks: Mapping[str, Network]) -> Attached:
    """One zone by itself; what clashes with other zones is found by `settle`."""
    if zone.config is None:
        return Attached()
    placed: list[Attachment] = []
    refused: list[Refusal] = []
    alone: list[str] = []
    wishes = {name: text for name, text in zone.config.attrs.items() if _OURS.match(name)}
    for nic in zone.config.nics:
        wish = wishes.pop(f"{ATTRIBUTE}{nic.index}", None)
        try:
            attachment = _place(zone, nic, wish, networks)
        except _Refused as no:
            refused.append(Refusal(subject.zone(zone.name), no.code, nic.link, no.text, no.owner, no.hint))
            continue
        if attachment is None:
            alone.append(nic.link)
        else:
            placed.append(attachment)
    names = [f"{ATTRIBUTE}{number}" for number in range(len(zone.config.nics))]
    known = f"zone {zone.name} may have {' to '.join(dict.fromkeys([*names[:1], *names[-1:]])) or 'none'}"
    for name in wishes:
        what = f"attribute {name} is for no link of the zone"
        way_out = f"{known}; zonecfg -z {zone.name} remove attr name={name}"
        refused.append(Refusal(subject.zone(zone.name), "no-such-nic", name, what, hint=way_out))
    return Attached(tuple(placed), tuple(refused), tuple(alone))


def _place(zone: Zone, nic: Nic, wish: str | None, networks: Mapping[str, Network]) -> Attachment | None:
    assert zone.config is not None
    if nic.malformed:
        raise _Refused("malformed-address", f"{nic.link}: {', '.join(nic.malformed)} is not an address")
    if not zone.config.exclusive:
        if wish is None:
            return None
        raise _Refused(
            "shared-ip",
            f"{nic.link}: zone {zone.name} has ip-type shared, so it has no link of its own to wire",
            hint=f"zonecfg -z {zone.name} set ip-type=exclusive",
        )
    if wish is not None:
        return _by_attribute(zone, nic, _parse_wish(nic, wish), networks)
    by_link = [network for network in networks.values() if nic.global_nic and network.link == nic.global_nic]
    if by_link:
        network = _holding(nic, by_link)
        _check_link(nic)
        _check_addresses(nic, nic.addresses, network)
        return Attachment(zone.name, nic, network, nic.addresses, "global-nic", on_demand=True)
    if not nic.addresses:
        return None
    candidates = [network for network in networks.values() if not network.isolated]
    network = _longest_prefix(nic, nic.addresses, candidates)
    _check_global_nic(zone, nic, network, "the address")
    _check_addresses(nic, nic.addresses, network)
    _check_link(nic)
    # `global-nic=auto` asks the routing table of the global zone, which knows no hidden network: the brand's hook would
    # refuse the boot. It makes nothing when the link is there already (sheet 6.3), so we make it first.
    return Attachment(zone.name, nic, network, nic.addresses, "address")


def _by_attribute(zone: Zone, nic: Nic, wish: _Wish, networks: Mapping[str, Network]) -> Attachment:
    network = networks.get(wish.network)
    if network is None:
        near = difflib.get_close_matches(wish.network, networks, 1)
        raise _Refused(
            "unknown-network",
            f"{nic.link}: there is no network {wish.network!r}",
            hint=f"did you mean {near[0]!r}?" if near else f"declared: {', '.join(sorted(networks)) or 'none'}",
        )
    addresses = (*nic.addresses, *(_wished_address(nic, text, network) for text in wish.addresses))
    _check_addresses(nic, addresses, network)
    _check_link(nic)
    on_demand = bool(nic.global_nic) and nic.global_nic == network.link
    _check_global_nic(zone, nic, network, "the attribute")
    pinned = replace(nic, mac=wish.mac) if wish.mac else nic
    return Attachment(zone.name, pinned, network, tuple(dict.fromkeys(addresses)), "attribute", on_demand=on_demand)


def _check_global_nic(zone: Zone, nic: Nic, network: Network, what: str) -> None:
    """Who names a link means it: never another wire than the admin said."""
    if nic.global_nic not in ("", "auto", network.link):
        raise _Refused(
            "global-nic-differs",
            f"{nic.link}: {what} says network {network.name} (over {network.link}), global-nic says {nic.global_nic}",
            hint=f"zonecfg -z {zone.name} 'select net physical={nic.link}; set global-nic={network.link}; end'",
        )


def _parse_wish(nic: Nic, text: str) -> _Wish:
    words = text.split()
    if not words:
        raise _Refused("malformed-attribute", f"{nic.link}: attribute {ATTRIBUTE}{nic.index} names no network")
    addresses: list[str] = []
    mac = ""
    for word in words[1:]:
        key, equals, value = word.partition("=")
        if not equals:
            addresses.append(word)
        elif key == "mac":
            try:
                mac = linkname.unicast_mac(value)
            except ValueError as problem:
                text = f"{nic.link}: attribute {ATTRIBUTE}{nic.index}: {problem}"
                raise _Refused("malformed-attribute", text, hint="six octets in hex, such as 2:8:20:1:2:3") from problem
        else:
            raise _Refused(
                "malformed-attribute",
                f"{nic.link}: attribute {ATTRIBUTE}{nic.index} has an unknown option {key!r}",
                hint="known: mac",
            )
    return _Wish(words[0], tuple(addresses), mac)


def _wished_address(nic: Nic, text: str, network: Network) -> Address:
    """An address without a length takes that of the network."""
    try:
        if "/" in text:
            return ipaddress.ip_interface(text)
        bare = ipaddress.ip_address(text)
        cidr = next((cidr for cidr in network.cidrs if cidr.version == bare.version), None)
        return ipaddress.ip_interface(f"{bare}/{cidr.prefixlen if cidr else bare.max_prefixlen}")
    except ValueError as problem:
        raise _Refused("malformed-address", f"{nic.link}: {text!r} is not an address") from problem


def _longest_prefix(nic: Nic, addresses: tuple[Address, ...], networks: list[Network]) -> Network:
    best: tuple[int, Network] | None = None
    for address in addresses:
        for network in networks:
            for cidr in network.cidrs:
                if cidr.version == address.version and address.ip in cidr and (not best or cidr.prefixlen > best[0]):
                    best = (cidr.prefixlen, network)
    if best is None:
        raise _Refused(
            "no-network",
            f"{nic.link}: {', '.join(map(str, addresses))} is in no declared network",
            hint="declare one that contains it, or name a network in the attribute "
            f"{ATTRIBUTE}{nic.index}; the link is left as it is",
        )
    return best[1]


def _holding(nic: Nic, networks: list[Network]) -> Network:
    """Several networks may share an uplink: then the address decides."""
    if len(networks) == 1:
        return networks[0]
    return _longest_prefix(nic, nic.addresses, networks)


def _check_addresses(nic: Nic, addresses: tuple[Address, ...], network: Network) -> None:
    for address in addresses:
        if not network.holds(address.ip):
            raise _Refused(
                "outside-network",
                f"{nic.link}: {address.ip} is not in network {network.name} ({', '.join(map(str, network.cidrs))})",
                hint="change the address, or the network",
            )
        for cidr in network.cidrs:
            if address.version == 4 and address.ip in (cidr.network_address, cidr.broadcast_address):
                raise _Refused(
                    "reserved-address",
                    f"{nic.link}: {address.ip} is the network or broadcast address of {cidr}",
                    owner=f"network {network.name}",
                    hint="choose a host address",
                )
        if address.ip in network.gateways:
            raise _Refused(
                "gateway-address",
                f"{nic.link}: {address.ip} is the gateway address of network {network.name}",
                owner=f"network {network.name}",
                hint=f"choose another, or set gateway in [network.{network.name}]",
            )


def _check_link(nic: Nic) -> None:
    if not linkname.legal(nic.link):
        raise _Refused(
            "illegal-link-name",
            f"{nic.link!r} is not a legal link name",
            hint="letters, digits, _ and ., no leading digit, a number without leading zero at the end",
        )


# -- between zones ---------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Site:
    """All zones and networks, with every NIC placed or refused. Built anew by each survey; treat as frozen."""

    networks: Mapping[str, Network]
    zones: Mapping[str, Zone]
    attached: Mapping[str, Attached] = field(default_factory=dict)
    holders: Mapping[str, str] = field(default_factory=dict)  # link -> the zone whose configuration names it
    on_network: Mapping[str, tuple[Attachment, ...]] = field(default_factory=dict)
    claims: Mapping[Claim, str] = field(default_factory=dict)  # who has which link and address

    def of_zone(self, name: str) -> Attached:
        return self.attached.get(name, Attached())


Claim = tuple[str, str]  # ("link", its name), or (lower link, address)


def settle(
    networks: Mapping[str, Network], zones: Mapping[str, Zone], alone: Mapping[str, Attached], held: Mapping[Claim, str]
) -> Site:
    """Refuse the second claim to an address or a link. Who `held` it before keeps it for as long as he asks for it, and
    a zone that cannot be read keeps all it held; then comes a zone that is active, then the first by name. So nobody
    ever takes what another has."""
    claims: dict[Claim, str] = {}
    for claim, owner in held.items():
        zone = zones.get(owner)
        if zone is not None and not zone.absent and zone.trouble:
            claims[claim] = owner
    order = sorted(alone, key=lambda name: (not zones[name].state.in_kernel, name))
    for name in order:
        for attachment in alone[name].attachments:
            claims.update({claim: name for claim in _keys(attachment) if held.get(claim) == name})
    attached: dict[str, Attached] = {}
    for name in order:
        kept: list[Attachment] = []
        refused = list(alone[name].refusals)
        for attachment in alone[name].attachments:
            clash = _clash(attachment, claims)
            if clash:
                refused.append(clash)
                continue
            kept.append(attachment)
            for claim in _keys(attachment):
                claims[claim] = name
        if len(kept) == len(alone[name].attachments):
            attached[name] = alone[name]
        else:
            attached[name] = Attached(tuple(kept), tuple(refused), alone[name].left_alone)
    on_network: dict[str, list[Attachment]] = {}
    for each in attached.values():
        for attachment in each.attachments:
            on_network.setdefault(attachment.network.name, []).append(attachment)
    holders = {nic.link: name for name in reversed(order) if (it := zones[name].config) for nic in it.nics}
    holders.update({thing: name for (place, thing), name in claims.items() if place == LINK})
    return Site(networks, zones, attached, holders, {name: tuple(every) for name, every in on_network.items()}, claims)


def _keys(attachment: Attachment) -> Iterator[Claim]:
    yield (LINK, attachment.link)
    for address in attachment.addresses:
        yield (attachment.network.link, str(address.ip))


def _clash(attachment: Attachment, claims: Mapping[Claim, str]) -> Refusal | None:
    for place, thing in _keys(attachment):
        owner = claims.get((place, thing))
        if owner is None or owner == attachment.zone:
            continue
        if place == LINK:
            text, code = f"{thing}: the link belongs to zone {owner}", "link-taken"
            hint = f"link names are unique over the host: give zone {attachment.zone} another"
        else:
            text = f"{attachment.link}: {thing} on network {attachment.network.name} belongs to zone {owner}"
            code, hint = "address-taken", f"give one of zones {owner} and {attachment.zone} another address"
        return Refusal(subject.zone(attachment.zone), code, thing, text, f"zone {owner}", hint)
    return None
