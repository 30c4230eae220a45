"""What zoneadmd does about `net` resources at boot [zones 6.1, 6.5]."""

from __future__ import annotations

from collections.abc import Callable

from lab import datalinks, fence, ip_boot
from lab.world import KernelZone, Refused, World
from lab.zonefiles import ZoneConfig

NO_NATIVE_USERLAND = ("lx", "bhyve", "kvm", "emu")  # no ipmgmtd inside: nobody reads the address [zones 6.1]
STALE_ERRNO = "No such file or directory"  # noise on a real host; nobody may read it


class BringupFailed(Exception):
    """The virtual platform could not be built; why has been said."""


def warnings(world: World, config: ZoneConfig) -> list[str]:
    """The bare lines of the detailed verification; they fail nothing [zones 3.10]."""
    lines: list[str] = []
    for net in config.nets:
        name = net.get("physical")
        with world.lock:
            link = datalinks.lookup(world, name)
            plumbed = datalinks.plumbed_in_global(world, name)
        skipping = f"WARNING: skipping network interface '{name}'"
        if not config.exclusive:
            if not plumbed:
                lines.append(f"{skipping} which may not be present/plumbed in the global zone.")
        elif link is None:
            lines.append(f"{skipping}: object not found")
        elif plumbed:
            lines.append(f"{skipping} which is used in the global zone.")
        elif link.zone not in ("global", config.name):
            lines.append(f"{skipping} which is used by the non-global zone '{link.zone}'.")
    return lines


def bring_up(world: World, zone: KernelZone, config: ZoneConfig, say: Callable[[str], None]) -> None:
    """Move the links of `config` into `zone`, then fence those with an allowed-address. Raises `BringupFailed`."""
    if not config.exclusive:
        return  # a missing interface is reported to syslog only [zones 6.5]
    for net in config.nets:
        _add_link(world, zone, net.get("physical"), say)
    for name, addresses in _allowed(config).items():
        with world.lock:
            link = datalinks.lookup(world, name)
            assert link is not None
            for key, title in (("protection", "Protection"), ("allowed-ips", "allowed-ips")):
                if link.props.get(key):
                    say(f"{title} is already set")
                    say("failed to add address: Invalid argument")
                    raise BringupFailed
            link.props["protection"] = "ip-nospoof"
            link.props["allowed-ips"] = ",".join(_host(address) for address in addresses)
            fence.apply(world, link)


def _add_link(world: World, zone: KernelZone, name: str, say: Callable[[str], None]) -> None:
    with world.lock:
        link = datalinks.lookup(world, name)
        if link is None:
            trouble = ""
        elif datalinks.plumbed_in_global(world, name):
            trouble = f"WARNING: skipping network interface '{name}' which is used in the global zone"
        elif link.zone == zone.name:
            return  # several addresses on one link
        else:
            try:
                datalinks.assign(world, link, zone)
                return
            except Refused as refused:
                trouble = f"WARNING: unable to add network interface '{name}': {refused.status}"
    if trouble:
        say(trouble)
    say(f"failed to add network device: {STALE_ERRNO}")
    raise BringupFailed


def _allowed(config: ZoneConfig) -> dict[str, list[str]]:
    """physical -> its allowed addresses, in document order."""
    found: dict[str, list[str]] = {}
    for net in config.nets:
        if net.get("allowed-address"):
            found.setdefault(net.get("physical"), []).append(net.get("allowed-address"))
    return found


def _host(address: str) -> str:
    """An address as `allowed-ips` prints it: always with a length, the host's own."""
    bare = address.partition("/")[0]
    return f"{bare}/{128 if ':' in bare else 32}"


def configure_addresses(world: World, zone: KernelZone, config: ZoneConfig) -> None:
    """The zone's ipmgmtd, as its init starts: from-gz addresses and the default routes."""
    if not config.exclusive or zone.brand in NO_NATIVE_USERLAND:
        return
    for name, addresses in _allowed(config).items():
        routers = [net.get("defrouter") for net in config.nets if net.get("physical") == name and net.get("defrouter")]
        with world.lock:
            ip_boot.configure_from_gz(world, zone, name, addresses, list(dict.fromkeys(routers)))
    with world.lock:
        ip_boot.restore(world, zone)
