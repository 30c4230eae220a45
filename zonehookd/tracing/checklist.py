"""The admin's list for one zone, each link of the chain in the order in which they rest on each other (contract A15).

Reads only; as many commands for one zone among ten thousand as for one alone. What could not be looked at is unknown,
and never broken.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_network

from zonehookd.engine.reconciler import SubjectPlan
from zonehookd.model.attachment import Attachment
from zonehookd.model.gateway import GLOBAL
from zonehookd.model.network import Ip, Network
from zonehookd.model.zone import Zone, ZoneState
from zonehookd.tracing import cures
from zonehookd.tracing.facts import Facts, Stack
from zonehookd.tracing.gateway_links import GatewayLinks
from zonehookd.tracing.links import Link, Links
from zonehookd.tracing.server_links import ServerLinks
from zonehookd.tracing.walk import APPLY


class Checklist:
    """`plans`: what a look now would do, for those links whose plugins know best."""

    def __init__(self, facts: Facts, zone: Zone, plans: Sequence[SubjectPlan]) -> None:
        self._facts, self._zone, self._site = facts, zone, facts.site
        self._plans, self._links = plans, Links()

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
        gateways = GatewayLinks(self._facts, self._zone, self._links, self._plans)
        for each in mine:
            if each.role == "member":
                await gateways.outwards(each.network)
        if self._zone.name in self._site.gateways:
            await gateways.one(self._site.gateways[self._zone.name], None)
        servers = ServerLinks(self._facts, self._plans, self._links)
        for each in mine:
            if each.role == "member" and each.network.via:
                await servers.of(each)
        return self._links.found

    # -- what is wanted of it

    def _configuration(self) -> None:
        zone, attached = self._zone, self._site.of_zone(self._zone.name)
        if zone.trouble or zone.config is None:
            trouble = cures.trouble(zone.trouble) or "it has no configuration of its own"
            cure = self._facts.cure(zone.name) if zone.trouble else ""
            self._links.say("configuration", zone.name, "broken" if zone.trouble else "not applicable", trouble, cure)
            return
        self._links.say("configuration", zone.name, "ok", "it can be read")
        for refusal in attached.refusals:
            self._links.say("network", refusal.object, "broken", refusal.text, refusal.hint or "zonehookctl explain")
        for link in attached.left_alone:
            self._links.say("network", link, "not applicable", "it says nothing of a network, and is left alone")
        for each in attached.attachments:
            self._links.say("network", each.link, "ok", f"on network {each.network.name}, by its {each.found_by}")
        if not (attached.refusals or attached.left_alone or attached.attachments):
            why = "it has no NIC" if zone.config.exclusive else "a shared-ip zone has no link of its own"
            self._links.say("network", zone.name, "not applicable", why)

    def _runs(self) -> None:
        zone = self._zone
        runs = zone.state is ZoneState.RUNNING or zone.name == GLOBAL
        wrong = "" if runs else f"it is {zone.state}"
        self._links.judge("zone", zone.name, wrong, "it runs", self._facts.cure(zone.name))

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
        self._links.judge(name, network.link, wrong, f"it is there, for network {network.name}", cure)

    def _vnic(self, each: Attachment) -> None:
        if self._unseen("link", each.link):
            return
        facts, zone = self._facts, self._zone
        link, vnic = facts.links.get(each.link), facts.vnics.get(each.link)
        if link is None and each.on_demand and zone.state is not ZoneState.RUNNING:
            self._links.say("link", each.link, "not applicable", "its brand makes it when the zone boots")
            return
        if link is not None and vnic is None:
            self._links.say("link", each.link, "ok", f"it is a {link.klass}, and no VNIC of ours")
            return
        wanted = self._facts.mac(each)
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
        self._links.judge("link", each.link, wrong, well)

    def _unseen(self, name: str, about: str) -> bool:
        if self._facts.unseen:
            self._links.say(name, about, "unknown", f"could not look: {self._facts.unseen}")
        return bool(self._facts.unseen)

    # -- inside

    def _address(self, each: Attachment, stack: Stack) -> None:
        name = "address"
        if not each.addresses:
            self._links.say(name, each.link, "not applicable", "it has no address from us")
            return
        if self._unknown_inside(name, each.link, stack):
            return
        for address in each.addresses:
            up = stack.has(address.ip)
            wrong, cure = "", f"zonehookctl explain {self._zone.name}"
            if not each.network.via and each.role == "member":  # nobody but the zone itself sets it
                cure = (
                    f"zlogin {self._zone.name} ipadm create-addr -T static -a {address} {each.link}/v{address.version}"
                )
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
            self._links.judge(name, str(address), wrong, f"up on {each.link}{how}", cure)
            self._protection(each, address.ip)

    def _protection(self, each: Attachment, address: Ip) -> None:
        protection = self._facts.protections.get(each.link)
        if protection is None or "ip-nospoof" not in protection.protection or not protection.allowed_ips:
            return
        ranges = [ip_network(one, strict=False) for one in protection.allowed_ips]
        if not any(address.version == one.version and address in one for one in ranges):
            text = f"{each.link} lets out {', '.join(sorted(protection.allowed_ips))} only, and not {address}"
            cure = f"zonecfg -z {self._zone.name} info net, then reboot it"
            self._links.say("protection", each.link, "broken", text, cure)

    def _default(self, mine: Sequence[Attachment], stack: Stack) -> None:
        primary = next((each for each in mine if each.primary and each.role != "inside"), None)
        if primary is None or not primary.network.via:
            why = "none of its networks has a gateway of ours; its routes are its own business"
            self._links.say("route", self._zone.name, "not applicable", why)
            return
        if self._unknown_inside("route", primary.link, stack):
            return
        versions = {address.version for address in primary.addresses} or {4}
        for router in primary.network.gateways:
            if router.version in versions:
                others = [str(each.gateway) for each in stack.routes if each.family == router.version]
                right = str(router) in others
                wrong = "" if right else f"no default route by {router}; there is {', '.join(others) or 'none'}"
                cure = f"zlogin {self._zone.name} route add default {router}"
                self._links.judge("route", f"default by {router}", wrong, f"by {primary.link}", cure)

    def _unknown_inside(self, name: str, about: str, stack: Stack) -> bool:
        if self._zone.state is not ZoneState.RUNNING and self._zone.name != GLOBAL:
            self._links.say(name, about, "not applicable", "inside is looked at when the zone runs")
            return True
        if stack.unseen:
            self._links.say(name, about, "unknown", f"could not look: {stack.unseen}")
            return True
        return False
