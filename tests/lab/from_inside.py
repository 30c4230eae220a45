"""`halt`, `poweroff` and `reboot` typed inside a zone: the kernel tells zoneadmd, the caller dies [zones 2.2, 3.12]."""

from __future__ import annotations

from lab import zoneadmd
from lab.call import Call
from lab.world import GLOBAL, NotEmulated


def go_down(call: Call, reboot: bool) -> int:
    """Only the plain form, without options: nothing needs more yet."""
    if call.zone == GLOBAL:
        raise NotEmulated(f"{call.argv[0]} of the whole host")
    if len(call.argv) > 1:
        raise NotEmulated(f"{' '.join(call.argv)}")
    if not call.privileged:
        call.err(f"{call.argv[0]}: permission denied\n")
        return 1
    return zoneadmd.uadmin(call, call.zone, reboot=reboot).status
