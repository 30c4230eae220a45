"""What a freshly installed host has: folders, zone templates, brands, a physical link."""

from __future__ import annotations

from lab import datalinks
from lab.furnish_zones import furnish_zones
from lab.world import Link, LinkClass, World


def furnish(world: World) -> None:
    """Create what is missing below `world.root`; called once, before the first command."""
    for folder in ("/etc/zones", "/etc/dladm", "/etc/inet", "/var/run/zones", "/zones", "/usr/lib/brand"):
        world.path(folder).mkdir(parents=True, exist_ok=True)
    index = world.path("/etc/zones/index")
    if not index.exists():
        index.write_text("global:installed:/\n")
        index.chmod(0o644)
    world.links["net0"] = Link("net0", world.new_linkid(), LinkClass.PHYS, mac="2:8:20:0:0:1", mtu=1500)
    datalinks.load(world)
    furnish_zones(world)
