"""A zone that runs has its addresses and its default route inside, by whichever way suits it.

    given     the configuration has allowed-address: zoneadmd hands it in at boot; we add a missing default route
    dhcp      the zone asks by itself, and gets what is reserved for it: all brands without ipadm (lx, bhyve, kvm …)
    zonecfg   we write allowed-address and defrouter into its configuration before it boots (on request)
    zlogin    ipadm and route inside the zone, once per boot (native brands, unless told otherwise)

Inside is looked at once per boot and change: what the zone's own admin does there later is his.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from pydantic import Field

from zonehookd.illumos import ipadm, route, zonecfg
from zonehookd.plugin import (
    GLOBAL,
    Attachment,
    CannotObserve,
    Change,
    Forget,
    HostReader,
    Ip,
    Note,
    Plan,
    PluginOptions,
    Record,
    Remember,
    ZonePlugin,
    ZoneState,
    ZoneView,
    nothing,
)
from zonehookd.plugin.plumbing import plumb, wrong

KIND = "inside"
How = Literal["given", "dhcp", "zonecfg", "zlogin", "none"]
_SOON_S, _LATER_S = 1.0, 30.0


@dataclass(frozen=True)
class Seen:
    """`record`: what was done inside, at which boot. The rest only where something is to be done or checked."""

    record: Record | None
    addresses: ipadm.Addresses = field(default_factory=lambda: ipadm.Addresses((), {}))
    defaults: Sequence[route.DefaultRoute] = ()
    unseen: str = ""


class ZoneAddress(ZonePlugin[Seen]):
    name = "zone_address"
    after = ("vnic",)
    asks_each = True

    class Options(PluginOptions):
        without_ipadm: tuple[str, ...] = Field(
            ("lx", "bhyve", "kvm", "emu", "propolis", "joyent", "alien"),
            description="brands (their beginnings) without `ipadm`: they use DHCP",
        )

    options: Options

    def concerns(self, view: ZoneView, host: HostReader) -> bool:
        return any(each.network.via for each in view.attachments) or bool(host.recall(view.subject))

    async def observe(self, zone: ZoneView, host: HostReader) -> Seen:
        record = next(iter(host.recall(zone.subject)), None)
        mine = self._inside(zone)
        if zone.zone.state is not ZoneState.RUNNING or not mine or _done(zone, mine, record):
            return Seen(record)
        try:
            where = zone.zone.name
            asked = asyncio.gather(host.ask(ipadm.addresses(where)), host.ask(route.default_routes(where)))
            return Seen(record, *await asked)
        except CannotObserve as problem:  # it has only just begun to boot: no reason not to wire it
            return Seen(record, unseen=str(problem))

    def plan(self, zone: ZoneView, seen: Seen) -> Plan:
        if zone.zone.absent or zone.zone.name == GLOBAL:
            if seen.record is None:
                return nothing("there is nothing inside of ours")
            return Plan((Forget(KIND, seen.record.name, f"zone {zone.zone.name} is gone"),))
        mine = self._inside(zone)
        steps: list[Change | Remember | Forget] = list(self._configure(zone))
        if zone.zone.state is not ZoneState.RUNNING or not mine or _done(zone, mine, seen.record):
            return Plan(tuple(steps)) if steps else nothing("its addresses are set, or are not ours to set")
        if seen.unseen:
            pause_s = _SOON_S if zone.in_motion else _LATER_S
            return Plan(tuple(steps), (Note("waiting", seen.unseen, "not-up", zone.zone.name, again_after_s=pause_s),))
        notes = []
        replumbed = set()  # links whose routes may have gone with an address
        asking = set()  # by DHCP, whoever told them to: what they are given comes from there, routers too
        for attachment, how in mine:
            own = [each for each in seen.addresses if each.interface == attachment.link]
            waits = any(name.partition("/")[0] == attachment.link for name in seen.addresses.waiting)
            if waits or any(each.kind == "dhcp" for each in own):
                asking.add(attachment.link)
            elif how == "zlogin":
                why = f"{attachment.link} has no address inside zone {zone.zone.name}"
                changes = list(plumb(zone.zone.name, attachment.link, attachment.addresses, seen.addresses, why=why))
                steps += changes
                if changes and own:
                    replumbed.add(attachment.link)
            trouble = wrong(attachment.link, attachment.addresses, seen.addresses)
            if trouble:
                notes.append(Note("refused", trouble, "duplicate-address", attachment.link, "another machine has it"))
        for attachment, _ in mine:
            if attachment.primary and attachment.link not in asking:
                steps += _default_route(zone, attachment, seen, attachment.link in replumbed)
        facts = {
            "boot": str(zone.zone.zoneid),
            "given": _given(mine),
            "hops": " ".join(map(str, _hops(each for each, _ in mine))),
        }
        why = f"what zone {zone.zone.name} was given inside, at this boot"
        steps.append(Remember(Record(KIND, zone.zone.name, zone.subject, self.name, facts), why))
        return Plan(tuple(steps), tuple(notes))

    def _how(self, zone: ZoneView, attachment: Attachment) -> How:
        by = attachment.network.address_by
        brand = zone.zone.config.brand if zone.zone.config else ""
        native = not brand.startswith(self.options.without_ipadm)
        if attachment.nic.enforced:
            return "given" if native else "none"
        if by == "auto":
            return "zlogin" if native else "dhcp"
        return by

    def _inside(self, zone: ZoneView) -> Sequence[tuple[Attachment, How]]:
        """NICs for which something may have to be done inside: on networks with a gateway of ours."""
        found: list[tuple[Attachment, How]] = []
        for attachment in zone.attachments:
            if (
                attachment.role == "member"
                and attachment.addresses
                and attachment.network.via
                and not attachment.leaving
            ):
                how = self._how(zone, attachment)
                lacks_route = how == "given" and attachment.primary and not attachment.nic.router
                if how in ("zlogin", "zonecfg") or lacks_route:
                    found.append((attachment, "zlogin" if how == "zonecfg" else how))
        return found

    def _configure(self, zone: ZoneView) -> Iterator[Change]:
        """allowed-address and defrouter, while they can still take effect at the next boot."""
        if zone.zone.state not in (ZoneState.CONFIGURED, ZoneState.INSTALLED):
            return
        for attachment in zone.attachments:
            if attachment.role != "member" or self._how(zone, attachment) != "zonecfg" or not attachment.network.via:
                continue
            address = next((each for each in attachment.addresses if each.version == 4), None)
            if address is not None:
                hop = attachment.network.gateway(4) if attachment.primary else None
                why = f"{attachment.link} is to have {address} from its boot on"
                yield zonecfg.set_addresses(zone.zone.name, attachment.link, address, hop, why=why)


def _default_route(zone: ZoneView, attachment: Attachment, seen: Seen, again: bool) -> Iterator[Change]:
    """By the gateway of the primary NIC's network, and by no other of ours; one that the zone has already stays.

    `again`: also one that is right, because it may be lost by the steps before; adding what is there does no harm.
    """
    former = seen.record.facts.get("hops", "").split() if seen.record is not None else []
    for hop in _hops([attachment]):
        why = f"zone {zone.zone.name} goes out by {hop}"
        there = [each for each in seen.defaults if each.family == hop.version]
        for each in there:
            if str(each.gateway) in former and each.gateway != hop:
                yield route.delete_default(zone.zone.name, each.gateway, persistent=True, why=why)
        right = any(each.gateway == hop for each in there)
        if (right and again) or all(str(each.gateway) in former and each.gateway != hop for each in there):
            yield route.add_default(zone.zone.name, hop, persistent=True, why=why)


def _hops(attachments: Iterable[Attachment]) -> Sequence[Ip]:
    return [
        hop
        for each in attachments
        if each.primary
        for hop in each.network.gateways
        if any(address.version == hop.version for address in each.addresses)
    ]


def _given(mine: Sequence[tuple[Attachment, How]]) -> str:
    return "; ".join(f"{each.link} {how} {' '.join(map(str, each.addresses))}" for each, how in mine)


def _done(zone: ZoneView, mine: Sequence[tuple[Attachment, How]], record: Record | None) -> bool:
    if record is None or record.facts.get("boot") != str(zone.zone.zoneid):
        return False
    hops = " ".join(map(str, _hops(each for each, _ in mine)))
    return record.facts.get("given") == _given(mine) and record.facts.get("hops") == hops
