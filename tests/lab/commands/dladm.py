"""dladm(8) [network 2]."""

from __future__ import annotations

from collections.abc import Callable

from lab.call import Call, Exit
from lab.dladm import change, props, show
from lab.dladm.process import Dladm, full_usage
from lab.world import NotEmulated

SUBCOMMANDS: dict[str, Callable[[Dladm], int]] = {
    "create-etherstub": change.create_etherstub,
    "delete-etherstub": change.delete_etherstub,
    "show-etherstub": show.show_etherstub,
    "create-vnic": change.create_vnic,
    "delete-vnic": change.delete_vnic,
    "show-vnic": show.show_vnic,
    "up-vnic": change.up_vnic,
    "rename-link": change.rename_link,
    "show-link": show.show_link,
    "show-phys": show.show_phys,
    "show-linkmap": show.show_linkmap,
    "set-linkprop": props.set_linkprop,
    "reset-linkprop": props.reset_linkprop,
    "show-linkprop": props.show_linkprop,
}
REAL_BUT_NOT_HERE = {
    "add-aggr", "add-bridge", "connect-wifi", "create-aggr", "create-bridge", "create-iptun", "create-overlay",
    "create-part", "create-secobj", "create-simnet", "create-vlan", "delete-aggr", "delete-bridge", "delete-iptun",
    "delete-overlay", "delete-part", "delete-phys", "delete-secobj", "delete-simnet", "delete-vlan",
    "disconnect-wifi", "init-phys", "init-secobj", "modify-aggr", "modify-bridge", "modify-iptun", "modify-overlay",
    "modify-simnet", "modify-vlan", "remove-aggr", "remove-bridge", "scan-wifi", "show-aggr", "show-bridge",
    "show-ib", "show-iptun", "show-overlay", "show-part", "show-secobj", "show-simnet", "show-usage", "show-vlan",
    "show-wifi", "up-aggr", "up-overlay", "up-part", "up-simnet", "up-vlan",
}  # fmt: skip


def main(call: Call) -> int:
    subcommand, arguments = (call.argv[1], call.argv[2:]) if len(call.argv) > 1 else ("show-link", [])
    if subcommand == "help":
        call.err(full_usage(call))
        return 0
    if subcommand in REAL_BUT_NOT_HERE:
        raise NotEmulated(f"dladm {subcommand}")
    if subcommand not in SUBCOMMANDS:
        call.err(f"{call.argv[0]}: unknown subcommand '{subcommand}'\n{full_usage(call)}")
        return 1
    dladm = Dladm(call, subcommand, arguments)
    try:
        with call.world.lock:
            status = SUBCOMMANDS[subcommand](dladm)
    except NotEmulated:
        dladm.flush()
        raise
    except Exit as leave:
        status = leave.status
    dladm.flush()
    return status
