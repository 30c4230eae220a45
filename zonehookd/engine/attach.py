"""Which NIC belongs on which network (contract A2): pure.

The order: a network named by an attribute; else the network whose link is the NIC's `global-nic`; else the longest
prefix that contains the NIC's address; else refused, and never silently the uplink. A NIC that says nothing is
somebody else's business.

The attribute is ``zh.netN`` for the zone's Nth link, counted from 0 in the order of its configuration, and holds the
network's name, then any addresses, then options: ``dmz``, ``dmz 10.1.0.5``, ``dmz 10.1.0.5 mac=2:8:20:1:2:3``,
``dmz primary`` (the default route goes by this NIC; by the first one that has a gateway unless told otherwise).
(Attribute names allow letters, digits, `-` and `.` only: zones sheet 4.5.)

While a zone is set up it may have one NIC more, on a provisioning network: ``zh.provision`` names the network, and
``zh.provisioned`` (``yes``) says that it is done. The NIC then leaves with the zone's next power cycle.
``zh.depends`` (``no``) lets the zone's gateway go without asking after it. ``zh.route…``: see offers.py.

A declared gateway zone has a NIC on each of its networks and one on its outer side. Those that its configuration does
not name are added to it: nobody has to write them.
"""

from __future__ import annotations

import difflib
import ipaddress
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from zonehookd.engine.offers import offered
from zonehookd.illumos import linkname
from zonehookd.model import subject
from zonehookd.model.attachment import Attachment, Refusal
from zonehookd.model.gateway import GLOBAL, Declaration, Gateway
from zonehookd.model.network import Ip, Network
from zonehookd.model.route import Offer
from zonehookd.model.zone import DEPENDS, NO, Address, Nic, Zone

ATTRIBUTE = "zh.net"
PROVISION, PROVISIONED = "zh.provision", "zh.provisioned"
_YES = ("yes", "true", "on", "1")
_OURS = re.compile(r"zh[.-]", re.IGNORECASE)  # whatever begins so was meant for us, and is refused if we do not know it


@dataclass(frozen=True, slots=True)
class Attached:
    """One zone's NICs, each placed or refused; `left_alone` names links that ask for nothing."""

    attachments: tuple[Attachment, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    left_alone: tuple[str, ...] = ()
    offers: tuple[Offer, ...] = ()


@dataclass(frozen=True, slots=True)
class _Wish:
    """What an attribute asks for."""

    network: str
    addresses: tuple[str, ...] = ()
    mac: str = ""
    primary: bool = False


class _Refused(Exception):
    def __init__(self, code: str, text: str, *, owner: str = "", hint: str = "") -> None:
        super().__init__(text)
        self.code, self.text, self.owner, self.hint = code, text, owner, hint


def attach_zone(zone: Zone, declared: Declaration) -> Attached:
    """One zone by itself; what clashes with other zones is found by `site.settle`."""
    gateway = declared.gateways.get(zone.name)
    if zone.config is None:
        return Attached(tuple(_inner_of_global(gateway))) if gateway and zone.name == GLOBAL else Attached()
    placed: list[Attachment] = []
    refused: list[Refusal] = []
    alone: list[str] = []
    wishes = {name: text for name, text in zone.config.attrs.items() if _OURS.match(name)}
    transport = _transport(zone, wishes, declared, refused)
    _check_depends(zone, wishes.pop(DEPENDS, ""), refused)
    offers = offered(zone.name, wishes, refused)
    for nic in zone.config.nics:
        if transport is not None and nic.link == transport.link:
            continue
        wish = wishes.pop(f"{ATTRIBUTE}{nic.index}", None)
        try:
            attachment = _place(zone, nic, wish, declared)
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
        if name.lower().startswith("zh.route"):
            what, known = f"attribute {name} is none of ours", "zh.route, zh.route0 to zh.route999, or zh.route.NAME"
        way_out = f"{known}; zonecfg -z {zone.name} remove attr name={name}"
        refused.append(Refusal(subject.zone(zone.name), "no-such-nic", name, what, hint=way_out))
    if transport is not None and not any(each.network is transport.network for each in placed):
        placed.append(transport)
    if gateway is not None:
        try:
            placed += _missing_sides(zone, gateway, placed, refused)
        except _Refused as no:
            refused.append(Refusal(subject.zone(zone.name), no.code, zone.name, no.text, no.owner, no.hint))
    return Attached(tuple(_with_primary(placed)), tuple(refused), tuple(alone), offers)


def _place(zone: Zone, nic: Nic, wish: str | None, declared: Declaration) -> Attachment | None:
    assert zone.config is not None
    networks, gateway = declared.networks, declared.gateways.get(zone.name)
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
        return _by_attribute(zone, nic, _parse_wish(nic, wish), networks, gateway)
    for network in _sides(gateway):
        if gateway and nic.link == side_link(gateway, network):  # we have added it
            return _side(Attachment(zone.name, nic, network, nic.addresses, "gateway"), gateway)
    by_link = [network for network in networks.values() if nic.global_nic and network.link == nic.global_nic]
    if by_link:
        network = _holding(nic, by_link)
        _check_link(nic)
        _check_addresses(nic, nic.addresses, network, gateway)
        return _side(Attachment(zone.name, nic, network, nic.addresses, "global-nic", on_demand=True), gateway)
    if not nic.addresses:
        return None
    candidates = [network for network in networks.values() if not network.isolated]
    network = _longest_prefix(nic, nic.addresses, candidates)
    _check_global_nic(zone, nic, network, "the address")
    _check_addresses(nic, nic.addresses, network, gateway)
    _check_link(nic)
    # `global-nic=auto` asks the routing table of the global zone, which knows no hidden network: the brand's hook would
    # refuse the boot. It makes nothing when the link is there already (sheet 6.3), so we make it first.
    return _side(Attachment(zone.name, nic, network, nic.addresses, "address"), gateway)


def _by_attribute(
    zone: Zone, nic: Nic, wish: _Wish, networks: Mapping[str, Network], gateway: Gateway | None
) -> Attachment:
    network = networks.get(wish.network)
    if network is None:
        near = difflib.get_close_matches(wish.network, networks, 1)
        raise _Refused(
            "unknown-network",
            f"{nic.link}: there is no network {wish.network!r}",
            hint=f"did you mean {near[0]!r}?" if near else f"declared: {', '.join(sorted(networks)) or 'none'}",
        )
    addresses = (*nic.addresses, *(_wished_address(nic, text, network) for text in wish.addresses))
    _check_addresses(nic, addresses, network, gateway)
    _check_link(nic)
    on_demand = bool(nic.global_nic) and nic.global_nic == network.link
    _check_global_nic(zone, nic, network, "the attribute")
    pinned = replace(nic, mac=wish.mac) if wish.mac else nic
    placed = Attachment(zone.name, pinned, network, tuple(dict.fromkeys(addresses)), "attribute", on_demand=on_demand)
    return _side(replace(placed, primary=wish.primary), gateway)


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
    mac, primary = "", False
    for word in words[1:]:
        key, equals, value = word.partition("=")
        if word == "primary":
            primary = True
        elif not equals:
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
    return _Wish(words[0], tuple(addresses), mac, primary)


def _wished_address(nic: Nic, text: str, network: Network) -> Address:
    """An address without a length takes that of the network."""
    try:
        if "/" in text:
            given = ipaddress.ip_interface(text)
            own = network.cidr(given.version)
            if own is not None and given.network.prefixlen not in (own.prefixlen, given.max_prefixlen):
                raise _Refused(
                    "prefix-differs",
                    f"{nic.link}: {text} has another prefix length than network {network.name} ({own})",
                    hint=f"leave it out, or write {given.ip}/{own.prefixlen}",
                )
            return given
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


def _check_addresses(
    nic: Nic, addresses: tuple[Address, ...], network: Network, gateway: Gateway | None = None
) -> None:
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
        if address.ip in network.gateways and (gateway is None or network.name not in gateway.networks):
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


def _transport(zone: Zone, wishes: dict[str, str], declared: Declaration, refused: list[Refusal]) -> Attachment | None:
    """The NIC by which a zone is set up. Once the zone is marked as set up, whoever knows our books must drop it."""
    assert zone.config is not None
    name, done = wishes.pop(PROVISION, "").strip(), wishes.pop(PROVISIONED, "").strip().lower()
    no: tuple[str, str, str, str] | None = None
    if done not in (*_YES, *NO):
        no = ("malformed-attribute", PROVISIONED, f"attribute {PROVISIONED} is {done!r}", "yes or no")
    elif name and name not in declared.provisioning and done not in _YES:
        hint = f"declared: {', '.join(declared.provisioning) or 'none'}; zonehookctl provisioning setup {name}"
        no = ("unknown-network", PROVISION, f"there is no provisioning network {name!r}", hint)
    elif name and not zone.config.exclusive:
        what = f"zone {zone.name} has ip-type shared, so it cannot be given a NIC on {name}"
        no = ("shared-ip", PROVISION, what, f"zonecfg -z {zone.name} set ip-type=exclusive")
    if no is not None:
        code, thing, text, hint = no
        refused.append(Refusal(subject.zone(zone.name), code, thing, text, hint=hint))
        return None
    if not name or name not in declared.provisioning:  # marked as done, and the network taken down since
        return None
    network = declared.networks[name]
    link = linkname.legal_from(f"{zone.name}_{name}")
    there = next((nic for nic in zone.config.nics if nic.link == link), None)
    nic = there or Nic(link, len(zone.config.nics))
    leaving = done in _YES
    return Attachment(
        zone.name, nic, network, nic.addresses, "provisioning", to_add=there is None and not leaving, leaving=leaving
    )


def _check_depends(zone: Zone, said: str, refused: list[Refusal]) -> None:
    if said.strip().lower() not in (*_YES, *NO):
        text = f"attribute {DEPENDS} is {said!r}, so zone {zone.name} counts as dependent"
        refused.append(Refusal(subject.zone(zone.name), "malformed-attribute", DEPENDS, text, hint="yes or no"))


# -- gateway zones ---------------------------------------------------------------------------------------------------


def side_link(gateway: Gateway, network: Network) -> str:
    """The name of the NIC that a gateway has on `network`, where its zone's configuration says nothing of it."""
    outer = gateway.outside is not None and network.name == gateway.outside.name
    named = gateway.link if outer else network.gateway_link
    return named or linkname.legal_from(f"{gateway.name}_{network.name}")


def _sides(gateway: Gateway | None) -> Iterable[Network]:
    if gateway is None or not gateway.ours:
        return ()
    return (*([gateway.outside] if gateway.outside else []), *gateway.networks.values())


def _side(placed: Attachment, gateway: Gateway | None) -> Attachment:
    """What this NIC is to its gateway, and the addresses that go with it where it brings none."""
    if gateway is None:
        return placed
    role: Literal["member", "inside", "outside"] = "member"
    addresses: Iterable[Address] = ()
    if placed.network.name in gateway.networks:
        role, addresses = "inside", inner_addresses(placed.network)
    elif gateway.outside is not None and placed.network.name == gateway.outside.name:
        role, addresses = "outside", gateway.addresses
    return replace(placed, role=role, addresses=placed.addresses or tuple(addresses), primary=role == "outside")


def inner_addresses(network: Network) -> tuple[Address, ...]:
    """The gateway addresses of a network, with its prefix lengths."""
    return tuple(_with_length(gateway, network) for gateway in network.gateways)


def _with_length(address: Ip, network: Network) -> Address:
    cidr = network.cidr(address.version)
    assert cidr is not None
    return ipaddress.ip_interface(f"{address}/{cidr.prefixlen}")


def _missing_sides(
    zone: Zone, gateway: Gateway, placed: list[Attachment], refused: list[Refusal]
) -> Iterator[Attachment]:
    assert zone.config is not None
    there = {each.network.name for each in placed}
    missing = [network for network in _sides(gateway) if network.name not in there]
    if missing and not zone.config.exclusive:
        raise _Refused(
            "shared-ip",
            f"zone {zone.name} is to be a gateway and has ip-type shared, so it has no IP stack of its own",
            hint=f"zonecfg -z {zone.name} set ip-type=exclusive",
        )
    for number, network in enumerate(missing):
        link = side_link(gateway, network)
        if any(refusal.object == link for refusal in refused):
            continue
        nic = Nic(link, len(zone.config.nics) + number)
        yield replace(_side(Attachment(zone.name, nic, network, (), "gateway"), gateway), to_add=True)


def _inner_of_global(gateway: Gateway) -> Iterator[Attachment]:
    """The global zone goes out by the uplink itself; a VNIC of ours is its NIC on each inner network."""
    for number, network in enumerate(gateway.networks.values()):
        nic = Nic(side_link(gateway, network), number)
        yield Attachment(GLOBAL, nic, network, inner_addresses(network), "gateway", role="inside")


def _with_primary(placed: list[Attachment]) -> Iterator[Attachment]:
    """One NIC has the default route: the one that asks for it, else the first whose network has a gateway."""
    asked = [each for each in placed if each.primary]
    able = [each for each in placed if each.role == "member" and each.network.gateways]
    chosen = next(iter([*asked, *able]), None)
    return (replace(each, primary=each is chosen) if each.primary is not (each is chosen) else each for each in placed)
