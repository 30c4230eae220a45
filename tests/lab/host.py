"""What a freshly installed host has: folders, zone templates, brands, a physical link."""

from __future__ import annotations

from lab import datalinks
from lab.furnish_zones import furnish_zones
from lab.world import Link, LinkClass, World


def furnish(world: World, uplinks: int = 1) -> None:
    """Create what is missing below `world.root`; called once, before the first command.

    `uplinks` is the number of physical links: net0, net1, ...
    """
    for folder in ("/etc/zones", "/etc/dladm", "/etc/inet", "/var/run/zones", "/zones", "/usr/lib/brand"):
        world.path(folder).mkdir(parents=True, exist_ok=True)
    index = world.path("/etc/zones/index")
    if not index.exists():
        index.write_text("global:installed:/\n")
        index.chmod(0o644)
    for number in range(uplinks):
        name, mac = f"net{number}", f"2:8:20:0:{number + 1 >> 8:x}:{number + 1 & 0xFF:x}"
        world.links[name] = Link(name, world.new_linkid(), LinkClass.PHYS, mac=mac, mtu=1500)
    datalinks.load(world)
    furnish_zones(world)
