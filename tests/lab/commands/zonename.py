"""`zonename`: where the caller runs [zones 7]."""

from __future__ import annotations

from lab.call import Call
from lab.world import GLOBAL, NotEmulated


def main(call: Call) -> int:
    arguments = call.argv[1:]
    if not arguments:
        call.out(f"{call.zone}\n")
        return 0
    if arguments == ["-t"]:
        zone = call.world.kernel_zones.get(call.zone)
        exclusive = zone is not None and zone.exclusive
        call.out("exclusive\n" if exclusive and call.zone != GLOBAL else "shared\n")
        return 0
    raise NotEmulated(f"zonename {' '.join(arguments)}")
