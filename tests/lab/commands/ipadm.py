"""ipadm(8), on the stack of the zone it runs in [network 4]."""

from __future__ import annotations

from collections.abc import Callable

from lab.call import Call, Exit
from lab.ipadm import addresses, properties
from lab.ipadm.process import Ipadm, full_usage
from lab.world import NotEmulated

SUBCOMMANDS: dict[str, Callable[[Ipadm], int]] = {
    "create-if": addresses.create_if,
    "create-ip": addresses.create_if,
    "delete-if": addresses.delete_if,
    "delete-ip": addresses.delete_if,
    "show-if": addresses.show_if,
    "create-addr": addresses.create_addr,
    "refresh-addr": addresses.refresh_addr,
    "delete-addr": addresses.delete_addr,
    "up-addr": addresses.up_addr,
    "down-addr": addresses.down_addr,
    "show-addr": addresses.show_addr,
    "set-prop": properties.set_prop,
    "reset-prop": properties.reset_prop,
    "show-prop": properties.show_prop,
    "set-ifprop": properties.set_ifprop,
    "reset-ifprop": properties.reset_ifprop,
    "show-ifprop": properties.show_ifprop,
}
REAL_BUT_NOT_HERE = {
    "add-ipmp", "create-ipmp", "create-vni", "delete-ipmp", "delete-vni", "disable-addr", "disable-if", "enable-addr",
    "enable-if", "remove-ipmp", "reset-addrprop", "set-addrprop", "show-addrprop",
}  # fmt: skip


def main(call: Call) -> int:
    subcommand, arguments = (call.argv[1], call.argv[2:]) if len(call.argv) > 1 else ("show-addr", [])
    if subcommand == "help":
        call.err(full_usage())
        return 0
    if subcommand in REAL_BUT_NOT_HERE:
        raise NotEmulated(f"ipadm {subcommand}")
    if subcommand not in SUBCOMMANDS:
        call.err(f"{call.argv[0]}: unknown subcommand '{subcommand}'\n{full_usage()}")
        return 1
    ipadm = Ipadm(call, subcommand, arguments)
    try:
        with call.world.lock:
            status = SUBCOMMANDS[subcommand](ipadm)
        if ipadm.later is not None:
            ipadm.later()
    except NotEmulated:
        ipadm.flush()
        raise
    except Exit as leave:
        status = leave.status
    ipadm.flush()
    return status
