"""/etc/ipadm/ipadm.conf, each ipmgmtd's persistent store [network 4.1]; the wording inside is the lab's own."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from lab.world import GLOBAL, Address, Stack, World

Key = tuple[str, str]  # (property, ipv4|ipv6)


@dataclass
class Stored:
    interfaces: list[str] = field(default_factory=list)
    addresses: list[Address] = field(default_factory=list)
    props: dict[tuple[str, Key], str] = field(default_factory=dict)  # interface ("": the stack), key -> value


def root_of(world: World, zone: str) -> Path:
    """Where the files of `zone` lie, seen from the lab."""
    return world.root if zone == GLOBAL else world.path(world.kernel_zones[zone].zonepath + "/root")


def _path(world: World, zone: str) -> Path:
    return root_of(world, zone) / "etc/ipadm/ipadm.conf"


def save(world: World, stack: Stack) -> None:
    """Write what is persistent in `stack`; no file appears before there is something to keep."""
    lines = [f"_prop={name};_proto={proto};_value={value}" for (name, proto), value in stack.stored_props.items()]
    for interface in stack.interfaces.values():
        if not interface.persistent or interface.name == "lo0":
            continue
        lines.append(f"_ifname={interface.name}")
        lines += [
            f"_aobjname={address.name};_type={address.kind};_addr={'' if address.kind == 'dhcp' else address.address};"
            f"_state={address.state};_reqhost={address.request_host};_stateless={'yes' if address.stateless else 'no'}"
            for address in interface.addresses.values()
            if address.persistent
        ]
        lines += [
            f"_prop={name};_proto={proto};_value={value};_if={interface.name}"
            for (name, proto), value in interface.stored_props.items()
        ]
    path = _path(world, stack.zone)
    if lines or path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(line + "\n" for line in lines))


def read(world: World, zone: str) -> Stored:
    """Empty when there is no file."""
    stored = Stored()
    path = _path(world, zone)
    for line in path.read_text().splitlines() if path.exists() else []:
        items = dict(part.split("=", 1) for part in line.split(";"))
        if "_ifname" in items:
            stored.interfaces.append(items["_ifname"])
        elif "_aobjname" in items:
            stored.addresses.append(
                Address(
                    items["_aobjname"],
                    items["_type"],
                    items["_addr"],
                    items["_state"],
                    request_host=items["_reqhost"],
                    stateless=items["_stateless"] == "yes",
                )
            )
        else:
            stored.props[items.get("_if", ""), (items["_prop"], items["_proto"])] = items["_value"]
    return stored
