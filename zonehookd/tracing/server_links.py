"""DHCP and names on a zone's networks, as links of its chain."""

from __future__ import annotations

from collections.abc import Sequence

from zonehookd.engine import views
from zonehookd.engine.reconciler import SubjectPlan
from zonehookd.illumos import probe, smf
from zonehookd.model import subject
from zonehookd.model.attachment import Attachment
from zonehookd.model.gateway import Gateway
from zonehookd.model.network import Network
from zonehookd.plugin import served
from zonehookd.tracing.facts import Facts
from zonehookd.tracing.links import Links

_NAMES_PORT = 53


class ServerLinks:
    """`plans`: what a look now would still tell the servers."""

    def __init__(self, facts: Facts, plans: Sequence[SubjectPlan], links: Links) -> None:
        self._facts, self._links, self._site = facts, links, facts.site
        self._plans = {plan.subject: plan for plan in plans}

    async def of(self, each: Attachment) -> None:
        gateway = self._site.gateways.get(each.network.via)
        if gateway is None or not gateway.ours or views.gateway_view(self._site, gateway.name).trouble:
            return
        name = gateway.name
        if each.network.dhcp is None or gateway.dhcp == "none":
            self._links.say("DHCP", each.network.name, "not applicable", "the network has none")
        else:
            plugin = self._server(gateway)
            await self._links.asked("DHCP", each.network.name, lambda: self._served(name, plugin), self._see(plugin))
            self._reservation(each, name, plugin)
        if gateway.dns == "none":
            self._links.say("DNS", each.network.name, "not applicable", "the gateway answers no names")
        else:
            await self._links.asked(
                "DNS", each.network.name, lambda: self._names(name, each.network), self._see("dnsmasq")
            )

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
            self._links.say("reservation", about, "unknown", f"could not look: {why}")
            return
        refused = next((n for n in plan.notes if n.kind == "refused" and n.object == each.link), None)
        to_do = [one for one in plan.steps if one.plugin == plugin]
        if refused is not None:
            self._links.say("reservation", about, "broken", refused.text, refused.hint)
            return
        wrong = f"{plugin} is still to be told: {len(to_do)} steps" if to_do else ""
        vnic = self._facts.vnics.get(each.link)
        self._links.judge("reservation", about, wrong, f"for MAC {vnic.mac if vnic else self._facts.mac(each)}")

    async def _names(self, gateway: str, network: Network) -> tuple[str, str]:
        servers = [probe.Probe(each, _NAMES_PORT) for each in network.gateways]
        answers = await self._facts.look.ask(probe.probes(gateway, servers))
        silent = [f"{each.address} {answer.text}" for each, answer in answers.items() if not answer.well]
        return ", ".join(silent), f"{', '.join(str(each.address) for each in servers)} takes questions"
