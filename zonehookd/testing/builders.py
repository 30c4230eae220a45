"""Zones, networks and gateways as a plugin is shown them, made from a few words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_address, ip_interface, ip_network
from typing import Any, Literal

from zonehookd.model.attachment import Attachment
from zonehookd.model.gateway import Gateway
from zonehookd.model.network import Network
from zonehookd.model.zone import Address, Nic, Zone, ZoneConfig, ZoneState
from zonehookd.plugin.contract import GatewayView, NetworkView, ZoneView

AnyView = ZoneView | NetworkView | GatewayView
Addresses = str | Sequence[str]


@dataclass(frozen=True, slots=True)
class Wire:
    """A NIC that is still to be given to a zone: see `nic`."""

    network: Network | None
    addresses: tuple[Address, ...]
    link: str
    about: Mapping[str, Any]


def a_network(name: str, cidr: Addresses = "10.1.0.0/24", **about: Any) -> Network:
    """A declared network; `about`: fields of model.network.Network. Over the etherstub NAME0, with the lowest address
    of each range for its gateway, unless told."""
    cidrs = tuple(ip_network(each) for each in _several(cidr))
    given: dict[str, Any] = {"link": f"{name}0", "gateways": tuple(each.network_address + 1 for each in cidrs), **about}
    given["gateways"] = tuple(ip_address(each) if isinstance(each, str) else each for each in given["gateways"])
    return Network(name, cidrs, **given)


def nic(network: Network | str | None, address: Addresses = (), *, link: str = "", **about: Any) -> Wire:
    """One NIC of a zone. A `network` that is only named has the range of the first address; None: the NIC is left
    alone. `about`: further fields of model.attachment.Attachment."""
    addresses = tuple(ip_interface(each) for each in _several(address))
    if isinstance(network, str):
        ranges = [str(each.network) for each in addresses] or ["10.1.0.0/24"]
        network = a_network(network, list(dict.fromkeys(ranges)))
    return Wire(network, addresses, link, about)


def zone(
    name: str,
    state: str = "running",
    network: Network | str | None = None,
    address: Addresses = (),
    *,
    link: str = "",
    nics: Sequence[Wire] | None = None,
    brand: str = "sparse",
    attrs: Mapping[str, str] | None = None,
    **about: Any,
) -> ZoneView:
    """A zone with one NIC on `network`, with `nics`, or with none. `about`: further fields of ZoneView."""
    if nics is None:
        nics = [nic(network, address, link=link)] if network is not None else []
    placed: list[Attachment] = []
    alone: list[str] = []
    links: list[Nic] = []
    for index, wire in enumerate(nics):
        own = Nic(wire.link or f"{name}_{index}", index, wire.addresses, enforced=bool(wire.addresses))
        links.append(own)
        if wire.network is None:
            alone.append(own.link)
            continue
        given: dict[str, Any] = {"found_by": "address" if wire.addresses else "attribute", "primary": index == 0}
        placed.append(Attachment(name, own, wire.network, wire.addresses, **{**given, **wire.about}))
    said = ZoneState(state)
    it = Zone(
        name,
        said,
        zoneid=_number(name) if said.in_kernel else None,
        uuid="" if said is ZoneState.ABSENT else f"00000000-0000-4000-8000-{_number(name):012x}",
        zonepath=f"/zones/{name}",
        config=None if said is ZoneState.ABSENT else ZoneConfig(brand, True, tuple(links), dict(attrs or {})),
    )
    if it.absent:
        placed, alone = [], []
    given = {"holders": {each.link: name for each in placed}, "refusals": (), "left_alone": tuple(alone), **about}
    return ZoneView(it, tuple(placed), **given)


def network(
    name: str | Network, cidr: Addresses = "10.1.0.0/24", *, zones: Sequence[ZoneView] = (), **about: Any
) -> NetworkView:
    """A declared network, with the NICs that `zones` have on it. `about`: as of `a_network`."""
    it = a_network(name, cidr, **about) if isinstance(name, str) else name
    on_it = tuple(each for view in zones for each in view.attachments if each.network.name == it.name)
    return NetworkView(it.name, it, on_it, {it.link: it.name})


def gateway(
    name: str,
    *networks: Network | str,
    outside: Network | str | None = "wan",
    address: Addresses = "192.0.2.10/24",
    state: str = "running",
    zones: Sequence[ZoneView] = (),
    kind: Literal["proxy", "router", "global", "external"] = "proxy",
    **about: Any,
) -> GatewayView:
    """A gateway that holds the gateway addresses of `networks`, ``dmz`` unless told; `zones` are behind it. `about`:
    further fields of model.gateway.Gateway."""
    of_zones = {each.network.name: each.network for view in zones for each in view.attachments}
    inner = {}
    for each in networks or ("dmz",):
        it = of_zones.get(each) or a_network(each) if isinstance(each, str) else each
        inner[it.name] = replace(it, via=name)
    if isinstance(outside, str):
        outside = a_network(outside, "192.0.2.0/24", internal=False, link="net0")
    addresses = tuple(ip_interface(each) for each in _several(address))
    wires = [
        nic(it, [f"{held}/{cidr.prefixlen}" for held, cidr in zip(it.gateways, it.cidrs, strict=True)], role="inside")
        for it in inner.values()
    ]
    if outside is not None:
        wires.append(nic(outside, [str(each) for each in addresses], role="outside"))
    own = zone(name, state, nics=[replace(wire, link=f"{name}_{wire.network.name}") for wire in wires if wire.network])
    members = {each: tuple(a for view in zones for a in view.attachments if a.network.name == each) for each in inner}
    return GatewayView(
        name,
        Gateway(name, kind, inner, outside, addresses, **about),
        None if own.zone.absent else own.zone,
        own.attachments,
        members,
        {view.zone.name: view.zone for view in (*zones, own)},
        trouble="" if own.zone.state is ZoneState.RUNNING else f"its zone is {state}",
    )


def gone(view: AnyView) -> AnyView:
    """The same, once it is no more: what a plugin made for it is to be cleared away."""
    if isinstance(view, ZoneView):
        return zone(view.zone.name, "absent")
    if isinstance(view, NetworkView):
        return NetworkView(view.name, None, (), {})
    return GatewayView(view.name, None, None)


def _several(value: Addresses) -> Sequence[str]:
    return [value] if isinstance(value, str) else value


def _number(name: str) -> int:
    """The same for a name in every run, unlike its hash."""
    return sum(name.encode()) % 9000 + 1
