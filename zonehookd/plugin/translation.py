"""Which ranges a gateway translates: what leaves from them must never be seen outside as it is. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv6Network

from zonehookd.model.network import Cidr
from zonehookd.plugin.contract import GatewayView

_UNIQUE_LOCAL = IPv6Network("fc00::/7")
_AS_IT_IS = " -> 0.0.0.0/0"  # a map that leaves the address alone (services sheet 1.7)


def translated(view: GatewayView) -> Sequence[Cidr]:
    """The ranges of its networks and of all that lie further in. IPv6 ranges that the world routes need none."""
    gateway = view.gateway
    if gateway is None or not gateway.ours or not gateway.nat or gateway.outside is None:
        return ()
    ranges = [cidr for network in gateway.networks.values() for cidr in network.cidrs]
    return [each for each in (*ranges, *view.beyond) if each.version == 4 or each.subnet_of(_UNIQUE_LOCAL)]


def untranslated(view: GatewayView, outer: str, rules: Sequence[str]) -> Sequence[Cidr]:
    """Those of `translated` for which no rule is loaded that takes everything: with portmap it takes TCP and UDP only,
    and ping would go out as it is (services sheet 1.7)."""
    maps = [rule for rule in rules if rule.startswith(f"map {outer} ") and " portmap " not in rule]
    whole = {rule.split()[2] for rule in maps if not rule.endswith(_AS_IT_IS)}
    return [each for each in translated(view) if str(each) not in whole]
