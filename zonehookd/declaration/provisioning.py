"""From `[provisioning.NAME]` to a network behind the global zone, and the way out (contract A11): pure.

A provisioning network is nothing of its own: it expands into what an admin could have written, and joins a
`[gateway.global]` that is written. Each tenant is a network of its own; they share the way out.

**The split of the addresses.** Zones get reservations out of the pool, clients that are no zone of ours get what is
left: the two must never meet, for a DHCP server would give one address to both (contract A4). The range of the
Zoneweaver guide, .10 to .254, is cut at three quarters: .10 to .191 for zones, which are what the network is for, and
.192 to .254 for the rest (at most `_DYNAMIC_MAX` addresses of it in a larger network). What is below .10 is given to
nobody, for addresses that people choose.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network

from zonehookd.config import Config, DhcpSection, GatewaySection, NetworkSection, ProvisioningSection
from zonehookd.declaration import values
from zonehookd.errors import ConfigError
from zonehookd.illumos import linkname
from zonehookd.model.gateway import GLOBAL

DEFAULT_NAME = "provision"
_PREFIX = (8, 29)  # of a /30 nothing would be left for clients
_SMALL = 64  # addresses; below it nothing is set aside for people
_SET_ASIDE = 10
_DYNAMIC_MAX = 1024


@dataclass(slots=True)
class Expanded:
    """What is declared with the provisioning networks written out. `keys`: a key of that -> the one an admin wrote."""

    networks: dict[str, NetworkSection]
    gateways: dict[str, GatewaySection]
    faults: list[str] = field(default_factory=list)
    keys: dict[str, str] = field(default_factory=dict)

    def as_written(self, fault: str) -> str:
        """A fault of an expanded section, told of the section it comes from."""
        for key, written in self.keys.items():
            if fault.startswith((f"{key}.", f"{key}:")):
                return written + fault[len(key) :]
        return fault


def expand(config: Config) -> Expanded:
    found = Expanded(dict(config.network), dict(config.gateway))
    for name, section in config.provisioning.items():
        where = f"provisioning.{name}"
        if name in config.network:
            found.faults.append(f"{where}: there is a network {name} already (hint: give one of them another name)")
            continue
        try:
            found.networks[name] = _network(where, name, section)
            found.keys[f"network.{name}"] = where
            _join(found, where, section)
        except ConfigError as fault:
            found.faults.append(str(fault))
    return found


def etherstub_of(name: str) -> str:
    return linkname.legal_from(f"estub_{name}")


def vnic_of(name: str) -> str:
    return linkname.legal_from(f"{name}_interconnect")


def _network(where: str, name: str, section: ProvisioningSection) -> NetworkSection:
    cidr = values.cidr(f"{where}.cidr", section.cidr)
    if not isinstance(cidr, IPv4Network) or not _PREFIX[0] <= cidr.prefixlen <= _PREFIX[1]:
        low, high = _PREFIX
        raise ConfigError(f"{where}.cidr: expected an IPv4 range, /{low} to /{high}, found {section.cidr!r}")
    host = values.address(f"{where}.host", section.host) if section.host else cidr.network_address + 1
    for_zones, for_others = _split(cidr)
    pool = [for_zones] if section.pool is None else section.pool
    rest = [for_others] if section.dynamic is None else section.dynamic
    for text in rest:
        if host in values.a_range(f"{where}.dynamic", text, [cidr]):
            raise ConfigError(f"{where}.dynamic: {text} holds {host}, the host's own address",
                              hint="choose `host` or `dynamic` otherwise")  # fmt: skip
    return NetworkSection(
        cidr=section.cidr,
        etherstub=section.etherstub or etherstub_of(name),
        gateway=str(host),
        gateway_link=section.vnic or vnic_of(name),
        via=GLOBAL,
        pool=pool,
        dhcp=DhcpSection(lease_s=section.lease_s, dynamic=rest, resolvers=section.resolvers),
        domain=section.domain,
    )


def _split(cidr: IPv4Network) -> tuple[str, str]:
    """(pool, dynamic range) of a network nobody has split; see above."""
    first = cidr.network_address + (_SET_ASIDE if cidr.num_addresses >= _SMALL else 1)
    last = cidr.broadcast_address - 1
    cut = max(int(cidr.network_address) + cidr.num_addresses * 3 // 4, int(cidr.broadcast_address) - _DYNAMIC_MAX)
    return f"{first}-{IPv4Address(cut - 1)}", f"{IPv4Address(cut)}-{last}"


def _join(found: Expanded, where: str, section: ProvisioningSection) -> None:
    """The global zone is the gateway: as it is declared, or made here."""
    gateway = found.gateways.get(GLOBAL, GatewaySection())
    for key, off in (("nat", False), ("dhcp", "none"), ("dns", "none")):
        if getattr(gateway, key) == off:
            raise ConfigError(f"gateway.{GLOBAL}.{key} is {str(off).lower()}, and {where} lives of it",
                              hint=f"take {key} out of [gateway.{GLOBAL}]")  # fmt: skip
    outside = _outside(found, where, section, gateway)
    upstream = [*gateway.upstream, *(each for each in section.upstream if each not in gateway.upstream)]
    found.gateways[GLOBAL] = gateway.model_copy(update={"outside": outside, "upstream": upstream})
    found.keys.setdefault(f"gateway.{GLOBAL}.upstream", f"{where}.upstream")


def _outside(found: Expanded, where: str, section: ProvisioningSection, gateway: GatewaySection) -> str:
    """The name of the network that leads out."""
    if section.uplink and section.outside:
        raise ConfigError(f"{where}: has both uplink and outside", hint="keep one: outside names a declared network")
    if section.outside and section.outside not in found.networks:
        raise ConfigError(f"{where}.outside: there is no network {section.outside!r}",
                          hint=f"declared: {', '.join(found.networks)}")  # fmt: skip
    wanted = section.outside or (_over(found, where, section) if section.uplink else None)
    if wanted is None and gateway.outside is None:
        raise ConfigError(f"{where}: has no way out",
                          hint="set uplink, or let `zonehookctl provisioning setup` find it")  # fmt: skip
    if wanted is not None and gateway.outside not in (None, wanted):
        raise ConfigError(
            f"{where}: goes out by network {wanted}, and the global zone by {gateway.outside}",
            hint="the global zone has one way out: name the same one, or none",
        )
    return wanted or str(gateway.outside)


def _over(found: Expanded, where: str, section: ProvisioningSection) -> str:
    """The network over the uplink; made when none is declared there, and then of use for nothing else."""
    uplink = str(section.uplink)
    there = [name for name, each in found.networks.items() if each.uplink == uplink]
    if found.gateways.get(GLOBAL, GatewaySection()).outside in there:
        return str(found.gateways[GLOBAL].outside)
    if len(there) > 1:
        raise ConfigError(f"{where}.uplink: networks {', '.join(there)} lie over {uplink}", hint="name one as outside")
    if there:
        return there[0]
    if section.uplink_cidr is None:
        raise ConfigError(f"{where}.uplink_cidr: missing: no network is declared over {uplink}",
                          hint=f"the range that {uplink} is on, such as 192.168.1.0/24")  # fmt: skip
    name = f"uplink-{uplink}".replace(".", "_")[:31]
    if name in found.networks:
        raise ConfigError(f"{where}.uplink: network {name} is another", hint="name it as outside if it leads out")
    found.networks[name] = NetworkSection(
        cidr=section.uplink_cidr, uplink=uplink, isolated=True, dhcp=DhcpSection(enabled=False)
    )
    found.keys[f"network.{name}.cidr"] = f"{where}.uplink_cidr"
    found.keys[f"network.{name}"] = f"{where}.uplink"
    return name
