"""Who is called what behind a gateway: names of running zones and static ones, and which names nobody has. Pure.

A zone is `zone`, `zone.network`, and with a domain `zone.domain` and `zone.network.domain`; its addresses answer with
the fullest. All are in a hosts file, which a running dnsmasq reads again; aliases and texts are not, so they are part
of the configuration (services sheet 5.2).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address

from zonehookd.plugin import GLOBAL, Cidr, GatewayView, Ip, Network, Note, StaticName, ZoneState
from zonehookd.plugin.reservations import host_name

_TEXT_MAX_BYTES = 255  # of one string of a TXT record; a longer text becomes several


@dataclass(frozen=True, slots=True)
class Names:
    """`hosts`: address and its names, the fullest first. `aliases`: names and what they stand for. `texts`: names and
    strings. `local`: domains whose names nobody else is asked for."""

    hosts: tuple[tuple[Ip, tuple[str, ...]], ...] = ()
    aliases: tuple[tuple[tuple[str, ...], str], ...] = ()
    texts: tuple[tuple[str, tuple[str, ...]], ...] = ()
    local: tuple[str, ...] = ()
    notes: tuple[Note, ...] = ()


@dataclass
class _Gathered:
    hosts: dict[Ip, list[str]] = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)  # name -> whose it is
    notes: list[Note] = field(default_factory=list)

    def take(self, name: str, owner: str) -> bool:
        """Whether `name` is the owner's; a name has one."""
        return self.owners.setdefault(name, owner) == owner


def names(view: GatewayView, networks: Collection[Network]) -> Names:
    """Those of `networks`, as it is now. Static names come first, then the gateway, then zones by name."""
    found = _Gathered()
    aliases, texts = _static(networks, found)
    static = found.hosts
    found.hosts = {}
    for network in networks:
        if view.name != GLOBAL:
            _add(found, view.name, f"zone {view.name}, the gateway", network, network.gateways)
    zones: dict[str, dict[str, list[Ip]]] = {}  # zone -> network -> addresses
    for network in networks:
        for each in view.members.get(network.name, ()):
            if each.zone in view.zones and view.zones[each.zone].state is ZoneState.RUNNING:
                own = zones.setdefault(each.zone, {}).setdefault(network.name, [])
                own += [address.ip for address in each.addresses]
    for zone in sorted(zones):
        _zone(zone, [(network, zones[zone].get(network.name, [])) for network in networks], found)
    hosts = [(address, tuple(every)) for address, every in found.hosts.items()]
    hosts += [(address, tuple(every)) for address, every in static.items()]
    hosts.sort(key=lambda one: (one[0].version, int(one[0])))  # a zone stays before a static name for one address
    return Names(tuple(hosts), aliases, texts, tuple(dict.fromkeys(_local(networks))), tuple(found.notes))


def forms(label: str, network: Network) -> tuple[str, ...]:
    """All names of `label` on that network, the fullest first."""
    inner = host_name(network.name)
    full = (f"{label}.{inner}.{network.domain}", f"{label}.{network.domain}") if network.domain else ()
    return (*full, f"{label}.{inner}", label)


def _zone(zone: str, on: Collection[tuple[Network, Collection[Ip]]], found: _Gathered) -> None:
    label, owner = host_name(zone), f"zone {zone}"
    for network, addresses in on:
        if not addresses:
            continue
        taken = _add(found, label, owner, network, addresses)
        if taken:
            theirs = found.owners[taken[0]]
            text = f"the names {', '.join(taken)} of zone {zone} on network {network.name} are those of {theirs}"
            found.notes.append(Note("refused", text, "duplicate-name", zone, "rename one of the two"))


def _add(found: _Gathered, label: str, owner: str, network: Network, addresses: Collection[Ip]) -> list[str]:
    """The names that are somebody else's already."""
    every = forms(host_name(label), network)
    ours = [name for name in every if found.take(name, owner)]
    for address in addresses if ours else ():
        had = found.hosts.setdefault(address, [])
        had += [name for name in ours if name not in had]
    return [name for name in every if name not in ours]


def _static(
    networks: Collection[Network], found: _Gathered
) -> tuple[tuple[tuple[tuple[str, ...], str], ...], tuple[tuple[str, tuple[str, ...]], ...]]:
    """Aliases and texts. Their names are taken before any zone's, for they were declared."""
    aliases: dict[str, tuple[tuple[str, ...], str]] = {}
    texts = []
    for network in networks:
        for each in network.names:
            every = (each.name,) if "." in each.name else forms(each.name, network)
            refused = _refused(network, each, every, aliases, found)
            if refused is not None:
                found.notes.append(refused)
                continue
            if each.kind == "TXT":
                texts += [(name, _strings(each.value)) for name in every]
                continue
            for name in every:
                found.take(name, _owner(network, each))
            if each.kind == "CNAME":
                aliases[every[0]] = (every, each.value)
            else:
                had = found.hosts.setdefault(ip_address(each.value), [])
                had += [name for name in every if name not in had]
    return tuple(aliases.values()), tuple(texts)


def _owner(network: Network, each: StaticName) -> str:
    kind = "CNAME" if each.kind == "CNAME" else "address"  # addresses of one name add up
    return f"the static {kind} {each.name} of network {network.name}"


def _refused(
    network: Network,
    each: StaticName,
    every: Collection[str],
    aliases: Mapping[str, tuple[tuple[str, ...], str]],
    found: _Gathered,
) -> Note | None:
    """dnsmasq does not start with an alias that is there twice, or that leads back to itself."""
    if each.kind == "TXT":
        return None
    where = f"network.{network.name}.names"
    owner = next((found.owners[name] for name in every if name in found.owners), "")
    if owner and (each.kind == "CNAME" or owner != _owner(network, each)):
        text = f"{where}: {each.kind} {each.name} is already {owner}"
        return Note("refused", text, "duplicate-name", each.name, "keep one of the two")
    if each.kind == "CNAME":
        leads = {alias: target for every_alias, target in aliases.values() for alias in every_alias}
        target, seen = each.value, set(every)
        while target not in seen and target in leads:
            seen.add(target)
            target = leads[target]
        if target in seen:
            text = f"{where}: CNAME {each.name} leads back to itself by {each.value}"
            return Note("refused", text, "alias-loop", each.name, "let one of them be an address")
    return None


def _strings(text: str) -> tuple[str, ...]:
    """The text in strings that a TXT record can hold, cut between characters."""
    found, current = [], ""
    for character in text:
        if len((current + character).encode()) > _TEXT_MAX_BYTES:
            found.append(current)
            current = ""
        current += character
    return (*found, current)


def _local(networks: Collection[Network]) -> Iterator[str]:
    for network in networks:
        yield host_name(network.name)
        if network.domain:
            yield network.domain
        for cidr in network.cidrs:
            yield from reverse_zones(cidr)


def reverse_zones(cidr: Cidr) -> tuple[str, ...]:
    """The zones of in-addr.arpa or ip6.arpa that cover just this range: one, or as many as it has parts of a label."""
    bits = 8 if cidr.version == 4 else 4
    whole = -(-cidr.prefixlen // bits)  # labels, rounded up
    step = cidr.max_prefixlen - whole * bits
    suffix = "in-addr.arpa" if cidr.version == 4 else "ip6.arpa"
    zones = []
    for number in range(1 << (whole * bits - cidr.prefixlen)):
        address = ip_address(int(cidr.network_address) + (number << step))
        labels = address.exploded.split(".") if address.version == 4 else list(address.exploded.replace(":", ""))
        zones.append(".".join([*reversed(labels[:whole]), suffix]))
    return tuple(zones)
