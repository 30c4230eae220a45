"""The records of Tribblix' zap, by default below /var/zap/zones.

    rconfig.A.B.C     a hidden network, /8, /16 or /24 by the number of octets: ``interface: zrstub0``,
                      ``shared-interface: snic0``, ``gateway: A.B.C.1``, ``zone: NAME``, ``public-ip: ADDRESS…``
    zconfig.ZONE      ``brand``, ``zone``, ``ip-type``, ``address`` (many), ``parent_zone`` (many), ``memory``, ``cpus``
    destroy.ZONE      a shell script that undoes what zap made, run by ``zap destroy-zone``
    predestroy.ZONE   somebody's executable, run by ``zap destroy-zone`` before it halts the zone

(zap's own usr/lib/zap/create-zone, destroy-zone and global-router.) The undo script alone knows the links: before a
network's etherstub it deletes the anchor for shared-ip zones, and before that the gateway's NIC on the network.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from zonehookd.errors import ConfigError
from zonehookd.illumos.zap import ours
from zonehookd.importing.document import Document, Table, Uplink, holds, network_name
from zonehookd.model.gateway import GLOBAL

_FILE = re.compile(r"(rconfig|zconfig|destroy|predestroy)\.(.+)", re.DOTALL)
_OF_NETWORK = ("interface", "shared-interface", "gateway", "zone", "public-ip")
_OF_ZONE = ("brand", "zone", "ip-type", "address", "parent_zone", "memory", "cpus")
_DELETE = re.compile(r"\S*dladm delete-(vnic|etherstub) (\S+)")
_DELETE_IF = re.compile(r"\S*ipadm delete-if (\S+)")
_OUT_OF_GLOBAL = re.compile(r"\S*ipadm set-ifprop -t -p forwarding=off -m ipv4 (\S+)")
_NAMES_FILE = re.compile(r"(?:\S*/([^/\s]+)/root)?/etc/dnsmasq\.d/(\S+)\.conf")
_OF_THE_ZONE = {"brand", "memory", "cpus"}


@dataclass(frozen=True, slots=True)
class Script:
    """An undo script: which links it deletes, in order, and what else it says."""

    lines: tuple[str, ...] = ()

    @property
    def anchors(self) -> set[str]:
        """Links with an interface in the global zone: for shared-ip zones."""
        return {found[1] for line in self.lines if (found := _DELETE_IF.fullmatch(line))}

    @property
    def links(self) -> list[tuple[str, str]]:
        """(``vnic`` or ``etherstub``, name) in the order of deletion."""
        return [(found[1], found[2]) for line in self.lines if (found := _DELETE.fullmatch(line))]


@dataclass(slots=True)
class Records:
    """`networks`: CIDR -> its fields; `zones`: name -> its fields; a field may come several times."""

    networks: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    zones: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    scripts: dict[str, Script] = field(default_factory=dict)


def from_zap(files: Mapping[str, str], source: str, *, uplink: Uplink | None = None) -> Document:
    """`files`: name -> content, of one folder. Raises ConfigError for what cannot be read, or not be declared."""
    document = Document(source)
    records = _records(document, files, source)
    names: dict[str, str] = {}  # CIDR -> network
    for cidr, fields in sorted(records.networks.items()):
        names[cidr] = _network(document, records, cidr, fields, source)
    owners: dict[str, list[str]] = {}
    for cidr, fields in sorted(records.networks.items()):
        owners.setdefault(fields["zone"][0], []).append(cidr)
    for zone, cidrs in owners.items():
        _gateway(document, records, zone, cidrs, names, uplink)
    for name in sorted(records.zones):
        _zone(document, records, name, names, name in owners)
    for name, script in sorted(records.scripts.items()):
        _undo(document, name, script)
    return document


def _records(document: Document, files: Mapping[str, str], source: str) -> Records:
    records = Records()
    for file, text in sorted(files.items()):
        found = _FILE.fullmatch(file)
        if not found:
            document.lost.append(f"{file}: is no record of zap that we know")
            continue
        kind, name = found[1], found[2]
        if ours(text):  # it names zones for `zap destroy-zone`, and goes with their gateway
            continue
        if kind == "rconfig":
            cidr = _cidr(f"{source}/{file}", name)
            records.networks[cidr] = _fields(document, file, text, _OF_NETWORK)
            for key in ("interface", "gateway", "zone"):
                if not records.networks[cidr].get(key):
                    raise ConfigError(f"{source}/{file}: {key} is missing")
        elif kind == "zconfig":
            records.zones[name] = _fields(document, file, text, _OF_ZONE)
        elif kind == "destroy":
            lines = tuple(line.strip() for line in text.splitlines())
            records.scripts[name] = Script(tuple(line for line in lines if line and not line.startswith("#")))
        else:
            document.stays.append(f"{file}: zap destroy-zone still runs it, and nothing else ever did")
    if not records.networks and not records.zones:
        raise ConfigError(f"{source}: there are no records of zap", hint="they are below /var/zap/zones")
    return records


def _cidr(where: str, octets: str) -> str:
    given = octets.split(".")
    try:
        return str(ipaddress.IPv4Network(f"{'.'.join([*given, *['0'] * (4 - len(given))])}/{8 * len(given)}"))
    except ValueError as problem:
        raise ConfigError(f"{where}: {octets!r} are not the first one, two or three octets of a network") from problem


def _fields(document: Document, file: str, text: str, known: tuple[str, ...]) -> dict[str, list[str]]:
    """Whole keys only: ``interface:`` is also the end of another (trap C8)."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        key, colon, value = line.partition(":")
        if not line.strip():
            continue
        if not colon or key.strip() not in known:
            document.lost.append(f"{file}: {line.strip()}: a field we do not know")
            continue
        found.setdefault(key.strip(), []).extend(value.split() or [""])
    return found


def _network(document: Document, records: Records, cidr: str, fields: Mapping[str, list[str]], source: str) -> str:
    stub, zone, gateway = fields["interface"][0], fields["zone"][0], fields["gateway"][0]
    if not holds(cidr, gateway):
        raise ConfigError(f"{source}: the gateway {gateway} of network {cidr} is not in it")
    name = network_name(stub, document.networks)
    values = {"cidr": cidr, "etherstub": stub, "gateway": gateway, "via": zone, "pool": []}
    if inner := _inner_link(records.scripts.get(zone, Script()), stub):
        values["gateway_link"] = inner
    comments = ["zap gives addresses one by one, so there is no pool."]
    for anchor in fields.get("shared-interface", []):
        document.lost.append(f"{cidr}: shared-interface: {anchor}: we make no anchors for shared-ip zones; it is left")
    for key in ("interface", "gateway", "zone"):
        for more in fields[key][1:]:
            document.lost.append(f"{cidr}: {key}: {more}: a second one")
    document.networks[name] = Table(values, comments)
    return name


def _inner_link(script: Script, stub: str) -> str:
    """The gateway's NIC on the network: the VNIC that goes last before the etherstub, anchors aside."""
    before: list[str] = []
    for kind, name in script.links:
        if kind == "etherstub":
            if name == stub:
                return before[-1] if before else ""
            before = []
        elif name not in script.anchors:
            before.append(name)
    return ""


def _outer_links(script: Script, addresses: int) -> list[str]:
    """zap makes a VNIC for each address first, then those of the networks."""
    return [name for kind, name in script.links if kind == "vnic"][:addresses]


def _gateway(
    document: Document, records: Records, zone: str, cidrs: list[str], names: Mapping[str, str], uplink: Uplink | None
) -> None:
    script = records.scripts.get(zone, Script())
    table = document.gateways[zone] = Table()
    served = _names_served(records).get(zone, False)
    table.values.update({"kind": GLOBAL if zone == GLOBAL else "router" if served else "proxy"})
    table.values.update({"dhcp": "dnsmasq", "dns": "dnsmasq"} if served else {"dhcp": "none", "dns": "none"})
    table.comments.append("zap's dnsmasq serves here." if served else "zap serves neither DHCP nor names here.")
    public = [each for cidr in cidrs for each in records.networks[cidr].get("public-ip", []) if each]
    addresses = list(dict.fromkeys(public))
    if zone == GLOBAL:
        link = next((found[1] for line in script.lines if (found := _OUT_OF_GLOBAL.fullmatch(line))), "")
        if uplink is not None and link and uplink.link != link:
            raise ConfigError(f"the way out of the global zone is {link}, not {uplink.link}")
        if outside := document.way_out(uplink):
            table.values["outside"] = outside
        else:
            hint = f"--uplink {link or 'LINK'} --uplink-cidr CIDR"
            document.lost.append(f"destroy.{zone}: way out {link or 'unknown'}: its network is not known; give {hint}")
        return
    if not addresses:
        document.lost.append(f"gateway {zone}: public-ip is not recorded, so its way out is not known")
        return
    inner = next((cidr for cidr in names if cidr not in cidrs and holds(cidr, addresses[0])), None)
    outside = names[inner] if inner else document.way_out(uplink)
    reach = inner or (str(document.networks[outside].values["cidr"]) if outside else "")
    if outside is None or not holds(reach, addresses[0]):
        why = f"is not in {reach}" if reach else "its link and network are in no record; give --uplink, --uplink-cidr"
        document.lost += [f"gateway {zone}: public-ip: {address}: {why}" for address in addresses]
        return
    table.values.update({"outside": outside, "address": addresses[0]})
    links = _outer_links(script, len(addresses))
    if links:
        table.values["link"] = links[0]
    for address, link in zip(addresses[1:], [*links[1:], *[""] * len(addresses)], strict=False):
        document.lost.append(f"gateway {zone}: public-ip: {address}: on a second outer NIC {link}, and we have one")


def _names_served(records: Records) -> dict[str, bool]:
    """Gateways where zap keeps a dnsmasq: their zones' undo scripts remove a file there."""
    served: dict[str, bool] = {}
    for script in records.scripts.values():
        for line in script.lines:
            if found := _NAMES_FILE.search(line):
                served[found[1] or GLOBAL] = True
    return served


def _zone(document: Document, records: Records, name: str, names: Mapping[str, str], gateway: bool) -> None:
    fields = records.zones[name]
    shared = fields.get("ip-type", ["shared"])[0] != "exclusive"
    for address in fields.get("address", []):
        home = next((network for cidr, network in names.items() if holds(cidr, address)), None)
        every = document.networks.items()
        outer = next((each for each, table in every if holds(str(table.values["cidr"]), address)), None)
        if gateway and (home or outer):
            continue  # it is the outer address of the gateway
        if shared and (home or outer):
            kept = document.lost if home else document.stays
            kept.append(f"zone {name}: address: {address}: ip-type shared, so there is no link of its own to wire")
        elif home or outer:
            document.zones.append(f"{name}: {address} on {home or outer}, by its allowed-address in zonecfg")
        else:
            document.lost.append(f"zone {name}: address: {address}: is in no network declared here")
    kept = [f"{key} {' '.join(fields[key])}" for key in _OF_ZONE if key in fields and key in _OF_THE_ZONE]
    kept += [f"ip-type {'shared' if shared else 'exclusive'}"]
    document.stays.append(f"zone {name}: {', '.join(kept)}: in the zone's own configuration")
    for parent in dict.fromkeys(fields.get("parent_zone", [])):
        if parent not in document.gateways:
            document.lost.append(f"zone {name}: parent_zone: {parent}: there is no network of that zone here")


def _undo(document: Document, name: str, script: Script) -> None:
    for line in script.lines:
        document.stays.append(f"destroy.{name}: {line}: {' '.join(_meaning(name, line))}")


def _meaning(name: str, line: str) -> Iterator[str]:
    yield "zap destroy-zone still runs it" if name != GLOBAL else "zap never runs it by itself"
    if "delete-etherstub" in line or "rconfig." in line:
        yield "(take the network out of this file first, or it is made again)"
    elif "/etc/ipf/ipnat.conf" in line:
        yield "(it would remove our rules from the file too; they come back with the next look)"
    elif _NAMES_FILE.search(line):
        yield "(our server keeps a reservation of its own: remove the file when it serves)"
