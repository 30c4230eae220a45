"""Protocol and interface properties: forwarding can be changed, a few more can be read [network 4.4]."""

from __future__ import annotations

from lab import datalinks, ip
from lab.ipadm.process import Ipadm
from lab.ofmt import Field
from lab.world import Interface, NotEmulated, Refused, Stack

PROP_FIELDS = [
    Field("PROTO", 6),
    Field("PROPERTY", 22),
    Field("PERM", 5),
    Field("CURRENT", 13),
    Field("PERSISTENT", 13),
    Field("DEFAULT", 13),
    Field("POSSIBLE", 15),
]
IFPROP_FIELDS = [
    Field("IFNAME", 12),
    Field("PROPERTY", 16),
    Field("PROTO", 6),
    Field("PERM", 5),
    Field("CURRENT", 11),
    Field("PERSISTENT", 11),
    Field("DEFAULT", 11),
    Field("POSSIBLE", 15),
]
IP_PROPS = {
    "forwarding": ("off", "on,off"),
    "hostmodel": ("weak", "strong,src-priority,weak"),
    "ttl": ("255", "1-255"),
}
IF_PROPS = {"arp", "forwarding", "metric", "mtu", "exchange_routes", "usesrc", "nud", "standby"}
PROTOCOLS = ("ipv4", "ipv6", "ip", "tcp", "udp", "sctp", "icmp")
LONGS = {"parsable": "c", "parseable": "c", "output": "o", "prop": "p", "module": "m"}


def set_prop(ipadm: Ipadm) -> int:
    return _change(ipadm, of_interface=False, resetting=False)


def reset_prop(ipadm: Ipadm) -> int:
    return _change(ipadm, of_interface=False, resetting=True)


def set_ifprop(ipadm: Ipadm) -> int:
    return _change(ipadm, of_interface=True, resetting=False)


def reset_ifprop(ipadm: Ipadm) -> int:
    return _change(ipadm, of_interface=True, resetting=True)


def _change(ipadm: Ipadm, of_interface: bool, resetting: bool) -> int:
    options, operands = ipadm.options(":tp:m:" if of_interface else ":tp:", LONGS | {"temporary": "t"})
    given = [option.value for option in options if option.letter == "p"]
    temporary = any(option.letter == "t" for option in options)
    proto = next((option.value for option in options if option.letter == "m"), None)
    if len(given) > 1:
        ipadm.die("-p must be specified once only")
    if not given or (of_interface and proto is None):
        ipadm.die_with_usage("Invalid arguments")
    operand = ipadm.operand(operands)
    proto = proto if of_interface else operand
    if proto not in PROTOCOLS:
        ipadm.die(f"invalid protocol '{proto}' specified")
    name, equals, value = given[0].partition("=")
    if bool(equals) is resetting:
        ipadm.die_with_usage("Invalid arguments")
    if of_interface:
        _must_exist(ipadm, operand)
    try:
        ipadm.ready()
        _set_one(ipadm, operand if of_interface else None, proto, name, "off" if resetting else value, not temporary)
    except Refused as refused:
        ipadm.die(f"{ipadm.subcommand}: {name}: {refused.status}")
    return 0


def _must_exist(ipadm: Ipadm, interface: str) -> Interface:
    try:
        return ip.find_interface(ipadm.world, ipadm.zone, interface)
    except Refused as refused:
        ipadm.die(f"no such object '{interface}': {refused.status}")


def _set_one(ipadm: Ipadm, interface: str | None, proto: str, name: str, value: str, persistent: bool) -> None:
    known = IP_PROPS if interface is None else IF_PROPS
    if proto in ip.FAMILY and name not in known:
        raise Refused("Unknown property")
    if name != "forwarding" or proto not in ip.FAMILY:
        raise NotEmulated(f"setting {proto} property {name!r} [network 4.4]")
    if value not in ("on", "off"):
        raise Refused("Invalid argument provided")
    ip.set_forwarding(ipadm.world, ipadm.zone, interface, proto, value == "on", persistent, ipadm.operate)


# reading ------------------------------------------------------------------------------------------------------------


def _asked(ipadm: Ipadm, optstring: str) -> tuple[bool, str | None, list[str], str | None, list[str]]:
    """(parsable, fields, property names, protocol, operands)"""
    options, operands = ipadm.options(optstring, LONGS)
    parsable = any(option.letter == "c" for option in options)
    wanted = next((option.value for option in options if option.letter == "o"), None)
    names = [option.value for option in options if option.letter == "p"]
    proto = next((option.value for option in options if option.letter == "m"), None)
    if len(names) > 1:
        ipadm.die("-p must be specified once only")
    if parsable and wanted is None:
        ipadm.die("-c requires -o")
    if len(operands) > 1:
        ipadm.die_with_usage("Invalid arguments")
    return parsable, wanted, names[0].split(",") if names else [], proto, operands


def show_prop(ipadm: Ipadm) -> int:
    parsable, wanted, names, _, operands = _asked(ipadm, ":cp:o:")
    if names and not operands:
        ipadm.die("protocol must be specified when property name is used")
    if operands and operands[0] not in PROTOCOLS:
        ipadm.die(f"invalid protocol '{operands[0]}' specified")
    if not names:
        raise NotEmulated("every property of a protocol: name those you want [network 4.4]")
    stack = ip.stack_of(ipadm.world, ipadm.zone)
    table = ipadm.table(PROP_FIELDS, wanted, parsable, ",".join(field.name for field in PROP_FIELDS), wrap=True)
    for name in names:
        table.row(_prop_row(stack, operands[0], name))
    return 0


def _prop_row(stack: Stack, proto: str, name: str) -> dict[str, str | None]:
    if proto not in ip.FAMILY or name not in IP_PROPS:
        raise NotEmulated(f"showing {proto} property {name!r} [network 4.4]")
    default, possible = IP_PROPS[name]
    return {
        "proto": proto,
        "property": name,
        "perm": "rw",
        "current": stack.props.get((name, proto), default),
        "persistent": stack.stored_props.get((name, proto), ""),
        "default": default,
        "possible": possible,
    }


def show_ifprop(ipadm: Ipadm) -> int:
    parsable, wanted, names, proto, operands = _asked(ipadm, ":cp:o:m:")
    if proto is not None and proto not in PROTOCOLS:
        ipadm.die(f"invalid protocol '{proto}' specified")
    if not names:
        raise NotEmulated("every property of an interface: name those you want [network 4.4]")
    interfaces = list(ip.stack_of(ipadm.world, ipadm.zone).interfaces.values())
    if operands:
        interfaces = [_must_exist(ipadm, operands[0])]
    table = ipadm.table(IFPROP_FIELDS, wanted, parsable, ",".join(field.name for field in IFPROP_FIELDS), wrap=True)
    for name in names:
        for interface in interfaces:
            for each in ip.FAMILY if proto is None else [proto]:
                table.row(_ifprop_row(ipadm, interface, each, name))
    return 0


def _ifprop_row(ipadm: Ipadm, interface: Interface, proto: str, name: str) -> dict[str, str | None]:
    if proto not in ip.FAMILY or name not in ("forwarding", "mtu"):
        raise NotEmulated(f"showing interface property {name!r} of {proto} [network 4.4]")
    default, possible = IP_PROPS["forwarding"]
    if name == "mtu":
        link = datalinks.lookup(ipadm.world, interface.name)
        default = str(link.mtu if link else 8232)  # lo0 has no datalink
        possible = f"{68 if proto == 'ipv4' else 1280}-{default}"
    return {
        "ifname": interface.name,
        "property": name,
        "proto": proto,
        "perm": "rw",
        "current": interface.props.get((name, proto), default),
        "persistent": interface.stored_props.get((name, proto), ""),
        "default": default,
        "possible": possible,
    }
