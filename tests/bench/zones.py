"""Zones to measure with: one NIC each, its address in the one network. Number 0 and up."""

from __future__ import annotations

import ipaddress
import subprocess
from collections.abc import Iterable
from pathlib import Path

from lab import zonefiles
from lab.channel import Channel
from lab.faults import Faults
from lab.paper import PaperFloor
from lab.world import Dialect, World
from lab.zonexml import Resource, ZoneConfig

NETWORK = "bench"
CIDR = "10.64.0.0/12"
_FIRST = ipaddress.ip_address("10.64.1.0")


def name(number: int) -> str:
    return f"zone{number}"


def link(number: int) -> str:
    return f"zone{number}_0"


def _address(number: int) -> str:
    return f"{_FIRST + number}/12"


def configure(number: int) -> None:
    """By zonecfg, as an administrator would: a process, the XML file, the index."""
    script = (
        f"create -b; set zonepath=/zones/{name(number)}; set brand=sparse; set ip-type=exclusive; "
        f"add net; set physical={link(number)}; set allowed-address={_address(number)}; end"
    )
    subprocess.run(["zonecfg", "-z", name(number), script], check=True)


def delete(number: int) -> None:
    subprocess.run(["zonecfg", "-z", name(number), "delete", "-F"], check=True)


def write(world: World, numbers: Iterable[int]) -> None:
    """Written as files straight away, one rewrite of the index for all: for thousands."""
    zonefiles.seed(world, ((_config(number), zonefiles.CONFIGURED) for number in numbers))


def write_on_this_host(numbers: Iterable[int]) -> None:
    """`write`, for the lab host we are on: its server reads the files anew."""
    write(World(Path("/"), Dialect.VANILLA, PaperFloor(), Channel(), Faults()), numbers)


def _config(number: int) -> ZoneConfig:
    attributes = {
        "name": name(number),
        "zonepath": f"/zones/{name(number)}",
        "autoboot": "false",
        "brand": "sparse",
        "ip-type": "exclusive",
    }
    network = Resource("network", {"allowed-address": _address(number), "physical": link(number)})
    return ZoneConfig(attributes, [network])
