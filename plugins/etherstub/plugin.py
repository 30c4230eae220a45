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
class Seen:
    """`link`: what bears the name now. `over`: VNICs on it, asked only where the stub is to go or to change."""

    link: dladm.Link | None
    record: Record | None
    over: tuple[dladm.Link, ...] = ()
    in_the_way: str = ""


class Etherstub(NetworkPlugin[Seen]):
    name = "etherstub"

    async def observe(self, network: NetworkView, host: HostReader) -> Seen:
        wanted = network.network
        if wanted is not None and wanted.internal:
            link = await host.ask(dladm.link(wanted.link))
            record = host.recall_one(KIND, wanted.link)
            if link is None:
                return Seen(None, record, in_the_way="" if wanted.isolated else await _in_the_way(wanted, host))
            if link is not None and link.mtu == wanted.mtu:
                return Seen(link, record)
            over = [each for each in (await host.ask(dladm.links())).values() if each.over == wanted.link]
            return Seen(link, record, tuple(over))
        record = next(iter(host.recall(network.subject)), None)
        if record is None:
            return Seen(None, None)
        every = await host.ask(dladm.links())
        return Seen(every.get(record.name), record, tuple(each for each in every.values() if each.over == record.name))

    def plan(self, network: NetworkView, seen: Seen) -> Plan:
        wanted = network.network
        if wanted is None:
            return _clear(network, seen)
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


def _clear(network: NetworkView, seen: Seen) -> Plan:
    if seen.record is None:
        return nothing(f"network {network.name} is not declared and has nothing of ours")
    name = seen.record.name
    if name in network.holders:
        return nothing(f"etherstub {name} now belongs to network {network.holders[name]}")
    gone = f"network {network.name} is no longer declared"
    if seen.link is None or seen.link.klass != KIND:
        return Plan((Forget(KIND, name, f"{gone}, and {name} is gone"),))
    if seen.over:
        text = f"etherstub {name} stays: {', '.join(sorted(each.name for each in seen.over))} still on it"
        return Plan(notes=(Note("waiting", text, "vnics-on-etherstub", name, again_after_s=5.0),))
    return Plan((dladm.delete_etherstub(name, why=gone), Forget(KIND, name, gone)))
