"""Interfaces and address objects [network 4.2, 4.3]."""

from __future__ import annotations

from lab import autoconf, dhcp, ip
from lab.ipadm.process import Ipadm
from lab.ofmt import Field
from lab.world import Address, Interface, NotEmulated, Refused

INTERFACE_FIELDS = [
    Field("IFNAME", 11),
    Field("CLASS", 10),
    Field("STATE", 9),
    Field("CURRENT", 13),
    Field("PERSISTENT", 11),
]
ADDRESS_FIELDS = [
    Field("ADDROBJ", 18),
    Field("TYPE", 9),
    Field("STATE", 13),
    Field("CURRENT", 8),
    Field("PERSISTENT", 11),
    Field("ADDR", 46),
]
DHCP_WAIT_SECONDS = 120.0  # [network 4.3]
LONGS = {"parsable": "p", "parseable": "p", "output": "o"}
TEMPORARY = {"temporary": "t"}


def _is_temporary(ipadm: Ipadm) -> tuple[bool, list[str]]:
    options, operands = ipadm.options(":t", TEMPORARY)
    return bool(options), operands


# interfaces ---------------------------------------------------------------------------------------------------------


def create_if(ipadm: Ipadm) -> int:
    temporary, operands = _is_temporary(ipadm)
    name = ipadm.operand(operands)
    try:
        ipadm.ready()
        ip.create_interface(ipadm.world, ipadm.zone, name, not temporary, ipadm.operate)
    except Refused as refused:
        ipadm.die(f"Could not create {name} : {refused.status}")  # the blank is real
    return 0


def delete_if(ipadm: Ipadm) -> int:
    name = ipadm.operand(ipadm.options(":", {})[1])
    try:
        ipadm.ready()
        ip.delete_interface(ipadm.world, ipadm.zone, name, ipadm.operate)
    except Refused as refused:
        ipadm.die(f"Could not delete {name}: {refused.status}")
    return 0


def show_if(ipadm: Ipadm) -> int:
    parsable, wanted, operands = _listing(ipadm)
    interfaces = list(ip.stack_of(ipadm.world, ipadm.zone).interfaces.values())
    try:
        ipadm.daemon_answers()
        if operands:
            interfaces = [ip.find_interface(ipadm.world, ipadm.zone, operands[0])]
    except Refused as refused:
        ipadm.die(f"Could not get interface(s): {refused.status}")
    table = ipadm.table(INTERFACE_FIELDS, wanted, parsable, "ifname,class,state,current,persistent")
    for interface in interfaces:
        table.row(
            {
                "ifname": interface.name,
                "class": interface.klass,
                "state": _interface_state(interface),
                "current": _current(interface),
                "persistent": "-46" if interface.persistent and interface.name != "lo0" else "---",
            }
        )
    return 0


def _interface_state(interface: Interface) -> str:
    if not interface.active:
        return "disabled"
    up = any(address.active and address.state == "ok" for address in interface.addresses.values())
    return "ok" if up else "down"


def _current(interface: Interface) -> str:
    """Twelve places, `bmpvIsiVaZ46`."""
    if interface.klass == "VIRTUAL":
        return "-m-v------46"
    return f"bm-------{'Z' if ip.is_from_gz(interface) else '-'}46"


def _listing(ipadm: Ipadm) -> tuple[bool, str | None, list[str]]:
    options, operands = ipadm.options(":po:", LONGS)
    parsable = any(option.letter == "p" for option in options)
    wanted = next((option.value for option in options if option.letter == "o"), None)
    if parsable and wanted is None:
        ipadm.die("-p requires -o")
    if len(operands) > 1:
        ipadm.die_with_usage("Invalid arguments")
    return parsable, wanted, operands


# addresses ----------------------------------------------------------------------------------------------------------


def create_addr(ipadm: Ipadm) -> int:
    options, operands = ipadm.options(
        ":tT:a:di:p:w:h:1",
        TEMPORARY
        | {"address": "a", "type": "T", "down": "d", "interface-id": "i", "prop": "p"}
        | {"wait": "w", "reqhost": "h", "primary": "1"},
    )
    given = {option.letter: option.value for option in options}
    if "T" not in given:
        ipadm.die_with_usage("Invalid arguments")
    kind = given["T"]
    if kind not in ("static", "dhcp", "addrconf"):
        ipadm.die(f"Invalid address type {kind}")
    stateless = _listens(ipadm, given.get("p"), kind)
    if kind == "addrconf" and "i" in given:
        raise NotEmulated("ipadm create-addr -T addrconf -i [network 4.3]")
    if (kind == "static") != ("a" in given) or (kind != "dhcp" and given.keys() & set("wh1")):
        ipadm.die_with_usage("Invalid arguments")
    if kind != "static" and "d" in given:
        ipadm.die_with_usage("Invalid arguments")
    patience = _patience(ipadm, given.get("w"))
    name = ipadm.operand(operands)
    if ip.split_object(name) is None:
        ipadm.die_with_usage(f"invalid address object name: {name}")
    text = _local_address(ipadm, given["a"]) if kind == "static" else ""
    try:
        ipadm.ready()
        ip.create_address(
            ipadm.world,
            ipadm.zone,
            name,
            kind,
            text,
            "t" not in given,
            "d" in given,
            ipadm.operate,
            ipadm.call.half_way,
            given.get("h", ""),
            stateless,
        )
    except Refused as refused:
        ipadm.die(f"Could not create address: {refused.status}")
    lease = dhcp.find(ipadm.world, ipadm.zone, name.partition("/")[0]) if kind == "dhcp" else None
    if lease is not None:
        ipadm.later = lambda: _await_lease(ipadm, lease, patience)
    return 0


def _listens(ipadm: Ipadm, text: str | None, kind: str) -> bool:
    """``-p stateful=yes|no,stateless=yes|no``: whether addresses come from routers."""
    stateless = True
    for part in (text or "").split(",") if text is not None else []:
        name, _, value = part.partition("=")
        if kind != "addrconf" or name not in ("stateful", "stateless") or value not in ("yes", "no"):
            ipadm.die_with_usage("Invalid arguments")
        if name == "stateless":
            stateless = value == "yes"
        elif value == "yes":
            raise NotEmulated("ipadm create-addr -T addrconf -p stateful=yes: DHCPv6 [network 4.3]")
    return stateless


def _patience(ipadm: Ipadm, text: str | None) -> float | None:
    """Seconds to wait for a lease; None: for ever."""
    if text is None:
        return DHCP_WAIT_SECONDS
    if text == "forever":
        return None
    if not (text.isascii() and text.isdigit()):
        ipadm.die_with_usage("Invalid arguments")
    return float(text)


def _await_lease(ipadm: Ipadm, lease: dhcp.Lease, patience: float | None) -> None:
    """A timeout is no failure: the client goes on."""
    if not dhcp.wait(lease, patience, ipadm.call.linger):
        ipadm.warn("Could not create address: Communication with dhcpagent timed out")


def _local_address(ipadm: Ipadm, text: str) -> str:
    parts = text.split(",")
    if len(parts) > 1 or parts[0].startswith("remote="):
        raise NotEmulated("point-to-point addresses [network 4.3]")
    try:
        return ip.full_address(parts[0].removeprefix("local="))
    except Refused as refused:
        ipadm.die(f"Error in setting local address: {refused.status}")


def refresh_addr(ipadm: Ipadm) -> int:
    """Only a lease is refreshed; it does not wait for the answer."""
    options, operands = ipadm.options(":i", {"inform": "i"})
    name = ipadm.operand(operands)
    if options:
        raise NotEmulated("ipadm refresh-addr -i [network 4.3]")
    try:
        ipadm.ready()
        interface, address = ip.find_address(ipadm.world, ipadm.zone, name)
        ipadm.operate()
    except Refused as refused:
        raise NotEmulated(f"how refresh-addr words: {refused.status}") from None
    if address.kind != "dhcp":
        raise NotEmulated(f"refreshing an address of type {address.kind} [network 4.3]")
    dhcp.refresh(ipadm.world, ipadm.zone, interface.name)
    return 0


def delete_addr(ipadm: Ipadm) -> int:
    options, operands = ipadm.options(":r", {"release": "r"})
    name = ipadm.operand(operands)
    try:
        ipadm.ready()
        ip.delete_address(ipadm.world, ipadm.zone, name, bool(options), ipadm.operate)
    except Refused as refused:
        ipadm.die(f"could not delete address: {refused.status}")  # the small letter is real
    return 0


def up_addr(ipadm: Ipadm) -> int:
    return _up_or_down(ipadm, up=True)


def down_addr(ipadm: Ipadm) -> int:
    return _up_or_down(ipadm, up=False)


def _up_or_down(ipadm: Ipadm, up: bool) -> int:
    temporary, operands = _is_temporary(ipadm)
    name = ipadm.operand(operands)
    try:
        ipadm.ready()
        ip.set_address_up(ipadm.world, ipadm.zone, name, up, not temporary, ipadm.operate)
    except Refused as refused:
        raise NotEmulated(f"how {ipadm.subcommand} words: {refused.status}") from None
    return 0


def show_addr(ipadm: Ipadm) -> int:
    parsable, wanted, operands = _listing(ipadm)
    try:
        ipadm.daemon_answers()
        autoconf.refresh(ipadm.world, ipadm.zone)
        addresses = _chosen(ipadm, operands[0]) if operands else _all(ipadm)
    except Refused as refused:
        ipadm.die(f"Could not get address: {refused.status}")
    table = ipadm.table(ADDRESS_FIELDS, wanted, parsable, "addrobj,type,state,addr")
    rows = [(address, each) for address in addresses for each in (address.address, *address.advertised)]
    for address, text in rows:
        table.row(
            {
                "addrobj": address.name,
                "type": address.kind,
                "state": address.state,
                "current": "-----" if address.state == "down" else "U----",
                "persistent": "U--" if address.persistent else "---",
                "addr": text or "?",  # no lease yet
            }
        )
    return 0


def _all(ipadm: Ipadm) -> list[Address]:
    """IPv4 of every interface first, then IPv6; a name that a killed create left shows nowhere."""
    interfaces = ip.stack_of(ipadm.world, ipadm.zone).interfaces.values()
    addresses = [address for interface in interfaces for address in interface.addresses.values() if address.active]
    return sorted(addresses, key=lambda address: ip.version(address.address))


def _chosen(ipadm: Ipadm, text: str) -> list[Address]:
    interface, slash, name = text.partition("/")
    if not slash:
        ipadm.die("Invalid address object name provided")
    if not name:
        ip.find_interface(ipadm.world, ipadm.zone, interface)
        return [address for address in _all(ipadm) if address.name.startswith(f"{interface}/")]
    found = [address for address in _all(ipadm) if address.name == text]
    if not found:
        ipadm.die("Address object not found")
    return found
