"""A gateway's own stack: inner and outer addresses, its default route, the ways further in, forwarding per interface.

Addresses and routes are persistent: the zone boots with them also when we are not there. Forwarding is not: it is
switched on at each boot, after the NAT rules are loaded (plugin nat comes first), so that a gateway that boots never
lets out a private source. What forwarding was before is in the books, and restored when nobody needs it any more.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from zonehookd.illumos import dladm, ipadm, ipnat, route
from zonehookd.plugin import (
    GATEWAY_SHUT,
    GLOBAL,
    Address,
    Change,
    Cidr,
    Forget,
    GatewayPlugin,
    GatewayView,
    HostReader,
    Ip,
    Note,
    Plan,
    Record,
    Remember,
    nothing,
)
from zonehookd.plugin.plumbing import plumb, wrong
from zonehookd.plugin.translation import untranslated

INTERFACE, FORWARDING, ROUTE = "interface", "forwarding", "route"
Steps = Iterator[Change | Remember | Forget]
FROM_ZONECFG = "from-gz"  # the type of an allowed-address inside the zone (network sheet 3.2)
Family = Literal[4, 6]
FAMILIES: tuple[Family, ...] = (4, 6)


@dataclass(frozen=True)
class Seen:
    """The stack as it is; all empty where it could not be of use."""

    records: Sequence[Record]
    addresses: ipadm.Addresses = field(default_factory=lambda: ipadm.Addresses((), {}))
    forwarding: Mapping[tuple[str, Family], bool] = field(default_factory=dict)
    defaults: route.DefaultRoutes = field(default_factory=route.DefaultRoutes)
    static: route.StaticRoutes = field(default_factory=lambda: route.StaticRoutes((), ()))
    links: frozenset[str] = frozenset()  # that are on the host, without those that another stack has
    rules: Sequence[str] = ()  # NAT rules in the kernel


class Gateway(GatewayPlugin[Seen]):
    name = "gateway"
    after = ("nat",)
    asks_each = True

    async def observe(self, gateway: GatewayView, host: HostReader) -> Seen:
        records = host.recall(gateway.subject)
        wanted = gateway.gateway is not None and gateway.gateway.ours
        if gateway.trouble or not (wanted or records):
            return Seen(records)
        where = gateway.where
        addresses, forwarding, defaults, static, loaded = await asyncio.gather(
            host.ask(ipadm.addresses(where)),
            host.ask(ipadm.forwarding(where)),
            host.ask(route.default_routes(where)),
            host.ask(route.static_routes(where)),
            host.ask(ipnat.loaded(where)),
        )
        links = await _links(gateway, addresses, host)
        return Seen(records, addresses, forwarding, defaults, static, links, loaded.rules)

    def plan(self, gateway: GatewayView, seen: Seen) -> Plan:
        declared = gateway.gateway
        if gateway.zone is None and gateway.name != GLOBAL:
            gone = f"zone {gateway.name} is gone"
            steps = tuple(Forget(record.kind, record.name, gone) for record in seen.records)
            if steps or declared is None:
                return Plan(steps) if steps else nothing(gone)
        if gateway.trouble:
            kind: Literal["waiting", "nothing"] = "waiting" if declared is not None else "nothing"
            return Plan(notes=(Note(kind, f"gateway {gateway.name}: {gateway.trouble}", GATEWAY_SHUT, gateway.name),))
        if declared is not None and not declared.ours and not seen.records:
            return nothing(f"gateway {gateway.name} is external: its admin sets it up")
        job = _Job(gateway, seen)
        plan = Plan((*job.clear(), *job.interfaces(), *job.routes(), *job.forwarding()), tuple(job.notes()))
        if plan.steps or plan.notes:
            return plan
        return nothing(f"gateway {gateway.name} has its addresses and forwards")


async def _links(gateway: GatewayView, addresses: ipadm.Addresses, host: HostReader) -> frozenset[str]:
    """Whose link it is needs asking only where there is no address on it: that walk opens every link."""
    there = frozenset(await host.ask(dladm.links()))
    bare = (there & {side.link for side in gateway.sides}) - {each.interface for each in addresses}
    if not bare:
        return there
    here = "" if gateway.where == GLOBAL else gateway.where
    zones = await host.ask(dladm.protections())
    return there - {link for link in bare if link in zones and zones[link].zone != here}


class _Job:
    """The plan for one gateway, part by part."""

    def __init__(self, gateway: GatewayView, seen: Seen) -> None:
        self.gateway, self.seen, self.where = gateway, seen, gateway.where
        self.records = {(record.kind, record.name): record for record in seen.records}
        self.outer = gateway.outer_link
        self.sides = {side.link for side in gateway.sides}
        self.wanted = self._addresses()
        self.ways = {name: (to, by) for name, to, by in self._ways()}

    # -- what is wanted

    def _addresses(self) -> Mapping[str, tuple[Address, ...]]:
        """Link -> addresses. The uplink of the global zone has its own already; declared ones are added to it."""
        declared = self.gateway.gateway
        if declared is not None and not declared.ours:  # by now: what we set up before goes
            return {}
        wanted = {side.link: side.addresses for side in self.gateway.sides}
        if declared is None or declared.outside is None or not self.outer:
            return wanted
        public = []
        for static in declared.statics:
            if static.public in self.gateway.lost:
                continue
            cidr = declared.outside.cidr(static.public.version)
            assert cidr is not None
            public.append(ipaddress.ip_interface(f"{static.public}/{cidr.prefixlen}"))
        own = wanted.get(self.outer, declared.addresses)
        if own or public:
            wanted[self.outer] = (*own, *public)
        return wanted

    def _ways(self) -> Iterator[tuple[str, Cidr | None, Ip]]:
        """(record name, destination or None for the default, next hop) of every route that is ours to make."""
        declared = self.gateway.gateway
        if declared is None or not declared.ours:
            return
        if declared.outside is not None and self.where != GLOBAL:
            for version in {each.version for each in self.wanted.get(self.outer, ())}:
                router = declared.outside.gateway(version)
                theirs = [each for each in self.seen.defaults if each.family == version and each.gateway != router]
                recorded = self.records.get((ROUTE, f"{self.where}/default{version}"))
                if router is not None and (recorded is not None or not theirs):
                    yield f"{self.where}/default{version}", None, router
        for cidr, hop in self.gateway.behind.items():
            yield f"{self.where}/{cidr}", cidr, hop

    def _forwards(self) -> Iterator[tuple[str, Family]]:
        """Where packets must be let through, by interface and family: nothing that would leave untranslated."""
        if self.gateway.gateway is not None and not self.gateway.gateway.ours:
            return
        outside = self._families_outside()
        bare = {cidr.version for cidr in untranslated(self.gateway, self.outer, self.seen.rules)}
        inside = {a.version for side in self.gateway.sides if side.role == "inside" for a in side.addresses}
        for family in FAMILIES:
            if family not in inside or (self.outer and family in outside and family in bare):
                continue
            for side in self.gateway.sides:
                if side.role == "inside" and any(each.version == family for each in side.addresses):
                    yield side.link, family
            if self.outer and family in outside:
                yield self.outer, family

    def _families_outside(self) -> set[int]:
        """Of our addresses there, and of the uplink's own, or what the zone's admin or a DHCP server gave it."""
        if not self.outer:
            return set()
        ours = {each.version for each in self.wanted.get(self.outer, ())}
        there = [each.address for each in self.seen.addresses if each.interface == self.outer]
        return ours | {each.version for each in there if not each.is_link_local}

    # -- steps

    def interfaces(self) -> Steps:
        for link, addresses in self.wanted.items():
            if link not in self.seen.links:
                continue
            why = f"gateway {self.gateway.name} lacks an address on {link}"
            record = self.records.get((INTERFACE, f"{self.where}/{link}"))
            known = record.facts.get("addresses", "").split() if record is not None else ()
            steps = list(plumb(self.where, link, addresses, self.seen.addresses, known=known, why=why))
            added = any(side.link == link and side.found_by == "gateway" for side in self.gateway.sides)
            facts = {"side": "yes" if added else "no", "addresses": " ".join(map(str, addresses))}
            if (steps or added or record is not None) and (record is None or record.facts != facts):
                yield self._remember(INTERFACE, link, facts, why)
            yield from steps

    def routes(self) -> Steps:
        for name, (to, hop) in self.ways.items():
            record = self.records.get((ROUTE, name))
            former = record.facts.get("hop") if record is not None else None
            why = f"{'the default route' if to is None else f'the way to {to}'} goes by {hop}"
            if former != str(hop):
                if former is not None:
                    yield self._delete(to, ipaddress.ip_address(former), why)
                yield self._remember(ROUTE, name.removeprefix(f"{self.where}/"), {"hop": str(hop)}, why)
            cause = "missing" if former == str(hop) else ""
            if to is None:
                if self.outer in self.seen.links and not any(each.gateway == hop for each in self.seen.defaults):
                    yield replace(route.add_default(self.where, hop, persistent=True, why=why), cause=cause)
            elif not (
                self.seen.defaults.leads(to, hop)
                and any(each.destination == to and each.gateway == hop for each in self.seen.static)
            ):
                yield replace(route.add_static(self.where, to, hop, persistent=True, why=why), cause=cause)

    def forwarding(self) -> Steps:
        enforced = {side.link for side in self.gateway.sides if side.nic.enforced}  # ipadm refuses it there
        for link, family in self._forwards():
            if self.seen.forwarding.get((link, family)) or not self._plumbed(link) or link in enforced:
                continue
            why = f"{link} is a side of gateway {self.gateway.name}"
            record = self.records.get((FORWARDING, f"{self.where}/{link}/{family}"))
            facts = {"before": "off", "boot": str(self.gateway.zone.zoneid) if self.gateway.zone else ""}
            if record is None or record.facts != facts:
                yield self._remember(FORWARDING, f"{link}/{family}", facts, why)
            cause = "altered" if record is not None and record.facts == facts else ""  # by somebody, since it booted
            yield replace(ipadm.set_forwarding(self.where, link, family, True, why=why), cause=cause)

    def clear(self) -> Steps:
        """What our books hold and nobody needs: forwarding first, so that nothing leaves by half a gateway."""
        forwards = {f"{self.where}/{link}/{family}" for link, family in self._forwards()}
        needed = self.sides | ({self.outer} if self.outer and self.gateway.gateway is not None else set())
        for record in sorted(self.seen.records, key=lambda each: (FORWARDING, ROUTE, INTERFACE).index(each.kind)):
            thing = record.name.removeprefix(f"{self.where}/")
            why = f"gateway {self.gateway.name} needs it no longer"
            if record.kind == FORWARDING and record.name not in forwards:
                link, _, text = thing.rpartition("/")
                family: Family = 4 if text == "4" else 6
                if link in needed and self.gateway.gateway is not None and self._undecided(family):
                    continue
                if self.seen.forwarding.get((link, family)):
                    yield ipadm.set_forwarding(self.where, link, family, False, why=why)
                yield Forget(FORWARDING, record.name, why)
            elif record.kind == ROUTE and record.name not in self.ways:
                to = None if thing.startswith("default") else ipaddress.ip_network(thing)
                yield self._delete(to, ipaddress.ip_address(record.facts["hop"]), why)
                yield Forget(ROUTE, record.name, why)
            elif record.kind == INTERFACE and thing not in self.wanted:
                if record.facts.get("side") == "yes":
                    yield ipadm.delete_if(self.where, thing, why=why)
                else:
                    yield from plumb(self.where, thing, (), self.seen.addresses, why=why)
                yield Forget(INTERFACE, record.name, why)

    def _undecided(self, family: Family) -> bool:
        """Rules are missing right now: they come back in this look, and forwarding that is on stays on.

        Without an outer address of this family there are none to come back.
        """
        missing = untranslated(self.gateway, self.outer, self.seen.rules)
        return family in self._families_outside() and any(each.version == family for each in missing)

    # -- saying

    def notes(self) -> Iterator[Note]:
        """Why nothing goes through it, as far as steps cannot mend it."""
        declared = self.gateway.gateway
        if declared is None or not declared.ours:
            return
        name = self.gateway.name
        for side in self.gateway.sides:
            if side.nic.enforced:
                text = f"{side.link} of gateway {name} has an allowed-address, which drops whatever it should pass on"
                hint = (
                    f"zonecfg -z {name} 'select net physical={side.link}; clear allowed-address; end', then reboot it"
                )
                yield Note("refused", text, GATEWAY_SHUT, side.link, hint)
        for link in self.wanted.keys() - self.seen.links:
            text = f"gateway {name} waits for {link}, which is not there yet"
            yield Note("waiting", text, GATEWAY_SHUT, link, again_after_s=2.0)
        for link, addresses in self.wanted.items():
            trouble = wrong(link, addresses, self.seen.addresses)
            if trouble:
                yield Note("refused", f"gateway {name}: {trouble}", GATEWAY_SHUT, link, "another machine has it")
        if declared.outside is not None and self.outer and not self._plumbed(self.outer):
            text = f"gateway {name} has no IP interface on {self.outer}, its way out"
            yield Note("waiting", text, GATEWAY_SHUT, self.outer, again_after_s=2.0)
        if self.where == GLOBAL and declared.outside is not None:
            for router in declared.outside.gateways:
                if not any(each.family == router.version for each in self.seen.defaults):
                    text = f"the global zone has no IPv{router.version} default route: nothing goes beyond {self.outer}"
                    hint = f"it is the host's own: route -p add default {router}"
                    yield Note("refused", text, GATEWAY_SHUT, name, hint)
        families = self._families_outside()
        bare = [e for e in untranslated(self.gateway, self.outer, self.seen.rules) if e.version in families]
        if bare:
            text = f"gateway {name} passes nothing on until {', '.join(map(str, bare))} is translated"
            yield Note("waiting", text, GATEWAY_SHUT, name, again_after_s=0.3)

    def _plumbed(self, link: str) -> bool:
        return any(name == link for name, _ in self.seen.forwarding) or bool(
            self.wanted.get(link) and link in self.seen.links
        )

    def _remember(self, kind: str, thing: str, facts: Mapping[str, str], why: str) -> Remember:
        return Remember(Record(kind, f"{self.where}/{thing}", self.gateway.subject, Gateway.name, facts), why)

    def _delete(self, to: Cidr | None, hop: Ip, why: str) -> Change:
        if to is None:
            return route.delete_default(self.where, hop, persistent=True, why=why)
        return route.delete_static(self.where, to, hop, persistent=True, why=why)
