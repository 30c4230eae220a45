"""Each NIC of a zone has its VNIC on the matching etherstub, before the zone boots, for as long as the zone exists.

The VNIC is persistent: the zone boots without us, and persistent ipadm objects inside it need a persistent link
(network sheet 4.3). It bears one MAC for life, recorded before it is made. A link that somebody else made is used where
it fits, reported where it does not, and never deleted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from zonehookd.illumos import dladm, linkname
from zonehookd.plugin import (
    GLOBAL,
    Attachment,
    CannotObserve,
    Change,
    Forget,
    HostReader,
    Note,
    Plan,
    Record,
    Remember,
    ZonePlugin,
    ZoneState,
    ZoneView,
    nothing,
)
from zonehookd.plugin.contract import NOBODY

KIND = "vnic"
_ATTEMPTS = 16  # derived MACs tried against those in use on the same link


@dataclass(frozen=True)
class SeenNic:
    """One link by name: what it is now, whose our records say it is, and the MAC a new one would get."""

    link: dladm.Link | None
    vnic: dladm.Vnic | None
    record: Record | None
    new_mac: str = ""
    mac_holder: str = ""  # another VNIC that has this MAC on the same lower link
    lower: dladm.Link | None = None  # what the VNIC is to lie on; asked only where something is to be done
    protection: dladm.Protection | None = None


@dataclass(frozen=True)
class Seen:
    """By link name: every NIC that is placed, and every link our records hold for this zone."""

    nics: Mapping[str, SeenNic] = field(default_factory=dict)


class Vnic(ZonePlugin[Seen]):
    name = "vnic"

    async def observe(self, zone: ZoneView, host: HostReader) -> Seen:
        placed = {attachment.link: attachment for attachment in zone.attachments if not attachment.leaving}
        names = dict.fromkeys([*placed, *(record.name for record in host.recall(zone.subject))])
        return Seen({name: await _observe_nic(name, placed.get(name), zone, host) for name in names})

    def plan(self, zone: ZoneView, seen: Seen) -> Plan:
        staying = [attachment for attachment in zone.attachments if not attachment.leaving]
        plans = [_nic(zone, attachment, seen.nics[attachment.link]) for attachment in staying]
        placed = {attachment.link for attachment in staying}
        plans += [_leftover(zone, name, nic) for name, nic in seen.nics.items() if name not in placed]
        plans += [nothing(f"{name}: says nothing of a network, left alone") for name in zone.left_alone]
        if not plans and not zone.refusals:
            return nothing("the zone has no link of its own")
        return Plan(
            tuple(step for plan in plans for step in plan.steps), tuple(note for plan in plans for note in plan.notes)
        )

    async def reclaim(self, links: Mapping[str, str], host: HostReader) -> Sequence[Record]:
        """A link that bears the MAC we derive from its name is ours; nobody else would give it that one."""
        found = []
        for vnic in (await host.ask(dladm.vnics(host.dialect))).values():
            if vnic.mac in (linkname.derived_mac(host.site, vnic.name, attempt) for attempt in range(_ATTEMPTS)):
                owner = NOBODY._replace(name=links[vnic.name]) if vnic.name in links else NOBODY
                found.append(Record(KIND, vnic.name, owner, self.name, {"over": vnic.over, "mac": vnic.mac}))
        return found


# -- looking


async def _observe_nic(name: str, wanted: Attachment | None, zone: ZoneView, host: HostReader) -> SeenNic:
    link = await host.ask(dladm.link(name))
    if link is None and wanted is None:  # to forget it on the word of one query would be rash (network sheet 8.1)
        link = (await host.ask(dladm.links())).get(name)
    vnic = await host.ask(dladm.vnic(name, host.dialect)) if link is not None and link.klass == KIND else None
    if link is not None and link.klass == KIND and vnic is None:  # gone between two walks (network sheet 7)
        raise CannotObserve(f"show-link knows VNIC {name}, show-vnic does not")
    record = host.recall_one(KIND, name)
    new_mac, mac_holder, lower, protection = "", "", None, None
    if wanted is not None:
        fits = vnic is not None and _fits(vnic, wanted)
        if not fits or link is None or link.mtu != wanted.network.mtu:
            lower = await host.ask(dladm.link(wanted.network.link))
        if not fits:
            used = await host.ask(dladm.vnics(host.dialect))
            new_mac = wanted.nic.mac or _free_mac(name, wanted, record, used, host.site)
            mac_holder = used.mac_holder(wanted.network.link, new_mac).removeprefix(name)
    if link is not None and (_we_protect(zone, wanted) or (vnic is not None and wanted is None and vnic.zone is None)):
        protection = (await host.ask(dladm.protections())).get(name)
    return SeenNic(link, vnic, record, new_mac, mac_holder, lower, protection)


def _fits(vnic: dladm.Vnic, wanted: Attachment) -> bool:
    """What cannot be changed of a VNIC once it is made: its lower link, its MAC where one is asked for, its VLAN."""
    right_mac = not wanted.nic.mac or vnic.mac == wanted.nic.mac
    return vnic.over == wanted.network.link and right_mac and vnic.vlan == wanted.nic.vlan


def _free_mac(name: str, wanted: Attachment, record: Record | None, used: dladm.Vnics, site: str) -> str:
    """The recorded MAC for life, else the first derived one, that no other VNIC on the same lower link has."""
    recorded = record.facts.get("mac", "") if record is not None else ""
    derived = [linkname.derived_mac(site, name, attempt) for attempt in range(_ATTEMPTS)]
    free = (mac for mac in (recorded, *derived) if mac and used.mac_holder(wanted.network.link, mac) in ("", name))
    return next(free, derived[0])


def _we_protect(zone: ZoneView, wanted: Attachment | None) -> bool:
    """zoneadmd protects links with allowed-address, and refuses the boot if they are protected already (network sheet
    2.10, 6.1). So we protect only the others, and only in a zone that runs: it forgets them at each halt."""
    running = zone.zone.state is ZoneState.RUNNING
    return wanted is not None and _guarded(wanted) and not wanted.nic.enforced and running


def _guarded(wanted: Attachment) -> bool:
    """A gateway's side passes on what others sent: protection would drop it (services sheet 1.12)."""
    return wanted.network.antispoof and bool(wanted.addresses) and wanted.role == "member"


# -- planning


def _nic(zone: ZoneView, wanted: Attachment, seen: SeenNic) -> Plan:
    """The plan for one placed NIC."""
    name, over = wanted.link, wanted.network.link
    if seen.record is not None and seen.link is not None and not (seen.vnic and _is(seen.vnic, seen.record)):
        # Somebody put another link in its place, or was faster: it is theirs now, and our books say so.
        theirs = _nic(zone, wanted, replace(seen, record=None))
        if seen.record.owner != zone.subject:
            return theirs  # its owner of before forgets it
        forget = Forget(KIND, name, f"the {name} that is there is not the one we made")
        return Plan((forget, *theirs.steps), theirs.notes)
    if wanted.on_demand:
        return _on_demand(zone, wanted, seen)
    if seen.link is None:
        return _create(zone, wanted, seen, f"{name} is missing on network {wanted.network.name}")
    if seen.vnic is None:
        return _refuse(wanted, f"{name} is a {seen.link.klass} and no VNIC", "foreign-link", "rename one of the two")
    if not _fits(seen.vnic, wanted):
        is_now = _described(seen.vnic.over, seen.vnic.mac, seen.vnic.vlan)
        should = _described(over, wanted.nic.mac, wanted.nic.vlan)
        if seen.record is None:
            hint = f'somebody else made it; if it may go: "dladm delete-vnic {name}", and it is made anew'
            return _refuse(wanted, f"{name} is {is_now}, should be {should}", "foreign-link", hint)
        if (
            zone.in_motion
        ):  # between the two halves of a reboot its link must not be missing (network sheet 10, trap 16)
            text = f"{name} is {is_now}, should be {should}: once the zone has come to rest"
            return Plan(notes=(Note("waiting", text, "in-motion", name, again_after_s=1.0),))
        if zone.zone.state.in_kernel:
            text = f"{name} is {is_now}, should be {should}: moves when the zone has halted"
            return Plan(notes=(Note("waiting", text, "in-use", name),))
        why = f"{name} is {is_now}, should be {should}"
        anew = _create(zone, wanted, seen, why)
        return Plan((dladm.delete_vnic(name, ours=seen.record, why=why), *anew.steps)) if anew.steps else anew
    steps: list[Change | Remember] = [*_book(zone, wanted, seen), *_mtu(wanted, seen), *_protect(zone, wanted, seen)]
    if steps:
        return Plan(tuple(steps))
    by_whom = "" if seen.record else ", made by somebody else"
    return nothing(f"{name} is on network {wanted.network.name} over {over}{by_whom}")


def _create(zone: ZoneView, wanted: Attachment, seen: SeenNic, why: str) -> Plan:
    name, over = wanted.link, wanted.network.link
    if wanted.network.name in zone.network_trouble:
        text = f"{name} waits for network {wanted.network.name}: {zone.network_trouble[wanted.network.name]}"
        return Plan(notes=(Note("waiting", text, "network-trouble", name, again_after_s=5.0),))
    if wanted.network.internal and seen.lower is not None and seen.lower.klass != "etherstub":
        text = f"{name} belongs on network {wanted.network.name}, but {over} is a {seen.lower.klass} and no etherstub"
        return _refuse(wanted, text, "foreign-link", f"set another etherstub in [network.{wanted.network.name}]")
    if not wanted.network.internal and seen.lower is None:
        text = f"{name} waits for {over}, the uplink of network {wanted.network.name}, which is not there"
        return Plan(notes=(Note("waiting", text, "uplink-missing", name, again_after_s=5.0),))
    if seen.mac_holder:
        text = f"{name}: MAC {seen.new_mac} on {over} belongs to {seen.mac_holder}"
        return _refuse(wanted, text, "mac-taken", f"give {name} or {seen.mac_holder} another")
    facts = {"over": over, "mac": seen.new_mac, **({"role": wanted.role} if wanted.role != "member" else {})}
    record = Record(KIND, name, zone.subject, "vnic", facts)
    steps: list[Change | Remember] = [
        Remember(record, why),
        replace(
            dladm.create_vnic(name, over=over, mac=seen.new_mac, vlan=wanted.nic.vlan, why=why),
            cause="" if seen.record is None else "missing" if seen.link is None else "altered",
        ),
    ]
    # Taken away under a running zone, it is given back without a reboot; a side of a running gateway is lent to it.
    if zone.zone.state is ZoneState.RUNNING and zone.zone.name != GLOBAL:
        # First lent, then protected: should the zone have halted meanwhile, the loan fails, and nothing is left
        # protected that zoneadmd wants to protect itself at the next boot (network sheet 2.10, 6.1).
        steps.append(
            dladm.set_linkprop(name, "zone", zone.zone.name, temporary=True, why=f"{why}, and the zone is running")
        )
        if _guarded(wanted):
            steps += _guard(zone, wanted, dladm.Protection())
    return Plan(tuple(steps))


def _on_demand(zone: ZoneView, wanted: Attachment, seen: SeenNic) -> Plan:
    """The brand makes this VNIC at boot and deletes it at halt (zones sheet 6.3): we see that it is right."""
    name, over = wanted.link, wanted.network.link
    forget = (Forget(KIND, name, "the brand makes this link on demand"),) if seen.record else ()
    if seen.link is None:
        state = "missing while the zone runs" if zone.zone.state is ZoneState.RUNNING else "made by the brand at boot"
        return Plan(forget, (Note("nothing", f"{name}: {state}, over {over}"),))
    if seen.vnic is None or seen.vnic.over != over:
        is_now = f"over {seen.vnic.over}" if seen.vnic else f"a {seen.link.klass}"
        return _refuse(
            wanted, f"{name} is {is_now}, global-nic says {over}", "foreign-link", "halt the zone and boot it"
        )
    steps: list[Change] = (
        [*_mtu(wanted, seen), *_protect(zone, wanted, seen)] if zone.zone.state is ZoneState.RUNNING else []
    )
    if steps:
        return Plan(tuple(steps))
    return nothing(f"{name} is on network {wanted.network.name}, made on demand by the brand")


def _book(zone: ZoneView, wanted: Attachment, seen: SeenNic) -> Iterator[Remember]:
    """Our own link under a new owner: the zone was renamed, or took it over."""
    assert seen.vnic is not None
    if seen.record is not None and seen.record.owner != zone.subject:
        facts = {**seen.record.facts, "over": seen.vnic.over, "mac": seen.vnic.mac}
        why = f"{wanted.link} went from {seen.record.owner} to {zone.subject}"
        yield Remember(Record(KIND, wanted.link, zone.subject, "vnic", facts), why)


def _mtu(wanted: Attachment, seen: SeenNic) -> Iterator[Change]:
    """Only what is ours, or on demand; never above the lower link (network sheet 3.7)."""
    mtu = wanted.network.mtu
    if seen.link is None or mtu is None or seen.link.mtu == mtu or not (seen.record or wanted.on_demand):
        return
    if seen.lower is None or seen.lower.mtu >= mtu:
        why = f"MTU is {seen.link.mtu}, network {wanted.network.name} has {mtu}"
        yield dladm.set_linkprop(wanted.link, "mtu", str(mtu), why=why)


def _protect(zone: ZoneView, wanted: Attachment, seen: SeenNic) -> Iterator[Change]:
    if _we_protect(zone, wanted) and seen.protection is not None:
        yield from _guard(zone, wanted, seen.protection)


def _guard(zone: ZoneView, wanted: Attachment, now: dladm.Protection) -> Iterator[Change]:
    addresses = frozenset(f"{each.ip}/{each.max_prefixlen}" for each in wanted.addresses)
    why = f"zone {zone.zone.name} may send from {', '.join(sorted(addresses))} only"
    if now.allowed_ips != addresses:
        bare = ",".join(sorted(str(each.ip) for each in wanted.addresses))
        yield dladm.set_linkprop(wanted.link, "allowed-ips", bare, temporary=True, why=why)
    if "ip-nospoof" not in now.protection:
        wide = ",".join(sorted(now.protection | {"ip-nospoof"}))
        yield dladm.set_linkprop(wanted.link, "protection", wide, temporary=True, why=why)


def _leftover(zone: ZoneView, name: str, seen: SeenNic) -> Plan:
    """A link our records hold for this zone, and the zone has no placed NIC of that name."""
    holder = zone.holders.get(name)
    named = zone.zone.config is not None and any(nic.link == name for nic in zone.zone.config.nics)
    leaving = any(each.leaving and each.link == name for each in zone.attachments)
    if leaving and named:  # without its link the zone would not boot
        text = f"{name} goes when the configuration of zone {zone.zone.name} no longer names it"
        hint = f"zonecfg -z {zone.zone.name} 'remove net physical={name}'"
        return Plan(notes=(Note("waiting", text, "still-named", name, hint, again_after_s=1.0),))
    if holder == zone.zone.name and not leaving and not zone.zone.absent:
        return nothing(f"{name}: cannot be placed now, and is left as it is")
    if holder is not None and holder != zone.zone.name:
        return nothing(f"{name} is now named by zone {holder}")
    gone = f"zone {zone.zone.name} is gone" if zone.zone.absent else f"zone {zone.zone.name} no longer has {name}"
    if seen.link is None:
        return Plan((Forget(KIND, name, f"{gone}, and so is {name}"),))
    assert seen.record is not None
    if seen.vnic is None or not _is(seen.vnic, seen.record):
        return Plan((Forget(KIND, name, f"{gone}; the {name} that is there now is not the one we made"),))
    if seen.vnic.zone is None and seen.protection is None:
        text = f"{name} is to go ({gone}); whether a zone has it could not be seen"
        return Plan(notes=(Note("waiting", text, "zone-unseen", name, again_after_s=2.0),))
    inside = seen.vnic.zone if seen.vnic.zone is not None else seen.protection.zone if seen.protection else ""
    if inside and inside == zone.zone.name and "role" in seen.record.facts:  # a side of a gateway that runs on
        back = dladm.reset_linkprop(name, "zone", why=gone)
        return Plan((back, dladm.delete_vnic(name, ours=seen.record, why=gone), Forget(KIND, name, gone)))
    if inside:
        text = f"{name} is to go ({gone}), and is still in zone {inside}"
        return Plan(notes=(Note("waiting", text, "in-use", name, f"it goes when {inside} has halted", 5.0),))
    return Plan((dladm.delete_vnic(name, ours=seen.record, why=gone), Forget(KIND, name, gone)))


def _is(vnic: dladm.Vnic, record: Record) -> bool:
    """The link that is there is the one we made: it bears the MAC we gave it. Its lower link may have been renamed."""
    return vnic.mac == record.facts.get("mac")


def _described(over: str, mac: str, vlan: int) -> str:
    return f"over {over}" + (f" with MAC {mac}" if mac else "") + (f" in VLAN {vlan}" if vlan else "")


def _refuse(wanted: Attachment, text: str, code: str, hint: str) -> Plan:
    return Plan(notes=(Note("refused", text, code, wanted.link, hint),))
