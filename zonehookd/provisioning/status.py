"""Each part of a provisioning network: does it exist, is it as declared, does it work (contract A11).

*As declared* is what the host says against the declaration, and for what servers are told, that a look now would change
nothing. *Works* is probed with what can be asked: states, addresses, rules in the kernel, a question to the name
server. Whether a DHCP server answers strangers can only be seen by being one; that it is online is what is said here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Literal

from zonehookd.bus.messages import ComponentRow, ProvisioningRow
from zonehookd.engine.look import Look
from zonehookd.engine.reconciler import SubjectPlan
from zonehookd.engine.site import Site
from zonehookd.errors import CannotObserve
from zonehookd.host import name_server
from zonehookd.illumos import dladm, ipadm, ipnat, route, smf
from zonehookd.model import subject
from zonehookd.model.gateway import GLOBAL, Gateway
from zonehookd.model.network import Dhcp, Network
from zonehookd.model.plan import describe
from zonehookd.plugin import served

Name = Literal["etherstub", "host-vnic", "address", "forwarding", "nat", "dhcp", "dns"]


@dataclass(frozen=True, slots=True)
class Part:
    """What was found of one component: `wrong` is against the declaration, `broken` keeps it from working."""

    exists: bool
    wrong: Sequence[str] = ()
    broken: Sequence[str] = ()

    def row(self, name: Name, what: str) -> ComponentRow:
        missing = [] if self.exists else [f"{what or name} is not there"]
        return ComponentRow(
            name=name,
            object=what,
            exists=self.exists,
            as_declared=self.exists and not self.wrong,
            works=self.exists and not self.broken,
            text="; ".join(dict.fromkeys([*missing, *self.wrong, *self.broken])),
        )


class Parts:
    """The parts of one network, as one look sees them. `plans`: what a look now would do, of all subjects."""

    def __init__(
        self, look: Look, network: Network, gateway: Gateway, plans: Sequence[SubjectPlan], enabled: Collection[str]
    ) -> None:
        self._look = look
        self._network = network
        self._gateway = gateway
        self._plans = plans
        self._enabled = enabled
        self._vnic = network.gateway_link
        self._uplink = gateway.outside.link if gateway.outside else ""
        self._host = network.gateway(4)
        cidr = network.cidr(4)
        assert isinstance(self._host, IPv4Address) and isinstance(cidr, IPv4Network)  # as declared
        self._cidr: IPv4Network = cidr

    async def rows(self) -> list[ComponentRow]:
        """One row per component, in the order in which they rest on each other."""
        dhcp, dns = self._servers()
        parts: list[tuple[Name, str, Callable[[], Awaitable[Part]]]] = [
            ("etherstub", self._network.link, self._etherstub),
            ("host-vnic", self._vnic, self._host_vnic),
            ("address", f"{self._host}/{self._cidr.prefixlen}", self._address),
            ("forwarding", f"{self._vnic}, {self._uplink}", self._forwarding),
            ("nat", f"{self._cidr} by {self._uplink}", self._nat),
            ("dhcp", dhcp, lambda: self._dhcp(dhcp)),
            ("dns", dns, lambda: self._dns(dns)),
        ]
        found = []
        for name, what, see in parts:
            try:
                found.append((await see()).row(name, what))
            except CannotObserve as problem:
                found.append(
                    ComponentRow(name=name, object=what, exists=None, as_declared=None, works=None, text=str(problem))
                )
        return found

    # -- links and addresses

    async def _etherstub(self) -> Part:
        links = await self._look.ask(dladm.links())
        stub, vnic = links.get(self._network.link), links.get(self._vnic)
        if stub is None:
            return Part(False)
        wrong = [] if stub.klass == "etherstub" else [f"{stub.name} is a {stub.klass}, and no etherstub"]
        if self._network.mtu not in (None, stub.mtu):
            wrong.append(f"its MTU is {stub.mtu}, declared {self._network.mtu}")
        on_it = vnic is not None and vnic.over == stub.name
        return Part(True, wrong, [] if on_it else [f"the host has no NIC on {stub.name}"])

    async def _host_vnic(self) -> Part:
        link = (await self._look.ask(dladm.links())).get(self._vnic)
        if link is None:
            return Part(False)
        wrong = [] if link.klass == "vnic" else [f"{link.name} is a {link.klass}, and no VNIC"]
        if link.over != self._network.link:
            wrong.append(f"it lies over {link.over}, declared {self._network.link}")
        interface = (await self._look.ask(ipadm.interfaces())).get(self._vnic)
        if interface is None:
            return Part(True, wrong, [f"no IP interface on {self._vnic}"])
        return Part(True, wrong, [] if interface.state == "ok" else [f"interface {self._vnic} is {interface.state}"])

    async def _address(self) -> Part:
        every = await self._look.ask(ipadm.addresses())
        found = next((each for each in every if each.interface == self._vnic and each.address.ip == self._host), None)
        if found is None:
            return Part(False)
        network = found.address.network
        wrong = [] if network == self._cidr else [f"its network is {network}, declared {self._cidr}"]
        return Part(True, wrong, [] if found.state == "ok" else [f"{found.name} is {found.state}"])

    # -- the way out

    async def _forwarding(self) -> Part:
        switches = await self._look.ask(ipadm.forwarding())
        there = {link: switches.get((link, 4)) for link in (self._vnic, self._uplink)}
        wrong = [f"{link} does not forward" for link, on in there.items() if on is False]
        wrong += [f"{link} has no IPv4 interface" for link, on in there.items() if on is None]
        routes = await self._look.ask(route.default_routes())
        out = any(each.family == 4 and each.interface in ("", self._uplink) for each in routes)
        broken = [*wrong, *([] if out else [f"no IPv4 default route by {self._uplink}"])]
        return Part(None not in there.values(), wrong, broken)

    async def _nat(self) -> Part:
        loaded = await self._look.ask(ipnat.loaded())
        rules = [rule for rule in loaded.rules if rule.startswith(f"map {self._uplink} {self._cidr} ")]
        if not loaded.enabled:
            return Part(False, (), ["ipfilter is not enabled"])
        wrong = self._pending({"nat"})
        if not any(" portmap " in rule for rule in rules):
            wrong.append("no rule for the ports of TCP and UDP")
        if all(" portmap " in rule for rule in rules):
            wrong.append("no rule for what has no ports, such as ping")
        every = await self._look.ask(ipadm.addresses())
        shown = any(each.interface == self._uplink and each.address.version == 4 for each in every)
        return Part(bool(rules), wrong, [*wrong, *([] if shown else [f"{self._uplink} has no address to show"])])

    # -- servers

    def _servers(self) -> tuple[str, str]:
        """Which plugin serves DHCP and which answers names."""
        auto = "dhcpd" if self._look.dialect.vnic_zone_field else "dnsmasq"
        return (auto if self._gateway.dhcp == "auto" else self._gateway.dhcp), self._gateway.dns

    async def _served(self, plugin: str) -> Part:
        """The service that `plugin` has set up: its record says which one, and whether all it was asked is done."""
        if plugin not in self._enabled:
            return Part(False, [f"plugin {plugin} is not enabled"])
        mine = [r for r in self._look.store.of(subject.gateway(GLOBAL)) if (r.kind, r.plugin) == (served.KIND, plugin)]
        pending = self._pending({plugin})
        if not mine:
            return Part(False, pending or [f"plugin {plugin} has set up no service yet"])
        book, fmri = served.Book.of(mine[0]), mine[0].name.split()[-1]
        wrong = [*pending, *(f"{fmri} did not take our configuration: {why}" for why in book.bad.values())]
        if book.good is None or book.asked is not None:
            wrong.append(f"{fmri} does not run with our configuration yet")
        service = (await self._look.ask(smf.services(GLOBAL, [fmri]))).get(fmri)
        if service is None:
            return Part(False, [f"there is no service {fmri}"])
        if service.state != "online" or service.next_state:
            towards = f", on its way to {service.next_state}" if service.next_state else ""
            return Part(True, wrong, [f"{fmri} is {service.state}{towards}"])
        return Part(True, wrong)

    async def _dhcp(self, plugin: str) -> Part:
        dhcp = self._network.dhcp or Dhcp()
        part = await self._served(plugin)
        wrong = list(part.wrong)
        if not (self._network.pool or dhcp.dynamic):
            wrong.append("it has neither a pool nor a dynamic range")
        if not resolvers(self._network, self._gateway):
            wrong.append("its clients are told no resolver")
        return Part(part.exists, wrong, await self._reachable(part))

    async def _dns(self, plugin: str) -> Part:
        part = await self._served(plugin)
        broken = await self._reachable(part)
        if part.exists and not broken:
            assert isinstance(self._host, IPv4Address)
            if not await name_server.answers(self._host):
                broken.append(f"nobody answers names at {self._host}")
        missing = [] if self._gateway.upstream else ["it has no upstream to ask for the names of others"]
        return Part(part.exists, [*part.wrong, *missing], broken)

    async def _reachable(self, part: Part) -> list[str]:
        address = await self._address()
        return [*part.broken, *([] if address.exists and not address.broken else [f"{self._host} is not up"])]

    def _pending(self, plugins: Collection[str]) -> list[str]:
        """What a look now would still do for the gateway: then it is not as declared."""
        plan = next((each for each in self._plans if each.subject == subject.gateway(GLOBAL)), None)
        if plan is None:
            return []
        if plan.blind or plan.failed:
            raise CannotObserve(plan.blind or plan.failed)
        return [f"to do: {describe(each.step)}" for each in plan.steps if each.plugin in plugins]


def resolvers(network: Network, gateway: Gateway) -> list[str]:
    """What clients are told: what is declared, else the host where it answers names, else whom the host would ask."""
    declared = network.dhcp.resolvers if network.dhcp else ()
    if not declared and gateway.dns != "none":
        declared = tuple(each for each in network.gateways if each.version == 4)
    return [str(each) for each in declared or gateway.upstream]


def attached(site: Site, name: str) -> list[str]:
    """Zones with a NIC on that network, running or not, whoever made them."""
    return sorted({each.zone for each in site.on_network.get(name, ()) if each.zone != GLOBAL})


async def row(
    look: Look, site: Site, name: str, declared_in: str, plans: Sequence[SubjectPlan], enabled: Collection[str]
) -> ProvisioningRow:
    """All of one provisioning network. Raises nothing that a component could say instead."""
    network, gateway = site.networks[name], site.gateways[GLOBAL]
    components = await Parts(look, network, gateway, plans, enabled).rows()
    return ProvisioningRow(
        name=name,
        ready=all(each.good for each in components),
        cidr=", ".join(str(each) for each in network.cidrs),
        host=str(network.gateway(4)),
        uplink=gateway.outside.link if gateway.outside else "",
        pool=[str(each) for each in network.pool],
        dynamic=[str(each) for each in network.dhcp.dynamic] if network.dhcp else [],
        resolvers=resolvers(network, gateway),
        declared_in=declared_in,
        zones=attached(site, name),
        components=components,
    )
