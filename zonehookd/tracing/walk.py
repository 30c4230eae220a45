"""The way of a packet, stack by stack: by what is observed there, and by who is on each wire as declared.

At each stack: translate what arrives, deliver it or find its route, pass it on if both interfaces forward, translate
what leaves; then the wire, and whoever has the next address there (services sheet 1.7, 2). What cannot be seen is
walked as it is declared, and said; it is never a fault.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_network
from typing import Literal

from zonehookd.engine import views
from zonehookd.model.gateway import GLOBAL
from zonehookd.model.network import Ip, Network
from zonehookd.model.zone import ZoneState
from zonehookd.plugin.translation import translated
from zonehookd.tracing import natting
from zonehookd.tracing.facts import Facts, Stack
from zonehookd.tracing.natting import Packet

OUTSIDE = "(outside)"  # no zone can have this name
_HOPS_MAX = 24
What = Literal["zone", "link", "address", "route", "nat", "forwarding", "wire", "proxy", "outside"]
State = Literal["ok", "broken", "unknown"]
APPLY = "zonehookctl apply mends what is ours; zonehookctl status says what is in its way"


@dataclass(frozen=True, slots=True)
class Hop:
    """One decision on the way. `rule`: what decides, as the host prints it; `cure`: only where it is broken."""

    way: Literal["there", "back"]
    at: str
    what: What
    text: str
    state: State = "ok"
    rule: str = ""
    cure: str = ""


@dataclass(frozen=True, slots=True)
class End:
    """Where the packet arrived, and what had become of it."""

    at: str
    packet: Packet


@dataclass(frozen=True, slots=True)
class _On:
    at: str
    link: str  # on which it arrives; of the outside: the lower link that it left by
    packet: Packet


class Walk:
    """`hops` grow; the last is broken when a walk returns None."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self.hops: list[Hop] = []
        self.way: Literal["there", "back"] = "there"
        self._sessions: list[tuple[str, Packet, Packet]] = []  # where, as it arrived, as it left

    async def there(self, at: str, packet: Packet) -> End | None:
        self.way = "there"
        return await self._go(_On(at, "", packet))

    async def back(self, end: End) -> End | None:
        """The answer; what was translated on the way there is taken back where that was done."""
        self.way = "back"
        return await self._go(_On(end.at, "", end.packet.reply))

    def say(
        self, at: str, what: What, text: str, state: State = "ok", *, rule: str = "", cure: str = "", once: bool = True
    ) -> None:
        hop = Hop(self.way, at, what, text, state, rule, cure)
        if not (once and hop in self.hops):
            self.hops.append(hop)

    def broken(self, at: str, what: What, text: str, cure: str = "", rule: str = "") -> None:
        self.say(at, what, text, "broken", rule=rule, cure=cure, once=False)

    async def _go(self, on: _On) -> End | None:
        for _ in range(_HOPS_MAX):
            step = await (self._outside(on) if on.at == OUTSIDE else self._through(on))
            if not isinstance(step, _On):
                return step
            on = step
        self.broken(on.at, "route", f"{on.packet} goes round in a ring", "look at the routes named above")
        return None

    # -- one stack

    async def _through(self, on: _On) -> _On | End | None:
        at, packet = on.at, on.packet
        stack = await self.facts.stack(at)
        if stack.unseen:
            if not stack.addresses:
                zone = self.facts.site.zones.get(at)
                if at != GLOBAL and (zone is None or zone.state is not ZoneState.RUNNING):
                    self.broken(at, "zone", stack.unseen, self.facts.cure(at))
                    return None
            self.say(at, "zone", f"cannot look inside, taken as declared: {stack.unseen}", "unknown")
        if on.link:
            arrived = self._arrives(stack, on.link, packet)
            if arrived is None:
                return None
            packet = arrived
        own = stack.has(packet.dst)
        if own is not None:
            if own.state != "ok":
                self.broken(at, "address", f"{own.address} on {own.interface} is {own.state}", _of_state(own.state))
                return None
            self.say(at, "address", f"{packet.dst} is here, on {own.interface}")
            return End(at, packet)
        way = stack.way(packet.dst, self.facts.known)
        if way is None:
            gone = self._missing_link(at)
            if gone:
                self.broken(at, "link", gone, APPLY)
            else:
                self.broken(at, "route", f"no route to {packet.dst}", self._route_cure(at, packet.dst))
            return None
        self.say(at, "route", f"to {packet.dst}: {way.by}, by {way.link}", rule=way.by)
        left = self._leaves(stack, way.link, packet)
        if left is None or (on.link and not self._forwards(stack, on.link, way.link, packet)):
            return None
        if left != on.packet and self.way == "there":
            self._sessions.append((at, on.packet, left))
        if not self._link(at, way.link, left.src):
            return None
        return await self._wire(at, self.facts.over(way.link), way.hop, left)

    def _arrives(self, stack: Stack, link: str, packet: Packet) -> Packet | None:
        """After what is translated on arrival."""
        for where, before, after in self._sessions:
            if where == stack.where and packet.src == after.dst and packet.dst == after.src:
                taken = Packet(before.dst, before.src, packet.protocol)
                self.say(stack.where, "nat", f"its session takes {packet} back to {taken}")
                return taken
        if stack.nat is None or not stack.nat.enabled:
            return packet
        done = natting.arriving(stack.nat.rules, link, packet)
        return packet if done is None else self._translated(stack.where, packet, done)

    def _leaves(self, stack: Stack, link: str, packet: Packet) -> Packet | None:
        """After what is translated when it leaves. A session of the way there is not translated again."""
        rules = stack.nat.rules if stack.nat is not None and stack.nat.enabled else ()
        if self.way == "back" and any(where == stack.where for where, _, _ in self._sessions):
            return packet
        done = natting.leaving(rules, link, packet, stack.own(link))
        if done is not None:
            return self._translated(stack.where, packet, done)
        gateway = self.facts.site.gateways.get(stack.where)
        if gateway is None or stack.nat is None:
            return packet
        view = views.gateway_view(self.facts.site, stack.where)
        hidden = next((c for c in translated(view) if c.version == packet.src.version and packet.src in c), None)
        if hidden is not None and link == view.outer_link:
            loaded = "its packet filter is off" if not stack.nat.enabled else "no rule that is loaded is about it"
            text = f"{packet.src} would leave by {link} as it is, and nobody outside can answer it: {loaded}"
            self.broken(stack.where, "nat", text, f"{APPLY}; rules for {hidden} are missing")
            return None
        return packet

    def _translated(self, at: str, before: Packet, done: natting.Done) -> Packet | None:
        if done.unknown:
            self.say(at, "nat", f"{before}: {done.unknown}", "unknown", rule=done.rule)
        elif done.packet != before:
            self.say(at, "nat", f"{before} becomes {done.packet}", rule=done.rule)
        return done.packet

    def _forwards(self, stack: Stack, arrives: str, leaves: str, packet: Packet) -> bool:
        family: Literal[4, 6] = 4 if packet.dst.version == 4 else 6
        if not stack.forwarding:
            if stack.unseen:
                return True
            text = f"{packet} is not for zone {stack.where}, which passes nothing on"
            self.broken(stack.where, "forwarding", text, f"who sent it here? {stack.where} is no gateway")
            return False
        off = [link for link in (arrives, leaves) if not stack.forwarding.get((link, family))]
        if off:
            text = f"IPv{family} forwarding is off on {', '.join(dict.fromkeys(off))}"
            self.broken(stack.where, "forwarding", text, APPLY)
            return False
        self.say(stack.where, "forwarding", f"{arrives} and {leaves} forward IPv{family}")
        return True

    def _link(self, at: str, link: str, src: Ip) -> bool:
        """The link is there, in this zone, and lets the source out."""
        facts = self.facts
        if facts.unseen:
            self.say(at, "link", f"links cannot be looked at: {facts.unseen}", "unknown")
            return True
        if link not in facts.links:
            self.broken(at, "link", f"{link} does not exist", APPLY)
            return False
        holder = facts.holder(link)
        if holder not in (None, at):
            self.broken(at, "link", f"{link} is in zone {holder}", APPLY)
            return False
        protection = facts.protections.get(link)
        if protection is not None and "ip-nospoof" in protection.protection and protection.allowed_ips:
            allowed = [ip_network(each, strict=False) for each in protection.allowed_ips]
            if not src.is_link_local and not any(src.version == each.version and src in each for each in allowed):
                text = f"{link} lets out {', '.join(sorted(protection.allowed_ips))} only, and not {src}"
                self.broken(at, "link", text, "an address in the zone's configuration and inside it must be the same")
                return False
        return True

    def _missing_link(self, at: str) -> str:
        if self.facts.unseen:
            return ""
        links = [each.link for each in self.facts.site.of_zone(at).attachments]
        gone = [link for link in links if link not in self.facts.links]
        return f"{', '.join(gone)} of zone {at} does not exist" if gone else ""

    def _route_cure(self, at: str, to: Ip) -> str:
        mine = self.facts.site.of_zone(at).attachments
        if not mine:
            return f"zone {at} has no NIC on a declared network: zonehookctl explain {at}"
        served = [each.network for each in mine if each.network.via or not each.network.internal]
        if not any(router.version == to.version for network in served for router in network.gateways):
            names = ", ".join(dict.fromkeys(each.network.name for each in mine))
            return f"network {names} has no IPv{to.version} gateway: it reaches itself only"
        return f"zonehookctl check {at} says what it lacks"

    # -- between stacks

    async def _wire(self, at: str, over: str, hop: Ip, packet: Packet) -> _On | End | None:
        """From `at` on the lower link `over` to whoever has `hop` there."""
        facts = self.facts
        lower = facts.links.get(over)
        if lower is None and not facts.unseen:
            self.broken(at, "wire", f"{over} does not exist", APPLY)
            return None
        if lower is not None and lower.state == "down":
            self.broken(at, "wire", f"{over} is down", "look at the cable, and at the switch")
            return None
        found = await facts.who_has(hop, over)
        if found is None:
            if any(network.link == over and not network.internal for network in facts.site.networks.values()):
                self.say(OUTSIDE, "outside", f"out by {over} to {hop}, which is none of ours")
                return End(OUTSIDE, packet) if hop == packet.dst else _On(OUTSIDE, over, packet)
            self.broken(at, "wire", f"nobody on {over} has {hop}", self._nobody(over, hop))
            return None
        return await self._reaches(*found, over, hop, packet)

    async def _reaches(self, zone: str, link: str, over: str, hop: Ip, packet: Packet) -> _On | None:
        facts = self.facts
        if not facts.unseen:
            there = facts.vnics.get(link)
            if link not in facts.links:
                self.broken(zone, "link", f"{link} of zone {zone} does not exist", APPLY)
                return None
            if there is not None and there.over != over:
                self.broken(zone, "link", f"{link} lies over {there.over}, and not over {over}", APPLY)
                return None
        known = facts.site.zones.get(zone)
        if zone != GLOBAL and (known is None or known.state is not ZoneState.RUNNING):
            text = f"{hop} is zone {zone}'s, which is {known.state if known else 'absent'}"
            self.broken(zone, "zone", text, facts.cure(zone))
            return None
        holder = facts.holder(link)
        if not facts.unseen and holder not in (None, zone):
            self.broken(zone, "link", f"{link} is in zone {holder}, and not in {zone}", APPLY)
            return None
        stack = await facts.stack(zone)
        if not stack.unseen or stack.routes:
            up = stack.has(hop)
            if up is None or up.state != "ok":
                text = f"{hop} is {up.state} inside zone {zone}" if up else f"{hop} is not up inside zone {zone}"
                self.broken(zone, "address", text, f"zonehookctl check {zone} says why")
                return None
        self.say(zone, "wire", f"{over}: {hop} is {link} of zone {zone}")
        return _On(zone, link, packet)

    def _nobody(self, over: str, hop: Ip) -> str:
        for network in self.facts.site.networks.values():
            if network.link == over and hop in network.gateways:
                if not network.via:
                    return f"{hop} is the gateway of network {network.name}, and no gateway is declared for it (via)"
                return f"gateway {network.via} should have it: zonehookctl gateways"
        return "it is no address of a zone: zonehookctl zones"

    async def _outside(self, on: _On) -> _On | End | None:
        """Beyond the uplinks: what is on them comes back to us, what is hidden is not known there."""
        packet, site = on.packet, self.facts.site
        for network in site.networks.values():
            if not network.internal and network.holds(packet.dst):
                found = await self.facts.who_has(packet.dst, network.link)
                if found is None:
                    if on.link:
                        return End(OUTSIDE, packet)
                    self.broken(OUTSIDE, "outside", f"nobody of ours has {packet.dst} on {network.link}", APPLY)
                    return None
                self.say(OUTSIDE, "outside", f"{packet.dst} is on {network.link}")
                return await self._reaches(*found, network.link, packet.dst, packet)
        hidden = next((n for n in site.networks.values() if n.internal and n.holds(packet.dst)), None)
        if hidden is None:
            return End(OUTSIDE, packet)
        return await self._hidden(hidden, packet)

    async def _hidden(self, network: Network, packet: Packet) -> _On | End | None:
        """Somebody outside would have to know the way in; where nothing is translated, perhaps he does."""
        site = self.facts.site
        gateway = site.gateways.get(network.via)
        outer = gateway.outside if gateway is not None else None
        while gateway is not None and not gateway.nat and outer is not None and outer.internal:
            gateway = site.gateways.get(outer.via)
            outer = gateway.outside if gateway is not None else None
        if gateway is None or gateway.nat or outer is None:
            via = f"behind gateway {network.via}" if network.via else "isolated"
            cure = "a forward, a one-to-one address or a route is the way in" if network.via else "a NIC on it, or via"
            self.broken(OUTSIDE, "outside", f"{packet.dst} on network {network.name} is {via}: nobody outside "
                        "knows the way", cure)  # fmt: skip
            return None
        version = packet.dst.version
        side = next((each for each in site.of_zone(gateway.name).attachments if each.role == "outside"), None)
        outer_addresses = side.addresses if side else gateway.addresses
        hop = next((each.ip for each in outer_addresses if each.version == version), None)
        if hop is None:
            self.broken(OUTSIDE, "outside", f"gateway {gateway.name} has no outer IPv{version} address", APPLY)
            return None
        text = f"whoever routes outside must send {packet.dst} to {hop} (gateway {gateway.name}); not ours to see"
        self.say(OUTSIDE, "outside", text, "unknown")
        found = await self.facts.who_has(hop, outer.link)
        return await self._reaches(*(found or (gateway.name, "")), outer.link, hop, packet)


def _of_state(state: str) -> str:
    return "another machine has this address" if state == "duplicate" else "ipadm show-addr in that zone"
