"""Who depends on a gateway, worked out from the lab's host alone, its zone files and its links: a second opinion.

What an admin may write is taken from the README: an attribute names the network, else `global-nic`, else the address
finds it; a gateway has a NIC on its outer network without anybody writing it; a VNIC on the etherstub counts by itself.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from lab.world import LinkClass, World
from lab.zonefiles import index_entries, state_of
from lab.zonexml import InvalidDocument, ZoneConfig, parse

RUNNING = ("running", "ready", "shutting_down")
NO = ("no", "false", "off", "0")


@dataclass(frozen=True)
class Wire:
    """One declared network: its etherstub, its gateway, its ranges."""

    stub: str
    via: str
    ranges: tuple[str, ...]

    def holds(self, address: str) -> bool:
        ip = ipaddress.ip_interface(address).ip
        return any(ip in ipaddress.ip_network(each) for each in self.ranges)


@dataclass
class Truth:
    """`wires` by network, `outside`: gateway -> the network of its outer side; both as they are declared now.
    `missed`: gateways that are not there and can be had back."""

    world: World
    wires: Mapping[str, Wire]
    outside: Mapping[str, str]
    missed: Collection[str] = ()
    _configs: dict[str, ZoneConfig | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in index_entries(self.world):
            if name != "global":
                try:
                    file = self.world.path(f"/etc/zones/{name}.xml")
                    self._configs[name] = parse(file.read_bytes(), self.world.dialect)
                except (OSError, InvalidDocument):
                    self._configs[name] = None

    def unreadable(self) -> set[str]:
        return {name for name, config in self._configs.items() if config is None}

    def state(self, zone: str) -> str:
        return state_of(self.world, zone)

    def dependents(self, gateway: str) -> set[tuple[str, str, str]]:
        """(network, zone, through) of every zone that can be read."""
        return set(self._behind(gateway, ()))

    def _behind(self, gateway: str, seen: tuple[str, ...]) -> Iterator[tuple[str, str, str]]:
        mine = {name: wire for name, wire in self.wires.items() if wire.via == gateway}
        for name, wire in mine.items():
            for zone in self._others(gateway):
                if self._says(zone, name) or self._wired(zone, wire.stub):
                    yield name, zone, ""
        for inner, outside in self.outside.items():
            there = inner in self._configs or inner in self.missed
            if outside in mine and there and inner not in (gateway, *seen):
                for name, zone, through in self._behind(inner, (*seen, gateway)):
                    if zone != gateway:
                        yield name, zone, through or inner

    def _others(self, gateway: str) -> Iterator[str]:
        for zone, config in self._configs.items():
            if zone != gateway and config is not None and (config.attr("zh.depends") or "yes").lower() not in NO:
                yield zone

    def _says(self, zone: str, network: str) -> bool:
        if self.outside.get(zone) == network:
            return True
        config = self._configs[zone]
        assert config is not None
        for number, link in enumerate(_links(config)):
            wish = config.attr(f"zh.net{number}")
            if wish is not None:
                if wish.split()[0] == network:
                    return True
                continue
            for net in config.nets:
                if net.get("physical") == link and self._found(
                    net.get("global-nic"), net.get("allowed-address"), network
                ):
                    return True
        return False

    def _found(self, lower: str, address: str, network: str) -> bool:
        wire = self.wires[network]
        return lower == wire.stub if lower not in ("", "auto") else bool(address) and wire.holds(address)

    def _wired(self, zone: str, stub: str) -> bool:
        config = self._configs[zone]
        named = _links(config) if config is not None else []
        vnics = (link for link in self.world.links.values() if link.klass is LinkClass.VNIC and link.active)
        return any(link.over == stub and (link.zone == zone or link.name in named) for link in vnics)


def _links(config: ZoneConfig) -> list[str]:
    """The zone's links in the order of its file, each once."""
    return list(dict.fromkeys(net.get("physical") for net in config.nets))
