"""The gateways between a zone and the world, as links of its chain."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from zonehookd.engine import views
from zonehookd.engine.reconciler import SubjectPlan
from zonehookd.illumos import smf
from zonehookd.model import subject
from zonehookd.model.gateway import GLOBAL, Gateway
from zonehookd.model.network import Ip, Network
from zonehookd.model.plan import Note
from zonehookd.model.record import LET_GO
from zonehookd.model.zone import Zone
from zonehookd.plugin.translation import translated, untranslated
from zonehookd.tracing import cures, natting
from zonehookd.tracing.facts import Facts, Stack
from zonehookd.tracing.links import Links
from zonehookd.tracing.natting import Packet
from zonehookd.tracing.walk import APPLY

_GONE = "gateway-let-go"
_KEEPERS = ("gateway-lost", _GONE, "damaged")  # codes of its notes
_FILTER = "svc:/network/ipfilter:default"


class GatewayLinks:
    """What is said once is not said again: two networks of a zone may be behind one gateway."""

    def __init__(self, facts: Facts, zone: Zone, links: Links, plans: Sequence[SubjectPlan]) -> None:
        self._facts, self._zone, self._links, self._site = facts, zone, links, facts.site
        self._plans = plans
        self._done: set[str] = set()

    async def outwards(self, network: Network) -> None:
        inner: Network | None = network
        while inner is not None and inner.via:
            gateway = self._site.gateways.get(inner.via)
            if gateway is None or f"{gateway.name}/{inner.name}" in self._done:
                return
            await self.one(gateway, inner)
            inner = gateway.outside if gateway.outside is not None and gateway.outside.internal else None

    async def one(self, gateway: Gateway, inner: Network | None) -> None:
        """`inner` None: the zone is this gateway itself."""
        view = views.gateway_view(self._site, gateway.name)
        where = f"gateway {gateway.name}"
        again = gateway.name in self._done
        self._done |= {gateway.name, f"{gateway.name}/{inner.name if inner else ''}"}
        if not again:
            wrong = cures.trouble(view.trouble)
            if wrong and view.zone is None:
                wrong = self._let_go(gateway.name) or wrong
            self._links.judge(where, gateway.name, wrong, "its zone runs", self._cure(gateway.name))
        if view.trouble:
            return
        if not gateway.ours:
            self._links.say(where, gateway.name, "not applicable", "it is external: its admin sets it up")
            return
        stack = await self._facts.stack(gateway.name)
        if stack.unseen:
            self._links.say(where, gateway.name, "unknown", f"could not look: {stack.unseen}")
            return
        if inner is not None:
            side = view.side(inner.name)
            for router in inner.gateways:
                up = stack.has(router)
                wrong = "" if up and up.state == "ok" else f"{router} is {up.state if up else 'not up'} in {where}"
                self._links.judge(f"{where} inside", str(router), wrong, f"up on {side.link if side else inner.link}")
        if gateway.outside is None or again:
            return
        await self._filter(where, gateway, stack, bool(translated(view) or gateway.forwards or gateway.statics))
        bare = untranslated(view, view.outer_link, stack.nat.rules if stack.nat is not None else ())
        own = {address.version for address in stack.own(view.outer_link) if not address.is_link_local}
        wrong = ", ".join(str(each) for each in bare if each.version in own)
        well = "what it hides is translated" if gateway.nat else "it routes, and translates nothing"
        self._links.judge(f"{where} NAT", view.outer_link, f"no rule translates {wrong}" if wrong else "", well)
        self._ways_in(where, gateway, view.outer_link, stack)
        sides = [each.link for each in view.sides if each.role == "inside" and (not inner or each.network == inner)]
        off = [link for link in (*sides, view.outer_link) if not stack.forwarding.get((link, 4))]
        off = off if 4 in own and any(c.version == 4 for n in gateway.networks.values() for c in n.cidrs) else []
        wrong = f"IPv4 forwarding is off on {', '.join(off)}" if off else ""
        self._links.judge(f"{where} forwarding", ", ".join((*sides, view.outer_link)), wrong, "on")
        routers = [str(each) for each in gateway.outside.gateways if each.version in own]
        there = {str(each.gateway) for each in stack.routes}
        wrong = "" if not routers or there & set(routers) else f"no default route by {routers[0]}"
        cure = f"route -p add default {routers[0]}" if routers and gateway.name == GLOBAL else APPLY
        self._links.judge(
            f"{where} way out", view.outer_link, wrong, f"by {', '.join(sorted(there)) or 'the link'}", cure
        )

    def _cure(self, name: str) -> str:
        """Of a gateway that is gone or damaged, plugin keeper knows best: it may have been renamed, or not be kept."""
        known = next((note.hint for note in self._notes(name) if note.code in _KEEPERS and note.hint), "")
        return known or self._facts.cure(name)

    def _let_go(self, name: str) -> str:
        """That it was, and who is cut off; "" if it was not."""
        said = next((note.text for note in self._notes(name) if note.code == _GONE), "")
        if not said and self._facts.look.store.one(LET_GO, name) is not None:
            return "it was deleted and let go"
        return said.replace(f"gateway zone {name} was", "it was", 1)

    def _notes(self, name: str) -> Iterator[Note]:
        return (note for plan in self._plans if plan.subject == subject.gateway(name) for note in plan.notes)

    async def _filter(self, where: str, gateway: Gateway, stack: Stack, needed: bool) -> None:
        if not needed or stack.nat is None:
            self._links.say(f"{where} filter", _FILTER, "not applicable", "it translates nothing")
            return

        async def see() -> tuple[str, str]:
            service = (await self._facts.look.ask(smf.services(gateway.name, [_FILTER]))).get(_FILTER)
            said = f"{_FILTER} is {service.state}" if service else f"there is no service {_FILTER}"
            on = stack.nat is not None and stack.nat.enabled
            return ("" if on else f"the packet filter is off; {said}"), f"it is on; {said}"

        await self._links.asked(f"{where} filter", _FILTER, see, f"svcs -x -z {gateway.name} {_FILTER}")

    def _ways_in(self, where: str, gateway: Gateway, outer: str, stack: Stack) -> None:
        """Forwards and one-to-one addresses that lead to this zone."""
        mine = {each.ip for one in self._site.of_zone(self._zone.name).attachments for each in one.addresses}
        meant = {str(each) for each in mine} | {self._zone.name}
        rules = stack.nat.rules if stack.nat is not None else ()
        for way in _promised(gateway):
            if way.to not in meant:
                continue
            version = next((each.version for each in mine if str(each) == way.to), 4)
            public = way.public or next((each for each in stack.own(outer) if each.version == version), None)
            if public is None:
                self._links.say(f"{where} way in", way.what, "broken", f"{outer} has no IPv{version} address", APPLY)
                continue
            caller = way.caller or ip_address("198.51.100.1" if public.version == 4 else "2001:db8::1")  # anybody
            done = natting.arriving(rules, outer, Packet(caller, public, way.protocol, way.port))
            right = done is not None and (done.packet.dst in mine or bool(done.unknown))
            wrong = "" if right else f"no rule sends {way.what} to {way.to}"
            self._links.judge(f"{where} way in", way.what, wrong, f"to {way.to}")


@dataclass(frozen=True, slots=True)
class _WayIn:
    """`public`, `caller` None: the gateway's own outer address, anybody."""

    what: str
    to: str
    public: Ip | None
    caller: Ip | None = None
    protocol: natting.Protocol = "icmp"
    port: int = 0


def _promised(gateway: Gateway) -> Iterator[_WayIn]:
    for each in gateway.forwards:
        caller = each.sources[0].network_address if each.sources else None
        protocol: natting.Protocol = "udp" if each.protocol == "udp" else "tcp"
        yield _WayIn(str(each), each.to, each.public, caller, protocol, each.first)
    for static in gateway.statics:
        yield _WayIn(str(static.public), static.inside, static.public)
