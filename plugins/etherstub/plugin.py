"""One etherstub per internal network: made when the network is declared, deleted when it no longer is.

An etherstub that was there before us is used and never deleted: only what our records say we made is ours.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from zonehookd.illumos import dladm, ipadm, route
from zonehookd.plugin import (
    Forget,
    HostReader,
    Network,
    NetworkPlugin,
    NetworkView,
    Note,
    Plan,
    Record,
    Remember,
    nothing,
)

KIND = "etherstub"


@dataclass(frozen=True)
class Former:
    record: Record
    link: dladm.Link | None
    over: tuple[dladm.Link, ...]


@dataclass(frozen=True)
class Seen:
    """`link`: what bears the name now. `over`: VNICs on it, asked only where the stub is to go or to change."""

    link: dladm.Link | None
    record: Record | None
    over: tuple[dladm.Link, ...] = ()
    in_the_way: str = ""
    former: tuple[Former, ...] = ()  # etherstubs of ours that the network had before


class Etherstub(NetworkPlugin[Seen]):
    name = "etherstub"

    async def observe(self, network: NetworkView, host: HostReader) -> Seen:
        wanted = network.network if network.network is not None and network.network.internal else None
        former = []
        for record in host.recall(network.subject):
            if wanted is None or record.name != wanted.link:
                every = await host.ask(dladm.links())
                over = tuple(each for each in every.values() if each.over == record.name)
                former.append(Former(record, every.get(record.name), over))
        if wanted is None:
            uplink = await host.ask(dladm.link(network.network.link)) if network.network is not None else None
            return Seen(uplink, None, former=tuple(former))
        link = await host.ask(dladm.link(wanted.link))
        seen = Seen(link, host.recall_one(KIND, wanted.link), former=tuple(former))
        if link is None:
            return seen if wanted.isolated else replace(seen, in_the_way=await _in_the_way(wanted, host))
        if link.mtu == wanted.mtu:
            return seen
        over = tuple(each for each in (await host.ask(dladm.links())).values() if each.over == wanted.link)
        return replace(seen, over=over)

    def plan(self, network: NetworkView, seen: Seen) -> Plan:
        plans = [_clear(network, former) for former in seen.former]
        wanted = network.network
        if wanted is None and not plans:
            return nothing(f"network {network.name} is not declared and has nothing of ours")
        if wanted is not None:
            plans.insert(0, _keep(network, wanted, seen))
        return Plan(
            tuple(step for plan in plans for step in plan.steps), tuple(note for plan in plans for note in plan.notes)
        )


def _keep(network: NetworkView, wanted: Network, seen: Seen) -> Plan:
    """The etherstub of a declared network."""
    if not wanted.internal and seen.link is None:
        text = f"network {network.name} lies over {wanted.link}, which is not there"
        hint = f'"dladm show-link" lists what is; correct uplink in [network.{network.name}]'
        return Plan(notes=(Note("waiting", text, "uplink-missing", wanted.link, hint, 5.0),))
    if not wanted.internal:
        return nothing(f"network {network.name} lies over {wanted.link}, which is not ours to make")
    if seen.link is None:
        return _build(network, wanted, seen)
    if seen.link.klass != KIND:
        text = f"{wanted.link} is to be the etherstub of network {network.name}, but is a {seen.link.klass}"
        hint = f"set another etherstub in [network.{network.name}]"
        return Plan(notes=(Note("refused", text, "foreign-link", wanted.link, hint),))
    if seen.record is None:
        return nothing(f"etherstub {wanted.link} was there before us: used as it is, and never deleted")
    if seen.record.owner != network.subject:
        why = f"etherstub {wanted.link} went from {seen.record.owner} to {network.subject}"
        return Plan((Remember(Record(KIND, wanted.link, network.subject, "etherstub", {}), why),))
    return _adjust(wanted, seen.link, seen.over)


async def _in_the_way(wanted: Network, host: HostReader) -> str:
    """What of the global zone lies in the range, or the range in it: an address with its subnet, a static route."""
    for address in await host.ask(ipadm.addresses()):
        if host.recall_one("vnic", address.interface) is not None:
            continue  # the global zone's side of this very network, or of one that is on its way out
        if any(
            cidr.version == address.address.version and cidr.overlaps(address.address.network) for cidr in wanted.cidrs
        ):
            return f"overlaps {address.address}, which this host has on {address.interface}"
    for static in await host.ask(route.static_routes()):
        if any(
            cidr.version == static.destination.version and cidr.overlaps(static.destination) for cidr in wanted.cidrs
        ):
            return f'overlaps the static route "{static.text}" of this host'
    return ""


def _build(network: NetworkView, wanted: Network, seen: Seen) -> Plan:
    if seen.in_the_way:
        text = f"network {network.name} ({', '.join(map(str, wanted.cidrs))}) {seen.in_the_way}"
        hint = "choose another range, or isolated = true if the two must never meet"
        return Plan(notes=(Note("refused", text, "overlaps-host", network.name, hint),))
    why = f"network {network.name} has no etherstub"
    record = Record(KIND, wanted.link, network.subject, "etherstub", {})
    mtu = f"network {network.name} has MTU {wanted.mtu}"
    return Plan(
        (
            Remember(record, why),
            replace(dladm.create_etherstub(wanted.link, why=why), cause="missing" if seen.record else ""),
            dladm.set_linkprop(wanted.link, "mtu", str(wanted.mtu), why=mtu),
        )
    )


def _adjust(wanted: Network, link: dladm.Link, over: tuple[dladm.Link, ...]) -> Plan:
    if link.mtu == wanted.mtu or wanted.mtu is None:
        return nothing(f"etherstub {link.name} is as declared")
    larger = sorted(each.name for each in over if each.mtu > wanted.mtu)
    if larger:  # a stub cannot go below its VNICs (network sheet 3.7); the vnic plugin lowers those first
        text = f"etherstub {link.name} waits with MTU {wanted.mtu} for {', '.join(larger)}"
        return Plan(notes=(Note("waiting", text, "mtu-of-vnics", link.name, again_after_s=1.0),))
    why = f"MTU is {link.mtu}, declared {wanted.mtu}"
    return Plan((replace(dladm.set_linkprop(link.name, "mtu", str(wanted.mtu), why=why), cause="altered"),))


def _clear(network: NetworkView, former: Former) -> Plan:
    """An etherstub of ours that its network does not use any more."""
    name = former.record.name
    if name in network.holders:
        return nothing(f"etherstub {name} now belongs to network {network.holders[name]}")
    no_longer = f"uses {name}" if network.network else "is declared"
    gone = f"network {network.name} no longer {no_longer}"
    if former.link is None or former.link.klass != KIND:
        return Plan((Forget(KIND, name, f"{gone}, and it is gone"),))
    if former.over:
        text = f"etherstub {name} stays: {', '.join(sorted(each.name for each in former.over))} still on it"
        return Plan(notes=(Note("waiting", text, "vnics-on-etherstub", name, again_after_s=5.0),))
    return Plan((dladm.delete_etherstub(name, ours=former.record, why=gone), Forget(KIND, name, gone)))
