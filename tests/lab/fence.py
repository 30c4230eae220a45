"""Link protection: what `protection=ip-nospoof` lets out of a link [network 2.10, services 2].

Frames are judged by their source alone: IPv4 and IPv6 packets, and ARP by its sender. Beside `allowed-ips` there pass
the unspecified address, the link's own link-local one, and what a DHCP client of the lab has been given there: without
them no address could ever be found out. The other protections are data only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab import ip
from lab.world import Link, LinkClass, World

if TYPE_CHECKING:
    from lab.network import Network  # it loads pyroute2, which the data-only floor does without

FENCING = ("protection", "allowed-ips")
_UNSPECIFIED = ("0.0.0.0", "::")  # noqa: S104 - nobody binds to them here
_TABLE = "netdev fence"


def apply(world: World, link: Link) -> None:
    """Make the floor hold `link` to its properties; to be called after they, or a lease on it, have changed."""
    if link.active and link.klass is not LinkClass.ETHERSTUB:
        world.floor.fence(link, sources(world, link))


def sources(world: World, link: Link) -> tuple[str, ...] | None:
    """The CIDRs that may be a source, sorted; None: any."""
    if "ip-nospoof" not in link.props.get("protection", "").split(","):
        return None
    allowed = [text for text in link.props.get("allowed-ips", "").split(",") if text]
    own = ip.bare(ip.link_local(link))
    leased = [ip.bare(lease.address.address) for lease in world.leases.values() if lease.interface.name == link.name]
    return tuple(sorted({*allowed, own, *_UNSPECIFIED, *(text for text in leased if text)}))


class Fence:
    """The same on the wire: an nftables chain at the wire end of each fenced link, nothing at the others."""

    def __init__(self, wire: Network) -> None:
        self._wire = wire
        self._known: dict[str, tuple[str, ...]] = {}

    def set(self, end: str, allowed: tuple[str, ...] | None) -> None:
        """`end` is the device of the wire where the link's frames come out."""
        if self._known.get(end) == allowed:  # also: none wanted and none there
            return
        if allowed is None:
            del self._known[end]
            self._wire.nft(f"flush chain {_TABLE} {end}\ndelete chain {_TABLE} {end}\n")
            return
        hook = f'type filter hook ingress device "{end}" priority 0; policy accept;'
        script = f"add table {_TABLE}\nadd chain {_TABLE} {end} {{ {hook} }}\nflush chain {_TABLE} {end}\n"
        # A rule per source and no sets: nft reads in every set of the table before it does anything.
        for source in allowed:
            fields = ("ip6 saddr",) if ":" in source else ("ip saddr", "arp saddr ip")
            script += "".join(f"add rule {_TABLE} {end} {field} {source} accept\n" for field in fields)
        for protocol in ("ip", "arp", "ip6"):
            script += f"add rule {_TABLE} {end} meta protocol {protocol} drop\n"
        self._wire.nft(script)
        self._known[end] = allowed
