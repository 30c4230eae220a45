"""What a gateway translates, as ipnat rules in the order they are loaded (contract A6). Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from zonehookd.illumos import ipnat
from zonehookd.plugin import Attachment, Forward, GatewayView, Ip, Note
from zonehookd.plugin.translation import translated

PORTS = "10000:60000"  # `auto` may give two inside hosts the same port (services sheet 1.7)


@dataclass
class Wanted:
    """`rules` in order, each once. `opens`: what becomes reachable from outside, by the rule that does it."""

    rules: list[str] = field(default_factory=list)
    opens: dict[str, str] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)
    have: set[str] = field(default_factory=set)  # the rules again: a thousand ways in are thousands of rules

    def add(self, rule: ipnat.Rule, opens: str = "") -> None:
        for text in rule.texts:
            self.take(text, opens)

    def take(self, text: str, opens: str = "") -> None:
        if text not in self.have:
            self.have.add(text)
            self.rules.append(text)
            if opens:
                self.opens[text] = opens


def wanted(view: GatewayView, outer_addresses: Mapping[int, Ip], changing: bool = False) -> Wanted:
    """`outer_addresses`: family -> the gateway's own address outside, where it is known. `changing`: it is not of our
    choosing (DHCP), so that maps show whatever it is at the moment."""
    found = Wanted()
    gateway, outer = view.gateway, view.outer_link
    if gateway is None or not gateway.ours or gateway.outside is None or not outer:
        return found
    targets = dict(_targets(view))
    for static in gateway.statics:
        if static.public in view.lost:
            owner = view.lost[static.public]
            text = f"{static.public} is to be one to one with {static.inside}, and belongs to zone {owner}"
            hint = f"another address in [[gateway.{view.name}.static]], or for that zone"
            found.notes.append(Note("refused", text, "address-taken", str(static.public), hint))
            continue
        for inside in _resolve(view, targets, static.inside, static.public.version, f"{static.public}", found):
            text = f"opens {static.public}, every port and protocol, to {_called(static.inside, inside)}"
            found.add(ipnat.BimapRule(outer, inside, static.public), text)
            for side in view.sides:  # neighbours that call the public address
                if side.role == "inside":
                    found.take(f"rdr {side.link} {ipaddress.ip_network(static.public)} -> {inside} ip")
            _hairpin(view, inside, found)
    for source in translated(view):
        target = outer_addresses.get(source.version) if source.version == 6 or not changing else None
        if target is None and source.version == 6:
            text = f"{source} cannot be translated: the gateway has no IPv6 address outside"
            found.notes.append(Note("nothing", text, "no-outer-address", view.name))
            continue
        found.add(ipnat.MapRule(outer, source, target, portmap=PORTS))
        found.add(ipnat.MapRule(outer, source, target))
    for forward in gateway.forwards:
        version = _version(forward)
        own = outer_addresses.get(version) if version else next(iter(outer_addresses.values()), None)
        public = forward.public or own
        if public is None:
            text = f"forward of port {forward.first} waits for an outer address of gateway {view.name}"
            found.notes.append(Note("waiting", text, "no-outer-address", view.name, again_after_s=2.0))
            continue
        for inside in _resolve(view, targets, forward.to, public.version, str(forward), found):
            _forward(view, forward, public, inside, found)
    return found


def _forward(view: GatewayView, forward: Forward, public: Ip, inside: Ip, found: Wanted) -> None:
    ports = _ports(forward.first, forward.last)
    to_ports = (
        str(forward.to_port)
        if forward.fixed
        else _ports(forward.to_port, forward.to_port + forward.last - forward.first)
    )
    who = ", ".join(map(str, forward.sources)) or "everybody"
    sources = tuple(each for each in forward.sources if each.version == public.version)
    if forward.sources and not sources:
        return
    where = f"[{public}]" if public.version == 6 else str(public)
    host = f"[{inside}]" if inside.version == 6 else str(inside)
    opens = f"opens {where}:{ports}/{forward.protocol} for {who}, to {forward.to} {host}:{to_ports}"
    target = (inside, forward.to_port, forward.protocol, forward.fixed, sources)
    for link, text in ((view.outer_link, opens), *((side.link, "") for side in view.sides if side.role == "inside")):
        try:
            rule = ipnat.RdrRule(link, public, forward.first, forward.last, *target)
        except ValueError as problem:
            hint = f"see [[gateway.{view.name}.forward]]"
            found.notes.append(Note("refused", f"forward of {forward}: {problem}", "bad-forward", str(forward), hint))
            return
        found.add(rule, text)
    _hairpin(view, inside, found)


def _hairpin(view: GatewayView, inside: Ip, found: Wanted) -> None:
    """A neighbour that calls the public address must get its answer from the gateway, or it would not know it."""
    for side in view.sides:
        network = side.network.cidr(inside.version)
        own = next((each.ip for each in side.addresses if each.version == inside.version), None)
        if side.role == "inside" and network is not None and inside in network and own is not None:
            to = ipaddress.ip_network(inside)
            found.add(ipnat.MapRule(side.link, network, own, portmap=PORTS, to=to))
            found.add(ipnat.MapRule(side.link, network, own, to=to))


def _targets(view: GatewayView) -> Iterator[tuple[str, Attachment]]:
    """Zone -> its NIC behind this gateway; of several the first."""
    seen = set()
    for members in (*view.members.values(), view.further):
        for attachment in sorted(members, key=lambda each: (each.zone, each.nic.index)):
            if attachment.addresses and attachment.zone not in seen:
                seen.add(attachment.zone)
                yield attachment.zone, attachment


def _resolve(
    view: GatewayView, targets: Mapping[str, Attachment], to: str, version: int, what: str, found: Wanted
) -> Iterator[Ip]:
    """The inner address meant by an address or a zone's name; none and a note where there is none now."""
    assert view.gateway is not None
    try:
        address = ipaddress.ip_address(to)
    except ValueError:
        attachment = targets.get(to)
        own = [each.ip for each in attachment.addresses if each.version == version] if attachment else []
        if own:
            yield own[0]
        else:
            text = f"{what} waits for zone {to}, which has no IPv{version} address behind gateway {view.name}"
            found.notes.append(Note("waiting", text, "no-target", to))
        return
    ranges = [*(cidr for network in view.gateway.networks.values() for cidr in network.cidrs), *view.behind]
    if address.version == version and any(address in each for each in ranges):
        yield address
        return
    text = f"{what}: {to} is not behind gateway {view.name}"
    hint = f"behind it: {', '.join(map(str, ranges)) or 'nothing'}"
    found.notes.append(Note("refused", text, "target-elsewhere", to, hint))


def _version(forward: Forward) -> int | None:
    try:
        return ipaddress.ip_address(forward.to).version
    except ValueError:
        return None


def _ports(first: int, last: int) -> str:
    return str(first) if first == last else f"{first}-{last}"


def _called(name: str, address: Ip) -> str:
    return name if name == str(address) else f"{name} {address}"
