"""The admin's list for one zone, each link of the chain in the order in which they rest on each other (contract A15).

Reads only; as many commands for one zone among ten thousand as for one alone. What could not be looked at is unknown,
and never broken.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Literal

from zonehookd.engine import views
from zonehookd.engine.reconciler import SubjectPlan
from zonehookd.errors import CannotObserve
from zonehookd.illumos import linkname, probe, smf
from zonehookd.model import subject
from zonehookd.model.attachment import Attachment
from zonehookd.model.gateway import GLOBAL, Gateway
from zonehookd.model.network import Ip, Network
from zonehookd.model.zone import Zone, ZoneState
from zonehookd.plugin import served
from zonehookd.plugin.translation import translated, untranslated
from zonehookd.tracing import natting
from zonehookd.tracing.facts import Facts, Stack
from zonehookd.tracing.natting import Packet
from zonehookd.tracing.walk import APPLY

State = Literal["ok", "broken", "unknown", "not applicable"]
_FILTER = "svc:/network/ipfilter:default"
_NAMES_PORT = 53


@dataclass(frozen=True, slots=True)
class Link:
    """One link of the chain. `name`: which; `object`: what it is about; `cure`: only where it is broken."""

    name: str
    object: str
    state: State
    text: str
    cure: str = ""


def first_broken(links: Sequence[Link]) -> Link | None:
    return next((each for each in links if each.state == "broken"), None)


class Checklist:
    """`plans`: what a look now would do, for those links whose plugins know best."""

    def __init__(self, facts: Facts, zone: Zone, plans: Sequence[SubjectPlan]) -> None:
        self._facts, self._zone, self._site = facts, zone, facts.site
        self._plans = {plan.subject: plan for plan in plans}
        self._found: list[Link] = []

    async def links(self) -> Sequence[Link]:
        """Never raises what a link can say instead."""
        await self._facts.see_links()
        self._configuration()
        mine = [each for each in self._site.of_zone(self._zone.name).attachments if not each.leaving]
        for network in dict.fromkeys(each.network.name for each in mine):
            self._lower(self._site.networks[network])
        for each in mine:
            self._vnic(each)
        if mine:
            self._runs()
            stack = await self._facts.stack(self._zone.name)
            for each in mine:
                self._address(each, stack)
            self._default(mine, stack)
        done: set[str] = set()
        for each in mine:
            if each.role == "member":
                await self._chain(each.network, done)
        if self._zone.name in self._site.gateways:
            await self._gateway(self._site.gateways[self._zone.name], None, done)
        for each in mine:
            if each.role == "member" and each.network.via:
                await self._services(each)
        return self._found

    def _say(self, name: str, about: str, state: State, text: str, cure: str = "") -> None:
        self._found.append(Link(name, about, state, text, cure))

    def _judge(self, name: str, about: str, wrong: str, well: str, cure: str = APPLY) -> None:
        self._say(name, about, "broken" if wrong else "ok", wrong or well, cure if wrong else "")

    # -- what is wanted of it

    def _configuration(self) -> None:
        zone, attached = self._zone, self._site.of_zone(self._zone.name)
        if zone.trouble or zone.config is None:
            cure = f"zonecfg -z {zone.name} verify; status names the file"
            trouble = zone.trouble or "it has no configuration of its own"
            self._say("configuration", zone.name, "broken" if zone.trouble else "not applicable", trouble, cure)
            return
        self._say("configuration", zone.name, "ok", "it can be read")
        for refusal in attached.refusals:
            self._say("network", refusal.object, "broken", refusal.text, refusal.hint or "zonehookctl explain")
        for link in attached.left_alone:
            self._say("network", link, "not applicable", "it says nothing of a network, and is left alone")
        for each in attached.attachments:
            self._say("network", each.link, "ok", f"on network {each.network.name}, by its {each.found_by}")
        if not (attached.refusals or attached.left_alone or attached.attachments):
            why = "it has no NIC" if zone.config.exclusive else "a shared-ip zone has no link of its own"
            self._say("network", zone.name, "not applicable", why)

    def _runs(self) -> None:
        zone = self._zone
        runs = zone.state is ZoneState.RUNNING or zone.name == GLOBAL
        cure = f"zoneadm -z {zone.name} {'boot' if zone.state is not ZoneState.CONFIGURED else 'install, then boot'}"
        self._judge("zone", zone.name, "" if runs else f"it is {zone.state}", "it runs", cure)

    # -- links

    def _lower(self, network: Network) -> None:
        name = "etherstub" if network.internal else "uplink"
        if self._unseen(name, network.link):
            return
        link = self._facts.links.get(network.link)
        wrong = ""
        cure = APPLY if network.internal else f"dladm show-link; [network.{network.name}] uplink says which it is"
        if link is None:
            wrong = f"{network.link} does not exist"
        elif network.internal and link.klass != "etherstub":
            wrong = f"{network.link} is a {link.klass}, and no etherstub"
        elif link.state == "down":
            wrong, cure = f"{network.link} is down", "look at the cable, and at the switch"
        self._judge(name, network.link, wrong, f"it is there, for network {network.name}", cure)

    def _vnic(self, each: Attachment) -> None:
        if self._unseen("link", each.link):
            return
        facts, zone = self._facts, self._zone
        link, vnic = facts.links.get(each.link), facts.vnics.get(each.link)
        if link is None and each.on_demand and zone.state is not ZoneState.RUNNING:
            self._say("link", each.link, "not applicable", "its brand makes it when the zone boots")
            return
        if link is not None and vnic is None:
            self._say("link", each.link, "ok", f"it is a {link.klass}, and no VNIC of ours")
            return
        wanted = self._mac(each)
        holder = facts.holder(each.link)
        wrong = ""
        if vnic is None:
            wrong = f"{each.link} does not exist"
        elif vnic.over != each.network.link:
            wrong = f"{each.link} lies over {vnic.over}, and not over {each.network.link}"
        elif each.nic.vlan and vnic.vlan != each.nic.vlan:
            wrong = f"{each.link} has VLAN {vnic.vlan}, and not {each.nic.vlan}"
        elif wanted and vnic.mac != wanted:
            wrong = f"{each.link} has MAC {vnic.mac}, and not {wanted}"
        elif zone.state is ZoneState.RUNNING and holder not in (None, zone.name):
            wrong = f"{each.link} is in zone {holder}, and not in {zone.name}"
        elif zone.state in (ZoneState.CONFIGURED, ZoneState.INSTALLED) and holder not in (None, GLOBAL):
            wrong = f"{each.link} is in zone {holder}, so {zone.name} cannot boot with it"
        well = f"over {vnic.over}, MAC {vnic.mac}, in zone {holder or 'unknown'}" if vnic else ""
        self._judge("link", each.link, wrong, well)

    def _mac(self, each: Attachment) -> str:
        """The MAC it must have: as asked for, else as our books say; "" where it is not ours to know."""
        if each.nic.mac:
            return linkname.normal_mac(each.nic.mac)
        record = self._facts.look.store.one("vnic", each.link)
        return record.facts.get("mac", "") if record is not None else ""

    def _unseen(self, name: str, about: str) -> bool:
        if self._facts.unseen:
            self._say(name, about, "unknown", f"could not look: {self._facts.unseen}")
        return bool(self._facts.unseen)

    # -- inside

    def _address(self, each: Attachment, stack: Stack) -> None:
        name = "address"
        if not each.addresses:
            self._say(name, each.link, "not applicable", "it has no address from us")
            return
        if self._unknown_inside(name, each.link, stack):
            return
        for address in each.addresses:
            up = stack.has(address.ip)
            wrong, cure = "", f"zonehookctl explain {self._zone.name}"
            there = [
                str(a.address) for a in stack.addresses if a.interface == each.link and not a.address.is_link_local
            ]
            if up is None:
                wrong = f"{address} is not up on {each.link}; there is {', '.join(there) or 'none'}"
            elif up.interface != each.link:
                wrong = f"{address} is on {up.interface}, and not on {each.link}"
            elif up.state != "ok":
                wrong = f"{address} is {up.state}"
                cure = "another machine has it" if up.state == "duplicate" else f"zlogin {self._zone.name} ipadm"
            how = f", leased by DHCP as {up.name}" if up is not None and up.kind == "dhcp" else ""
            self._judge(name, str(address), wrong, f"up on {each.link}{how}", cure)
            self._protection(each, str(address.ip))

    def _protection(self, each: Attachment, address: str) -> None:
        protection = self._facts.protections.get(each.link)
        if protection is None or "ip-nospoof" not in protection.protection or not protection.allowed_ips:
            return
        ranges = [ip_network(one, strict=False) for one in protection.allowed_ips]
        if not any(ip_network(address).version == one.version and ip_network(address).subnet_of(one) for one in ranges):  # type: ignore[arg-type]
            text = f"{each.link} lets out {', '.join(sorted(protection.allowed_ips))} only, and not {address}"
            self._say("protection", each.link, "broken", text, f"zonecfg -z {self._zone.name} info net, then reboot it")

    def _default(self, mine: Sequence[Attachment], stack: Stack) -> None:
        primary = next((each for each in mine if each.primary and each.role != "inside"), None)
        if primary is None or not primary.network.gateways:
            self._say("route", self._zone.name, "not applicable", "none of its networks has a gateway")
            return
        if self._unknown_inside("route", primary.link, stack):
            return
        versions = {address.version for address in primary.addresses} or {4}
        for router in primary.network.gateways:
            if router.version in versions:
                others = [str(each.gateway) for each in stack.routes if each.family == router.version]
                right = str(router) in others
                wrong = "" if right else f"no default route by {router}; there is {', '.join(others) or 'none'}"
                cure = f"zlogin {self._zone.name} route -p add default {router}"
                self._judge("route", f"default by {router}", wrong, f"by {primary.link}", cure)

    def _unknown_inside(self, name: str, about: str, stack: Stack) -> bool:
        if self._zone.state is not ZoneState.RUNNING and self._zone.name != GLOBAL:
            self._say(name, about, "not applicable", "inside is looked at when the zone runs")
            return True
        if stack.unseen:
            self._say(name, about, "unknown", f"could not look: {stack.unseen}")
            return True
        return False

    # -- gateways, from the zone outwards

    async def _chain(self, network: Network, done: set[str]) -> None:
        inner: Network | None = network
        while inner is not None and inner.via:
            gateway = self._site.gateways.get(inner.via)
            if gateway is None or f"{gateway.name}/{inner.name}" in done:
                return
            await self._gateway(gateway, inner, done)
            inner = gateway.outside if gateway.outside is not None and gateway.outside.internal else None

    async def _gateway(self, gateway: Gateway, inner: Network | None, done: set[str]) -> None:
        """`inner` None: the zone is this gateway itself."""
        view = views.gateway_view(self._site, gateway.name)
        where = f"gateway {gateway.name}"
        again = gateway.name in done
        done |= {gateway.name, f"{gateway.name}/{inner.name if inner else ''}"}
        if not again:
            self._judge(where, gateway.name, view.trouble, "its zone runs", f"zoneadm -z {gateway.name} boot")
        if view.trouble:
            return
        if not gateway.ours:
            self._say(where, gateway.name, "not applicable", "it is external: its admin sets it up")
            return
        stack = await self._facts.stack(gateway.name)
        if stack.unseen:
            self._say(where, gateway.name, "unknown", f"could not look: {stack.unseen}")
            return
        if inner is not None:
            side = view.side(inner.name)
            for router in inner.gateways:
                up = stack.has(router)
                wrong = "" if up and up.state == "ok" else f"{router} is {up.state if up else 'not up'} in {where}"
                self._judge(f"{where} inside", str(router), wrong, f"up on {side.link if side else inner.link}")
        if gateway.outside is None or again:
            return
        await self._filter(where, gateway, stack, bool(translated(view) or gateway.forwards or gateway.statics))
        bare = untranslated(view, view.outer_link, stack.nat.rules if stack.nat is not None else ())
        own = {address.version for address in stack.own(view.outer_link) if not address.is_link_local}
        wrong = ", ".join(str(each) for each in bare if each.version in own)
        well = "what it hides is translated" if gateway.nat else "it routes, and translates nothing"
        self._judge(f"{where} NAT", view.outer_link, f"no rule translates {wrong}" if wrong else "", well)
        self._ways_in(where, gateway, view.outer_link, stack)
        sides = [each.link for each in view.sides if each.role == "inside" and (not inner or each.network == inner)]
        off = [link for link in (*sides, view.outer_link) if not stack.forwarding.get((link, 4))]
        off = off if 4 in own and any(c.version == 4 for n in gateway.networks.values() for c in n.cidrs) else []
        wrong = f"IPv4 forwarding is off on {', '.join(off)}" if off else ""
        self._judge(f"{where} forwarding", ", ".join((*sides, view.outer_link)), wrong, "on")
        routers = [str(each) for each in gateway.outside.gateways if each.version in own]
        there = {str(each.gateway) for each in stack.routes}
        wrong = "" if not routers or there & set(routers) else f"no default route by {routers[0]}"
        cure = f"route -p add default {routers[0]}" if routers and gateway.name == GLOBAL else APPLY
        self._judge(f"{where} way out", view.outer_link, wrong, f"by {', '.join(sorted(there)) or 'the link'}", cure)

    async def _filter(self, where: str, gateway: Gateway, stack: Stack, needed: bool) -> None:
        if not needed or stack.nat is None:
            self._say(f"{where} filter", _FILTER, "not applicable", "it translates nothing")
            return

        async def see() -> tuple[str, str]:
            service = (await self._facts.look.ask(smf.services(gateway.name, [_FILTER]))).get(_FILTER)
            said = f"{_FILTER} is {service.state}" if service else f"there is no service {_FILTER}"
            on = stack.nat is not None and stack.nat.enabled
            return ("" if on else f"the packet filter is off; {said}"), f"it is on; {said}"

        await self._asked(f"{where} filter", _FILTER, see, f"svcs -x -z {gateway.name} {_FILTER}")

    def _ways_in(self, where: str, gateway: Gateway, outer: str, stack: Stack) -> None:
        """Forwards and one-to-one addresses that lead to this zone."""
        mine = {each.ip for one in self._site.of_zone(self._zone.name).attachments for each in one.addresses}
        rules = stack.nat.rules if stack.nat is not None else ()
        own = stack.own(outer)
        anybody = next((address for address in gateway.outside.gateways), None) if gateway.outside else None
        for what, to, public, port, protocol in _promised(gateway):
            meant = {str(each) for each in mine} | {self._zone.name}
            address = public or next((each for each in own if each.version == 4), None)
            if to not in meant or address is None or anybody is None:
                continue
            done = natting.arriving(rules, outer, Packet(anybody, address, protocol, port))
            right = done is not None and (done.packet.dst in mine or bool(done.unknown))
            self._judge(f"{where} way in", what, "" if right else f"no rule sends {what} to {to}", f"to {to}")

    # -- servers

    async def _services(self, each: Attachment) -> None:
        gateway = self._site.gateways.get(each.network.via)
        if gateway is None or not gateway.ours or views.gateway_view(self._site, gateway.name).trouble:
            return
        name = gateway.name
        if each.network.dhcp is None or gateway.dhcp == "none":
            self._say("DHCP", each.network.name, "not applicable", "the network has none")
        else:
            plugin = self._server(gateway)
            await self._asked("DHCP", each.network.name, lambda: self._served(name, plugin), self._see(plugin))
            self._reservation(each, name, plugin)
        if gateway.dns == "none":
            self._say("DNS", each.network.name, "not applicable", "the gateway answers no names")
        else:
            await self._asked("DNS", each.network.name, lambda: self._names(name, each.network), self._see("dnsmasq"))

    def _see(self, plugin: str) -> str:
        return f"zonehookctl plan, then the log of {plugin}'s service"

    def _server(self, gateway: Gateway) -> str:
        auto = "dhcpd" if self._facts.look.dialect.vnic_zone_field else "dnsmasq"
        return auto if gateway.dhcp == "auto" else gateway.dhcp

    async def _served(self, gateway: str, plugin: str) -> tuple[str, str]:
        """What is wrong with the service, or that it runs."""
        owner = subject.gateway(gateway)
        mine = [r for r in self._facts.look.store.of(owner) if (r.kind, r.plugin) == (served.KIND, plugin)]
        if not mine:
            return f"plugin {plugin} has set up no service in zone {gateway} yet", ""
        book, fmri = served.Book.of(mine[0]), mine[0].name.split()[-1]
        for why in book.bad.values():
            return f"{fmri} did not take our configuration: {why}", ""
        service = (await self._facts.look.ask(smf.services(gateway, [fmri]))).get(fmri)
        if service is None:
            return f"there is no service {fmri}", ""
        wrong = "" if service.state == "online" else f"{fmri} is {service.state}"
        return wrong, f"{fmri} is online in zone {gateway}"

    def _reservation(self, each: Attachment, gateway: str, plugin: str) -> None:
        about = f"{each.link} {' '.join(map(str, each.addresses))}"
        plan = self._plans.get(subject.gateway(gateway))
        if plan is None or plan.blind or plan.failed:
            why = (plan.blind or plan.failed) if plan is not None else "nothing was planned"
            self._say("reservation", about, "unknown", f"could not look: {why}")
            return
        refused = next((n for n in plan.notes if n.kind == "refused" and n.object == each.link), None)
        to_do = [one for one in plan.steps if one.plugin == plugin]
        if refused is not None:
            self._say("reservation", about, "broken", refused.text, refused.hint)
            return
        wrong = f"{plugin} is still to be told: {len(to_do)} steps" if to_do else ""
        vnic = self._facts.vnics.get(each.link)
        self._judge("reservation", about, wrong, f"for MAC {vnic.mac if vnic else self._mac(each)}")

    async def _names(self, gateway: str, network: Network) -> tuple[str, str]:
        servers = [probe.Probe(each, _NAMES_PORT) for each in network.gateways]
        answers = await self._facts.look.ask(probe.probes(gateway, servers))
        silent = [f"{each.address} {answer.text}" for each, answer in answers.items() if not answer.well]
        return ", ".join(silent), f"{', '.join(str(each.address) for each in servers)} takes questions"

    async def _asked(self, name: str, about: str, see: Callable[[], Awaitable[tuple[str, str]]], cure: str) -> None:
        try:
            wrong, well = await see()
        except CannotObserve as problem:
            self._say(name, about, "unknown", f"could not look: {problem}")
            return
        self._judge(name, about, wrong, well, cure)


def _promised(gateway: Gateway) -> Iterator[tuple[str, str, Ip | None, int, natting.Protocol]]:
    """(in words, to whom, public address, port, protocol) of each declared way in."""
    for each in gateway.forwards:
        yield str(each), each.to, each.public, each.first, "udp" if each.protocol == "udp" else "tcp"
    for static in gateway.statics:
        yield str(static.public), static.inside, static.public, 0, "icmp"
